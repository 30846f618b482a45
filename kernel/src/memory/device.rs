//! Device registers.

use super::layout::{DEVICES_END, PAGE, align_down, align_up};
use super::tables::{self, Entry, Level};
use core::ptr::{self, NonNull};

/// The address after the last one that a page table's entry can hold.
pub const PHYSICAL_END: u64 = 1 << 52;

/// Maps `len` bytes of device registers (or of firmware's tables) at `physical`, uncached, until the machine
/// ends. What is mapped twice has two addresses.
///
/// # Panics
/// If there is no memory for page tables: devices are mapped when the machine starts, before anything is kept for later. If the addresses cannot be
/// ([`PHYSICAL_END`]).
pub fn map_device(physical: u64, len: usize) -> NonNull<u8> {
    assert!(
        physical.checked_add(len as u64).is_some_and(|end| end <= PHYSICAL_END),
        "{len} bytes at {physical:#x} are beyond all physical addresses"
    );
    let first = align_down(physical, PAGE);
    let size = align_up(physical + len as u64, PAGE) - first;
    let mut memory = super::lock();
    let start = memory.next_device;
    assert!(size <= DEVICES_END - start, "no addresses left for the device at {physical:#x}");
    memory.next_device += size;
    for offset in (0..size).step_by(PAGE as usize) {
        let address = start + offset;
        let mut allocate = || memory.frames.allocate();
        let table = tables::directory_or_create(address, &mut allocate)
            .and_then(|directory| directory.next_or_create(address, Level::Directory, &mut allocate))
            .expect("memory for the page tables of devices");
        // SAFETY: nothing was mapped at this address; what the device does is its driver's responsibility.
        unsafe { table.set(address, Level::Leaf, Entry::device(first + offset)) };
    }
    let address = start + (physical - first);
    NonNull::new(ptr::with_exposed_provenance_mut(address as usize)).expect("devices are not at address 0")
}
