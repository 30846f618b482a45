//! Tests of the queues against a device that lies, and of checksums that are left to one.

use super::checksum::{is_sound, leave};
use super::send::AHEAD;
use super::{Header, MAX_FRAME, RECEIVE, Receiver, SEND, Sender};
use crate::memory;
use crate::selftest::selftest;
use alloc::vec;
use alloc::vec::Vec;
use core::ptr;
use virtio_drivers::PhysAddr;
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use wasi::sockets::smoltcp::phy::ChecksumCapabilities;
use wasi::sockets::smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, IpAddress, IpProtocol, IpRepr,
    Ipv4Address, Ipv4Packet, Ipv6Address, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber, UdpPacket, UdpRepr,
    checksum,
};

selftest! { frames_of_any_length_are_cut_to_what_is_there a_buffer_that_was_never_given_ends_the_receiver
a_receiver_takes_what_a_ring_that_ran_over_has a_frame_that_was_never_given_ends_the_sender
the_device_completes_what_was_left_to_it a_wrong_checksum_is_seen_unless_the_device_vouches_for_it }

/// A device that has queues and does nothing on its own: what it says, the test writes.
#[derive(Default)]
struct Liar {
    /// The physical address of the used ring.
    used: u64,
    size: u16,
    notified: usize,
}

impl Liar {
    /// Writes the next element of the used ring, and says that it is there.
    fn uses(&mut self, id: u32, len: u32) {
        const RING: usize = 4;
        const ELEMENT: usize = 8;
        let ring = ptr::with_exposed_provenance_mut::<u8>(memory::direct_map(self.used) as usize);
        let index = ring.wrapping_add(2).cast::<u16>();
        // SAFETY: the queue's own ring, as large as the specification has it, which its driver only reads.
        unsafe {
            let next = index.read_volatile();
            let element = ring.wrapping_add(RING + usize::from(next % self.size) * ELEMENT).cast::<u32>();
            element.write_volatile(id);
            element.wrapping_add(1).write_volatile(len);
            index.write_volatile(next.wrapping_add(1));
        }
    }

    /// Says that there are so many more elements, whatever they are.
    fn skips(&mut self, elements: u16) {
        let ring = ptr::with_exposed_provenance_mut::<u8>(memory::direct_map(self.used) as usize);
        let index = ring.wrapping_add(2).cast::<u16>();
        // SAFETY: as above.
        unsafe { index.write_volatile(index.read_volatile().wrapping_add(elements)) };
    }
}

impl Transport for Liar {
    fn device_type(&self) -> DeviceType {
        DeviceType::Network
    }

    fn read_device_features(&mut self) -> u64 {
        0
    }

    fn write_driver_features(&mut self, _: u64) {}

    fn max_queue_size(&mut self, _: u16) -> u32 {
        1024
    }

    fn notify(&mut self, _: u16) {
        self.notified += 1;
    }

    fn get_status(&self) -> DeviceStatus {
        DeviceStatus::empty()
    }

    fn set_status(&mut self, _: DeviceStatus) {}

    fn set_guest_page_size(&mut self, _: u32) {}

    fn requires_legacy_layout(&self) -> bool {
        false
    }

    fn queue_set(&mut self, _: u16, size: u32, _: PhysAddr, _: PhysAddr, used: PhysAddr) {
        (self.used, self.size) = (used, size as u16);
    }

    fn queue_unset(&mut self, _: u16) {}

    fn queue_used(&mut self, _: u16) -> bool {
        false
    }

    fn ack_interrupt(&mut self) -> InterruptStatus {
        InterruptStatus::empty()
    }

    fn read_config_generation(&self) -> u32 {
        0
    }

    fn read_config_space<T>(&self, _: usize) -> virtio_drivers::Result<T> {
        Err(virtio_drivers::Error::ConfigSpaceMissing)
    }

    fn write_config_space<T>(&mut self, _: usize, _: T) -> virtio_drivers::Result<()> {
        Err(virtio_drivers::Error::ConfigSpaceMissing)
    }
}

fn receiver() -> (Liar, Receiver) {
    let mut device = Liar::default();
    let receiver = Receiver::new(&mut device, RECEIVE, Header::LEN).expect("a queue");
    (device, receiver)
}

fn frames_of_any_length_are_cut_to_what_is_there() {
    let (mut device, mut receiver) = receiver();
    let mut frame = vec![0; MAX_FRAME];
    assert!(!receiver.has_frame());
    for (len, expected) in [
        (0, 0),
        (Header::LEN as u32 - 1, 0),
        (Header::LEN as u32, 0),
        (Header::LEN as u32 + 60, 60),
        ((Header::LEN + MAX_FRAME + 1) as u32, MAX_FRAME),
        (2048, MAX_FRAME),
        // More than a buffer holds.
        (2049, 0),
        (u32::MAX, 0),
    ] {
        device.uses(7, len);
        assert!(receiver.has_frame());
        assert_eq!(receiver.take(&mut frame), Some((Header::default(), expected)), "{len}");
        assert_eq!(receiver.take(&mut frame), None);
    }
}

fn a_buffer_that_was_never_given_ends_the_receiver() {
    for id in [256, 257, 1 << 15, 0xffff, 0xffff_0100] {
        let (mut device, mut receiver) = receiver();
        let mut frame = vec![0; MAX_FRAME];
        device.uses(0, 100);
        assert!(receiver.take(&mut frame).is_some());
        device.uses(id, 100);
        device.uses(1, 100);
        assert_eq!(receiver.take(&mut frame), None, "{id:#x}");
        assert!(!receiver.has_frame(), "nothing is believed any more");
        assert_eq!(receiver.take(&mut frame), None);
    }
}

fn a_receiver_takes_what_a_ring_that_ran_over_has() {
    let (mut device, mut receiver) = receiver();
    let mut frame = vec![0; MAX_FRAME];
    device.skips(1_000);
    let mut taken = 0;
    while receiver.take(&mut frame).is_some() {
        taken += 1;
    }
    assert_eq!(taken, 1_000);
    // And it goes on with what is right.
    device.uses(3, 100);
    assert_eq!(receiver.take(&mut frame).map(|(_, len)| len), Some(88));
}

fn a_frame_that_was_never_given_ends_the_sender() {
    // Given back twice, or no descriptor at all.
    for ids in [&[0, 0][..], &[256], &[0xffff], &[u32::MAX]] {
        let mut device = Liar::default();
        let mut sender = Sender::new(&mut device, SEND, Header::LEN).expect("a queue");
        let fill = |device: &mut Liar, sender: &mut Sender| {
            let mut sent = 0;
            while sender.has_room() {
                sender.send(64, false, device, |frame| frame.fill(1));
                sent += 1;
            }
            sender.announce(device);
            sent
        };
        assert_eq!(fill(&mut device, &mut sender), 256);
        (100..103).for_each(|id| device.uses(id, 0));
        assert_eq!(fill(&mut device, &mut sender), 3);
        // Of many together, and of the last three.
        let notified = 256_usize.div_ceil(AHEAD) + 1;
        assert_eq!(device.notified, notified);
        ids.iter().for_each(|&id| device.uses(id, 0));
        device.uses(9, 0);
        assert!(!sender.has_room(), "nothing is believed any more: {ids:?}");
        // What cannot be sent is written nevertheless, to nobody.
        assert_eq!(sender.send(2_000, false, &mut device, |frame| frame.len()), 2_000);
        assert_eq!(sender.send(64, false, &mut device, |frame| frame.len()), 64);
        sender.announce(&mut device);
        assert_eq!(device.notified, notified);
    }
}

/// A frame of TCP, and one of UDP, with checksums, over this version of IP.
fn frames(version: u8, payload: &[u8]) -> [Vec<u8>; 2] {
    let (source, destination): (IpAddress, IpAddress) = match version {
        4 => (Ipv4Address::new(10, 0, 2, 15).into(), Ipv4Address::new(10, 0, 2, 2).into()),
        _ => (
            Ipv6Address::new(0xfec0, 0, 0, 0, 0, 0, 0, 15).into(),
            Ipv6Address::new(0xfec0, 0, 0, 0, 0, 0, 0, 2).into(),
        ),
    };
    let tcp = TcpRepr {
        src_port: 49_152,
        dst_port: 80,
        control: TcpControl::Psh,
        seq_number: TcpSeqNumber(1_234_567),
        ack_number: Some(TcpSeqNumber(-1)),
        window_len: 0xffff,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload,
    };
    let udp = UdpRepr { src_port: 68, dst_port: 53 };
    let capabilities = ChecksumCapabilities::default();
    let frame = |protocol, len, emit: &dyn Fn(&mut [u8])| {
        let ip = IpRepr::new(source, destination, protocol, len, 64);
        let ethertype = if version == 4 { EthernetProtocol::Ipv4 } else { EthernetProtocol::Ipv6 };
        let ethernet =
            EthernetRepr { src_addr: EthernetAddress([2; 6]), dst_addr: EthernetAddress([6; 6]), ethertype };
        let mut bytes = vec![0; ethernet.buffer_len() + ip.buffer_len()];
        let mut outer = EthernetFrame::new_unchecked(&mut bytes[..]);
        ethernet.emit(&mut outer);
        let packet = outer.payload_mut();
        ip.emit(&mut packet[..], &capabilities);
        emit(&mut packet[ip.header_len()..][..len]);
        bytes
    };
    [
        frame(IpProtocol::Tcp, tcp.buffer_len(), &|bytes| {
            tcp.emit(&mut TcpPacket::new_unchecked(bytes), &source, &destination, &capabilities);
        }),
        frame(IpProtocol::Udp, udp.header_len() + payload.len(), &|bytes| {
            let mut packet = UdpPacket::new_unchecked(bytes);
            let fill = |room: &mut [u8]| room.copy_from_slice(payload);
            udp.emit(&mut packet, &source, &destination, payload.len(), fill, &capabilities);
        }),
    ]
}

/// All kinds of frames whose checksums can be left to the device.
fn all_frames() -> impl Iterator<Item = Vec<u8>> {
    let payloads = [&b""[..], b"x", b"an odd number of bytes, more than fit into a short frame....."];
    payloads.into_iter().flat_map(|payload| [4, 6].into_iter().flat_map(|version| frames(version, payload)))
}

fn the_device_completes_what_was_left_to_it() {
    for whole in all_frames() {
        let mut frame = whole.clone();
        let header = leave(&mut frame);
        assert_eq!(header.flags, Header::NEEDS_CHECKSUM);
        assert_eq!(Header::decode(&header.encode()), header);
        assert_ne!(frame, whole);
        // As a device does: it knows nothing of what is in the frame.
        let start = usize::from(header.checksum_start);
        let at = start + usize::from(header.checksum_offset);
        let sum = !checksum::data(&frame[start..]);
        frame[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        assert_eq!(frame, whole);
    }
    let mut arp = vec![0; 60];
    arp[12..14].copy_from_slice(&[8, 6]);
    assert_eq!(leave(&mut arp), Header::default());
    assert_eq!(leave(&mut []), Header::default());
}

fn a_wrong_checksum_is_seen_unless_the_device_vouches_for_it() {
    let none = Header::default();
    for mut frame in all_frames() {
        // A short frame has some bytes after its end.
        frame.resize(frame.len().max(60), 0xaa);
        assert!(is_sound(none, &frame));
        let header = leave(&mut frame.clone());
        let port = usize::from(header.checksum_start);
        frame[port] ^= 1;
        assert!(!is_sound(none, &frame));
        for flags in [Header::NEEDS_CHECKSUM, Header::DATA_VALID] {
            assert!(is_sound(Header { flags, ..none }, &frame));
        }
        // Cut anywhere, it is no reason to panic.
        for len in 0..frame.len() {
            let _ = is_sound(none, &frame[..len]);
            leave(&mut frame[..len].to_vec());
        }
    }
    // Without a checksum, which only UDP over IPv4 may be.
    for (version, expected) in [(4, true), (6, false)] {
        let [_, mut frame] = frames(version, b"x");
        let header = leave(&mut frame.clone());
        let at = usize::from(header.checksum_start + header.checksum_offset);
        frame[at..at + 2].fill(0);
        assert_eq!(is_sound(none, &frame), expected);
    }
    // The first of several fragments.
    let [mut frame, _] = frames(4, b"x");
    let mut packet = Ipv4Packet::new_unchecked(&mut frame[14..]);
    packet.set_more_frags(true);
    packet.payload_mut()[0] ^= 1;
    assert!(is_sound(none, &frame));
}
