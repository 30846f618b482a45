//! The resource `fields`, which is `headers` and `trailers` too.

use super::super::{Data, Polled, Preview2, State, offer};
use crate::http::{self, FieldsError};
use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use component::{Borrow, Own, Trap, host::InterfaceBuilder};
use core::task::Poll;

/// The resource `fields`.
pub struct Fields(pub http::Fields);

component::variant! {
    /// Why fields did not change.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum HeaderError {
        InvalidSyntax,
        Forbidden,
        Immutable,
    }
}

/// What a function that changes fields gives.
type Changed<T> = Polled<Result<T, HeaderError>>;

pub(super) fn register(types: &mut InterfaceBuilder<'_, Data>) {
    offer::<Fields>(types);
    types
        .func("[constructor]fields", new)
        .func("[static]fields.from-list", from_list)
        .func("[method]fields.get", get)
        .func("[method]fields.has", has)
        .func("[method]fields.set", set)
        .func("[method]fields.delete", delete)
        .func("[method]fields.append", append)
        .func("[method]fields.entries", entries)
        .func("[method]fields.clone", clone);
}

/// The result as the guest gets it. For too much 0.2 has no word.
fn changed<T>(result: Result<T, FieldsError>) -> Changed<T> {
    let error = match result {
        Ok(value) => return Poll::Ready(Ok(Ok(value))),
        Err(FieldsError::Syntax) => HeaderError::InvalidSyntax,
        Err(FieldsError::Forbidden) => HeaderError::Forbidden,
        Err(FieldsError::Immutable) => HeaderError::Immutable,
        Err(FieldsError::Size) => {
            return Poll::Ready(Err(Trap::Limit("the size of the fields of an HTTP message").into()));
        }
    };
    Poll::Ready(Ok(Err(error)))
}

fn look(state: &State, fields: Borrow<Fields>) -> Result<&http::Fields, Trap> {
    Ok(&state.table.get::<Fields>(fields.rep)?.0)
}

fn change<T>(
    call: &mut Preview2<'_>,
    fields: Borrow<Fields>,
    change: impl FnOnce(&mut http::Fields) -> Result<T, FieldsError>,
) -> Changed<T> {
    changed(change(&mut call.data.state.table.get_mut::<Fields>(fields.rep)?.0))
}

/// No fields.
pub fn new(call: &mut Preview2<'_>, (): &()) -> Polled<Own<Fields>> {
    Poll::Ready(Ok(call.data.state.give(Fields(http::Fields::new()))?))
}

/// These fields.
pub fn from_list(call: &mut Preview2<'_>, (entries,): &(Vec<(String, Vec<u8>)>,)) -> Changed<Own<Fields>> {
    let mut fields = http::Fields::new();
    let added = entries.iter().try_for_each(|(name, value)| fields.append(name.clone(), value.clone()));
    match added {
        Ok(()) => Poll::Ready(Ok(Ok(call.data.state.give(Fields(fields))?))),
        Err(error) => changed(Err(error)),
    }
}

/// The values of a name.
pub fn get(call: &mut Preview2<'_>, (fields, name): &(Borrow<Fields>, String)) -> Polled<Vec<Vec<u8>>> {
    Poll::Ready(Ok(look(&call.data.state, *fields)?.get(name).map(Into::into).collect()))
}

/// Whether the name is there.
pub fn has(call: &mut Preview2<'_>, (fields, name): &(Borrow<Fields>, String)) -> Polled<bool> {
    Poll::Ready(Ok(look(&call.data.state, *fields)?.has(name)))
}

/// Replaces all values of a name.
pub fn set(
    call: &mut Preview2<'_>,
    (fields, name, values): &(Borrow<Fields>, String, Vec<Vec<u8>>),
) -> Changed<()> {
    change(call, *fields, |fields| fields.set(name, values.clone()))
}

/// Removes all values of a name.
pub fn delete(call: &mut Preview2<'_>, (fields, name): &(Borrow<Fields>, String)) -> Changed<()> {
    change(call, *fields, |fields| fields.delete(name))
}

/// Adds a value to those of a name.
pub fn append(
    call: &mut Preview2<'_>,
    (fields, name, value): &(Borrow<Fields>, String, Vec<u8>),
) -> Changed<()> {
    change(call, *fields, |fields| fields.append(name.clone(), value.clone()))
}

/// All names and values, in order.
pub fn entries(call: &mut Preview2<'_>, (fields,): &(Borrow<Fields>,)) -> Polled<Vec<(String, Vec<u8>)>> {
    let entries = look(&call.data.state, *fields)?.iter();
    Poll::Ready(Ok(entries.map(|(name, value)| (name.to_string(), value.into())).collect()))
}

/// A copy that can be changed.
pub fn clone(call: &mut Preview2<'_>, (fields,): &(Borrow<Fields>,)) -> Polled<Own<Fields>> {
    let copy = look(&call.data.state, *fields)?.mutable();
    Poll::Ready(Ok(call.data.state.give(Fields(copy))?))
}
