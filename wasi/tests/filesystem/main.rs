//! One suite of file system tests, run on every file system there is, with the same expectations: what a guest sees must
//! not depend on where its files are.

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use wasi::{
    Error, Result,
    clocks::{Clock, TimerQueue},
    filesystem::{
        Access, Descriptor, Directory, Kind, OpenFile, OpenFlags, Permissions, Stat, memory::MemoryFileSystem,
    },
};

mod descents;
mod escapes;
mod files;
#[cfg(target_os = "linux")]
mod host;
mod memory;
mod model;
mod p9;
mod paths;

/// A clock that goes on by one microsecond each time it is looked at.
struct TestClock {
    now: AtomicU64,
    timers: Arc<TimerQueue>,
}

impl TestClock {
    fn new() -> Arc<Self> {
        // 2026-11-21: not so far from the host's that a test would notice.
        Arc::new(Self {
            now: AtomicU64::new(1_795_220_000_000_000_000),
            timers: Arc::new(TimerQueue::new(|_| {})),
        })
    }
}

impl Clock for TestClock {
    fn monotonic(&self) -> u64 {
        self.now.fetch_add(1000, Ordering::Relaxed)
    }
    fn monotonic_resolution(&self) -> u64 {
        1
    }
    fn wall(&self) -> Result<u64> {
        Ok(self.monotonic())
    }
    fn wall_resolution(&self) -> u64 {
        1
    }
    fn timers(&self) -> &Arc<TimerQueue> {
        &self.timers
    }
}

const READ: Access = Access { read: true, write: false };
const WRITE: Access = Access { read: false, write: true };
const BOTH: Access = Access { read: true, write: true };
const NOTHING: Access = Access { read: false, write: false };
const NONE: OpenFlags = OpenFlags::empty();

/// A fresh file system with an empty root directory.
struct World {
    root: Directory,
    /// The same directory, read-only.
    read_only: Directory,
    /// Its server finds by name what is not an open file, and changes even that by name: what has lost its name is lost.
    by_name: bool,
    /// What keeps it.
    _keep: Box<dyn std::any::Any>,
}

fn in_memory() -> World {
    let memory = MemoryFileSystem::new(TestClock::new(), 1 << 30, 7).unwrap();
    World {
        root: Directory::new(memory.root(), Permissions::ReadWrite).unwrap(),
        read_only: Directory::new(memory.root(), Permissions::ReadOnly).unwrap(),
        by_name: false,
        _keep: Box::new(()),
    }
}

/// A directory of the host, gone with the world.
#[cfg(target_os = "linux")]
fn on_the_host() -> World {
    let temporary = tempfile::tempdir().unwrap();
    let node = wasi::filesystem::host::open_directory(temporary.path()).unwrap();
    World {
        root: Directory::new(node.clone(), Permissions::ReadWrite).unwrap(),
        read_only: Directory::new(node, Permissions::ReadOnly).unwrap(),
        by_name: false,
        _keep: Box::new(temporary),
    }
}

/// Runs each test on each file system.
macro_rules! suite {
    ($($module:ident: $($test:ident)*;)*) => {
        mod on_memory {
            $(mod $module { $(#[test] fn $test() { crate::$module::$test(&crate::in_memory()) })* })*
        }
        /// 9P in front of the file system in memory.
        mod on_p9 {
            $(mod $module { $(#[test] fn $test() { crate::$module::$test(&crate::p9::over_memory()) })* })*
        }
        /// A directory of this machine, through QEMU's 9P server.
        mod on_qemu {
            $(mod $module { $(#[test] fn $test() { crate::$module::$test(&crate::p9::over_qemu()) })* })*
        }
        #[cfg(target_os = "linux")]
        mod on_host {
            $(mod $module { $(#[test] fn $test() { crate::$module::$test(&crate::on_the_host()) })* })*
        }
    };
}

suite! {
    paths:
        absolute_paths_and_too_many_dot_dots_are_refused
        inner_dots_and_slashes_resolve
        embedded_nul_is_invalid
        trailing_slashes_on_files_and_directories
        empty_paths_name_nothing
        long_names_and_paths_are_refused
        ten_thousand_levels_of_dot_dot_are_refused
        deep_directories_can_be_used
        paths_through_files_are_refused;
    escapes:
        links_out_of_the_directory_are_refused_everywhere
        a_link_may_go_up_inside
        absolute_targets_are_refused
        dot_dot_after_a_link_is_the_targets_parent
        a_moved_directory_leads_nobody_out
        a_subdirectory_is_a_sandbox_of_its_own
        forty_links_are_followed_and_no_more
        link_expansion_is_bounded;
    files:
        open_without_follow_is_loop
        open_with_follow
        creating_through_a_dangling_link
        exclusive_creation
        opening_directories
        access_is_what_was_asked_for
        truncation
        reading_writing_and_positions
        appending
        holes_read_as_zeros
        allocation_grows_but_never_cuts
        symlinks
        new_names_with_a_trailing_slash
        hard_links
        renaming
        renaming_directories_into_themselves
        renaming_keeps_open_files
        removing
        unlinked_files_stay_usable
        removed_directories_stay_usable
        listing
        listing_can_be_resumed_anywhere
        listing_while_entries_come_and_go
        times
        a_read_only_directory_refuses_every_change;
    model:
        random_operations_agree_with_a_model;
}

impl World {
    fn open(&self, path: &str, follow: bool, flags: OpenFlags, access: Access) -> Result<OpenFile> {
        file(self.root.open_at(path, follow, flags, access)?)
    }

    /// Makes (or overwrites) a file.
    fn write(&self, path: &str, bytes: &[u8]) {
        let flags = OpenFlags::CREATE | OpenFlags::TRUNCATE;
        let mut file = self.open(path, true, flags, WRITE).unwrap();
        assert_eq!(file.write(bytes), Ok(bytes.len()));
    }

    fn read(&self, path: &str) -> Result<Vec<u8>> {
        read_all(&mut self.open(path, true, NONE, READ)?)
    }

    fn mkdir(&self, path: &str) {
        self.root.create_directory_at(path).unwrap();
    }

    fn symlink(&self, target: &str, path: &str) {
        self.root.symlink_at(target, path).unwrap();
    }

    fn stat(&self, path: &str) -> Result<Stat> {
        self.root.stat_at(path, false)
    }

    fn directory(&self, path: &str) -> Directory {
        match self.root.open_at(path, false, OpenFlags::DIRECTORY, READ).unwrap() {
            Descriptor::Directory(directory) => directory,
            Descriptor::File(_) => panic!("{path} is a file"),
        }
    }
}

fn file(descriptor: Descriptor) -> Result<OpenFile> {
    match descriptor {
        Descriptor::File(file) => Ok(file),
        Descriptor::Directory(_) => Err(Error::IsDirectory),
    }
}

/// What is wrong with opening; `None` when nothing is.
fn refusal<T>(result: Result<T>) -> Option<Error> {
    result.err()
}

fn read_all(file: &mut OpenFile) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    let mut buffer = [0; 1000];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(all),
            count => all.extend_from_slice(&buffer[..count]),
        }
    }
}

/// All entries from `cookie` on: name, inode, kind, cookie of the next.
fn list(directory: &Directory, cookie: u64) -> Vec<(String, u64, Kind, u64)> {
    let mut entries = Vec::new();
    directory
        .read_directory(cookie, &mut |entry| {
            entries.push((entry.name.to_owned(), entry.inode, entry.kind, entry.next));
            ControlFlow::Continue(())
        })
        .unwrap();
    entries
}

/// The names in a directory, sorted, without `.` and `..`.
fn names(directory: &Directory) -> Vec<String> {
    let mut names: Vec<_> = list(directory, 0).into_iter().map(|(name, ..)| name).collect();
    names.sort();
    names.retain(|name| name != "." && name != "..");
    names
}
