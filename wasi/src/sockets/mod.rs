//! The network: a machine's one interface with TCP, UDP and names on it, and what a program may do there. smoltcp is the stack; here
//! is what turns it into sockets as POSIX and WASI know them: listening with a backlog, readiness, errors, closing in good order.
//!
//! A machine makes a [`Network`] of its [`Device`] and has one task [run](Network::run) it. A program gets an
//! [`Access`] to it, with a [`Policy`]; without one it has no network. Every call is poll-style, as in [`io`](crate::io). Not
//! here: how preview 1 and 0.2 spell these calls, and HTTP.

mod connections;
mod datagrams;
mod device;
mod lookup;
mod neighbours;
mod network;
mod notify;
mod packet;
mod policy;
mod ports;
mod sets;
mod slaac;
mod stack;
mod tcp;
#[cfg(all(test, feature = "std"))]
mod tests;
mod udp;

pub use device::{Device, Loopback, NoFrame, Nowhere};
pub use lookup::Lookup;
pub use network::{Configuration, Ipv4, Ipv6, Network};
pub use policy::{Access, Allowed, Destination, DestinationError, Host, Policy};
pub use smoltcp;
pub use tcp::{Options, Shutdown, TcpSocket};
pub use udp::{Datagram, UdpOptions, UdpSocket};

use core::{net::IpAddr, ops::RangeInclusive};
use smoltcp::wire::IpAddress;

/// A family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6, and IPv6 only.
    Ipv6,
}

impl Family {
    /// An address's.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::Ipv4 } else { Self::Ipv6 }
    }

    fn is_of(self, address: &IpAddress) -> bool {
        self == Self::of((*address).into())
    }
}

/// Brings the sizes of buffers that are asked for into the range of those that there can be.
fn bring_into(range: RangeInclusive<usize>, sizes: [&mut usize; 2]) {
    for size in sizes {
        *size = (*size).clamp(*range.start(), *range.end());
    }
}
