//! Address space of one's own, as a value.

use super::arena::Slot;
use super::layout::PAGE;
use super::warm;
use core::ptr::{self, NonNull};

/// A range of addresses that costs nothing, of which the beginning is committed: it reads as zero until it is
/// written (unless it is a [reused](Self::reused) one), and writing cannot fail. A linear memory is one: it grows without being copied.
///
/// Dropping it frees everything, unless it is to be [reused](Self::reused).
#[derive(Debug)]
pub struct Reservation {
    slot: Slot,
    len: usize,
    max: usize,
    /// Whether the next may have it as it is.
    reusable: bool,
}

impl Reservation {
    /// Reserves `max` bytes and commits none.
    ///
    /// `None` if the address space is used up, or memory for a page table is.
    pub fn new(max: usize) -> Option<Self> {
        let slot = super::lock().attempt(|frames, arena| arena.reserve(frames, max as u64))?;
        Some(Self { slot, len: 0, max, reusable: false })
    }

    /// As [`new`](Self::new), but it may be one that was dropped before, with up to 2 MiB that are committed and hold anything, if the
    /// machine has `leaving` bytes for others. When it is dropped it may be somebody's again.
    pub fn reused(max: usize, leaving: usize) -> Option<Self> {
        let mut memory = super::lock();
        let enough = memory.frames.available() >= leaving.div_ceil(PAGE as usize);
        let Some(slot) = enough.then(|| memory.warm.take(max as u64)).flatten() else {
            drop(memory);
            let mut new = Self::new(max)?;
            new.reusable = true;
            return Some(new);
        };
        Some(Self { slot, len: slot.pages * PAGE as usize, max, reusable: true })
    }

    /// The first byte. It stays where it is.
    pub fn base(&self) -> NonNull<u8> {
        let base = ptr::with_exposed_provenance_mut(self.slot.base as usize);
        NonNull::new(base).expect("the arena is not at address 0")
    }

    /// How many bytes are committed.
    pub fn len(&self) -> usize {
        self.len
    }

    /// How many bytes can be committed.
    pub fn max(&self) -> usize {
        self.max
    }

    /// Commits `len` bytes in all, more or fewer than before, if that leaves `leaving` bytes of the machine's memory to others. What
    /// is new reads as zero; what is given up is free for others, and touching it is a fault.
    ///
    /// False, and nothing has changed, if the machine lacks the memory or `len` is more than was reserved.
    #[must_use = "memory that was not committed faults when touched"]
    pub fn commit_leaving(&mut self, len: usize, leaving: usize) -> bool {
        if len > self.max {
            return false;
        }
        let (pages, reserve) = (len.div_ceil(PAGE as usize), leaving.div_ceil(PAGE as usize));
        let done = super::lock()
            .attempt(|frames, arena| arena.resize(frames, &mut self.slot, pages, reserve).then_some(()))
            .is_some();
        if done {
            // The rest of the last page was the owner's to write, and reads as zero when it is so again.
            let rest = (pages * PAGE as usize).min(self.len).saturating_sub(len);
            // SAFETY: within the committed pages, and given up by the owner just now.
            unsafe { self.base().add(len).write_bytes(0, rest) };
            self.len = len;
        }
        done
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut memory = super::lock();
        let super::Memory { frames, arena, warm: kept, .. } = &mut *memory;
        let released = if self.reusable && self.slot.pages > 0 {
            let pages = self.slot.pages.min(warm::PAGES);
            arena.shrink(frames, &mut self.slot, pages);
            kept.keep(self.slot)
        } else {
            Some(self.slot)
        };
        if let Some(slot) = released {
            arena.release(frames, slot);
        }
    }
}
