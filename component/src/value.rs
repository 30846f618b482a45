//! Values of the component model, dynamically typed: what lifting gives and lowering takes.

use crate::{Type, handles::ResourceId};
use alloc::{borrow::ToOwned, boxed::Box, string::String, vec::Vec};

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
    Bool(bool),
    S8(i8),
    U8(u8),
    S16(i16),
    U16(u16),
    S32(i32),
    U32(u32),
    S64(i64),
    U64(u64),
    F32(f32),
    F64(f64),
    Char(char),
    String(Text),
    /// A list of anything. Lists of scalars are lifted as [`Bytes`](Self::Bytes) and [`Scalars`](Self::Scalars), but lowered from this as
    /// well.
    List(Vec<Value>),
    /// A `list<u8>`, in one piece.
    Bytes(Vec<u8>),
    /// A list of other scalars, in one piece.
    Scalars(Scalars),
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

impl Value {
    /// The elements of a list, however they are kept; nothing if it is none.
    pub fn into_elements(self) -> Option<Vec<Self>> {
        match self {
            Self::List(elements) => Some(elements),
            Self::Bytes(bytes) => Some(bytes.into_iter().map(Self::U8).collect()),
            Self::Scalars(scalars) => Some(scalars.iter().collect()),
            _ => None,
        }
    }

    /// The case and the payload of a variant or what is one by another name: enumeration, option, result.
    pub fn case(&self) -> Option<(u32, Option<&Self>)> {
        match self {
            Self::Variant(case, payload) => Some((*case, payload.as_deref())),
            Self::Option(some) => Some((u32::from(some.is_some()), some.as_deref())),
            Self::Result(Ok(payload)) => Some((0, payload.as_deref())),
            Self::Result(Err(payload)) => Some((1, payload.as_deref())),
            _ => None,
        }
    }

    /// A scalar as raw bits, as its type is `scalar`.
    #[inline]
    pub(crate) fn scalar_bits(&self, scalar: Scalar) -> Option<u64> {
        // Sign extension ends at 32 bits, where the flat value does.
        Some(match (scalar, self) {
            (Scalar::Bool, Self::Bool(value)) => u64::from(*value),
            (Scalar::S8, Self::S8(value)) => u64::from(i32::from(*value).cast_unsigned()),
            (Scalar::U8, Self::U8(value)) => u64::from(*value),
            (Scalar::S16, Self::S16(value)) => u64::from(i32::from(*value).cast_unsigned()),
            (Scalar::U16, Self::U16(value)) => u64::from(*value),
            (Scalar::S32, Self::S32(value)) => u64::from(value.cast_unsigned()),
            (Scalar::U32, Self::U32(value)) => u64::from(*value),
            (Scalar::S64, Self::S64(value)) => value.cast_unsigned(),
            (Scalar::U64, Self::U64(value)) => *value,
            (Scalar::F32, Self::F32(value)) => u64::from(value.to_bits()),
            (Scalar::F64, Self::F64(value)) => value.to_bits(),
            (Scalar::Char, Self::Char(value)) => u64::from(u32::from(*value)),
            _ => return None,
        })
    }

    /// What the value is, for messages.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Bool(_) => "a bool",
            Self::S8(_) => "an s8",
            Self::U8(_) => "a u8",
            Self::S16(_) => "an s16",
            Self::U16(_) => "a u16",
            Self::S32(_) => "an s32",
            Self::U32(_) => "a u32",
            Self::S64(_) => "an s64",
            Self::U64(_) => "a u64",
            Self::F32(_) => "an f32",
            Self::F64(_) => "an f64",
            Self::Char(_) => "a char",
            Self::String(_) => "a string",
            Self::List(_) | Self::Bytes(_) | Self::Scalars(_) => "a list",
            Self::Record(_) => "a record or tuple",
            Self::Variant(..) => "a variant",
            Self::Option(_) => "an option",
            Self::Result(_) => "a result",
            Self::Flags(_) => "flags",
            Self::Own(_) => "an owned resource",
            Self::Borrow(_) => "a borrowed resource",
        }
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text.into())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned().into())
    }
}

/// A string, and how it lay in the memory that it came from: on that depends which calls of `realloc` lowering makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    text: String,
    source: Source,
}

/// The encoding that a string had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Also of the host's strings.
    Utf8,
    Utf16,
    /// `latin1+utf16`, as Latin-1.
    Latin1,
    /// `latin1+utf16`, as UTF-16.
    TaggedUtf16,
}

impl Text {
    pub(crate) const fn new(text: String, source: Source) -> Self {
        Self { text, source }
    }

    pub(crate) const fn source(&self) -> Source {
        self.source
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::new(text, Source::Utf8)
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.text
    }
}

/// A type of fixed size whose values hold nothing but themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the component model")]
pub enum Scalar {
    Bool,
    S8,
    U8,
    S16,
    U16,
    S32,
    U32,
    S64,
    U64,
    F32,
    F64,
    Char,
}

impl Scalar {
    /// Its size in memory, in bytes; its alignment as well.
    pub const fn size(self) -> usize {
        match self {
            Self::Bool | Self::S8 | Self::U8 => 1,
            Self::S16 | Self::U16 => 2,
            Self::S32 | Self::U32 | Self::F32 | Self::Char => 4,
            Self::S64 | Self::U64 | Self::F64 => 8,
        }
    }

    /// The value with these bits, of which only as many count as the type has; nothing if there is none.
    #[expect(clippy::cast_possible_truncation, reason = "the canonical ABI ignores the upper bits")]
    #[inline]
    pub(crate) fn value(self, bits: u64) -> Option<Value> {
        Some(match self {
            Self::Bool => Value::Bool(bits as u32 != 0),
            Self::S8 => Value::S8(bits as i8),
            Self::U8 => Value::U8(bits as u8),
            Self::S16 => Value::S16(bits as i16),
            Self::U16 => Value::U16(bits as u16),
            Self::S32 => Value::S32(bits as i32),
            Self::U32 => Value::U32(bits as u32),
            Self::S64 => Value::S64(bits.cast_signed()),
            Self::U64 => Value::U64(bits),
            Self::F32 => Value::F32(canonical32(f32::from_bits(bits as u32))),
            Self::F64 => Value::F64(canonical64(f64::from_bits(bits))),
            Self::Char => Value::Char(char::from_u32(bits as u32)?),
        })
    }

    /// The bits that the value with these bits is lowered to.
    #[inline]
    pub(crate) fn normal(self, bits: u64) -> Option<u64> {
        self.value(bits)?.scalar_bits(self)
    }
}

impl Type {
    /// The type as a scalar, if it is one.
    #[inline]
    pub(crate) const fn scalar(&self) -> Option<Scalar> {
        Some(match self {
            Self::Bool => Scalar::Bool,
            Self::S8 => Scalar::S8,
            Self::U8 => Scalar::U8,
            Self::S16 => Scalar::S16,
            Self::U16 => Scalar::U16,
            Self::S32 => Scalar::S32,
            Self::U32 => Scalar::U32,
            Self::S64 => Scalar::S64,
            Self::U64 => Scalar::U64,
            Self::F32 => Scalar::F32,
            Self::F64 => Scalar::F64,
            Self::Char => Scalar::Char,
            _ => return None,
        })
    }
}

/// The one NaN that the canonical ABI lets through.
const fn canonical32(value: f32) -> f32 {
    if value.is_nan() { f32::from_bits(0x7fc0_0000) } else { value }
}

/// As [`canonical32`].
const fn canonical64(value: f64) -> f64 {
    if value.is_nan() { f64::from_bits(0x7ff8_0000_0000_0000) } else { value }
}

/// Scalars in one piece, little-endian, as a list of them lies in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalars {
    bytes: Vec<u8>,
    element: Scalar,
}

impl Scalars {
    /// Elements of type `element`; nothing if the bytes are not such.
    pub fn new(element: Scalar, mut bytes: Vec<u8>) -> Option<Self> {
        let whole = bytes.len().is_multiple_of(element.size());
        (whole && normalize(element, &mut bytes)).then_some(Self { bytes, element })
    }

    /// The type of the elements.
    pub const fn element(&self) -> Scalar {
        self.element
    }

    /// All elements, little-endian.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// One after the other.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Value> + '_ {
        self.bytes.chunks_exact(self.element.size()).map(|bytes| {
            let bits = bytes.iter().rev().fold(0, |bits, byte| bits << 8 | u64::from(*byte));
            // All of them were looked at when they came in.
            self.element.value(bits).unwrap_or(Value::Bool(false))
        })
    }
}

/// Makes every NaN the canonical one and every `true` a 1; whether all elements are valid.
fn normalize(element: Scalar, bytes: &mut [u8]) -> bool {
    match element {
        Scalar::Bool => bytes.iter_mut().for_each(|byte| *byte = u8::from(*byte != 0)),
        Scalar::F32 => bytes
            .as_chunks_mut()
            .0
            .iter_mut()
            .for_each(|bytes| *bytes = canonical32(f32::from_le_bytes(*bytes)).to_le_bytes()),
        Scalar::F64 => bytes
            .as_chunks_mut()
            .0
            .iter_mut()
            .for_each(|bytes| *bytes = canonical64(f64::from_le_bytes(*bytes)).to_le_bytes()),
        Scalar::Char => {
            return bytes
                .as_chunks()
                .0
                .iter()
                .all(|bytes| char::from_u32(u32::from_le_bytes(*bytes)).is_some());
        }
        _ => {}
    }
    true
}
