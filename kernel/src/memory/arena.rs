//! The arena: address space that costs nothing until it is used.
//!
//! The arena is divided among classes of slots, from 2 MiB to 512 GiB, four times larger each. A [`Reservation`]
//! is a slot; its memory begins at the slot's start and may grow to its end, and beyond: a larger slot takes over
//! the page tables, and nothing is copied.
//!
//! *Committing* memory promises frames for it and for its page tables (see `frames`), so that touching it cannot
//! fail; what cannot be promised is refused then. The first touch of a page maps zeroed frames. There is no
//! record of slots but the page directories: the entry for each 2 MiB counts how many of its pages are committed,
//! in bits that the processor ignores, and that of a free slot leads to the next free one.

use super::frames::Frames;
use super::layout::{ARENA, LARGE_PAGE, PAGE, PAGES_PER_LARGE, virtual_address};
use super::tables::{self, Entry, Level, Table};
use core::ptr;

/// How many classes there are; class `n` has slots of `LARGE_PAGE << 2n` bytes.
const CLASSES: usize = 10;
/// The address space of each class: 4 TiB.
const CLASS_SIZE: u64 = 1 << 42;
/// How many pages a page fault maps: 16 KiB.
const FAULT_AROUND: usize = 4;
/// How many it maps at most where the page before is mapped, as it is when memory is touched from its beginning to its end: 64 KiB.
const FAULT_ONWARD: usize = 16;
/// How many translations are forgotten one by one, rather than all at once.
const FLUSH_EACH: usize = 32;

/// The entry of a page directory in the arena.
#[derive(Clone, Copy)]
struct Chunk(Entry);

impl Chunk {
    /// The processor ignores bits 52 to 62 of an entry that leads to a table.
    const COUNT: u32 = 52;
    const COUNT_MASK: u64 = 0x3ff << Self::COUNT;
    /// Set in an entry that is not present: a link to the next free slot.
    const LINK: u64 = 2;

    /// How many of its pages are committed.
    fn committed(self) -> usize {
        ((self.0.0 & Self::COUNT_MASK) >> Self::COUNT) as usize
    }

    fn with_committed(self, count: usize) -> Self {
        Self(Entry(self.0.0 & !Self::COUNT_MASK | (count as u64) << Self::COUNT))
    }

    fn link(next: u32) -> Self {
        Self(Entry(u64::from(next) << 12 | Self::LINK))
    }

    fn linked(self) -> u32 {
        (self.0.0 >> 12) as u32
    }
}

/// The slots of a class.
#[derive(Clone, Copy)]
struct Class {
    /// How many slots were ever used.
    used: u32,
    /// One more than the index of the first free one below `used`; 0 if there is none.
    free: u32,
}

/// The arena: all slots.
pub struct Arena {
    classes: [Class; CLASSES],
    /// How many slots are in use.
    slots: usize,
}

/// A slot and the committed memory at its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its first address.
    pub base: u64,
    /// How many pages are committed.
    pub pages: usize,
}

impl Slot {
    /// No slot.
    pub const NONE: Self = Self { base: 0, pages: 0 };

    /// The slot with `pages` pages at `base`.
    pub fn new(base: u64, pages: usize) -> Self {
        Self { base, pages }
    }

    /// How many frames were promised for what is committed: its pages and their tables.
    pub fn frames(self) -> usize {
        self.pages + Self::chunks(self.pages)
    }

    /// Whether it is what [`Arena::reserve`] would give for `bytes`, with no more than that committed.
    pub fn fits(self, bytes: u64) -> bool {
        class_for(bytes) == Some(self.class()) && self.pages as u64 * PAGE <= bytes
    }

    fn class(self) -> usize {
        ((self.base - ARENA) / CLASS_SIZE) as usize
    }

    fn capacity(self) -> u64 {
        slot_size(self.class())
    }

    fn chunks(pages: usize) -> usize {
        pages.div_ceil(PAGES_PER_LARGE)
    }

    /// How many of `pages` are in chunk `index`.
    fn pages_in_chunk(pages: usize, index: usize) -> usize {
        pages.saturating_sub(index * PAGES_PER_LARGE).min(PAGES_PER_LARGE)
    }

    fn chunk_address(self, index: usize) -> u64 {
        self.base + index as u64 * LARGE_PAGE
    }
}

fn slot_size(class: usize) -> u64 {
    LARGE_PAGE << (2 * class)
}

/// The class of the smallest slots with room for `bytes`.
fn class_for(bytes: u64) -> Option<usize> {
    (0..CLASSES).find(|&class| slot_size(class) >= bytes)
}

/// Whether the arena is at `address`.
pub fn contains(address: u64) -> bool {
    (ARENA..ARENA + CLASSES as u64 * CLASS_SIZE).contains(&address)
}

impl Arena {
    /// An arena with nothing in it.
    pub const fn new() -> Self {
        Self { classes: [Class { used: 0, free: 0 }; CLASSES], slots: 0 }
    }

    /// A slot with room for `len` bytes, nothing committed.
    pub fn reserve(&mut self, frames: &mut Frames, len: u64) -> Option<Slot> {
        let class = class_for(len)?;
        let start = ARENA + class as u64 * CLASS_SIZE;
        let Class { used, free } = &mut self.classes[class];
        if let Some(index) = free.checked_sub(1) {
            let base = start + u64::from(index) * slot_size(class);
            let directory = tables::directory(base)?;
            *free = Chunk(directory.get(base, Level::Directory)).linked();
            // SAFETY: a free slot's first entry is its link, which maps nothing.
            unsafe { directory.set(base, Level::Directory, Entry::EMPTY) };
            self.slots += 1;
            return Some(Slot::new(base, 0));
        }
        let base = start + u64::from(*used) * slot_size(class);
        if base >= start + CLASS_SIZE {
            return None;
        }
        // Here already, so that giving the slot back cannot fail.
        tables::directory_or_create(base, &mut || frames.allocate())?;
        *used += 1;
        self.slots += 1;
        Some(Slot::new(base, 0))
    }

    /// How many slots are in use.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Gives a slot back, with all that is committed of it.
    pub fn release(&mut self, frames: &mut Frames, mut slot: Slot) {
        self.shrink(frames, &mut slot, 0);
        self.free_slot(slot);
    }

    fn free_slot(&mut self, slot: Slot) {
        let class = slot.class();
        let index = (slot.base - ARENA - class as u64 * CLASS_SIZE) / slot_size(class);
        let free = &mut self.classes[class].free;
        let link = Chunk::link(*free).0;
        *free = index as u32 + 1;
        self.slots -= 1;
        let directory = tables::directory(slot.base).expect("made when the slot was reserved");
        // SAFETY: nothing is committed of the slot, so the entry maps nothing, nor does a link.
        unsafe { directory.set(slot.base, Level::Directory, link) };
    }

    /// Commits `pages` pages of a slot in all, fewer or more than before. The slot may move if they are more. False, and nothing has
    /// changed, if they cannot be had so that `reserve` frames stay free.
    pub fn resize(&mut self, frames: &mut Frames, slot: &mut Slot, pages: usize, reserve: usize) -> bool {
        // As many take nothing, whatever is to stay free.
        if pages <= slot.pages {
            self.shrink(frames, slot, pages);
            return true;
        }
        self.grow(frames, slot, pages, reserve)
    }

    /// Commits more of a slot, as [`resize`](Self::resize) does.
    fn grow(&mut self, frames: &mut Frames, slot: &mut Slot, pages: usize, reserve: usize) -> bool {
        let chunks = Slot::chunks(slot.pages)..Slot::chunks(pages);
        let Some(cost) = (pages - slot.pages).checked_add(chunks.len()) else { return false };
        if !frames.promise(cost, reserve) {
            return false;
        }
        let grown = (pages as u64 * PAGE <= slot.capacity() || self.move_up(frames, slot, pages))
            && Self::count_up(frames, *slot, pages).is_some();
        if grown {
            slot.pages = pages;
        } else {
            frames.withdraw(cost);
        }
        grown
    }

    /// Raises the counts of committed pages to `pages` in all, once all directories for them exist.
    fn count_up(frames: &mut Frames, slot: Slot, pages: usize) -> Option<()> {
        let first = slot.pages / PAGES_PER_LARGE;
        let last = Slot::chunks(pages);
        for index in (first..last).step_by(512).chain(last.checked_sub(1)) {
            tables::directory_or_create(slot.chunk_address(index), &mut || frames.allocate())?;
        }
        for index in first..last {
            let address = slot.chunk_address(index);
            let directory = tables::directory(address)?;
            let chunk = Chunk(directory.get(address, Level::Directory));
            let entry = chunk.with_committed(Slot::pages_in_chunk(pages, index)).0;
            // SAFETY: only the count changes; what is mapped stays.
            unsafe { directory.set(address, Level::Directory, entry) };
        }
        Some(())
    }

    /// Moves what is committed of a slot to a slot with room for `pages`.
    fn move_up(&mut self, frames: &mut Frames, slot: &mut Slot, pages: usize) -> bool {
        let Some(to) = self.reserve(frames, pages as u64 * PAGE) else { return false };
        // All directories first, those for what it grows by too: once it has moved, nothing may fail.
        let all_chunks = Slot::chunks(pages);
        for index in (0..all_chunks).step_by(512).chain(all_chunks.checked_sub(1)) {
            if tables::directory_or_create(to.chunk_address(index), &mut || frames.allocate()).is_none() {
                self.free_slot(to);
                return false;
            }
        }
        for index in 0..Slot::chunks(slot.pages) {
            let (old, new) = (slot.chunk_address(index), to.chunk_address(index));
            if let (Some(from), Some(to)) = (tables::directory(old), tables::directory(new)) {
                // SAFETY: the table changes its place; who refers to the old one gets the new one from us.
                unsafe {
                    to.set(new, Level::Directory, from.get(old, Level::Directory));
                    from.set(old, Level::Directory, Entry::EMPTY);
                }
            }
        }
        tables::flush_all();
        self.free_slot(*slot);
        *slot = Slot::new(to.base, slot.pages);
        true
    }

    /// Gives back what is committed of a slot beyond `pages` pages.
    pub fn shrink(&mut self, frames: &mut Frames, slot: &mut Slot, pages: usize) {
        let mut flush = Flush::default();
        for index in pages / PAGES_PER_LARGE..Slot::chunks(slot.pages) {
            let address = slot.chunk_address(index);
            let Some(directory) = tables::directory(address) else { continue };
            let chunk = Chunk(directory.get(address, Level::Directory));
            let (before, after) = (chunk.committed(), Slot::pages_in_chunk(pages, index));
            let table = directory.next(address, Level::Directory);
            let mut entry = chunk.with_committed(after).0;
            let mut unused = before - after;
            if let Some(table) = table {
                unused -= unmap(frames, table, address, after..before, &mut flush);
            }
            let freed_table = table.is_some() && after == 0;
            if freed_table {
                // SAFETY: the entry that leads to the table goes below.
                unsafe { frames.free_frame(entry.physical()) };
            }
            if after == 0 {
                unused += usize::from(!freed_table);
                entry = Entry::EMPTY;
            }
            // SAFETY: the pages that are not committed any more are the caller's, who gave them up.
            unsafe { directory.set(address, Level::Directory, entry) };
            if freed_table {
                // The processor may remember the table even if it maps nothing.
                flush.add(address);
            }
            frames.withdraw(unused);
        }
        flush.finish();
        slot.pages = pages;
    }

    /// Maps the page at `address`, if it is committed, and some after it; false if it is not.
    pub fn fault(&mut self, frames: &mut Frames, address: u64) -> bool {
        let Some(directory) = tables::directory(address) else { return false };
        let chunk = Chunk(directory.get(address, Level::Directory));
        let page = (address % LARGE_PAGE / PAGE) as usize;
        if page >= chunk.committed() {
            return false;
        }
        let table = directory.next(address, Level::Directory).unwrap_or_else(|| {
            let frame = frames.take_promised();
            // SAFETY: a frame of ours alone; an empty table maps nothing, and the count stays.
            unsafe {
                let table = Table::create(frame);
                let entry = Chunk(Entry::table(frame)).with_committed(chunk.committed()).0;
                directory.set(address, Level::Directory, entry);
                table
            }
        });
        let start = page - page % FAULT_AROUND;
        let chunk_base = address - address % LARGE_PAGE;
        let before = start.checked_sub(1).map(|page| chunk_base + page as u64 * PAGE);
        let onward = before.is_some_and(|before| table.get(before, Level::Leaf).is_present());
        let end = start + if onward { FAULT_ONWARD - start % FAULT_ONWARD } else { FAULT_AROUND };
        for page in start..end.min(chunk.committed()) {
            let address = chunk_base + page as u64 * PAGE;
            if !table.get(address, Level::Leaf).is_present() {
                let frame = frames.take_promised();
                zero_frame(frame);
                // SAFETY: the page is committed, so its owner may use it; the frame is for nobody else.
                unsafe { table.set(address, Level::Leaf, Entry::data(frame)) };
            }
        }
        true
    }
}

/// Frees the frames of those `pages` of a table that are mapped; how many there were.
fn unmap(
    frames: &mut Frames,
    table: Table,
    chunk: u64,
    pages: core::ops::Range<usize>,
    flush: &mut Flush,
) -> usize {
    let mut count = 0;
    for page in pages {
        let address = chunk + page as u64 * PAGE;
        let entry = table.get(address, Level::Leaf);
        if entry.is_present() {
            // SAFETY: the page's owner gave it up, and nobody else knew the frame.
            unsafe {
                table.set(address, Level::Leaf, Entry::EMPTY);
                frames.free_frame(entry.physical());
            }
            flush.add(address);
            count += 1;
        }
    }
    count
}

/// The translations to forget.
#[derive(Default)]
struct Flush {
    pages: usize,
}

impl Flush {
    fn add(&mut self, address: u64) {
        self.pages += 1;
        if self.pages <= FLUSH_EACH {
            tables::flush(address);
        }
    }

    fn finish(self) {
        if self.pages > FLUSH_EACH {
            tables::flush_all();
        }
    }
}

fn zero_frame(frame: u64) {
    let frame: *mut u8 = ptr::with_exposed_provenance_mut(virtual_address(frame) as usize);
    // SAFETY: the caller owns the frame, and the direct map has it.
    unsafe { frame.write_bytes(0, PAGE as usize) };
}

/// Zeroes whole pages from `address`: only those that are mapped, the others read as zero already.
///
/// # Safety
/// The caller may write the pages, and they are the arena's.
pub unsafe fn zero_pages(address: u64, pages: usize) {
    let end = address + pages as u64 * PAGE;
    let mut at = address;
    while at < end {
        let next_chunk = (at - at % LARGE_PAGE + LARGE_PAGE).min(end);
        let table = tables::directory(at).and_then(|directory| directory.next(at, Level::Directory));
        if let Some(table) = table {
            for page in (at..next_chunk).step_by(PAGE as usize) {
                let entry = table.get(page, Level::Leaf);
                if entry.is_present() {
                    zero_frame(entry.physical());
                }
            }
        }
        at = next_chunk;
    }
}
