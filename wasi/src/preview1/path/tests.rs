use super::*;
use crate::preview1::{Snapshot, testing::*};
use alloc::string::String;

const EMPTY: OFlags = OFlags::empty();

fn unlink(guest: &mut Guest, path: &str) -> Result<()> {
    guest.with_path::<u8>(path, |call, path, len, _| path_unlink_file(call, ROOT, path, len)).map(drop)
}

fn remove_directory(guest: &mut Guest, path: &str) -> Result<()> {
    guest.with_path::<u8>(path, |call, path, len, _| path_remove_directory(call, ROOT, path, len)).map(drop)
}

fn rename(guest: &mut Guest, path: &str, new_path: &str) -> Result<()> {
    guest.with_paths((path, new_path), |call, path, new_path| {
        path_rename(call, ROOT, path.0, path.1, ROOT, new_path.0, new_path.1)
    })
}

fn link(guest: &mut Guest, flags: LookupFlags, path: &str, new_path: &str) -> Result<()> {
    guest.with_paths((path, new_path), |call, path, new_path| {
        path_link(call, ROOT, flags, path.0, path.1, ROOT, new_path.0, new_path.1)
    })
}

fn read_link(guest: &mut Guest, path: &str, len: u32) -> Result<(u32, String)> {
    guest.memory[FREE as usize..].fill(b'.');
    let used = guest.with_path(path, |call, path, path_len, out| {
        path_readlink(call, ROOT, path, path_len, GuestPtr::new(FREE), len, out)
    })?;
    Ok((used, String::from_utf8(guest.memory[FREE as usize..][..8].to_vec()).unwrap()))
}

fn open_following(guest: &mut Guest, path: &str, flags: OFlags) -> Result<u32> {
    guest.open_with(ROOT, path, LookupFlags::SYMLINK_FOLLOW, flags, READ, FdFlags::empty())
}

/// `d/`, `d/e/`, `d/f` (4 bytes), links to each, a dangling one, one to itself.
fn tree() -> Guest {
    let mut guest = guest();
    guest.create_directory("d").unwrap();
    guest.create_directory("d/e").unwrap();
    let fd = guest.file("d/f", b"text");
    guest.call(|call| crate::preview1::fd::fd_close(call, fd)).unwrap();
    for (target, path) in [("f", "d/to-f"), ("d", "to-d"), ("nothing", "dangling"), ("loop", "loop")] {
        guest.symlink(target, path).unwrap();
    }
    guest
}

#[test]
fn no_path_leaves_the_directory() {
    let mut guest = tree();
    guest.symlink("../../..", "d/out").unwrap();
    for path in ["/", "/d", "..", "d/../..", "d/e/../../../d", "d/out/d"] {
        let error = guest.stat(path).unwrap_err();
        assert!(matches!(error, Error::NotPermitted | Error::NotCapable), "{path}: {error}");
        assert!(guest.open_at(ROOT, path, EMPTY, READ).is_err(), "{path}");
        assert!(guest.open_at(ROOT, path, OFlags::CREATE, BOTH).is_err(), "{path}");
    }
    for path in ["d/f", "./d//f", "d/e/.././f", "d/../d/f"] {
        assert_eq!(guest.stat(path).map(|stat| stat.size), Ok(4), "{path}");
    }
    assert!(matches!(guest.stat("d/f\0"), Err(Error::Invalid | Error::IllegalSequence)));
    assert!(matches!(guest.stat("d/f/"), Err(Error::NotDirectory | Error::NoEntry)));
    assert_eq!(guest.stat("d///").map(|stat| stat.file_type), Ok(3));
}

#[test]
fn text_is_checked() {
    let mut guest = tree();
    guest.put(FREE, b"d\xff");
    let create = |guest: &mut Guest, path, len| {
        guest.call(|call| path_create_directory(call, ROOT, GuestPtr::new(path), len))
    };
    assert_eq!(create(&mut guest, FREE, 2), Err(Error::IllegalSequence));
    assert_eq!(create(&mut guest, FREE, MEMORY), Err(Error::Fault));
    assert_eq!(create(&mut guest, MEMORY - 1, 2), Err(Error::Fault));
    assert_eq!(create(&mut guest, u32::MAX, u32::MAX), Err(Error::Fault));
    assert_eq!(create(&mut guest, 0, MEMORY), Err(Error::NameTooLong), "it is not even read");
    assert_eq!(create(&mut guest, FREE, 0), Err(Error::NoEntry));
}

#[test]
fn an_open_that_follows_no_link_fails_on_one() {
    let mut guest = tree();
    for path in ["d/to-f", "to-d", "dangling", "loop"] {
        assert_eq!(guest.open_at(ROOT, path, EMPTY, READ), Err(Error::Loop), "{path}");
        let error = guest.open_at(ROOT, path, OFlags::DIRECTORY, READ).unwrap_err();
        assert!(matches!(error, Error::Loop | Error::NotDirectory), "{path}");
    }
    assert!(open_following(&mut guest, "d/to-f", EMPTY).is_ok());
    assert!(open_following(&mut guest, "to-d", OFlags::DIRECTORY).is_ok());
    assert_eq!(open_following(&mut guest, "d/to-f", OFlags::DIRECTORY), Err(Error::NotDirectory));
    assert_eq!(open_following(&mut guest, "dangling", EMPTY), Err(Error::NoEntry));
    assert_eq!(open_following(&mut guest, "loop", EMPTY), Err(Error::Loop));
}

#[test]
fn opening_says_what_for() {
    let mut guest = tree();
    assert_eq!(guest.open_at(ROOT, ".", OFlags::DIRECTORY, BOTH), Err(Error::IsDirectory));
    assert!(guest.open_at(ROOT, ".", OFlags::DIRECTORY, READ).is_ok());
    assert!(guest.open_at(ROOT, ".", EMPTY, Rights::empty()).is_ok());
    assert_eq!(guest.open_at(ROOT, "d/f", OFlags::CREATE | OFlags::EXCLUSIVE, BOTH), Err(Error::Exists));
    assert_eq!(guest.open_at(ROOT, "nothing", EMPTY, READ), Err(Error::NoEntry));
    let file = guest.open_at(ROOT, "d/f", EMPTY, READ).unwrap();
    assert_eq!(guest.open_at(file, "f", EMPTY, READ), Err(Error::NotDirectory));
    assert_eq!(guest.open_at(0, "f", EMPTY, READ), Err(Error::BadDescriptor));
    assert_eq!(guest.open_at(99, "f", EMPTY, READ), Err(Error::BadDescriptor));
    let flags = FdFlags::APPEND | FdFlags::NONBLOCK;
    let directory = guest.open_with(ROOT, "d", LookupFlags::empty(), OFlags::DIRECTORY, READ, flags).unwrap();
    assert_eq!(guest.fdstat(directory).unwrap().flags, 0, "a directory has none");
    let all = Rights::all();
    assert_eq!(guest.open_at(ROOT, "d/f", EMPTY, all).map(drop), Ok(()));
}

#[test]
fn an_open_whose_result_has_no_place_does_nothing() {
    let mut guest = tree();
    let path = guest.put(FREE, b"new");
    let (lookup, none) = (LookupFlags::empty(), Rights::empty());
    let open = guest.call(|call| {
        let out = GuestPtr::new(MEMORY - 3);
        path_open(call, ROOT, lookup, path, 3, OFlags::CREATE, BOTH, none, FdFlags::empty(), out)
    });
    assert_eq!(open, Err(Error::Fault));
    assert_eq!(guest.stat("new"), Err(Error::NoEntry));
    guest.assert_closed(5);
}

#[test]
fn a_read_only_directory_stays_as_it_is() {
    let mut guest = tree();
    assert!(guest.open_at(READ_ONLY, "d/f", EMPTY, READ).is_ok());
    for (path, flags, rights) in
        [("d/f", EMPTY, WRITE), ("new", OFlags::CREATE, READ), ("d/f", OFlags::TRUNCATE, READ)]
    {
        assert_eq!(guest.open_at(READ_ONLY, path, flags, rights), Err(Error::NotPermitted), "{path}");
    }
    let directory = guest.open_at(READ_ONLY, "d", OFlags::DIRECTORY, READ).unwrap();
    assert_eq!(guest.open_at(directory, "f", EMPTY, WRITE), Err(Error::NotPermitted));
    let unlinked =
        guest.with_path::<u8>("f", |call, path, len, _| path_unlink_file(call, directory, path, len));
    assert_eq!(unlinked.map(drop), Err(Error::NotPermitted));
}

#[test]
fn symbolic_links_are_made_where_nothing_is() {
    let mut guest = tree();
    assert!(guest.symlink("/absolute", "link").is_err());
    assert_eq!(guest.symlink("x", "link/"), Err(Error::NoEntry));
    assert_eq!(guest.symlink("x", "d/"), Err(Error::Exists));
    assert!(matches!(guest.symlink("x", "d/f/"), Err(Error::NotDirectory | Error::Exists)));
    assert_eq!(guest.symlink("x", "dangling"), Err(Error::Exists));
}

#[test]
fn a_link_is_read_as_far_as_it_fits() {
    let mut guest = tree();
    assert_eq!(read_link(&mut guest, "dangling", 100), Ok((7, "nothing.".into())));
    assert_eq!(read_link(&mut guest, "dangling", 3), Ok((3, "not.....".into())));
    assert_eq!(read_link(&mut guest, "dangling", 0), Ok((0, "........".into())));
    assert_eq!(read_link(&mut guest, "d/f", 100), Err(Error::Invalid));
    assert_eq!(read_link(&mut guest, "nothing", 100), Err(Error::NoEntry));
}

#[test]
fn hard_links_are_the_same_file() {
    let mut guest = tree();
    let none = LookupFlags::empty();
    assert_eq!(link(&mut guest, none, "d/f", "hard"), Ok(()));
    let stat = guest.stat("hard").unwrap();
    assert_eq!(stat.links, 2);
    assert_eq!(guest.stat("d/f"), Ok(stat));
    for existing in ["hard", "d", "dangling"] {
        assert_eq!(link(&mut guest, none, "d/f", existing), Err(Error::Exists), "{existing}");
    }
    assert_eq!(link(&mut guest, none, "d/f", "new/"), Err(Error::NoEntry));
    assert_eq!(link(&mut guest, none, "d", "new"), Err(Error::NotPermitted));
    assert_eq!(link(&mut guest, none, "nothing", "new"), Err(Error::NoEntry));
    let followed = link(&mut guest, LookupFlags::SYMLINK_FOLLOW, "dangling", "new");
    assert!(matches!(followed, Err(Error::Invalid | Error::NoEntry)));
    assert_eq!(link(&mut guest, none, "dangling", "new"), Ok(()));
    assert_eq!(guest.stat("new").map(|stat| stat.file_type), Ok(7));
    assert_eq!(link(&mut guest, none, "loop", "loop2"), Ok(()));
}

#[test]
fn renaming_replaces_what_it_may() {
    let mut guest = tree();
    guest.create_directory("empty").unwrap();
    assert_eq!(rename(&mut guest, "d/e/", "empty/"), Ok(()));
    assert_eq!(guest.stat("d/e"), Err(Error::NoEntry));
    assert_eq!(rename(&mut guest, "empty", "d"), Err(Error::NotEmpty));
    assert_eq!(rename(&mut guest, "empty", "d/f"), Err(Error::NotDirectory));
    assert_eq!(rename(&mut guest, "d/f", "empty"), Err(Error::IsDirectory));
    assert_eq!(rename(&mut guest, "nothing", "x"), Err(Error::NoEntry));
    assert_eq!(rename(&mut guest, "d", "d/below"), Err(Error::Invalid));
    guest.file("g", b"other");
    assert_eq!(rename(&mut guest, "g", "d/f"), Ok(()));
    assert_eq!(guest.files.read_file("d/f"), Ok(b"other".to_vec()));
    assert_eq!(rename(&mut guest, "dangling", "moved"), Ok(()), "a link itself");
}

#[test]
fn removing_is_for_the_right_kind() {
    let mut guest = tree();
    assert_eq!(remove_directory(&mut guest, "d/e/"), Ok(()));
    assert_eq!(remove_directory(&mut guest, "d/f"), Err(Error::NotDirectory));
    assert_eq!(remove_directory(&mut guest, "d"), Err(Error::NotEmpty));
    assert_eq!(remove_directory(&mut guest, "to-d"), Err(Error::NotDirectory));
    assert!(matches!(unlink(&mut guest, "d"), Err(Error::IsDirectory | Error::NotPermitted)));
    assert_eq!(unlink(&mut guest, "d/f/"), Err(Error::NotDirectory));
    assert_eq!(unlink(&mut guest, "d/f"), Ok(()));
    assert_eq!(unlink(&mut guest, "d/f"), Err(Error::NoEntry));
    assert_eq!(unlink(&mut guest, "dangling"), Ok(()));
}

#[test]
fn the_times_of_a_link_are_its_own_unless_followed() {
    let mut guest = tree();
    let mut set = |lookup, modified, flags| {
        guest.with_path::<u8>("d/to-f", |call, path, len, _| {
            path_filestat_set_times(call, ROOT, lookup, path, len, 0, modified, flags)
        })?;
        let modified = |guest: &mut Guest, path| guest.stat(path).unwrap().modified;
        Ok::<_, Error>((modified(&mut guest, "d/to-f"), modified(&mut guest, "d/f")))
    };
    let target = set(LookupFlags::empty(), 11, FstFlags::MTIM).unwrap();
    assert_eq!(target.0, 11);
    assert_eq!(set(LookupFlags::SYMLINK_FOLLOW, 22, FstFlags::MTIM), Ok((11, 22)));
    assert_eq!(set(LookupFlags::empty(), 33, FstFlags::MTIM | FstFlags::MTIM_NOW), Err(Error::Invalid));
    assert_eq!(set(LookupFlags::empty(), 33, FstFlags::empty()), Ok((11, 22)));
}

#[test]
fn what_is_known_of_a_file() {
    let mut guest = tree();
    let (file, directory) = (guest.stat("d/f").unwrap(), guest.stat("d").unwrap());
    assert_eq!((file.device, file.links, file.size, file.file_type), (directory.device, 1, 4, 4));
    assert_ne!(file.inode, directory.inode);
    assert_eq!(guest.stat("dangling").map(|stat| (stat.file_type, stat.size)), Ok((7, 7)));
    let followed = guest.with_path::<FileStat>("d/to-f", |call, path, len, out| {
        path_filestat_get::<Snapshot>(call, ROOT, LookupFlags::SYMLINK_FOLLOW, path, len, out)
    });
    assert_eq!(followed, Ok(file));
}

#[test]
fn a_right_given_up_is_a_function_lost() {
    let mut guest = tree();
    let stat = guest.fdstat(ROOT).unwrap();
    let inheriting = Rights::from_bits_retain(stat.inheriting);
    let set = guest
        .call(|call| crate::preview1::fd::fd_fdstat_set_rights(call, ROOT, Rights::PATH_OPEN, inheriting));
    assert_eq!(set, Ok(()));
    let lost = Err(Error::NotCapable);
    assert!(guest.open_at(ROOT, "d/f", EMPTY, READ).is_ok());
    assert_eq!(guest.open_at(ROOT, "new", OFlags::CREATE, READ).map(drop), lost);
    assert_eq!(guest.stat("d").map(drop), lost);
    assert_eq!(guest.create_directory("x"), lost);
    assert_eq!(guest.symlink("x", "y"), lost);
    assert_eq!(unlink(&mut guest, "d/f"), lost);
    assert_eq!(remove_directory(&mut guest, "d/e"), lost);
    assert_eq!(rename(&mut guest, "d/f", "x"), lost);
    assert_eq!(link(&mut guest, LookupFlags::empty(), "d/f", "x"), lost);
    assert_eq!(read_link(&mut guest, "dangling", 9).map(drop), lost);
}
