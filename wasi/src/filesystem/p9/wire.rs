//! The bytes of messages: how requests are built, how replies are read. A reply's bytes are the server's: everything
//! here that reads them says `None` when they are not what they must be.

use crate::{
    filesystem::{Kind, SetTime, Stat},
    types::Nanoseconds,
};
use alloc::vec::Vec;

/// The version string.
pub(super) const VERSION: &str = "9P2000.L";
/// No fid: the `afid` of an attach without authentication.
pub(super) const NO_FID: u32 = u32::MAX;
/// No tag: `Tversion`'s.
pub(super) const NO_TAG: u16 = u16::MAX;
/// No user or group: the server leaves the owner of what it makes as it comes.
pub(super) const NO_ID: u32 = u32::MAX;

/// `size[4] type[1] tag[2]`, of every message.
pub(super) const HEADER: usize = 7;
/// The header and one number of 4 bytes: all of `Rlerror`, and what stands before the data of `Rread` and `Rreaddir`.
pub(super) const DATA_HEADER: usize = HEADER + 4;
/// What servers take off the message size for the largest read or write.
pub(super) const IO_HEADER: usize = 24;

/// The type of a reply that says that the request failed. Any other reply's is its request's plus 1.
pub(super) const RLERROR: u8 = 7;

/// A request's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Request {
    LOpen = 12,
    LCreate = 14,
    SymLink = 16,
    ReadLink = 22,
    GetAttr = 24,
    SetAttr = 26,
    ReadDir = 40,
    FSync = 50,
    Link = 70,
    MkDir = 72,
    RenameAt = 74,
    UnlinkAt = 76,
    Version = 100,
    Attach = 104,
    Walk = 110,
    Read = 116,
    Write = 118,
    Clunk = 120,
}

/// Flags of `Tlopen` and `Tlcreate`: Linux's for most processors (`asm-generic/fcntl.h`).
pub(super) mod open {
    pub(in super::super) const READ_ONLY: u32 = 0;
    pub(in super::super) const WRITE_ONLY: u32 = 1;
    pub(in super::super) const READ_WRITE: u32 = 2;
    pub(in super::super) const CREATE: u32 = 0o100;
    pub(in super::super) const EXCLUSIVE: u32 = 0o200;
    pub(in super::super) const APPEND: u32 = 0o2000;
    pub(in super::super) const NON_BLOCK: u32 = 0o4000;
    pub(in super::super) const LARGE_FILE: u32 = 0o100_000;
    pub(in super::super) const DIRECTORY: u32 = 0o200_000;
    pub(in super::super) const NO_FOLLOW: u32 = 0o400_000;
}

/// The flag of `Tunlinkat` that removes a directory (`AT_REMOVEDIR`).
pub(super) const REMOVE_DIRECTORY: u32 = 0x200;

/// What `Tgetattr` is asked for: mode, link count, the three times, inode and size.
const ATTRIBUTES: u64 = 0x1 | 0x2 | 0x20 | 0x40 | 0x80 | 0x100 | 0x200;

/// Bits of `Tsetattr`.
mod set {
    pub(super) const SIZE: u32 = 1 << 3;
    pub(super) const ACCESSED: u32 = 1 << 4;
    pub(super) const MODIFIED: u32 = 1 << 5;
    pub(super) const ACCESSED_TO: u32 = 1 << 7;
    pub(super) const MODIFIED_TO: u32 = 1 << 8;
}

const NANOSECONDS_PER_SECOND: u64 = 1_000_000_000;

/// The longest string in a message: the target of a symbolic link (`PATH_MAX`).
const STRING_MAX: usize = 4096;
/// The longest message but for data: the one with the longest string, or with two names.
pub(super) const CONTROL_MAX: usize = STRING_MAX + 256;

/// Builds a request in a buffer that is used again and again.
pub(super) struct Writer<'a> {
    buffer: &'a mut Vec<u8>,
    too_long: bool,
}

impl<'a> Writer<'a> {
    /// Begins a message; [`finish`](Self::finish) puts in its length.
    pub(super) fn new(buffer: &'a mut Vec<u8>, request: Request, tag: u16) -> Self {
        buffer.clear();
        let mut message = Self { buffer, too_long: false };
        message.u32(0).u8(request as u8).u16(tag);
        message
    }

    fn u8(&mut self, value: u8) -> &mut Self {
        self.buffer.push(value);
        self
    }

    pub(super) fn u16(&mut self, value: u16) -> &mut Self {
        self.buffer.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(super) fn u32(&mut self, value: u32) -> &mut Self {
        self.buffer.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(super) fn u64(&mut self, value: u64) -> &mut Self {
        self.buffer.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(super) fn string(&mut self, value: &str) -> &mut Self {
        match u16::try_from(value.len()) {
            Ok(length) if value.len() <= STRING_MAX => {
                self.u16(length);
                self.buffer.extend_from_slice(value.as_bytes());
            }
            _ => self.too_long = true,
        }
        self
    }

    /// The body of `Tgetattr` after the fid.
    pub(super) fn attributes_wanted(&mut self) -> &mut Self {
        self.u64(ATTRIBUTES)
    }

    /// The body of `Tsetattr` after the fid.
    pub(super) fn attributes(
        &mut self,
        size: Option<u64>,
        accessed: SetTime,
        modified: SetTime,
    ) -> &mut Self {
        let (accessed_bits, accessed) = time(accessed, set::ACCESSED, set::ACCESSED_TO);
        let (modified_bits, modified) = time(modified, set::MODIFIED, set::MODIFIED_TO);
        let size_bit = if size.is_some() { set::SIZE } else { 0 };
        self.u32(size_bit | accessed_bits | modified_bits);
        self.u32(0).u32(NO_ID).u32(NO_ID).u64(size.unwrap_or(0));
        for time in [accessed, modified] {
            self.u64(time / NANOSECONDS_PER_SECOND).u64(time % NANOSECONDS_PER_SECOND);
        }
        self
    }

    /// Puts in the length of the message, which `data` bytes follow. `None` if something in it is too long.
    pub(super) fn finish(self, data: usize) -> Option<()> {
        let length = u32::try_from(self.buffer.len().checked_add(data)?).ok()?;
        self.buffer.get_mut(..4)?.copy_from_slice(&length.to_le_bytes());
        (!self.too_long).then_some(())
    }
}

/// The bits of `Tsetattr` and the instant for one time.
fn time(time: SetTime, bit: u32, to_bit: u32) -> (u32, Nanoseconds) {
    match time {
        SetTime::Keep => (0, 0),
        SetTime::Now => (bit, 0),
        SetTime::To(instant) => (bit | to_bit, instant),
    }
}

/// Reads what a server sent.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// How many bytes are left.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A string, which need not be UTF-8: a host's names are bytes.
    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.bytes(usize::from(length))
    }

    pub(super) fn qid(&mut self) -> Option<Qid> {
        let kind = self.u8()?;
        let _version = self.u32()?;
        Some(Qid { kind, path: self.u64()? })
    }

    /// The body of `Rgetattr`, of a node on `device`.
    pub(super) fn stat(&mut self, device: u64) -> Option<Stat> {
        let valid = self.u64()?;
        let qid = self.qid()?;
        let kind = kind(self.u32()? >> 12)?;
        let (_user, _group) = (self.u32()?, self.u32()?);
        let links = self.u64()?;
        let _special = self.u64()?;
        let size = self.u64()?;
        let (_block_size, _blocks) = (self.u64()?, self.u64()?);
        let (accessed, modified, changed) = (self.time()?, self.time()?, self.time()?);
        let _born = self.time()?;
        let (_generation, _version) = (self.u64()?, self.u64()?);
        (valid & ATTRIBUTES == ATTRIBUTES).then_some(Stat {
            device,
            inode: qid.path,
            kind,
            links,
            size,
            accessed,
            modified,
            changed,
        })
    }

    /// An instant; before 1970 is 1970, after 2554 is 2554, the ends of [`Nanoseconds`].
    fn time(&mut self) -> Option<Nanoseconds> {
        let (seconds, nanoseconds) = (self.u64()?, self.u64()?);
        if seconds > i64::MAX as u64 {
            return Some(0);
        }
        Some(seconds.saturating_mul(NANOSECONDS_PER_SECOND).saturating_add(nanoseconds))
    }

    /// An entry of `Rreaddir`.
    pub(super) fn entry(&mut self) -> Option<DirectoryEntry<'a>> {
        let qid = self.qid()?;
        let next = self.u64()?;
        let kind = kind(u32::from(self.u8()?));
        Some(DirectoryEntry { inode: qid.path, next, kind, name: self.string()? })
    }
}

/// A node's identity as the server has it, and what else a walk tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Qid {
    kind: u8,
    /// The inode number.
    pub(super) path: u64,
}

impl Qid {
    pub(super) fn is_directory(self) -> bool {
        self.kind & 0x80 != 0
    }

    pub(super) fn is_symbolic_link(self) -> bool {
        self.kind & 0x02 != 0
    }
}

/// What `Rreaddir` says of an entry.
pub(super) struct DirectoryEntry<'a> {
    pub(super) name: &'a [u8],
    pub(super) inode: u64,
    /// `None` where the server's file system does not tell (`DT_UNKNOWN`).
    pub(super) kind: Option<Kind>,
    /// The offset to go on from.
    pub(super) next: u64,
}

/// The kind from a `d_type`, which is also the upper four bits of a `st_mode`.
fn kind(number: u32) -> Option<Kind> {
    Some(match number {
        1 => Kind::Fifo,
        2 => Kind::CharacterDevice,
        4 => Kind::Directory,
        6 => Kind::BlockDevice,
        8 => Kind::File,
        10 => Kind::SymbolicLink,
        12 => Kind::Socket,
        _ => return None,
    })
}
