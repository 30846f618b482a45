//! The records that lie in guest memory, as `wasi_snapshot_preview1` has them and, where they differ, as the older
//! `wasi_unstable`.

use super::types::{Whence, file_type};
use crate::{
    Error, Result,
    call::Argument,
    filesystem::Stat,
    guest::{Plain, record},
};

record! {
    /// What is known of a descriptor.
    pub struct FdStat: 24 {
        /// `filetype`.
        file_type: u8 = 0,
        /// [`FdFlags`].
        flags: u16 = 2,
        /// [`Rights`].
        rights: u64 = 8,
        /// [`Rights`] of what is opened from it.
        inheriting: u64 = 16,
    }

    /// What is known of a file.
    pub struct FileStat: 64 {
        /// The file system.
        device: u64 = 0,
        /// The node in it.
        inode: u64 = 8,
        /// `filetype`.
        file_type: u8 = 16,
        /// Hard links.
        links: u64 = 24,
        /// Bytes.
        size: u64 = 32,
        /// Last access, wall clock.
        accessed: u64 = 40,
        /// Last change of the content.
        modified: u64 = 48,
        /// Last change of the node.
        changed: u64 = 56,
    }

    /// [`FileStat`] of `wasi_unstable`.
    pub struct OldFileStat: 56 {
        /// The file system.
        device: u64 = 0,
        /// The node in it.
        inode: u64 = 8,
        /// `filetype`.
        file_type: u8 = 16,
        /// Hard links.
        links: u32 = 20,
        /// Bytes.
        size: u64 = 24,
        /// Last access, wall clock.
        accessed: u64 = 32,
        /// Last change of the content.
        modified: u64 = 40,
        /// Last change of the node.
        changed: u64 = 48,
    }

    /// The head of a directory entry; the name follows.
    pub struct DirEntry: 24 {
        /// The cookie of the next.
        next: u64 = 0,
        /// The node.
        inode: u64 = 8,
        /// Bytes of the name.
        name_len: u32 = 16,
        /// `filetype`.
        file_type: u8 = 20,
    }

    /// A preopened directory or socket.
    pub struct PreStat: 8 {
        /// A [`preopen_type`].
        tag: u8 = 0,
        /// Bytes of its name.
        name_len: u32 = 4,
    }

    /// What a guest waits for.
    pub struct Subscription: 48 {
        /// Given back in the event.
        user_data: u64 = 0,
        /// An [`event_type`].
        event_type: u8 = 8,
        /// Of a clock: which. Of a descriptor: its number.
        subject: u32 = 16,
        /// Of a clock: when.
        timeout: u64 = 24,
        /// Of a clock: 1 when `timeout` is an instant, not a span.
        flags: u16 = 40,
    }

    /// [`Subscription`] to a clock as `wasi_unstable` has it.
    pub struct OldClockSubscription: 56 {
        /// Given back in the event.
        user_data: u64 = 0,
        /// An [`event_type`].
        event_type: u8 = 8,
        /// Which clock.
        subject: u32 = 24,
        /// When.
        timeout: u64 = 32,
        /// 1 when `timeout` is an instant, not a span.
        flags: u16 = 48,
    }

    /// What has happened.
    pub struct Event: 32 {
        /// From the subscription.
        user_data: u64 = 0,
        /// `errno`.
        error: u16 = 8,
        /// An [`event_type`].
        event_type: u8 = 10,
        /// Bytes that can be read or written.
        bytes: u64 = 16,
        /// 1 when the other side has hung up.
        flags: u16 = 24,
    }
}

/// What is there from the start.
pub mod preopen_type {
    /// A directory.
    pub const DIRECTORY: u8 = 0;
    /// A socket. The specification has no number for it; what libraries of guests do not know they pass over, and find
    /// the directories behind it, while an error would end their search.
    pub const SOCKET: u8 = 1;
}

/// What can be waited for.
pub mod event_type {
    /// A time.
    pub const CLOCK: u8 = 0;
    /// Something to read.
    pub const FD_READ: u8 = 1;
    /// Room to write.
    pub const FD_WRITE: u8 = 2;
}

impl From<Stat> for FileStat {
    fn from(stat: Stat) -> Self {
        Self {
            device: stat.device,
            inode: stat.inode,
            file_type: file_type(stat.kind),
            links: stat.links,
            size: stat.size,
            accessed: stat.accessed,
            modified: stat.modified,
            changed: stat.changed,
        }
    }
}

impl From<FileStat> for OldFileStat {
    fn from(stat: FileStat) -> Self {
        Self {
            device: stat.device,
            inode: stat.inode,
            file_type: stat.file_type,
            links: stat.links.try_into().unwrap_or(u32::MAX),
            size: stat.size,
            accessed: stat.accessed,
            modified: stat.modified,
            changed: stat.changed,
        }
    }
}

/// [`Subscription`] of `wasi_unstable`: a clock's has one field more in front.
#[derive(Clone, Copy, Debug)]
pub struct OldSubscription(Subscription);

impl Plain for OldSubscription {
    const SIZE: usize = OldClockSubscription::SIZE;

    fn load(bytes: &[u8]) -> Option<Self> {
        let old = OldClockSubscription::load(bytes)?;
        let new = Subscription::load(bytes)?;
        Some(Self(match old.event_type {
            event_type::CLOCK => {
                Subscription { subject: old.subject, timeout: old.timeout, flags: old.flags, ..new }
            }
            _ => new,
        }))
    }

    fn store(self, bytes: &mut [u8]) -> Option<()> {
        let Subscription { user_data, event_type, subject, timeout, flags } = self.0;
        match event_type {
            event_type::CLOCK => {
                OldClockSubscription { user_data, event_type, subject, timeout, flags }.store(bytes)
            }
            _ => self.0.store(bytes),
        }
    }
}

impl From<OldSubscription> for Subscription {
    fn from(old: OldSubscription) -> Self {
        old.0
    }
}

/// Where `wasi_unstable` differs from `wasi_snapshot_preview1`.
pub trait Layouts: 'static {
    /// `filestat`.
    type FileStat: Plain + From<FileStat>;
    /// `subscription`.
    type Subscription: Plain + Into<Subscription>;
    /// `whence`.
    type Whence: Argument + Into<Whence>;
}

/// The layouts of `wasi_snapshot_preview1`.
pub struct Snapshot;

impl Layouts for Snapshot {
    type FileStat = FileStat;
    type Subscription = Subscription;
    type Whence = Whence;
}

/// The layouts of `wasi_unstable`.
pub struct Unstable;

impl Layouts for Unstable {
    type FileStat = OldFileStat;
    type Subscription = OldSubscription;
    type Whence = OldWhence;
}

/// [`Whence`] in the order of `wasi_unstable`.
#[derive(Clone, Copy, Debug)]
pub struct OldWhence(Whence);

impl Argument for OldWhence {
    type Wasm = u32;

    fn decode(value: u32) -> Result<Self> {
        match value {
            0 => Ok(Self(Whence::Current)),
            1 => Ok(Self(Whence::End)),
            2 => Ok(Self(Whence::Set)),
            _ => Err(Error::Invalid),
        }
    }
}

impl From<OldWhence> for Whence {
    fn from(old: OldWhence) -> Self {
        old.0
    }
}
