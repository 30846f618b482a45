//! The parameters and the result of a host function.

use super::{Lift, Lower, Mismatch, TypeCheck, Typed};
use crate::{Trap, Type, Value};
use alloc::{borrow::ToOwned, boxed::Box, format, string::String, vec::Vec};

/// The parameters of a host function: a tuple of [`Lift`].
pub trait LiftParams: Sized + Send + 'static {
    /// As [`Typed::check`], for all of them and their number.
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
    /// As [`Typed::check`].
    ///
    /// # Errors
    /// [`Mismatch`] says where they differ.
    fn check(result: Option<&Type>, types: &TypeCheck<'_>) -> Result<(), Mismatch>;

    /// This as a value.
    fn lower(self) -> Option<Value>;
}

/// Another number of parameters.
fn number(params: &[(Box<str>, Type)], found: &[String]) -> Mismatch {
    let expected: Vec<_> = params.iter().map(|(name, ty)| format!("{name}: {ty}")).collect();
    Mismatch {
        at: String::new(),
        expected: format!("the parameters ({})", expected.join(", ")),
        found: format!("({})", found.join(", ")),
    }
}

/// Parameters of one number.
macro_rules! params {
    ($($type:ident)*) => {
        impl<$($type: Lift),*> LiftParams for ($($type,)*) {
            fn check(params: &[(Box<str>, Type)], types: &TypeCheck<'_>) -> Result<(), Mismatch> {
                let checks: &[fn(&Type, &TypeCheck<'_>) -> Result<(), Mismatch>] = &[$($type::check),*];
                if params.len() != checks.len() {
                    return Err(number(params, &[$($type::wit()),*]));
                }
                for ((name, ty), check) in params.iter().zip(checks) {
                    check(ty, types).map_err(|inner| inner.within(&format!("parameter `{name}`")))?;
                }
                Ok(())
            }

            fn lift(next: &mut dyn FnMut() -> Result<Value, Trap>) -> Result<Self, Trap> {
                let _ = &next;
                Ok(($($type::lift_next(next)?,)*))
            }
        }
    };
}

params!();
params!(A);
params!(A B);
params!(A B C);
params!(A B C D);
params!(A B C D E);
params!(A B C D E F);
params!(A B C D E F G);
params!(A B C D E F G H);

impl LowerResult for () {
    fn check(result: Option<&Type>, _: &TypeCheck<'_>) -> Result<(), Mismatch> {
        result.map_or(Ok(()), |ty| Err(Mismatch::new(ty, "no result".to_owned())))
    }

    fn lower(self) -> Option<Value> {
        None
    }
}

impl<T: Lower> LowerResult for T {
    fn check(result: Option<&Type>, types: &TypeCheck<'_>) -> Result<(), Mismatch> {
        match result {
            Some(ty) => <T as Typed>::check(ty, types).map_err(|inner| inner.within("result")),
            None => Err(Mismatch { at: String::new(), expected: "no result".to_owned(), found: T::wit() }),
        }
    }

    fn lower(self) -> Option<Value> {
        Some(Lower::lower(self))
    }
}
