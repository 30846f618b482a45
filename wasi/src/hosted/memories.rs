//! Homes for linear memories: address space from the operating system, which backs a page when it is first touched.

use crate::memory::{LinearMemories, Region};
use alloc::boxed::Box;
use core::ptr::{self, NonNull};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};

/// Address space by `mmap`.
pub struct MappedMemories;

impl LinearMemories for MappedMemories {
    fn reserve(&self, bytes: usize) -> Option<Box<dyn Region>> {
        if bytes == 0 || isize::try_from(bytes).is_err() {
            return None;
        }
        // SAFETY: no address is asked for, so nothing that exists is touched.
        let base = unsafe {
            mmap_anonymous(
                ptr::null_mut(),
                bytes,
                ProtFlags::empty(),
                MapFlags::PRIVATE | MapFlags::NORESERVE,
            )
        };
        let base = NonNull::new(base.ok()?.cast::<u8>())?;
        Some(Box::new(Mapping { base, size: bytes, committed: 0 }))
    }
}

struct Mapping {
    base: NonNull<u8>,
    size: usize,
    committed: usize,
}

// SAFETY: the mapping belongs to nobody else; the pointer is only an address here.
unsafe impl Send for Mapping {}
// SAFETY: shared references give the address and the size, nothing that changes.
unsafe impl Sync for Mapping {}

// SAFETY: the range is an anonymous private mapping of its own from `reserve` until `drop` unmaps it; the kernel gave it,
// so it is at most `isize::MAX` long (checked). What is committed is readable and writable, zeroed by the
// operating system.
unsafe impl Region for Mapping {
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
        let Some(more) = bytes.checked_sub(self.committed).filter(|more| *more > 0) else { return true };
        // SAFETY: `committed <= size`, so the start is inside the mapping; from there `more` bytes are.
        let protected = unsafe {
            let start = self.base.as_ptr().add(self.committed);
            mprotect(start.cast(), more, MprotectFlags::READ | MprotectFlags::WRITE)
        };
        if protected.is_ok() {
            self.committed = bytes;
        }
        protected.is_ok()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is this region's, and by `Region`'s contract nothing uses it any more.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.size) };
    }
}
