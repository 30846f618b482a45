//! Descriptors: an open directory with its permissions ([`Directory`]), and an open file with its position ([`OpenFile`]).
//! Every face (preview 1, 0.2, 0.3) is a thin layer over these; rights of preview 1 and the table of descriptors
//! are not here.

use super::{
    Access, Entry, File, Kind, Names, Node, SetTime, Stat,
    resolve::{Last, Resolved, resolve},
};
use crate::{Error, Result, heap};
use alloc::{string::String, sync::Arc};
use bitflags::bitflags;
use core::ops::ControlFlow;

mod file;
mod stream;
pub use file::{Integrity, OpenFile, SeekFrom};
pub use stream::FileStream;

/// What may be done through a descriptor, and through all that is opened from it.
///
/// As in wasmtime, a change through a read-only descriptor is [`Error::NotPermitted`] (`EPERM`, not `EROFS`), and it is refused
/// before the path is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permissions {
    /// Reading and listing.
    ReadOnly,
    /// Everything.
    ReadWrite,
}

impl Permissions {
    fn require_write(self) -> Result<()> {
        match self {
            Self::ReadOnly => Err(Error::NotPermitted),
            Self::ReadWrite => Ok(()),
        }
    }
}

bitflags! {
    /// How [`Directory::open_at`] opens (preview 1 `oflags`, 0.2 `open-flags`; the bits are theirs).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct OpenFlags: u16 {
        /// Create the file if there is none (`O_CREAT`).
        const CREATE = 1;
        /// Fail if it is not a directory (`O_DIRECTORY`).
        const DIRECTORY = 1 << 1;
        /// With `CREATE`: fail if there is anything of that name (`O_EXCL`).
        const EXCLUSIVE = 1 << 2;
        /// Cut the file to no bytes (`O_TRUNC`).
        const TRUNCATE = 1 << 3;
    }
}

/// An open file or directory.
pub enum Descriptor {
    /// A regular file, or a device of the host.
    File(OpenFile),
    /// A directory.
    Directory(Directory),
}

/// An entry of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectoryEntry<'a> {
    /// The name; the listing begins with `.` and `..`.
    pub name: &'a str,
    /// The node's number, as [`Stat::inode`] has it. That of `..` is the directory's own: what is above is not the guest's
    /// to know (wasmtime does the same).
    pub inode: u64,
    /// What it is.
    pub kind: Kind,
    /// The cookie to go on with after this entry.
    pub next: u64,
}

/// The cookies of `.`, of `..`, and of what the file system calls its start.
const COOKIE_DOT: u64 = 0;
const COOKIE_DOT_DOT: u64 = 1;
const COOKIE_ENTRIES: u64 = 2;

/// An open directory: where a guest's paths begin, and what they cannot leave.
#[derive(Clone)]
pub struct Directory {
    node: Arc<dyn Node>,
    permissions: Permissions,
}

impl Directory {
    /// Opens a node that is a directory.
    ///
    /// # Errors
    /// [`Error::NotDirectory`] for any other.
    pub fn new(node: Arc<dyn Node>, permissions: Permissions) -> Result<Self> {
        match node.kind() {
            Kind::Directory => Ok(Self { node, permissions }),
            _ => Err(Error::NotDirectory),
        }
    }

    /// What may be done through it.
    pub fn permissions(&self) -> Permissions {
        self.permissions
    }

    /// What is known of the directory.
    pub fn stat(&self) -> Result<Stat> {
        self.node.stat()
    }

    /// Sets the directory's times.
    pub fn set_times(&self, accessed: SetTime, modified: SetTime) -> Result<()> {
        self.permissions.require_write()?;
        self.node.set_times(accessed, modified)
    }

    /// Makes changes of the directory durable where the file system can.
    pub fn sync(&self) -> Result<()> {
        self.node.sync()
    }

    /// Opens what `path` names. An access that asks for nothing still opens, for what needs none.
    ///
    /// # Errors
    /// Besides those of the path: [`Error::Loop`] for a symbolic link when `follow` is not set, dangling or not;
    /// [`Error::IsDirectory`] for a directory with write access, `CREATE` or `TRUNCATE`; [`Error::NotDirectory`] with
    /// `DIRECTORY`; [`Error::Exists`] with `CREATE` and `EXCLUSIVE`; [`Error::Invalid`] for `DIRECTORY` with `CREATE`,
    /// `EXCLUSIVE` or `TRUNCATE`.
    pub fn open_at(&self, path: &str, follow: bool, flags: OpenFlags, access: Access) -> Result<Descriptor> {
        let changes = OpenFlags::CREATE | OpenFlags::TRUNCATE;
        let create = flags.contains(OpenFlags::CREATE);
        let exclusive = flags.contains(OpenFlags::CREATE | OpenFlags::EXCLUSIVE);
        let truncate = flags.contains(OpenFlags::TRUNCATE);
        if flags.contains(OpenFlags::DIRECTORY) && flags.intersects(changes | OpenFlags::EXCLUSIVE) {
            return Err(Error::Invalid);
        }
        let writes = access.write || flags.intersects(changes);
        if writes {
            self.permissions.require_write()?;
        }
        let file_access = Access { write: access.write || truncate, ..access };
        let opened = |file: Arc<dyn File>| {
            if truncate {
                file.set_size(0)?;
            }
            Ok(Descriptor::File(OpenFile::new(file, access, self.permissions)))
        };
        // The short way, where nothing needs to be looked at on the way.
        if !flags.intersects(OpenFlags::CREATE | OpenFlags::DIRECTORY | OpenFlags::EXCLUSIVE)
            && let Some(names) = Names::new(path)
            && heap::check().is_ok()
            && let Some(file) = self.node.open_below(names, file_access)
        {
            return opened(file);
        }
        // What is made must not be a link, so an existing one is not followed.
        let last = if follow && !exclusive { Last::Follow } else { Last::Find };
        let found = resolve(&self.node, path, last)?;

        if create && let (Some(_), None) = (&found.name, &found.node) {
            match self.create(&found, access) {
                // Somebody else was faster: open theirs.
                Err(Error::Exists) if !exclusive => {}
                created => return created.map(Descriptor::File),
            }
        } else if exclusive {
            return Err(Error::Exists);
        }
        let node = match &found.node {
            None if create && found.name.is_some() => resolve(&self.node, path, last)?.into_node()?,
            _ => found.into_node()?,
        };
        match node.kind() {
            Kind::SymbolicLink => Err(Error::Loop),
            Kind::Directory if writes => Err(Error::IsDirectory),
            Kind::Directory => Ok(Descriptor::Directory(Self { node, permissions: self.permissions })),
            _ if flags.contains(OpenFlags::DIRECTORY) => Err(Error::NotDirectory),
            _ => opened(node.open(file_access)?),
        }
    }

    fn create(&self, place: &Resolved<'_>, access: Access) -> Result<OpenFile> {
        if place.slash {
            return Err(Error::IsDirectory);
        }
        let file = place.directory.create_file(place.name_or(Error::IsDirectory)?, access)?;
        Ok(OpenFile::new(file, access, self.permissions))
    }

    /// What is known of what `path` names.
    pub fn stat_at(&self, path: &str, follow: bool) -> Result<Stat> {
        self.find(path, follow)?.stat()
    }

    /// Sets the times of what `path` names; a symbolic link's own when `follow` is not set.
    pub fn set_times_at(&self, path: &str, follow: bool, accessed: SetTime, modified: SetTime) -> Result<()> {
        self.permissions.require_write()?;
        self.find(path, follow)?.set_times(accessed, modified)
    }

    /// Makes a directory. [`Error::Exists`] when there is anything of that name.
    pub fn create_directory_at(&self, path: &str) -> Result<()> {
        self.permissions.require_write()?;
        let place = resolve(&self.node, path, Last::Leave)?;
        place.directory.create_directory(place.name_or(Error::Exists)?)
    }

    /// Makes a symbolic link at `path` with the text `target`, which need not lead anywhere but must be relative.
    ///
    /// # Errors
    /// [`Error::NotPermitted`] for an absolute target, [`Error::NoEntry`] for an empty one, [`Error::Invalid`] for one with a
    /// NUL, [`Error::NameTooLong`] for one over [`PATH_MAX`](super::PATH_MAX), and those of
    /// [`link_at`](Self::link_at)'s new path.
    pub fn symlink_at(&self, target: &str, path: &str) -> Result<()> {
        self.permissions.require_write()?;
        match target.as_bytes() {
            [] => return Err(Error::NoEntry),
            [b'/', ..] => return Err(Error::NotPermitted),
            text if text.len() > super::PATH_MAX => return Err(Error::NameTooLong),
            text if text.contains(&0) => return Err(Error::Invalid),
            _ => {}
        }
        let place = self.vacant(path)?;
        place.directory.create_symbolic_link(place.name_or(Error::Exists)?, target)
    }

    /// The text of the symbolic link that `path` names.
    ///
    /// # Errors
    /// [`Error::Invalid`] for anything but a link; [`Error::NotPermitted`] for an absolute text, which
    /// would tell about the host (wasmtime does the same).
    pub fn readlink_at(&self, path: &str) -> Result<String> {
        let target = self.find(path, false)?.read_link()?;
        if target.starts_with('/') { Err(Error::NotPermitted) } else { Ok(target) }
    }

    /// Makes `new_path` in `new_directory` another name of what `path` names; of a symbolic link itself when `follow` is
    /// not set.
    ///
    /// # Errors
    /// [`Error::NotPermitted`] for a directory, [`Error::Exists`] when there is anything at `new_path`,
    /// [`Error::NoEntry`] when there is nothing and it ends in a slash, [`Error::CrossDevice`].
    pub fn link_at(&self, path: &str, follow: bool, new_directory: &Self, new_path: &str) -> Result<()> {
        self.permissions.require_write()?;
        new_directory.permissions.require_write()?;
        let node = self.find(path, follow)?;
        let place = new_directory.vacant(new_path)?;
        if node.kind() == Kind::Directory {
            return Err(Error::NotPermitted);
        }
        place.directory.link(place.name_or(Error::Exists)?, &*node)
    }

    /// Moves what `path` names (a symbolic link itself) to `new_path` in `new_directory`, replacing what POSIX
    /// `rename` replaces. A trailing slash on either asks for a directory to be moved.
    ///
    /// # Errors
    /// [`Error::Busy`] for a path that ends in `.` or `..`, [`Error::NotEmpty`], [`Error::NotDirectory`] for a
    /// directory onto anything else, [`Error::IsDirectory`] for anything else onto a directory, [`Error::Invalid`] for a
    /// directory into itself, [`Error::CrossDevice`].
    pub fn rename_at(&self, path: &str, new_directory: &Self, new_path: &str) -> Result<()> {
        self.permissions.require_write()?;
        new_directory.permissions.require_write()?;
        let old = resolve(&self.node, path, Last::Leave)?;
        let new = resolve(&new_directory.node, new_path, Last::Leave)?;
        let (name, new_name) = (old.name_or(Error::Busy)?, new.name_or(Error::Busy)?);
        if (old.slash || new.slash) && old.directory.lookup(name)?.kind() != Kind::Directory {
            return Err(Error::NotDirectory);
        }
        old.directory.rename(name, &*new.directory, new_name)
    }

    /// Removes the name `path` of anything but a directory ([`Error::IsDirectory`]).
    pub fn unlink_file_at(&self, path: &str) -> Result<()> {
        self.permissions.require_write()?;
        let place = self.removable(path)?;
        place.directory.unlink(place.name_or(Error::IsDirectory)?)
    }

    /// Removes an empty directory. [`Error::Invalid`] for a path that ends in `.` or `..`.
    pub fn remove_directory_at(&self, path: &str) -> Result<()> {
        self.permissions.require_write()?;
        let place = self.removable(path)?;
        place.directory.remove_directory(place.name_or(Error::Invalid)?)
    }

    /// The cookie behind `.` and `..`: for a listing without them.
    pub const ENTRIES: u64 = COOKIE_ENTRIES;

    /// Gives the entries from `cookie` on to `entry` until it breaks: 0 is the start, then each
    /// [`DirectoryEntry::next`]. `.` and `..` come first.
    pub fn read_directory(
        &self,
        cookie: u64,
        entry: &mut dyn FnMut(DirectoryEntry<'_>) -> ControlFlow<()>,
    ) -> Result<()> {
        let inode = if cookie < COOKIE_ENTRIES { self.node.stat()?.inode } else { 0 };
        for (at, name) in [(COOKIE_DOT, "."), (COOKIE_DOT_DOT, "..")] {
            if cookie > at {
                continue;
            }
            if entry(DirectoryEntry { name, inode, kind: Kind::Directory, next: at + 1 }).is_break() {
                return Ok(());
            }
        }
        let mut result = Ok(());
        let start = cookie.saturating_sub(COOKIE_ENTRIES);
        self.node.read_directory(start, &mut |Entry { name, inode, kind, next }| {
            let Some(next) = next.checked_add(COOKIE_ENTRIES) else {
                result = Err(Error::Overflow);
                return ControlFlow::Break(());
            };
            entry(DirectoryEntry { name: name.as_str(), inode, kind, next })
        })?;
        result
    }

    fn find(&self, path: &str, follow: bool) -> Result<Arc<dyn Node>> {
        resolve(&self.node, path, if follow { Last::Follow } else { Last::Find })?.into_node()
    }

    /// The place for something new that is not a directory. Whatever is there already, a trailing slash finds it.
    fn vacant<'p>(&self, path: &'p str) -> Result<Resolved<'p>> {
        let place = resolve(&self.node, path, Last::Leave)?;
        if place.slash
            && let Some(name) = &place.name
        {
            place.directory.lookup(super::Name(name))?;
            return Err(Error::Exists);
        }
        Ok(place)
    }

    /// The place of something to remove. A trailing slash asks for a directory itself: a link to one is not removed, but
    /// one that leads outside is refused as such.
    fn removable<'p>(&self, path: &'p str) -> Result<Resolved<'p>> {
        let place = resolve(&self.node, path, Last::Leave)?;
        if place.slash
            && let Some(name) = &place.name
            && place.directory.lookup(super::Name(name))?.kind() != Kind::Directory
        {
            self.find(path, true)?;
            return Err(Error::NotDirectory);
        }
        Ok(place)
    }
}
