//! An open file: its position, its access, and whether it appends.

use super::Permissions;
use crate::{
    Error, Result,
    filesystem::{Access, File, SetTime, Stat},
    guest::IO_BYTES_MAX,
    io::Readiness,
};
use alloc::sync::Arc;

/// Offsets are those of POSIX's `off_t`: nothing is beyond.
const OFFSET_MAX: u64 = i64::MAX as u64;

/// Where a position counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SeekFrom {
    /// The file's start.
    Start(u64),
    /// The position.
    Current(i64),
    /// The file's end.
    End(i64),
}

/// What is durable when a write returns (POSIX synchronized I/O).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Integrity {
    /// Nothing yet.
    #[default]
    None,
    /// The content (`O_DSYNC`).
    Data,
    /// The content, and what is known of the file (`O_SYNC`).
    File,
}

/// An open file: the file, what was asked for when it was opened, and a position. A clone has a position of its own.
#[derive(Clone)]
pub struct OpenFile {
    file: Arc<dyn File>,
    access: Access,
    permissions: Permissions,
    append: bool,
    integrity: Integrity,
    position: u64,
}

impl OpenFile {
    /// A file at its start, not appending. `access` is what the descriptor may do, which is at most what the file was opened
    /// for.
    pub fn new(file: Arc<dyn File>, access: Access, permissions: Permissions) -> Self {
        Self { file, access, permissions, append: false, integrity: Integrity::None, position: 0 }
    }

    /// What was asked for when it was opened.
    pub fn access(&self) -> Access {
        self.access
    }

    /// Whether every write goes to the end (`O_APPEND`).
    pub fn append(&self) -> bool {
        self.append
    }

    /// Sets whether every write goes to the end.
    pub fn set_append(&mut self, append: bool) {
        self.append = append;
    }

    /// The file itself, which knows nothing of access and positions.
    pub fn file(&self) -> &Arc<dyn File> {
        &self.file
    }

    /// What is durable when a write returns.
    pub fn integrity(&self) -> Integrity {
        self.integrity
    }

    /// Sets what is durable when a write returns.
    pub fn set_integrity(&mut self, integrity: Integrity) {
        self.integrity = integrity;
    }

    /// What there is to read at the position. A file never waits.
    pub fn readable(&self) -> Result<Readiness> {
        let bytes = self.file.stat()?.size.saturating_sub(self.position);
        Ok(Readiness { bytes, hangup: bytes == 0 })
    }

    /// What can be written at once. A file never waits.
    pub fn writable(&self) -> Readiness {
        Readiness { bytes: IO_BYTES_MAX.into(), hangup: false }
    }

    /// Reads at the position and moves it; returns how many bytes, fewer than asked only at the end.
    ///
    /// # Errors
    /// [`Error::BadDescriptor`] when it was not opened for reading.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let count = self.pread(buffer, self.position)?;
        self.position = self.position.saturating_add(count as u64);
        Ok(count)
    }

    /// Writes at the position, or at the end when it appends, and moves the position behind it; returns how many bytes.
    ///
    /// # Errors
    /// [`Error::BadDescriptor`] when it was not opened for writing; [`Error::NoSpace`], [`Error::FileTooLarge`].
    pub fn write(&mut self, buffer: &[u8]) -> Result<usize> {
        let (count, end) = self.write_from(buffer, self.position)?;
        self.position = end;
        self.make_durable()?;
        Ok(count)
    }

    /// Reads at `offset`; the position stays.
    ///
    /// # Errors
    /// As [`read`](Self::read); [`Error::Invalid`] for an offset that is none.
    pub fn pread(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        self.require_read()?;
        let room = room_at(offset)?.min(buffer.len());
        self.file.read_at(buffer.get_mut(..room).unwrap_or_default(), offset)
    }

    /// Writes at `offset`; the position stays. A descriptor that appends writes at the end (as Linux and wasmtime).
    ///
    /// # Errors
    /// As [`write`](Self::write); [`Error::Invalid`] for an offset that is none.
    pub fn pwrite(&self, buffer: &[u8], offset: u64) -> Result<usize> {
        let (count, _) = self.write_from(buffer, offset)?;
        self.make_durable()?;
        Ok(count)
    }

    fn make_durable(&self) -> Result<()> {
        match self.integrity {
            Integrity::None => Ok(()),
            Integrity::Data => self.file.sync(true),
            Integrity::File => self.file.sync(false),
        }
    }

    /// How many bytes were written, and where they end.
    fn write_from(&self, buffer: &[u8], offset: u64) -> Result<(usize, u64)> {
        self.require_write()?;
        let room = room_at(offset)?.min(buffer.len());
        if buffer.is_empty() {
            // Not even a time changes.
            return Ok((0, offset));
        }
        if self.append {
            return self.file.append(buffer);
        }
        if room == 0 {
            return Err(Error::FileTooLarge);
        }
        let count = self.file.write_at(buffer.get(..room).unwrap_or_default(), offset)?;
        Ok((count, offset.saturating_add(count as u64)))
    }

    /// Moves the position, also beyond the end, and returns it.
    ///
    /// # Errors
    /// [`Error::Invalid`] before the start, and beyond what an offset can be.
    pub fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        let position = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(delta) => self.position.checked_add_signed(delta),
            SeekFrom::End(delta) => self.file.stat()?.size.checked_add_signed(delta),
        };
        self.position = offset_of(position.ok_or(Error::Invalid)?)?;
        Ok(self.position)
    }

    /// The position.
    pub fn tell(&self) -> u64 {
        self.position
    }

    /// Makes sure that writing in this range will not lack space, growing the file to its end (`posix_fallocate`).
    ///
    /// # Errors
    /// [`Error::Invalid`] for an empty range, [`Error::FileTooLarge`], [`Error::NoSpace`], and
    /// [`Error::BadDescriptor`] when it was not opened for writing.
    pub fn allocate(&self, offset: u64, len: u64) -> Result<()> {
        self.require_write()?;
        let end = offset_of(offset)?.checked_add(len).filter(|&end| end <= OFFSET_MAX);
        match (len, end) {
            (0, _) => Err(Error::Invalid),
            (_, None) => Err(Error::FileTooLarge),
            _ => self.file.allocate(offset, len),
        }
    }

    /// Takes note of how a range will be used: nothing yet makes use of it (`posix_fadvise`).
    ///
    /// # Errors
    /// [`Error::Invalid`] for what is no range of a file.
    pub fn advise(&self, offset: u64, len: u64) -> Result<()> {
        offset_of(offset)?;
        offset_of(len)?;
        Ok(())
    }

    /// Cuts the file or grows it with zeros; the position stays.
    ///
    /// # Errors
    /// [`Error::BadDescriptor`] when it was not opened for writing, [`Error::FileTooLarge`].
    pub fn set_size(&self, size: u64) -> Result<()> {
        self.require_write()?;
        if size > OFFSET_MAX {
            return Err(Error::FileTooLarge);
        }
        self.file.set_size(size)
    }

    /// What is known of the file.
    pub fn stat(&self) -> Result<Stat> {
        self.file.stat()
    }

    /// Sets the file's times, for which it need not be open for writing.
    ///
    /// # Errors
    /// [`Error::NotPermitted`] when it was opened through a read-only directory.
    pub fn set_times(&self, accessed: SetTime, modified: SetTime) -> Result<()> {
        self.permissions.require_write()?;
        self.file.set_times(accessed, modified)
    }

    /// Makes content durable where the file system can, and what is known of the file unless `data_only`.
    pub fn sync(&self, data_only: bool) -> Result<()> {
        self.file.sync(data_only)
    }

    /// Makes sure that it was opened for reading: for a read of nothing, which reads nothing.
    ///
    /// # Errors
    /// [`Error::BadDescriptor`] when it was not.
    pub fn require_read(&self) -> Result<()> {
        if self.access.read { Ok(()) } else { Err(Error::BadDescriptor) }
    }

    /// Makes sure that it was opened for writing: for a write of nothing, which writes nothing.
    ///
    /// # Errors
    /// [`Error::BadDescriptor`] when it was not.
    pub fn require_write(&self) -> Result<()> {
        if self.access.write { Ok(()) } else { Err(Error::BadDescriptor) }
    }
}

/// `offset`, if it is one of a file.
fn offset_of(offset: u64) -> Result<u64> {
    if offset > OFFSET_MAX { Err(Error::Invalid) } else { Ok(offset) }
}

/// How many bytes there can be from `offset` on.
fn room_at(offset: u64) -> Result<usize> {
    let room = OFFSET_MAX.checked_sub(offset).ok_or(Error::Invalid)?;
    Ok(usize::try_from(room).unwrap_or(usize::MAX))
}
