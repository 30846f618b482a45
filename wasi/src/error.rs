//! The one error of the core: what went wrong, in POSIX terms. Each face spells it its own way at the boundary
//! (preview 1 as `errno`, 0.2 as `error-code`); nothing here knows a number of theirs.

use crate::http;
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
    // Of sockets and names.
    /// `EAFNOSUPPORT`: an address of another family than the socket's.
    AddressFamily,
    /// `EADDRINUSE`: another socket has this address.
    AddressInUse,
    /// `EADDRNOTAVAIL`: not an address of this machine.
    AddressNotAvailable,
    /// `EALREADY`: it is being done already.
    Already,
    /// `ECONNABORTED`: the connection was given up before it was accepted.
    ConnectionAborted,
    /// `ECONNREFUSED`: nobody listens at the other end.
    ConnectionRefused,
    /// `ECONNRESET`: the other end threw the connection away.
    ConnectionReset,
    /// `EHOSTUNREACH`: there is no way to the other end.
    HostUnreachable,
    /// `EINVAL`, of a socket: it is in a state in which this cannot be done.
    InvalidState,
    /// `EISCONN`: the socket is connected.
    IsConnected,
    /// `EMSGSIZE`: the datagram is too large.
    MessageSize,
    /// `EAI_NONAME`: no host has this name.
    NameNotFound,
    /// `EAI_AGAIN`: the name server does not answer, or there is none.
    NameTemporary,
    /// `ENETUNREACH`: there is no route to the other end.
    NetworkUnreachable,
    /// `ENOTCONN`: the socket is not connected.
    NotConnected,
    /// `ETIMEDOUT`: the other end does not answer.
    TimedOut,
    /// The stream is the body of an HTTP message, and what went wrong with that has no symbol: `EIO` for those who need one.
    Http(http::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http(error) => return error.fmt(f),
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
            Self::AddressFamily => "address family not supported",
            Self::AddressInUse => "address in use",
            Self::AddressNotAvailable => "address not available",
            Self::Already => "already in progress",
            Self::ConnectionAborted => "connection aborted",
            Self::ConnectionRefused => "connection refused",
            Self::ConnectionReset => "connection reset",
            Self::HostUnreachable => "host unreachable",
            Self::InvalidState => "socket in the wrong state",
            Self::IsConnected => "socket is connected",
            Self::MessageSize => "message too large",
            Self::NameNotFound => "name not found",
            Self::NameTemporary => "name cannot be resolved at present",
            Self::NetworkUnreachable => "network unreachable",
            Self::NotConnected => "socket is not connected",
            Self::TimedOut => "timed out",
        })
    }
}

impl core::error::Error for Error {}
