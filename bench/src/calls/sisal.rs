//! Sisal, with its file system in memory and with the host's directory.

use super::{Host, Order, content, paths};
use crate::Result;
use std::{
    io::{Read, Write},
    path::Path,
    sync::Arc,
};
use wasi::{
    Command, Engine, Limits, Machine, Program,
    filesystem::{Node, Permissions, host, memory::MemoryFileSystem},
    hosted::{self, BlockingSession},
};

/// The guest as it runs in Sisal.
pub struct Sisal {
    machine: Machine,
    program: Program,
    command: Command,
    /// What its standard output is read into.
    sink: Vec<u8>,
}

/// With files in memory.
pub fn in_memory(guest: &[u8], _: &Path) -> Result<Sisal> {
    let files = MemoryFileSystem::new(hosted::machine().clock, 64 << 20, 1)?;
    for path in paths() {
        files.write_file(&path, content(&path))?;
    }
    Sisal::new(guest, files.root())
}

/// With the host's directory.
pub fn on_host(guest: &[u8], directory: &Path) -> Result<Sisal> {
    Sisal::new(guest, host::open_directory(directory)?)
}

impl Sisal {
    fn new(guest: &[u8], root: Arc<dyn Node>) -> Result<Self> {
        let command = Command::new("calls")
            .preopen("/", root, Permissions::ReadWrite)
            .limits(Limits::default().with_time(None));
        Ok(Self {
            machine: hosted::machine(),
            program: Program::new(&Engine::new(), guest)?,
            command,
            sink: vec![0; 64 << 10],
        })
    }
}

impl Host for Sisal {
    fn run(&mut self, order: Order) -> Result<()> {
        let mut session = BlockingSession::new(self.program.session(&self.machine, self.command.clone())?);
        session.write_all(&order.bytes())?;
        session.close_stdin();
        while session.read(&mut self.sink)? > 0 {}
        let outcome = session.finish();
        if outcome.success() { Ok(()) } else { Err(format!("the guest fails in Sisal: {outcome}").into()) }
    }
}
