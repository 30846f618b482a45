//! Small blocks that were freed, one list for each size, in front of the allocator behind them.
//!
//! Most allocations are small and soon freed, and the next one of that size may have the block as it is: a few instructions in
//! place of the two hundred that finding, cutting and joining free memory takes. What is in a list is joined with nothing, so
//! it does not stay there for long: [`FreeLists::pop_any`] is how the owner empties them, now and then and when memory lacks.

use core::alloc::Layout;
use core::ptr::NonNull;

/// What the allocator behind the lists cuts memory by, and what it takes of each block for itself.
const UNIT: usize = 32;
const TAKEN: usize = 8;
/// Every block's alignment.
const ALIGN: usize = 16;
/// How many lists there are: for blocks of 24, 56, 88 bytes and so on.
const CLASSES: usize = 16;
/// How many bytes the lists hold at most, all together.
const CAPACITY: usize = 256 << 10;

/// The lists.
pub struct FreeLists {
    heads: [Option<NonNull<Link>>; CLASSES],
    bytes: usize,
}

/// The beginning of a free block.
struct Link(Option<NonNull<Link>>);

// SAFETY: the blocks are nobody's but the lists', wherever those are.
unsafe impl Send for FreeLists {}

/// The sizes and alignments that share a list.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Class(usize);

impl Class {
    /// The class of what has this layout, if it has one.
    pub fn of(layout: Layout) -> Option<Self> {
        let class = layout.size().wrapping_add(TAKEN - 1) / UNIT;
        (class < CLASSES && layout.align() <= ALIGN).then_some(Self(class))
    }

    /// The layout of its blocks, which is what they are allocated and freed with behind the lists.
    pub fn layout(self) -> Layout {
        // SAFETY: the alignment is a power of two, and a size of a few hundred bytes does not overflow when it is rounded up to it.
        unsafe { Layout::from_size_align_unchecked(self.size(), ALIGN) }
    }

    fn size(self) -> usize {
        (self.0 + 1) * UNIT - TAKEN
    }
}

impl FreeLists {
    /// Empty lists.
    pub const fn new() -> Self {
        Self { heads: [None; CLASSES], bytes: 0 }
    }

    /// How many bytes they hold.
    #[cfg(feature = "selftest")]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// A block of this class, if there is one.
    #[inline(always)]
    pub fn pop(&mut self, class: Class) -> Option<NonNull<u8>> {
        let head = self.heads.get_mut(class.0)?;
        let block = (*head)?;
        // SAFETY: what is in a list is free, and began with its link since `push`.
        *head = unsafe { block.read() }.0;
        self.bytes -= class.size();
        Some(block.cast())
    }

    /// Takes a block; false if the lists are full, and it remains the caller's.
    ///
    /// # Safety
    /// The block has this class's layout, and nobody uses it any more.
    #[inline(always)]
    pub unsafe fn push(&mut self, block: NonNull<u8>, class: Class) -> bool {
        let bytes = self.bytes + class.size();
        let Some(head) = self.heads.get_mut(class.0).filter(|_| bytes <= CAPACITY) else { return false };
        let block = block.cast::<Link>();
        // SAFETY: the caller gives the block, which has room for a link and its alignment.
        unsafe { block.write(Link(*head)) };
        *head = Some(block);
        self.bytes = bytes;
        true
    }

    /// Any block, with its class.
    pub fn pop_any(&mut self) -> Option<(NonNull<u8>, Class)> {
        let class = Class(self.heads.iter().position(Option::is_some)?);
        Some((self.pop(class)?, class))
    }
}
