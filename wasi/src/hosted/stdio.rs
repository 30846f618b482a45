//! The process's own stdio as streams.

use crate::{
    Error, Result,
    io::{InputStream, OutputStream, PipeReader, Readiness, pipe},
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
    let read_all = move || {
        let mut buffer = vec![0; AHEAD];
        // An error is the end, as it is for `cat`.
        while let Ok(count @ 1..) = io::stdin().lock().read(&mut buffer) {
            let mut rest = buffer.get(..count).unwrap_or_default();
            while !rest.is_empty() {
                match super::block_on(poll_fn(|task| writer.poll_write(task, rest))) {
                    Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                    Err(_) => return,
                }
            }
        }
    };
    if let Err(error) = thread::Builder::new().name(String::from("wasi-stdin")).spawn(read_all) {
        log::error!("no thread for stdin: {error}");
    }
    reader
});

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
