//! Values as scripts write them, and those of the component model. A script does not say the names of a variant's cases by
//! index, so the type is needed.

use component::{Type, Value};
use wast::{
    WastArg, WastRet,
    component::WastVal,
    core::{NanPattern, WastArgCore, WastRetCore},
};

/// An argument of a call.
pub fn argument(value: &WastArg<'_>, ty: &Type) -> Result<Value, String> {
    match value {
        WastArg::Component(value) => lower(value, ty),
        WastArg::Core(WastArgCore::F32(value)) => Ok(Value::F32(f32::from_bits(value.bits))),
        WastArg::Core(WastArgCore::F64(value)) => Ok(Value::F64(f64::from_bits(value.bits))),
        other => Err(format!("{other:?} is no value of a component")),
    }
}

/// Whether `actual` is the expected result.
pub fn matches(expected: &WastRet<'_>, ty: &Type, actual: &Value) -> Result<bool, String> {
    let expected = match expected {
        WastRet::Component(value) => lower(value, ty)?,
        WastRet::Core(WastRetCore::F32(NanPattern::Value(value))) => Value::F32(f32::from_bits(value.bits)),
        WastRet::Core(WastRetCore::F64(NanPattern::Value(value))) => Value::F64(f64::from_bits(value.bits)),
        WastRet::Core(WastRetCore::F32(_)) => Value::F32(f32::NAN),
        WastRet::Core(WastRetCore::F64(_)) => Value::F64(f64::NAN),
        other => return Err(format!("{other:?} is no value of a component")),
    };
    Ok(same(&expected, actual))
}

fn lower(value: &WastVal<'_>, ty: &Type) -> Result<Value, String> {
    let mismatch = || format!("{value:?} is no {ty}");
    let boxed = |value: &Option<Box<WastVal<'_>>>, ty: Option<&Type>| match (value, ty) {
        (Some(value), Some(ty)) => lower(value, ty).map(|value| Some(Box::new(value))),
        (None, None) => Ok(None),
        _ => Err(mismatch()),
    };
    Ok(match (value, ty) {
        (WastVal::Bool(value), Type::Bool) => Value::Bool(*value),
        (WastVal::U8(value), Type::U8) => Value::U8(*value),
        (WastVal::S8(value), Type::S8) => Value::S8(*value),
        (WastVal::U16(value), Type::U16) => Value::U16(*value),
        (WastVal::S16(value), Type::S16) => Value::S16(*value),
        (WastVal::U32(value), Type::U32) => Value::U32(*value),
        (WastVal::S32(value), Type::S32) => Value::S32(*value),
        (WastVal::U64(value), Type::U64) => Value::U64(*value),
        (WastVal::S64(value), Type::S64) => Value::S64(*value),
        (WastVal::F32(value), Type::F32) => Value::F32(f32::from_bits(value.bits)),
        (WastVal::F64(value), Type::F64) => Value::F64(f64::from_bits(value.bits)),
        (WastVal::Char(value), Type::Char) => Value::Char(*value),
        (WastVal::String(value), Type::String) => Value::from(*value),
        (WastVal::List(values), Type::List(list) | Type::FixedList(list)) => {
            Value::List(values.iter().map(|value| lower(value, &list.element)).collect::<Result<_, _>>()?)
        }
        (WastVal::Map(entries), Type::Map(list)) => {
            let Type::Tuple(pair) = &list.element else { return Err(mismatch()) };
            let [key_field, value_field] = &*pair.fields else { return Err(mismatch()) };
            let entry = |(key, value): &(WastVal<'_>, WastVal<'_>)| {
                Ok(Value::Record(vec![lower(key, &key_field.ty)?, lower(value, &value_field.ty)?]))
            };
            Value::List(entries.iter().map(entry).collect::<Result<_, String>>()?)
        }
        (WastVal::Record(values), Type::Record(record)) if values.len() == record.fields.len() => {
            let field = |((name, value), field): (&(&str, WastVal<'_>), &component::types::Field)| {
                if **name == *field.name { lower(value, &field.ty) } else { Err(mismatch()) }
            };
            Value::Record(values.iter().zip(&record.fields).map(field).collect::<Result<_, _>>()?)
        }
        (WastVal::Tuple(values), Type::Tuple(tuple)) if values.len() == tuple.fields.len() => {
            let fields = values.iter().zip(&tuple.fields).map(|(value, field)| lower(value, &field.ty));
            Value::Record(fields.collect::<Result<_, _>>()?)
        }
        (WastVal::Variant(name, payload), Type::Variant(variant)) => {
            let case = variant.cases.iter().position(|case| *case.name == **name).ok_or_else(mismatch)?;
            Value::Variant(case as u32, boxed(payload, variant.cases[case].ty.as_ref())?)
        }
        (WastVal::Enum(name), Type::Enum(variant)) => {
            let case = variant.cases.iter().position(|case| *case.name == **name).ok_or_else(mismatch)?;
            Value::Variant(case as u32, None)
        }
        (WastVal::Option(None), Type::Option(_)) => Value::Option(None),
        (WastVal::Option(some), Type::Option(variant)) => {
            Value::Option(boxed(some, variant.cases[1].ty.as_ref())?)
        }
        (WastVal::Result(result), Type::Result(variant)) => Value::Result(match result {
            Ok(payload) => Ok(boxed(payload, variant.cases[0].ty.as_ref())?),
            Err(payload) => Err(boxed(payload, variant.cases[1].ty.as_ref())?),
        }),
        (WastVal::Flags(names), Type::Flags(flags)) => {
            let mut bits = 0;
            for name in names {
                bits |= 1 << flags.names.iter().position(|flag| **flag == **name).ok_or_else(mismatch)?;
            }
            Value::Flags(bits)
        }
        _ => return Err(mismatch()),
    })
}

/// Equality in which every NaN is the same (the canonical ABI may change their bits) and zeros have signs.
fn same(a: &Value, b: &Value) -> bool {
    let all = |a: &[Value], b: &[Value]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b));
    let both = |a: &Option<Box<Value>>, b: &Option<Box<Value>>| match (a, b) {
        (Some(a), Some(b)) => same(a, b),
        (None, None) => true,
        _ => false,
    };
    match (a, b) {
        (Value::F32(a), Value::F32(b)) => a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan(),
        (Value::F64(a), Value::F64(b)) => a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan(),
        (Value::String(a), Value::String(b)) => a.as_str() == b.as_str(),
        (Value::Record(a), Value::Record(b)) => all(a, b),
        (Value::Variant(a, x), Value::Variant(b, y)) => a == b && both(x, y),
        (Value::Option(a), Value::Option(b)) => both(a, b),
        (Value::Result(Ok(a)), Value::Result(Ok(b))) | (Value::Result(Err(a)), Value::Result(Err(b))) => {
            both(a, b)
        }
        (
            Value::List(_) | Value::Bytes(_) | Value::Scalars(_),
            Value::List(_) | Value::Bytes(_) | Value::Scalars(_),
        ) => match (a.clone().into_elements(), b.clone().into_elements()) {
            (Some(a), Some(b)) => all(&a, &b),
            _ => false,
        },
        (a, b) => a == b,
    }
}
