//! A client of 9P2000.L: directories of another system as a file system, for instance the host's through QEMU's
//! virtio-9p. How messages travel is the [`Transport`]'s.

mod transport;

pub use transport::Transport;
