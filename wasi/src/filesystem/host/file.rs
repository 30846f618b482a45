//! Open files of the host.

use super::{error, retry, stat, timestamps};
use crate::{
    Error, Result,
    filesystem::{File, SetTime, Stat},
};
use alloc::sync::Arc;
use rustix::{
    fs::{self, FallocateFlags, SeekFrom},
    io::{self, Errno, ReadWriteFlags},
};
use std::{io::IoSlice, os::fd::OwnedFd};

/// A file that is open at the host.
pub(super) struct HostFile {
    fd: Arc<OwnedFd>,
}

impl HostFile {
    pub(super) fn new(fd: Arc<OwnedFd>) -> Self {
        Self { fd }
    }
}

/// The result of a call that may have done some of its work before it failed: what was done counts.
fn partial(done: usize, errno: Errno) -> Result<usize> {
    if done > 0 { Ok(done) } else { Err(error(errno)) }
}

impl File for HostFile {
    fn stat(&self) -> Result<Stat> {
        Ok(stat(&retry(|| fs::fstat(&self.fd))?))
    }

    fn set_times(&self, accessed: SetTime, modified: SetTime) -> Result<()> {
        retry(|| fs::futimens(&self.fd, &timestamps(accessed, modified)))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let at = offset.checked_add(done as u64).ok_or(Error::Invalid)?;
            match io::retry_on_intr(|| io::pread(&self.fd, &mut *rest, at)) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(errno) => return partial(done, errno),
            }
        }
        Ok(done)
    }

    fn write_at(&self, buffer: &[u8], offset: u64) -> Result<usize> {
        let mut done = 0;
        while let Some(rest) = buffer.get(done..).filter(|rest| !rest.is_empty()) {
            let at = offset.checked_add(done as u64).ok_or(Error::Invalid)?;
            match io::retry_on_intr(|| io::pwrite(&self.fd, rest, at)) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(errno) => return partial(done, errno),
            }
        }
        Ok(done)
    }

    fn append(&self, buffer: &[u8]) -> Result<(usize, u64)> {
        // u64::MAX: at the host's own position of this open file, which nothing else uses and which then says
        // where the end was.
        let count =
            retry(|| io::pwritev2(&self.fd, &[IoSlice::new(buffer)], u64::MAX, ReadWriteFlags::APPEND))?;
        let end = match count {
            0 => retry(|| fs::seek(&self.fd, SeekFrom::End(0)))?,
            _ => retry(|| fs::tell(&self.fd))?,
        };
        Ok((count, end))
    }

    fn set_size(&self, size: u64) -> Result<()> {
        retry(|| fs::ftruncate(&self.fd, size))
    }

    fn allocate(&self, offset: u64, len: u64) -> Result<()> {
        retry(|| fs::fallocate(&self.fd, FallocateFlags::empty(), offset, len))
    }

    fn sync(&self, data_only: bool) -> Result<()> {
        retry(|| if data_only { fs::fdatasync(&self.fd) } else { fs::fsync(&self.fd) })
    }
}
