//! Open files.

use super::{
    fid::Fid,
    wire::{Qid, open},
};
use crate::{
    Error, Result,
    filesystem::{Access, File, Kind, SetTime, Stat},
};
use alloc::sync::Arc;
use spin::Mutex;

/// The longest file that any server has (POSIX `off_t`).
const SIZE_MAX: u64 = i64::MAX as u64;

/// An open file of the server.
pub(super) struct P9File {
    /// The path by which it was opened.
    path: Arc<Fid>,
    fid: Fid,
    qid: Qid,
    access: Access,
    /// The same file opened for appending: on the first need.
    appending: Mutex<Option<Arc<Fid>>>,
    /// The last that was known of it, for when the server [loses](Self::stat_open) it.
    known: Mutex<Stat>,
}

impl P9File {
    pub(super) fn new(path: Arc<Fid>, fid: Fid, qid: Qid, access: Access) -> Self {
        let known = Stat {
            device: fid.device(),
            inode: qid.path,
            kind: Kind::File,
            links: 0,
            size: 0,
            accessed: 0,
            modified: 0,
            changed: 0,
        };
        Self { path, fid, qid, access, appending: Mutex::new(None), known: Mutex::new(known) }
    }

    /// What the server says of it, unless it has lost it: older QEMUs look at the path even of an open file, and that may be
    /// gone or another file's by now. (QEMU 7.2.22 looks at the open file.)
    fn stat_open(&self) -> Result<Option<Stat>> {
        let Some(stat) = found(self.fid.stat())?.filter(|stat| stat.inode == self.qid.path) else {
            return Ok(None);
        };
        *self.known.lock() = stat;
        Ok(Some(stat))
    }

    /// What is known of the file when the server has lost it: its size can be found by reading.
    fn stat_lost(&self) -> Result<Stat> {
        let known = *self.known.lock();
        let size =
            if self.access.write && !self.access.read { known.size } else { self.find_size(known.size)? };
        Ok(Stat { links: 0, size, ..known })
    }

    /// Makes a change of what is known of the file, unless the server has lost it: QEMU 7.2 makes it to what is at the path,
    /// which must not be another file by now. (One that takes its place between the two requests would be changed.)
    fn change(&self, change: impl FnOnce(&Fid) -> Result<()>) -> Result<Option<()>> {
        match found(self.path.stat())? {
            Some(stat) if stat.inode != self.qid.path => Ok(None),
            _ => found(change(&self.fid)),
        }
    }

    /// Whether there is a byte at `offset`.
    fn has_byte(&self, offset: u64) -> Result<bool> {
        Ok(self.fid.read(&mut [0], offset)? == 1)
    }

    /// The size, which is probably `guess`, by reading single bytes: some 60 at the worst.
    fn find_size(&self, guess: u64) -> Result<u64> {
        let (mut at_least, mut at_most) = if self.has_byte(guess)? {
            let (mut at_least, mut probe) =
                (guess.saturating_add(1), guess.saturating_mul(2).saturating_add(1));
            while probe < SIZE_MAX && self.has_byte(probe)? {
                at_least = probe + 1;
                probe = probe.saturating_mul(2);
            }
            (at_least, probe.min(SIZE_MAX))
        } else if guess > 0 && self.has_byte(guess - 1)? {
            return Ok(guess);
        } else {
            (0, guess)
        };
        while at_least < at_most {
            let middle = at_least + (at_most - at_least) / 2;
            if self.has_byte(middle)? {
                at_least = middle + 1;
            } else {
                at_most = middle;
            }
        }
        Ok(at_least)
    }

    /// Makes a file at least `size` long by writing its last byte, which never cuts what somebody else has added.
    fn grow(&self, size: u64, known: u64) -> Result<()> {
        match size.checked_sub(1) {
            Some(last) if size > known => self.write_all(&self.fid, &[0], last).map(|_| ()),
            _ => Ok(()),
        }
    }

    /// Writes until the space ends.
    fn write_all(&self, fid: &Fid, buffer: &[u8], offset: u64) -> Result<usize> {
        let room = usize::try_from(SIZE_MAX.saturating_sub(offset)).unwrap_or(usize::MAX);
        if room == 0 && !buffer.is_empty() {
            return Err(Error::FileTooLarge);
        }
        let buffer = buffer.get(..room).unwrap_or(buffer);
        let mut written = 0;
        while let Some(rest) = buffer.get(written..).filter(|rest| !rest.is_empty()) {
            match fid.write(rest, offset + written as u64) {
                Ok(0) if written == 0 => return Err(Error::NoSpace),
                Ok(0) => break,
                Ok(count) => written += count,
                Err(error) if written == 0 => return Err(error),
                Err(_) => break,
            }
        }
        let mut known = self.known.lock();
        known.size = known.size.max(offset.saturating_add(written as u64));
        Ok(written)
    }

    /// The file opened for appending. `None` if its path does not lead to it any more.
    fn open_appending(&self) -> Result<Option<Arc<Fid>>> {
        let mut appending = self.appending.lock();
        if appending.is_none() {
            let opened = self.path.duplicate().and_then(|fid| {
                let qid = fid.open(open::WRITE_ONLY | open::APPEND)?;
                Ok((fid, qid))
            });
            *appending = found(opened)?.filter(|(_, qid)| *qid == self.qid).map(|(fid, _)| Arc::new(fid));
        }
        Ok(appending.clone())
    }
}

/// `None` for what a path does not lead to any more.
fn found<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Err(Error::NoEntry | Error::NotDirectory | Error::Loop) => Ok(None),
        result => result.map(Some),
    }
}

impl File for P9File {
    fn stat(&self) -> Result<Stat> {
        match self.stat_open()? {
            Some(stat) => Ok(stat),
            None => self.stat_lost(),
        }
    }

    /// [`Error::NotSupported`] for a file that has no name any more on a server that goes by names.
    fn set_times(&self, accessed: SetTime, modified: SetTime) -> Result<()> {
        self.change(|fid| fid.set_times(accessed, modified))?.ok_or(Error::NotSupported)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let room = usize::try_from(SIZE_MAX.saturating_sub(offset)).unwrap_or(usize::MAX).min(buffer.len());
        let mut read = 0;
        while let Some(rest) = buffer.get_mut(read..room).filter(|rest| !rest.is_empty()) {
            let asked = rest.len().min(self.fid.io_max());
            match self.fid.read(rest, offset + read as u64) {
                Ok(count) => {
                    read += count;
                    // Servers give fewer only at the end: asking again would double the price of small files.
                    if count < asked {
                        break;
                    }
                }
                Err(error) if read == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(read)
    }

    fn write_at(&self, buffer: &[u8], offset: u64) -> Result<usize> {
        self.write_all(&self.fid, buffer, offset)
    }

    /// Atomic for each message's worth of bytes, with the server's other appenders too (`O_APPEND`); the end that it
    /// returns does not count what those add meanwhile. A file that lost its name before its first append is simply
    /// written at its end: only who holds it open can append to it.
    fn append(&self, buffer: &[u8]) -> Result<(usize, u64)> {
        let appending = self.open_appending()?;
        let fid = appending.as_deref().unwrap_or(&self.fid);
        let end = self.stat()?.size;
        let written = self.write_all(fid, buffer, end)?;
        Ok((written, end.saturating_add(written as u64)))
    }

    /// [`Error::NotSupported`] for a file that is to become shorter and has no name any more on a server that goes by
    /// names.
    fn set_size(&self, size: u64) -> Result<()> {
        if self.change(|fid| fid.set_size(size))?.is_some() {
            return Ok(());
        }
        let known = self.stat()?.size;
        if size < known { Err(Error::NotSupported) } else { self.grow(size, known) }
    }

    /// 9P cannot reserve space: the file is made long enough, which may leave a hole.
    fn allocate(&self, offset: u64, len: u64) -> Result<()> {
        let size = offset.checked_add(len).ok_or(Error::FileTooLarge)?;
        self.grow(size, self.stat()?.size)
    }

    fn sync(&self, data_only: bool) -> Result<()> {
        self.fid.sync(data_only)
    }
}
