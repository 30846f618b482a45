//! [`Tree`]: the files below a directory, as an expectation writes them, on the host's disk or in any file system.

use crate::bytes::{Bytes, Difference};
use serde::Deserialize;
use std::{collections::BTreeMap, fs, io, ops::ControlFlow, os::unix::fs::symlink, path::Path, sync::Arc};
use wasi::filesystem::{Access, Kind, Name, Node};

/// What is under a path.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Entry {
    /// A symbolic link.
    Link {
        /// Its text.
        link: String,
    },
    /// A directory.
    Directory {
        /// Always an empty table: a directory's entries stand under their own paths.
        directory: Nothing,
    },
    /// A file.
    File(Bytes),
}

/// An empty table.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Entries by their path below the directory. Parents that are not named are directories.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Tree(BTreeMap<String, Entry>);

/// A tree with its content spelled out, for comparison.
type Snapshot = BTreeMap<String, Content>;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    Directory,
    File(Vec<u8>),
    Link(String),
}

impl Tree {
    fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::new();
        for (path, entry) in &self.0 {
            for (slash, _) in path.match_indices('/') {
                snapshot.insert(path[..slash].into(), Content::Directory);
            }
            let content = match entry {
                Entry::Link { link } => Content::Link(link.clone()),
                Entry::Directory { .. } => Content::Directory,
                Entry::File(bytes) => Content::File(bytes.to_vec()),
            };
            snapshot.insert(path.clone(), content);
        }
        snapshot
    }

    /// Files with these contents.
    pub fn of_files(files: impl IntoIterator<Item = (impl Into<String>, Vec<u8>)>) -> Self {
        Self(files.into_iter().map(|(path, bytes)| (path.into(), Entry::File(Bytes::Raw(bytes)))).collect())
    }

    /// What is below a directory of the host.
    pub fn read_host(directory: &Path) -> io::Result<Self> {
        let mut snapshot = Snapshot::new();
        read_host(directory, "", &mut snapshot)?;
        let entry = |content| match content {
            Content::Directory => Entry::Directory { directory: Nothing {} },
            Content::File(bytes) => Entry::File(Bytes::Raw(bytes)),
            Content::Link(link) => Entry::Link { link },
        };
        Ok(Self(snapshot.into_iter().map(|(path, content)| (path, entry(content))).collect()))
    }

    /// Writes the tree into an empty directory of the host.
    pub fn write_host(&self, directory: &Path) -> io::Result<()> {
        // In the order of the paths parents come first.
        for (path, content) in self.snapshot() {
            let path = directory.join(path);
            match content {
                Content::Directory => fs::create_dir(path)?,
                Content::File(bytes) => fs::write(path, bytes)?,
                Content::Link(target) => symlink(target, path)?,
            }
        }
        Ok(())
    }

    /// Writes the tree into an empty directory of a file system.
    pub fn write_node(&self, directory: &dyn Node) -> wasi::Result<()> {
        for (path, content) in self.snapshot() {
            let (parent, name) = path.rsplit_once('/').unwrap_or(("", &path));
            let name = Name::new(name)?;
            let mut below: Option<Arc<dyn Node>> = None;
            for part in parent.split('/').filter(|part| !part.is_empty()) {
                let part = Name::new(part)?;
                below = Some(match &below {
                    None => directory.lookup(part)?,
                    Some(node) => node.lookup(part)?,
                });
            }
            let parent = below.as_deref().unwrap_or(directory);
            match content {
                Content::Directory => parent.create_directory(name)?,
                Content::Link(target) => parent.create_symbolic_link(name, &target)?,
                Content::File(bytes) => {
                    let file = parent.create_file(name, Access { read: false, write: true })?;
                    let mut rest = &bytes[..];
                    while !rest.is_empty() {
                        rest = &rest[file.append(rest)?.0..];
                    }
                }
            }
        }
        Ok(())
    }

    /// How a directory of the host differs from the tree; `None` when it does not.
    pub fn difference_host(&self, directory: &Path) -> io::Result<Option<String>> {
        let mut actual = Snapshot::new();
        read_host(directory, "", &mut actual)?;
        Ok(difference(&self.snapshot(), &actual))
    }

    /// How a directory of a file system differs from the tree; `None` when it does not.
    pub fn difference_node(&self, directory: &dyn Node) -> wasi::Result<Option<String>> {
        let mut actual = Snapshot::new();
        read_node(directory, "", &mut actual)?;
        Ok(difference(&self.snapshot(), &actual))
    }
}

fn difference(expected: &Snapshot, actual: &Snapshot) -> Option<String> {
    let mut text = String::new();
    for path in expected.keys().chain(actual.keys().filter(|path| !expected.contains_key(*path))) {
        match (expected.get(path), actual.get(path)) {
            (Some(Content::File(a)), Some(Content::File(b))) => {
                if let Some(difference) = Difference::of(a, b) {
                    text += &format!("  file {path}:\n{difference}");
                }
            }
            (Some(a), Some(b)) if a == b => {}
            (Some(a), Some(b)) => text += &format!("  {path} should be {a:?} and is {b:?}\n"),
            (Some(_), None) => text += &format!("  {path} is missing\n"),
            (None, _) => text += &format!("  {path} should not be there\n"),
        }
    }
    (!text.is_empty()).then_some(text)
}

fn read_host(directory: &Path, prefix: &str, snapshot: &mut Snapshot) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type()?;
        let content = if kind.is_dir() {
            read_host(&entry.path(), &format!("{path}/"), snapshot)?;
            Content::Directory
        } else if kind.is_symlink() {
            Content::Link(fs::read_link(entry.path())?.to_string_lossy().into_owned())
        } else {
            Content::File(fs::read(entry.path())?)
        };
        snapshot.insert(path, content);
    }
    Ok(())
}

fn read_node(directory: &dyn Node, prefix: &str, snapshot: &mut Snapshot) -> wasi::Result<()> {
    let mut entries = vec![];
    directory.read_directory(0, &mut |entry| {
        entries.push((entry.name.as_str().to_owned(), entry.kind));
        ControlFlow::Continue(())
    })?;
    for (name, kind) in entries {
        let path = format!("{prefix}{name}");
        let node = directory.lookup(Name::new(&name)?)?;
        let content = match kind {
            Kind::Directory => {
                read_node(&*node, &format!("{path}/"), snapshot)?;
                Content::Directory
            }
            Kind::SymbolicLink => Content::Link(node.read_link()?),
            _ => {
                let mut bytes = vec![0; usize::try_from(node.stat()?.size).unwrap_or(usize::MAX)];
                let read = node.open(Access { read: true, write: false })?.read_at(&mut bytes, 0)?;
                bytes.truncate(read);
                Content::File(bytes)
            }
        };
        snapshot.insert(path, content);
    }
    Ok(())
}
