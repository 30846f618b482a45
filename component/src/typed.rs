//! Rust types for values of the component model: what host functions take and return, checked when a component is linked.

use crate::{Trap, Type, Value, handles::ResourceId, types::ResourceIndex};
use alloc::{boxed::Box, string::String};
use core::{any::TypeId, fmt, marker::PhantomData};
use hashbrown::HashMap;

/// What a type check may look at.
pub struct TypeCheck<'a> {
    pub(crate) markers: &'a HashMap<TypeId, ResourceId>,
    /// What a resource of the component's stands for, as far as it is one of the host's.
    pub(crate) resource: &'a dyn Fn(ResourceIndex) -> Option<ResourceId>,
}

/// Why a function is not what a component expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// What the component declares.
    pub expected: String,
    /// What the host has.
    pub found: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the component expects {}, the host has {}", self.expected, self.found)
    }
}

/// A type that a host function can take.
pub trait Lift: Sized + Send + 'static {
    /// Makes sure that `ty` is this type.
    ///
    /// # Errors
    /// [`Mismatch`] says where they differ.
    fn check(ty: &Type, types: &TypeCheck<'_>) -> Result<(), Mismatch>;

    /// The value as this type.
    ///
    /// # Errors
    /// [`Trap`], when the value is not of the type that was checked.
    fn lift(value: Value) -> Result<Self, Trap>;
}

/// A type that a host function can return.
pub trait Lower: Sized + Send + 'static {
    /// As [`Lift::check`].
    ///
    /// # Errors
    /// [`Mismatch`] says where they differ.
    fn check(ty: &Type, types: &TypeCheck<'_>) -> Result<(), Mismatch>;

    /// This as a value.
    fn lower(self) -> Value;
}

/// The parameters of a host function: a tuple of [`Lift`].
pub trait LiftParams: Sized + Send + 'static {
    /// As [`Lift::check`], for all of them and their number.
    ///
    /// # Errors
    /// [`Mismatch`] says where they differ.
    fn check(params: &[(Box<str>, Type)], types: &TypeCheck<'_>) -> Result<(), Mismatch>;

    /// All of them; `next` gives the values in order.
    ///
    /// # Errors
    /// What `next` returns, and as [`Lift::lift`].
    fn lift(next: &mut dyn FnMut() -> Result<Value, Trap>) -> Result<Self, Trap>;
}

/// The result of a host function: [`Lower`], or `()` for none.
pub trait LowerResult: Sized + Send + 'static {
    /// As [`Lower::check`].
    ///
    /// # Errors
    /// [`Mismatch`] says where they differ.
    fn check(result: Option<&Type>, types: &TypeCheck<'_>) -> Result<(), Mismatch>;

    /// This as a value.
    fn lower(self) -> Option<Value>;
}

/// An owned resource of the host's, by its representation. `R` is what [`resource`](crate::host::InterfaceBuilder::resource) was
/// given.
pub struct Own<R> {
    /// The representation: the host's own number for it.
    pub rep: u32,
    resource: PhantomData<fn() -> R>,
}

/// A borrowed resource of the host's, by its representation.
pub struct Borrow<R> {
    /// The representation: the host's own number for it.
    pub rep: u32,
    resource: PhantomData<fn() -> R>,
}
