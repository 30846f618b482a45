//! The file system in memory: files (sparse), directories, symbolic and hard links, under a quota.
//!
//! Here is what an embedder fills and reads it by; guests come through [`Directory`], as with any file
//! system.

use super::{Access, Descriptor, Directory, Kind, Name, Node, OpenFlags, Permissions, Stat};
use crate::{Error, Result, clocks::Clock, types::Nanoseconds};
use alloc::{string::String, sync::Arc, vec::Vec};
use core::ops::ControlFlow;
use spin::Mutex;

mod data;
mod directory;
mod file;
mod node;
mod pages;
mod quota;
mod tree;

use data::Data;
use node::MemoryNode;
use quota::Quota;
use tree::{Inode, Tree};

/// What all files of one file system share.
struct Common {
    clock: Arc<dyn Clock>,
    device: u64,
    quota: Quota,
}

impl Common {
    /// The wall clock's time; 0 on a machine that does not know the date.
    fn now(&self) -> Nanoseconds {
        self.clock.wall().unwrap_or(0)
    }
}

/// A file system. Its tree holds the files, which so cannot hold it.
struct Shared {
    common: Arc<Common>,
    tree: Mutex<Tree>,
}

/// A file system in memory.
///
/// All that a guest makes is charged to a quota: stored pages (4 KiB each; holes are free), and a fixed cost
/// for each node and name, so that empty files do not exhaust the host either. [`Error::NoSpace`] is what a guest
/// sees. A clone is the same file system.
#[derive(Clone)]
pub struct MemoryFileSystem {
    shared: Arc<Shared>,
    root: Arc<Inode>,
}

impl MemoryFileSystem {
    /// An empty file system for at most `quota` bytes. `device` is what [`Stat::device`] will say: give each file
    /// system that one guest sees a number of its own.
    ///
    /// # Errors
    /// [`Error::NoSpace`] for a quota that has no room for the root (2 KiB).
    pub fn new(clock: Arc<dyn Clock>, quota: u64, device: u64) -> Result<Self> {
        let common = Arc::new(Common { clock, device, quota: Quota::new(quota) });
        let (tree, root) = Tree::new(common.clone())?;
        Ok(Self { shared: Arc::new(Shared { common, tree: Mutex::new(tree) }), root })
    }

    /// The root directory.
    pub fn root(&self) -> Arc<dyn Node> {
        self.root_node()
    }

    /// Bytes charged, and how many there may be.
    pub fn usage(&self) -> (u64, u64) {
        (self.shared.common.quota.used(), self.shared.common.quota.limit())
    }

    /// Puts a file at `path` (relative to the root; missing directories are made), replacing a file that is there. The
    /// content is not copied and not charged; what a guest writes over it is. The node is returned, to set its times.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a `..` in the path or no name at its end, [`Error::NotDirectory`] for a file (or a
    /// symbolic link: none is followed) where a directory is needed, [`Error::IsDirectory`], [`Error::NoSpace`].
    pub fn write_file(
        &self,
        path: &str,
        content: impl AsRef<[u8]> + Send + Sync + 'static,
    ) -> Result<Arc<dyn Node>> {
        let (directory, name) = self.place(path)?;
        match directory.unlink(name) {
            Ok(()) | Err(Error::NoEntry) => {}
            Err(error) => return Err(error),
        }
        let inode = directory.create(name, Kind::File, "", Data::new(Arc::new(content)))?;
        Ok(directory.with(inode))
    }

    /// Makes the directory `path` and those above it, where they are missing.
    ///
    /// # Errors
    /// As [`write_file`](Self::write_file).
    pub fn create_directory(&self, path: &str) -> Result<()> {
        self.directory(path).map(drop)
    }

    /// Makes a symbolic link at `path` with the text `target`; missing directories are made.
    ///
    /// # Errors
    /// As [`write_file`](Self::write_file); [`Error::Exists`] when there is anything of that name.
    pub fn create_symbolic_link(&self, path: &str, target: &str) -> Result<()> {
        let (directory, name) = self.place(path)?;
        directory.create_symbolic_link(name, target)
    }

    /// The bytes of the file at `path` (symbolic links are followed, as a guest would).
    ///
    /// # Errors
    /// Those of [`Directory::open_at`]; [`Error::IsDirectory`]; [`Error::NoMemory`].
    pub fn read_file(&self, path: &str) -> Result<Vec<u8>> {
        let root = Directory::new(self.root(), Permissions::ReadOnly)?;
        let access = Access { read: true, write: false };
        let Descriptor::File(mut file) = root.open_at(path, true, OpenFlags::empty(), access)? else {
            return Err(Error::IsDirectory);
        };
        let size = usize::try_from(file.stat()?.size).map_err(|_| Error::NoMemory)?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(size).map_err(|_| Error::NoMemory)?;
        bytes.resize(size, 0);
        let count = file.read(&mut bytes)?;
        bytes.truncate(count);
        Ok(bytes)
    }

    /// Gives every path below the root to `visit`, a directory before what is in it, until it breaks.
    ///
    /// # Errors
    /// Those of the nodes; none in a tree that nobody changes meanwhile.
    pub fn walk(&self, visit: &mut dyn FnMut(&str, &Stat) -> ControlFlow<()>) -> Result<()> {
        let mut pending = alloc::vec![(String::new(), self.root_node())];
        while let Some((path, directory)) = pending.pop() {
            let mut names: Vec<String> = Vec::new();
            directory.read_directory(0, &mut |entry| {
                names.push(entry.name.as_str().into());
                ControlFlow::Continue(())
            })?;
            for name in names {
                let node = directory.child(Name::new(&name)?)?;
                let path = if path.is_empty() { name } else { alloc::format!("{path}/{name}") };
                if visit(&path, &Node::stat(&*node)?).is_break() {
                    return Ok(());
                }
                if node.kind() == Kind::Directory {
                    pending.push((path, node));
                }
            }
        }
        Ok(())
    }

    fn root_node(&self) -> Arc<MemoryNode> {
        Arc::new(MemoryNode { shared: self.shared.clone(), inode: self.root.clone() })
    }

    /// The directory and the name at the end of an embedder's path.
    fn place<'p>(&self, path: &'p str) -> Result<(Arc<MemoryNode>, Name<'p>)> {
        let path = path.trim_end_matches('/');
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        Ok((self.directory(parent)?, Name::new(name)?))
    }

    fn directory(&self, path: &str) -> Result<Arc<MemoryNode>> {
        let names = || path.split('/').filter(|component| !matches!(*component, "" | ".")).map(Name::new);
        // A path that is wrong further on leaves nothing behind.
        names().try_for_each(|name| name.map(drop))?;
        let mut directory = self.root_node();
        for name in names() {
            let name = name?;
            directory = match directory.child(name) {
                Err(Error::NoEntry) => {
                    directory.with(directory.create(name, Kind::Directory, "", Data::default())?)
                }
                found => found?,
            };
        }
        match directory.kind() {
            Kind::Directory => Ok(directory),
            _ => Err(Error::NotDirectory),
        }
    }
}
