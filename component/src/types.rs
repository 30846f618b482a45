//! The value types of the component model, as far as they matter at run time, and how they lie in linear memory.

use alloc::{boxed::Box, sync::Arc};

/// A resource type as a component's body knows it: an index into the resource types of its instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ResourceIndex(pub u32);

/// A value type. Cheap to clone; equal types are structurally equal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the component model")]
pub enum Type {
    Bool, S8, U8, S16, U16, S32, U32, S64, U64, F32, F64, Char, String,
    List(Arc<Type>),
    /// Elements and their number.
    FixedList(Arc<Type>, u32),
    Record(Arc<[(Box<str>, Type)]>),
    Tuple(Arc<[Type]>),
    Variant(Arc<[(Box<str>, Option<Type>)]>),
    Enum(Arc<[Box<str>]>),
    Option(Arc<Type>),
    /// `ok` and `error`.
    Result(Arc<(Option<Type>, Option<Type>)>),
    Flags(Arc<[Box<str>]>),
    Own(ResourceIndex),
    Borrow(ResourceIndex),
}

/// The type of a component function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionType {
    /// Names and types of the parameters.
    pub params: Box<[(Box<str>, Type)]>,
    /// The result, if any.
    pub result: Option<Type>,
}
