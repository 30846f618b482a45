//! Path resolution: from a directory and a guest's path to a node, component by component, and never out of the directory.
//!
//! Symbolic links are expanded here and nowhere below; a file system is asked for names alone. What leads outside,
//! however it gets there, is [`Error::NotPermitted`]: an absolute path or link target, and a `..` at the starting directory. The
//! work is bounded by [`PATH_MAX`] and [`SYMBOLIC_LINKS_MAX`].
//!
//! A path of plain names is nearly all that is ever asked for: it goes down in one step where the file system can
//! ([`Node::descend`]), and is walked only if that does not lead to its end.

use super::{Kind, Name, Names, Node, cut};
use crate::{Error, Result, heap};
use alloc::{borrow::Cow, string::String, sync::Arc, vec::Vec};

/// The longest path in bytes, the texts of all symbolic links on the way included (POSIX `PATH_MAX`).
pub const PATH_MAX: usize = 4096;

/// How many symbolic links are followed in one path (POSIX `SYMLOOP_MAX`; Linux has 40 too).
pub const SYMBOLIC_LINKS_MAX: usize = 40;

/// A long path holds so many directories that the heap is asked again on the way.
const HEAP_CHECKED_EVERY: usize = 64;

/// What to do with the last component of a path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    /// Do not look it up: the caller makes, removes or moves it by name.
    Leave,
    /// Look it up, but do not follow it, unless the path ends in a slash.
    Find,
    /// Look it up and follow it.
    Follow,
}

/// Where a path leads.
pub(super) struct Resolved<'p> {
    /// The directory that has the last component; or, when there is no `name`, the place itself.
    pub directory: Arc<dyn Node>,
    /// The last component; none for a path that ends in `.` or `..`.
    pub name: Option<Cow<'p, str>>,
    /// What was found there; always none with [`Last::Leave`].
    pub node: Option<Arc<dyn Node>>,
    /// The path ends in a slash: it asks for a directory.
    pub slash: bool,
}

impl Resolved<'_> {
    /// The last component as a name, or `error` for a path that ends in `.` or `..`.
    pub(super) fn name_or(&self, error: Error) -> Result<Name<'_>> {
        // Checked by `resolve`.
        self.name.as_deref().map(Name).ok_or(error)
    }

    /// The node, which must be there.
    pub(super) fn into_node(self) -> Result<Arc<dyn Node>> {
        match (self.node, self.name) {
            (Some(node), _) => Ok(node),
            (None, None) => Ok(self.directory),
            (None, Some(_)) => Err(Error::NoEntry),
        }
    }
}

/// A text of which components are still to be walked: the path, or a link's target.
struct Text<'p> {
    text: Cow<'p, str>,
    position: usize,
}

impl<'p> Text<'p> {
    /// The next component, and whether a slash follows it; the slashes are consumed too. A link's text may go before its
    /// component is done with, so that is owned.
    fn next(&mut self) -> Option<(Cow<'p, str>, bool)> {
        let rest = self.text.get(self.position..).filter(|rest| !rest.is_empty())?;
        let (component, behind) = cut(rest);
        let left = behind.map_or(0, |behind| behind.trim_start_matches('/').len());
        let end = self.position..self.position + component.len();
        let component = match &self.text {
            Cow::Borrowed(text) => Cow::Borrowed(text.get(end)?),
            Cow::Owned(text) => Cow::Owned(String::from(text.get(end)?)),
        };
        let slash_follows = behind.is_some();
        self.position = self.text.len() - left;
        Some((component, slash_follows))
    }

    fn is_done(&self) -> bool {
        self.position >= self.text.len()
    }
}

/// Resolves `path` from `start`, a directory.
///
/// # Errors
/// [`Error::NoEntry`] for an empty path and for a missing component (a missing last one is not an error here),
/// [`Error::NotDirectory`], [`Error::NotPermitted`] for what leads outside, [`Error::Loop`], [`Error::NameTooLong`],
/// [`Error::Invalid`] for a NUL, and the file system's own.
pub(super) fn resolve<'p>(start: &Arc<dyn Node>, path: &'p str, last: Last) -> Result<Resolved<'p>> {
    // For what this and its caller take of the heap.
    heap::check()?;
    match descend(start, path, last) {
        Some(resolved) => resolved,
        None => walk(start, path, last),
    }
}

/// Resolves a path of plain names, if it leads through directories alone and ends in what need not be followed.
fn descend<'p>(start: &Arc<dyn Node>, path: &'p str, last: Last) -> Option<Result<Resolved<'p>>> {
    if path.len() > PATH_MAX {
        return None;
    }
    let (directory, name) = match path.rsplit_once('/') {
        Some((directories, name)) => (start.descend(Names::new(directories)?)?, name),
        None => (start.clone(), path),
    };
    let node = match (Name::new(name).ok()?, last) {
        (_, Last::Leave) => None,
        (name, _) => match directory.lookup(name) {
            Ok(node) if node.kind() == Kind::SymbolicLink && last == Last::Follow => return None,
            Ok(node) => Some(node),
            Err(Error::NoEntry) => None,
            Err(error) => return Some(Err(error)),
        },
    };
    Some(Ok(Resolved { directory, name: Some(Cow::Borrowed(name)), node, slash: false }))
}

/// Resolves any path, component by component.
fn walk<'p>(start: &Arc<dyn Node>, path: &'p str, last: Last) -> Result<Resolved<'p>> {
    let mut budget = PATH_MAX;
    let mut links = SYMBOLIC_LINKS_MAX;
    // The links being expanded, innermost last, and the directories walked through: `..` goes back to where the walk came
    // from, so that a directory that is moved meanwhile leads nobody outside.
    let mut texts = Vec::new();
    let mut above: Vec<Arc<dyn Node>> = Vec::new();
    let mut directory = start.clone();
    let mut slash = false;
    push(&mut texts, &mut budget, Cow::Borrowed(path))?;

    while let Some(text) = texts.last_mut() {
        let Some((component, slash_follows)) = text.next() else {
            texts.pop();
            continue;
        };
        while texts.pop_if(|text| text.is_done()).is_some() {}
        let is_last = texts.is_empty();
        slash |= is_last && slash_follows;

        match &*component {
            "." => continue,
            ".." => {
                directory = above.pop().ok_or(Error::NotPermitted)?;
                continue;
            }
            _ => {}
        }
        let name = Name::new(&component)?;
        if is_last && last == Last::Leave {
            return Ok(Resolved { directory, name: Some(component), node: None, slash });
        }
        let node = match directory.lookup(name) {
            Err(Error::NoEntry) if is_last => {
                return Ok(Resolved { directory, name: Some(component), node: None, slash });
            }
            found => found?,
        };
        match node.kind() {
            Kind::SymbolicLink if !is_last || slash || last == Last::Follow => {
                links = links.checked_sub(1).ok_or(Error::Loop)?;
                push(&mut texts, &mut budget, Cow::Owned(node.read_link()?))?;
            }
            Kind::Directory if !is_last => {
                above.push(core::mem::replace(&mut directory, node));
                if above.len().is_multiple_of(HEAP_CHECKED_EVERY) {
                    heap::check()?;
                }
            }
            kind if kind != Kind::Directory && (!is_last || slash) => return Err(Error::NotDirectory),
            _ => return Ok(Resolved { directory, name: Some(component), node: Some(node), slash }),
        }
    }
    Ok(Resolved { directory, name: None, node: None, slash })
}

/// Begins to walk `text`.
fn push<'p>(texts: &mut Vec<Text<'p>>, budget: &mut usize, text: Cow<'p, str>) -> Result<()> {
    if text.is_empty() {
        return Err(Error::NoEntry);
    }
    if text.starts_with('/') {
        return Err(Error::NotPermitted);
    }
    *budget = budget.checked_sub(text.len()).ok_or(Error::NameTooLong)?;
    texts.push(Text { text, position: 0 });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_at_slashes() {
        for text in [Cow::Borrowed("a//b/./..///"), Cow::Owned("a//b/./..///".into())] {
            let mut text = Text { text, position: 0 };
            for component in ["a", "b", ".", ".."] {
                assert!(!text.is_done());
                assert_eq!(text.next(), Some((component.into(), true)));
            }
            assert!(text.is_done());
            assert_eq!(text.next(), None);
        }
        let mut text = Text { text: Cow::Borrowed("end"), position: 0 };
        assert_eq!(text.next(), Some(("end".into(), false)));
        assert_eq!(text.next(), None);
    }
}
