//! The nodes of an in-memory file system.

use super::{
    Shared,
    data::Data,
    tree::{Inode, Listed},
};
use crate::{
    Error, Result,
    filesystem::{Access, Entry, File, Kind, Name, Names, Node, SetTime, Stat},
};
use alloc::{string::String, sync::Arc, vec::Vec};
use core::{any::Any, ops::ControlFlow};

/// How many entries a listing takes from the tree at once.
const LISTING: usize = 64;

/// A node that somebody holds.
#[derive(Clone)]
pub(super) struct MemoryNode {
    pub(super) shared: Arc<Shared>,
    pub(super) inode: Arc<Inode>,
}

impl MemoryNode {
    fn require_directory(&self) -> Result<()> {
        if self.inode.kind == Kind::Directory { Ok(()) } else { Err(Error::NotDirectory) }
    }

    /// `node` if it is one of this file system.
    fn kin<'n>(&self, node: &'n dyn Node) -> Result<&'n Self> {
        match node.as_any().downcast_ref::<Self>() {
            Some(node) if Arc::ptr_eq(&node.shared, &self.shared) => Ok(node),
            _ => Err(Error::CrossDevice),
        }
    }

    pub(super) fn with(&self, inode: Arc<Inode>) -> Arc<Self> {
        Arc::new(Self { shared: self.shared.clone(), inode })
    }

    pub(super) fn create(&self, name: Name<'_>, kind: Kind, target: &str, data: Data) -> Result<Arc<Inode>> {
        self.require_directory()?;
        let now = self.shared.common.now();
        self.shared.tree.lock().create(&self.inode, name, (kind, target, data), now)
    }

    pub(super) fn child(&self, name: Name<'_>) -> Result<Arc<Self>> {
        self.require_directory()?;
        let inode = self.shared.tree.lock().lookup(self.inode.number, name)?;
        Ok(self.with(inode))
    }

    /// What `names` lead to, if it is of such a kind.
    fn below(&self, names: Names<'_>, kind: Kind) -> Option<Arc<Inode>> {
        let inode = self.shared.tree.lock().descend(self.inode.number, names)?;
        (inode.kind == kind).then_some(inode)
    }

    fn remove(&self, name: Name<'_>, directory_wanted: bool) -> Result<()> {
        self.require_directory()?;
        let now = self.shared.common.now();
        let removed = self.shared.tree.lock().remove(&self.inode, name, directory_wanted, now)?;
        // A large file is freed here, without the lock.
        drop(removed);
        Ok(())
    }
}

impl Node for MemoryNode {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn kind(&self) -> Kind {
        self.inode.kind
    }

    fn stat(&self) -> Result<Stat> {
        let mut stat = self.inode.stat()?;
        if self.inode.kind == Kind::Directory {
            stat.links = self.shared.tree.lock().directory_links(self.inode.number);
        }
        Ok(stat)
    }

    fn set_times(&self, accessed: SetTime, modified: SetTime) -> Result<()> {
        self.inode.set_times(accessed, modified)
    }

    fn open(&self, _access: Access) -> Result<Arc<dyn File>> {
        match self.inode.kind {
            Kind::Directory => Err(Error::IsDirectory),
            Kind::SymbolicLink => Err(Error::Loop),
            _ => Ok(self.inode.clone()),
        }
    }

    fn lookup(&self, name: Name<'_>) -> Result<Arc<dyn Node>> {
        Ok(self.child(name)?)
    }

    fn descend(&self, names: Names<'_>) -> Option<Arc<dyn Node>> {
        Some(self.with(self.below(names, Kind::Directory)?))
    }

    fn open_below(&self, names: Names<'_>, _access: Access) -> Option<Arc<dyn File>> {
        Some(self.below(names, Kind::File)?)
    }

    fn create_file(&self, name: Name<'_>, _access: Access) -> Result<Arc<dyn File>> {
        Ok(self.create(name, Kind::File, "", Data::default())?)
    }

    fn create_directory(&self, name: Name<'_>) -> Result<()> {
        self.create(name, Kind::Directory, "", Data::default()).map(drop)
    }

    fn create_symbolic_link(&self, name: Name<'_>, target: &str) -> Result<()> {
        self.create(name, Kind::SymbolicLink, target, Data::default()).map(drop)
    }

    fn link(&self, name: Name<'_>, node: &dyn Node) -> Result<()> {
        self.require_directory()?;
        let node = self.kin(node)?;
        if node.inode.kind == Kind::Directory {
            return Err(Error::NotPermitted);
        }
        let now = self.shared.common.now();
        let mut tree = self.shared.tree.lock();
        // The last name may have gone since the node was found.
        if node.inode.state.lock().links == 0 {
            return Err(Error::NoEntry);
        }
        tree.link(&self.inode, name, &node.inode, now)
    }

    fn unlink(&self, name: Name<'_>) -> Result<()> {
        self.remove(name, false)
    }

    fn remove_directory(&self, name: Name<'_>) -> Result<()> {
        self.remove(name, true)
    }

    fn rename(&self, name: Name<'_>, new_directory: &dyn Node, new_name: Name<'_>) -> Result<()> {
        self.require_directory()?;
        let new_directory = self.kin(new_directory)?;
        new_directory.require_directory()?;
        let now = self.shared.common.now();
        let (old, new) = ((&*self.inode, name), (&*new_directory.inode, new_name));
        let replaced = self.shared.tree.lock().rename(old, new, now)?;
        drop(replaced);
        Ok(())
    }

    fn read_directory(
        &self,
        mut cookie: u64,
        entry: &mut dyn FnMut(Entry<'_>) -> ControlFlow<()>,
    ) -> Result<()> {
        self.require_directory()?;
        let mut entries: Vec<Listed> = Vec::new();
        entries.try_reserve_exact(LISTING).map_err(|_| Error::NoMemory)?;
        loop {
            entries.clear();
            self.shared.tree.lock().list(self.inode.number, cookie, &mut entries);
            if entries.is_empty() {
                return Ok(());
            }
            for Listed { name, inode, kind, next } in &entries {
                // The tree has nothing else.
                let listed = Entry { name: Name(name), inode: *inode, kind: *kind, next: *next };
                if entry(listed).is_break() {
                    return Ok(());
                }
                cookie = *next;
            }
        }
    }

    fn read_link(&self) -> Result<String> {
        match self.inode.kind {
            Kind::SymbolicLink => Ok(String::from(&*self.inode.target)),
            _ => Err(Error::Invalid),
        }
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }
}
