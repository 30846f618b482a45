//! What is particular to the host's directories: what the host itself, and its other programs, put there.

use super::*;
use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::symlink},
    sync::atomic::AtomicBool,
};
use wasi::filesystem::host::open_directory;

fn guest_of(path: &std::path::Path) -> Directory {
    Directory::new(open_directory(path).unwrap(), Permissions::ReadWrite).unwrap()
}

#[test]
fn what_is_no_directory_does_not_open() {
    let temporary = tempfile::tempdir().unwrap();
    fs::write(temporary.path().join("file"), b"").unwrap();
    assert_eq!(refusal(open_directory(temporary.path().join("file"))), Some(Error::NotDirectory));
    assert_eq!(refusal(open_directory(temporary.path().join("missing"))), Some(Error::NoEntry));
    // The embedder's own path may lead through links.
    symlink(temporary.path(), temporary.path().join("link")).unwrap();
    assert!(open_directory(temporary.path().join("link")).is_ok());
}

#[test]
fn absolute_links_of_the_host_are_neither_followed_nor_told() {
    let temporary = tempfile::tempdir().unwrap();
    let root = guest_of(temporary.path());
    symlink("/etc/passwd", temporary.path().join("passwd")).unwrap();
    symlink(temporary.path(), temporary.path().join("here")).unwrap();
    for link in ["passwd", "here", "here/here", "here/"] {
        assert_eq!(refusal(root.open_at(link, true, NONE, READ)), Some(Error::NotPermitted), "{link}");
        assert_eq!(root.stat_at(link, true), Err(Error::NotPermitted), "{link}");
    }
    assert_eq!(root.readlink_at("passwd"), Err(Error::NotPermitted));
    assert_eq!(root.stat_at("passwd", false).unwrap().kind, Kind::SymbolicLink);
    assert_eq!(root.unlink_file_at("passwd"), Ok(()));
}

#[test]
fn what_is_not_utf8_is_skipped() {
    let temporary = tempfile::tempdir().unwrap();
    let root = guest_of(temporary.path());
    fs::write(temporary.path().join(OsStr::from_bytes(b"odd\xff")), b"").unwrap();
    fs::write(temporary.path().join("even"), b"").unwrap();
    symlink(OsStr::from_bytes(b"odd\xff"), temporary.path().join("link")).unwrap();
    assert_eq!(names(&root), ["even", "link"]);
    assert_eq!(root.readlink_at("link"), Err(Error::IllegalSequence));
    assert_eq!(root.stat_at("link", true), Err(Error::IllegalSequence));
}

#[test]
fn times_that_a_guest_cannot_have_are_the_nearest_that_it_can() {
    let temporary = tempfile::tempdir().unwrap();
    let root = guest_of(temporary.path());
    let file = fs::File::create(temporary.path().join("file")).unwrap();
    let epoch = std::time::SystemTime::UNIX_EPOCH;
    let half = std::time::Duration::from_millis(500);
    for (time, modified) in [
        (epoch - half, 0),
        (epoch + half, 500_000_000),
        // As the host keeps it: some file systems end before.
        (epoch + std::time::Duration::from_secs(1 << 33), 8_589_934_592_000_000_000),
    ] {
        file.set_modified(time).unwrap();
        assert_eq!(root.stat_at("file", false).unwrap().modified, modified);
    }
    // Beyond the last nanosecond that 64 bits can count; what the host keeps of it is the host's affair.
    file.set_modified(epoch + std::time::Duration::from_secs(1 << 40)).unwrap();
    assert!(root.stat_at("file", false).unwrap().modified > 8_589_934_592_000_000_000);
    assert!(root.open_at("file", false, NONE, READ).is_ok());
}

#[test]
fn a_fifo_makes_nobody_wait() {
    let temporary = tempfile::tempdir().unwrap();
    let root = guest_of(temporary.path());
    let status = std::process::Command::new("mkfifo").arg(temporary.path().join("fifo")).status();
    assert!(status.unwrap().success());
    assert_eq!(root.stat_at("fifo", true).unwrap().kind, Kind::Fifo);
    assert_eq!(list(&root, 0)[2].2, Kind::Fifo);
    assert_eq!(refusal(root.open_at("fifo", true, NONE, WRITE)), Some(Error::NoDevice));
    let mut fifo = file(root.open_at("fifo", true, NONE, READ).unwrap()).unwrap();
    assert_eq!(fifo.read(&mut [0; 10]), Err(Error::NotSeekable));
}

#[test]
fn what_a_guest_writes_is_there_for_the_host() {
    let temporary = tempfile::tempdir().unwrap();
    let root = guest_of(temporary.path());
    let mut guest = file(root.open_at("file", true, OpenFlags::CREATE, BOTH).unwrap()).unwrap();
    guest.write(b"from the guest").unwrap();
    assert_eq!(fs::read(temporary.path().join("file")).unwrap(), b"from the guest");
    fs::write(temporary.path().join("file"), b"from the host!").unwrap();
    guest.seek(wasi::filesystem::SeekFrom::Start(0)).unwrap();
    assert_eq!(read_all(&mut guest), Ok(b"from the host!".to_vec()));
}

#[test]
fn a_directory_that_the_host_swaps_for_a_link_leads_nobody_out() {
    // Another program of the host exchanges a directory and a link to the outside, as fast as it can, while a guest
    // goes through it: it sees the directory's file or nothing, never the outside's.
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("file"), b"outside").unwrap();
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path();
    fs::create_dir(path.join("dir")).unwrap();
    fs::write(path.join("dir/file"), b"inside").unwrap();
    symlink(outside.path(), path.join("link")).unwrap();
    let root = guest_of(path);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                for (old, new) in [("dir", "aside"), ("link", "dir"), ("dir", "link"), ("aside", "dir")] {
                    fs::rename(path.join(old), path.join(new)).unwrap();
                }
            }
        });
        for _ in 0..5_000 {
            match root.open_at("dir/file", true, NONE, READ).and_then(file) {
                Ok(mut file) => assert_eq!(read_all(&mut file), Ok(b"inside".to_vec())),
                Err(error) => assert!(
                    // A link that was a directory again when it was read is Invalid.
                    matches!(error, Error::NotPermitted | Error::NoEntry | Error::Invalid),
                    "{error}"
                ),
            }
        }
        done.store(true, Ordering::Relaxed);
    });
}
