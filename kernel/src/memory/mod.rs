//! Memory. (A heap inside the image, until frames and page tables are here.)

use boot::BootInfo;
use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};
use spin::Mutex;
use talc::DefaultBinning;
use talc::base::Talc;
use talc::source::Claim;

static mut ARENA: [u8; 6 << 20] = [0; 6 << 20];

struct Heap(Mutex<Talc<Claim, DefaultBinning>>);

#[global_allocator]
// SAFETY: nobody else uses `ARENA`.
static HEAP: Heap = Heap(Mutex::new(Talc::new(unsafe { Claim::array(&raw mut ARENA) })));

// SAFETY: the allocator's promises are Talc's own; the lock makes it one at a time.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller promises that the size is not 0.
        unsafe { self.0.lock().allocate(layout) }.map_or(ptr::null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller promises that it came from `alloc` with this layout.
        unsafe { self.0.lock().deallocate(pointer, layout) }
    }
}

/// Sets up memory.
pub fn init(_: &BootInfo) {}

/// Handles a page fault; false if it is a real one.
pub fn page_fault(_address: u64, _error: u64) -> bool {
    false
}
