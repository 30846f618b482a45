//! QEMU's server: what guest and host see of each other.

use super::qemu::Qemu;
use crate::{BOTH, READ, WRITE};
use std::{
    collections::BTreeMap,
    fs,
    ops::ControlFlow,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};
use wasi::{
    Error,
    filesystem::{Name, Node, SetTime, p9},
};

fn name(text: &str) -> Name<'_> {
    Name::new(text).unwrap()
}

/// A directory of the host, and the same through QEMU. It is removed at the end.
pub struct Shared {
    pub root: Arc<dyn Node>,
    directory: PathBuf,
}

impl Shared {
    pub fn new() -> Self {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("sisal-p9-{}-{count}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let root = p9::attach(Box::new(Qemu::start(&directory)), p9::Options::default()).unwrap();
        Self { root, directory }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.directory.join(path)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// The names of a directory and their inodes, read a few entries at a time.
fn list(node: &dyn Node, at_once: usize) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    let mut cookie = 0;
    loop {
        let mut left = at_once;
        node.read_directory(cookie, &mut |entry| {
            let before = found.insert(entry.name.as_str().to_owned(), entry.inode);
            assert_eq!(before, None, "{:?} comes once", entry.name);
            cookie = entry.next;
            left -= 1;
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
        if left > 0 {
            return found;
        }
    }
}

#[test]
fn what_is_written_is_on_the_host_at_once() {
    let shared = Shared::new();
    let file = shared.root.create_file(name("file"), WRITE).unwrap();
    assert_eq!(fs::read(shared.path("file")).unwrap(), b"");
    file.write_at(b"hello", 0).unwrap();
    assert_eq!(fs::read(shared.path("file")).unwrap(), b"hello");
    file.append(b", world").unwrap();
    assert_eq!(fs::read(shared.path("file")).unwrap(), b"hello, world");
    file.set_size(3).unwrap();
    assert_eq!(fs::read(shared.path("file")).unwrap(), b"hel");
    file.allocate(0, 5).unwrap();
    assert_eq!(fs::read(shared.path("file")).unwrap(), b"hel\0\0");
    file.allocate(0, 2).unwrap();
    file.set_times(SetTime::To(1_000_000_000_123_456_789), SetTime::To(1_234_567_890_000_000_001)).unwrap();
    let metadata = fs::metadata(shared.path("file")).unwrap();
    assert_eq!((metadata.atime(), metadata.atime_nsec()), (1_000_000_000, 123_456_789));
    assert_eq!((metadata.mtime(), metadata.mtime_nsec()), (1_234_567_890, 1));
    assert_eq!((metadata.len(), metadata.mode() & 0o7777), (5, 0o644));

    shared.root.create_directory(name("directory")).unwrap();
    assert_eq!(fs::metadata(shared.path("directory")).unwrap().mode() & 0o7777, 0o755);
    shared.root.create_symbolic_link(name("link"), "file").unwrap();
    assert_eq!(fs::read_link(shared.path("link")).unwrap(), Path::new("file"));
    shared
        .root
        .rename(name("file"), &*shared.root.lookup(name("directory")).unwrap(), name("moved"))
        .unwrap();
    assert_eq!(fs::read(shared.path("directory/moved")).unwrap(), b"hel\0\0");
    // The open file has moved along.
    file.set_size(1).unwrap();
    assert_eq!(fs::read(shared.path("directory/moved")).unwrap(), b"h");
    shared.root.unlink(name("link")).unwrap();
    assert!(!shared.path("link").exists());
}

#[test]
fn what_the_host_does_is_seen_at_once() {
    let shared = Shared::new();
    assert_eq!(list(&*shared.root, 10), BTreeMap::new());
    fs::write(shared.path("file"), "one").unwrap();
    let file = shared.root.lookup(name("file")).unwrap().open(READ).unwrap();
    let mut buffer = [0; 10];
    assert_eq!(file.read_at(&mut buffer, 0), Ok(3));
    fs::write(shared.path("file"), "three").unwrap();
    assert_eq!(file.read_at(&mut buffer, 0), Ok(5));
    assert_eq!(file.stat().unwrap().size, 5);
    fs::hard_link(shared.path("file"), shared.path("other")).unwrap();
    assert_eq!(file.stat().unwrap().links, 2);
    assert_eq!(list(&*shared.root, 10).len(), 2);
    fs::remove_file(shared.path("file")).unwrap();
    assert_eq!(shared.root.lookup(name("file")).err(), Some(Error::NoEntry));
    assert_eq!(list(&*shared.root, 1).len(), 1);
}

#[test]
fn a_file_is_never_mistaken_for_another() {
    let shared = Shared::new();
    let file = shared.root.create_file(name("file"), BOTH).unwrap();
    file.write_at(b"the first", 0).unwrap();
    fs::rename(shared.path("file"), shared.path("away")).unwrap();
    fs::write(shared.path("file"), "another").unwrap();
    assert_eq!(file.stat().unwrap().size, 9);
    assert_eq!(file.append(b" file"), Ok((5, 14)));
    // What QEMU would do to the other file is not asked for.
    assert_eq!(file.set_size(1), Err(Error::NotSupported));
    assert_eq!(file.set_times(SetTime::To(1), SetTime::To(1)), Err(Error::NotSupported));
    file.set_size(15).unwrap();
    assert_eq!(fs::read(shared.path("file")).unwrap(), b"another");
    assert_ne!(fs::metadata(shared.path("file")).unwrap().mtime(), 0);
    assert_eq!(fs::read(shared.path("away")).unwrap(), b"the first file\0");
}

#[test]
fn appending_is_atomic_with_the_hosts_programs() {
    use std::io::Write;
    let shared = Shared::new();
    let file = shared.root.create_file(name("log"), WRITE).unwrap();
    let mut host = fs::File::options().append(true).open(shared.path("log")).unwrap();
    let writer = std::thread::spawn(move || (0..2000).for_each(|_| host.write_all(b"host.\n").unwrap()));
    (0..500).for_each(|_| assert_eq!(file.append(b"guest\n").unwrap().0, 6));
    writer.join().unwrap();
    let text = fs::read_to_string(shared.path("log")).unwrap();
    assert_eq!(text.lines().filter(|line| *line == "guest").count(), 500);
    assert_eq!(text.lines().filter(|line| *line == "host.").count(), 2000);
}

#[test]
fn inodes_are_the_same_in_listings_and_stats() {
    let shared = Shared::new();
    for file in ["a", "b"] {
        fs::write(shared.path(file), "").unwrap();
    }
    fs::create_dir(shared.path("d")).unwrap();
    std::os::unix::fs::symlink("a", shared.path("l")).unwrap();
    let listed = list(&*shared.root, 2);
    assert_eq!(listed.len(), 4);
    for (text, inode) in listed {
        assert_eq!(shared.root.lookup(name(&text)).unwrap().stat().unwrap().inode, inode, "{text}");
    }
}

#[test]
fn names_that_are_not_text_are_left_out() {
    use std::os::unix::ffi::OsStrExt;
    let shared = Shared::new();
    fs::write(shared.directory.join(std::ffi::OsStr::from_bytes(b"\xff\xfe")), "").unwrap();
    fs::write(shared.path("text"), "").unwrap();
    assert_eq!(list(&*shared.root, 10).into_keys().collect::<Vec<_>>(), ["text"]);
}

#[test]
fn a_directory_of_ten_thousand_is_listed_and_emptied() {
    let shared = Shared::new();
    for number in 0..10_000 {
        fs::write(shared.path(&format!("a-name-of-some-length-{number}")), "").unwrap();
    }
    assert_eq!(list(&*shared.root, usize::MAX).len(), 10_000);
    assert_eq!(list(&*shared.root, 100).len(), 10_000);
    // As `rm -r` does: whatever has been listed is removed before going on.
    let mut cookie = 0;
    let mut removed = 0;
    loop {
        let mut batch = Vec::new();
        shared
            .root
            .read_directory(cookie, &mut |entry| {
                batch.push(entry.name.as_str().to_owned());
                cookie = entry.next;
                if batch.len() == 100 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .unwrap();
        for file in &batch {
            shared.root.unlink(name(file)).unwrap();
        }
        removed += batch.len();
        if batch.len() < 100 {
            break;
        }
    }
    assert_eq!(removed, 10_000);
}

#[test]
fn special_files_of_the_host_are_seen_and_not_opened() {
    let shared = Shared::new();
    assert!(std::process::Command::new("mkfifo").arg(shared.path("fifo")).status().unwrap().success());
    let fifo = shared.root.lookup(name("fifo")).unwrap();
    assert_eq!(fifo.stat().unwrap().kind, wasi::filesystem::Kind::Fifo);
    assert_eq!(fifo.open(READ).err(), Some(Error::NoDevice));
}
