//! The stored pages of a file, by number. What is in a page is not known here, nor what it costs.

use crate::{Result, heap};
use alloc::{
    collections::{BTreeMap, btree_map::Entry},
    vec::Vec,
};
use core::ops::Range;

/// A page's bytes as far as they were written: a small file takes no more than it has. Behind them there are zeros.
pub(super) type Page = Vec<u8>;

/// How many pages are in the row at most. So few that what it keeps when the file is cut is little beside the pages.
const ROW: usize = 64;

/// Pages by number. Those that a file begins with, as most files have them and no others, are in a row: there is nothing to search for,
/// and no branch that the processor cannot foresee, and a file of one page takes a third of a tree's memory.
#[derive(Default)]
pub(super) struct Pages {
    /// Pages 0, 1, 2…; no page with a number below the row's length is in the tree.
    row: Vec<Page>,
    tree: BTreeMap<u64, Page>,
}

/// Where page `index` is, if it is in the row.
fn place(index: u64) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}

impl Pages {
    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        (self.row.len() as u64).saturating_add(self.tree.len() as u64)
    }

    /// How many of `range` there are.
    pub(super) fn count_in(&self, range: Range<u64>) -> u64 {
        let end = (self.row.len() as u64).min(range.end);
        end.saturating_sub(range.start).saturating_add(self.tree.range(range).count() as u64)
    }

    pub(super) fn get(&self, index: u64) -> Option<&Page> {
        self.row.get(place(index)).or_else(|| self.tree.get(&index))
    }

    pub(super) fn get_mut(&mut self, index: u64) -> Option<&mut Page> {
        match self.row.get_mut(place(index)) {
            Some(page) => Some(page),
            None => self.tree.get_mut(&index),
        }
    }

    /// Page `index`, which `make` makes if it is not there. A tree's own memory cannot be refused: it is the caller who sees to it that
    /// the heap has something left.
    ///
    /// # Errors
    /// What `make` fails with; [`Error::NoMemory`](crate::Error::NoMemory).
    pub(super) fn get_or_insert(
        &mut self,
        index: u64,
        mut make: impl FnMut() -> Result<Page>,
    ) -> Result<&mut Page> {
        let Self { row, tree } = self;
        if place(index) == row.len() && row.len() < ROW && !tree.contains_key(&index) {
            heap::reserve(row, 1)?;
            row.push(make()?);
        }
        match row.get_mut(place(index)) {
            Some(page) => Ok(page),
            None => match tree.entry(index) {
                Entry::Occupied(page) => Ok(page.into_mut()),
                Entry::Vacant(free) => Ok(free.insert(make()?)),
            },
        }
    }

    /// Drops all pages from number `len` on; how many there were.
    pub(super) fn truncate(&mut self, len: u64) -> u64 {
        let before = self.count();
        self.tree.split_off(&len);
        self.row.truncate(place(len));
        if self.row.is_empty() {
            self.row = Vec::new();
        }
        before.saturating_sub(self.count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_as_one_tree() {
        // Few numbers around the row's end and far away, in any order, cut now and then.
        let mut seed = 1_u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) % below
        };
        let mut pages = Pages::default();
        let mut wanted = BTreeMap::new();
        for round in 0..20_000_u64 {
            let next = (0..).find(|index| !wanted.contains_key(index)).unwrap_or(0);
            let index = match random(4) {
                0 => random(ROW as u64 + 20),
                1 => u64::MAX - random(3),
                _ => next,
            };
            let content = Page::from(round.to_le_bytes());
            match random(12) {
                0 if random(10) == 0 => {
                    let cut = wanted.split_off(&index);
                    assert_eq!(pages.truncate(index), cut.len() as u64);
                }
                1..4 => {
                    assert_eq!(pages.get_mut(index).is_some(), wanted.contains_key(&index));
                    if let Some(page) = pages.get_mut(index) {
                        page.clone_from(&content);
                        wanted.insert(index, content);
                    }
                }
                _ if !wanted.contains_key(&index) => {
                    let page = pages.get_or_insert(index, || Ok(content.clone()));
                    assert_eq!(page, Ok(&mut content.clone()));
                    wanted.insert(index, content);
                }
                _ => {}
            }
            assert_eq!((pages.get(index), pages.count()), (wanted.get(&index), wanted.len() as u64));
            let (start, end) = (random(ROW as u64 + 10), random(ROW as u64 + 20));
            if start <= end {
                assert_eq!(pages.count_in(start..end), wanted.range(start..end).count() as u64);
            }
        }
    }

    #[test]
    fn a_row_has_its_bound_and_takes_no_memory_when_it_is_empty() {
        let mut pages = Pages::default();
        for index in 0..ROW as u64 + 5 {
            assert!(pages.get_or_insert(index, || Ok(Page::new())).is_ok());
        }
        assert_eq!((pages.row.len(), pages.tree.len()), (ROW, 5));
        assert_eq!((pages.truncate(1), pages.truncate(0)), (ROW as u64 + 4, 1));
        assert_eq!(pages.row.capacity(), 0);
    }
}
