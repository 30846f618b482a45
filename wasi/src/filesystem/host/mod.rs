//! The directories of the host (Linux), live.
//!
//! The kernel is never given more than one name to resolve, and never follows a link: each step of a path is an `openat` with
//! `O_PATH` and `O_NOFOLLOW` in the directory that the step before opened. So what the host's other programs do to the
//! tree meanwhile leads nobody outside.
//!
//! Names and link texts that are not UTF-8 do not exist for a guest, which could not spell them: listings skip the ones,
//! reading the others is [`Error::IllegalSequence`]. (wasmtime fails the whole
//! listing instead; then one odd name hides all others.)
//!
//! A FIFO or a device never makes a guest's call wait: all is opened `O_NONBLOCK`.

use super::{Kind, Node, SetTime, Stat};
use crate::{Error, Result, types::Nanoseconds};
use alloc::sync::Arc;
use rustix::{
    fs::{self, CWD, FileType, Mode, OFlags, Timespec, Timestamps},
    io::{self, Errno},
};
use std::path::Path;

mod file;
mod node;

use node::HostNode;

/// Opens a directory of the host, to be given to a guest as the root of what it sees. Links in `path` itself are
/// followed: it is the embedder's.
///
/// # Errors
/// The host's: [`Error::NoEntry`], [`Error::NotDirectory`], [`Error::Access`], …
pub fn open_directory(path: impl AsRef<Path>) -> Result<Arc<dyn Node>> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = fs::openat(CWD, path.as_ref(), flags, Mode::empty()).map_err(error)?;
    Ok(Arc::new(HostNode::new(Arc::new(fd), Kind::Directory)))
}

/// What an errno of the host means to the core.
fn error(errno: Errno) -> Error {
    u32::try_from(errno.raw_os_error()).map_or(Error::Io, super::errno::error)
}

/// A system call again, until no signal interrupts it.
fn retry<T>(call: impl FnMut() -> io::Result<T>) -> Result<T> {
    io::retry_on_intr(call).map_err(error)
}

fn kind(file_type: FileType) -> Kind {
    match file_type {
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::SymbolicLink,
        FileType::BlockDevice => Kind::BlockDevice,
        FileType::CharacterDevice => Kind::CharacterDevice,
        FileType::Fifo => Kind::Fifo,
        FileType::Socket => Kind::Socket,
        FileType::RegularFile | FileType::Unknown => Kind::File,
    }
}

fn stat(stat: &fs::Stat) -> Stat {
    Stat {
        device: stat.st_dev,
        inode: stat.st_ino,
        kind: kind(FileType::from_raw_mode(stat.st_mode)),
        // Wider or narrower, as the architecture has it.
        #[allow(clippy::useless_conversion, reason = "u32 on some architectures")]
        links: stat.st_nlink.into(),
        size: u64::try_from(stat.st_size).unwrap_or(0),
        accessed: nanoseconds(stat.st_atime, stat.st_atime_nsec),
        modified: nanoseconds(stat.st_mtime, stat.st_mtime_nsec),
        changed: nanoseconds(stat.st_ctime, stat.st_ctime_nsec),
    }
}

const NANOSECONDS: u64 = 1_000_000_000;

/// A time of the host; one before 1970 is 1970.
fn nanoseconds(seconds: i64, nanoseconds: impl TryInto<u64>) -> Nanoseconds {
    u64::try_from(seconds).map_or(0, |seconds| {
        seconds.saturating_mul(NANOSECONDS).saturating_add(nanoseconds.try_into().unwrap_or(0))
    })
}

fn timestamps(accessed: SetTime, modified: SetTime) -> Timestamps {
    Timestamps { last_access: timespec(accessed), last_modification: timespec(modified) }
}

fn timespec(time: SetTime) -> Timespec {
    let (seconds, nanoseconds) = match time {
        SetTime::Keep => (0, fs::UTIME_OMIT),
        SetTime::Now => (0, fs::UTIME_NOW),
        // Both fit: a quotient by 10^9, and a remainder.
        SetTime::To(to) => ((to / NANOSECONDS) as i64, (to % NANOSECONDS) as _),
    };
    Timespec { tv_sec: seconds, tv_nsec: nanoseconds }
}
