//! Rust types for values of the component model: what host functions take and return, checked when a component is linked.
//!
//! The records, variants, enumerations and flags of an interface are declared with [`record!`](crate::record!), [`variant!`](crate::variant!),
//! [`enumeration!`](crate::enumeration!) and [`flags!`](crate::flags!).

mod compounds;
mod macros;
mod params;
mod primitives;
mod resources;
#[doc(hidden)]
pub mod support;

pub use compounds::{LiftPayload, LowerPayload, Payload};
pub use params::{LiftParams, LowerResult};
pub use resources::{Borrow, Own};

use crate::{Trap, Type, Value, handles::ResourceId, types::ResourceIndex};
use alloc::{borrow::ToOwned, format, string::String, string::ToString, vec::Vec};
use core::{any::TypeId, fmt};
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
    /// Where in the function's type: ``parameter `path` ``, then fields and cases; the outermost first. Empty where the function
    /// as a whole is meant.
    pub at: String,
    /// What the component declares.
    pub expected: String,
    /// What the host has.
    pub found: String,
}

impl Mismatch {
    /// `expected` is the component's type, `found` the host's.
    pub fn new(expected: &Type, found: String) -> Self {
        Self { at: String::new(), expected: expected.to_string(), found }
    }

    /// The same, seen from outside: it is in `part`.
    #[must_use]
    pub fn within(mut self, part: &str) -> Self {
        self.at = if self.at.is_empty() { part.to_owned() } else { format!("{part}, {}", self.at) };
        self
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.at.is_empty() {
            write!(f, "{}: ", self.at)?;
        }
        write!(f, "the component expects {}, the host has {}", self.expected, self.found)
    }
}

impl core::error::Error for Mismatch {}

/// A Rust type that stands for a type of the component model.
pub trait Typed: Sized + Send + 'static {
    /// Makes sure that `ty` is this type.
    ///
    /// # Errors
    /// [`Mismatch`] says where they differ.
    fn check(ty: &Type, types: &TypeCheck<'_>) -> Result<(), Mismatch>;

    /// The type, in WIT's syntax.
    fn wit() -> String;
}

/// A type that a host function can take.
pub trait Lift: Typed {
    /// The value as this type.
    ///
    /// # Errors
    /// [`Trap`], when the value is not of the type that was checked.
    fn lift(value: Value) -> Result<Self, Trap>;

    /// The next of several values. Scalars are looked at where they lie.
    #[doc(hidden)]
    fn lift_next(next: &mut dyn FnMut() -> Result<Value, Trap>) -> Result<Self, Trap> {
        Self::lift(next()?)
    }

    /// A list of them. Scalars have a shorter way.
    #[doc(hidden)]
    fn lift_list(list: Value) -> Result<Vec<Self>, Trap> {
        let elements = list.into_elements().ok_or_else(|| unexpected("list"))?;
        elements.into_iter().map(Self::lift).collect()
    }
}

/// A type that a host function can return.
pub trait Lower: Typed {
    /// This as a value.
    fn lower(self) -> Value;

    /// A list of them. Scalars have a shorter way.
    #[doc(hidden)]
    fn lower_list(list: Vec<Self>) -> Value {
        Value::List(list.into_iter().map(Self::lower).collect())
    }
}

/// A value is not of the type that was checked: it did not come out of lifting.
#[cold]
fn unexpected(what: &str) -> Trap {
    Trap::Host(format!("a value that is no {what}"))
}

#[cfg(test)]
mod tests;
