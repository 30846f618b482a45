//! Four mebibytes through a file in odd pieces, and a sparse file of four gibibytes.
use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, Read, Result, Seek, SeekFrom, Write};

fn next(state: &mut u32) -> u8 {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    *state as u8
}

fn main() -> Result<()> {
    const SIZE: usize = 4 << 20;
    let mut state = 0x2545_f491;
    let bytes: Vec<u8> = (0..SIZE).map(|_| next(&mut state)).collect();
    let mut file = File::create("/t/big")?;
    let mut rest = &bytes[..];
    let mut piece = 1;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(piece.min(rest.len()));
        file.write_all(now)?;
        rest = later;
        piece = (piece * 3 + 1) % 300_007;
    }
    drop(file);
    println!("len {}", fs::metadata("/t/big")?.len());
    println!("whole: {}", fs::read("/t/big")? == bytes);
    let mut same = true;
    let mut reader = BufReader::with_capacity(777, File::open("/t/big")?);
    let mut chunk = [0; 10_007];
    let mut at = 0;
    loop {
        let n = reader.read(&mut chunk)?;
        if n == 0 {
            break;
        }
        same &= chunk[..n] == bytes[at..at + n];
        at += n;
    }
    println!("in pieces: {}, {at} bytes", same);
    fs::remove_file("/t/big")?;

    let mut file = OpenOptions::new().create(true).truncate(true).read(true).write(true).open("/t/sparse")?;
    file.seek(SeekFrom::Start(4 << 30))?;
    file.write_all(b"end")?;
    println!("sparse len {}", file.metadata()?.len());
    file.seek(SeekFrom::Start((2 << 30) - 2))?;
    let mut hole = [1; 4];
    file.read_exact(&mut hole)?;
    println!("hole {hole:?}");
    file.seek(SeekFrom::Start((4 << 30) - 2))?;
    let mut text = vec![];
    file.read_to_end(&mut text)?;
    println!("tail {text:?}");
    file.set_len(10)?;
    file.set_len(1 << 40)?;
    println!("grown to {}", file.metadata()?.len());
    drop(file);
    fs::remove_file("/t/sparse")
}
