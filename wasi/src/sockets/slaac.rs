//! IPv6 addresses from what routers say (RFC 4861, 6.3, and RFC 4862).
//!
//! smoltcp 0.14 knows how to do this too. But while no router has spoken, or none says anything that ends, its `poll_at` tells no time at
//! all or one that is past, whatever the sockets wait for; and a prefix that no host can have makes it panic.

use super::device::Link;
use crate::types::Nanoseconds;
use alloc::{vec, vec::Vec};
use smoltcp::{
    iface::Interface,
    phy::ChecksumCapabilities,
    time::{Duration, Instant},
    wire::{
        EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, Icmpv6Message, Icmpv6Packet,
        Icmpv6Repr, IpCidr, IpProtocol, Ipv6Address, Ipv6Cidr, Ipv6Packet, Ipv6Repr, NdiscPrefixInformation,
        NdiscRepr,
    },
};

const SECOND: Nanoseconds = 1_000_000_000;
/// How often a router is asked for, and how long is waited for its answer (RFC 4861, 10).
const SOLICITATIONS: u8 = 3;
const INTERVAL: Nanoseconds = 4 * SECOND;
/// What a lifetime is not shortened below (RFC 4862, 5.5.3 e): who sends one advertisement cannot take an address away.
const TWO_HOURS: Nanoseconds = 7200 * SECOND;
/// Prefixes that addresses are made of.
const PREFIXES: usize = 2;
/// The bits of a prefix that leave room for the hardware address.
const PREFIX_LEN: u8 = 64;
/// All routers on the link.
const ALL_ROUTERS: Ipv6Address = Ipv6Address::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// What is known of the link's routers.
pub(super) struct Slaac {
    hardware: EthernetAddress,
    /// How often a router is asked for yet, and when next.
    left: u8,
    due: Nanoseconds,
    /// The default router, and until when it is one.
    router: Option<(Ipv6Address, Nanoseconds)>,
    /// The addresses that were made, and until when they are ours.
    addresses: Vec<(Ipv6Cidr, Nanoseconds)>,
}

/// What a router says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Advertisement {
    router: Ipv6Address,
    lifetime: Duration,
    prefix: Option<NdiscPrefixInformation>,
}

impl Advertisement {
    /// What the packet advertises; only a neighbour can (its hop limit tells).
    pub(super) fn of(packet: &Ipv6Packet<&[u8]>, checksum: &ChecksumCapabilities) -> Option<Self> {
        let (from, to) = (packet.src_addr(), packet.dst_addr());
        if packet.next_header() != IpProtocol::Icmpv6
            || packet.hop_limit() != 255
            || !from.is_unicast_link_local()
        {
            return None;
        }
        let icmp = Icmpv6Packet::new_checked(packet.payload()).ok()?;
        if icmp.msg_type() != Icmpv6Message::RouterAdvert {
            return None;
        }
        match Icmpv6Repr::parse(&from, &to, &icmp, checksum).ok()? {
            Icmpv6Repr::Ndisc(NdiscRepr::RouterAdvert { router_lifetime, prefix_info, .. }) => {
                Some(Self { router: from, lifetime: router_lifetime, prefix: prefix_info })
            }
            _ => None,
        }
    }
}

impl Slaac {
    pub(super) fn new(hardware: EthernetAddress, now: Nanoseconds) -> Self {
        Self { hardware, left: SOLICITATIONS, due: now, router: None, addresses: Vec::new() }
    }

    /// The address with these 64 bits first: the hardware address makes the rest (RFC 4291, appendix A).
    pub(super) fn address(hardware: EthernetAddress, prefix: Ipv6Address) -> Ipv6Address {
        let [a, b, c, d, e, f] = hardware.0;
        let mut octets = prefix.octets();
        let interface = [a ^ 2, b, c, 0xff, 0xfe, d, e, f];
        octets.iter_mut().skip(8).zip(interface).for_each(|(octet, own)| *octet = own);
        octets.into()
    }

    /// Takes what a router says.
    pub(super) fn hear(&mut self, said: &Advertisement, interface: &mut Interface, now: Nanoseconds) {
        let until = |lifetime: Duration| now.saturating_add(lifetime.total_micros().saturating_mul(1_000));
        self.left = 0;
        let ours = self.router.is_none_or(|(router, _)| router == said.router);
        if ours {
            self.router = (said.lifetime > Duration::ZERO).then(|| (said.router, until(said.lifetime)));
            self.route(interface);
        }
        let Some(prefix) = said.prefix.filter(NdiscPrefixInformation::is_valid_prefix_info) else { return };
        let address = Self::address(self.hardware, prefix.prefix);
        if prefix.prefix_len != PREFIX_LEN || address.is_multicast() || address.is_unspecified() {
            return;
        }
        let address = Ipv6Cidr::new(address, PREFIX_LEN);
        let end = until(prefix.valid_lifetime);
        let room = self.addresses.len() < PREFIXES;
        match self.addresses.iter_mut().find(|(known, _)| *known == address) {
            Some((_, until)) => *until = end.max((*until).min(now.saturating_add(TWO_HOURS))),
            None if prefix.valid_lifetime > Duration::ZERO && room => {
                let mut added = false;
                interface.update_ip_addrs(|addresses| added = addresses.insert(0, address.into()).is_ok());
                if added {
                    self.addresses.push((address, end));
                }
            }
            None => {}
        }
    }

    /// Asks for a router if that is due, and forgets what is over. Whether an address is.
    pub(super) fn turn(
        &mut self,
        link: &mut dyn Link,
        interface: &mut Interface,
        at: Instant,
        now: Nanoseconds,
    ) -> bool {
        if self.left > 0 && self.due <= now {
            self.left = self.left.saturating_sub(1);
            self.due = now.saturating_add(INTERVAL);
            link.send(at, &self.solicitation());
        }
        if self.router.is_some_and(|(_, until)| until <= now) {
            self.router = None;
            self.route(interface);
        }
        let ends = self.addresses.iter().any(|&(_, until)| until <= now);
        if ends {
            let over = |address: &IpCidr| {
                self.addresses.iter().any(|&(own, until)| until <= now && *address == IpCidr::Ipv6(own))
            };
            interface.update_ip_addrs(|addresses| addresses.retain(|address| !over(address)));
            self.addresses.retain(|&(_, until)| until > now);
        }
        ends
    }

    /// When there is something to do.
    pub(super) fn next(&self) -> Option<Nanoseconds> {
        let asking = (self.left > 0).then_some(self.due);
        let ends = self.addresses.iter().map(|&(_, until)| until);
        ends.chain(asking).chain(self.router.map(|(_, until)| until)).min()
    }

    fn route(&self, interface: &mut Interface) {
        let routes = interface.routes_mut();
        match self.router {
            // There is room: it has one default route at most.
            Some((router, _)) => drop(routes.add_default_ipv6_route(router)),
            None => drop(routes.remove_default_ipv6_route()),
        }
    }

    /// The question for a router.
    fn solicitation(&self) -> Vec<u8> {
        let icmp = Icmpv6Repr::Ndisc(NdiscRepr::RouterSolicit { lladdr: Some(self.hardware.into()) });
        let from = Self::address(self.hardware, Ipv6Address::new(0xfe80, 0, 0, 0, 0, 0, 0, 0));
        packet_v6(self.hardware, from, ALL_ROUTERS, &icmp)
    }
}

/// A frame with a message to a group on the link.
pub(super) fn packet_v6(
    hardware: EthernetAddress,
    from: Ipv6Address,
    group: Ipv6Address,
    icmp: &Icmpv6Repr<'_>,
) -> Vec<u8> {
    let [.., a, b, c, d] = group.octets();
    let ethernet = EthernetRepr {
        src_addr: hardware,
        // RFC 2464, 7.
        dst_addr: EthernetAddress([0x33, 0x33, a, b, c, d]),
        ethertype: EthernetProtocol::Ipv6,
    };
    let ip = Ipv6Repr {
        src_addr: from,
        dst_addr: group,
        next_header: IpProtocol::Icmpv6,
        payload_len: icmp.buffer_len(),
        hop_limit: 255,
    };
    let len = ethernet.buffer_len().saturating_add(ip.buffer_len()).saturating_add(icmp.buffer_len());
    let mut bytes = vec![0; len];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    ethernet.emit(&mut frame);
    let mut packet = Ipv6Packet::new_unchecked(frame.payload_mut());
    ip.emit(&mut packet);
    let mut message = Icmpv6Packet::new_unchecked(packet.payload_mut());
    // The device computes no checksum of ICMP.
    icmp.emit(&from, &group, &mut message, &ChecksumCapabilities::default());
    bytes
}
