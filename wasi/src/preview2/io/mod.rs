//! `wasi:io`: errors, pollables and streams.

mod error;
mod input;
mod output;
pub mod poll;
pub mod streams;
#[cfg(test)]
mod tests;

pub use error::{IoError, Origin};
pub use input::Input;
pub use output::Output;
pub use poll::{Pollable, Poller, Source, Watch, Watched};

use super::{Interfaces, State};
use crate::{Error, Result, heap};
use alloc::vec::Vec;
use component::{Own, Trap};

/// The most bytes that one call moves.
pub const TRANSFER_MAX: usize = 64 << 10;

/// What a function of a stream fails with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It is closed: at its end, nobody reads it any more, or it has failed before.
    Closed,
    /// The operation failed.
    Failed(Error),
}

impl Failure {
    fn of(error: Error) -> Self {
        match error {
            Error::Pipe => Self::Closed,
            error => Self::Failed(error),
        }
    }
}

/// A buffer of zeros, as an allocation that can be refused.
pub fn zeroed(len: usize) -> Result<Vec<u8>> {
    let mut buffer = Vec::new();
    heap::check_for(len)?;
    buffer.try_reserve_exact(len).map_err(|_| Error::NoMemory)?;
    buffer.resize(len, 0);
    Ok(buffer)
}

impl State {
    /// Makes a pollable that is tied to a resource, and waits for it.
    pub fn subscribe(&mut self, resource: u32) -> core::result::Result<Own<Pollable>, Trap> {
        let pollable = self.table.insert_child(Pollable::new(Source::Resource(resource)), resource);
        pollable.map(Own::new).map_err(super::refused)
    }
}

/// Offers the interfaces.
pub fn register(linker: &mut Interfaces) {
    error::register(linker);
    poll::register(linker);
    streams::register(linker);
}
