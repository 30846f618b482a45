//! What `virtio-drivers` needs of the kernel, and the buffers that devices read and write.

use crate::memory::{self, dma};
use core::{mem, ptr::NonNull, slice};
use virtio_drivers::{BufferDirection, PAGE_SIZE, PhysAddr};

/// A buffer that a device can take in one piece: contiguous in physical memory, zeroed at first.
pub struct DmaBuffer {
    physical: u64,
    pointer: NonNull<u8>,
    pages: usize,
}

// SAFETY: the buffer owns its memory, which any thread may use.
unsafe impl Send for DmaBuffer {}

impl DmaBuffer {
    /// Room for at least `len` bytes, in whole pages; `None` if there is none.
    pub fn new(len: usize) -> Option<Self> {
        Self::of_pages(len.div_ceil(PAGE_SIZE))
    }

    fn of_pages(pages: usize) -> Option<Self> {
        let (physical, pointer) = dma::allocate(pages)?;
        Some(Self { physical, pointer, pages })
    }

    /// Its bytes.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: the buffer's own memory, initialised. What a device has is not looked at: see `VirtQueue::add`.
        unsafe { slice::from_raw_parts(self.pointer.as_ptr(), self.pages * PAGE_SIZE) }
    }

    /// Its bytes.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as in `as_slice`, and borrowed for as long.
        unsafe { slice::from_raw_parts_mut(self.pointer.as_ptr(), self.pages * PAGE_SIZE) }
    }
}

impl Drop for DmaBuffer {
    fn drop(&mut self) {
        // SAFETY: allocated by `of_pages`; a driver drops a buffer only when its device does not have it.
        unsafe { dma::free(self.physical, self.pages) };
    }
}

/// The kernel, as `virtio-drivers` sees it. Devices see physical memory: no IOMMU, no bounce buffers.
pub struct Hal;

// SAFETY: `dma::allocate` gives zeroed pages, contiguous, nobody else's until they are freed; `map_device` maps what it is
// asked for; `share` translates what the page tables say.
unsafe impl virtio_drivers::Hal for Hal {
    fn dma_alloc(pages: usize, _: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        // Physical address 0 is how this interface says that there is no memory.
        let Some(buffer) = DmaBuffer::of_pages(pages) else { return (0, NonNull::dangling()) };
        let buffer = mem::ManuallyDrop::new(buffer);
        (buffer.physical, buffer.pointer)
    }

    unsafe fn dma_dealloc(physical: PhysAddr, pointer: NonNull<u8>, pages: usize) -> i32 {
        drop(DmaBuffer { physical, pointer, pages });
        0
    }

    unsafe fn mmio_phys_to_virt(physical: PhysAddr, size: usize) -> NonNull<u8> {
        memory::map_device(physical, size)
    }

    unsafe fn share(buffer: NonNull<[u8]>, _: BufferDirection) -> PhysAddr {
        // The drivers here give devices nothing but `DmaBuffer`s, which are contiguous.
        dma::contiguous(buffer).expect("a buffer for a device is contiguous")
    }

    unsafe fn unshare(_: PhysAddr, _: NonNull<[u8]>, _: BufferDirection) {}
}
