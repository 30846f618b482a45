//! Copies stdin to stdout, whatever the bytes; says on stderr how many they were.
use std::io::{Read, Write};

fn main() -> std::io::Result<()> {
    let (mut stdin, mut stdout) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut buffer = vec![0; 100_003];
    let mut total = 0u64;
    loop {
        let n = stdin.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        stdout.write_all(&buffer[..n])?;
        total += n as u64;
    }
    stdout.flush()?;
    eprintln!("{total} bytes");
    Ok(())
}
