//! A client of 9P2000.L: the directories of another system as a file system, for instance the host's through QEMU's
//! virtio-9p. How messages travel is the [`Transport`]'s.
//!
//! Nothing that somebody else could change is remembered: every call asks the server, and what is written is with the
//! server when the call returns. Two exceptions, both POSIX's own: a directory is read ahead, as `getdents` does, and a
//! file that was opened keeps its identity (its inode number), so that another one that has taken its name is never
//! mistaken for it.
//!
//! Servers name files by path, QEMU's too: a node that someone on the server's side renames is lost to this one
//! (`NoEntry`), while open files stay what they are.
//!
//! A server has to know `Trenameat` and `Tunlinkat` (QEMU does, diod 1.0 does not).
//!
//! The protocol: <https://github.com/chaos/diod/blob/master/protocol.md>, and for the messages that it shares with
//! 9P2000, Plan 9's manual, section 5.

mod fid;
mod file;
mod node;
mod session;
mod transport;
mod wire;

pub use transport::Transport;

use crate::{Result, filesystem::Node};
use alloc::{boxed::Box, sync::Arc};

/// The message size that [`attach`] offers by default, in bytes: larger ones gain no speed.
pub const MESSAGE_SIZE: usize = 256 * 1024;

/// How to [`attach`].
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// Which of the server's trees (`aname`); QEMU has one per device and looks at no name.
    pub tree: &'a str,
    /// As whom (`n_uname`): the number of one of the server's users. By default nobody, for servers that act as
    /// themselves, such as QEMU.
    pub user: u32,
    /// What [`Stat::device`](super::Stat::device) says of the nodes: a number for each mount, since inode numbers are
    /// unique in one tree only.
    pub device: u64,
    /// The longest message to agree on, in bytes; also limited by the transport and by the server.
    pub message_size: usize,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self { tree: "", user: wire::NO_ID, device: 0, message_size: MESSAGE_SIZE }
    }
}

/// Speaks with the server at the other end of `transport` and gives the root directory of the tree.
///
/// # Errors
/// [`NotSupported`](crate::Error::NotSupported) when the server speaks no 9P2000.L or only messages of less than 4 KiB;
/// [`Io`](crate::Error::Io) when what comes is not 9P; and what the server answers.
pub fn attach(transport: Box<dyn Transport>, options: Options<'_>) -> Result<Arc<dyn Node>> {
    let session = session::Session::new(transport, options.message_size, options.device)?;
    let (fid, qid) = fid::Fid::attach(&session, options.tree, options.user)?;
    Ok(Arc::new(node::P9Node::new(fid, qid)))
}
