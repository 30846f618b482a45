//! Values of the component model, dynamically typed: what lifting gives and lowering takes.

use crate::handles::ResourceId;
use alloc::{boxed::Box, string::String, vec::Vec};

/// A resource on its way from one instance to another, or to or from the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Its type at run time.
    pub ty: ResourceId,
    /// Its representation, which only its implementer understands.
    pub rep: u32,
}

/// A value. It does not say its type: a record has its fields in order, a variant the index of its case.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the component model")]
pub enum Value {
    Bool(bool), S8(i8), U8(u8), S16(i16), U16(u16), S32(i32), U32(u32), S64(i64), U64(u64), F32(f32), F64(f64), Char(char),
    String(String),
    List(Vec<Value>),
    /// A `list<u8>`, in one piece.
    Bytes(Vec<u8>),
    /// A record's fields or a tuple's, in order.
    Record(Vec<Value>),
    /// Case and payload: of a variant, and of an enumeration (no payload).
    Variant(u32, Option<Box<Value>>),
    Option(Option<Box<Value>>),
    Result(Result<Option<Box<Value>>, Option<Box<Value>>>),
    /// The first flag is bit 0.
    Flags(u32),
    Own(Resource),
    Borrow(Resource),
}
