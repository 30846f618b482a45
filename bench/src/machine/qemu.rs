//! A machine's run: how long it took, what it said, and what it put out.

use super::accel;
use crate::Result;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

/// Seconds that any machine may live, on a computer that is busy with others.
const PATIENCE: &str = "300";

/// QEMU for a machine of ours that has nothing but a serial port, which is its standard output.
pub fn command(machine: &str, ram: u32) -> Command {
    let mut qemu = Command::new(std::env::var_os("SISAL_QEMU").unwrap_or("qemu-system-x86_64".into()));
    qemu.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"]);
    qemu.args(["-machine", machine, "-accel", &accel(), "-cpu", "max", "-m", &ram.to_string()]);
    qemu
}

/// Adds a network as `sisal` does, and forwards this computer's `port` to the machine's port 80.
pub fn add_network(qemu: &mut Command, port: u16) {
    qemu.args(["-netdev", &format!("user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:80")]);
    qemu.args(["-device", "virtio-net-pci,netdev=net"]);
}

/// A run that has ended.
pub struct Run {
    /// From the command's start to its end.
    pub seconds: f64,
    /// Whether it was ended because it took too long.
    pub hung: bool,
    /// What was said, by the machine and by the program.
    pub said: String,
    /// Where the program's output is.
    output: PathBuf,
}

impl Run {
    /// Runs `command`, bounded, with its standard input from a file or at its end. Its standard output goes into `output`.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn new(command: &Command, input: Option<&Path>, output: PathBuf) -> Result<Self> {
        let stdin = match input {
            Some(path) => File::open(path)?.into(),
            None => Stdio::null(),
        };
        let mut bounded = Command::new("timeout");
        bounded.args(["--signal=KILL", PATIENCE]).arg(command.get_program()).args(command.get_args());
        let start = Instant::now();
        let ended = bounded
            .stdin(stdin)
            .stdout(File::create(&output)?)
            .stderr(Stdio::piped())
            .spawn()
            .and_then(|child| child.wait_with_output())
            .map_err(|error| format!("{command:?}: {error}"))?;
        Ok(Self {
            seconds: start.elapsed().as_secs_f64(),
            hung: ended.status.code().is_none_or(|code| code == 137),
            said: String::from_utf8_lossy(&ended.stderr).into_owned(),
            output,
        })
    }

    /// Takes what was put out so far for said: the program's output is in the file `output`.
    ///
    /// # Errors
    /// What was put out cannot be read.
    pub fn move_output(&mut self, output: PathBuf) -> Result<()> {
        self.said = self.text()?;
        self.output = output;
        Ok(())
    }

    /// All that was said, and then what was put out.
    fn text(&self) -> Result<String> {
        Ok(format!("{}\n{}", self.said, String::from_utf8_lossy(&fs::read(&self.output)?)))
    }

    /// The number on the line that is `name`, a blank, and a number.
    ///
    /// # Errors
    /// There is no such line.
    pub fn after(&self, name: &str) -> Result<f64> {
        self.number(|line| line.strip_prefix(name)?.strip_prefix(' '), name)
    }

    /// The number before `name` at the end of a line.
    ///
    /// # Errors
    /// There is no such line.
    pub fn before(&self, name: &str) -> Result<f64> {
        self.number(|line| line.strip_suffix(name)?.split_whitespace().last(), name)
    }

    fn number(&self, find: impl Fn(&str) -> Option<&str>, name: &str) -> Result<f64> {
        let text = self.text()?;
        let number = text.lines().find_map(|line| find(line.trim_end())?.trim().parse().ok());
        number.ok_or_else(|| format!("no {name} in what the machine said:\n{}", beginning(&text)).into())
    }

    /// Makes sure that `line` is one of those said or put out.
    ///
    /// # Errors
    /// It is not.
    pub fn expect(&self, line: &str) -> Result<()> {
        let text = self.text()?;
        if text.lines().any(|found| found.trim_end() == line) {
            return Ok(());
        }
        Err(format!("no {line:?} in what the machine said:\n{}", beginning(&text)).into())
    }

    /// Makes sure that the program's output is what is in a file.
    ///
    /// # Errors
    /// It is not.
    pub fn expect_output(&self, file: &Path) -> Result<()> {
        if fs::read(&self.output)? == fs::read(file)? {
            return Ok(());
        }
        Err(format!("the output is not what is expected; the machine said:\n{}", self.said).into())
    }
}

/// As much of a text as is worth showing.
fn beginning(text: &str) -> String {
    text.chars().take(2000).collect()
}
