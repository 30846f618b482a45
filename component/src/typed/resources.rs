//! Resources of the host's as parameters and results.

use super::{Lift, Lower, Mismatch, TypeCheck, Typed, unexpected};
use crate::{Trap, Type, Value, handles::ResourceId, types::ResourceIndex, value::Resource};
use alloc::{format, string::String};
use core::{
    any::{TypeId, type_name},
    fmt,
    marker::PhantomData,
};

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

/// Whether the component's resource `index` is the host's `R`.
fn check<R: 'static>(index: ResourceIndex, types: &TypeCheck<'_>) -> bool {
    types.markers.get(&TypeId::of::<R>()).is_some_and(|id| (types.resource)(index) == Some(*id))
}

/// The last part of the name of `R`, which is what the host calls the resource.
fn name<R>() -> &'static str {
    type_name::<R>().rsplit("::").next().unwrap_or_default()
}

macro_rules! handle {
    ($handle:ident, $wit:literal) => {
        impl<R> $handle<R> {
            /// The resource with this representation.
            #[inline]
            pub const fn new(rep: u32) -> Self {
                Self { rep, resource: PhantomData }
            }
        }

        impl<R> Clone for $handle<R> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<R> Copy for $handle<R> {}

        impl<R> PartialEq for $handle<R> {
            fn eq(&self, other: &Self) -> bool {
                self.rep == other.rep
            }
        }

        impl<R> Eq for $handle<R> {}

        impl<R> fmt::Debug for $handle<R> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}<{}>({})", $wit, name::<R>(), self.rep)
            }
        }

        impl<R: 'static> Typed for $handle<R> {
            fn check(ty: &Type, types: &TypeCheck<'_>) -> Result<(), Mismatch> {
                match ty {
                    Type::$handle(index) if check::<R>(*index, types) => Ok(()),
                    _ => Err(Mismatch::new(ty, Self::wit())),
                }
            }

            fn wit() -> String {
                format!("{}<{}>", $wit, name::<R>())
            }
        }

        impl<R: 'static> Lift for $handle<R> {
            fn lift(value: Value) -> Result<Self, Trap> {
                match value {
                    Value::$handle(resource) => Ok(Self::new(resource.rep)),
                    _ => Err(unexpected($wit)),
                }
            }

            #[inline]
            fn lift_next(next: &mut dyn FnMut() -> Result<Value, Trap>) -> Result<Self, Trap> {
                match next() {
                    Ok(Value::$handle(resource)) => Ok(Self::new(resource.rep)),
                    Ok(_) => Err(unexpected($wit)),
                    Err(trap) => Err(trap),
                }
            }
        }
    };
}

handle!(Own, "own");
handle!(Borrow, "borrow");

impl<R: 'static> Lower for Own<R> {
    fn lower(self) -> Value {
        Value::Own(Resource { ty: ResourceId::NONE, rep: self.rep })
    }
}
