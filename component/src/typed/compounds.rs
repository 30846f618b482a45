//! Lists, options, results and tuples.

use super::{Lift, Lower, Mismatch, TypeCheck, Typed, unexpected};
use crate::{Trap, Type, Value, types::Case};
use alloc::{borrow::ToOwned, boxed::Box, format, string::String, vec::Vec};

impl<T: Typed> Typed for Vec<T> {
    fn check(ty: &Type, types: &TypeCheck<'_>) -> Result<(), Mismatch> {
        match ty {
            Type::List(list) | Type::Map(list) => {
                T::check(&list.element, types).map_err(|inner| inner.within("list element"))
            }
            _ => Err(Mismatch::new(ty, Self::wit())),
        }
    }

    fn wit() -> String {
        format!("list<{}>", T::wit())
    }
}

impl<T: Lift> Lift for Vec<T> {
    fn lift(value: Value) -> Result<Self, Trap> {
        T::lift_list(value)
    }
}

impl<T: Lower> Lower for Vec<T> {
    fn lower(self) -> Value {
        T::lower_list(self)
    }
}

impl<T: Typed> Typed for Option<T> {
    fn check(ty: &Type, types: &TypeCheck<'_>) -> Result<(), Mismatch> {
        match ty {
            Type::Option(variant) => match &*variant.cases {
                [_, Case { ty: Some(some), .. }] => {
                    T::check(some, types).map_err(|inner| inner.within("option"))
                }
                _ => Err(Mismatch::new(ty, Self::wit())),
            },
            _ => Err(Mismatch::new(ty, Self::wit())),
        }
    }

    fn wit() -> String {
        format!("option<{}>", T::wit())
    }
}

impl<T: Lift> Lift for Option<T> {
    fn lift(value: Value) -> Result<Self, Trap> {
        match value {
            Value::Option(some) => some.map(|value| T::lift(*value)).transpose(),
            _ => Err(unexpected("option")),
        }
    }
}

impl<T: Lower> Lower for Option<T> {
    fn lower(self) -> Value {
        Value::Option(self.map(|some| Box::new(some.lower())))
    }
}

/// What a result carries: a type, or nothing (`()`).
pub trait Payload: Sized + Send + 'static {
    #[doc(hidden)]
    fn check_payload(ty: Option<&Type>, types: &TypeCheck<'_>) -> Option<Result<(), Mismatch>>;
    #[doc(hidden)]
    fn wit_payload() -> Option<String>;
}

impl Payload for () {
    fn check_payload(ty: Option<&Type>, _: &TypeCheck<'_>) -> Option<Result<(), Mismatch>> {
        ty.is_none().then_some(Ok(()))
    }

    fn wit_payload() -> Option<String> {
        None
    }
}

impl<T: Typed> Payload for T {
    fn check_payload(ty: Option<&Type>, types: &TypeCheck<'_>) -> Option<Result<(), Mismatch>> {
        ty.map(|ty| T::check(ty, types))
    }

    fn wit_payload() -> Option<String> {
        Some(T::wit())
    }
}

/// As [`Payload`], to be lifted.
pub trait LiftPayload: Payload {
    #[doc(hidden)]
    fn lift_payload(value: Option<Box<Value>>) -> Result<Self, Trap>;
}

impl LiftPayload for () {
    fn lift_payload(value: Option<Box<Value>>) -> Result<Self, Trap> {
        value.map_or(Ok(()), |_| Err(unexpected("result without a payload")))
    }
}

impl<T: Lift> LiftPayload for T {
    fn lift_payload(value: Option<Box<Value>>) -> Result<Self, Trap> {
        T::lift(*value.ok_or_else(|| unexpected("result with a payload"))?)
    }
}

/// As [`Payload`], to be lowered.
pub trait LowerPayload: Payload {
    #[doc(hidden)]
    fn lower_payload(self) -> Option<Box<Value>>;
}

impl LowerPayload for () {
    fn lower_payload(self) -> Option<Box<Value>> {
        None
    }
}

impl<T: Lower> LowerPayload for T {
    fn lower_payload(self) -> Option<Box<Value>> {
        Some(Box::new(self.lower()))
    }
}

impl<T: Payload, E: Payload> Typed for Result<T, E> {
    fn check(ty: &Type, types: &TypeCheck<'_>) -> Result<(), Mismatch> {
        let Type::Result(variant) = ty else { return Err(Mismatch::new(ty, Self::wit())) };
        let payload = |index| variant.cases.get(index).and_then(|case: &Case| case.ty.as_ref());
        let checks =
            [("ok", T::check_payload(payload(0), types)), ("error", E::check_payload(payload(1), types))];
        for (name, check) in checks {
            match check {
                Some(check) => check.map_err(|inner| inner.within(name))?,
                None => return Err(Mismatch::new(ty, Self::wit())),
            }
        }
        Ok(())
    }

    fn wit() -> String {
        match (T::wit_payload(), E::wit_payload()) {
            (None, None) => "result".to_owned(),
            (Some(ok), None) => format!("result<{ok}>"),
            (ok, Some(error)) => format!("result<{}, {error}>", ok.as_deref().unwrap_or("_")),
        }
    }
}

impl<T: LiftPayload, E: LiftPayload> Lift for Result<T, E> {
    fn lift(value: Value) -> Result<Self, Trap> {
        Ok(match value {
            Value::Result(Ok(payload)) => Ok(T::lift_payload(payload)?),
            Value::Result(Err(payload)) => Err(E::lift_payload(payload)?),
            _ => return Err(unexpected("result")),
        })
    }
}

impl<T: LowerPayload, E: LowerPayload> Lower for Result<T, E> {
    fn lower(self) -> Value {
        Value::Result(match self {
            Ok(payload) => Ok(payload.lower_payload()),
            Err(payload) => Err(payload.lower_payload()),
        })
    }
}

/// Tuples of one length.
macro_rules! tuple {
    ($($type:ident $name:ident)+) => {
        impl<$($type: Typed),+> Typed for ($($type,)+) {
            fn check(ty: &Type, types: &TypeCheck<'_>) -> Result<(), Mismatch> {
                let Type::Tuple(record) = ty else { return Err(Mismatch::new(ty, Self::wit())) };
                let checks = [$($type::check),+];
                if record.fields.len() != checks.len() {
                    return Err(Mismatch::new(ty, Self::wit()));
                }
                for ((index, field), check) in record.fields.iter().enumerate().zip(checks) {
                    check(&field.ty, types).map_err(|inner| inner.within(&format!("tuple element {index}")))?;
                }
                Ok(())
            }

            fn wit() -> String {
                format!("tuple<{}>", [$($type::wit()),+].join(", "))
            }
        }

        impl<$($type: Lift),+> Lift for ($($type,)+) {
            fn lift(value: Value) -> Result<Self, Trap> {
                let Value::Record(fields) = value else { return Err(unexpected("tuple")) };
                let mut fields = fields.into_iter();
                let mut next = || fields.next().ok_or_else(|| unexpected("tuple of this length"));
                Ok(($($type::lift(next()?)?,)+))
            }
        }

        impl<$($type: Lower),+> Lower for ($($type,)+) {
            fn lower(self) -> Value {
                let ($($name,)+) = self;
                Value::Record(alloc::vec![$($name.lower()),+])
            }
        }
    };
}

tuple!(A a);
tuple!(A a B b);
tuple!(A a B b C c);
tuple!(A a B b C c D d);
tuple!(A a B b C c D d E e);
tuple!(A a B b C c D d E e F f);
tuple!(A a B b C c D d E e F f G g);
tuple!(A a B b C c D d E e F f G g H h);
