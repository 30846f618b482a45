//! What the functions give, over a loopback network whose time is the test's.

mod lookup;
mod tcp;
mod udp;

use super::{
    network::{
        ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress,
        Network, instance, network_error_code,
    },
    tcp as t,
};
use crate::{
    Error,
    preview2::{
        Polled,
        io::{Input, IoError, Origin, Output, Pollable, poll, streams},
        testing::*,
    },
};
use alloc::{string::String, vec, vec::Vec};
use component::{Borrow, Own, Trap};
use core::net::SocketAddr;

const FAMILIES: [IpAddressFamily; 2] = [IpAddressFamily::Ipv4, IpAddressFamily::Ipv6];

/// A handle to lend.
fn lend<R>(own: &Own<R>) -> Borrow<R> {
    Borrow::new(own.rep)
}

fn v4(address: (u8, u8, u8, u8), port: u16) -> IpSocketAddress {
    IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address })
}

fn v6(address: (u16, u16, u16, u16, u16, u16, u16, u16), port: u16) -> IpSocketAddress {
    IpSocketAddress::Ipv6(Ipv6SocketAddress { port, flow_info: 0, address, scope_id: 0 })
}

fn loopback(family: IpAddressFamily, port: u16) -> IpSocketAddress {
    match family {
        IpAddressFamily::Ipv4 => v4((127, 0, 0, 1), port),
        IpAddressFamily::Ipv6 => v6((0, 0, 0, 0, 0, 0, 0, 1), port),
    }
}

fn unspecified(family: IpAddressFamily, port: u16) -> IpSocketAddress {
    match family {
        IpAddressFamily::Ipv4 => v4((0, 0, 0, 0), port),
        IpAddressFamily::Ipv6 => v6((0, 0, 0, 0, 0, 0, 0, 0), port),
    }
}

/// One that is nobody's: for documentation.
fn elsewhere(family: IpAddressFamily) -> IpSocketAddress {
    match family {
        IpAddressFamily::Ipv4 => v4((192, 0, 2, 1), 0),
        IpAddressFamily::Ipv6 => v6((0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 0),
    }
}

fn mapped(port: u16) -> IpSocketAddress {
    v6((0, 0, 0, 0, 0, 0xffff, 0x7f00, 1), port)
}

fn port(address: IpSocketAddress) -> u16 {
    SocketAddr::from(address).port()
}

fn other(family: IpAddressFamily) -> IpAddressFamily {
    match family {
        IpAddressFamily::Ipv4 => IpAddressFamily::Ipv6,
        IpAddressFamily::Ipv6 => IpAddressFamily::Ipv4,
    }
}

/// Calls a function until it does not say that it would block.
#[track_caller]
fn until_done<P: Copy, R>(
    guest: &mut Guest,
    function: impl Fn(&mut crate::preview2::Preview2<'_>, &P) -> Polled<Result<R, ErrorCode>>,
    params: P,
) -> Result<R, ErrorCode> {
    guest.until(|guest| match guest.call(&function, params) {
        Err(ErrorCode::WouldBlock) => None,
        result => Some(result),
    })
}

/// Whether a pollable is ready now.
#[track_caller]
fn is_ready(guest: &mut Guest, pollable: &Own<Pollable>) -> bool {
    guest.call(poll::ready, (lend(pollable),))
}

#[test]
fn addresses_are_the_same_in_both_forms() {
    for text in ["1.2.3.4:5", "[1:2:3:4:5:6:7:8]:9", "[fe80::1%7]:80"] {
        let address: SocketAddr = text.parse().unwrap();
        assert_eq!(SocketAddr::from(IpSocketAddress::from(address)), address);
    }
    let flow = IpSocketAddress::Ipv6(Ipv6SocketAddress {
        port: 1,
        flow_info: 2,
        address: (3, 4, 5, 6, 7, 8, 9, 10),
        scope_id: 11,
    });
    assert_eq!(IpSocketAddress::from(SocketAddr::from(flow)), flow);
    assert_eq!(SocketAddr::from(v4((1, 2, 3, 4), 5)), "1.2.3.4:5".parse().unwrap());
}

#[test]
fn errors_have_the_codes_that_the_specification_says() {
    for (error, code) in [
        (Error::Access, ErrorCode::AccessDenied),
        (Error::NotPermitted, ErrorCode::AccessDenied),
        (Error::NotSupported, ErrorCode::NotSupported),
        (Error::Invalid, ErrorCode::InvalidArgument),
        (Error::AddressFamily, ErrorCode::InvalidArgument),
        (Error::NoMemory, ErrorCode::OutOfMemory),
        (Error::TimedOut, ErrorCode::Timeout),
        (Error::Already, ErrorCode::ConcurrencyConflict),
        (Error::WouldBlock, ErrorCode::WouldBlock),
        (Error::InvalidState, ErrorCode::InvalidState),
        (Error::IsConnected, ErrorCode::InvalidState),
        (Error::NotConnected, ErrorCode::InvalidState),
        (Error::TooManyOpen, ErrorCode::NewSocketLimit),
        (Error::AddressNotAvailable, ErrorCode::AddressNotBindable),
        (Error::AddressInUse, ErrorCode::AddressInUse),
        (Error::HostUnreachable, ErrorCode::RemoteUnreachable),
        (Error::NetworkUnreachable, ErrorCode::RemoteUnreachable),
        (Error::ConnectionRefused, ErrorCode::ConnectionRefused),
        (Error::ConnectionReset, ErrorCode::ConnectionReset),
        (Error::ConnectionAborted, ErrorCode::ConnectionAborted),
        (Error::MessageSize, ErrorCode::DatagramTooLarge),
        (Error::NameNotFound, ErrorCode::NameUnresolvable),
        (Error::NameTemporary, ErrorCode::TemporaryResolverFailure),
        (Error::IsDirectory, ErrorCode::Unknown),
    ] {
        assert_eq!(ErrorCode::from(error), code, "{error}");
    }
}

#[test]
fn an_error_has_a_code_if_it_is_a_sockets() {
    let mut guest = guest();
    for (origin, code) in
        [(Origin::Socket, Some(ErrorCode::ConnectionReset)), (Origin::File, None), (Origin::Stdio, None)]
    {
        let error = IoError { error: Error::ConnectionReset, origin };
        let error = guest.data.state.table.insert(error).unwrap();
        assert_eq!(guest.call(network_error_code, (Borrow::new(error),)), code);
    }
}

#[test]
fn without_a_network_all_is_refused_as_wasmtime_refuses_it() {
    let mut guest = guest();
    let network = guest.call(instance, ());
    for family in FAMILIES {
        let refused = guest.call(t::create_tcp_socket, (family,));
        assert_eq!(refused.map(|_| ()), Err(ErrorCode::AccessDenied));
        let refused = guest.call(super::udp::create_udp_socket, (family,));
        assert_eq!(refused.map(|_| ()), Err(ErrorCode::AccessDenied));
    }
    let refused = guest.call(super::lookup::resolve_addresses, (lend(&network), "127.0.0.1".into()));
    assert_eq!(refused.map(|_| ()), Err(ErrorCode::PermanentResolverFailure));
}

/// What is not a network is no network, and a guest that lends it is ended.
#[test]
fn a_network_is_asked_for() {
    let mut guest = networked();
    let family = IpAddressFamily::Ipv4;
    let tcp = guest.call(t::create_tcp_socket, (family,)).unwrap();
    let udp = guest.call(super::udp::create_udp_socket, (family,)).unwrap();
    let none = Borrow::<Network>::new(tcp.rep);
    let address = loopback(family, 0);
    let unknown = Trap::UnknownHandle(none.rep);
    assert_eq!(guest.trap(t::start_bind, (lend(&tcp), none, address)), unknown);
    assert_eq!(guest.trap(t::start_connect, (lend(&tcp), none, address)), unknown);
    assert_eq!(guest.trap(super::udp::start_bind, (lend(&udp), none, address)), unknown);
    assert_eq!(guest.trap(super::lookup::resolve_addresses, (none, "localhost".into())), unknown);
}
