//! A machine that goes on until nobody needs it any more: a server behind a forwarded port of this computer.

use crate::Result;
use std::{
    io::{BufRead, BufReader, Read},
    net::{Ipv4Addr, TcpListener},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::Duration,
};

/// How long a machine may take until it says what is expected, on a computer that is busy with others.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running machine, which ends when this is dropped.
pub struct Server {
    child: Child,
    lines: Receiver<String>,
    /// The port that is forwarded to it.
    pub port: u16,
}

impl Server {
    /// Starts what `command` makes of a free port, which it forwards to the machine.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(command: impl FnOnce(u16) -> Command) -> Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let mut command = command(port);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
        let (sender, lines) = channel();
        if let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) {
            forward(stdout, sender.clone());
            forward(stderr, sender);
        }
        Ok(Self { child, lines, port })
    }

    /// Waits for a line with `part` in it.
    ///
    /// # Errors
    /// There is none for a long time, or none any more.
    pub fn hear(&self, part: &str) -> Result<String> {
        let mut said = String::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(part) => return Ok(line),
                Ok(line) => said = said + &line + "\n",
                Err(_) => return Err(format!("the machine does not say {part:?}, but\n{said}").into()),
            }
        }
    }

    /// Waits for a line that begins with `name`: the number behind it.
    ///
    /// # Errors
    /// As for [`hear`](Self::hear).
    pub fn after(&self, name: &str) -> Result<f64> {
        let name = format!("{name} ");
        let line = self.hear(&name)?;
        let number = line.split(&name).last().and_then(|rest| rest.trim().parse().ok());
        number.ok_or_else(|| format!("no number in what the machine says: {line:?}").into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // If it has ended already, so much the better.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn forward(from: impl Read + Send + 'static, to: Sender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(std::result::Result::ok) {
            // Nobody listens any more once all is said that was waited for.
            let _ = to.send(line);
        }
    });
}
