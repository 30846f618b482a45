//! Threads that carry bytes between the machine's sockets and `sisal`'s own standard streams.
//!
//! Each direction waits for its slower end, so that back-pressure reaches from the program to whoever is at the
//! other end of the pipe, and passes the end on: an end of file as one, a reader that is gone as one that is gone.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};

use rustix::event::{PollFd, PollFlags, poll};

/// As much as a pipe holds.
const BUFFER: usize = 64 << 10;

/// How much of a log is kept for the case of a failure.
const TAIL: usize = 16 << 10;

/// A standard stream of this process, with neither the standard library's buffer nor its lock.
fn standard(stream: impl AsFd) -> io::Result<File> {
    stream.as_fd().try_clone_to_owned().map(File::from)
}

/// Carries this process's standard input to `machine`, until either ends. The thread is not to be waited for: it
/// may be waiting for somebody who does not type.
///
/// # Errors
///
/// The standard input cannot be used.
pub fn send_stdin(machine: UnixStream) -> io::Result<()> {
    let stdin = standard(io::stdin())?;
    thread::spawn(move || {
        // An error is an end of file to the program, as it is for the reader of a pipe.
        let _ = carry(&stdin, &machine);
        // QEMU reads what is still in the socket before it sees the end: not so if the socket were closed.
        let _ = machine.shutdown(Shutdown::Write);
        // Closing tells QEMU that nobody reads what the machine might write here, and nobody does.
        wait_for_hangup(&machine);
    });
    Ok(())
}

/// Carries what `machine` writes to `stream`, until either ends. A stream whose reader is gone ends it with
/// no error: the machine sees its port close.
///
/// # Errors
///
/// The stream cannot be used. The thread's result: it could not be written to.
pub fn receive(machine: UnixStream, stream: impl AsFd) -> io::Result<JoinHandle<io::Result<()>>> {
    let stream = standard(stream)?;
    Ok(thread::spawn(move || match carry(&machine, &stream) {
        Err(Failure::Write(error)) if error.kind() != ErrorKind::BrokenPipe => Err(error),
        // An error of the socket is QEMU's end.
        Ok(()) | Err(Failure::Read | Failure::Write(_)) => Ok(()),
    }))
}

/// Collects the end of a log, showing all of it on standard error if `show`, and calls `heard` with each piece.
pub fn collect(
    mut source: impl Read + Send + 'static,
    show: bool,
    mut heard: impl FnMut(&[u8]) + Send + 'static,
) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        let mut tail = Vec::new();
        while let Ok(count @ 1..) = retry(|| source.read(&mut buffer)) {
            let piece = buffer.get(..count).unwrap_or_default();
            if show {
                // With nowhere to show it, it is still collected.
                let _ = io::stderr().write_all(piece);
            }
            heard(piece);
            tail.extend_from_slice(piece);
            if tail.len() > 2 * TAIL {
                tail.drain(..tail.len() - TAIL);
            }
        }
        String::from_utf8_lossy(&tail).into_owned()
    })
}

/// A log's pieces, put together to lines again.
#[derive(Default)]
pub struct Lines(Vec<u8>);

impl Lines {
    /// Adds a piece, and calls `line` with each line that is whole by now. What never ends is no line.
    pub fn add(&mut self, piece: &[u8], mut line: impl FnMut(&str)) {
        for part in piece.split_inclusive(|&byte| byte == b'\n') {
            self.0.extend_from_slice(part);
            if let Some(whole) = self.0.strip_suffix(b"\n") {
                line(String::from_utf8_lossy(whole).trim_end());
                self.0.clear();
            } else if self.0.len() > TAIL {
                self.0.clear();
            }
        }
    }
}

/// Which end of a relay failed.
enum Failure {
    Read,
    Write(io::Error),
}

/// Carries bytes until the source ends.
fn carry<'a, R: AsFd, W: AsFd>(source: &'a R, sink: &'a W) -> Result<(), Failure>
where
    &'a R: Read,
    &'a W: Write,
{
    let (mut reader, mut writer) = (source, sink);
    let mut buffer = vec![0; BUFFER];
    loop {
        let count =
            waiting(source.as_fd(), PollFlags::IN, || reader.read(&mut buffer)).map_err(|_| Failure::Read)?;
        let mut rest = buffer.get(..count).unwrap_or_default();
        if rest.is_empty() {
            return Ok(());
        }
        while !rest.is_empty() {
            let count =
                waiting(sink.as_fd(), PollFlags::OUT, || writer.write(rest)).map_err(Failure::Write)?;
            rest = rest.get(count..).unwrap_or_default();
        }
    }
}

/// Does `operation`, waiting where `stream` would not: others who have it open may have made it non-blocking.
fn waiting<T>(
    stream: BorrowedFd<'_>,
    event: PollFlags,
    mut operation: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    loop {
        match retry(&mut operation) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                retry(|| Ok(poll(&mut [PollFd::from_borrowed_fd(stream, event)], None)?))?;
            }
            result => return result,
        }
    }
}

fn retry<T>(mut operation: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match operation() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn wait_for_hangup(machine: &UnixStream) {
    let _ = retry(|| Ok(poll(&mut [PollFd::new(machine, PollFlags::empty())], None)?));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_however_they_come() {
        let text = "one\ntwo\r\n\nthree";
        for size in 1..text.len() {
            let (mut lines, mut found) = (Lines::default(), Vec::new());
            for piece in text.as_bytes().chunks(size) {
                lines.add(piece, |line| found.push(line.to_owned()));
            }
            assert_eq!(found, ["one", "two", ""]);
        }
        let mut lines = Lines::default();
        for _ in 0..100 {
            lines.add(&[b'x'; 1000], |line| panic!("{line}"));
        }
        assert!(lines.0.len() <= TAIL);
    }
}
