//! The files of an in-memory file system: what is done with their bytes and their times.

use super::{data::Data, tree::Inode};
use crate::{
    Result,
    filesystem::{File, Kind, SetTime, Stat},
    types::Nanoseconds,
};

impl Inode {
    /// Changes a file's bytes, and its times with them.
    fn change<T>(&self, change: impl FnOnce(&mut Data) -> Result<T>) -> Result<T> {
        let now = self.common.now();
        let mut state = self.state.lock();
        let result = change(&mut state.data)?;
        state.modified = now;
        state.changed = now;
        Ok(result)
    }
}

fn set(time: &mut Nanoseconds, to: SetTime, now: Nanoseconds) {
    match to {
        SetTime::Keep => {}
        SetTime::Now => *time = now,
        SetTime::To(to) => *time = to,
    }
}

/// What holds for a directory and a symbolic link too is for [`Node`](crate::filesystem::Node) to use: their times, and what is known of
/// them but a directory's links.
impl File for Inode {
    fn stat(&self) -> Result<Stat> {
        let state = self.state.lock();
        Ok(Stat {
            device: self.common.device,
            inode: self.number,
            kind: self.kind,
            links: state.links,
            size: match self.kind {
                Kind::SymbolicLink => self.target.len() as u64,
                _ => state.data.size(),
            },
            accessed: state.accessed,
            modified: state.modified,
            changed: state.changed,
        })
    }

    fn set_times(&self, accessed: SetTime, modified: SetTime) -> Result<()> {
        let now = self.common.now();
        let mut state = self.state.lock();
        set(&mut state.accessed, accessed, now);
        set(&mut state.modified, modified, now);
        state.changed = now;
        Ok(())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let (count, stale) = {
            let state = self.state.lock();
            (state.data.read_at(buffer, offset), state.accessed <= state.modified)
        };
        // As Linux with `relatime`: the first read after a write counts.
        if stale {
            let now = self.common.now();
            self.state.lock().accessed = now;
        }
        Ok(count)
    }

    fn write_at(&self, buffer: &[u8], offset: u64) -> Result<usize> {
        self.change(|data| data.write_at(&self.common.quota, buffer, offset))
    }

    fn append(&self, buffer: &[u8]) -> Result<(usize, u64)> {
        self.change(|data| {
            let count = data.write_at(&self.common.quota, buffer, data.size())?;
            Ok((count, data.size()))
        })
    }

    fn set_size(&self, size: u64) -> Result<()> {
        self.change(|data| data.set_size(&self.common.quota, size))
    }

    fn allocate(&self, offset: u64, len: u64) -> Result<()> {
        self.change(|data| data.allocate(&self.common.quota, offset, len))
    }

    fn sync(&self, _data_only: bool) -> Result<()> {
        Ok(())
    }
}
