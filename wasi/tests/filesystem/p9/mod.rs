//! The 9P client: against QEMU's own server, and against one of ours that can be told to fail and to lie.

pub mod qemu;
pub mod server;

mod faults;
mod host;

use crate::{TestClock, World};
use std::sync::Arc;
use wasi::filesystem::{Directory, Node, Permissions, memory::MemoryFileSystem, p9};

/// The file system in memory, through the protocol.
pub fn over_memory() -> World {
    let memory = MemoryFileSystem::new(TestClock::new(), 1 << 30, 7).unwrap();
    let server = server::Server::new(memory.root(), Arc::default());
    world(p9::attach(Box::new(server), p9::Options::default()).unwrap(), false, ())
}

/// A directory of this machine, through QEMU.
pub fn over_qemu() -> World {
    let shared = host::Shared::new();
    world(shared.root.clone(), true, shared)
}

fn world(root: Arc<dyn Node>, by_name: bool, keep: impl std::any::Any) -> World {
    World {
        root: Directory::new(root.clone(), Permissions::ReadWrite).unwrap(),
        read_only: Directory::new(root, Permissions::ReadOnly).unwrap(),
        by_name,
        _keep: Box::new(keep),
    }
}
