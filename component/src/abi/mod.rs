//! The canonical ABI: values out of linear memory and flat core values (lifting), and into them (lowering).
//!
//! Pure functions of bytes, types and a table of handles: nothing here calls a guest. Where lowering needs memory of the
//! guest, a [`Lowering`] says which calls of `realloc` to make, in the canonical order, and takes their results.

use crate::{
    Trap, Type, Value,
    handles::{Handles, ResourceId},
};
use alloc::vec::Vec;

/// How strings lie in a memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StringEncoding {
    /// UTF-8.
    #[default]
    Utf8,
    /// UTF-16, little-endian.
    Utf16,
    /// Latin-1, or UTF-16 where the length has its highest bit set.
    CompactUtf16,
}

/// The type of a flat core value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "WebAssembly's own names")]
pub enum CoreType {
    I32,
    I64,
    F32,
    F64,
}

/// Flat values are the raw bits of core values (an `i32` zero-extended).
pub type Flat = u64;

/// Parameters above this number go through memory.
pub const MAX_FLAT_PARAMS: usize = 16;
/// Results above this number go through memory.
pub const MAX_FLAT_RESULTS: usize = 1;

/// What lifting works on: the instance that the values come from.
pub struct LiftContext<'a> {
    /// Its linear memory (empty if there is none).
    pub memory: &'a [u8],
    /// How strings lie in it.
    pub encoding: StringEncoding,
    /// Its handles.
    pub handles: &'a mut Handles,
    /// What the [`ResourceIndex`](crate::types::ResourceIndex) of the types stand for in this instance.
    pub resources: &'a [ResourceId],
    /// The handles lent to the call: to be given back when it ends.
    pub lent: &'a mut Vec<u32>,
}

/// What lowering works on: the instance that the values go to.
pub struct LowerContext<'a> {
    /// Its linear memory (empty if there is none).
    pub memory: &'a mut [u8],
    /// Its handles.
    pub handles: &'a mut Handles,
    /// What the [`ResourceIndex`](crate::types::ResourceIndex) of the types stand for in this instance.
    pub resources: &'a [ResourceId],
    /// Whether a resource type is implemented by this instance: it gets the representation for a borrow, no handle.
    pub implements: &'a dyn Fn(ResourceId) -> bool,
    /// The task that gets borrowed handles, and how many it has.
    pub task: u64,
    /// Borrowed handles that the task has: counted up here.
    pub borrows: &'a mut u32,
}

/// A call of the guest's `realloc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Realloc {
    /// The block to grow or shrink; 0 for a new one.
    pub old: u32,
    /// Its size in bytes.
    pub old_size: u32,
    /// The alignment asked for.
    pub alignment: u32,
    /// The size asked for, in bytes.
    pub size: u32,
}
