//! What routers say (SLAAC).

use super::{cable::asking, *};
use crate::sockets::smoltcp::{
    phy::ChecksumCapabilities,
    time::Duration,
    wire::{
        EthernetAddress, EthernetFrame, EthernetProtocol, Icmpv6Message, Icmpv6Packet, Icmpv6Repr,
        IpProtocol, Ipv6Address, Ipv6Packet, Ipv6Repr, NdiscPrefixInfoFlags, NdiscPrefixInformation,
        NdiscRepr, NdiscRouterFlags,
    },
};

const ROUTER: Ipv6Address = Ipv6Address::new(0xfe80, 0, 0, 0, 0, 0, 0, 9);
const ALL_NODES: Ipv6Address = Ipv6Address::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// A router says that it is one for so many seconds, and that a prefix is good for so many.
fn advertisement(lifetime: u64, prefix: Ipv6Address, valid: u64, hop_limit: u8) -> Vec<u8> {
    let prefix = NdiscPrefixInformation {
        prefix_len: 64,
        flags: NdiscPrefixInfoFlags::ADDRCONF,
        valid_lifetime: Duration::from_secs(valid),
        preferred_lifetime: Duration::from_secs(valid),
        prefix,
    };
    let icmp = Icmpv6Repr::Ndisc(NdiscRepr::RouterAdvert {
        hop_limit: 64,
        flags: NdiscRouterFlags::empty(),
        router_lifetime: Duration::from_secs(lifetime),
        reachable_time: Duration::ZERO,
        retrans_time: Duration::ZERO,
        lladdr: None,
        mtu: None,
        prefix_info: Some(prefix),
    });
    let ip = Ipv6Repr {
        src_addr: ROUTER,
        dst_addr: ALL_NODES,
        next_header: IpProtocol::Icmpv6,
        payload_len: icmp.buffer_len(),
        hop_limit,
    };
    let mut bytes = alloc::vec![0; 14 + 40 + icmp.buffer_len()];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    frame.set_src_addr(EthernetAddress([2, 0, 0, 0, 0, 9]));
    frame.set_dst_addr(EthernetAddress([0x33, 0x33, 0, 0, 0, 1]));
    frame.set_ethertype(EthernetProtocol::Ipv6);
    let mut packet = Ipv6Packet::new_unchecked(frame.payload_mut());
    ip.emit(&mut packet);
    let mut message = Icmpv6Packet::new_unchecked(packet.payload_mut());
    icmp.emit(&ROUTER, &ALL_NODES, &mut message, &ChecksumCapabilities::default());
    bytes
}

/// Lets time pass, in seconds.
fn pass(network: &Network, seconds: u64) {
    run(&[network], super::pass(seconds));
}

fn globals(network: &Network) -> Vec<core::net::IpAddr> {
    let made = |address: &core::net::IpAddr| match address {
        core::net::IpAddr::V6(address) => !address.is_unicast_link_local() && !address.is_loopback(),
        core::net::IpAddr::V4(_) => false,
    };
    network.addresses().into_iter().filter(made).collect()
}

#[test]
fn a_router_is_asked_for_and_nothing_is_done_without_one() {
    let (network, _, sent) = asking();
    pass(&network, 1000);
    let sent = sent.lock();
    let asked = sent.frames.iter().filter(|frame| {
        let ip = Ipv6Packet::new_checked(&frame[14..]).unwrap();
        let (from, to) = (ip.src_addr(), ip.dst_addr());
        let icmp = Icmpv6Packet::new_checked(ip.payload()).unwrap();
        assert_eq!(frame[..6], [0x33, 0x33, 0, 0, 0, 2]);
        assert!(icmp.verify_checksum(&from, &to));
        icmp.msg_type() == Icmpv6Message::RouterSolicit
            && from.is_unicast_link_local()
            && ip.hop_limit() == 255
    });
    assert_eq!(asked.count(), 3);
    drop(sent);
    // A thousand seconds were no more than a few turns: nobody waits for what is past.
    assert!(clock().timers().next_deadline().is_none());
}

#[test]
fn addresses_come_from_advertisements_and_end() {
    let (network, comes, _) = asking();
    let prefix = Ipv6Address::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0);
    let made = address("[2001:db8::ff:fe00:101]:0").ip();
    let outside = address("[2001:db8:1::1]:0").ip();
    let reachable = || network.with(|stack| stack.source(outside).is_ok());
    assert!(!reachable());
    comes.lock().comes(advertisement(1800, prefix, 86_400, 255));
    pass(&network, 1);
    assert_eq!(globals(&network), [made]);
    assert!(reachable());
    // One advertisement does not take it away at once.
    comes.lock().comes(advertisement(0, prefix, 1, 255));
    pass(&network, 10);
    assert_eq!(globals(&network), [made]);
    assert!(!reachable());
    pass(&network, 7_200);
    assert!(globals(&network).is_empty());
}

#[test]
fn what_no_router_says_is_not_heard() {
    let (network, comes, _) = asking();
    let good = Ipv6Address::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0);
    let mut damaged = advertisement(1800, good, 86_400, 255);
    *damaged.last_mut().unwrap() ^= 1;
    let frames = [
        // Of another link.
        advertisement(1800, good, 86_400, 254),
        damaged,
        // Of no host.
        advertisement(0, Ipv6Address::new(0xff02, 0, 0, 0, 0, 0, 0, 0), 86_400, 255),
        advertisement(0, good, 0, 255),
    ];
    for frame in frames {
        comes.lock().comes(frame);
        pass(&network, 1);
        assert!(globals(&network).is_empty());
    }
    // No more addresses than a few.
    for number in 0..100 {
        comes.lock().comes(advertisement(
            0,
            Ipv6Address::new(0x2001, 0xdb8, number, 0, 0, 0, 0, 0),
            86_400,
            255,
        ));
    }
    pass(&network, 1);
    assert_eq!(globals(&network).len(), 2);
}
