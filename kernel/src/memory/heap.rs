//! The global allocator.
//!
//! Small allocations are talc's, on a reservation that grows and shrinks with them, behind lists of blocks that were
//! freed. Large ones are slots of the
//! arena each: zero when first touched, at their true cost, growing in place or by moving page tables, and gone
//! from the machine's account when freed. An allocation that cannot be backed is null, never a fault later.
//!
//! The heap may have all memory. Whoever allocates what can be refused leaves some (`wasi::heap` says how much), so that what
//! cannot be refused finds it.

use super::arena::Slot;
use super::free_lists::{Class, FreeLists};
use super::layout::{LARGE_PAGE, PAGE, align_up};
use super::reservation::Reservation;
use core::alloc::{GlobalAlloc, Layout};
use core::fmt;
use core::ptr::{self, NonNull};
use spin::Mutex;
use talc::DefaultBinning;
use talc::base::Talc;
use talc::base::binning::Binning;
use talc::source::Source;

/// Allocations of this size have a slot of their own.
const LARGE: usize = 128 << 10;
/// What the small heap grows by, at least.
const STEP: usize = 256 << 10;
/// The small heap gives memory back when this much of its end is free.
const TRIM: usize = 1 << 20;
/// When so much of the small heap was freed, blocks in lists are joined.
const JOIN: usize = 512 << 10;
/// How far from its beginning blocks go to lists in any case.
const LOW: usize = 256 << 10;
/// The address space of the small heap.
const MAX: usize = 128 << 30;

#[global_allocator]
static HEAP: Heap = Heap {
    small: Mutex::new(Small {
        talc: Talc::new(Growing { memory: None }),
        lists: FreeLists::new(),
        used: 0,
        peak: 0,
        large: 0,
    }),
};

struct Heap {
    small: Mutex<Small>,
}

struct Small {
    talc: Talc<Growing, DefaultBinning>,
    /// Blocks that are neither allocated nor talc's to give away.
    lists: FreeLists,
    /// The bytes of small allocations.
    used: usize,
    /// The most that they were, as far as talc knows, since blocks were joined.
    peak: usize,
    /// The bytes of large allocations.
    large: usize,
}

/// The layout that talc is asked for.
fn behind(layout: Layout) -> Layout {
    Class::of(layout).map_or(layout, Class::layout)
}

impl Small {
    /// Whether a block is near enough to the heap's beginning for a list: whoever has it next may have it for long, and then what is
    /// free behind it is not given back. When much is freed, what is freed last is near.
    #[inline(always)]
    fn is_low(&self, block: NonNull<u8>) -> bool {
        // There is memory, as the block is in it.
        let base = self.talc.source.memory.as_ref().map_or(0, |memory| memory.base().addr().get());
        block.addr().get() - base < 2 * self.used + LOW
    }

    /// What no list has; null if there is no memory for it.
    #[cold]
    fn allocate_slowly(&mut self, layout: Layout) -> *mut u8 {
        let allocate = |talc: &mut Talc<_, _>| {
            if is_large(&layout) {
                return allocate_large(layout).map(pointer_to);
            }
            // SAFETY: the size is not 0: `GlobalAlloc` forbids it.
            unsafe { talc.allocate(behind(layout)) }.map(NonNull::as_ptr)
        };
        let pointer = allocate(&mut self.talc).or_else(|| {
            self.join();
            allocate(&mut self.talc)
        });
        let Some(pointer) = pointer else { return ptr::null_mut() };
        if is_large(&layout) {
            self.large += layout.size();
        } else {
            self.used += layout.size();
            self.peak = self.peak.max(self.used);
        }
        pointer
    }

    /// # Safety
    /// `pointer` came from `alloc` with this layout, and nobody uses it any more.
    #[cold]
    unsafe fn deallocate_slowly(&mut self, pointer: *mut u8, layout: Layout) {
        if is_large(&layout) {
            let mut memory = super::lock();
            let super::Memory { frames, arena, .. } = &mut *memory;
            arena.release(frames, slot_of(pointer, layout.size()));
            self.large -= layout.size();
            return;
        }
        // SAFETY: as the caller's; what is not large was talc's, with this layout.
        unsafe { self.talc.deallocate(pointer, behind(layout)) };
        self.used -= layout.size();
        if self.used + JOIN < self.peak {
            self.join();
        }
    }

    /// Gives all blocks in lists back to talc, which joins them.
    fn join(&mut self) {
        while let Some((block, class)) = self.lists.pop_any() {
            // SAFETY: it was talc's, with this layout (`behind`), and is free.
            unsafe { self.talc.deallocate(block.as_ptr(), class.layout()) };
        }
        self.peak = self.used;
    }
}

/// How many bytes are allocated.
pub fn used() -> usize {
    let small = HEAP.small();
    small.used + small.large
}

/// Joins free blocks, so that what is not used can be the machine's again.
pub fn join() {
    HEAP.small().join();
}

/// How many bytes are in free blocks that were not joined.
#[cfg(feature = "selftest")]
pub fn not_joined() -> usize {
    HEAP.small().lists.bytes()
}

/// Where the small heap's memory is from.
struct Growing {
    /// What is committed of it is talc's heap, whole pages of it.
    memory: Option<Reservation>,
}

impl fmt::Debug for Growing {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("Growing")
    }
}

// SAFETY: neither function allocates; `resize` returns an address between those that it is given, aligned as
// they are.
unsafe impl Source for Growing {
    const TRACK_HEAP_END: bool = true;

    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        if talc.source.memory.is_none() {
            talc.source.memory = Reservation::new(MAX);
        }
        let memory = talc.source.memory.as_mut().ok_or(())?;
        let len = memory.len();
        // Room for talc's own words too.
        let needed =
            len.saturating_add(layout.size()).saturating_add(layout.align()).saturating_add(PAGE as usize);
        let page_up = |bytes: usize| align_up(bytes as u64, PAGE) as usize;
        let grown = memory.commit_leaving(page_up(needed.max(len + STEP)), 0)
            || memory.commit_leaving(page_up(needed), 0);
        if !grown {
            return Err(());
        }
        let (base, new_len) = (memory.base().as_ptr(), memory.len());
        match NonNull::new(base.wrapping_add(len)).filter(|_| len > 0) {
            // SAFETY: the memory from the old end to the new one is committed, and nobody's but talc's. Pages are
            // a multiple of talc's unit: its heap ends where the memory does.
            Some(end) => unsafe { talc.extend(end, base.wrapping_add(new_len)) },
            // SAFETY: as above; there is no heap yet.
            None => unsafe { talc.claim(base, new_len) }.ok_or(())?,
        };
        Ok(())
    }

    unsafe fn resize(&mut self, chunk_base: *mut u8, heap_end: *mut u8, _: bool) -> *mut u8 {
        let free = heap_end.addr() - chunk_base.addr();
        let Some(memory) = self.memory.as_mut().filter(|_| free >= TRIM) else { return heap_end };
        let base = memory.base().as_ptr();
        let len = align_up((chunk_base.addr() - base.addr() + STEP) as u64, PAGE) as usize;
        if len >= memory.len() || !memory.commit_leaving(len, 0) {
            return heap_end;
        }
        base.wrapping_add(len)
    }
}

impl Heap {
    fn small(&self) -> spin::MutexGuard<'_, Small> {
        // One processor: who waits, waits for ever.
        self.small.try_lock().expect("the heap is used by who holds its lock")
    }
}

/// Whether an allocation has a slot of its own.
fn is_large(layout: &Layout) -> bool {
    layout.size() >= LARGE || layout.align() > PAGE as usize
}

fn pages(size: usize) -> usize {
    size.div_ceil(PAGE as usize)
}

fn slot_of(pointer: *mut u8, size: usize) -> Slot {
    Slot::new(pointer.expose_provenance() as u64, pages(size))
}

fn pointer_to(slot: Slot) -> *mut u8 {
    ptr::with_exposed_provenance_mut(slot.base as usize)
}

fn allocate_large(layout: Layout) -> Option<Slot> {
    if layout.align() as u64 > LARGE_PAGE {
        return None;
    }
    super::lock().attempt(|frames, arena| {
        let mut slot = arena.reserve(frames, layout.size() as u64)?;
        if !arena.resize(frames, &mut slot, pages(layout.size()), 0) {
            arena.release(frames, slot);
            return None;
        }
        Some(slot)
    })
}

/// Gives a large allocation another size, still a large one.
fn resize_large(slot: &mut Slot, size: usize) -> bool {
    super::lock().attempt(|frames, arena| arena.resize(frames, slot, pages(size), 0).then_some(())).is_some()
}

// SAFETY: what is returned is committed, or talc's, and belongs to nobody else until it is given back; its
// alignment is the slot's (2 MiB), or talc's business.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let mut small = self.small();
        match Class::of(layout).and_then(|class| small.lists.pop(class)) {
            Some(block) => {
                small.used += layout.size();
                block.as_ptr()
            }
            None => small.allocate_slowly(layout),
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let mut small = self.small();
        // SAFETY: the caller promises that it came from `alloc` with this layout, and gives it up.
        unsafe {
            if let (Some(class), Some(block)) = (Class::of(layout), NonNull::new(pointer))
                && small.is_low(block)
                && small.lists.push(block, class)
            {
                small.used -= layout.size();
            } else {
                small.deallocate_slowly(pointer, layout);
            }
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller's.
        let pointer = unsafe { self.alloc(layout) };
        if !pointer.is_null() && !is_large(&layout) {
            // SAFETY: just allocated, this long. (A large allocation is zero already.)
            unsafe { pointer.write_bytes(0, layout.size()) };
        }
        pointer
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that the size, rounded up to the alignment, does not overflow.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        if is_large(&layout) && is_large(&new) {
            let mut slot = slot_of(pointer, layout.size());
            if !resize_large(&mut slot, size) {
                return ptr::null_mut();
            }
            let mut small = self.small();
            small.large = small.large - layout.size() + size;
            return pointer_to(slot);
        }
        if !is_large(&layout) && !is_large(&new) {
            let mut small = self.small();
            let in_place = match (Class::of(layout), Class::of(new)) {
                (None, None) => {
                    // SAFETY: the caller promises that it came from `alloc` with this layout, of no class.
                    unsafe { small.talc.try_realloc_in_place(pointer, layout, size) }
                }
                (old, new) => old == new,
            };
            if in_place {
                small.used = small.used - layout.size() + size;
                small.peak = small.peak.max(small.used);
                return pointer;
            }
        }
        // SAFETY: two allocations, each at least as long as what is copied.
        unsafe {
            let moved = self.alloc(new);
            if !moved.is_null() {
                ptr::copy_nonoverlapping(pointer, moved, layout.size().min(size));
                self.dealloc(pointer, layout);
            }
            moved
        }
    }
}
