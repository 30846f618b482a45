//! A session as the standard library's blocking streams.

use super::block_on;
use crate::{Error, Outcome, Session};
use std::io::{self, ErrorKind, Read, Write};

/// A [`Session`] that blocks the thread: written to and read from like a child process. Not inside of another
/// [`block_on`](super::block_on), which it would block.
pub struct BlockingSession {
    session: Session,
}

impl BlockingSession {
    /// Takes a session over.
    pub fn new(session: Session) -> Self {
        Self { session }
    }

    /// As [`Session::read_until`]; an answer that is too long is [`ErrorKind::InvalidData`].
    ///
    /// # Errors
    /// See there.
    pub fn read_until(&mut self, delimiter: u8, limit: usize) -> io::Result<alloc::vec::Vec<u8>> {
        block_on(self.session.read_until(delimiter, limit)).map_err(error)
    }

    /// Ends the program's stdin.
    pub fn close_stdin(&mut self) {
        self.session.close_stdin();
    }

    /// Ends the program's stdin and waits for the program's own end.
    pub fn finish(self) -> Outcome {
        block_on(self.session.finish())
    }
}

impl Write for BlockingSession {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        block_on(self.session.write_all(bytes)).map(|()| bytes.len()).map_err(error)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for BlockingSession {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        block_on(self.session.read(buffer)).map_err(error)
    }
}

fn error(error: Error) -> io::Error {
    let kind = match error {
        Error::Pipe => ErrorKind::BrokenPipe,
        Error::Overflow => ErrorKind::InvalidData,
        Error::NoMemory => ErrorKind::OutOfMemory,
        _ => ErrorKind::Other,
    };
    io::Error::new(kind, error)
}
