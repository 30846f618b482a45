//! Which UDP socket a datagram is for.

use super::{Family, sets::Handle};
use alloc::{collections::BTreeMap, vec::Vec};
use smoltcp::wire::{IpAddress, IpEndpoint, IpListenEndpoint};

/// The UDP sockets, by their ports.
#[derive(Default)]
pub(super) struct Bound(BTreeMap<(Family, u16), Vec<Socket>>);

/// A socket, and the one address that it is bound to, if it is not bound to all.
type Socket = (Option<IpAddress>, Handle);

impl Bound {
    /// A socket is bound to an address now.
    pub(super) fn add(&mut self, family: Family, local: IpListenEndpoint, handle: Handle) {
        self.0.entry((family, local.port)).or_default().push((local.addr, handle));
    }

    /// It is no more.
    pub(super) fn remove(&mut self, handle: Handle) {
        self.0.retain(|_, sockets| {
            sockets.retain(|&(_, socket)| socket != handle);
            !sockets.is_empty()
        });
    }

    /// The socket that hears what is sent there. What is for many hosts the first does.
    pub(super) fn find(&self, to: IpEndpoint) -> Option<Handle> {
        let sockets = self.0.get(&(Family::of(to.addr.into()), to.port))?;
        let hears = |address: Option<IpAddress>| address.is_none_or(|address| address == to.addr);
        let found = sockets.iter().find(|&&(address, _)| hears(address));
        found.or(sockets.first()).map(|&(_, handle)| handle)
    }
}
