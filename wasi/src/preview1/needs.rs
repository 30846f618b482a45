//! The right that each function needs, and that it needs no other.

use super::{
    Snapshot, fd, path,
    testing::*,
    types::{Advice, FdFlags, FstFlags, LookupFlags, OFlags, Rights, Whence},
};
use crate::{Error, Result, call::Argument, guest::GuestPtr};

type Function = fn(&mut Guest, u32) -> Result<()>;

const FILE: [(Rights, Function); 15] = [
    (Rights::FD_DATASYNC, |guest, fd| guest.call(|call| fd::fd_datasync(call, fd))),
    (Rights::FD_SYNC, |guest, fd| guest.call(|call| fd::fd_sync(call, fd))),
    (Rights::FD_READ, |guest, fd| guest.read(fd, 1).map(drop)),
    (Rights::FD_READ, |guest, fd| {
        let vector = guest.vector(FREE, 1);
        guest.result::<u32>(|call, out| fd::fd_pread(call, fd, vector, 1, 0, out)).map(drop)
    }),
    (Rights::FD_WRITE, |guest, fd| guest.write(fd, b"x").map(drop)),
    (Rights::FD_WRITE, |guest, fd| {
        let vector = guest.vector(FREE, 1);
        guest.result::<u32>(|call, out| fd::fd_pwrite(call, fd, vector, 1, 0, out)).map(drop)
    }),
    (Rights::FD_SEEK, |guest, fd| {
        guest.result::<u64>(|call, out| fd::fd_seek::<Snapshot>(call, fd, 1, Whence::Current, out)).map(drop)
    }),
    (Rights::FD_SEEK, |guest, fd| {
        guest.result::<u64>(|call, out| fd::fd_seek::<Snapshot>(call, fd, 0, Whence::Set, out)).map(drop)
    }),
    (Rights::FD_ADVISE, |guest, fd| {
        guest.call(|call| fd::fd_advise(call, fd, 0, 1, Advice::decode(0).unwrap()))
    }),
    (Rights::FD_ALLOCATE, |guest, fd| guest.call(|call| fd::fd_allocate(call, fd, 0, 1))),
    (Rights::FD_FDSTAT_SET_FLAGS, |guest, fd| {
        guest.call(|call| fd::fd_fdstat_set_flags(call, fd, FdFlags::APPEND))
    }),
    (Rights::FD_FILESTAT_GET, |guest, fd| guest.filestat(fd).map(drop)),
    (Rights::FD_FILESTAT_SET_SIZE, |guest, fd| guest.call(|call| fd::fd_filestat_set_size(call, fd, 1))),
    (Rights::FD_FILESTAT_SET_TIMES, |guest, fd| {
        guest.call(|call| fd::fd_filestat_set_times(call, fd, 1, 1, FstFlags::MTIM))
    }),
    (Rights::FD_FILESTAT_SET_TIMES, |guest, fd| {
        guest.call(|call| fd::fd_filestat_set_times(call, fd, 0, 0, FstFlags::empty()))
    }),
];

const NO_LOOKUP: LookupFlags = LookupFlags::empty();
/// A directory that has all rights.
const OTHER: u32 = 5;

fn path(
    guest: &mut Guest,
    path: &str,
    function: impl FnOnce(&mut super::Preview1<'_>, GuestPtr<u8>, u32) -> super::Polled,
) -> Result<()> {
    guest.with_path::<u64>(path, |call, path, len, _| function(call, path, len)).map(drop)
}

const DIRECTORY: [(Rights, Function); 17] = [
    (Rights::PATH_CREATE_DIRECTORY, |guest, fd| {
        path(guest, "new", |call, path, len| path::path_create_directory(call, fd, path, len))
    }),
    (Rights::PATH_LINK_SOURCE, |guest, fd| {
        guest.with_paths(("f", "new"), |call, old, new| {
            path::path_link(call, fd, NO_LOOKUP, old.0, old.1, OTHER, new.0, new.1)
        })
    }),
    (Rights::PATH_LINK_TARGET, |guest, fd| {
        guest.with_paths(("f", "new"), |call, old, new| {
            path::path_link(call, OTHER, NO_LOOKUP, old.0, old.1, fd, new.0, new.1)
        })
    }),
    (Rights::PATH_OPEN, |guest, fd| guest.open_at(fd, "f", OFlags::empty(), READ).map(drop)),
    (Rights::PATH_OPEN, |guest, fd| guest.open_at(fd, "d", OFlags::DIRECTORY, Rights::empty()).map(drop)),
    (Rights::FD_READDIR, |guest, fd| {
        guest.result::<u32>(|call, out| fd::fd_readdir(call, fd, GuestPtr::new(FREE), 9, 0, out)).map(drop)
    }),
    (Rights::PATH_READLINK, |guest, fd| {
        path(guest, "link", |call, path, len| {
            path::path_readlink(call, fd, path, len, GuestPtr::new(FREE), 9, GuestPtr::new(FREE + 16))
        })
    }),
    (Rights::PATH_RENAME_SOURCE, |guest, fd| {
        guest.with_paths(("f", "new"), |call, old, new| {
            path::path_rename(call, fd, old.0, old.1, OTHER, new.0, new.1)
        })
    }),
    (Rights::PATH_RENAME_TARGET, |guest, fd| {
        guest.with_paths(("f", "new"), |call, old, new| {
            path::path_rename(call, OTHER, old.0, old.1, fd, new.0, new.1)
        })
    }),
    (Rights::PATH_FILESTAT_GET, |guest, fd| {
        guest
            .with_path("f", |call, path, len, _: GuestPtr<u8>| {
                let out = GuestPtr::new(FREE);
                path::path_filestat_get::<Snapshot>(call, fd, NO_LOOKUP, path, len, out)
            })
            .map(drop)
    }),
    (Rights::PATH_FILESTAT_SET_TIMES, |guest, fd| {
        path(guest, "f", |call, path, len| {
            path::path_filestat_set_times(call, fd, NO_LOOKUP, path, len, 1, 1, FstFlags::ATIM)
        })
    }),
    (Rights::FD_FILESTAT_GET, |guest, fd| guest.filestat(fd).map(drop)),
    (Rights::FD_FILESTAT_SET_TIMES, |guest, fd| {
        guest.call(|call| fd::fd_filestat_set_times(call, fd, 1, 1, FstFlags::ATIM))
    }),
    (Rights::PATH_SYMLINK, |guest, fd| {
        guest.with_paths(("f", "new"), |call, target, new| {
            path::path_symlink(call, target.0, target.1, fd, new.0, new.1)
        })
    }),
    (Rights::PATH_REMOVE_DIRECTORY, |guest, fd| {
        path(guest, "d", |call, path, len| path::path_remove_directory(call, fd, path, len))
    }),
    (Rights::PATH_UNLINK_FILE, |guest, fd| {
        path(guest, "f", |call, path, len| path::path_unlink_file(call, fd, path, len))
    }),
    (Rights::PATH_CREATE_FILE.union(Rights::PATH_OPEN), |guest, fd| {
        guest.open_at(fd, "new", OFlags::CREATE, BOTH).map(drop)
    }),
];

/// Calls `function` on a descriptor that keeps of `all` what it is given.
fn with_rights(file: bool, all: Rights, kept: Rights, function: Function) -> Result<()> {
    let mut guest = guest();
    let written = guest.file("f", b"content");
    guest.symlink("f", "link").unwrap();
    guest.create_directory("d").unwrap();
    guest.call(|call| fd::fd_close(call, written)).unwrap();
    let other = guest.open_at(ROOT, ".", OFlags::DIRECTORY, Rights::empty());
    assert_eq!(other, Ok(OTHER));
    let fd = if file { guest.open_at(ROOT, "f", OFlags::empty(), BOTH).unwrap() } else { ROOT };
    let inheriting = if file { Rights::empty() } else { BOTH };
    assert_eq!(guest.call(|call| fd::fd_fdstat_set_rights(call, fd, all & kept, inheriting)), Ok(()));
    function(&mut guest, fd)
}

#[test]
fn each_function_needs_its_right_and_no_other() {
    let files = FILE.iter().map(|function| (true, Rights::FILE, function));
    let directories = DIRECTORY.iter().map(|function| (false, Rights::DIRECTORY, function));
    for (index, (file, all, &(right, function))) in files.chain(directories).enumerate() {
        assert_eq!(with_rights(file, all, right, function), Ok(()), "{index}: with only {right:?}");
        for one in right.iter() {
            let without = with_rights(file, all, all - one, function);
            assert_eq!(without, Err(Error::NotCapable), "{index}: without {one:?}");
        }
    }
}

#[test]
fn who_may_move_the_position_may_learn_it() {
    let tell: [Function; 2] = [
        |guest, fd| guest.result::<u64>(|call, out| fd::fd_tell(call, fd, out)).map(drop),
        |guest, fd| {
            let here = Whence::Current;
            guest.result::<u64>(|call, out| fd::fd_seek::<Snapshot>(call, fd, 0, here, out)).map(drop)
        },
    ];
    for function in tell {
        for right in [Rights::FD_TELL, Rights::FD_SEEK] {
            assert_eq!(with_rights(true, Rights::FILE, right, function), Ok(()), "{right:?}");
        }
        let neither = Rights::FILE - Rights::FD_TELL - Rights::FD_SEEK;
        assert_eq!(with_rights(true, Rights::FILE, neither, function), Err(Error::NotCapable));
    }
}

#[test]
fn what_is_opened_never_has_more_than_its_directory_passes_on() {
    for right in [READ, WRITE, Rights::FD_SEEK, Rights::FD_SYNC, Rights::FD_READDIR] {
        let mut guest = guest();
        guest.file("f", b"");
        guest.create_directory("d").unwrap();
        let all = Rights::DIRECTORY | Rights::FILE;
        let given_up =
            guest.call(|call| fd::fd_fdstat_set_rights(call, ROOT, Rights::DIRECTORY, all - right));
        assert_eq!(given_up, Ok(()));
        let asked = guest.open_at(ROOT, "f", OFlags::empty(), BOTH);
        if BOTH.contains(right) {
            assert_eq!(asked, Err(Error::NotCapable), "{right:?}");
        }
        for (path, rights) in [("f", BOTH - right), ("d", Rights::empty())] {
            let fd = guest.open_at(ROOT, path, OFlags::empty(), rights).unwrap();
            let stat = guest.fdstat(fd).unwrap();
            assert_eq!((stat.rights | stat.inheriting) & right.bits(), 0, "{path} {right:?}");
        }
    }
}
