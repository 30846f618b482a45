//! The tree: nodes, and the directories that name them.
//!
//! Directories are kept in one map by number, not inside each other, so that a deep tree is dropped without recursion; a
//! directory's node and its entries part when it is removed. One lock holds the whole tree, each node has one for its own
//! state. They are taken in this order: tree, node, quota; nothing is called that is not in this module while one is held.

use super::{
    Common,
    data::Data,
    directory::{Directory, Hashed},
    quota::{DIRECTORY_COST, ENTRY_COST, NODE_COST},
};
use crate::{
    Error, Result,
    filesystem::{Kind, Name, Names},
    heap,
    types::Nanoseconds,
};
use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::hash::BuildHasher;
use hashbrown::{DefaultHashBuilder, HashMap};
use spin::Mutex;

/// A file, a directory or a symbolic link.
pub(super) struct Inode {
    pub(super) number: u64,
    pub(super) kind: Kind,
    /// A symbolic link's text.
    pub(super) target: Box<str>,
    pub(super) state: Mutex<State>,
    pub(super) common: Arc<Common>,
}

/// What changes about a node.
pub(super) struct State {
    pub(super) accessed: Nanoseconds,
    pub(super) modified: Nanoseconds,
    pub(super) changed: Nanoseconds,
    /// Names of anything but a directory.
    pub(super) links: u64,
    /// The bytes of a file.
    pub(super) data: Data,
}

impl Inode {
    fn cost(kind: Kind, target: &str) -> u64 {
        NODE_COST + if kind == Kind::Directory { DIRECTORY_COST } else { 0 } + target.len() as u64
    }
}

impl Drop for Inode {
    fn drop(&mut self) {
        let stored = self.state.get_mut().data.stored();
        self.common.quota.release(Self::cost(self.kind, &self.target).saturating_add(stored));
    }
}

/// What a listing needs of an entry.
pub(super) struct Listed {
    pub(super) name: Arc<str>,
    pub(super) inode: u64,
    pub(super) kind: Kind,
    pub(super) next: u64,
}

fn entry_cost(name: Name<'_>) -> u64 {
    ENTRY_COST + name.as_str().len() as u64
}

/// All directories, by number.
pub(super) struct Tree {
    directories: HashMap<u64, Directory>,
    next_inode: u64,
    /// For names.
    hasher: DefaultHashBuilder,
    common: Arc<Common>,
}

impl Tree {
    /// A tree of one directory, which is returned too.
    ///
    /// # Errors
    /// [`Error::NoSpace`] when not even that fits.
    pub(super) fn new(common: Arc<Common>) -> Result<(Self, Arc<Inode>)> {
        let now = common.now();
        let (directories, hasher) = (HashMap::new(), DefaultHashBuilder::default());
        let mut tree = Self { directories, next_inode: 1, hasher, common };
        let root = tree.new_inode(Kind::Directory, "", Data::default(), now)?;
        tree.directories.insert(root.number, Directory::new(root.number));
        Ok((tree, root))
    }

    fn new_inode(&mut self, kind: Kind, target: &str, data: Data, now: Nanoseconds) -> Result<Arc<Inode>> {
        self.common.quota.charge(Inode::cost(kind, target))?;
        let number = self.next_inode;
        self.next_inode += 1;
        let state = State { accessed: now, modified: now, changed: now, links: 0, data };
        let common = self.common.clone();
        Ok(Arc::new(Inode { number, kind, target: target.into(), state: Mutex::new(state), common }))
    }

    fn hashed<'n>(&self, name: Name<'n>) -> Hashed<'n> {
        Hashed { name, hash: self.hasher.hash_one(name) }
    }

    /// A directory that has not been removed.
    fn directory(&self, number: u64) -> Result<&Directory> {
        self.directories.get(&number).ok_or(Error::NoEntry)
    }

    fn directory_mut(&mut self, number: u64) -> Result<&mut Directory> {
        self.directories.get_mut(&number).ok_or(Error::NoEntry)
    }

    /// POSIX's count of links of a directory: its name, its `.`, and each `..` in it.
    pub(super) fn directory_links(&self, number: u64) -> u64 {
        self.directories.get(&number).map_or(0, |directory| directory.subdirectories().saturating_add(2))
    }

    pub(super) fn lookup(&self, directory: u64, name: Name<'_>) -> Result<Arc<Inode>> {
        self.find(directory, self.hashed(name))
    }

    fn find(&self, directory: u64, name: Hashed<'_>) -> Result<Arc<Inode>> {
        self.directory(directory)?.get(name).cloned().ok_or(Error::NoEntry)
    }

    /// What `names` lead to, through directories alone.
    pub(super) fn descend(&self, directory: u64, names: Names<'_>) -> Option<Arc<Inode>> {
        let mut number = directory;
        let mut found = None;
        for name in names.iter() {
            // What is no directory has no entries.
            let inode = self.directories.get(&number)?.get(self.hashed(name))?;
            number = inode.number;
            found = Some(inode);
        }
        found.cloned()
    }

    /// Makes a node and names it.
    pub(super) fn create(
        &mut self,
        directory: &Inode,
        name: Name<'_>,
        (kind, target, data): (Kind, &str, Data),
        now: Nanoseconds,
    ) -> Result<Arc<Inode>> {
        let name = self.vacant(directory, name)?;
        self.directories.try_reserve(1).map_err(|_| Error::NoMemory)?;
        heap::check()?;
        let inode = self.new_inode(kind, target, data, now)?;
        self.name(directory, name, &inode, now)?;
        if kind == Kind::Directory {
            self.directories.insert(inode.number, Directory::new(directory.number));
        }
        Ok(inode)
    }

    /// Gives `inode` another name.
    pub(super) fn link(
        &mut self,
        directory: &Inode,
        name: Name<'_>,
        inode: &Arc<Inode>,
        now: Nanoseconds,
    ) -> Result<()> {
        let name = self.vacant(directory, name)?;
        heap::check()?;
        self.name(directory, name, inode, now)
    }

    /// A name that is not in the directory yet.
    fn vacant<'n>(&self, directory: &Inode, name: Name<'n>) -> Result<Hashed<'n>> {
        let name = self.hashed(name);
        match self.directory(directory.number)?.get(name) {
            Some(_) => Err(Error::Exists),
            None => Ok(name),
        }
    }

    /// Adds a name to those of `inode`.
    fn name(
        &mut self,
        directory: &Inode,
        name: Hashed<'_>,
        inode: &Arc<Inode>,
        now: Nanoseconds,
    ) -> Result<()> {
        self.common.quota.charge(entry_cost(name.name))?;
        self.directory_mut(directory.number)?.insert(name, inode.clone());
        inode.count_link(1, now);
        directory.touch(now);
        Ok(())
    }

    /// Takes the name away and returns whose it was. `directory_wanted` says which call it is: `rmdir` or `unlink`.
    pub(super) fn remove(
        &mut self,
        directory: &Inode,
        name: Name<'_>,
        directory_wanted: bool,
        now: Nanoseconds,
    ) -> Result<Arc<Inode>> {
        let name = self.hashed(name);
        let inode = self.find(directory.number, name)?;
        match (inode.kind == Kind::Directory, directory_wanted) {
            (true, false) => return Err(Error::IsDirectory),
            (false, true) => return Err(Error::NotDirectory),
            (true, true) => self.dissolve(&inode)?,
            (false, false) => {}
        }
        self.directory_mut(directory.number)?.remove(name);
        self.common.quota.release(entry_cost(name.name));
        inode.count_link(-1, now);
        directory.touch(now);
        Ok(inode)
    }

    /// Drops the entries of a directory that has none.
    fn dissolve(&mut self, inode: &Inode) -> Result<()> {
        if !self.directory(inode.number)?.is_empty() {
            return Err(Error::NotEmpty);
        }
        self.directories.remove(&inode.number);
        Ok(())
    }

    /// Moves a name; what it replaced is returned, for the caller to drop outside of the lock.
    pub(super) fn rename(
        &mut self,
        (directory, name): (&Inode, Name<'_>),
        (new_directory, new_name): (&Inode, Name<'_>),
        now: Nanoseconds,
    ) -> Result<Option<Arc<Inode>>> {
        let (name, new_name) = (self.hashed(name), self.hashed(new_name));
        let inode = self.find(directory.number, name)?;
        let replaced = self.directory(new_directory.number)?.get(new_name).cloned();
        let is_directory = inode.kind == Kind::Directory;
        if is_directory && self.is_within(new_directory.number, inode.number) {
            return Err(Error::Invalid);
        }
        heap::check()?;
        match &replaced {
            // Two names of one node: POSIX wants nothing to happen.
            Some(replaced) if Arc::ptr_eq(replaced, &inode) => return Ok(None),
            // As Linux has it, also when it is not a directory that is moved onto one that it is in.
            Some(replaced)
                if replaced.kind == Kind::Directory && self.is_within(directory.number, replaced.number) =>
            {
                return Err(Error::NotEmpty);
            }
            Some(replaced) => match (is_directory, replaced.kind == Kind::Directory) {
                (true, false) => return Err(Error::NotDirectory),
                (false, true) => return Err(Error::IsDirectory),
                (true, true) => self.dissolve(replaced)?,
                (false, false) => {}
            },
            None => self.common.quota.charge(entry_cost(new_name.name))?,
        }
        self.directory_mut(directory.number)?.remove(name);
        self.common.quota.release(entry_cost(name.name));
        let directory_of_new = self.directory_mut(new_directory.number)?;
        match &replaced {
            Some(_) => directory_of_new.replace(new_name, inode.clone()),
            None => directory_of_new.insert(new_name, inode.clone()),
        }
        if is_directory {
            self.directory_mut(inode.number)?.parent = new_directory.number;
        }
        if let Some(replaced) = &replaced {
            replaced.count_link(-1, now);
        }
        inode.state.lock().changed = now;
        directory.touch(now);
        new_directory.touch(now);
        Ok(replaced)
    }

    /// Whether directory `number` is `ancestor` or below it.
    fn is_within(&self, mut number: u64, ancestor: u64) -> bool {
        loop {
            if number == ancestor {
                return true;
            }
            match self.directories.get(&number) {
                // The root is its own parent.
                Some(directory) if directory.parent != number => number = directory.parent,
                _ => return false,
            }
        }
    }

    /// Some entries from `cookie` on; none at the end, and in a directory that has been removed.
    pub(super) fn list(&self, number: u64, cookie: u64, entries: &mut Vec<Listed>) {
        let Some(directory) = self.directories.get(&number) else { return };
        let room = entries.capacity() - entries.len();
        entries.extend(directory.list(cookie).take(room));
    }
}

impl Inode {
    fn count_link(&self, change: i64, now: Nanoseconds) {
        let mut state = self.state.lock();
        state.links = state.links.saturating_add_signed(change);
        state.changed = now;
    }

    /// Notes that a directory's entries have changed.
    fn touch(&self, now: Nanoseconds) {
        let mut state = self.state.lock();
        state.modified = now;
        state.changed = now;
    }
}
