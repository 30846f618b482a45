//! Page tables: four levels, walked through the mappings of `layout`.
//!
//! What an entry means is said here; what is mapped where is said by who maps it.

use super::layout::{LARGE_PAGE, PAGE, virtual_address};
use boot::{KERNEL_BASE, kernel_table};
use core::ptr;
use x86_64::VirtAddr;
use x86_64::instructions::tlb;
use x86_64::structures::paging::PageTableFlags;

/// The bits of an entry that hold a physical address.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// An entry of a page table of any level.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Entry(pub u64);

impl Entry {
    /// Nothing.
    pub const EMPTY: Self = Self(0);

    /// Maps `physical`, which may be written but not executed.
    pub const fn data(physical: u64) -> Self {
        Self(physical | Self::flags(PageTableFlags::WRITABLE.union(PageTableFlags::NO_EXECUTE)))
    }

    /// As [`Entry::data`], for device registers: never cached.
    pub const fn device(physical: u64) -> Self {
        let uncached = PageTableFlags::NO_CACHE.union(PageTableFlags::WRITE_THROUGH);
        Self(Self::data(physical).0 | uncached.bits())
    }

    /// As [`Entry::data`], for the 2 MiB at `physical`, in a page directory.
    pub const fn large_data(physical: u64) -> Self {
        Self(Self::data(physical).0 | PageTableFlags::HUGE_PAGE.bits())
    }

    /// Leads to a table of the next level, whose entries say what is allowed.
    pub const fn table(physical: u64) -> Self {
        Self(physical | Self::flags(PageTableFlags::WRITABLE))
    }

    const fn flags(flags: PageTableFlags) -> u64 {
        PageTableFlags::PRESENT.union(flags).bits()
    }

    /// Whether the processor follows it.
    pub const fn is_present(self) -> bool {
        self.0 & PageTableFlags::PRESENT.bits() != 0
    }

    /// Whether it maps a large page.
    pub const fn is_large(self) -> bool {
        self.0 & PageTableFlags::HUGE_PAGE.bits() != 0
    }

    /// The physical address in it.
    pub const fn physical(self) -> u64 {
        self.0 & ADDRESS
    }
}

/// The levels, from the root. The number is the shift of the part of an address that selects the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Level {
    /// PML4.
    Root = 39,
    /// Page directory pointers.
    Pointers = 30,
    /// Page directory.
    Directory = 21,
    /// Page table.
    Leaf = 12,
}

/// A page table that exists.
#[derive(Clone, Copy)]
pub struct Table(u64);

impl Table {
    /// The root that the processor uses.
    pub fn root() -> Self {
        Self(kernel_table() as u64 - KERNEL_BASE)
    }

    /// The table at `physical`, emptied.
    ///
    /// # Safety
    /// It is a frame of the caller's, mapped as `layout` says, to be a table from now on.
    pub unsafe fn create(physical: u64) -> Self {
        let table = Self(physical);
        // SAFETY: the caller gives the frame.
        unsafe { ptr::write_bytes(table.entries(), 0, 512) };
        table
    }

    fn entries(self) -> *mut Entry {
        ptr::with_exposed_provenance_mut(virtual_address(self.0) as usize)
    }

    fn index(address: u64, level: Level) -> usize {
        (address >> level as u8) as usize & 511
    }

    /// The entry for `address`; `level` is the table's.
    pub fn get(self, address: u64, level: Level) -> Entry {
        // SAFETY: the table exists, and an index is below 512. Volatile: the processor may write accessed bits.
        unsafe { self.entries().add(Self::index(address, level)).read_volatile() }
    }

    /// Sets the entry for `address`; `level` is the table's.
    ///
    /// # Safety
    /// Nothing refers to what the entry mapped; who accesses what it maps now has a right to.
    pub unsafe fn set(self, address: u64, level: Level, entry: Entry) {
        // SAFETY: as `get`; the caller answers for what it means.
        unsafe { self.entries().add(Self::index(address, level)).write_volatile(entry) };
    }

    /// The table that the entry for `address` leads to.
    pub fn next(self, address: u64, level: Level) -> Option<Self> {
        let entry = self.get(address, level);
        (entry.is_present() && !entry.is_large()).then(|| Self(entry.physical()))
    }

    /// The table that the entry for `address` leads to, made of a frame from `allocate` if there is none.
    pub fn next_or_create(
        self,
        address: u64,
        level: Level,
        allocate: &mut impl FnMut() -> Option<u64>,
    ) -> Option<Self> {
        if let Some(next) = self.next(address, level) {
            return Some(next);
        }
        let frame = allocate()?;
        // SAFETY: `allocate` gives frames to be tables; an empty one maps nothing.
        unsafe {
            let table = Self::create(frame);
            self.set(address, level, Entry::table(frame));
            Some(table)
        }
    }
}

/// The page directory for `address`.
pub fn directory(address: u64) -> Option<Table> {
    Table::root().next(address, Level::Root)?.next(address, Level::Pointers)
}

/// The page directory for `address`, with tables from `allocate` where there are none.
pub fn directory_or_create(address: u64, allocate: &mut impl FnMut() -> Option<u64>) -> Option<Table> {
    let pointers = Table::root().next_or_create(address, Level::Root, allocate)?;
    pointers.next_or_create(address, Level::Pointers, allocate)
}

/// What maps `address`, and how many bytes it maps.
pub fn lookup(address: u64) -> Option<(Entry, u64)> {
    let directory = directory(address)?;
    let entry = directory.get(address, Level::Directory);
    if entry.is_present() && entry.is_large() {
        return Some((entry, LARGE_PAGE));
    }
    let entry = directory.next(address, Level::Directory)?.get(address, Level::Leaf);
    entry.is_present().then_some((entry, PAGE))
}

/// The physical address that `address` is mapped to.
pub fn translate(address: u64) -> Option<u64> {
    let (entry, size) = lookup(address)?;
    Some((entry.physical() & !(size - 1)) + (address & (size - 1)))
}

/// Forgets the cached translation of the page at `address`.
pub fn flush(address: u64) {
    tlb::flush(VirtAddr::new_truncate(address));
}

/// Forgets all cached translations.
pub fn flush_all() {
    tlb::flush_all();
}
