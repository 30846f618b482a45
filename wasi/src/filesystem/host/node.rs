//! Nodes of the host: each an `O_PATH` descriptor, opened by one name in its directory.

use super::{error, file::HostFile, kind, retry, stat, timestamps};
use crate::{
    Error, Result,
    filesystem::{Access, Entry, File, Kind, Name, Names, Node, SetTime, Stat},
};
use alloc::{
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::{any::Any, ops::ControlFlow};
use rustix::{
    fs::{self, AtFlags, FileType, Mode, OFlags, RawDir, ResolveFlags, SeekFrom},
    io,
};
use std::os::fd::{AsRawFd, OwnedFd};

/// Bytes of a listing that are asked for at once: a hundred entries or so, and any name fits. C libraries ask for as much, and what
/// is read beyond that is read again for their next call.
const LISTING: usize = 4096;

/// A node that somebody holds.
pub(super) struct HostNode {
    fd: Arc<OwnedFd>,
    kind: Kind,
}

impl HostNode {
    pub(super) fn new(fd: Arc<OwnedFd>, kind: Kind) -> Self {
        Self { fd, kind }
    }

    /// Calls with this directory.
    fn directory<T>(&self, mut call: impl FnMut(&OwnedFd) -> io::Result<T>) -> Result<T> {
        match self.kind {
            Kind::Directory => retry(|| call(&self.fd)),
            _ => Err(Error::NotDirectory),
        }
    }

    /// Opens what `names` lead to through directories alone: the kernel fails at any link.
    fn open_names(&self, names: Names<'_>, flags: OFlags) -> Option<OwnedFd> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        self.directory(|fd| fs::openat2(fd, names.as_str(), flags, Mode::empty(), beneath)).ok()
    }

    /// Opens the directory itself, for what `O_PATH` does not allow.
    fn open_directory(&self) -> Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        self.directory(|fd| fs::openat(fd, c".", flags, Mode::empty()))
    }
}

/// Flags for opening a file. One that asks for nothing is opened for reading: Linux has no less.
fn flags(access: Access) -> OFlags {
    let mode = match access {
        Access { read: true, write: true } => OFlags::RDWR,
        Access { write: true, .. } => OFlags::WRONLY,
        _ => OFlags::RDONLY,
    };
    mode | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC
}

/// A directory that is not empty is `EEXIST` on some file systems (XFS).
fn not_empty(error: Error) -> Error {
    if error == Error::Exists { Error::NotEmpty } else { error }
}

impl Node for HostNode {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn stat(&self) -> Result<Stat> {
        Ok(stat(&retry(|| fs::fstat(&self.fd))?))
    }

    fn set_times(&self, accessed: SetTime, modified: SetTime) -> Result<()> {
        retry(|| fs::utimensat(&self.fd, c"", &timestamps(accessed, modified), AtFlags::EMPTY_PATH))
    }

    fn open(&self, access: Access) -> Result<Arc<dyn File>> {
        match self.kind {
            Kind::Directory => return Err(Error::IsDirectory),
            Kind::SymbolicLink => return Err(Error::Loop),
            _ => {}
        }
        // The node itself, whatever has its name by now.
        let own = rustix_linux_procfs::proc_self_fd().map_err(error)?;
        let number = self.fd.as_raw_fd().to_string();
        let fd = retry(|| fs::openat(own, number.as_str(), flags(access), Mode::empty()))?;
        Ok(Arc::new(HostFile::new(Arc::new(fd))))
    }

    fn lookup(&self, name: Name<'_>) -> Result<Arc<dyn Node>> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = self.directory(|fd| fs::openat(fd, name.as_str(), flags, Mode::empty()))?;
        let kind = kind(FileType::from_raw_mode(retry(|| fs::fstat(&fd))?.st_mode));
        Ok(Arc::new(Self::new(Arc::new(fd), kind)))
    }

    fn descend(&self, names: Names<'_>) -> Option<Arc<dyn Node>> {
        let fd = self.open_names(names, OFlags::PATH | OFlags::DIRECTORY)?;
        Some(Arc::new(Self::new(Arc::new(fd), Kind::Directory)))
    }

    fn open_below(&self, names: Names<'_>, access: Access) -> Option<Arc<dyn File>> {
        let fd = self.open_names(names, flags(access))?;
        match kind(FileType::from_raw_mode(retry(|| fs::fstat(&fd)).ok()?.st_mode)) {
            Kind::Directory => None,
            _ => Some(Arc::new(HostFile::new(Arc::new(fd)))),
        }
    }

    fn create_file(&self, name: Name<'_>, access: Access) -> Result<Arc<dyn File>> {
        let flags = flags(access) | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let fd = self.directory(|fd| fs::openat(fd, name.as_str(), flags, Mode::from_raw_mode(0o666)))?;
        Ok(Arc::new(HostFile::new(Arc::new(fd))))
    }

    fn create_directory(&self, name: Name<'_>) -> Result<()> {
        self.directory(|fd| fs::mkdirat(fd, name.as_str(), Mode::from_raw_mode(0o777)))
    }

    fn create_symbolic_link(&self, name: Name<'_>, target: &str) -> Result<()> {
        self.directory(|fd| fs::symlinkat(target, fd, name.as_str()))
    }

    fn link(&self, name: Name<'_>, node: &dyn Node) -> Result<()> {
        let node = node.as_any().downcast_ref::<Self>().ok_or(Error::CrossDevice)?;
        if node.kind == Kind::Directory {
            return Err(Error::NotPermitted);
        }
        // `AT_EMPTY_PATH` would say it directly, but asks for a privilege.
        let own = rustix_linux_procfs::proc_self_fd().map_err(error)?;
        let number = node.fd.as_raw_fd().to_string();
        self.directory(|fd| fs::linkat(own, number.as_str(), fd, name.as_str(), AtFlags::SYMLINK_FOLLOW))
    }

    fn unlink(&self, name: Name<'_>) -> Result<()> {
        self.directory(|fd| fs::unlinkat(fd, name.as_str(), AtFlags::empty()))
    }

    fn remove_directory(&self, name: Name<'_>) -> Result<()> {
        self.directory(|fd| fs::unlinkat(fd, name.as_str(), AtFlags::REMOVEDIR)).map_err(not_empty)
    }

    fn rename(&self, name: Name<'_>, new_directory: &dyn Node, new_name: Name<'_>) -> Result<()> {
        let new_directory = new_directory.as_any().downcast_ref::<Self>().ok_or(Error::CrossDevice)?;
        self.directory(|fd| fs::renameat(fd, name.as_str(), &new_directory.fd, new_name.as_str()))
            .map_err(not_empty)
    }

    fn read_directory(&self, cookie: u64, entry: &mut dyn FnMut(Entry<'_>) -> ControlFlow<()>) -> Result<()> {
        let fd = self.open_directory()?;
        if cookie > 0 {
            retry(|| fs::seek(&fd, SeekFrom::Start(cookie)))?;
        }
        let mut buffer = Vec::new();
        buffer.try_reserve_exact(LISTING).map_err(|_| Error::NoMemory)?;
        let mut entries = RawDir::new(&fd, buffer.spare_capacity_mut());
        while let Some(found) = entries.next() {
            let found = match found {
                // A directory that has been removed has no entries.
                Err(io::Errno::NOENT) => return Ok(()),
                found => found.map_err(error)?,
            };
            // `.`, `..` and what is not UTF-8 are no names.
            let Some(name) = found.file_name().to_str().ok().and_then(|name| Name::new(name).ok()) else {
                continue;
            };
            let kind = match found.file_type() {
                FileType::Unknown => match self.lookup(name) {
                    Ok(node) => node.kind(),
                    Err(Error::NoEntry) => continue,
                    Err(error) => return Err(error),
                },
                known => kind(known),
            };
            let found = Entry { name, inode: found.ino(), kind, next: found.next_entry_cookie() };
            if entry(found).is_break() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn read_link(&self) -> Result<String> {
        if self.kind != Kind::SymbolicLink {
            return Err(Error::Invalid);
        }
        let target = retry(|| fs::readlinkat(&self.fd, c"", Vec::new()))?;
        target.into_string().map_err(|_| Error::IllegalSequence)
    }

    fn sync(&self) -> Result<()> {
        let fd = self.open_directory()?;
        retry(|| fs::fsync(&fd))
    }
}
