//! Datagrams under the stack's lock: which socket one is for, and those on their way out.
//!
//! Each datagram that is sent is a socket of smoltcp's by itself, so that one to a neighbour that does not answer keeps no other from
//! being sent, and can be given up. What programs see of it is in [`udp`](super::udp).

use super::{
    Family,
    notify::Notify,
    packet::Ends,
    sets::{Handle, Outcome, Sockets},
};
use crate::{Error, Result, heap};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    vec::Vec,
};
use core::net::SocketAddr;
use smoltcp::{
    socket::udp::{PacketBuffer, PacketMetadata, Socket, UdpMetadata},
    time::Duration,
    wire::{IpAddress, IpEndpoint, IpListenEndpoint},
};

/// How long a neighbour's address is asked for before what is for it is given up, as on Linux.
const RESOLVING: Duration = Duration::from_secs(3);
/// Datagrams of all programs that wait for neighbours' addresses; beyond, the oldest is given up.
const UNRESOLVED_MAX: usize = 128;

/// The UDP sockets, and the datagrams that they send.
#[derive(Default)]
pub(super) struct Datagrams {
    sockets: BTreeMap<Handle, Bound>,
    ports: BTreeMap<(Family, u16), Vec<Handle>>,
    outgoing: BTreeMap<Handle, Outgoing>,
    /// Those that wait for a neighbour's address.
    unresolved: BTreeSet<Handle>,
}

/// A UDP socket.
pub(super) struct Bound {
    family: Family,
    local: IpListenEndpoint,
    notify: Arc<Notify>,
    /// The other end, if it is connected to one.
    pub(super) remote: Option<SocketAddr>,
    /// What has become of what it sent to the other end.
    failed: Option<Error>,
    /// Its datagrams that wait to be sent, and the bytes in them.
    count: usize,
    bytes: usize,
}

struct Outgoing {
    of: Handle,
    to: IpEndpoint,
    len: usize,
}

impl Bound {
    /// Whether there is room for a datagram of `len` bytes, beside `datagrams` and `bytes` at most. A single one has always room.
    pub(super) fn has_room(&self, len: usize, datagrams: usize, bytes: usize) -> bool {
        self.count == 0 || self.count < datagrams && self.bytes.saturating_add(len) <= bytes
    }

    /// The error that a program has not heard of yet.
    pub(super) fn take_failed(&mut self) -> Result<()> {
        self.failed.take().map_or(Ok(()), Err)
    }

    /// Whether there is such an error.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    fn fail(&mut self, remote: IpEndpoint, error: Error) {
        if self.remote == Some(remote.into()) {
            self.failed = Some(error);
            self.notify.notify();
        }
    }
}

impl Datagrams {
    /// A socket is bound to an address now.
    pub(super) fn add(
        &mut self,
        handle: Handle,
        family: Family,
        local: IpListenEndpoint,
        notify: Arc<Notify>,
    ) {
        self.ports.entry((family, local.port)).or_default().push(handle);
        let bound = Bound { family, local, notify, remote: None, failed: None, count: 0, bytes: 0 };
        self.sockets.insert(handle, bound);
    }

    /// It is no more. What it has sent is still on its way.
    pub(super) fn remove(&mut self, handle: Handle) {
        let Some(bound) = self.sockets.remove(&handle) else { return };
        let port = (bound.family, bound.local.port);
        if let Some(sockets) = self.ports.get_mut(&port) {
            sockets.retain(|&socket| socket != handle);
            if sockets.is_empty() {
                self.ports.remove(&port);
            }
        }
    }

    /// A socket that is bound.
    pub(super) fn get(&mut self, handle: Handle) -> Result<&mut Bound> {
        self.sockets.get_mut(&handle).ok_or(Error::InvalidState)
    }

    /// The socket that hears what is sent there. What is for many hosts the first does.
    pub(super) fn find(&self, to: IpEndpoint) -> Option<Handle> {
        let sockets = self.ports.get(&(Family::of(to.addr.into()), to.port))?;
        let hears = |local: &Bound| local.local.addr.is_none_or(|address: IpAddress| address == to.addr);
        let found = sockets.iter().find(|handle| self.sockets.get(handle).is_some_and(hears));
        found.or(sockets.first()).copied()
    }

    /// Sends a datagram, as soon as the stack has a turn. [`Error::NoMemory`].
    pub(super) fn send(
        &mut self,
        sockets: &mut Sockets,
        of: Handle,
        data: &[u8],
        to: IpEndpoint,
        hop_limit: u8,
    ) -> Result<()> {
        let bound = self.sockets.get_mut(&of).ok_or(Error::InvalidState)?;
        let buffer = |datagrams, bytes| {
            Ok(PacketBuffer::new(heap::filled(datagrams, PacketMetadata::EMPTY)?, heap::filled(bytes, 0)?))
        };
        let mut socket = Socket::new(buffer(0, 0)?, buffer(1, data.len())?);
        socket.set_hop_limit(Some(hop_limit.max(1)));
        socket.bind(bound.local).map_err(|_| Error::Invalid)?;
        socket.send_slice(data, UdpMetadata::from(to)).map_err(|_| Error::Invalid)?;
        bound.count = bound.count.saturating_add(1);
        bound.bytes = bound.bytes.saturating_add(data.len());
        let handle = sockets.add_datagram(socket, to.addr, RESOLVING);
        self.outgoing.insert(handle, Outgoing { of, to, len: data.len() });
        Ok(())
    }

    /// Whether there are some on their way.
    pub(super) fn is_sending(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Hears what has become of them.
    pub(super) fn settle(&mut self, sockets: &mut Sockets) {
        for (handle, outcome) in sockets.take_outcomes() {
            if !self.unresolved.remove(&handle) {
                self.leaves(handle);
            }
            match outcome {
                Outcome::Unresolved => {
                    self.unresolved.insert(handle);
                }
                Outcome::Sent => drop(self.outgoing.remove(&handle)),
                Outcome::Unreachable => {
                    let outgoing = self.outgoing.remove(&handle);
                    let bound = outgoing.as_ref().and_then(|outgoing| self.sockets.get_mut(&outgoing.of));
                    if let (Some(outgoing), Some(bound)) = (outgoing, bound) {
                        bound.fail(outgoing.to, Error::HostUnreachable);
                    }
                }
            }
        }
        while self.unresolved.len() > UNRESOLVED_MAX
            && let Some(oldest) = self.unresolved.pop_first()
        {
            sockets.remove(oldest);
            self.outgoing.remove(&oldest);
        }
    }

    /// A datagram makes room for another of its socket: it is sent, or waits with those of others.
    fn leaves(&mut self, handle: Handle) {
        let Some(outgoing) = self.outgoing.get(&handle) else { return };
        if let Some(bound) = self.sockets.get_mut(&outgoing.of) {
            bound.count = bound.count.saturating_sub(1);
            bound.bytes = bound.bytes.saturating_sub(outgoing.len);
            bound.notify.notify();
        }
    }

    /// A host says that nobody hears what was sent there.
    pub(super) fn refused(&mut self, sent: &Ends) {
        let bound = self.find(sent.from).and_then(|handle| self.sockets.get_mut(&handle));
        if let Some(bound) = bound {
            bound.fail(sent.to, Error::ConnectionRefused);
        }
    }
}
