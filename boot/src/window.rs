//! A window onto physical memory for the time before the kernel has mappings of its own.
//!
//! Two pages of 2 MiB, read only, in the last GiB of address space; closed again when dropped.

use crate::entry::{reload_page_tables, window_table};
use crate::pvh::PhysicalMemory;
use core::ptr;

const PAGE: u64 = 2 << 20;
/// The first address that the window's directory maps.
const BASE: usize = 0xffff_ffff_c000_0000;
/// Present, 2 MiB, accessed, never executed, not writable.
const FLAGS: u64 = 1 | 1 << 7 | 1 << 5 | 1 << 63;
/// The bits of a physical address that an entry can hold.
const ADDRESS: u64 = 0x000f_ffff_ffe0_0000;

/// The window. There is one; `boot_main` has it.
pub(crate) struct Window {
    page: Option<u64>,
}

impl Window {
    /// # Safety
    /// Nothing else uses the window's page directory while this lives.
    pub(crate) unsafe fn open() -> Self {
        Self { page: None }
    }

    fn set(&mut self, entries: [u64; 2]) {
        let table = window_table();
        for (index, entry) in entries.into_iter().enumerate() {
            // SAFETY: the directory has 512 entries and, as `open` asks, is ours alone; the addresses that
            // these entries map are used by `read` only, which keeps no reference into them.
            unsafe { table.add(index).write_volatile(entry) };
        }
        reload_page_tables();
    }
}

impl PhysicalMemory for Window {
    fn read(&mut self, address: u64, buffer: &mut [u8]) {
        let page = address & !(PAGE - 1);
        if page & !ADDRESS != 0 || buffer.len() as u64 > PAGE {
            buffer.fill(0);
            return;
        }
        if self.page != Some(page) {
            self.set([page | FLAGS, (page.saturating_add(PAGE) & ADDRESS) | FLAGS]);
            self.page = Some(page);
        }
        let from = ptr::with_exposed_provenance::<u8>(BASE + (address - page) as usize);
        for (offset, byte) in buffer.iter_mut().enumerate() {
            // SAFETY: the two pages are mapped, and the offset in the first plus the buffer's length is at most
            // the length of both. Volatile, because the compiler does not know this memory.
            *byte = unsafe { from.add(offset).read_volatile() };
        }
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.set([0, 0]);
    }
}
