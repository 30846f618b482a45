//! The one error of the core: what went wrong, in POSIX terms. Each face spells it its own way at the boundary
//! (preview 1 as `errno`, 0.2 as `error-code`); nothing here knows a number of theirs.

use core::fmt;

/// The result of a core operation.
pub type Result<T> = core::result::Result<T, Error>;

/// What went wrong. The names follow POSIX; the doc of each gives the symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Error {
    /// `EACCES`: permission denied.
    Access,
    /// `EAGAIN`: the operation would block and the descriptor is non-blocking.
    WouldBlock,
    /// `EBADF`: not an open descriptor, or not one that can do this.
    BadDescriptor,
    /// `EBUSY`: the resource is in use.
    Busy,
    /// `EDOM`: an argument is outside of the function's domain.
    Domain,
    /// `EEXIST`: it exists already.
    Exists,
    /// `EFAULT`: a guest pointer outside of its memory.
    Fault,
    /// `EFBIG`: the file would grow beyond what a file can be.
    FileTooLarge,
    /// `EILSEQ`: not valid UTF-8.
    IllegalSequence,
    /// `EINTR`: interrupted.
    Interrupted,
    /// `EINVAL`: an argument is wrong.
    Invalid,
    /// `EIO`: the device or the other side failed.
    Io,
    /// `EISDIR`: a directory where none may be.
    IsDirectory,
    /// `ELOOP`: too many symbolic links, or one where none may be followed.
    Loop,
    /// `EMFILE`: this guest has as many descriptors as it may have.
    TooManyOpen,
    /// `EMLINK`: too many hard links.
    TooManyLinks,
    /// `ENAMETOOLONG`: a name or a path is too long, or a buffer too small for a name.
    NameTooLong,
    /// `ENODEV`: no such device, or it does not offer this.
    NoDevice,
    /// `ENOENT`: no such file or directory.
    NoEntry,
    /// `ENOMEM`: the host is out of memory.
    NoMemory,
    /// `ENOSPC`: no space left: a quota or the device.
    NoSpace,
    /// `ENOTDIR`: a directory is needed.
    NotDirectory,
    /// `ENOTEMPTY`: the directory has entries.
    NotEmpty,
    /// `ENOTSOCK`: not a socket.
    NotSocket,
    /// `ENOTSUP`: not supported by this object.
    NotSupported,
    /// `ENOTTY`: not a terminal.
    NotTerminal,
    /// `EOVERFLOW`: a value does not fit its type.
    Overflow,
    /// `EPERM`: not permitted.
    NotPermitted,
    /// `EPIPE`: nobody reads the other end any more.
    Pipe,
    /// `EROFS`: read-only.
    ReadOnly,
    /// `ESPIPE`: not seekable.
    NotSeekable,
    /// `ETXTBSY`: the text file is busy.
    TextBusy,
    /// `EXDEV`: across file systems.
    CrossDevice,
    /// WASI's `ENOTCAPABLE`: the descriptor's rights or the sandbox do not allow it.
    NotCapable,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Access => "permission denied",
            Self::WouldBlock => "the operation would block",
            Self::BadDescriptor => "bad descriptor",
            Self::Busy => "resource busy",
            Self::Domain => "argument outside of the function's domain",
            Self::Exists => "already exists",
            Self::Fault => "pointer outside of the guest's memory",
            Self::FileTooLarge => "file too large",
            Self::IllegalSequence => "not valid UTF-8",
            Self::Interrupted => "interrupted",
            Self::Invalid => "invalid argument",
            Self::Io => "input/output error",
            Self::IsDirectory => "is a directory",
            Self::Loop => "too many symbolic links",
            Self::TooManyOpen => "too many open descriptors",
            Self::TooManyLinks => "too many links",
            Self::NameTooLong => "name too long",
            Self::NoDevice => "no such device",
            Self::NoEntry => "no such file or directory",
            Self::NoMemory => "out of memory",
            Self::NoSpace => "no space left",
            Self::NotDirectory => "not a directory",
            Self::NotEmpty => "directory not empty",
            Self::NotSocket => "not a socket",
            Self::NotSupported => "not supported",
            Self::NotTerminal => "not a terminal",
            Self::Overflow => "value too large for its type",
            Self::NotPermitted => "operation not permitted",
            Self::Pipe => "broken pipe",
            Self::ReadOnly => "read-only file system",
            Self::NotSeekable => "not seekable",
            Self::TextBusy => "text file busy",
            Self::CrossDevice => "cross-device link",
            Self::NotCapable => "capability insufficient",
        })
    }
}

impl core::error::Error for Error {}
