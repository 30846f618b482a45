//! The program's standard streams and the kernel's status line: ports of the virtio console, where the machine has them,
//! else the serial port that has the log.
//!
//! The host is told when the program first asks for its standard input, and sends nothing before that: what a program
//! never reads is left to whoever shares the host's input, as the next command of a script.

use super::exit_code;
use crate::{
    logger,
    virtio::{Device, console::Console},
};
use alloc::{format, string::String, sync::Arc, vec::Vec};
use core::{
    future::poll_fn,
    task::{Context, Poll, ready},
};
use log::Level;
use manifest::{Status, Terminals, debug_exit, port};
use spin::Mutex;
use wasi::io::{BytesInput, InputStream, OutputStream, Readiness};

/// The streams.
pub struct Stdio {
    /// The program's standard input; at its end from the start if the machine has no port for it.
    pub stdin: Arc<dyn InputStream>,
    /// The program's standard output.
    pub stdout: Arc<dyn OutputStream>,
    /// The program's standard error.
    pub stderr: Arc<dyn OutputStream>,
    status: Option<Arc<dyn OutputStream>>,
    consoles: Vec<Arc<Console>>,
}

/// The port of this name on whichever console has it.
fn input(consoles: &[Arc<Console>], name: &str) -> Option<Arc<dyn InputStream>> {
    consoles.iter().find_map(|console| {
        let port = console.open_input(name);
        let port = port.inspect_err(|error| log::error!("port {name}: {error}")).ok()??;
        Some(Arc::new(port) as Arc<dyn InputStream>)
    })
}

impl Stdio {
    /// Opens the ports on whichever device has them.
    pub fn open(devices: Vec<Device>) -> Self {
        let consoles: Vec<Arc<Console>> = devices
            .into_iter()
            .filter_map(|device| {
                let name = device.name();
                Console::new(device).inspect_err(|error| log::warn!("{name}: {error}")).ok()
            })
            .collect();
        let output = |name: &str| {
            consoles.iter().find_map(|console| {
                let port = console.open_output(name);
                let port = port.inspect_err(|error| log::error!("port {name}: {error}")).ok()??;
                Some(Arc::new(port) as Arc<dyn OutputStream>)
            })
        };
        let stdin = input(&consoles, port::STDIN);
        let status = output(port::STATUS);
        let stdin = match (stdin, &status) {
            (Some(stdin), Some(status)) => Arc::new(Announced::new(stdin, status.clone())),
            (stdin, _) => stdin.unwrap_or_else(|| Arc::new(BytesInput::empty())),
        };
        Self {
            stdin,
            stdout: output(port::STDOUT).unwrap_or_else(|| Arc::new(SerialPort)),
            stderr: output(port::STDERR).unwrap_or_else(|| Arc::new(SerialPort)),
            status,
            consoles,
        }
    }

    /// Waits until the host says [`STOP`](manifest::STOP); for ever where it cannot.
    #[cfg_attr(not(feature = "full"), expect(dead_code, reason = "a server is its user"))]
    pub async fn stopped(&self) {
        let orders = input(&self.consoles, port::STATUS);
        poll_fn(|task| match orders.as_ref().map(|orders| orders.poll_readable(task)) {
            Some(Poll::Ready(Ok(Readiness { bytes: 1.., .. }))) => Poll::Ready(()),
            _ => Poll::Pending,
        })
        .await;
    }

    /// The same streams, saying of themselves that they are `terminals`.
    pub fn with_terminals(&self, terminals: Terminals) -> Self {
        Self {
            stdin: if terminals.stdin { Arc::new(Terminal(self.stdin.clone())) } else { self.stdin.clone() },
            stdout: if terminals.stdout {
                Arc::new(Terminal(self.stdout.clone()))
            } else {
                self.stdout.clone()
            },
            stderr: if terminals.stderr {
                Arc::new(Terminal(self.stderr.clone()))
            } else {
                self.stderr.clone()
            },
            status: self.status.clone(),
            consoles: self.consoles.clone(),
        }
    }

    /// Tells the host.
    pub async fn report(&self, status: &Status) {
        match &self.status {
            Some(port) => {
                // A host that does not listen misses it.
                let _ = write_all(&**port, format!("{status}\n").as_bytes()).await;
            }
            None => {
                let level = match status {
                    Status::Ready(_) | Status::Stdin | Status::Serving | Status::Exit(_) => Level::Info,
                    Status::Trap(_) | Status::Limit(_) | Status::Missing(_) | Status::Error(_) => {
                        Level::Error
                    }
                };
                log::log!(level, "{status}");
            }
        }
    }

    /// Tells the host how the program ended, after all that the program wrote. Gives the code to end the machine with.
    pub async fn finish(&self, status: &Status) -> u16 {
        for stream in [&self.stdout, &self.stderr] {
            let _ = flush(&**stream).await;
        }
        self.report(status).await;
        match &self.status {
            Some(port) => {
                let _ = flush(&**port).await;
                debug_exit::ENDED
            }
            None => exit_code(status),
        }
    }
}

async fn write_all(stream: &dyn OutputStream, mut bytes: &[u8]) -> wasi::Result<()> {
    while !bytes.is_empty() {
        let written = poll_fn(|task| stream.poll_write(task, bytes)).await?;
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}

async fn flush(stream: &dyn OutputStream) -> wasi::Result<()> {
    poll_fn(|task| stream.poll_flush(task)).await
}

/// The serial port, between the lines of the log. What is not UTF-8 is replaced: it is for people.
struct SerialPort;

impl OutputStream for SerialPort {
    fn poll_write(&self, _: &mut Context<'_>, buffer: &[u8]) -> Poll<wasi::Result<usize>> {
        logger::write(format_args!("{}", String::from_utf8_lossy(buffer)));
        Poll::Ready(Ok(buffer.len()))
    }

    fn poll_writable(&self, _: &mut Context<'_>) -> Poll<wasi::Result<Readiness>> {
        Poll::Ready(Ok(Readiness { bytes: 4096, hangup: false }))
    }
}

/// An input that tells the host before it is waited for the first time.
struct Announced {
    input: Arc<dyn InputStream>,
    status: Arc<dyn OutputStream>,
    /// What has not been told yet.
    rest: Mutex<Vec<u8>>,
}

impl Announced {
    fn new(input: Arc<dyn InputStream>, status: Arc<dyn OutputStream>) -> Self {
        Self { input, status, rest: Mutex::new(format!("{}\n", Status::Stdin).into_bytes()) }
    }

    fn poll_announce(&self, task: &mut Context<'_>) -> Poll<()> {
        let mut rest = self.rest.lock();
        while !rest.is_empty() {
            match self.status.poll_write(task, &rest) {
                Poll::Ready(Ok(written)) => {
                    let written = written.min(rest.len());
                    rest.drain(..written);
                }
                // A host that does not listen has nothing to wait for.
                Poll::Ready(Err(_)) => rest.clear(),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }
}

impl InputStream for Announced {
    fn poll_read(&self, task: &mut Context<'_>, buffer: &mut [u8]) -> Poll<wasi::Result<usize>> {
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        ready!(self.poll_announce(task));
        self.input.poll_read(task, buffer)
    }

    fn poll_readable(&self, task: &mut Context<'_>) -> Poll<wasi::Result<Readiness>> {
        ready!(self.poll_announce(task));
        self.input.poll_readable(task)
    }
}

/// A stream with a person at its other end.
struct Terminal<T: ?Sized>(Arc<T>);

impl InputStream for Terminal<dyn InputStream> {
    fn poll_read(&self, task: &mut Context<'_>, buffer: &mut [u8]) -> Poll<wasi::Result<usize>> {
        self.0.poll_read(task, buffer)
    }

    fn poll_readable(&self, task: &mut Context<'_>) -> Poll<wasi::Result<Readiness>> {
        self.0.poll_readable(task)
    }

    fn is_terminal(&self) -> bool {
        true
    }
}

impl OutputStream for Terminal<dyn OutputStream> {
    fn poll_write(&self, task: &mut Context<'_>, buffer: &[u8]) -> Poll<wasi::Result<usize>> {
        self.0.poll_write(task, buffer)
    }

    fn poll_writable(&self, task: &mut Context<'_>) -> Poll<wasi::Result<Readiness>> {
        self.0.poll_writable(task)
    }

    fn poll_flush(&self, task: &mut Context<'_>) -> Poll<wasi::Result<()>> {
        self.0.poll_flush(task)
    }

    fn is_terminal(&self) -> bool {
        true
    }
}
