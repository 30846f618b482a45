//! `udp` and `udp-create-socket`.

use super::{
    Coded, methods,
    network::{ErrorCode, IpAddressFamily, IpSocketAddress, Network},
};
use crate::preview2::{Interfaces, Preview2, interface, io::Pollable, offer};
use alloc::vec::Vec;
use component::{Borrow, Own};
use core::task::Poll;

/// The resource `udp-socket`, of which there is none.
pub enum UdpSocket {}

/// The resource `incoming-datagram-stream`, of which there is none.
pub enum IncomingDatagramStream {}

/// The resource `outgoing-datagram-stream`, of which there is none.
pub enum OutgoingDatagramStream {}

component::record! {
    /// A datagram that was received.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct IncomingDatagram {
        /// What it says.
        pub data: Vec<u8>,
        /// Where it came from.
        pub remote_address: IpSocketAddress,
    }
}

component::record! {
    /// A datagram to send.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct OutgoingDatagram {
        /// What it says.
        pub data: Vec<u8>,
        /// Where it goes to, if the socket does not say.
        pub remote_address: Option<IpSocketAddress>,
    }
}

pub fn register(linker: &mut Interfaces) {
    let mut create = interface(linker, "wasi:sockets/udp-create-socket");
    offer::<Network>(&mut create);
    offer::<UdpSocket>(&mut create);
    create.func("create-udp-socket", create_udp_socket);

    let mut udp = interface(linker, "wasi:sockets/udp");
    offer::<Pollable>(&mut udp);
    offer::<Network>(&mut udp);
    offer::<UdpSocket>(&mut udp);
    offer::<IncomingDatagramStream>(&mut udp);
    offer::<OutgoingDatagramStream>(&mut udp);
    methods! { udp, UdpSocket, "udp-socket":
        "start-bind"(Borrow<Network>, IpSocketAddress) -> ();
        "finish-bind"() -> ();
        "stream"(Option<IpSocketAddress>) -> (Own<IncomingDatagramStream>, Own<OutgoingDatagramStream>);
        "local-address"() -> IpSocketAddress;
        "remote-address"() -> IpSocketAddress;
        "unicast-hop-limit"() -> u8;
        "set-unicast-hop-limit"(u8) -> ();
        "receive-buffer-size"() -> u64;
        "set-receive-buffer-size"(u64) -> ();
        "send-buffer-size"() -> u64;
        "set-send-buffer-size"(u64) -> ();
    }
    methods! { infallible udp, UdpSocket, "udp-socket":
        "address-family"() -> IpAddressFamily;
        "subscribe"() -> Own<Pollable>;
    }
    methods! { udp, IncomingDatagramStream, "incoming-datagram-stream":
        "receive"(u64) -> Vec<IncomingDatagram>;
    }
    methods! { infallible udp, IncomingDatagramStream, "incoming-datagram-stream":
        "subscribe"() -> Own<Pollable>;
    }
    methods! { udp, OutgoingDatagramStream, "outgoing-datagram-stream":
        "check-send"() -> u64;
        "send"(Vec<OutgoingDatagram>) -> u64;
    }
    methods! { infallible udp, OutgoingDatagramStream, "outgoing-datagram-stream":
        "subscribe"() -> Own<Pollable>;
    }
}

/// No family of addresses is supported.
pub fn create_udp_socket(_: &mut Preview2<'_>, (_,): &(IpAddressFamily,)) -> Coded<Own<UdpSocket>> {
    Poll::Ready(Ok(Err(ErrorCode::NotSupported)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preview2::testing::*;

    #[test]
    fn no_socket_is_made() {
        for family in [IpAddressFamily::Ipv4, IpAddressFamily::Ipv6] {
            assert_eq!(guest().call(create_udp_socket, (family,)), Err(ErrorCode::NotSupported));
        }
    }
}
