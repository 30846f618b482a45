//! Memory: all that the machine has, from frames to the heap.
//!
//! `layout` says where things are, `setup` maps RAM, `frames` knows which of it is free, `arena` gives address
//! space that is backed on demand, `warm` keeps some of it from one program for the next, and `heap` is the global
//! allocator on top, with `free_lists` before it. [`Reservation`] is the arena for everybody else; [`dma`] and
//! [`map_device`] are for drivers.
//!
//! Nothing here touches memory that is mapped on demand while it holds the lock: the page fault takes it too.

mod arena;
mod device;
pub mod dma;
mod frames;
mod free_lists;
mod heap;
mod layout;
mod reservation;
mod setup;
mod tables;
mod warm;

pub use device::{PHYSICAL_END, map_device};
pub use reservation::Reservation;

use arena::Arena;
use boot::{BootInfo, Module};
use core::slice;
use frames::Frames;
use layout::{DEVICES, PAGE, virtual_address};
use spin::Mutex;
use warm::Warm;

struct Memory {
    frames: Frames,
    arena: Arena,
    warm: Warm,
    next_device: u64,
}

impl Memory {
    /// How many frames nobody has been promised, and those that are kept warm.
    fn available(&self) -> usize {
        self.frames.available() + self.warm.frames()
    }

    /// What `attempt` gives, which takes memory or changes nothing. It is made again, if need be, with the memory that is kept warm.
    fn attempt<T>(&mut self, mut attempt: impl FnMut(&mut Frames, &mut Arena) -> Option<T>) -> Option<T> {
        attempt(&mut self.frames, &mut self.arena)
            .or_else(|| self.cool().then(|| attempt(&mut self.frames, &mut self.arena))?)
    }

    /// Frees what is kept warm; false if there is nothing.
    fn cool(&mut self) -> bool {
        let mut any = false;
        while let Some(slot) = self.warm.pop() {
            self.arena.release(&mut self.frames, slot);
            any = true;
        }
        any
    }
}

static MEMORY: Mutex<Option<Memory>> = Mutex::new(None);

/// The memory, locked.
struct Guard(spin::MutexGuard<'static, Option<Memory>>);

impl core::ops::Deref for Guard {
    type Target = Memory;

    fn deref(&self) -> &Memory {
        self.0.as_ref().expect("memory is set up first")
    }
}

impl core::ops::DerefMut for Guard {
    fn deref_mut(&mut self) -> &mut Memory {
        self.0.as_mut().expect("memory is set up first")
    }
}

fn lock() -> Guard {
    // One processor: who waits, waits for ever.
    Guard(MEMORY.try_lock().expect("memory is used by who holds its lock"))
}

/// Bytes that the machine has, and those left. For a machine that is about to end: `None` if it ends in the middle of memory.
pub fn left() -> Option<(usize, usize)> {
    let guard = MEMORY.try_lock()?;
    let memory = guard.as_ref()?;
    let bytes = |frames: usize| frames * PAGE as usize;
    Some((bytes(memory.frames.total()), bytes(memory.available())))
}

/// How many bytes can still be allocated.
pub fn available() -> usize {
    lock().available() * PAGE as usize
}

/// Sets up memory.
///
/// # Safety
/// Called once, before anything is allocated or mapped.
pub unsafe fn init(info: &BootInfo) {
    // SAFETY: as the caller promises.
    let frames = unsafe { setup::init(info) };
    *MEMORY.lock() = Some(Memory { frames, arena: Arena::new(), warm: Warm::new(), next_device: DEVICES });
}

/// Handles a page fault at `address`; false if it is none that memory mapped on demand explains.
pub fn page_fault(address: u64, error: u64) -> bool {
    /// The page is mapped, and forbids the access.
    const PROTECTION: u64 = 1;
    if error & PROTECTION != 0 || !arena::contains(address) {
        return false;
    }
    let mut memory = lock();
    let Memory { frames, arena, .. } = &mut *memory;
    arena.fault(frames, address)
}

/// Zeroes `len` bytes, those of large allocations without touching what reads as zero already; false if nothing
/// was done, because `pointer` is not in such memory.
///
/// # Safety
/// The caller may write these bytes.
pub unsafe fn zero(pointer: *mut u8, len: usize) -> bool {
    let start = pointer.expose_provenance() as u64;
    if !arena::contains(start) {
        return false;
    }
    let end = start + len as u64;
    let (first, last) = (layout::align_up(start, PAGE), layout::align_down(end, PAGE));
    if first >= last {
        return false;
    }
    // SAFETY: the caller may write them: the ends by hand, and whole pages between.
    unsafe {
        crate::arch::fill(pointer, 0, (first - start) as usize);
        arena::zero_pages(first, ((last - first) / PAGE) as usize);
        crate::arch::fill(pointer.add((last - start) as usize), 0, (end - last) as usize);
    }
    true
}

/// What memory needs now and then while the machine works: the heap's free blocks are joined, so that its end can be given back.
pub fn tidy() {
    heap::join();
}

/// How many bytes of the heap wait for [`tidy`].
#[cfg(feature = "selftest")]
pub fn untidy() -> usize {
    heap::not_joined()
}

/// The bytes of a module.
pub fn module(module: &Module) -> &'static [u8] {
    let pointer = core::ptr::with_exposed_provenance(virtual_address(module.range.start) as usize);
    // SAFETY: the loader put the module in RAM, which the direct map has, and `setup` keeps it from the
    // allocator: it is never written.
    unsafe { slice::from_raw_parts(pointer, module.range.len() as usize) }
}

/// Where the direct map has a physical address.
#[cfg(feature = "selftest")]
pub fn direct_map(physical: u64) -> u64 {
    virtual_address(physical)
}

/// How much memory there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Bytes that the kernel has for everything but its image.
    pub total: usize,
    /// Bytes that nobody has been promised.
    pub available: usize,
    /// Bytes in frames that nobody uses yet; some of them are promised.
    pub free: usize,
    /// Bytes in heap allocations.
    pub heap: usize,
    /// Slots of the arena that are in use.
    pub slots: usize,
}

/// How much memory there is now. Frees what is kept warm, so that the answer is exact.
pub fn stats() -> Stats {
    heap::join();
    let heap = heap::used();
    let mut memory = lock();
    memory.cool();
    let bytes = |frames: usize| frames * PAGE as usize;
    Stats {
        total: bytes(memory.frames.total()),
        available: bytes(memory.available()),
        free: bytes(memory.frames.free()),
        heap,
        slots: memory.arena.slots(),
    }
}
