//! Files: what a file system offers ([`Node`], [`File`]), and the descriptors that every face uses ([`Directory`],
//! [`OpenFile`]).
//!
//! A file system knows names inside one directory only; path resolution, the sandbox, symbolic links, trailing slashes
//! and permissions are written once, above these traits. File calls are synchronous: memory never waits,
//! and a device answers in tens of microseconds.

mod descriptor;
mod errno;
#[cfg(all(feature = "std", target_os = "linux"))]
pub mod host;
mod identity;
pub mod memory;
mod resolve;

pub use descriptor::{
    Descriptor, Directory, DirectoryEntry, FileStream, Integrity, OpenFile, OpenFlags, Permissions, SeekFrom,
};
pub use resolve::{PATH_MAX, SYMBOLIC_LINKS_MAX};

pub mod p9;

use crate::{Error, Result, types::Nanoseconds};
use alloc::{string::String, sync::Arc};
use core::{any::Any, fmt, ops::ControlFlow};

/// The longest name of a directory entry, in bytes (POSIX `NAME_MAX`).
pub const NAME_MAX: usize = 255;

/// A name inside one directory: valid UTF-8 of 1 to [`NAME_MAX`] bytes, without `/` and NUL, neither `.` nor `..`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name<'a>(&'a str);

impl<'a> Name<'a> {
    /// # Errors
    /// [`Error::NameTooLong`] for a long one, [`Error::Invalid`] for what no entry can be called.
    pub fn new(name: &'a str) -> Result<Self> {
        match name {
            "" | "." | ".." => Err(Error::Invalid),
            _ if name.len() > NAME_MAX => Err(Error::NameTooLong),
            _ if name.bytes().any(|byte| byte == b'/' || byte == 0) => Err(Error::Invalid),
            _ => Ok(Self(name)),
        }
    }

    /// The name's text.
    pub fn as_str(self) -> &'a str {
        self.0
    }
}

impl fmt::Debug for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names one after the other, each in the directory of the one before: a path without `.`, `..`, empty components, and slashes
/// at its ends, of at most [`PATH_MAX`] bytes.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a>(&'a str);

impl<'a> Names<'a> {
    /// `path` as names, if it is nothing more.
    pub fn new(path: &'a str) -> Option<Self> {
        let plain = path.len() <= PATH_MAX && components(path).all(|name| Name::new(name).is_ok());
        plain.then_some(Self(path))
    }

    /// Each name.
    pub fn iter(self) -> impl Iterator<Item = Name<'a>> {
        // Checked by `new`.
        components(self.0).map(Name)
    }

    /// The names with a slash between.
    pub fn as_str(self) -> &'a str {
        self.0
    }
}

/// What stands between the slashes of a path. As `split`, but without its searcher, which takes longer than short names do.
fn components(path: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(path);
    core::iter::from_fn(move || {
        let (component, behind) = cut(rest?);
        rest = behind;
        Some(component)
    })
}

/// What stands before the first slash, and what behind it, if there is one.
fn cut(path: &str) -> (&str, Option<&str>) {
    match path.bytes().position(|byte| byte == b'/') {
        Some(slash) => (path.get(..slash).unwrap_or_default(), path.get(slash.saturating_add(1)..)),
        None => (path, None),
    }
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    SymbolicLink,
    /// A block device of the host.
    BlockDevice,
    /// A character device of the host.
    CharacterDevice,
    /// A FIFO of the host.
    Fifo,
    /// A socket of the host.
    Socket,
}

/// What a file system knows of a node (POSIX `stat`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The file system that the node is in.
    pub device: u64,
    /// The node's number, unique in its file system; hard links share it.
    pub inode: u64,
    /// What it is.
    pub kind: Kind,
    /// Number of hard links.
    pub links: u64,
    /// Bytes in a file; bytes in a symbolic link's target.
    pub size: u64,
    /// Last access, wall clock.
    pub accessed: Nanoseconds,
    /// Last change of the content, wall clock.
    pub modified: Nanoseconds,
    /// Last change of the node, wall clock.
    pub changed: Nanoseconds,
}

/// What to do with one of a node's times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SetTime {
    /// Leave it.
    #[default]
    Keep,
    /// The wall clock's now.
    Now,
    /// This, wall clock.
    To(Nanoseconds),
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Its bytes will be read.
    pub read: bool,
    /// Its bytes will be written, or its size changed.
    pub write: bool,
}

/// An entry of a directory, as a file system lists it: without `.` and `..`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The name.
    pub name: Name<'a>,
    /// The node's number, as [`Stat::inode`] has it.
    pub inode: u64,
    /// What it is.
    pub kind: Kind,
    /// Where to go on after this entry (see [`Node::read_directory`]).
    pub next: u64,
}

/// A node of a file system: a file, a directory, a symbolic link. A node stays usable after it has been unlinked, for as
/// long as somebody holds it.
///
/// What does not apply to the node's kind fails: a directory's operations on anything else with
/// [`Error::NotDirectory`], `open` on a directory with [`Error::IsDirectory`], `read_link` on anything but a link with
/// [`Error::Invalid`].
pub trait Node: Send + Sync {
    /// For a file system to recognise its own nodes in `link` and `rename` (others: [`Error::CrossDevice`]).
    fn as_any(&self) -> &dyn Any;

    /// What it is. Known since the node was found, and never changes: path resolution asks for it at each step.
    fn kind(&self) -> Kind;

    /// What is known of it; a symbolic link's own, never its target's.
    fn stat(&self) -> Result<Stat>;

    /// Sets times; a symbolic link's own.
    fn set_times(&self, accessed: SetTime, modified: SetTime) -> Result<()>;

    /// Opens a regular file (or a device of the host). Never follows a symbolic link ([`Error::Loop`]).
    /// An access that asks for nothing still opens: for its `stat` and times.
    fn open(&self, access: Access) -> Result<Arc<dyn File>>;

    /// The entry `name` of this directory, itself: links are not followed.
    fn lookup(&self, name: Name<'_>) -> Result<Arc<dyn Node>>;

    /// The directory that `names` lead to through directories alone. The short way, for file systems that have one; `None` is
    /// not an error, but asks for the long way ([`lookup`](Self::lookup) after `lookup`), which tells what is wrong.
    fn descend(&self, names: Names<'_>) -> Option<Arc<dyn Node>> {
        let _ = names;
        None
    }

    /// Opens the regular file (or device) that `names` lead to through directories alone. The short way, as [`descend`](Self::descend);
    /// whatever is wrong, and anything else than a file, is `None`.
    fn open_below(&self, names: Names<'_>, access: Access) -> Option<Arc<dyn File>> {
        let _ = (names, access);
        None
    }

    /// Makes an empty regular file and opens it. [`Error::Exists`] when there is anything of that name.
    fn create_file(&self, name: Name<'_>, access: Access) -> Result<Arc<dyn File>>;

    /// Makes an empty directory. [`Error::Exists`] when there is anything of that name.
    fn create_directory(&self, name: Name<'_>) -> Result<()>;

    /// Makes a symbolic link with this text, which is neither empty nor holds a NUL. [`Error::Exists`] when there is anything of that name.
    fn create_symbolic_link(&self, name: Name<'_>, target: &str) -> Result<()>;

    /// Makes `name` another name of `node`, which is not a directory ([`Error::NotPermitted`]).
    fn link(&self, name: Name<'_>, node: &dyn Node) -> Result<()>;

    /// Removes a name of anything but a directory ([`Error::IsDirectory`]).
    fn unlink(&self, name: Name<'_>) -> Result<()>;

    /// Removes an empty directory ([`Error::NotDirectory`], [`Error::NotEmpty`]).
    fn remove_directory(&self, name: Name<'_>) -> Result<()>;

    /// Moves `name` to `new_name` in `new_directory`, replacing what POSIX `rename` replaces. [`Error::Invalid`] for a
    /// directory that would move into itself.
    fn rename(&self, name: Name<'_>, new_directory: &dyn Node, new_name: Name<'_>) -> Result<()>;

    /// Gives the entries from `cookie` on to `entry` until it breaks: 0 is the start, then each [`Entry::next`], which
    /// is never 0. `.` and `..` are not given, and names that are not a [`Name`] (not UTF-8) are skipped: a guest could
    /// not spell them. Entries that come or go meanwhile do not make others appear twice or be missed.
    fn read_directory(&self, cookie: u64, entry: &mut dyn FnMut(Entry<'_>) -> ControlFlow<()>) -> Result<()>;

    /// The text of a symbolic link.
    fn read_link(&self) -> Result<String>;

    /// Makes a directory's changes durable where the file system can.
    fn sync(&self) -> Result<()>;
}

/// An open regular file. It has no position and no rights: descriptors have them. It stays usable after the file has been
/// unlinked.
pub trait File: Send + Sync {
    /// What is known of it.
    fn stat(&self) -> Result<Stat>;

    /// Sets times.
    fn set_times(&self, accessed: SetTime, modified: SetTime) -> Result<()>;

    /// Reads at `offset` into `buffer` and returns how many bytes; fewer than asked only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize>;

    /// Writes at `offset`, growing the file (sparsely) where needed, and returns how many bytes: fewer only when the space
    /// ends after the first byte.
    fn write_at(&self, buffer: &[u8], offset: u64) -> Result<usize>;

    /// Writes at the file's end, atomically with other appends; returns how many bytes, and the end after them.
    fn append(&self, buffer: &[u8]) -> Result<(usize, u64)>;

    /// Cuts the file or grows it with zeros.
    fn set_size(&self, size: u64) -> Result<()>;

    /// Makes sure that writing in this range will not lack space; the file is at least `offset + len` long after it.
    fn allocate(&self, offset: u64, len: u64) -> Result<()>;

    /// Makes content durable where the file system can, and what is known of the file unless `data_only`.
    fn sync(&self, data_only: bool) -> Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn plain_paths_are_names() {
        fn names(path: &str) -> Option<Vec<&str>> {
            Names::new(path).map(|names| names.iter().map(Name::as_str).collect())
        }
        assert_eq!(names("a"), Some(alloc::vec!["a"]));
        assert_eq!(names("a/..b/é"), Some(alloc::vec!["a", "..b", "é"]));
        let long = "x".repeat(NAME_MAX);
        assert!(names(&long).is_some());
        for path in [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            ".",
            "a/.",
            "a/../b",
            "a/b\0",
            &(long.clone() + "x"),
            &"a/".repeat(PATH_MAX / 2),
        ] {
            assert_eq!(names(path), None, "{path:?}");
        }
        assert!(names(&("b/".repeat(PATH_MAX / 2 - 1) + "b")).is_some());
        assert_eq!(names(&("b/".repeat(PATH_MAX / 2) + "b")), None);
    }
}
