//! Files, directories and links, in the directory `/tour`.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::time::{Duration, UNIX_EPOCH};

use wasip1::ERRNO_NOTEMPTY;

use crate::{Fault, Tour};

/// Entries of the large directory: more than fit into one call's answer.
const ENTRIES: usize = 500;

pub fn files(tour: &mut Tour) -> Result<String, Fault> {
    contents(tour).map_err(|fault| within("contents", fault))?;
    names(tour).map_err(|fault| within("names", fault))?;
    links(tour).map_err(|fault| within("links", fault))?;
    directories(tour).map_err(|fault| within("directories", fault))?;
    sandbox(tour).map_err(|fault| within("sandbox", fault))?;
    Ok(format!("written, appended, renamed, linked, listed ({ENTRIES} entries) and removed"))
}

fn within(part: &str, Fault(fault): Fault) -> Fault {
    Fault(format!("{part}: {fault}"))
}

fn contents(tour: &mut Tour) -> Result<(), Fault> {
    let path = "/tour/contents";
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    fs::write(path, &bytes)?;
    tour.check(fs::read(path)? == bytes, "a file is not what was written")?;

    OpenOptions::new().append(true).open(path)?.write_all(b"end")?;
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    file.seek(SeekFrom::End(-3))?;
    let mut end = String::new();
    file.read_to_string(&mut end)?;
    tour.check(end == "end", format!("after appending, it ends with {end:?}"))?;

    // Nothing is kept for the hole.
    file.set_len(1 << 40)?;
    file.seek(SeekFrom::Start((1 << 40) - 1))?;
    let mut last = [1];
    file.read_exact(&mut last)?;
    tour.check(last == [0], "a hole is not zeros")?;
    file.set_len(10)?;
    tour.check(file.metadata()?.len() == 10, "a file is not as long as it was cut")?;

    let time = UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789);
    file.set_modified(time)?;
    tour.check(fs::metadata(path)?.modified()? == time, "a file's time is not what was set")?;

    fs::remove_file(path)?;
    tour.check(!fs::exists(path)?, "a removed file is there")?;
    file.rewind()?;
    let mut rest = Vec::new();
    file.read_to_end(&mut rest)?;
    tour.check(rest == bytes[..10], "an open file that was removed is not what it was")
}

fn names(tour: &mut Tour) -> Result<(), Fault> {
    fs::write("/tour/old", "old")?;
    fs::write("/tour/new", "new")?;
    fs::rename("/tour/old", "/tour/new")?;
    tour.check(fs::read("/tour/new")? == b"old", "a renamed file did not replace the other")?;
    tour.check(!fs::exists("/tour/old")?, "a renamed file has its old name")?;
    let again = OpenOptions::new().write(true).create_new(true).open("/tour/new");
    tour.check(is(again, ErrorKind::AlreadyExists), "a file was created where one is")?;
    tour.check(is(fs::read("/tour/missing"), ErrorKind::NotFound), "a missing file was found")?;
    Ok(fs::remove_file("/tour/new")?)
}

fn links(tour: &mut Tour) -> Result<(), Fault> {
    fs::write("/tour/file", "1")?;
    fs::hard_link("/tour/file", "/tour/hard")?;
    fs::write("/tour/hard", "2")?;
    tour.check(fs::read("/tour/file")? == b"2", "a hard link is not the same file")?;

    let root = File::open("/tour")?;
    let root = root.as_raw_fd() as u32;
    // SAFETY: nothing is passed but a descriptor and strings.
    unsafe { wasip1::path_symlink("file", root, "soft") }?;
    tour.check(fs::read("/tour/soft")? == b"2", "a symbolic link leads elsewhere")?;
    tour.check(fs::symlink_metadata("/tour/soft")?.is_symlink(), "a symbolic link is none")?;
    let mut target = [0; 16];
    // SAFETY: the pointer and the length are those of a buffer that is borrowed for the call.
    let length = unsafe { wasip1::path_readlink(root, "soft", target.as_mut_ptr(), target.len()) }?;
    tour.check(target.get(..length) == Some(b"file"), "a symbolic link's target is not what was set")?;

    fs::remove_file("/tour/file")?;
    tour.check(is(fs::read("/tour/soft"), ErrorKind::NotFound), "a dangling link leads somewhere")?;
    tour.check(fs::read("/tour/hard")? == b"2", "a file is gone though it has a name left")?;
    fs::remove_file("/tour/soft")?;
    Ok(fs::remove_file("/tour/hard")?)
}

fn directories(tour: &mut Tour) -> Result<(), Fault> {
    fs::create_dir_all("/tour/a/b")?;
    let expected: BTreeSet<String> = (0..ENTRIES).map(|number| format!("entry {number}")).collect();
    for name in &expected {
        fs::write(format!("/tour/a/b/{name}"), name)?;
    }
    fs::rename("/tour/a/b", "/tour/c")?;
    let mut listed = BTreeSet::new();
    for entry in fs::read_dir("/tour/c")? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|name| format!("a name is {name:?}"))?;
        tour.check(entry.file_type()?.is_file(), format!("{name} is not a file"))?;
        tour.check(listed.insert(name), "a name is listed twice")?;
    }
    tour.check(listed == expected, format!("{} of {ENTRIES} entries are listed", listed.len()))?;
    let full = fs::remove_dir("/tour/c").err().and_then(|error| error.raw_os_error());
    tour.check(
        full == Some(ERRNO_NOTEMPTY.raw().into()),
        format!("removing a full directory gives {full:?}"),
    )?;
    fs::remove_dir_all("/tour/c")?;
    fs::remove_dir("/tour/a")?;
    tour.check(fs::read_dir("/tour")?.next().is_none(), "something is left")
}

fn sandbox(tour: &mut Tour) -> Result<(), Fault> {
    for path in ["/tour/../etc/passwd", "/etc/passwd", "/tour/a/../../etc"] {
        tour.check(File::open(path).is_err(), format!("{path} was opened"))?;
    }
    Ok(())
}

fn is<T>(result: std::io::Result<T>, kind: ErrorKind) -> bool {
    result.is_err_and(|error| error.kind() == kind)
}
