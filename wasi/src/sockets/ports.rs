//! Which local addresses are taken (`bind`).

use super::Family;
use crate::{Error, Result};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

/// The first of the ports that are given to those who do not ask for one (RFC 6335, 6).
const EPHEMERAL: u16 = 49_152;

/// What a port is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Tcp,
    Udp,
}

/// The addresses that are taken.
#[derive(Default)]
pub(super) struct Ports {
    taken: Vec<(u64, Protocol, SocketAddr)>,
    next: u64,
}

/// An address that is taken, until it is [released](Ports::release).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Port {
    id: u64,
    /// The address.
    pub(super) local: SocketAddr,
}

impl Ports {
    /// Takes an address; port 0 stands for any that is free, which is looked for from `random` on. `busy` says which ports are
    /// to be left out then.
    ///
    /// # Errors
    /// [`Error::AddressInUse`] if it, or all ports, are taken.
    pub(super) fn take(
        &mut self,
        protocol: Protocol,
        local: SocketAddr,
        random: u16,
        busy: impl Fn(u16) -> bool,
    ) -> Result<Port> {
        let local = match local.port() {
            0 => {
                let ports = EPHEMERAL..=u16::MAX;
                let start = EPHEMERAL | random;
                let mut ports = (start..=u16::MAX).chain(ports);
                let with = |port| SocketAddr::new(local.ip(), port);
                ports.find(|&port| !busy(port) && !self.is_taken(protocol, with(port))).map(with)
            }
            _ => (!self.is_taken(protocol, local)).then_some(local),
        };
        let local = local.ok_or(Error::AddressInUse)?;
        let id = self.next;
        self.next = id.wrapping_add(1);
        self.taken.push((id, protocol, local));
        Ok(Port { id, local })
    }

    /// Gives an address back.
    pub(super) fn release(&mut self, port: &Port) {
        self.taken.retain(|&(id, ..)| id != port.id);
    }

    fn is_taken(&self, protocol: Protocol, local: SocketAddr) -> bool {
        let overlap = |other: IpAddr| {
            Family::of(other) == Family::of(local.ip())
                && (other == local.ip() || other.is_unspecified() || local.ip().is_unspecified())
        };
        self.taken
            .iter()
            .any(|&(_, of, other)| of == protocol && other.port() == local.port() && overlap(other.ip()))
    }
}
