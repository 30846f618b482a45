//! Memory that devices see: contiguous pages, and the physical addresses of buffers.

use super::layout::{PAGE, virtual_address};
use super::tables;
use core::ptr::{self, NonNull};

/// Allocates `pages` contiguous pages (at most 512), zeroed: their physical address, and where they are mapped.
pub fn allocate(pages: usize) -> Option<(u64, NonNull<u8>)> {
    let physical = super::lock().attempt(|frames, _| frames.allocate_contiguous(pages))?;
    let pointer = NonNull::new(ptr::with_exposed_provenance_mut(virtual_address(physical) as usize))?;
    // SAFETY: the frames are ours, and the direct map has them.
    unsafe { pointer.write_bytes(0, pages * PAGE as usize) };
    Some((physical, pointer))
}

/// Frees what [`allocate`] gave.
///
/// # Safety
/// `physical` and `pages` are those of an allocation that neither the caller nor a device uses any more.
pub unsafe fn free(physical: u64, pages: usize) {
    let mut memory = super::lock();
    for page in 0..pages as u64 {
        // SAFETY: as the caller promises.
        unsafe { memory.frames.free_frame(physical + page * PAGE) };
    }
}

/// The physical address of `pointer`, whose page is mapped if need be.
///
/// `None` if there is no memory at that address.
pub fn physical_address(pointer: *const u8) -> Option<u64> {
    let address = pointer.expose_provenance() as u64;
    if tables::lookup(address).is_none() && !super::page_fault(address, 0) {
        return None;
    }
    tables::translate(address)
}

/// The physical address of a buffer, if it is contiguous there; `None` if a device cannot take it in one piece.
pub fn contiguous(buffer: NonNull<[u8]>) -> Option<u64> {
    let start = buffer.cast::<u8>().as_ptr().cast_const();
    let first = physical_address(start)?;
    // To the next page, and on from page to page.
    let mut offset = (PAGE - start.addr() as u64 % PAGE) as usize;
    while offset < buffer.len() {
        if physical_address(start.wrapping_add(offset))? != first + offset as u64 {
            return None;
        }
        offset += PAGE as usize;
    }
    Some(first)
}
