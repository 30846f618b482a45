//! What 0.2 calls things of files, and the only place where the core's errors become an `error-code`.

use crate::{
    Error, Result,
    filesystem::{self, Kind, SetTime, Stat},
    preview2::clocks::Datetime,
};
use alloc::string::String;

component::enumeration! {
    /// What went wrong.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum ErrorCode {
        Access,
        WouldBlock,
        Already,
        BadDescriptor,
        Busy,
        Deadlock,
        Quota,
        Exist,
        FileTooLarge,
        IllegalByteSequence,
        InProgress,
        Interrupted,
        Invalid,
        Io,
        IsDirectory,
        Loop,
        TooManyLinks,
        MessageSize,
        NameTooLong,
        NoDevice,
        NoEntry,
        NoLock,
        InsufficientMemory,
        InsufficientSpace,
        NotDirectory,
        NotEmpty,
        NotRecoverable,
        Unsupported,
        NoTty,
        NoSuchDevice,
        Overflow,
        NotPermitted,
        Pipe,
        ReadOnly,
        InvalidSeek,
        TextFileBusy,
        CrossDevice,
    }
}

impl From<Error> for ErrorCode {
    fn from(error: Error) -> Self {
        match error {
            Error::Access => Self::Access,
            Error::WouldBlock => Self::WouldBlock,
            Error::BadDescriptor | Error::NotSocket => Self::BadDescriptor,
            Error::Busy => Self::Busy,
            Error::Exists => Self::Exist,
            Error::FileTooLarge => Self::FileTooLarge,
            Error::IllegalSequence => Self::IllegalByteSequence,
            Error::Interrupted => Self::Interrupted,
            Error::Invalid | Error::Domain | Error::Fault => Self::Invalid,
            Error::Io | Error::Http(_) => Self::Io,
            Error::IsDirectory => Self::IsDirectory,
            Error::Loop => Self::Loop,
            Error::TooManyLinks => Self::TooManyLinks,
            Error::NameTooLong => Self::NameTooLong,
            Error::NoDevice => Self::NoDevice,
            Error::NoEntry => Self::NoEntry,
            // 0.2 has no word for too many open files.
            Error::NoMemory | Error::TooManyOpen => Self::InsufficientMemory,
            Error::NoSpace => Self::InsufficientSpace,
            Error::NotDirectory => Self::NotDirectory,
            Error::NotEmpty => Self::NotEmpty,
            Error::NotSupported => Self::Unsupported,
            Error::NotTerminal => Self::NoTty,
            Error::Overflow => Self::Overflow,
            Error::NotPermitted | Error::NotCapable => Self::NotPermitted,
            Error::Pipe => Self::Pipe,
            Error::ReadOnly => Self::ReadOnly,
            Error::NotSeekable => Self::InvalidSeek,
            Error::TextBusy => Self::TextFileBusy,
            Error::CrossDevice => Self::CrossDevice,
            // What only sockets and names give.
            Error::AddressFamily
            | Error::AddressInUse
            | Error::AddressNotAvailable
            | Error::Already
            | Error::ConnectionAborted
            | Error::ConnectionRefused
            | Error::ConnectionReset
            | Error::HostUnreachable
            | Error::InvalidState
            | Error::IsConnected
            | Error::MessageSize
            | Error::NameNotFound
            | Error::NameTemporary
            | Error::NetworkUnreachable
            | Error::NotConnected
            | Error::TimedOut => Self::Io,
        }
    }
}

component::enumeration! {
    /// What a descriptor is.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum DescriptorType {
        Unknown,
        BlockDevice,
        CharacterDevice,
        Directory,
        Fifo,
        SymbolicLink,
        RegularFile,
        Socket,
    }
}

impl From<Kind> for DescriptorType {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::File => Self::RegularFile,
            Kind::Directory => Self::Directory,
            Kind::SymbolicLink => Self::SymbolicLink,
            Kind::BlockDevice => Self::BlockDevice,
            Kind::CharacterDevice => Self::CharacterDevice,
            Kind::Fifo => Self::Fifo,
            Kind::Socket => Self::Socket,
        }
    }
}

component::flags! {
    /// What may be done with a descriptor, and how it writes.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct DescriptorFlags {
        /// Its bytes can be read.
        READ,
        /// Its bytes can be written.
        WRITE,
        /// A write returns when content and metadata are durable.
        FILE_INTEGRITY_SYNC,
        /// A write returns when the content is durable.
        DATA_INTEGRITY_SYNC,
        /// A read waits for writes to be durable.
        REQUESTED_WRITE_SYNC,
        /// What the directory has can be changed.
        MUTATE_DIRECTORY,
    }
}

component::flags! {
    /// How a path is looked up.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct PathFlags {
        /// A symbolic link at the end is followed.
        SYMLINK_FOLLOW,
    }
}

component::flags! {
    /// How a file is opened.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct OpenFlags {
        /// Create the file if there is none.
        CREATE,
        /// Fail if it is not a directory.
        DIRECTORY,
        /// Fail if there is anything of that name.
        EXCLUSIVE,
        /// Cut the file to no bytes.
        TRUNCATE,
    }
}

impl From<OpenFlags> for filesystem::OpenFlags {
    fn from(flags: OpenFlags) -> Self {
        let mut open = Self::empty();
        open.set(Self::CREATE, flags.contains(OpenFlags::CREATE));
        open.set(Self::DIRECTORY, flags.contains(OpenFlags::DIRECTORY));
        open.set(Self::EXCLUSIVE, flags.contains(OpenFlags::EXCLUSIVE));
        open.set(Self::TRUNCATE, flags.contains(OpenFlags::TRUNCATE));
        open
    }
}

component::record! {
    /// What is known of a file.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct DescriptorStat {
        /// What it is.
        pub ty as "type": DescriptorType,
        /// Number of hard links.
        pub link_count: u64,
        /// Bytes in a file, or in a symbolic link's text.
        pub size: u64,
        /// Last access.
        pub data_access_timestamp: Option<Datetime>,
        /// Last change of the content.
        pub data_modification_timestamp: Option<Datetime>,
        /// Last change of the file.
        pub status_change_timestamp: Option<Datetime>,
    }
}

impl From<Stat> for DescriptorStat {
    fn from(stat: Stat) -> Self {
        Self {
            ty: stat.kind.into(),
            link_count: stat.links,
            size: stat.size,
            data_access_timestamp: Some(stat.accessed.into()),
            data_modification_timestamp: Some(stat.modified.into()),
            status_change_timestamp: Some(stat.changed.into()),
        }
    }
}

component::variant! {
    /// What to do with one of a file's times.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum NewTimestamp {
        /// Leave it.
        NoChange,
        /// The wall clock's now.
        Now,
        /// This.
        Timestamp(Datetime),
    }
}

impl NewTimestamp {
    /// The core's form.
    ///
    /// # Errors
    /// As [`Datetime::nanoseconds`].
    pub fn set_time(self) -> Result<SetTime> {
        Ok(match self {
            Self::NoChange => SetTime::Keep,
            Self::Now => SetTime::Now,
            Self::Timestamp(time) => SetTime::To(time.nanoseconds()?),
        })
    }
}

component::record! {
    /// An entry of a directory.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct DirectoryEntry {
        /// What it is.
        pub ty as "type": DescriptorType,
        /// Its name.
        pub name: String,
    }
}

component::enumeration! {
    /// How a part of a file will be used.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Advice {
        Normal,
        Sequential,
        Random,
        WillNeed,
        DontNeed,
        NoReuse,
    }
}

component::record! {
    /// A hash of which file it is (`lower`) and in which version (`upper`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct MetadataHashValue {
        /// The same for as long as it is the same file.
        pub lower: u64,
        /// Another when the file has changed.
        pub upper: u64,
    }
}

impl From<Stat> for MetadataHashValue {
    fn from(stat: Stat) -> Self {
        let (lower, upper) = stat.metadata_hash();
        Self { lower, upper }
    }
}
