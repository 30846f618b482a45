//! Scalars and strings, and lists of scalars in one piece.

use super::{Lift, Lower, Mismatch, TypeCheck, Typed, unexpected};
use crate::{
    Trap, Type, Value,
    value::{Scalar, Scalars},
};
use alloc::{borrow::ToOwned, string::String, vec::Vec};

/// A primitive type: the variant of [`Type`] and [`Value`], and the name in WIT.
macro_rules! typed {
    ($rust:ty, $variant:ident, $wit:literal) => {
        impl Typed for $rust {
            fn check(ty: &Type, _: &TypeCheck<'_>) -> Result<(), Mismatch> {
                match ty {
                    Type::$variant => Ok(()),
                    _ => Err(Mismatch::new(ty, Self::wit())),
                }
            }

            fn wit() -> String {
                $wit.to_owned()
            }
        }
    };
}

/// A scalar, and how lists of it are made of and into little-endian bytes.
macro_rules! scalar {
    ($rust:ty, $variant:ident, $wit:literal, $lift_list:item, $lower_list:item) => {
        typed!($rust, $variant, $wit);

        impl Lift for $rust {
            #[inline]
            fn lift(value: Value) -> Result<Self, Trap> {
                match value {
                    Value::$variant(value) => Ok(value),
                    _ => Err(unexpected($wit)),
                }
            }

            #[inline]
            fn lift_next(next: &mut dyn FnMut() -> Result<Value, Trap>) -> Result<Self, Trap> {
                match next() {
                    Ok(Value::$variant(value)) => Ok(value),
                    Ok(_) => Err(unexpected($wit)),
                    Err(trap) => Err(trap),
                }
            }

            $lift_list
        }

        impl Lower for $rust {
            #[inline]
            fn lower(self) -> Value {
                Value::$variant(self)
            }

            $lower_list
        }
    };
    ($rust:ty, $variant:ident, $wit:literal) => {
        scalar!(
            $rust,
            $variant,
            $wit,
            fn lift_list(list: Value) -> Result<Vec<Self>, Trap> {
                match list {
                    Value::Scalars(scalars) if scalars.element() == Scalar::$variant => {
                        Ok(scalars.as_bytes().as_chunks().0.iter().copied().map(<$rust>::from_le_bytes).collect())
                    }
                    other => each(other),
                }
            },
            fn lower_list(list: Vec<Self>) -> Value {
                let bytes = list.iter().flat_map(|value| value.to_le_bytes()).collect();
                pack(Scalar::$variant, bytes)
            }
        );
    };
}

/// A list one element after the other.
fn each<T: Lift>(list: Value) -> Result<Vec<T>, Trap> {
    let elements = list.into_elements().ok_or_else(|| unexpected("list"))?;
    elements.into_iter().map(T::lift).collect()
}

/// A list of scalars that are valid, as their Rust type has it.
fn pack(element: Scalar, bytes: Vec<u8>) -> Value {
    Scalars::new(element, bytes).map_or_else(|| Value::List(Vec::new()), Value::Scalars)
}

scalar!(i8, S8, "s8");
scalar!(i16, S16, "s16");
scalar!(u16, U16, "u16");
scalar!(i32, S32, "s32");
scalar!(u32, U32, "u32");
scalar!(i64, S64, "s64");
scalar!(u64, U64, "u64");
scalar!(f32, F32, "f32");
scalar!(f64, F64, "f64");

scalar!(
    u8,
    U8,
    "u8",
    fn lift_list(list: Value) -> Result<Vec<Self>, Trap> {
        match list {
            Value::Bytes(bytes) => Ok(bytes),
            other => each(other),
        }
    },
    fn lower_list(list: Vec<Self>) -> Value {
        Value::Bytes(list)
    }
);

scalar!(
    bool,
    Bool,
    "bool",
    fn lift_list(list: Value) -> Result<Vec<Self>, Trap> {
        match list {
            Value::Scalars(scalars) if scalars.element() == Scalar::Bool => {
                Ok(scalars.as_bytes().iter().map(|byte| *byte != 0).collect())
            }
            other => each(other),
        }
    },
    fn lower_list(list: Vec<Self>) -> Value {
        pack(Scalar::Bool, list.into_iter().map(u8::from).collect())
    }
);

scalar!(
    char,
    Char,
    "char",
    fn lift_list(list: Value) -> Result<Vec<Self>, Trap> {
        each(list)
    },
    fn lower_list(list: Vec<Self>) -> Value {
        pack(Scalar::Char, list.into_iter().flat_map(|c| u32::from(c).to_le_bytes()).collect())
    }
);

typed!(String, String, "string");
typed!(&'static str, String, "string");

impl Lift for String {
    fn lift(value: Value) -> Result<Self, Trap> {
        match value {
            Value::String(text) => Ok(text.into()),
            _ => Err(unexpected("string")),
        }
    }
}

impl Lower for String {
    fn lower(self) -> Value {
        self.into()
    }
}

impl Lower for &'static str {
    fn lower(self) -> Value {
        self.into()
    }
}
