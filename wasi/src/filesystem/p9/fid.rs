//! Fids: the server's handles, and the requests that are made on them. A fid is forgotten (`Tclunk`) when it is dropped.

use super::{
    session::Session,
    wire::{NO_FID, NO_ID, Qid, REMOVE_DIRECTORY, Reader, Request, open},
};
use crate::{
    Error, Result,
    filesystem::{Name, SetTime, Stat},
};
use alloc::{borrow::ToOwned, string::String, sync::Arc};

/// What files are made with, since a WASI guest knows no modes: the usual ones under the usual umask.
const FILE_MODE: u32 = 0o644;
const DIRECTORY_MODE: u32 = 0o755;

/// A handle of a node on the server.
pub(super) struct Fid {
    session: Arc<Session>,
    number: u32,
    /// Whether the server knows the number.
    bound: bool,
}

impl Fid {
    fn unbound(session: &Arc<Session>) -> Result<Self> {
        Ok(Self { session: session.clone(), number: session.take_fid()?, bound: false })
    }

    /// The root of a tree, as a user of the server.
    pub(super) fn attach(session: &Arc<Session>, tree: &str, user: u32) -> Result<(Self, Qid)> {
        let mut root = Self::unbound(session)?;
        let qid = session.call(
            Request::Attach,
            |message| {
                message.u32(root.number).u32(NO_FID).string("").string(tree).u32(user);
            },
            |reply| reply.qid(),
        )?;
        root.bound = true;
        Ok((root, qid))
    }

    /// Whether both are of one conversation.
    pub(super) fn same_session(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.session, &other.session)
    }

    /// Another handle of the same node, not open.
    pub(super) fn duplicate(&self) -> Result<Self> {
        let mut new = Self::unbound(&self.session)?;
        self.session.call(
            Request::Walk,
            |message| {
                message.u32(self.number).u32(new.number).u16(0);
            },
            |reply| (reply.u16()? == 0).then_some(()),
        )?;
        new.bound = true;
        Ok(new)
    }

    /// The entry `name` itself of this directory.
    pub(super) fn walk(&self, name: Name<'_>) -> Result<(Self, Qid)> {
        let mut new = Self::unbound(&self.session)?;
        let qid = self.session.call(
            Request::Walk,
            |message| {
                message.u32(self.number).u32(new.number).u16(1).string(name.as_str());
            },
            |reply| if reply.u16()? == 1 { reply.qid() } else { None },
        )?;
        new.bound = true;
        Ok((new, qid))
    }

    /// Opens the node with flags of [`open`]: the fid is the open file then.
    pub(super) fn open(&self, flags: u32) -> Result<Qid> {
        // A FIFO of the server must not make it wait for the other end.
        let flags = flags | open::LARGE_FILE | open::NO_FOLLOW | open::NON_BLOCK;
        self.session.call(
            Request::LOpen,
            |message| {
                message.u32(self.number).u32(flags);
            },
            opened,
        )
    }

    /// Makes a file in this directory, where nothing may have that name: the fid is the open file then.
    pub(super) fn create(&self, name: Name<'_>, flags: u32) -> Result<Qid> {
        let flags = flags | open::LARGE_FILE | open::NO_FOLLOW | open::CREATE | open::EXCLUSIVE;
        self.session.call(
            Request::LCreate,
            |message| {
                message.u32(self.number).string(name.as_str()).u32(flags).u32(FILE_MODE).u32(NO_ID);
            },
            opened,
        )
    }

    /// Reads from an open file; at most as much as a message takes.
    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        self.session.receive(Request::Read, buffer, |message, length| {
            message.u32(self.number).u64(offset).u32(length);
        })
    }

    /// Reads whole entries from an open directory.
    pub(super) fn read_directory(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        self.session.receive(Request::ReadDir, buffer, |message, length| {
            message.u32(self.number).u64(offset).u32(length);
        })
    }

    /// Writes to an open file; at most as much as a message takes.
    pub(super) fn write(&self, data: &[u8], offset: u64) -> Result<usize> {
        self.session.send(Request::Write, data, |message, length| {
            message.u32(self.number).u64(offset).u32(length);
        })
    }

    /// The largest read or write, in bytes.
    pub(super) fn io_max(&self) -> usize {
        self.session.io_max
    }

    /// What [`stat`](Self::stat) gives as the device.
    pub(super) fn device(&self) -> u64 {
        self.session.device
    }

    pub(super) fn stat(&self) -> Result<Stat> {
        self.session.call(
            Request::GetAttr,
            |message| {
                message.u32(self.number).attributes_wanted();
            },
            |reply| reply.stat(self.session.device),
        )
    }

    pub(super) fn set_size(&self, size: u64) -> Result<()> {
        self.set_attributes(Some(size), SetTime::Keep, SetTime::Keep)
    }

    pub(super) fn set_times(&self, accessed: SetTime, modified: SetTime) -> Result<()> {
        self.set_attributes(None, accessed, modified)
    }

    fn set_attributes(&self, size: Option<u64>, accessed: SetTime, modified: SetTime) -> Result<()> {
        self.session.call(
            Request::SetAttr,
            |message| {
                message.u32(self.number).attributes(size, accessed, modified);
            },
            nothing,
        )
    }

    pub(super) fn create_directory(&self, name: Name<'_>) -> Result<()> {
        self.session.call(
            Request::MkDir,
            |message| {
                message.u32(self.number).string(name.as_str()).u32(DIRECTORY_MODE).u32(NO_ID);
            },
            made,
        )
    }

    pub(super) fn create_symbolic_link(&self, name: Name<'_>, target: &str) -> Result<()> {
        self.session.call(
            Request::SymLink,
            |message| {
                message.u32(self.number).string(name.as_str()).string(target).u32(NO_ID);
            },
            made,
        )
    }

    pub(super) fn link(&self, name: Name<'_>, node: &Self) -> Result<()> {
        self.session.call(
            Request::Link,
            |message| {
                message.u32(self.number).u32(node.number).string(name.as_str());
            },
            nothing,
        )
    }

    pub(super) fn unlink(&self, name: Name<'_>) -> Result<()> {
        self.unlink_at(name, 0)
    }

    pub(super) fn remove_directory(&self, name: Name<'_>) -> Result<()> {
        self.unlink_at(name, REMOVE_DIRECTORY)
    }

    fn unlink_at(&self, name: Name<'_>, flags: u32) -> Result<()> {
        self.session.call(
            Request::UnlinkAt,
            |message| {
                message.u32(self.number).string(name.as_str()).u32(flags);
            },
            nothing,
        )
    }

    pub(super) fn rename(&self, name: Name<'_>, new_directory: &Self, new_name: Name<'_>) -> Result<()> {
        self.session.call(
            Request::RenameAt,
            |message| {
                message.u32(self.number).string(name.as_str());
                message.u32(new_directory.number).string(new_name.as_str());
            },
            nothing,
        )
    }

    /// The text of a symbolic link.
    pub(super) fn read_link(&self) -> Result<String> {
        self.session
            .call(
                Request::ReadLink,
                |message| {
                    message.u32(self.number);
                },
                |reply| Some(core::str::from_utf8(reply.string()?).map(ToOwned::to_owned)),
            )?
            .map_err(|_| Error::IllegalSequence)
    }

    /// Makes an open file or directory durable.
    pub(super) fn sync(&self, data_only: bool) -> Result<()> {
        self.session.call(
            Request::FSync,
            |message| {
                message.u32(self.number).u32(u32::from(data_only));
            },
            nothing,
        )
    }
}

impl Drop for Fid {
    fn drop(&mut self) {
        if self.bound {
            // The number is free even when the server reports a failure; when the conversation has failed, nothing
            // is sent any more and no number matters.
            let _ = self.session.call(
                Request::Clunk,
                |message| {
                    message.u32(self.number);
                },
                nothing,
            );
        }
        self.session.free_fid(self.number);
    }
}

/// The body of `Rlopen` and `Rlcreate`. The unit that it recommends for reading and writing does not matter here.
fn opened(reply: &mut Reader<'_>) -> Option<Qid> {
    let qid = reply.qid()?;
    let _unit = reply.u32()?;
    Some(qid)
}

/// The body of `Rmkdir` and `Rsymlink`.
fn made(reply: &mut Reader<'_>) -> Option<()> {
    reply.qid().map(|_| ())
}

/// An empty body.
#[expect(clippy::unnecessary_wraps, reason = "what `Session::call` takes")]
fn nothing(_: &mut Reader<'_>) -> Option<()> {
    Some(())
}
