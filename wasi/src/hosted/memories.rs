//! Homes for linear memories: address space from the operating system, which backs a page when it is first touched.
//!
//! The process reserves address space once and cuts it into slots of 4 GiB, the most that a 32-bit memory can have. A slot
//! goes from run to run, so that a run costs no mapping; between two runs what was exposed is handed back to the
//! operating system, which gives zeros for it (a little is zeroed here instead: that is faster than the faults that
//! would follow). With the feature `lazy-zero` wasmi's own zeroing of a growing memory is known to be needless too
//! ([`not_known_zero`]).

use crate::memory::{LinearMemories, Region};
use alloc::{boxed::Box, vec::Vec};
use core::{
    ptr::{self, NonNull},
    sync::atomic::{AtomicUsize, Ordering},
};
#[cfg(target_os = "linux")]
use rustix::mm::{Advice, madvise};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// Addresses of a slot.
const SLOT: u64 = 4 << 30;
/// How many slots are asked for; half as many where the process may not have that many addresses, and so on.
const SLOTS: usize = 4096;
/// What becomes accessible at once: large pages, of which only what is touched costs something.
const LARGE_PAGE: usize = 2 << 20;
/// Up to this many bytes zeroing is cheaper than handing back and faulting in.
const ZEROED: usize = 64 << 10;

/// Address space of this process. Where all of it is taken (by 4,096 memories at once, as a rule), memories live on the heap.
pub struct MappedMemories;

/// The process's slots.
struct Arena {
    base: NonNull<u8>,
    slots: Box<[SlotState]>,
    free: Mutex<Free>,
}

/// What must be known of a slot whoever has it.
struct SlotState {
    /// All bytes from this offset on have never been written since they came from the operating system, or have been zeroed since.
    zero_from: AtomicUsize,
}

struct Free {
    /// The slots that were used before, the latest last, with the bytes that are accessible.
    used: Vec<(usize, usize)>,
    /// The first that never was.
    next: usize,
}

// SAFETY: `base` is only an address here; what it points to is handed out slot by slot, each to one owner.
unsafe impl Send for Arena {}
// SAFETY: as above; the rest is `Sync` by itself.
unsafe impl Sync for Arena {}

/// Made by the first reservation; `None` in it: there are no addresses to have.
static ARENA: OnceLock<Option<Arena>> = OnceLock::new();

impl Arena {
    /// Reserves the addresses, as many as the process may have.
    fn new() -> Option<Self> {
        let slot = usize::try_from(SLOT).ok()?;
        let mut count = SLOTS;
        while count > 0 {
            // SAFETY: no address is asked for, so nothing that exists is touched.
            let base = slot.checked_mul(count).map(|bytes| unsafe {
                let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
                mmap_anonymous(ptr::null_mut(), bytes, ProtFlags::empty(), flags)
            });
            if let Some(Ok(base)) = base {
                let slots = (0..count).map(|_| SlotState { zero_from: AtomicUsize::new(0) }).collect();
                let free = Mutex::new(Free { used: Vec::new(), next: 0 });
                return Some(Self { base: NonNull::new(base.cast())?, slots, free });
            }
            count /= 2;
        }
        None
    }

    fn free(&self) -> MutexGuard<'_, Free> {
        // Nothing in there can be left half done.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A slot that nobody has, all zero, and how many bytes of it are accessible.
    fn take(&self) -> Option<(usize, usize)> {
        let mut free = self.free();
        free.used.pop().or_else(|| {
            let index = free.next;
            self.slots.get(index)?;
            free.next = index.saturating_add(1);
            Some((index, 0))
        })
    }
}

impl LinearMemories for MappedMemories {
    fn reserve(&self, bytes: usize) -> Option<Box<dyn Region>> {
        if bytes == 0 || bytes as u64 > SLOT {
            return None;
        }
        let arena = ARENA.get_or_init(Arena::new).as_ref()?;
        let (index, accessible) = arena.take()?;
        let state = arena.slots.get(index)?;
        // SAFETY: slot `index` is inside the reservation, which has `slots.len()` of them; no larger than `isize::MAX`
        // in all, as one mapping.
        let base = unsafe { arena.base.add(index.checked_mul(SLOT as usize)?) };
        Some(Box::new(Slot { arena, state, index, base, size: bytes, accessible, exposed: 0 }))
    }
}

/// A slot that somebody has.
struct Slot {
    arena: &'static Arena,
    state: &'static SlotState,
    index: usize,
    base: NonNull<u8>,
    size: usize,
    /// How many of its bytes can be accessed; stays when it goes to the next.
    accessible: usize,
    /// How many the owner may have written.
    exposed: usize,
}

// SAFETY: the slot belongs to nobody else; the pointer is only an address here.
unsafe impl Send for Slot {}
// SAFETY: shared references give the address and the size, nothing that changes.
unsafe impl Sync for Slot {}

// SAFETY: the range is inside one anonymous private mapping that is never unmapped, and no two slots that are taken have the
// same index; the operating system gave the mapping, so it is at most `isize::MAX` long. What is
// committed is readable and writable; it holds what the operating system zeroed or an earlier owner's rests were zeroed to.
unsafe impl Region for Slot {
    fn base(&self) -> NonNull<u8> {
        self.base
    }

    fn size(&self) -> usize {
        self.size
    }

    fn commit(&mut self, bytes: usize) -> bool {
        if bytes > self.size {
            return false;
        }
        if bytes > self.accessible {
            let Some(accessible) = bytes.checked_next_multiple_of(LARGE_PAGE) else { return false };
            // SAFETY: the range is in this slot: its size is a multiple of a large page's, and `bytes` is no more than it.
            let protected = unsafe {
                let start = self.base.as_ptr().add(self.accessible);
                let flags = MprotectFlags::READ | MprotectFlags::WRITE;
                mprotect(start.cast(), accessible - self.accessible, flags)
            };
            if protected.is_err() {
                return false;
            }
            // wasmi writes every byte that a memory grows by, as long as nothing spares it that: pages are then touched in a row, and
            // large ones save most of the faults. Advice only: where there are none, nothing is lost.
            #[cfg(target_os = "linux")]
            if !cfg!(feature = "lazy-zero") {
                // SAFETY: the same range; the advice changes no content.
                let _ = unsafe {
                    let start = self.base.as_ptr().add(self.accessible);
                    madvise(start.cast(), accessible - self.accessible, Advice::LinuxHugepage)
                };
            }
            self.accessible = accessible;
        }
        self.exposed = self.exposed.max(bytes);
        true
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.clear() {
            // It is not known to be zero: nobody gets it any more.
            return;
        }
        self.state.zero_from.store(0, Ordering::Relaxed);
        // The lock orders this before what the next owner does.
        self.arena.free().used.push((self.index, self.accessible));
    }
}

impl Slot {
    /// Makes all of it zero again. `false`: the operating system refused.
    fn clear(&mut self) -> bool {
        if self.exposed <= ZEROED {
            // SAFETY: that much is committed, and by `Region`'s contract nothing else uses it any more.
            unsafe { self.base.as_ptr().write_bytes(0, self.exposed) };
            return true;
        }
        #[cfg(target_os = "linux")]
        // SAFETY: the range is this slot's own, and nothing uses it any more.
        let cleared = unsafe { madvise(self.base.as_ptr().cast(), self.exposed, Advice::LinuxDontNeed) };
        // Elsewhere the advice need not forget the content: new pages take the place of the old.
        #[cfg(not(target_os = "linux"))]
        // SAFETY: as above; it replaces a part of our own mapping.
        let cleared = unsafe {
            let flags = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED;
            let access = ProtFlags::READ | ProtFlags::WRITE;
            mmap_anonymous(self.base.as_ptr().cast(), self.exposed, access, flags)
        };
        cleared.is_ok()
    }
}

/// Called when `n` bytes at `to` are to be set to zero: how many of them, from the start, may hold anything else. The rest is zero
/// and counts as written from now on.
#[cfg(all(feature = "lazy-zero", target_os = "linux", target_env = "gnu"))]
pub(super) fn not_known_zero(to: *mut u8, n: usize) -> usize {
    // Not made here: what makes it may zero something too.
    let Some(Some(arena)) = ARENA.get() else { return n };
    let offset = to.addr().wrapping_sub(arena.base.addr().get());
    let Some(state) = arena.slots.get(offset / SLOT as usize) else { return n };
    let start = offset % SLOT as usize;
    let zero_from = state.zero_from.load(Ordering::Relaxed);
    state.zero_from.store(zero_from.max(start.saturating_add(n)), Ordering::Relaxed);
    zero_from.saturating_sub(start).min(n)
}
