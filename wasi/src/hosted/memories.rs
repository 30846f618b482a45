//! Homes for linear memories: address space from the operating system, which backs a page when it is first touched.

use crate::memory::{LinearMemories, Region};
use alloc::boxed::Box;
use core::ptr::{self, NonNull};
use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap_anonymous, mprotect, munmap};

/// The size of the processor's large pages on most systems; where it is another, growing is slower, nothing else.
const LARGE_PAGE: usize = 2 << 20;

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
        // wasmi writes every byte that a memory grows by, so pages are touched in a row and large ones save most of
        // the faults. Advice only: where there are none, nothing is lost.
        // SAFETY: the range is the new mapping, and the advice changes no content.
        let _ = unsafe { madvise(base.as_ptr().cast(), bytes, Advice::LinuxHugepage) };
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
        if bytes <= self.committed {
            return true;
        }
        // Whole large pages: what is not touched costs nothing.
        let committed =
            bytes.checked_next_multiple_of(LARGE_PAGE).map_or(self.size, |end| end.min(self.size));
        // SAFETY: `self.committed < committed <= self.size`: the range is inside the mapping.
        let protected = unsafe {
            let start = self.base.as_ptr().add(self.committed);
            mprotect(start.cast(), committed - self.committed, MprotectFlags::READ | MprotectFlags::WRITE)
        };
        if protected.is_ok() {
            self.committed = committed;
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
