//! `network` and `instance-network`, and the types that all of `wasi:sockets` uses.

use crate::preview2::{Interfaces, Polled, Preview2, interface, offer, refused};
use component::Own;
use core::task::Poll;

/// The resource `network`. It leads nowhere.
pub struct Network;

component::enumeration! {
    /// What went wrong.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum ErrorCode {
        Unknown,
        AccessDenied,
        NotSupported,
        InvalidArgument,
        OutOfMemory,
        Timeout,
        ConcurrencyConflict,
        NotInProgress,
        WouldBlock,
        InvalidState,
        NewSocketLimit,
        AddressNotBindable,
        AddressInUse,
        RemoteUnreachable,
        ConnectionRefused,
        ConnectionReset,
        ConnectionAborted,
        DatagramTooLarge,
        NameUnresolvable,
        TemporaryResolverFailure,
        PermanentResolverFailure,
    }
}

component::enumeration! {
    /// The family of an address.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum IpAddressFamily {
        Ipv4,
        Ipv6,
    }
}

/// An IPv4 address.
type Ipv4Address = (u8, u8, u8, u8);
/// An IPv6 address.
type Ipv6Address = (u16, u16, u16, u16, u16, u16, u16, u16);

component::variant! {
    /// An address.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum IpAddress {
        Ipv4(Ipv4Address),
        Ipv6(Ipv6Address),
    }
}

component::record! {
    /// An IPv4 address with a port.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Ipv4SocketAddress {
        pub port: u16,
        pub address: Ipv4Address,
    }
}

component::record! {
    /// An IPv6 address with a port.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Ipv6SocketAddress {
        pub port: u16,
        pub flow_info: u32,
        pub address: Ipv6Address,
        pub scope_id: u32,
    }
}

component::variant! {
    /// An address with a port.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum IpSocketAddress {
        Ipv4(Ipv4SocketAddress),
        Ipv6(Ipv6SocketAddress),
    }
}

pub fn register(linker: &mut Interfaces) {
    offer::<Network>(&mut interface(linker, "wasi:sockets/network"));
    let mut instance_network = interface(linker, "wasi:sockets/instance-network");
    offer::<Network>(&mut instance_network);
    instance_network.func("instance-network", instance);
}

/// The network that the program has.
pub fn instance(call: &mut Preview2<'_>, (): &()) -> Polled<Own<Network>> {
    Poll::Ready(Ok(Own::new(call.data.state.table.insert(Network).map_err(refused)?)))
}
