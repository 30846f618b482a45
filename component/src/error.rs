//! What goes wrong while a component runs: traps of the component model. A core trap stays wasmi's own.

use alloc::string::String;
use core::fmt;
use wasmi::errors::HostError;

/// A trap of the component model or of a host function. It ends the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trap {
    /// A pointer, or what it leads to, is not inside of the linear memory.
    OutOfBounds,
    /// A pointer is not aligned as its type asks.
    Unaligned,
    /// A string is not valid in its encoding.
    InvalidString,
    /// A `char` that is no Unicode scalar value.
    InvalidChar,
    /// The case of a variant, an enumeration, an option or a result that it has not.
    InvalidDiscriminant,
    /// A list or string above the size that the canonical ABI allows (2^28 - 1 bytes).
    TooLarge,
    /// No such handle in the instance's table.
    UnknownHandle(u32),
    /// A handle of another type.
    HandleType(u32),
    /// A borrowed handle where an owned one is needed.
    NotOwned(u32),
    /// An owned handle that is lent.
    Lent(u32),
    /// A task that returns while it still has borrowed handles.
    BorrowsRemain,
    /// The table of handles is full.
    TooManyHandles,
    /// An instance called where it must not be left (in `realloc` and `post-return`).
    CannotLeave,
    /// An instance called that is running already, or has trapped.
    CannotEnter,
    /// A limit of the host (see [`crate::Limits`]).
    Limit(&'static str),
    /// What a host function found wrong: polling an empty list, dropping a parent before its child…
    Host(String),
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfBounds => f.write_str("pointer out of bounds of the memory"),
            Self::Unaligned => f.write_str("unaligned pointer"),
            Self::InvalidString => f.write_str("string not valid in its encoding"),
            Self::InvalidChar => f.write_str("char that is no Unicode scalar value"),
            Self::InvalidDiscriminant => f.write_str("invalid discriminant"),
            Self::TooLarge => f.write_str("list or string too large"),
            Self::UnknownHandle(index) => write!(f, "unknown handle index {index}"),
            Self::HandleType(index) => write!(f, "handle index {index} used with the wrong type"),
            Self::NotOwned(index) => write!(f, "handle index {index} is borrowed, not owned"),
            Self::Lent(index) => write!(f, "handle index {index} is lent"),
            Self::BorrowsRemain => f.write_str("borrow handles still remain at the end of the call"),
            Self::TooManyHandles => f.write_str("too many handles"),
            Self::CannotLeave => f.write_str("cannot leave component instance"),
            Self::CannotEnter => f.write_str("cannot enter component instance"),
            Self::Limit(what) => write!(f, "the limit of {what} is reached"),
            Self::Host(why) => f.write_str(why),
        }
    }
}

impl core::error::Error for Trap {}
impl HostError for Trap {}

impl From<Trap> for wasmi::Error {
    fn from(trap: Trap) -> Self {
        Self::host(trap)
    }
}
