//! The process's own stdio as streams.

use crate::{
    Error, Result,
    io::{InputStream, OutputStream, PipeReader, PipeWriter, Readiness, pipe},
};
use alloc::{string::String, vec};
use core::{
    future::poll_fn,
    task::{Context, Poll},
};
use std::{
    io::{self, IsTerminal, Read, Write},
    sync::LazyLock,
    thread,
};

/// What the process's stdin holds ahead of the guest.
const AHEAD: usize = 64 << 10;

/// The process's stdin. A thread of its own reads it (from the first use on), because it cannot be waited for otherwise
/// on every system; so what is read ahead of the guest is lost to other readers in the process.
pub struct Stdin;

static STDIN: LazyLock<PipeReader> = LazyLock::new(|| {
    let (reader, writer) = pipe(AHEAD);
    let copy = move || copy(io::stdin(), &writer);
    if let Err(error) = thread::Builder::new().name(String::from("wasi-stdin")).spawn(copy) {
        log::error!("no thread for stdin: {error}");
    }
    reader
});

/// Reads all there is into a pipe.
fn copy(mut from: impl Read, to: &PipeWriter) {
    let mut buffer = vec![0; AHEAD];
    loop {
        let mut rest = match from.read(&mut buffer) {
            Ok(count @ 1..) => buffer.get(..count).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // An error is the end, as it is for `cat`.
            Ok(0) | Err(_) => return,
        };
        while !rest.is_empty() {
            match super::block_on(poll_fn(|task| to.poll_write(task, rest))) {
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(_) => return,
            }
        }
    }
}

impl InputStream for Stdin {
    fn poll_read(&self, task: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize>> {
        STDIN.poll_read(task, buffer)
    }

    fn poll_readable(&self, task: &mut Context<'_>) -> Poll<Result<Readiness>> {
        STDIN.poll_readable(task)
    }

    fn is_terminal(&self) -> bool {
        io::stdin().is_terminal()
    }
}

/// The process's stdout, unbuffered. A full pipe blocks the thread.
pub struct Stdout;

/// The process's stderr. A full pipe blocks the thread.
pub struct Stderr;

macro_rules! output {
    ($stream:ident, $open:path) => {
        impl OutputStream for $stream {
            fn poll_write(&self, _task: &mut Context<'_>, buffer: &[u8]) -> Poll<Result<usize>> {
                let mut stream = $open().lock();
                Poll::Ready(
                    stream.write_all(buffer).and_then(|()| stream.flush()).map(|()| buffer.len()).map_err(
                        |error| match error.kind() {
                            io::ErrorKind::BrokenPipe => Error::Pipe,
                            _ => Error::Io,
                        },
                    ),
                )
            }

            fn poll_writable(&self, _task: &mut Context<'_>) -> Poll<Result<Readiness>> {
                Poll::Ready(Ok(Readiness { bytes: AHEAD as u64, hangup: false }))
            }

            fn is_terminal(&self) -> bool {
                $open().is_terminal()
            }
        }
    };
}
output!(Stdout, io::stdout);
output!(Stderr, io::stderr);

#[cfg(test)]
mod tests {
    use super::*;
    use core::task::Waker;

    #[test]
    fn a_signal_does_not_end_stdin_and_an_error_does() {
        let mut reads =
            [Ok(3), Err(io::ErrorKind::Interrupted), Ok(2), Err(io::ErrorKind::Other), Ok(1)].into_iter();
        struct Reads<'r>(&'r mut dyn Iterator<Item = core::result::Result<usize, io::ErrorKind>>);
        impl Read for Reads<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let count = self.0.next().unwrap_or(Ok(0))?;
                buffer[..count].fill(7);
                Ok(count)
            }
        }
        let (reader, writer) = pipe(10);
        copy(Reads(&mut reads), &writer);
        drop(writer);
        let task = &mut Context::from_waker(Waker::noop());
        assert_eq!(reader.poll_readable(task), Poll::Ready(Ok(Readiness { bytes: 5, hangup: true })));
    }
}
