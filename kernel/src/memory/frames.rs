//! Frames: which 4 KiB of RAM are free.
//!
//! RAM is divided into blocks of 2 MiB, each with a bitmap. Blocks are described only when they are first
//! needed, so that a machine with a lot of memory boots as fast as one with little. A frame comes from a block
//! that is in use already, if one has any left: what is used stays together, and whole blocks stay whole, for
//! who needs contiguous memory.
//!
//! Some of the free frames are *promised*: memory that is committed but was never touched (see `arena`). A page
//! fault takes a promised frame and so always finds one; everybody else takes what is not promised.

use super::layout::{LARGE_PAGE, PAGE, PAGES_PER_LARGE};
use boot::{List, PhysicalRange};
use core::slice;

/// RAM that is free at boot: sorted, disjoint, made of whole frames.
pub type Extents = List<PhysicalRange, 256>;

const NONE: u32 = u32::MAX;
const WORDS: usize = PAGES_PER_LARGE / 64;

/// 2 MiB of physical memory.
#[derive(Clone, Copy)]
pub struct Block {
    /// A bit for each frame, set if it is free.
    bitmap: [u64; WORDS],
    /// How many bits are set.
    free: u32,
    previous: u32,
    next: u32,
}

impl Block {
    fn lowest_free(&self) -> Option<usize> {
        let word = self.bitmap.iter().position(|&word| word != 0)?;
        Some(word * 64 + self.bitmap[word].trailing_zeros() as usize)
    }

    /// The first of `count` adjacent free frames.
    fn free_run(&self, count: usize) -> Option<usize> {
        let mut run = 0;
        (0..PAGES_PER_LARGE).find_map(|frame| {
            run = if self.is_free(frame) { run + 1 } else { 0 };
            (run == count).then(|| frame + 1 - count)
        })
    }

    fn is_free(&self, frame: usize) -> bool {
        self.bitmap[frame / 64] & 1 << (frame % 64) != 0
    }

    fn flip(&mut self, frame: usize) {
        self.bitmap[frame / 64] ^= 1 << (frame % 64);
    }
}

/// Which of the lists a block is in, if any: those with frames used and free, and those all free.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Partial,
    Whole,
}

fn kind(free: u32) -> Option<Kind> {
    match free as usize {
        0 => None,
        PAGES_PER_LARGE => Some(Kind::Whole),
        _ => Some(Kind::Partial),
    }
}

/// All frames of the machine.
pub struct Frames {
    blocks: &'static mut [Block],
    /// Blocks from this one on are not described yet.
    fresh: usize,
    extents: Extents,
    partial: u32,
    whole: u32,
    total: usize,
    free: usize,
    promised: usize,
}

impl Frames {
    /// How many bytes [`Frames::new`] needs to describe memory up to the physical address `end`.
    pub fn metadata_size(end: u64) -> u64 {
        end.div_ceil(LARGE_PAGE) * size_of::<Block>() as u64
    }

    /// The frames of `extents`.
    ///
    /// # Safety
    /// The extents are RAM that nobody uses. `metadata` points to [`Frames::metadata_size`] bytes for the end of
    /// the last extent, aligned to 8, outside of all extents, which are this allocator's from now on.
    pub unsafe fn new(extents: Extents, metadata: *mut u8) -> Self {
        let end = extents.last().map_or(0, |extent| extent.end);
        let count = end.div_ceil(LARGE_PAGE) as usize;
        // SAFETY: the caller gives this much memory, aligned, for ever. It is RAM that the machine started with:
        // it holds some bytes, and a `Block` is integers, for which any are valid.
        let blocks = unsafe { slice::from_raw_parts_mut(metadata.cast::<Block>(), count) };
        let total = extents.iter().map(|extent| extent.len() / PAGE).sum::<u64>() as usize;
        Self { blocks, fresh: 0, extents, partial: NONE, whole: NONE, total, free: total, promised: 0 }
    }

    /// How many frames the kernel had at boot.
    pub fn total(&self) -> usize {
        self.total
    }

    /// How many frames nobody uses, promised ones included.
    pub fn free(&self) -> usize {
        self.free
    }

    /// How many frames nobody has been promised.
    pub fn available(&self) -> usize {
        self.free - self.promised
    }

    /// Promises `count` frames, if that leaves `reserve` of them.
    pub fn promise(&mut self, count: usize, reserve: usize) -> bool {
        let enough = self.available() >= count.saturating_add(reserve);
        if enough {
            self.promised += count;
        }
        enough
    }

    /// Takes back the promise of `count` frames that were not taken.
    pub fn withdraw(&mut self, count: usize) {
        self.promised -= count;
    }

    /// A frame that was promised: its physical address.
    pub fn take_promised(&mut self) -> u64 {
        self.promised -= 1;
        self.take().expect("a promised frame is there")
    }

    /// A frame: its physical address.
    pub fn allocate(&mut self) -> Option<u64> {
        if self.available() > 0 { self.take() } else { None }
    }

    /// `count` adjacent frames, at most as many as a block has: the physical address of the first.
    pub fn allocate_contiguous(&mut self, count: usize) -> Option<u64> {
        if count == 0 || count > PAGES_PER_LARGE || self.available() < count {
            return None;
        }
        let (block, first) = self.find_run(count)?;
        for frame in first..first + count {
            self.flip(block, frame);
        }
        Some(address(block, first))
    }

    fn find_run(&mut self, count: usize) -> Option<(usize, usize)> {
        loop {
            for head in [self.partial, self.whole] {
                let mut index = head;
                while let Some(block) = self.blocks.get(index as usize) {
                    if let Some(first) = block.free_run(count) {
                        return Some((index as usize, first));
                    }
                    index = block.next;
                }
            }
            if !self.describe_next() {
                return None;
            }
        }
    }

    /// Gives a frame back.
    ///
    /// # Safety
    /// `frame` came from this allocator, and nobody uses it any more.
    pub unsafe fn free_frame(&mut self, frame: u64) {
        let (block, index) = ((frame / LARGE_PAGE) as usize, (frame % LARGE_PAGE / PAGE) as usize);
        assert!(!self.blocks[block].is_free(index), "frame {frame:#x} is freed twice");
        self.flip(block, index);
    }

    fn take(&mut self) -> Option<u64> {
        loop {
            let head = if self.partial == NONE { self.whole } else { self.partial };
            if let Some(frame) = self.blocks.get(head as usize).and_then(Block::lowest_free) {
                self.flip(head as usize, frame);
                return Some(address(head as usize, frame));
            }
            if !self.describe_next() {
                return None;
            }
        }
    }

    /// Makes a used frame free or a free one used.
    fn flip(&mut self, index: usize, frame: usize) {
        let block = &mut self.blocks[index];
        let before = block.free;
        block.flip(frame);
        if block.is_free(frame) {
            block.free += 1;
            self.free += 1;
        } else {
            block.free -= 1;
            self.free -= 1;
        }
        let after = block.free;
        if kind(before) != kind(after) {
            self.unlink(index, kind(before));
            self.link(index, kind(after));
        }
    }

    fn head(&mut self, kind: Kind) -> &mut u32 {
        match kind {
            Kind::Partial => &mut self.partial,
            Kind::Whole => &mut self.whole,
        }
    }

    fn link(&mut self, index: usize, kind: Option<Kind>) {
        let Some(kind) = kind else { return };
        let next = core::mem::replace(self.head(kind), index as u32);
        self.blocks[index].previous = NONE;
        self.blocks[index].next = next;
        if let Some(next) = self.blocks.get_mut(next as usize) {
            next.previous = index as u32;
        }
    }

    fn unlink(&mut self, index: usize, kind: Option<Kind>) {
        let Some(kind) = kind else { return };
        let Block { previous, next, .. } = self.blocks[index];
        match self.blocks.get_mut(previous as usize) {
            Some(previous) => previous.next = next,
            None => *self.head(kind) = next,
        }
        if let Some(next) = self.blocks.get_mut(next as usize) {
            next.previous = previous;
        }
    }

    /// Describes the next block of which nothing is known yet; false if there is none.
    fn describe_next(&mut self) -> bool {
        let index = self.fresh;
        let Some(block) = self.blocks.get_mut(index) else { return false };
        self.fresh += 1;
        let start = index as u64 * LARGE_PAGE;
        *block = Block { bitmap: [0; WORDS], free: 0, previous: NONE, next: NONE };
        for extent in self.extents.iter() {
            let (from, to) = (extent.start.max(start), extent.end.min(start + LARGE_PAGE));
            for frame in (from..to).step_by(PAGE as usize) {
                block.flip(((frame - start) / PAGE) as usize);
                block.free += 1;
            }
        }
        let free = block.free;
        self.link(index, kind(free));
        true
    }
}

fn address(block: usize, frame: usize) -> u64 {
    block as u64 * LARGE_PAGE + frame as u64 * PAGE
}
