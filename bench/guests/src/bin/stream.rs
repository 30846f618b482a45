//! Copies standard input to standard output in pieces of 64 KiB; reports MB/s from the first byte to the last.

use std::io::{self, Read, Write, stderr, stdin};
use std::time::Instant;

const PIECE: usize = 64 << 10;

fn main() -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    let mut input = stdin().lock();
    // Without the line buffer of `stdout`.
    let mut output = unbuffered();
    let mut first = None;
    let mut total = 0;
    loop {
        let count = input.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        first.get_or_insert_with(Instant::now);
        total += count;
        output.write_all(&buffer[..count])?;
    }
    if let Some(first) = first {
        guests::report("stream", total as f64 / 1e6, first);
    }
    stderr().flush()
}

/// Standard output as the descriptor that it is.
fn unbuffered() -> std::fs::File {
    use std::os::fd::FromRawFd;
    // SAFETY: descriptor 1 is the program's standard output, and nothing else here uses it.
    unsafe { std::fs::File::from_raw_fd(1) }
}
