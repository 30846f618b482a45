//! The entries of one directory: by name, and in the order of their making.
//!
//! A name is found by its hash, which is compared in an instruction where a text takes a call. The hashes are in a tree and not in a
//! hash table: a table stops everybody while it grows, and a guest can make names that all fall into one place
//! of it. It can make names of equal hashes too; they are in a tree of their own, by their text.

use super::tree::{Inode, Listed};
use crate::filesystem::{Kind, Name};
use alloc::{collections::BTreeMap, sync::Arc};

/// A name with its hash, which is the same whenever it comes to a directory.
#[derive(Clone, Copy)]
pub(super) struct Hashed<'n> {
    pub(super) name: Name<'n>,
    pub(super) hash: u64,
}

/// A directory's entries. A listing goes on by order, which is its cookie.
pub(super) struct Directory {
    by_order: BTreeMap<u64, (Arc<str>, Arc<Inode>)>,
    /// The order of the entry whose name has a hash.
    by_hash: BTreeMap<u64, u64>,
    /// The order of those whose name had the hash of another when they were made.
    clashing: BTreeMap<Arc<str>, u64>,
    next: u64,
    pub(super) parent: u64,
    subdirectories: u64,
}

impl Directory {
    pub(super) fn new(parent: u64) -> Self {
        Self {
            by_order: BTreeMap::new(),
            by_hash: BTreeMap::new(),
            clashing: BTreeMap::new(),
            next: 0,
            parent,
            subdirectories: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_order.is_empty()
    }

    /// How many of the entries are directories.
    pub(super) fn subdirectories(&self) -> u64 {
        self.subdirectories
    }

    /// The order of an entry, and what it names.
    fn find(&self, Hashed { name, hash }: Hashed<'_>) -> Option<(u64, &Arc<Inode>)> {
        let entry = |&order| self.by_order.get(&order).map(|(text, inode)| (order, text, inode));
        let (order, _, inode) = self
            .by_hash
            .get(&hash)
            .and_then(entry)
            .filter(|(_, text, _)| ***text == *name.as_str())
            .or_else(|| self.clashing.get(name.as_str()).and_then(entry))?;
        Some((order, inode))
    }

    pub(super) fn get(&self, name: Hashed<'_>) -> Option<&Arc<Inode>> {
        self.find(name).map(|(_, inode)| inode)
    }

    /// Adds a name that is not there yet.
    pub(super) fn insert(&mut self, name: Hashed<'_>, inode: Arc<Inode>) {
        self.subdirectories += u64::from(inode.kind == Kind::Directory);
        let text: Arc<str> = Arc::from(name.name.as_str());
        let order = self.next;
        self.next += 1;
        if *self.by_hash.entry(name.hash).or_insert(order) != order {
            self.clashing.insert(text.clone(), order);
        }
        self.by_order.insert(order, (text, inode));
    }

    /// Makes a name that is there one of `inode`; its place in a listing stays.
    pub(super) fn replace(&mut self, name: Hashed<'_>, inode: Arc<Inode>) {
        let order = self.find(name).map(|(order, _)| order);
        if let Some((_, named)) = order.and_then(|order| self.by_order.get_mut(&order)) {
            self.subdirectories += u64::from(inode.kind == Kind::Directory);
            self.subdirectories -= u64::from(named.kind == Kind::Directory);
            *named = inode;
        }
    }

    pub(super) fn remove(&mut self, name: Hashed<'_>) {
        let Some((order, _)) = self.find(name) else { return };
        if self.clashing.remove(name.name.as_str()).is_none() {
            self.by_hash.remove(&name.hash);
        }
        if let Some((_, inode)) = self.by_order.remove(&order) {
            self.subdirectories -= u64::from(inode.kind == Kind::Directory);
        }
    }

    /// The entries from `cookie` on.
    pub(super) fn list(&self, cookie: u64) -> impl Iterator<Item = Listed> {
        self.by_order.range(cookie..).map(|(order, (name, inode))| Listed {
            name: name.clone(),
            inode: inode.number,
            kind: inode.kind,
            next: order + 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Common, data::Data, quota::Quota, tree::Tree},
        *,
    };
    use crate::testing::machine;
    use alloc::{format, string::String, vec::Vec};

    #[test]
    fn names_are_found_and_listed_whatever_their_hashes() {
        let common = Common { clock: machine().0.clock, device: 1, quota: Quota::new(u64::MAX) };
        let (mut tree, root) = Tree::new(Arc::new(common)).unwrap();
        let names: [String; 12] = core::array::from_fn(|index| format!("name{index}"));
        for hashes in [1, 3, u64::MAX] {
            let mut directory = Directory::new(0);
            // The names and the inodes' numbers, in the order of their making.
            let mut model: Vec<(&str, u64)> = Vec::new();
            let mut random = 1_u64;
            for round in 0..2_000 {
                random =
                    random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let index = (random >> 33) as usize % names.len();
                let name = Name::new(&names[index]).unwrap();
                let hashed = Hashed { name, hash: index as u64 % hashes };
                let known = model.iter().position(|(text, _)| *text == name.as_str());
                assert_eq!(
                    directory.get(hashed).map(|inode| inode.number),
                    known.map(|known| model[known].1)
                );
                if let Some(known) = known
                    && random >> 63 == 0
                {
                    directory.remove(hashed);
                    model.remove(known);
                    continue;
                }
                let kind = if round % 3 == 0 { Kind::Directory } else { Kind::File };
                let made = format!("{hashes}-{round}");
                let inode = (kind, "", Data::default());
                let inode = tree.create(&root, Name::new(&made).unwrap(), inode, 0).unwrap();
                if let Some(known) = known {
                    model[known].1 = inode.number;
                    directory.replace(hashed, inode);
                } else {
                    model.push((name.as_str(), inode.number));
                    directory.insert(hashed, inode);
                }
            }
            let listed: Vec<_> = directory.list(0).collect();
            assert!(listed.iter().map(|entry| (&*entry.name, entry.inode)).eq(model));
            let directories = listed.iter().filter(|entry| entry.kind == Kind::Directory).count();
            assert_eq!(directory.subdirectories(), directories as u64);
        }
    }
}
