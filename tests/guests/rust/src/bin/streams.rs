//! Writes to stdout and stderr in turn, binary and in pieces: neither may leak into the other.
use std::io::Write;

fn main() -> std::io::Result<()> {
    let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
    for i in 0..1000u32 {
        out.write_all(&i.to_le_bytes())?;
        out.flush()?;
        err.write_all(&(!i).to_be_bytes())?;
    }
    Ok(())
}
