//! What the macros of [`macros`](super) expand to calls of. Not for anybody else.

use super::{Mismatch, TypeCheck, unexpected};
use crate::{Trap, Type};
use alloc::format;
pub use alloc::{boxed::Box, string::String, vec, vec::Vec};
pub use bitflags::bitflags;

/// [`Typed::check`](super::Typed::check).
pub type Check = fn(&Type, &TypeCheck<'_>) -> Result<(), Mismatch>;
/// [`Typed::wit`](super::Typed::wit).
pub type Wit = fn() -> String;

/// The name in WIT: `wit`, if it is said, or the Rust name in kebab case.
pub fn name(rust: &str, wit: &[&str]) -> String {
    if let Some(wit) = wit.first() {
        return (*wit).into();
    }
    let mut name = String::new();
    let rust = rust.strip_prefix("r#").unwrap_or(rust);
    let mut lower = false;
    for c in rust.chars() {
        if c == '_' {
            name.push('-');
        } else {
            if c.is_uppercase() && lower {
                name.push('-');
            }
            name.extend(c.to_lowercase());
        }
        lower = c.is_lowercase() || c.is_ascii_digit();
    }
    name
}

/// The position of a flag: its bit.
pub const fn position(names: &[&str], name: &str) -> u32 {
    let mut index = 0;
    while index < names.len() {
        let (a, b) = (names[index].as_bytes(), name.as_bytes());
        let mut same = a.len() == b.len();
        let mut at = 0;
        while same && at < a.len() {
            same = a[at] == b[at];
            at += 1;
        }
        if same {
            return index as u32;
        }
        index += 1;
    }
    u32::MAX
}

/// A record's type in WIT.
pub fn wit_record(fields: &[(String, Wit)]) -> String {
    let fields: Vec<_> = fields.iter().map(|(name, wit)| format!("{name}: {}", wit())).collect();
    format!("record {{ {} }}", fields.join(", "))
}

/// Checks names, order and types of a record's fields.
pub fn check_record(
    ty: &Type,
    types: &TypeCheck<'_>,
    fields: &[(String, Check)],
    wit: Wit,
) -> Result<(), Mismatch> {
    let Type::Record(record) = ty else { return Err(Mismatch::new(ty, wit())) };
    let names = record.fields.iter().map(|field| &*field.name);
    if !names.eq(fields.iter().map(|(name, _)| &**name)) {
        return Err(Mismatch::new(ty, wit()));
    }
    for (field, (name, check)) in record.fields.iter().zip(fields) {
        check(&field.ty, types).map_err(|inner| inner.within(&format!("field `{name}`")))?;
    }
    Ok(())
}

/// A variant's type in WIT.
pub fn wit_variant(cases: &[(String, Option<Wit>)]) -> String {
    let cases: Vec<_> = cases
        .iter()
        .map(|(name, payload)| match payload {
            Some(wit) => format!("{name}({})", wit()),
            None => name.clone(),
        })
        .collect();
    format!("variant {{ {} }}", cases.join(", "))
}

/// Checks names, order and payloads of a variant's cases.
pub fn check_variant(
    ty: &Type,
    types: &TypeCheck<'_>,
    cases: &[(String, Option<Check>)],
    wit: Wit,
) -> Result<(), Mismatch> {
    let Type::Variant(variant) = ty else { return Err(Mismatch::new(ty, wit())) };
    let expected = variant.cases.iter().map(|case| (&*case.name, case.ty.is_some()));
    if !expected.eq(cases.iter().map(|(name, check)| (&**name, check.is_some()))) {
        return Err(Mismatch::new(ty, wit()));
    }
    for (case, (name, check)) in variant.cases.iter().zip(cases) {
        if let (Some(ty), Some(check)) = (&case.ty, check) {
            check(ty, types).map_err(|inner| inner.within(&format!("case `{name}`")))?;
        }
    }
    Ok(())
}

/// A type that is nothing but names, as the component says it: `enum` or `flags`, and the names.
fn names_of(ty: &Type) -> Option<(&str, Vec<&str>)> {
    match ty {
        Type::Enum(variant) => Some(("enum", variant.cases.iter().map(|case| &*case.name).collect())),
        Type::Flags(flags) => Some(("flags", flags.names.iter().map(|name| &**name).collect())),
        _ => None,
    }
}

/// The type in WIT of an enumeration or of flags; `kind` says which.
pub fn wit_names(kind: &str, names: &[String]) -> String {
    format!("{kind} {{ {} }}", names.join(", "))
}

/// Checks names and order of an enumeration's cases or of flags; `kind` says of which.
pub fn check_names(ty: &Type, kind: &str, names: &[String]) -> Result<(), Mismatch> {
    match names_of(ty) {
        Some((found, of)) if found == kind && of == names => Ok(()),
        _ => Err(Mismatch::new(ty, wit_names(kind, names))),
    }
}

/// What a value is that was not what its type said.
#[cold]
pub fn not(what: &str) -> Trap {
    unexpected(what)
}
