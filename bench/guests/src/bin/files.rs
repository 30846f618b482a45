//! Works with files in the directory that its first argument names: 10,000 small ones, created, read, renamed and removed,
//! reported in files per second, and one of 64 MiB, written and read in pieces of 64 KiB, reported in MB/s.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

const FILES: usize = 10_000;
const CONTENTS: &[u8] = &[b'x'; 1024];
/// As mailboxes and caches do: not all in one directory.
const DIRECTORIES: usize = 10;
const PIECE: usize = 64 << 10;
const PIECES: usize = 1024;

fn main() -> io::Result<()> {
    let root = std::env::args().nth(1).ok_or_else(|| io::Error::other("which directory?"))?;
    small(Path::new(&root))?;
    large(&Path::new(&root).join("large"))
}

fn small(root: &Path) -> io::Result<()> {
    let whole = Instant::now();
    for number in 0..DIRECTORIES {
        fs::create_dir(root.join(format!("d{number}")))?;
    }
    let path = |number: usize, name: &str| -> PathBuf {
        root.join(format!("d{}/{name}{number}", number % DIRECTORIES))
    };
    let each = |name: &str, work: &dyn Fn(usize) -> io::Result<()>| {
        let start = Instant::now();
        (0..FILES).try_for_each(work)?;
        guests::report(name, FILES as f64, start);
        io::Result::Ok(())
    };
    each("create", &|number| fs::write(path(number, "new"), CONTENTS))?;
    each("read", &|number| match fs::read(path(number, "new"))? == CONTENTS {
        true => Ok(()),
        false => Err(io::Error::other("not what was written")),
    })?;
    each("rename", &|number| fs::rename(path(number, "new"), path(number, "old")))?;
    each("remove", &|number| fs::remove_file(path(number, "old")))?;
    for number in 0..DIRECTORIES {
        fs::remove_dir(root.join(format!("d{number}")))?;
    }
    guests::report("files", FILES as f64, whole);
    Ok(())
}

fn large(path: &Path) -> io::Result<()> {
    let megabytes = (PIECES * PIECE) as f64 / 1e6;
    let mut piece = vec![1; PIECE];
    let start = Instant::now();
    let mut file = File::create(path)?;
    for _ in 0..PIECES {
        file.write_all(&piece)?;
    }
    drop(file);
    guests::report("sequential-write", megabytes, start);

    let start = Instant::now();
    let mut file = File::open(path)?;
    for _ in 0..PIECES {
        file.read_exact(&mut piece)?;
    }
    guests::report("sequential-read", megabytes, start);
    fs::remove_file(path)
}
