//! What preview 1 calls things: errno, rights, flags and enumerations. The only place where the core's errors become
//! numbers. Records are in [`layouts`](super::layouts).

use crate::{
    Error, Result,
    call::{Argument, Return},
    filesystem::{Integrity, Kind, SeekFrom, SetTime},
};
use bitflags::bitflags;
use wasmi::Val;

/// `errno` of a call that worked.
pub const SUCCESS: u16 = 0;

/// The `errno` of an error.
pub const fn errno(error: Error) -> u16 {
    match error {
        Error::Access => 2,
        Error::WouldBlock | Error::NameTemporary => 6,
        Error::BadDescriptor => 8,
        Error::Busy => 10,
        Error::Domain => 18,
        Error::Exists => 20,
        Error::Fault => 21,
        Error::FileTooLarge => 22,
        Error::IllegalSequence => 25,
        Error::Interrupted => 27,
        Error::Invalid | Error::InvalidState => 28,
        Error::Io | Error::Http(_) => 29,
        Error::IsDirectory => 31,
        Error::Loop => 32,
        Error::TooManyOpen => 33,
        Error::TooManyLinks => 34,
        Error::NameTooLong => 37,
        Error::NoDevice => 43,
        Error::NoEntry | Error::NameNotFound => 44,
        Error::NoMemory => 48,
        Error::NoSpace => 51,
        Error::NotDirectory => 54,
        Error::NotEmpty => 55,
        Error::NotSocket => 57,
        Error::NotSupported => 58,
        Error::NotTerminal => 59,
        Error::Overflow => 61,
        Error::NotPermitted => 63,
        Error::Pipe => 64,
        Error::ReadOnly => 69,
        Error::NotSeekable => 70,
        Error::TextBusy => 74,
        Error::CrossDevice => 75,
        Error::NotCapable => 76,
        Error::AddressFamily => 5,
        Error::AddressInUse => 3,
        Error::AddressNotAvailable => 4,
        Error::Already => 7,
        Error::ConnectionAborted => 13,
        Error::ConnectionRefused => 14,
        Error::ConnectionReset => 15,
        Error::HostUnreachable => 23,
        Error::IsConnected => 30,
        Error::MessageSize => 35,
        Error::NetworkUnreachable => 40,
        Error::NotConnected => 53,
        Error::TimedOut => 73,
    }
}

/// Every function of preview 1 but `proc_exit` returns its `errno`; what else it has to say goes through pointers.
impl Return for Result<()> {
    type Wasm = u32;

    #[inline]
    fn lower(self) -> core::result::Result<u32, wasmi::Error> {
        Ok(u32::from(match self {
            Ok(()) => SUCCESS,
            Err(error) => errno(error),
        }))
    }

    fn value(wasm: u32) -> Option<Val> {
        Some(Val::I32(wasm.cast_signed()))
    }

    fn refused(error: Error) -> core::result::Result<u32, wasmi::Error> {
        Err::<(), _>(error).lower()
    }
}

bitflags! {
    /// What may be done with a descriptor, and with those opened from it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Rights: u64 {
        /// `fd_datasync`.
        const FD_DATASYNC = 1 << 0;
        /// `fd_read`.
        const FD_READ = 1 << 1;
        /// `fd_seek`.
        const FD_SEEK = 1 << 2;
        /// `fd_fdstat_set_flags`.
        const FD_FDSTAT_SET_FLAGS = 1 << 3;
        /// `fd_sync`.
        const FD_SYNC = 1 << 4;
        /// `fd_tell`.
        const FD_TELL = 1 << 5;
        /// `fd_write`.
        const FD_WRITE = 1 << 6;
        /// `fd_advise`.
        const FD_ADVISE = 1 << 7;
        /// `fd_allocate`.
        const FD_ALLOCATE = 1 << 8;
        /// `path_create_directory`.
        const PATH_CREATE_DIRECTORY = 1 << 9;
        /// `path_open` with `CREAT`.
        const PATH_CREATE_FILE = 1 << 10;
        /// `path_link` from here.
        const PATH_LINK_SOURCE = 1 << 11;
        /// `path_link` to here.
        const PATH_LINK_TARGET = 1 << 12;
        /// `path_open`.
        const PATH_OPEN = 1 << 13;
        /// `fd_readdir`.
        const FD_READDIR = 1 << 14;
        /// `path_readlink`.
        const PATH_READLINK = 1 << 15;
        /// `path_rename` from here.
        const PATH_RENAME_SOURCE = 1 << 16;
        /// `path_rename` to here.
        const PATH_RENAME_TARGET = 1 << 17;
        /// `path_filestat_get`.
        const PATH_FILESTAT_GET = 1 << 18;
        /// `path_open` with `TRUNC`. No descriptor here has it and no call asks for it, as in wasmtime.
        const PATH_FILESTAT_SET_SIZE = 1 << 19;
        /// `path_filestat_set_times`.
        const PATH_FILESTAT_SET_TIMES = 1 << 20;
        /// `fd_filestat_get`.
        const FD_FILESTAT_GET = 1 << 21;
        /// `fd_filestat_set_size`.
        const FD_FILESTAT_SET_SIZE = 1 << 22;
        /// `fd_filestat_set_times`.
        const FD_FILESTAT_SET_TIMES = 1 << 23;
        /// `path_symlink`.
        const PATH_SYMLINK = 1 << 24;
        /// `path_remove_directory`.
        const PATH_REMOVE_DIRECTORY = 1 << 25;
        /// `path_unlink_file`.
        const PATH_UNLINK_FILE = 1 << 26;
        /// `poll_oneoff`.
        const POLL_FD_READWRITE = 1 << 27;
        /// `sock_shutdown`.
        const SOCK_SHUTDOWN = 1 << 28;
        /// `sock_accept`.
        const SOCK_ACCEPT = 1 << 29;
    }
}

impl Rights {
    /// What a directory can do: what wasmtime reports for a preopen, which the libraries of guests have come to expect.
    pub const DIRECTORY: Self = Self::PATH_CREATE_DIRECTORY
        .union(Self::PATH_CREATE_FILE)
        .union(Self::PATH_LINK_SOURCE)
        .union(Self::PATH_LINK_TARGET)
        .union(Self::PATH_OPEN)
        .union(Self::FD_READDIR)
        .union(Self::PATH_READLINK)
        .union(Self::PATH_RENAME_SOURCE)
        .union(Self::PATH_RENAME_TARGET)
        .union(Self::PATH_FILESTAT_GET)
        .union(Self::PATH_FILESTAT_SET_TIMES)
        .union(Self::FD_FILESTAT_GET)
        .union(Self::FD_FILESTAT_SET_TIMES)
        .union(Self::PATH_SYMLINK)
        .union(Self::PATH_REMOVE_DIRECTORY)
        .union(Self::PATH_UNLINK_FILE);

    /// What a file can do.
    pub const FILE: Self = Self::FD_DATASYNC
        .union(Self::FD_READ)
        .union(Self::FD_SEEK)
        .union(Self::FD_FDSTAT_SET_FLAGS)
        .union(Self::FD_SYNC)
        .union(Self::FD_TELL)
        .union(Self::FD_WRITE)
        .union(Self::FD_ADVISE)
        .union(Self::FD_ALLOCATE)
        .union(Self::FD_FILESTAT_GET)
        .union(Self::FD_FILESTAT_SET_SIZE)
        .union(Self::FD_FILESTAT_SET_TIMES)
        .union(Self::POLL_FD_READWRITE);

    /// What the socket of a connection can do.
    pub const CONNECTION: Self = Self::FD_READ
        .union(Self::FD_FDSTAT_SET_FLAGS)
        .union(Self::FD_WRITE)
        .union(Self::FD_FILESTAT_GET)
        .union(Self::POLL_FD_READWRITE)
        .union(Self::SOCK_SHUTDOWN);

    /// What a socket that listens can do: what any can, and accept.
    pub const LISTENER: Self = Self::CONNECTION.union(Self::SOCK_ACCEPT);
}

bitflags! {
    /// How a descriptor reads and writes.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct FdFlags: u16 {
        /// Every write goes to the end.
        const APPEND = 1 << 0;
        /// A write returns when the content is durable.
        const DSYNC = 1 << 1;
        /// What would wait is `AGAIN`.
        const NONBLOCK = 1 << 2;
        /// A read waits for writes to be durable.
        const RSYNC = 1 << 3;
        /// A write returns when content and metadata are durable.
        const SYNC = 1 << 4;
    }

    /// How a path is looked up.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct LookupFlags: u32 {
        /// A symbolic link at the end is followed.
        const SYMLINK_FOLLOW = 1 << 0;
    }

    /// Which times to set, and to what.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct FstFlags: u16 {
        /// The last access, to the time given.
        const ATIM = 1 << 0;
        /// The last access, to now.
        const ATIM_NOW = 1 << 1;
        /// The last change, to the time given.
        const MTIM = 1 << 2;
        /// The last change, to now.
        const MTIM_NOW = 1 << 3;
    }

    /// How a socket receives.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct RiFlags: u16 {
        /// Leave the data in the queue.
        const PEEK = 1 << 0;
        /// Wait until all buffers are full.
        const WAITALL = 1 << 1;
    }

    /// Which directions of a socket to shut down.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct SdFlags: u8 {
        /// Receiving.
        const RD = 1 << 0;
        /// Sending.
        const WR = 1 << 1;
    }
}

impl FdFlags {
    /// What they ask to be durable after a write.
    pub fn integrity(self) -> Integrity {
        match (self.contains(Self::SYNC), self.contains(Self::DSYNC)) {
            (true, _) => Integrity::File,
            (false, true) => Integrity::Data,
            (false, false) => Integrity::None,
        }
    }
}

/// `oflags` are the core's.
pub use crate::filesystem::OpenFlags as OFlags;

/// Flags are arguments: an unknown bit is `INVAL`.
macro_rules! flag_arguments {
    ($($flags:ident)*) => {$(
        impl Argument for $flags {
            type Wasm = u32;

            fn decode(value: u32) -> Result<Self> {
                value.try_into().ok().and_then(Self::from_bits).ok_or(Error::Invalid)
            }
        }
    )*};
}
flag_arguments!(FdFlags LookupFlags FstFlags RiFlags SdFlags OFlags);

/// Rights that do not exist are not an error: old libraries ask for all bits.
impl Argument for Rights {
    type Wasm = u64;

    fn decode(value: u64) -> Result<Self> {
        Ok(Self::from_bits_truncate(value))
    }
}

impl FstFlags {
    /// What to do with the time of last access and with that of the last change.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a time that shall be both given and now.
    pub fn times(self, accessed: u64, modified: u64) -> Result<(SetTime, SetTime)> {
        let time = |given, now, time| match (self.contains(given), self.contains(now)) {
            (true, true) => Err(Error::Invalid),
            (true, false) => Ok(SetTime::To(time)),
            (false, true) => Ok(SetTime::Now),
            (false, false) => Ok(SetTime::Keep),
        };
        Ok((time(Self::ATIM, Self::ATIM_NOW, accessed)?, time(Self::MTIM, Self::MTIM_NOW, modified)?))
    }
}

/// A clock by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockId {
    /// The wall clock.
    Realtime,
    /// The monotonic clock.
    Monotonic,
    /// The processor time of the guest or of its thread, which is not measured.
    CpuTime,
}

impl Argument for ClockId {
    type Wasm = u32;

    fn decode(value: u32) -> Result<Self> {
        match value {
            0 => Ok(Self::Realtime),
            1 => Ok(Self::Monotonic),
            2 | 3 => Ok(Self::CpuTime),
            _ => Err(Error::Invalid),
        }
    }
}

/// An argument that is only checked: a number up to `MAX`.
#[derive(Clone, Copy, Debug)]
pub struct UpTo<const MAX: u32>;

impl<const MAX: u32> Argument for UpTo<MAX> {
    type Wasm = u32;

    fn decode(value: u32) -> Result<Self> {
        if value <= MAX { Ok(Self) } else { Err(Error::Invalid) }
    }
}

/// Advice on how a file will be used.
pub type Advice = UpTo<5>;

/// A signal.
pub type Signal = UpTo<30>;

/// What a seek counts from.
#[derive(Clone, Copy, Debug)]
pub enum Whence {
    /// The start.
    Set,
    /// The position.
    Current,
    /// The end.
    End,
}

impl Whence {
    /// The core's form of a seek by `offset`.
    pub fn seek(self, offset: i64) -> Result<SeekFrom> {
        Ok(match self {
            Self::Set => SeekFrom::Start(offset.try_into().map_err(|_| Error::Invalid)?),
            Self::Current => SeekFrom::Current(offset),
            Self::End => SeekFrom::End(offset),
        })
    }
}

impl Argument for Whence {
    type Wasm = u32;

    fn decode(value: u32) -> Result<Self> {
        match value {
            0 => Ok(Self::Set),
            1 => Ok(Self::Current),
            2 => Ok(Self::End),
            _ => Err(Error::Invalid),
        }
    }
}

/// `filetype`.
pub const fn file_type(kind: Kind) -> u8 {
    match kind {
        Kind::BlockDevice => 1,
        Kind::CharacterDevice => 2,
        Kind::Directory => 3,
        Kind::File => 4,
        Kind::Socket => 6,
        Kind::SymbolicLink => 7,
        // Preview 1 has no word for it.
        Kind::Fifo => FILE_TYPE_UNKNOWN,
    }
}

/// `filetype` of a stream that is not a terminal.
pub const FILE_TYPE_UNKNOWN: u8 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    /// `errno` of preview 1 in its order, which is its numbers.
    const ERRNO: &str = "success 2big acces addrinuse addrnotavail afnosupport again already badf badmsg busy canceled \
        child connaborted connrefused connreset deadlk destaddrreq dom dquot exist fault fbig hostunreach idrm ilseq \
        inprogress intr inval io isconn isdir loop mfile mlink msgsize multihop nametoolong netdown netreset netunreach \
        nfile nobufs nodev noent noexec nolck nolink nomem nomsg noprotoopt nospc nosys notconn notdir notempty \
        notrecoverable notsock notsup notty nxio overflow ownerdead perm pipe proto protonosupport prototype range rofs \
        spipe srch stale timedout txtbsy xdev notcapable";

    #[test]
    fn every_error_has_its_number() {
        let named = [
            (Error::Access, "acces"),
            (Error::WouldBlock, "again"),
            (Error::BadDescriptor, "badf"),
            (Error::Busy, "busy"),
            (Error::Domain, "dom"),
            (Error::Exists, "exist"),
            (Error::Fault, "fault"),
            (Error::FileTooLarge, "fbig"),
            (Error::IllegalSequence, "ilseq"),
            (Error::Interrupted, "intr"),
            (Error::Invalid, "inval"),
            (Error::Io, "io"),
            (Error::IsDirectory, "isdir"),
            (Error::Loop, "loop"),
            (Error::TooManyOpen, "mfile"),
            (Error::TooManyLinks, "mlink"),
            (Error::NameTooLong, "nametoolong"),
            (Error::NoDevice, "nodev"),
            (Error::NoEntry, "noent"),
            (Error::NoMemory, "nomem"),
            (Error::NoSpace, "nospc"),
            (Error::NotDirectory, "notdir"),
            (Error::NotEmpty, "notempty"),
            (Error::NotSocket, "notsock"),
            (Error::NotSupported, "notsup"),
            (Error::NotTerminal, "notty"),
            (Error::Overflow, "overflow"),
            (Error::NotPermitted, "perm"),
            (Error::Pipe, "pipe"),
            (Error::ReadOnly, "rofs"),
            (Error::NotSeekable, "spipe"),
            (Error::TextBusy, "txtbsy"),
            (Error::CrossDevice, "xdev"),
            (Error::NotCapable, "notcapable"),
            (Error::AddressFamily, "afnosupport"),
            (Error::AddressInUse, "addrinuse"),
            (Error::AddressNotAvailable, "addrnotavail"),
            (Error::Already, "already"),
            (Error::ConnectionAborted, "connaborted"),
            (Error::ConnectionRefused, "connrefused"),
            (Error::ConnectionReset, "connreset"),
            (Error::HostUnreachable, "hostunreach"),
            (Error::IsConnected, "isconn"),
            (Error::MessageSize, "msgsize"),
            (Error::NetworkUnreachable, "netunreach"),
            (Error::NotConnected, "notconn"),
            (Error::TimedOut, "timedout"),
        ];
        for (error, name) in named {
            let number = ERRNO.split_whitespace().position(|errno| errno == name);
            assert_eq!(number, Some(usize::from(errno(error))), "{name}");
        }
        assert_eq!(ERRNO.split_whitespace().count(), 77);
    }

    #[test]
    fn unknown_flags_are_invalid_and_unknown_rights_are_not() {
        assert_eq!(FdFlags::decode(0b1_1111), Ok(FdFlags::all()));
        for unknown in [0b10_0000, 0x1_0000, u32::MAX] {
            assert_eq!(FdFlags::decode(unknown), Err(Error::Invalid));
            assert_eq!(OFlags::decode(unknown), Err(Error::Invalid));
            assert_eq!(LookupFlags::decode(unknown), Err(Error::Invalid));
            assert_eq!(SdFlags::decode(unknown), Err(Error::Invalid));
        }
        assert_eq!(Rights::decode(u64::MAX), Ok(Rights::all()));
        assert!(Advice::decode(5).is_ok() && Advice::decode(6).is_err());
        assert!(Signal::decode(30).is_ok() && Signal::decode(31).is_err());
    }
}
