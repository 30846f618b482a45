//! Nodes: what a path of the server names.

use super::{
    fid::Fid,
    file::P9File,
    wire::{Qid, Reader, open},
};
use crate::{
    Error, Result,
    filesystem::{Access, Entry, File, Kind, Name, Node, SetTime, Stat},
    heap,
};
use alloc::{string::String, sync::Arc, vec::Vec};
use core::{any::Any, ops::ControlFlow};
use spin::Mutex;

/// A node of the server.
pub(super) struct P9Node {
    fid: Arc<Fid>,
    qid: Qid,
    directory: Mutex<Directory>,
}

/// What reading a directory keeps.
#[derive(Default)]
struct Directory {
    /// The open directory: on the first need, and for as long as the node is held.
    fid: Option<Arc<Fid>>,
    /// Where `entries` were read from.
    start: u64,
    /// The entries of the last reply. They are what makes a directory that is emptied while it is read come whole on
    /// those of the server's file systems where an offset is a position.
    entries: Arc<Vec<u8>>,
}

impl P9Node {
    pub(super) fn new(fid: Fid, qid: Qid) -> Self {
        Self { fid: Arc::new(fid), qid, directory: Mutex::default() }
    }

    /// The fid, if this can be a directory.
    fn as_directory(&self) -> Result<&Fid> {
        if self.qid.is_directory() { Ok(&self.fid) } else { Err(Error::NotDirectory) }
    }

    /// The node as one of this file system and conversation.
    fn own<'a>(&self, node: &'a dyn Node) -> Result<&'a Self> {
        let own = node.as_any().downcast_ref::<Self>().filter(|node| node.fid.same_session(&self.fid));
        own.ok_or(Error::CrossDevice)
    }

    /// The open directory.
    fn open_directory(&self, directory: &mut Directory) -> Result<Arc<Fid>> {
        if let Some(fid) = &directory.fid {
            return Ok(fid.clone());
        }
        let fid = self.as_directory()?.duplicate()?;
        fid.open(open::READ_ONLY | open::DIRECTORY)?;
        Ok(directory.fid.insert(Arc::new(fid)).clone())
    }

    /// The entries from `cookie` on, or some of them, none at the end: bytes of `Rreaddir`, and where in them to begin.
    fn entries_from(&self, cookie: u64) -> Result<(Arc<Vec<u8>>, usize)> {
        let mut directory = self.directory.lock();
        if let Some(offset) = (cookie != 0).then(|| directory.offset_of(cookie)).flatten() {
            return Ok((directory.entries.clone(), offset));
        }
        let fid = self.open_directory(&mut directory)?;
        let mut entries = Vec::new();
        heap::check_for(fid.io_max())?;
        entries.try_reserve_exact(fid.io_max()).map_err(|_| Error::NoMemory)?;
        entries.resize(fid.io_max(), 0);
        let length = fid.read_directory(&mut entries, cookie)?;
        entries.truncate(length);
        entries.shrink_to_fit();
        directory.start = cookie;
        directory.entries = Arc::new(entries);
        Ok((directory.entries.clone(), 0))
    }
}

impl Directory {
    /// Where in `entries` the entry at the cookie begins, unless it is not there.
    fn offset_of(&self, cookie: u64) -> Option<usize> {
        let mut reader = Reader::new(&self.entries);
        if cookie == self.start && !self.entries.is_empty() {
            return Some(0);
        }
        loop {
            let entry = reader.entry()?;
            if entry.next == cookie {
                let left = reader.len();
                return (left > 0).then(|| self.entries.len() - left);
            }
        }
    }
}

impl Node for P9Node {
    fn as_any(&self) -> &dyn Any {
        self
    }

    /// A device, FIFO or socket of the server counts as a file: a walk does not tell them apart, `stat` does, and
    /// QEMU opens none of them.
    fn kind(&self) -> Kind {
        if self.qid.is_directory() {
            Kind::Directory
        } else if self.qid.is_symbolic_link() {
            Kind::SymbolicLink
        } else {
            Kind::File
        }
    }

    fn stat(&self) -> Result<Stat> {
        self.fid.stat()
    }

    fn set_times(&self, accessed: SetTime, modified: SetTime) -> Result<()> {
        self.fid.set_times(accessed, modified)
    }

    fn open(&self, access: Access) -> Result<Arc<dyn File>> {
        match self.kind() {
            Kind::Directory => return Err(Error::IsDirectory),
            Kind::SymbolicLink => return Err(Error::Loop),
            _ => {}
        }
        let fid = self.fid.duplicate()?;
        let qid = fid.open(open_flags(access))?;
        // Somebody may have put a directory in the file's place.
        if qid.is_directory() {
            return Err(Error::IsDirectory);
        }
        Ok(Arc::new(P9File::new(self.fid.clone(), fid, qid, access)))
    }

    fn lookup(&self, name: Name<'_>) -> Result<Arc<dyn Node>> {
        let (fid, qid) = self.as_directory()?.walk(name)?;
        Ok(Arc::new(Self::new(fid, qid)))
    }

    fn create_file(&self, name: Name<'_>, access: Access) -> Result<Arc<dyn File>> {
        let directory = self.as_directory()?;
        let file = directory.duplicate()?;
        let qid = file.create(name, open_flags(access))?;
        let (fid, found) = directory.walk(name)?;
        if found != qid {
            // Somebody on the server's side has already put something else there.
            return Err(Error::NoEntry);
        }
        Ok(Arc::new(P9File::new(Arc::new(fid), file, qid, access)))
    }

    fn create_directory(&self, name: Name<'_>) -> Result<()> {
        self.as_directory()?.create_directory(name)
    }

    fn create_symbolic_link(&self, name: Name<'_>, target: &str) -> Result<()> {
        self.as_directory()?.create_symbolic_link(name, target)
    }

    fn link(&self, name: Name<'_>, node: &dyn Node) -> Result<()> {
        let node = self.own(node)?;
        if node.qid.is_directory() {
            return Err(Error::NotPermitted);
        }
        self.as_directory()?.link(name, &node.fid)
    }

    fn unlink(&self, name: Name<'_>) -> Result<()> {
        self.as_directory()?.unlink(name)
    }

    fn remove_directory(&self, name: Name<'_>) -> Result<()> {
        self.as_directory()?.remove_directory(name)
    }

    fn rename(&self, name: Name<'_>, new_directory: &dyn Node, new_name: Name<'_>) -> Result<()> {
        let new_directory = self.own(new_directory)?.as_directory()?;
        self.as_directory()?.rename(name, new_directory, new_name)
    }

    fn read_directory(&self, cookie: u64, entry: &mut dyn FnMut(Entry<'_>) -> ControlFlow<()>) -> Result<()> {
        let mut cookie = cookie;
        loop {
            // The callback may use this node: no lock is held while it runs.
            let (entries, offset) = self.entries_from(cookie)?;
            let mut reader = Reader::new(entries.get(offset..).unwrap_or_default());
            if reader.len() == 0 {
                return Ok(());
            }
            while reader.len() > 0 {
                let before = cookie;
                let found = reader.entry().ok_or(Error::Io)?;
                let (inode, next) = (found.inode, found.next);
                if next == before || next == 0 {
                    return Err(Error::Io);
                }
                cookie = next;
                // `.` and `..` are no names, and what is not UTF-8 is none either.
                let Some(name) = core::str::from_utf8(found.name).ok().and_then(|name| Name::new(name).ok())
                else {
                    continue;
                };
                let kind = match found.kind {
                    Some(kind) => kind,
                    // The server's file system does not tell.
                    None => match self.fid.walk(name).and_then(|(fid, _)| fid.stat()) {
                        Ok(stat) => stat.kind,
                        Err(Error::NoEntry) => continue,
                        Err(error) => return Err(error),
                    },
                };
                if entry(Entry { name, inode, kind, next }).is_break() {
                    return Ok(());
                }
            }
        }
    }

    fn read_link(&self) -> Result<String> {
        if !self.qid.is_symbolic_link() {
            return Err(Error::Invalid);
        }
        self.fid.read_link()
    }

    fn sync(&self) -> Result<()> {
        let fid = self.open_directory(&mut self.directory.lock())?;
        fid.sync(false)
    }
}

/// The flags of opening a file. One that is opened for nothing is opened for reading: there is no less.
fn open_flags(access: Access) -> u32 {
    match (access.read, access.write) {
        (_, false) => open::READ_ONLY,
        (false, true) => open::WRITE_ONLY,
        (true, true) => open::READ_WRITE,
    }
}
