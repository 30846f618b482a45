//! Byte streams that can wait: what stdin, stdout, pipes and sockets have in common. Files are not streams
//! (they never wait; see [`crate::filesystem`]).
//!
//! Every call is poll-style. `Pending` means that nothing has happened, that the task's waker is registered, and that
//! the same call may be made again: so a host call that parks a guest is simply repeated when the guest wakes.

mod buffer;
mod pipe;
pub(crate) mod waiting;

pub use buffer::{BytesInput, BytesOutput, NullOutput};
pub use pipe::{PipeReader, PipeWriter, pipe};

use crate::Result;
use core::task::{Context, Poll};

/// A source of bytes. Shared by reference: a guest may hold it under several descriptors.
pub trait InputStream: Send + Sync {
    /// Reads at least one byte into `buffer` and returns how many; 0 for an empty `buffer` or at the end.
    fn poll_read(&self, task: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize>>;

    /// Waits until `poll_read` would not return `Pending`. Gives the number of bytes that are known to be there
    /// (at least 1 unless the end is reached), and whether the other side has hung up.
    fn poll_readable(&self, task: &mut Context<'_>) -> Poll<Result<Readiness>>;

    /// Whether a person sits at the other end (`isatty`).
    fn is_terminal(&self) -> bool {
        false
    }
}

/// A sink of bytes. Shared by reference: a guest may hold it under several descriptors.
pub trait OutputStream: Send + Sync {
    /// Writes at least one byte of `buffer` and returns how many; 0 only for an empty `buffer`.
    /// [`Error::Pipe`](crate::Error::Pipe) when nobody reads any more.
    fn poll_write(&self, task: &mut Context<'_>, buffer: &[u8]) -> Poll<Result<usize>>;

    /// Waits until `poll_write` would not return `Pending`. Gives the number of bytes that it would take.
    fn poll_writable(&self, task: &mut Context<'_>) -> Poll<Result<Readiness>>;

    /// Waits until all that was written has left this side.
    fn poll_flush(&self, task: &mut Context<'_>) -> Poll<Result<()>> {
        let _ = task;
        Poll::Ready(Ok(()))
    }

    /// Whether a person sits at the other end (`isatty`).
    fn is_terminal(&self) -> bool {
        false
    }
}

/// What a stream is ready for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Bytes that can be read or written now, as far as is known.
    pub bytes: u64,
    /// The other side is gone: reading ends after `bytes`, writing fails.
    pub hangup: bool,
}
