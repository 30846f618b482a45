//! A file system that is too simple to be wrong: nodes in a list, directories as maps of names, paths walked as they are read.

use std::collections::{BTreeMap, VecDeque};
use wasi::{
    Error, Result,
    filesystem::{NAME_MAX, PATH_MAX, SYMBOLIC_LINKS_MAX},
};

/// A node's number: its place in the list.
pub type Id = usize;

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// A regular file.
    File(Vec<u8>),
    /// A directory; `None` once it has been removed.
    Directory(Option<BTreeMap<String, Id>>),
    /// A symbolic link.
    Link(String),
}

/// All nodes; the first is the root.
pub struct Model {
    pub nodes: Vec<Content>,
}

/// How the last component of a path is taken.
#[derive(Clone, Copy, PartialEq)]
pub enum Last {
    Leave,
    Find,
    Follow,
}

/// Where a path leads: a directory and a name in it, or just a directory.
#[derive(Debug)]
pub struct Found {
    pub directory: Id,
    pub name: Option<String>,
    /// The path asks for a directory.
    pub slash: bool,
}

impl Model {
    pub fn new() -> Self {
        Self { nodes: vec![Content::Directory(Some(BTreeMap::new()))] }
    }

    pub fn is_directory(&self, id: Id) -> bool {
        matches!(self.nodes[id], Content::Directory(_))
    }

    /// The entries of a directory, if it still has a name.
    pub fn entries(&mut self, id: Id) -> Result<&mut BTreeMap<String, Id>> {
        match &mut self.nodes[id] {
            Content::Directory(Some(entries)) => Ok(entries),
            Content::Directory(None) => Err(Error::NoEntry),
            _ => Err(Error::NotDirectory),
        }
    }

    pub fn lookup(&self, id: Id, name: &str) -> Result<Id> {
        match &self.nodes[id] {
            Content::Directory(entries) => {
                entries.as_ref().and_then(|entries| entries.get(name)).copied().ok_or(Error::NoEntry)
            }
            _ => Err(Error::NotDirectory),
        }
    }

    /// Puts a new node into a directory.
    pub fn add(&mut self, directory: Id, name: String, content: Content) -> Result<Id> {
        if self.lookup(directory, &name).is_ok() {
            return Err(Error::Exists);
        }
        let id = self.nodes.len();
        self.entries(directory)?.insert(name, id);
        self.nodes.push(content);
        Ok(id)
    }

    /// Whether `id` is `ancestor` or below it.
    pub fn is_within(&self, id: Id, ancestor: Id) -> bool {
        id == ancestor
            || match &self.nodes[ancestor] {
                Content::Directory(Some(entries)) => {
                    entries.values().any(|&child| self.is_directory(child) && self.is_within(id, child))
                }
                _ => false,
            }
    }

    /// How many names a node has.
    pub fn names(&self, id: Id) -> usize {
        let count = |content: &Content| match content {
            Content::Directory(Some(entries)) => entries.values().filter(|&&child| child == id).count(),
            _ => 0,
        };
        self.nodes.iter().map(count).sum()
    }

    /// Walks `path` from the directory `start`: the components are put in a row, and a link's before those that follow it.
    pub fn walk(&self, start: Id, path: &str, last: Last) -> Result<Found> {
        let (mut links, mut budget) = (SYMBOLIC_LINKS_MAX, PATH_MAX);
        let mut row = components(path, &mut budget)?;
        let mut came_from = vec![start];
        let mut asks_for_directory = false;
        while let Some((name, slash)) = row.pop_front() {
            let is_last = row.is_empty();
            asks_for_directory |= is_last && slash;
            let directory = *came_from.last().expect("the start is never left");
            match name.as_str() {
                "." => continue,
                ".." => {
                    came_from.pop();
                    if came_from.is_empty() {
                        return Err(Error::NotPermitted);
                    }
                    continue;
                }
                _ if name.len() > NAME_MAX => return Err(Error::NameTooLong),
                _ if name.contains('\0') => return Err(Error::Invalid),
                _ => {}
            }
            let found = Found { directory, name: Some(name.clone()), slash: asks_for_directory };
            if is_last && last == Last::Leave {
                return Ok(found);
            }
            let id = match self.lookup(directory, &name) {
                Err(Error::NoEntry) if is_last => return Ok(found),
                id => id?,
            };
            match &self.nodes[id] {
                Content::Link(text) if !is_last || slash || asks_for_directory || last == Last::Follow => {
                    links = links.checked_sub(1).ok_or(Error::Loop)?;
                    for component in components(text, &mut budget)?.into_iter().rev() {
                        row.push_front(component);
                    }
                }
                Content::Directory(_) if is_last => return Ok(found),
                Content::Directory(_) => came_from.push(id),
                _ if !is_last || asks_for_directory => return Err(Error::NotDirectory),
                _ => return Ok(found),
            }
        }
        let directory = *came_from.last().expect("the start is never left");
        Ok(Found { directory, name: None, slash: asks_for_directory })
    }

    /// What `path` leads to, which must be there.
    pub fn find(&self, start: Id, path: &str, follow: bool) -> Result<Id> {
        let found = self.walk(start, path, if follow { Last::Follow } else { Last::Find })?;
        match found.name {
            Some(name) => self.lookup(found.directory, &name),
            None => Ok(found.directory),
        }
    }
}

/// The names in a path, each with whether a slash follows.
fn components(path: &str, budget: &mut usize) -> Result<VecDeque<(String, bool)>> {
    if path.is_empty() {
        return Err(Error::NoEntry);
    }
    if path.starts_with('/') {
        return Err(Error::NotPermitted);
    }
    *budget = budget.checked_sub(path.len()).ok_or(Error::NameTooLong)?;
    let count = path.split('/').filter(|name| !name.is_empty()).count();
    let ends_in_slash = path.ends_with('/');
    let names = path.split('/').filter(|name| !name.is_empty()).enumerate();
    Ok(names.map(|(at, name)| (name.to_owned(), at + 1 < count || ends_in_slash)).collect())
}
