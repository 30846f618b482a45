//! Files through std: create, read, write, seek, append, truncate, rename, copy, remove, and what fails.
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Result, Seek, SeekFrom, Write};

fn kind<T>(result: Result<T>) -> ErrorKind {
    result.err().expect("should fail").kind()
}

fn main() -> Result<()> {
    let mut file = File::create_new("/t/a.txt")?;
    println!("create_new again: {:?}", kind(File::create_new("/t/a.txt")));
    file.write_all(b"hello, world\n")?;
    println!("position {}", file.stream_position()?);
    println!("seek back {}", file.seek(SeekFrom::Current(-6))?);
    file.write_all(b"WASI!")?;
    println!("seek before the start: {:?}", kind(file.seek(SeekFrom::Current(-100))));
    println!("seek past the end {}", file.seek(SeekFrom::End(3))?);
    file.write_all(b"tail")?;
    println!("len {}", file.metadata()?.len());
    drop(file);
    println!("{:?}", fs::read("/t/a.txt")?);

    let mut file = OpenOptions::new().append(true).open("/t/a.txt")?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(b"+appended")?;
    file.write_all(b"+again")?;
    drop(file);
    println!("{:?}", String::from_utf8_lossy(&fs::read("/t/a.txt")?[13..]));

    let mut file = OpenOptions::new().read(true).write(true).open("/t/a.txt")?;
    file.set_len(5)?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    println!("truncated to {text:?}, then read {} at the end", file.read(&mut [0; 4])?);
    file.set_len(8)?;
    println!("grown {:?}", fs::read("/t/a.txt")?);
    drop(file);

    println!("write to a read-only descriptor: {:?}", kind(File::open("/t/a.txt")?.write(b"x")));
    println!(
        "read from a write-only descriptor: {:?}",
        kind(OpenOptions::new().write(true).open("/t/a.txt")?.read(&mut [0]))
    );

    println!("copied {}", fs::copy("/t/seeded", "/t/copy")?);
    fs::rename("/t/copy", "/t/moved")?;
    println!("after rename: {:?}", kind(File::open("/t/copy")));
    println!("moved {:?}", fs::read_to_string("/t/moved")?);
    fs::rename("/t/moved", "/t/a.txt")?;
    println!("replaced {:?}", fs::read_to_string("/t/a.txt")?);

    let mut open = File::options().read(true).write(true).create(true).truncate(true).open("/t/gone")?;
    open.write_all(b"still here")?;
    fs::remove_file("/t/gone")?;
    println!("unlinked while open: {:?}", kind(fs::metadata("/t/gone")));
    open.seek(SeekFrom::Start(0))?;
    let mut text = String::new();
    open.read_to_string(&mut text)?;
    println!("and reads {text:?}, len {}", open.metadata()?.len());
    open.write_all(b", and written")?;
    println!("len {}", open.metadata()?.len());

    println!("missing: {:?}", kind(File::open("/t/none")));
    println!("below a file: {:?}", kind(File::open("/t/a.txt/x")));
    println!("a directory to write: {:?}", kind(OpenOptions::new().write(true).open("/t/d")));
    println!("remove_file of a directory: {}", fs::remove_file("/t/d").is_err());
    println!("outside: {:?}", kind(File::open("/t/../secret")));
    println!("not preopened: {:?}", kind(File::open("/elsewhere")));
    println!("exists: {}", fs::exists("/t/d/inner")?);

    let long = "n".repeat(255);
    fs::write(format!("/t/{long}"), "longest")?;
    println!("name of 255: {}", fs::read_to_string(format!("/t/{long}"))?);
    println!("name of 256: {:?}", kind(fs::write(format!("/t/{long}n"), "")));
    fs::remove_file(format!("/t/{long}"))?;
    fs::write("/t/grüße ☃", "utf-8")?;
    Ok(())
}
