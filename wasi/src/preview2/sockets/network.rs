//! `network` and `instance-network`, the types that all of `wasi:sockets` uses, and the only place where the core's errors become
//! an `error-code` of theirs.

use crate::{
    Error,
    preview2::{
        Interfaces, Polled, Preview2, interface,
        io::{IoError, Origin},
        offer, refused,
    },
    sockets::Family,
};
use component::{Borrow, Own};
use core::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
    task::Poll,
};

/// The resource `network`: a handle and no more. What a program may do there is the business of its
/// [`Access`](crate::sockets::Access), as in wasmtime.
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

impl From<Error> for ErrorCode {
    fn from(error: Error) -> Self {
        match error {
            Error::Access | Error::NotPermitted | Error::NotCapable => Self::AccessDenied,
            Error::NotSupported => Self::NotSupported,
            Error::Invalid | Error::AddressFamily => Self::InvalidArgument,
            Error::NoMemory => Self::OutOfMemory,
            Error::TimedOut => Self::Timeout,
            Error::Already => Self::ConcurrencyConflict,
            Error::WouldBlock => Self::WouldBlock,
            Error::InvalidState | Error::IsConnected | Error::NotConnected => Self::InvalidState,
            Error::TooManyOpen => Self::NewSocketLimit,
            Error::AddressNotAvailable => Self::AddressNotBindable,
            Error::AddressInUse => Self::AddressInUse,
            Error::HostUnreachable | Error::NetworkUnreachable => Self::RemoteUnreachable,
            Error::ConnectionRefused => Self::ConnectionRefused,
            Error::ConnectionReset => Self::ConnectionReset,
            Error::ConnectionAborted => Self::ConnectionAborted,
            Error::MessageSize => Self::DatagramTooLarge,
            Error::NameNotFound => Self::NameUnresolvable,
            Error::NameTemporary => Self::TemporaryResolverFailure,
            // What has to do with files and pipes does not come from here.
            _ => Self::Unknown,
        }
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

impl From<IpAddressFamily> for Family {
    fn from(family: IpAddressFamily) -> Self {
        match family {
            IpAddressFamily::Ipv4 => Self::Ipv4,
            IpAddressFamily::Ipv6 => Self::Ipv6,
        }
    }
}

impl From<Family> for IpAddressFamily {
    fn from(family: Family) -> Self {
        match family {
            Family::Ipv4 => Self::Ipv4,
            Family::Ipv6 => Self::Ipv6,
        }
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

impl From<IpAddr> for IpAddress {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::Ipv4(address.octets().into()),
            IpAddr::V6(address) => Self::Ipv6(address.segments().into()),
        }
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

impl From<IpSocketAddress> for SocketAddr {
    fn from(address: IpSocketAddress) -> Self {
        match address {
            IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address }) => {
                Self::V4(SocketAddrV4::new(Ipv4Addr::from_octets(address.into()), port))
            }
            IpSocketAddress::Ipv6(Ipv6SocketAddress { port, flow_info, address, scope_id }) => {
                let address = Ipv6Addr::from_segments(address.into());
                Self::V6(SocketAddrV6::new(address, port, flow_info, scope_id))
            }
        }
    }
}

impl From<SocketAddr> for IpSocketAddress {
    fn from(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(address) => {
                Self::Ipv4(Ipv4SocketAddress { port: address.port(), address: address.ip().octets().into() })
            }
            SocketAddr::V6(address) => Self::Ipv6(Ipv6SocketAddress {
                port: address.port(),
                flow_info: address.flowinfo(),
                address: address.ip().segments().into(),
                scope_id: address.scope_id(),
            }),
        }
    }
}

pub fn register(linker: &mut Interfaces) {
    let mut network = interface(linker, "wasi:sockets/network");
    offer::<IoError>(&mut network);
    offer::<Network>(&mut network);
    network.func("network-error-code", network_error_code);
    let mut instance_network = interface(linker, "wasi:sockets/instance-network");
    offer::<Network>(&mut instance_network);
    instance_network.func("instance-network", instance);
}

/// The network that the program has. A program without one gets a handle too: it is refused what it then asks for.
pub fn instance(call: &mut Preview2<'_>, (): &()) -> Polled<Own<Network>> {
    Poll::Ready(Ok(Own::new(call.data.state.table.insert(Network).map_err(refused)?)))
}

/// What went wrong with a stream, if it was a socket's.
pub fn network_error_code(
    call: &mut Preview2<'_>,
    (error,): &(Borrow<IoError>,),
) -> Polled<Option<ErrorCode>> {
    let IoError { error, origin } = call.data.state.table.get(error.rep)?;
    Poll::Ready(Ok((*origin == Origin::Socket).then(|| (*error).into())))
}
