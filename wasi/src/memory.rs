//! Where linear memories live: the trait by which a machine gives them address space that grows in place.
//!
//! wasmi keeps a memory in a `Vec` and copies it whenever it grows. With a provider, a memory gets all the addresses it
//! may ever need at once, and only what the guest has grown to is committed.

use alloc::{boxed::Box, sync::Arc};
use core::{ptr::NonNull, slice};

/// A page of linear memory, in bytes.
pub(crate) const PAGE: u64 = 64 << 10;

/// A machine's address space for linear memories.
pub trait LinearMemories: Send + Sync {
    /// Reserves `bytes` addresses (a multiple of 64 KiB). Nobody relies on any being committed. `None`: the memory then lives on the heap.
    fn reserve(&self, bytes: usize) -> Option<Box<dyn Region>>;
}

/// Reserved addresses of one linear memory. Dropping it gives them back, for others, with what is committed.
///
/// # Safety
/// From [`LinearMemories::reserve`] until the drop, `base()..base() + size()` belongs to this region alone, never moves, and
/// `size()` is at most `isize::MAX`. After `commit(n)` has returned `true`, the first `n` bytes can be read and written until the
/// drop, hold initialised bytes (of any value), and are accessed through nothing but pointers derived from `base()`.
pub unsafe trait Region: Send + Sync {
    /// The first address.
    fn base(&self) -> NonNull<u8>;
    /// How many addresses are reserved.
    fn size(&self) -> usize;
    /// Makes the first `bytes` usable; `bytes` is at most `size()`. Never shrinks: less than before changes nothing. `false`: the
    /// machine is out of memory, and nothing has changed.
    fn commit(&mut self, bytes: usize) -> bool;
}

/// The bytes of `region` in the form that wasmi wants.
///
/// # Safety
/// - It is called once for a region, and the region is dropped only after the last use of the result: the
///   `'static` is a promise that the caller keeps.
/// - Nothing reads or writes the result beyond what has been committed.
pub(crate) unsafe fn static_bytes(region: &dyn Region) -> &'static mut [u8] {
    // SAFETY: the range is this region's alone (the contract of `Region`) and, by this function's own contract, there
    // is one such slice and it is not used after the drop. Not all of it is committed; Rust asks of a slice that its
    // memory belongs to one allocation and is not used otherwise, not that the processor could access every
    // page now, and neither wasmi nor we access beyond what is committed.
    unsafe { slice::from_raw_parts_mut(region.base().as_ptr(), region.size()) }
}

impl<T: LinearMemories + ?Sized> LinearMemories for Arc<T> {
    fn reserve(&self, bytes: usize) -> Option<Box<dyn Region>> {
        (**self).reserve(bytes)
    }
}
