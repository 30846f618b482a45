//! The network device, against the gateway of QEMU's user networking, and its queues against a device that lies.

use super::{machine, selftest};
use crate::executor;
use crate::virtio::net::Net;
use alloc::vec;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::task::Poll;
use virtio_drivers::transport::DeviceType;
use wasi::sockets::Device as _;
use wasi::sockets::smoltcp::phy::{Device, RxToken, TxToken};
use wasi::sockets::smoltcp::time::Instant;
use wasi::sockets::smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr,
    Ipv4Address,
};

selftest! { the_gateway_answers_more_requests_than_the_queues_hold }

const OWN: Ipv4Address = Ipv4Address::new(10, 0, 2, 15);
const GATEWAY: Ipv4Address = Ipv4Address::new(10, 0, 2, 2);

/// Asks who has the gateway's address.
fn request(address: EthernetAddress) -> Vec<u8> {
    let ethernet = EthernetRepr {
        src_addr: address,
        dst_addr: EthernetAddress::BROADCAST,
        ethertype: EthernetProtocol::Arp,
    };
    let arp = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr: address,
        source_protocol_addr: OWN,
        target_hardware_addr: EthernetAddress::default(),
        target_protocol_addr: GATEWAY,
    };
    let mut bytes = vec![0; ethernet.buffer_len() + arp.buffer_len()];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    ethernet.emit(&mut frame);
    arp.emit(&mut ArpPacket::new_unchecked(frame.payload_mut()));
    bytes
}

/// Whether a frame is the gateway's answer.
fn is_answer(frame: &[u8], address: EthernetAddress) -> bool {
    let frame = EthernetFrame::new_checked(frame).expect("a frame");
    let arp = ArpPacket::new_checked(frame.payload()).ok().and_then(|packet| ArpRepr::parse(&packet).ok());
    frame.dst_addr() == address
        && matches!(arp, Some(ArpRepr::EthernetIpv4 { operation: ArpOperation::Reply, source_protocol_addr, .. })
            if source_protocol_addr == GATEWAY)
}

fn the_gateway_answers_more_requests_than_the_queues_hold() {
    const REQUESTS: usize = 2_000;
    let device =
        machine().devices.lock().take(DeviceType::Network).into_iter().next().expect("a network device");
    let mut net = Net::new(device).expect("it starts");
    let address = EthernetAddress(net.hardware_address());
    assert!(address.is_unicast());
    let request = request(address);
    let (mut sent, mut answered) = (0, 0);
    executor::block_on(poll_fn(|task| {
        let now = Instant::ZERO;
        net.register(task.waker());
        while sent < REQUESTS
            && let Some(room) = net.transmit(now)
        {
            room.consume(request.len(), |frame| frame.copy_from_slice(&request));
            sent += 1;
        }
        while let Some((frame, _)) = net.receive(now) {
            answered += usize::from(frame.consume(|frame| is_answer(frame, address)));
        }
        if answered == REQUESTS { Poll::Ready(()) } else { Poll::Pending }
    }));
}
