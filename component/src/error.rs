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
    /// A limit of this crate or of the host: what it limits.
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

/// Why a component cannot be loaded.
#[derive(Debug)]
#[non_exhaustive]
pub enum LoadError {
    /// It is not valid: where, and what is wrong.
    Invalid(wasmparser::BinaryReaderError),
    /// It ends too early.
    Truncated,
    /// It is a core module, not a component.
    NotComponent,
    /// It uses what is not to be had here.
    Unsupported(&'static str),
    /// A type is too large.
    Type(String),
    /// One of its core modules cannot be compiled.
    Module(wasmi::Error),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(error) => write!(f, "the component is not valid: {error}"),
            Self::Truncated => f.write_str("the component ends too early"),
            Self::NotComponent => f.write_str("it is a core module, not a component"),
            Self::Unsupported(what) => write!(f, "the component uses {what}, which is not supported"),
            Self::Type(why) => write!(f, "a type of the component cannot be used: {why}"),
            Self::Module(error) => write!(f, "a core module of the component cannot be compiled: {error}"),
        }
    }
}

impl core::error::Error for LoadError {}

impl From<wasmparser::BinaryReaderError> for LoadError {
    fn from(error: wasmparser::BinaryReaderError) -> Self {
        Self::Invalid(error)
    }
}

/// Why a component cannot be linked: what the host does not have, or has in another form.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkError {
    /// The host does not offer this interface, nor a compatible version of it.
    UnknownImport(String),
    /// The host's interface has no such function or resource type.
    UnknownItem {
        /// The interface.
        interface: String,
        /// What it lacks.
        item: String,
    },
    /// The host's function has another type.
    Type {
        /// The interface.
        interface: String,
        /// The function.
        function: String,
        /// Where they differ.
        mismatch: crate::typed::Mismatch,
    },
    /// The component imports what no host can give: a module or a component.
    Unsupported {
        /// The import.
        import: String,
        /// What it is.
        what: &'static str,
    },
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownImport(name) => {
                write!(f, "the component imports {name:?}, which the host does not have")
            }
            Self::UnknownItem { interface, item } => {
                write!(
                    f,
                    "the component imports {item:?} of {interface:?}, which the host's version does not have"
                )
            }
            Self::Type { interface, function, mismatch } => {
                write!(f, "the component imports {function:?} of {interface:?} with another type: {mismatch}")
            }
            Self::Unsupported { import, what } => {
                write!(f, "the component imports {import:?}, {what}, which the host cannot give")
            }
        }
    }
}

impl core::error::Error for LinkError {}

/// Why a component cannot be instantiated.
#[derive(Debug)]
#[non_exhaustive]
pub enum InstantiationError {
    /// An import or export is not there.
    Missing(String),
    /// A core module cannot be instantiated.
    Module(wasmi::Error),
    /// A limit of the host.
    Limit(&'static str),
    /// What validation has proved does not hold: a defect of this crate.
    Inconsistent,
}

impl fmt::Display for InstantiationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(name) => write!(f, "{name:?} is missing"),
            Self::Module(error) => write!(f, "a core module cannot be instantiated: {error}"),
            Self::Limit(what) => write!(f, "the limit of {what} is reached"),
            Self::Inconsistent => f.write_str("the component is inconsistent"),
        }
    }
}

impl core::error::Error for InstantiationError {}
impl HostError for InstantiationError {}

impl From<InstantiationError> for wasmi::Error {
    fn from(error: InstantiationError) -> Self {
        match error {
            // It may be a trap, or a limit's.
            InstantiationError::Module(error) => error,
            error => Self::host(error),
        }
    }
}
