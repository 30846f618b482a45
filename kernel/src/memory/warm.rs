//! Slots that were given back and are kept as they are, for who wants the like next.
//!
//! The memory of a program that has ended is soon wanted by the next one. A slot that stays costs it no page faults and no frames
//! to find, zero and free; above all the processor forgets no translations. (An emulated one forgets far more than it is told
//! to: a page unmapped in the upper half, which has large pages, costs QEMU all that it knows of where code and data are.)
//!
//! Nobody uses this memory: it counts as available, and goes to whoever lacks some
//! ([`Memory::attempt`](super::Memory::attempt)).

use super::arena::Slot;

/// How many slots are kept.
const SLOTS: usize = 16;
/// How many frames they may have, all together: 32 MiB.
const FRAMES: usize = 8192;

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

    /// Keeps a slot; false if there is no room, and it remains the caller's.
    pub fn keep(&mut self, slot: Slot) -> bool {
        let frames = self.frames + slot.frames();
        let Some(place) = self.slots.get_mut(self.len).filter(|_| frames <= FRAMES) else { return false };
        *place = slot;
        self.len += 1;
        self.frames = frames;
        true
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
