//! Asking for the hardware addresses of neighbours (RFC 826, and RFC 4861, 7.2.2).
//!
//! smoltcp does it too, and knows what is answered. But it asks for one a second at most, of all: one that never answers would keep
//! the others from being asked for.

use super::{device::Link, slaac::packet_v6};
use alloc::{collections::BTreeMap, vec, vec::Vec};
use smoltcp::{
    iface::Interface,
    time::{Duration, Instant},
    wire::{
        ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr,
        Icmpv6Repr, IpAddress, Ipv4Address, Ipv6Address, NdiscRepr,
    },
};

/// How often each is asked for.
const INTERVAL: Duration = Duration::from_secs(1);

/// Who was asked for, and when.
#[derive(Default)]
pub(super) struct Neighbours(BTreeMap<IpAddress, Instant>);

impl Neighbours {
    /// Asks for the neighbour on the way to `to`, unless that was done a moment ago; `asked` says that smoltcp has just done it.
    pub(super) fn ask(
        &mut self,
        at: Instant,
        link: &mut dyn Link,
        interface: &Interface,
        to: IpAddress,
        asked: bool,
    ) {
        let Some(neighbour) = on_the_way(interface, to) else { return };
        self.0.retain(|_, then| at < *then + INTERVAL);
        if self.0.contains_key(&neighbour) {
            return;
        }
        self.0.insert(neighbour, at);
        if asked {
            return;
        }
        let hardware = link.address();
        let question = match neighbour {
            IpAddress::Ipv4(neighbour) => {
                interface.get_source_address_ipv4(&neighbour).map(|from| request(hardware, from, neighbour))
            }
            IpAddress::Ipv6(neighbour) => {
                let from = interface.get_source_address_ipv6(&neighbour);
                Some(solicitation(hardware, from, neighbour))
            }
        };
        if let Some(question) = question {
            link.send(at, &question);
        }
    }
}

/// The neighbour that a packet goes to first.
fn on_the_way(interface: &Interface, to: IpAddress) -> Option<IpAddress> {
    if !to.is_unicast() || interface.ip_addrs().iter().any(|own| own.contains_addr(&to)) {
        return to.is_unicast().then_some(to);
    }
    let routes = interface.routes();
    let route = match to {
        IpAddress::Ipv4(_) => routes.get_default_ipv4_route(),
        IpAddress::Ipv6(_) => routes.get_default_ipv6_route(),
    };
    route.map(|route| route.via_router)
}

fn request(hardware: EthernetAddress, from: Ipv4Address, neighbour: Ipv4Address) -> Vec<u8> {
    let ethernet = EthernetRepr {
        src_addr: hardware,
        dst_addr: EthernetAddress::BROADCAST,
        ethertype: EthernetProtocol::Arp,
    };
    let arp = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr: hardware,
        source_protocol_addr: from,
        target_hardware_addr: EthernetAddress::BROADCAST,
        target_protocol_addr: neighbour,
    };
    let mut bytes = vec![0; ethernet.buffer_len().saturating_add(arp.buffer_len())];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    ethernet.emit(&mut frame);
    arp.emit(&mut ArpPacket::new_unchecked(frame.payload_mut()));
    bytes
}

fn solicitation(hardware: EthernetAddress, from: Ipv6Address, neighbour: Ipv6Address) -> Vec<u8> {
    let [.., a, b, c] = neighbour.octets();
    // RFC 4291, 2.7.1.
    let group = Ipv6Address::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from_be_bytes([b, c]));
    let icmp = NdiscRepr::NeighborSolicit { target_addr: neighbour, lladdr: Some(hardware.into()) };
    packet_v6(hardware, from, group, &Icmpv6Repr::Ndisc(icmp))
}
