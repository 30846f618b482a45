//! Slots that were given back and are kept as they are, for who wants the like next.
//!
//! The memory of a program that has ended is soon wanted by the next one. A slot that stays costs it no page faults and no frames
//! to find, zero and free; above all the processor forgets no translations. (An emulated one forgets far more than it is told
//! to: a page unmapped in the upper half, which has large pages, costs QEMU all that it knows of where code and data are.)
//!
//! Nobody uses this memory: it counts as available, and goes to whoever lacks some
//! ([`Memory::attempt`](super::Memory::attempt)).

use super::arena::Slot;
use super::layout::PAGES_PER_LARGE;

/// How many slots are kept.
const SLOTS: usize = 16;
/// How many pages each may have: 2 MiB. The next program may need less, and has them for as long as it lives.
pub const PAGES: usize = PAGES_PER_LARGE;

/// The slots that are kept.
pub struct Warm {
    /// The first `len`, the latest last.
    slots: [Slot; SLOTS],
    len: usize,
    frames: usize,
}

impl Warm {
    /// None yet.
    pub const fn new() -> Self {
        Self { slots: [Slot::NONE; SLOTS], len: 0, frames: 0 }
    }

    /// How many frames are theirs, or promised to them.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Keeps a slot, of at most [`PAGES`]. What it returns is to be released: the oldest, if there is no room for one more.
    pub fn keep(&mut self, slot: Slot) -> Option<Slot> {
        let oldest = if self.len == SLOTS { Some(self.remove(0)) } else { None };
        self.slots[self.len] = slot;
        self.len += 1;
        self.frames += slot.frames();
        oldest
    }

    /// The latest that is of the class for `bytes` and has no more than that committed.
    pub fn take(&mut self, bytes: u64) -> Option<Slot> {
        let index = self.slots[..self.len].iter().rposition(|slot| slot.fits(bytes))?;
        Some(self.remove(index))
    }

    /// Any, to be released.
    pub fn pop(&mut self) -> Option<Slot> {
        Some(self.remove(self.len.checked_sub(1)?))
    }

    fn remove(&mut self, index: usize) -> Slot {
        let slot = self.slots[index];
        self.slots.copy_within(index + 1..self.len, index);
        self.len -= 1;
        self.frames -= slot.frames();
        slot
    }
}
