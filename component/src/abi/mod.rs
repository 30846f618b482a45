//! The canonical ABI: values out of linear memory and flat core values (lifting), and into them (lowering).
//!
//! Pure functions of bytes, types and a table of handles: nothing here calls a guest. Where lowering needs memory of the
//! guest, a [`Lowering`] says which calls of `realloc` to make, in the canonical order, and takes their results.

mod allocations;
mod lift;
mod lower;
mod strings;

pub use crate::types::{CoreType, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS};
pub use allocations::{Lowering, Realloc};
pub use lift::{LIFT_BUDGET, Lifting};
pub use lower::lower_result;

use crate::{
    FunctionType, Trap, Type, Value,
    handles::{Handles, ResourceId},
    types::{Layout, MAX_FLAT, ResourceIndex},
};
use alloc::{borrow::ToOwned, format, vec::Vec};
use core::ops::{Deref, DerefMut};

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

/// The most bytes that a string or the elements of a list take.
const MAX_BYTES: usize = crate::types::MAX_SIZE as usize;

/// A flat value: the raw bits of a core value (an `i32` or `f32` zero-extended).
pub type Flat = u64;

/// The flat values of a call, on the stack.
#[derive(Clone, Debug)]
pub struct FlatValues {
    values: [Flat; MAX_FLAT],
    len: usize,
}

impl Default for FlatValues {
    fn default() -> Self {
        Self::new()
    }
}

impl FlatValues {
    /// None yet.
    #[inline]
    pub const fn new() -> Self {
        Self { values: [0; MAX_FLAT], len: 0 }
    }

    /// Adds one.
    ///
    /// # Errors
    /// [`Trap::Limit`] beyond [`MAX_FLAT_PARAMS`] + 1; no valid call has more.
    #[inline]
    pub fn push(&mut self, value: Flat) -> Result<(), Trap> {
        let slot = self.values.get_mut(self.len).ok_or(Trap::Limit("flat values"))?;
        *slot = value;
        self.len += 1;
        Ok(())
    }

    /// Adds several.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn extend(&mut self, values: impl IntoIterator<Item = Flat>) -> Result<(), Trap> {
        values.into_iter().try_for_each(|value| self.push(value))
    }

    /// Replaces all by `values`.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    #[inline]
    pub fn set(&mut self, values: &[Flat]) -> Result<(), Trap> {
        self.len = 0;
        self.extend(values.iter().copied())
    }

    /// All of them.
    #[inline]
    pub fn as_slice(&self) -> &[Flat] {
        self.values.get(..self.len).unwrap_or(&self.values)
    }
}

impl Deref for FlatValues {
    type Target = [Flat];

    #[inline]
    fn deref(&self) -> &[Flat] {
        self.as_slice()
    }
}

impl DerefMut for FlatValues {
    #[inline]
    fn deref_mut(&mut self) -> &mut [Flat] {
        self.values.get_mut(..self.len).unwrap_or_default()
    }
}

/// What is passed: the parameters or the result of a function.
#[derive(Clone, Copy, Debug)]
enum Passing<'a> {
    Params(&'a FunctionType),
    Result(&'a FunctionType),
}

impl<'a> Passing<'a> {
    /// How all values together lie in memory.
    fn layout(self) -> &'a Layout {
        match self {
            Self::Params(ty) => ty.params_layout(),
            Self::Result(ty) => ty.result_layout(),
        }
    }

    /// Whether they go through memory.
    #[inline]
    fn in_memory(self) -> bool {
        match self {
            Self::Params(ty) => ty.params_in_memory(),
            Self::Result(ty) => ty.result_in_memory(),
        }
    }

    /// The number of values.
    fn len(self) -> usize {
        match self {
            Self::Params(ty) => ty.params().len(),
            Self::Result(ty) => usize::from(ty.result().is_some()),
        }
    }

    /// The types of the values.
    fn iter(self) -> impl Iterator<Item = &'a Type> {
        let (params, result) = match self {
            Self::Params(ty) => (ty.params(), None),
            Self::Result(ty) => (<&[_]>::default(), ty.result()),
        };
        params.iter().map(|(_, ty)| ty).chain(result)
    }
}

/// What lifting works on: the instance that the values come from.
pub struct LiftContext<'a> {
    /// Its linear memory (empty if there is none).
    pub memory: &'a [u8],
    /// How strings lie in it.
    pub encoding: StringEncoding,
    /// Its handles.
    pub handles: &'a mut Handles,
    /// What the [`ResourceIndex`] of the types stand for in this instance.
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
    /// What the [`ResourceIndex`] of the types stand for in this instance.
    pub resources: &'a [ResourceId],
    /// Whether a resource type is implemented by this instance: it gets the representation for a borrow, no handle.
    pub implements: &'a dyn Fn(ResourceId) -> bool,
    /// The task that gets borrowed handles.
    pub task: u64,
    /// Borrowed handles that the task has: counted up here.
    pub borrows: &'a mut u32,
}

/// The run-time type for a resource type of an instance.
fn resource(resources: &[ResourceId], index: ResourceIndex) -> Result<ResourceId, Trap> {
    let found = usize::try_from(index.0).ok().and_then(|index| resources.get(index)).copied();
    found.ok_or_else(|| Trap::Host(format!("resource type {} is not known to the instance", index.0)))
}

/// The range of `len` bytes at `pointer`, if it is inside of a memory of `memory` bytes.
fn range(pointer: u32, len: usize, memory: usize) -> Result<core::ops::Range<usize>, Trap> {
    let start = usize::try_from(pointer).map_err(|_| Trap::OutOfBounds)?;
    let end = start.checked_add(len).filter(|end| *end <= memory).ok_or(Trap::OutOfBounds)?;
    Ok(start..end)
}

/// Checks that a pointer has an alignment, which is a power of two.
fn aligned(pointer: u32, alignment: u32) -> Result<(), Trap> {
    if pointer & alignment.saturating_sub(1) == 0 { Ok(()) } else { Err(Trap::Unaligned) }
}

/// The host broke what it promised: the value is not of the type.
#[cold]
fn mismatch(value: &Value, ty: &Type) -> Trap {
    Trap::Host(format!("{} where the component expects {ty}", value.kind()))
}

/// As [`mismatch`], for the number of values.
#[cold]
fn wrong_number() -> Trap {
    Trap::Host("another number of values than the component expects".to_owned())
}

#[cfg(test)]
mod tests;
