//! `tcp` and `tcp-create-socket`.

use super::{
    Coded, methods,
    network::{ErrorCode, IpAddressFamily, IpSocketAddress, Network},
};
use crate::{
    preview2::{
        Interfaces, Preview2, interface,
        io::{Input, Output, Pollable},
        offer,
    },
    types::Nanoseconds,
};
use component::{Borrow, Own};
use core::task::Poll;

/// The resource `tcp-socket`, of which there is none.
pub enum TcpSocket {}

component::enumeration! {
    /// Which directions to shut down.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum ShutdownType {
        Receive,
        Send,
        Both,
    }
}

pub fn register(linker: &mut Interfaces) {
    let mut create = interface(linker, "wasi:sockets/tcp-create-socket");
    offer::<Network>(&mut create);
    offer::<TcpSocket>(&mut create);
    create.func("create-tcp-socket", create_tcp_socket);

    let mut tcp = interface(linker, "wasi:sockets/tcp");
    offer::<Input>(&mut tcp);
    offer::<Output>(&mut tcp);
    offer::<Pollable>(&mut tcp);
    offer::<Network>(&mut tcp);
    offer::<TcpSocket>(&mut tcp);
    methods! { tcp, TcpSocket, "tcp-socket":
        "start-bind"(Borrow<Network>, IpSocketAddress) -> ();
        "finish-bind"() -> ();
        "start-connect"(Borrow<Network>, IpSocketAddress) -> ();
        "finish-connect"() -> (Own<Input>, Own<Output>);
        "start-listen"() -> ();
        "finish-listen"() -> ();
        "accept"() -> (Own<TcpSocket>, Own<Input>, Own<Output>);
        "local-address"() -> IpSocketAddress;
        "remote-address"() -> IpSocketAddress;
        "set-listen-backlog-size"(u64) -> ();
        "keep-alive-enabled"() -> bool;
        "set-keep-alive-enabled"(bool) -> ();
        "keep-alive-idle-time"() -> Nanoseconds;
        "set-keep-alive-idle-time"(Nanoseconds) -> ();
        "keep-alive-interval"() -> Nanoseconds;
        "set-keep-alive-interval"(Nanoseconds) -> ();
        "keep-alive-count"() -> u32;
        "set-keep-alive-count"(u32) -> ();
        "hop-limit"() -> u8;
        "set-hop-limit"(u8) -> ();
        "receive-buffer-size"() -> u64;
        "set-receive-buffer-size"(u64) -> ();
        "send-buffer-size"() -> u64;
        "set-send-buffer-size"(u64) -> ();
        "shutdown"(ShutdownType) -> ();
    }
    methods! { infallible tcp, TcpSocket, "tcp-socket":
        "is-listening"() -> bool;
        "address-family"() -> IpAddressFamily;
        "subscribe"() -> Own<Pollable>;
    }
}

/// No family of addresses is supported.
pub fn create_tcp_socket(_: &mut Preview2<'_>, (_,): &(IpAddressFamily,)) -> Coded<Own<TcpSocket>> {
    Poll::Ready(Ok(Err(ErrorCode::NotSupported)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preview2::testing::*;

    #[test]
    fn no_socket_is_made() {
        for family in [IpAddressFamily::Ipv4, IpAddressFamily::Ipv6] {
            assert_eq!(guest().call(create_tcp_socket, (family,)), Err(ErrorCode::NotSupported));
        }
    }
}
