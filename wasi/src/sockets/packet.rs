//! What a frame is about, looked at before the stack sees it.

use super::{ports::Protocol, slaac::Advertisement};
use smoltcp::{
    phy::ChecksumCapabilities,
    wire::{
        ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
        Icmpv4DstUnreachable, Icmpv4Packet, Icmpv4Repr, Icmpv6DstUnreachable, Icmpv6Packet, Icmpv6Repr,
        IpAddress, IpEndpoint, IpProtocol, Ipv4Address, Ipv4Packet, Ipv6Address, Ipv6Packet, TcpPacket,
    },
};

/// What a frame is about.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) destination: Option<EthernetAddress>,
    /// It is of the loopback network.
    pub(super) loopback: bool,
    /// It is from no address: smoltcp would take a DHCP server's for one.
    pub(super) nobody: bool,
    /// It asks who has an address.
    pub(super) asks: bool,
    /// It is IPv6.
    pub(super) v6: bool,
    /// Whose it is.
    pub(super) ends: Option<Ends>,
    /// It asks for a connection.
    pub(super) syn: bool,
    /// It says that nobody hears what was sent so.
    pub(super) refused: Option<Ends>,
    /// A neighbour's address may be known when it has been taken.
    pub(super) resolves: bool,
    /// It is what a router says.
    pub(super) advertisement: Option<Advertisement>,
    /// It is a part of a packet.
    pub(super) fragment: Option<FragmentsOf>,
}

/// Who sent a packet of TCP or UDP, and to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) protocol: Protocol,
    pub(super) from: IpEndpoint,
    pub(super) to: IpEndpoint,
}

impl Packet {
    /// Looks at a frame. What is broken is nothing in particular: the stack will find out.
    pub(super) fn of(frame: &[u8], checksum: &ChecksumCapabilities) -> Self {
        let Ok(frame) = EthernetFrame::new_checked(frame) else { return Self::default() };
        let destination = Some(frame.dst_addr());
        let packet = match frame.ethertype() {
            EthernetProtocol::Arp => ArpPacket::new_checked(frame.payload())
                .and_then(|packet| ArpRepr::parse(&packet))
                .map(|arp| match arp {
                    ArpRepr::EthernetIpv4 {
                        operation, source_protocol_addr, target_protocol_addr, ..
                    } => Self {
                        asks: operation == ArpOperation::Request,
                        loopback: source_protocol_addr.is_loopback() || target_protocol_addr.is_loopback(),
                        resolves: true,
                        ..Self::default()
                    },
                    _ => Self::default(),
                }),
            EthernetProtocol::Ipv4 => Ipv4Packet::new_checked(frame.payload()).map(|packet| {
                let (from, to, protocol) = (packet.src_addr(), packet.dst_addr(), packet.next_header());
                let payload = if packet.frag_offset() == 0 { packet.payload() } else { &[] };
                let whole = packet.frag_offset() == 0 && !packet.more_frags();
                Self {
                    loopback: from.is_loopback() || to.is_loopback(),
                    nobody: from.is_unspecified(),
                    ends: Ends::of(from.into(), to.into(), protocol, payload),
                    syn: whole && is_syn(protocol, payload),
                    refused: refused_v4(protocol, payload, checksum).filter(|_| whole),
                    fragment: (!whole).then(|| (from, to, protocol, packet.ident())),
                    ..Self::default()
                }
            }),
            EthernetProtocol::Ipv6 => Ipv6Packet::new_checked(frame.payload()).map(|packet| {
                let (from, to) = (packet.src_addr(), packet.dst_addr());
                let (protocol, payload) = behind_options(packet.next_header(), packet.payload());
                Self {
                    v6: true,
                    loopback: from.is_loopback() || to.is_loopback(),
                    // Neighbour solicitations are all that is sent to such a group.
                    asks: to.octets().starts_with(&SOLICITED_NODE),
                    advertisement: Advertisement::of(&packet, checksum),
                    ends: Ends::of(from.into(), to.into(), protocol, payload),
                    syn: is_syn(protocol, payload),
                    refused: refused_v6((from, to), protocol, payload, checksum),
                    resolves: protocol == IpProtocol::Icmpv6,
                    ..Self::default()
                }
            }),
            _ => Ok(Self::default()),
        };
        Self { destination, ..packet.unwrap_or_default() }
    }
}

/// The beginning of all solicited-node multicast addresses (RFC 4291, 2.7.1).
const SOLICITED_NODE: [u8; 13] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff];

impl Ends {
    fn of(from: IpAddress, to: IpAddress, protocol: IpProtocol, payload: &[u8]) -> Option<Self> {
        let protocol = match protocol {
            IpProtocol::Tcp => Protocol::Tcp,
            IpProtocol::Udp => Protocol::Udp,
            _ => return None,
        };
        // Both have them in the same place.
        let &[a, b, c, d] = payload.first_chunk()?;
        let [source, destination] = [[a, b], [c, d]].map(u16::from_be_bytes);
        let (from, to) = (IpEndpoint::new(from, source), IpEndpoint::new(to, destination));
        Some(Self { protocol, from, to })
    }
}

/// Whether a packet asks for a TCP connection.
fn is_syn(protocol: IpProtocol, payload: &[u8]) -> bool {
    protocol == IpProtocol::Tcp
        && TcpPacket::new_checked(payload).is_ok_and(|tcp| tcp.syn() && !tcp.ack() && !tcp.rst())
}

/// What was sent to a port where nobody hears it, as ICMP says.
fn refused_v4(protocol: IpProtocol, payload: &[u8], checksum: &ChecksumCapabilities) -> Option<Ends> {
    if protocol != IpProtocol::Icmp {
        return None;
    }
    let packet = Icmpv4Packet::new_checked(payload).ok()?;
    match Icmpv4Repr::parse(&packet, checksum).ok()? {
        Icmpv4Repr::DstUnreachable { reason: Icmpv4DstUnreachable::PortUnreachable, header, data } => {
            Ends::of(header.src_addr.into(), header.dst_addr.into(), header.next_header, data)
        }
        _ => None,
    }
}

/// The same of IPv6.
fn refused_v6(
    (from, to): (Ipv6Address, Ipv6Address),
    protocol: IpProtocol,
    payload: &[u8],
    checksum: &ChecksumCapabilities,
) -> Option<Ends> {
    if protocol != IpProtocol::Icmpv6 {
        return None;
    }
    let packet = Icmpv6Packet::new_checked(payload).ok()?;
    match Icmpv6Repr::parse(&from, &to, &packet, checksum).ok()? {
        Icmpv6Repr::DstUnreachable { reason: Icmpv6DstUnreachable::PortUnreachable, header, data } => {
            Ends::of(header.src_addr.into(), header.dst_addr.into(), header.next_header, data)
        }
        _ => None,
    }
}

/// What is behind the hop-by-hop options, which are the one extension header that smoltcp knows.
fn behind_options(protocol: IpProtocol, payload: &[u8]) -> (IpProtocol, &[u8]) {
    if protocol != IpProtocol::HopByHop {
        return (protocol, payload);
    }
    let Some(&[next, len]) = payload.first_chunk() else { return (protocol, &[]) };
    let behind = usize::from(len).saturating_add(1).saturating_mul(8);
    (next.into(), payload.get(behind..).unwrap_or_default())
}

/// What the fragments of a packet have in common.
pub(super) type FragmentsOf = (Ipv4Address, Ipv4Address, IpProtocol, u16);
