//! Types as WIT writes them. WIT gives records, variants, enumerations and flags a name, which a component need not have: they
//! are written out.

use super::{Case, FunctionType, Record, Type};
use core::fmt::{self, Display, Formatter};

/// `items`, written by `each`, with commas between them.
fn join<T>(
    f: &mut Formatter<'_>,
    items: &[T],
    mut each: impl FnMut(&mut Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    items.iter().enumerate().try_for_each(|(index, item)| {
        if index > 0 {
            f.write_str(", ")?;
        }
        each(f, item)
    })
}

fn tuple(f: &mut Formatter<'_>, record: &Record) -> fmt::Result {
    join(f, &record.fields, |f, field| field.ty.fmt(f))
}

/// A payload, `_` if there is none.
fn payload(f: &mut Formatter<'_>, case: Option<&Case>) -> fmt::Result {
    match case.and_then(|case| case.ty.as_ref()) {
        Some(ty) => ty.fmt(f),
        None => f.write_str("_"),
    }
}

impl Display for Type {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("bool"),
            Self::S8 => f.write_str("s8"),
            Self::U8 => f.write_str("u8"),
            Self::S16 => f.write_str("s16"),
            Self::U16 => f.write_str("u16"),
            Self::S32 => f.write_str("s32"),
            Self::U32 => f.write_str("u32"),
            Self::S64 => f.write_str("s64"),
            Self::U64 => f.write_str("u64"),
            Self::F32 => f.write_str("f32"),
            Self::F64 => f.write_str("f64"),
            Self::Char => f.write_str("char"),
            Self::String => f.write_str("string"),
            Self::List(list) | Self::FixedList(list) => match list.length {
                Some(length) => write!(f, "list<{}, {length}>", list.element),
                None => write!(f, "list<{}>", list.element),
            },
            Self::Map(list) => {
                f.write_str("map<")?;
                match &list.element {
                    Self::Tuple(pair) => tuple(f, pair)?,
                    other => other.fmt(f)?,
                }
                f.write_str(">")
            }
            Self::Record(record) => {
                f.write_str("record { ")?;
                join(f, &record.fields, |f, field| write!(f, "{}: {}", field.name, field.ty))?;
                f.write_str(" }")
            }
            Self::Tuple(record) => {
                f.write_str("tuple<")?;
                tuple(f, record)?;
                f.write_str(">")
            }
            Self::Variant(variant) => {
                f.write_str("variant { ")?;
                join(f, &variant.cases, |f, case| match &case.ty {
                    Some(ty) => write!(f, "{}({ty})", case.name),
                    None => f.write_str(&case.name),
                })?;
                f.write_str(" }")
            }
            Self::Enum(variant) => {
                f.write_str("enum { ")?;
                join(f, &variant.cases, |f, case| f.write_str(&case.name))?;
                f.write_str(" }")
            }
            Self::Option(variant) => {
                f.write_str("option<")?;
                payload(f, variant.cases.get(1))?;
                f.write_str(">")
            }
            Self::Result(variant) => match &*variant.cases {
                [Case { ty: None, .. }, Case { ty: None, .. }] => f.write_str("result"),
                [Case { ty: Some(ok), .. }, Case { ty: None, .. }] => write!(f, "result<{ok}>"),
                cases => {
                    f.write_str("result<")?;
                    payload(f, cases.first())?;
                    f.write_str(", ")?;
                    payload(f, cases.get(1))?;
                    f.write_str(">")
                }
            },
            Self::Flags(flags) => {
                f.write_str("flags { ")?;
                join(f, &flags.names, |f, name| f.write_str(name))?;
                f.write_str(" }")
            }
            // The index means nothing to a reader, but tells two resources apart.
            Self::Own(resource) => write!(f, "own<resource {}>", resource.0),
            Self::Borrow(resource) => write!(f, "borrow<resource {}>", resource.0),
        }
    }
}

impl Display for FunctionType {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("func(")?;
        join(f, &self.params, |f, (name, ty)| write!(f, "{name}: {ty}"))?;
        f.write_str(")")?;
        match &self.result {
            Some(ty) => write!(f, " -> {ty}"),
            None => Ok(()),
        }
    }
}
