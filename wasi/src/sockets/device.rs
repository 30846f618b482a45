//! Between the network device and the stack: what a machine gives ([`Device`]), and what never reaches its wire.
//!
//! A machine talks to itself without a cable: frames to its own addresses come straight back, and what belongs to the
//! loopback addresses neither leaves nor enters by the wire (RFC 1122, 3.2.1.3). A [frame is looked at](Packet) before the stack sees it, so
//! that it is known which socket it is for.

use super::packet::{Ends, FragmentsOf, Packet};
use alloc::{collections::VecDeque, vec::Vec};
use core::{mem, task::Waker};
use smoltcp::{
    iface::{Config, Interface, PollIngressSingleResult, PollResult, SocketSet},
    phy::{self, ChecksumCapabilities, DeviceCapabilities, RxToken as _},
    time::Instant,
    wire::{
        EthernetAddress, EthernetFrame, EthernetProtocol, Icmpv6Packet, IpAddress, IpProtocol, Ipv4Packet,
        Ipv6Address, Ipv6Packet, TcpPacket, UdpPacket,
    },
};

/// A machine's network device: Ethernet frames in and out.
pub trait Device: phy::Device + Send + 'static {
    /// The device's address. It must be unicast.
    fn hardware_address(&self) -> [u8; 6];

    /// Has `waker` woken, once, when a frame has come or when there is room to send one where there was none. A later waker
    /// takes the place of an earlier one.
    fn register(&mut self, waker: &Waker);

    /// Called when the stack has sent what it has to send for now. A device that is told of frames at some cost may be told of
    /// them here, all at once.
    fn flush(&mut self) {}
}

/// A device of a machine that has no cable: it talks to itself alone.
#[derive(Debug, Default)]
pub struct Loopback;

impl Device for Loopback {
    fn hardware_address(&self) -> [u8; 6] {
        // Locally administered.
        [2, 0, 0, 0, 0, 1]
    }

    fn register(&mut self, _waker: &Waker) {}
}

impl phy::Device for Loopback {
    type RxToken<'a> = NoFrame;
    type TxToken<'a> = Nowhere;

    fn receive(&mut self, _timestamp: Instant) -> Option<(NoFrame, Nowhere)> {
        None
    }

    fn transmit(&mut self, _timestamp: Instant) -> Option<Nowhere> {
        Some(Nowhere)
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.max_transmission_unit = 1514;
        // What goes from memory to memory is not damaged.
        capabilities.checksum = ChecksumCapabilities::ignored();
        capabilities
    }
}

/// No frame comes.
#[derive(Debug)]
pub enum NoFrame {}

impl phy::RxToken for NoFrame {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, _f: F) -> R {
        match self {}
    }
}

/// Where nobody listens.
#[derive(Debug)]
pub struct Nowhere;

impl phy::TxToken for Nowhere {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        f(&mut alloc::vec![0; len])
    }
}

/// Frames that wait on their way from the machine to itself. More are lost, as on a wire.
const LOOPED_MAX: usize = 256;

/// More fragments than a packet has.
const FRAGMENTS: usize = 16;

/// A device with what keeps to the machine.
pub(super) struct Wire<D> {
    device: D,
    address: EthernetAddress,
    checksum: ChecksumCapabilities,
    looped: Looped,
    /// The frame that the stack gets next; empty when there is none.
    frame: Vec<u8>,
    /// A frame on its way out.
    scratch: Vec<u8>,
    /// The device had no room for a frame.
    full: bool,
    /// The stack was given room for a frame of its own accord.
    offered: bool,
    /// Somebody's hardware address was asked for.
    asked: bool,
    fragments: Fragments,
}

/// Who the packets are for that come in fragments: only the first says so.
#[derive(Default)]
struct Fragments(VecDeque<(FragmentsOf, Ends)>);

/// Packets in fragments that are known: more than smoltcp puts together at once.
const FRAGMENTED_MAX: usize = 16;

impl Fragments {
    /// Learns from the first fragment who the others are for.
    fn know(&mut self, packet: &mut Packet) {
        let Some(of) = packet.fragment else { return };
        let known = self.0.iter().find(|(other, _)| *other == of).map(|&(_, ends)| ends);
        match packet.ends {
            None => packet.ends = known,
            Some(ends) if known.is_none() => {
                if self.0.len() >= FRAGMENTED_MAX {
                    self.0.pop_front();
                }
                self.0.push_back((of, ends));
            }
            Some(_) => {}
        }
    }
}

#[derive(Default)]
struct Looped {
    frames: VecDeque<Vec<u8>>,
    /// Whether their checksums are to be computed here, since the device would do it for those that it sends.
    fill: bool,
}

impl<D: Device> Wire<D> {
    pub(super) fn new(device: D) -> Self {
        let address = EthernetAddress(device.hardware_address());
        let checksum = device.capabilities().checksum;
        let fill = checksum.tcp.rx() && !checksum.tcp.tx() || checksum.udp.rx() && !checksum.udp.tx();
        let looped = Looped { frames: VecDeque::new(), fill };
        Self {
            device,
            address,
            checksum,
            looped,
            frame: Vec::new(),
            scratch: Vec::new(),
            full: false,
            offered: false,
            asked: false,
            fragments: Fragments::default(),
        }
    }

    /// What the frame is about that the stack gets next.
    fn packet(&mut self) -> Packet {
        let mut packet = Packet::of(&self.frame, &self.checksum);
        self.fragments.know(&mut packet);
        packet
    }

    /// Room for a frame that the stack sends, beside the one that it gets.
    fn room(&mut self, now: Instant) -> Option<(&mut Vec<u8>, Sent<'_, D::TxToken<'_>>)> {
        let token = self.device.transmit(now);
        self.full |= token.is_none();
        let (checksum, looped, scratch) = (&self.checksum, &mut self.looped, &mut self.scratch);
        let asked = &mut self.asked;
        let sent = Sent { token: token?, address: self.address, checksum, looped, scratch, asked };
        Some((&mut self.frame, sent))
    }
}

impl<D: Device> Link for Wire<D> {
    fn address(&self) -> EthernetAddress {
        self.address
    }

    fn register(&mut self, waker: &Waker) {
        self.device.register(waker);
    }

    fn flush(&mut self) {
        self.device.flush();
    }

    fn next(&mut self, now: Instant) -> Option<Packet> {
        if self.frame.is_empty()
            && let Some(frame) = self.looped.frames.pop_front()
        {
            self.frame = frame;
        }
        if !self.frame.is_empty() {
            return Some(self.packet());
        }
        loop {
            let (received, _) = self.device.receive(now)?;
            let frame = &mut self.frame;
            received.consume(|bytes| {
                frame.clear();
                frame.extend_from_slice(bytes);
            });
            let packet = self.packet();
            if !packet.loopback && !packet.nobody && !self.frame.is_empty() {
                return Some(packet);
            }
            self.frame.clear();
        }
    }

    fn discard(&mut self) {
        self.frame.clear();
    }

    fn interface(&mut self, config: Config, now: Instant) -> Interface {
        Interface::new(config, self, now)
    }

    fn ingress(&mut self, now: Instant, interface: &mut Interface, sockets: &mut SocketSet<'static>) -> bool {
        interface.poll_ingress_single(now, self, sockets) != PollIngressSingleResult::None
    }

    fn egress(
        &mut self,
        now: Instant,
        interface: &mut Interface,
        sockets: &mut SocketSet<'static>,
    ) -> Egress {
        // smoltcp has room for one packet in fragments, and does not look whether it is free.
        let mut none = SocketSet::new(Vec::new());
        let mut fragments = 0..FRAGMENTS;
        while interface.poll_at(now, &none).is_some() {
            if fragments.next().is_none() {
                return Egress::Full;
            }
            interface.poll_egress(now, self, &mut none);
        }
        let before = mem::take(&mut self.full);
        (self.offered, self.asked) = (false, false);
        let sent = interface.poll_egress(now, self, sockets) != PollResult::None;
        let full = self.full;
        self.full |= before;
        match (sent, full, self.offered) {
            (true, ..) => Egress::Sent,
            (_, true, _) => Egress::Full,
            (.., true) => Egress::Unresolved { asked: self.asked },
            _ => Egress::Nothing,
        }
    }

    fn send(&mut self, now: Instant, frame: &[u8]) {
        if let Some((_, sent)) = self.room(now) {
            put(frame, sent);
        }
    }

    fn is_looping(&self) -> bool {
        !self.looped.frames.is_empty()
    }

    fn take_full(&mut self) -> bool {
        mem::take(&mut self.full)
    }
}

impl<D: Device> phy::Device for Wire<D> {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Sent<'a, D::TxToken<'a>>;

    fn receive(&mut self, now: Instant) -> Option<(Received<'_>, Self::TxToken<'_>)> {
        if self.frame.is_empty() {
            return None;
        }
        // Without room for an answer the frame waits: its sender would only repeat it.
        let (frame, sent) = self.room(now)?;
        Some((Received(frame), sent))
    }

    fn transmit(&mut self, now: Instant) -> Option<Self::TxToken<'_>> {
        self.offered = true;
        self.room(now).map(|(_, sent)| sent)
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.device.capabilities()
    }
}

/// The frame that the stack gets.
pub(super) struct Received<'a>(&'a mut Vec<u8>);

impl phy::RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        let result = f(self.0);
        self.0.clear();
        result
    }
}

/// Room for a frame that the stack sends.
pub(super) struct Sent<'a, T> {
    token: T,
    address: EthernetAddress,
    checksum: &'a ChecksumCapabilities,
    looped: &'a mut Looped,
    scratch: &'a mut Vec<u8>,
    asked: &'a mut bool,
}

impl<T: phy::TxToken> phy::TxToken for Sent<'_, T> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        self.scratch.clear();
        self.scratch.resize(len, 0);
        let result = f(self.scratch);
        let packet = Packet::of(self.scratch, self.checksum);
        *self.asked |= packet.asks;
        let ours = packet.destination == Some(self.address);
        if (ours || packet.asks) && self.looped.frames.len() < LOOPED_MAX {
            let mut frame = self.scratch.clone();
            if packet.asks && packet.loopback && packet.v6 {
                to_loopback(&mut frame);
            }
            if self.looped.fill {
                fill_checksum(&mut frame);
            }
            self.looped.frames.push_back(frame);
        }
        if !ours && !packet.loopback {
            put(self.scratch, self.token);
        }
        result
    }
}

/// A [`Wire`] of any device, as the stack sees it.
pub(super) trait Link: Send {
    /// The device's address.
    fn address(&self) -> EthernetAddress;

    /// [`Device::register`].
    fn register(&mut self, waker: &Waker);

    /// [`Device::flush`].
    fn flush(&mut self);

    /// An interface for it.
    fn interface(&mut self, config: Config, now: Instant) -> Interface;

    /// Says what the next frame is about that the stack is to see.
    fn next(&mut self, now: Instant) -> Option<Packet>;

    /// Throws that frame away.
    fn discard(&mut self);

    /// Lets the stack have it. `false` when it has to wait for room to answer it.
    fn ingress(&mut self, now: Instant, interface: &mut Interface, sockets: &mut SocketSet<'static>) -> bool;

    /// Lets the socket of a set, if it has one, send a packet.
    fn egress(&mut self, now: Instant, interface: &mut Interface, sockets: &mut SocketSet<'static>)
    -> Egress;

    /// Sends a frame; it is lost if there is no room for it.
    fn send(&mut self, now: Instant, frame: &[u8]);

    /// Whether the machine has something to say to itself.
    fn is_looping(&self) -> bool;

    /// Whether the device has had no room for a frame since this was last asked.
    fn take_full(&mut self) -> bool;
}

/// What came of asking a socket for a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Egress {
    /// It has sent one.
    Sent,
    /// It had none to send.
    Nothing,
    /// The hardware address that it goes to is not known.
    Unresolved {
        /// It was asked for just now.
        asked: bool,
    },
    /// The device had no room.
    Full,
}

/// Gives a frame to the device.
fn put(frame: &[u8], token: impl phy::TxToken) {
    token.consume(frame.len(), |buffer| {
        // As long as was asked for, of any device that is worth the name.
        if let Some(buffer) = buffer.get_mut(..frame.len()) {
            buffer.copy_from_slice(frame);
        }
    });
}

/// Addresses a neighbour solicitation of the loopback address to it: smoltcp takes that address for nobody's solicited-node
/// multicast address, but learns from the solicitation who sent it.
fn to_loopback(frame: &mut [u8]) {
    let Ok(mut frame) = EthernetFrame::new_checked(frame) else { return };
    let Ok(mut packet) = Ipv6Packet::new_checked(frame.payload_mut()) else { return };
    let from = packet.src_addr();
    packet.set_dst_addr(Ipv6Address::LOCALHOST);
    if let Ok(mut solicitation) = Icmpv6Packet::new_checked(packet.payload_mut()) {
        solicitation.fill_checksum(&from, &Ipv6Address::LOCALHOST);
    }
}

/// Computes what the device would have.
fn fill_checksum(frame: &mut [u8]) {
    let Ok(mut frame) = EthernetFrame::new_checked(frame) else { return };
    let fill = |from: IpAddress, to: IpAddress, protocol, payload: &mut [u8]| match protocol {
        IpProtocol::Tcp => {
            if let Ok(mut packet) = TcpPacket::new_checked(payload) {
                packet.fill_checksum(&from, &to);
            }
        }
        IpProtocol::Udp => {
            if let Ok(mut packet) = UdpPacket::new_checked(payload) {
                packet.fill_checksum(&from, &to);
            }
        }
        _ => {}
    };
    match frame.ethertype() {
        EthernetProtocol::Ipv4 => {
            if let Ok(mut packet) = Ipv4Packet::new_checked(frame.payload_mut()) {
                packet.fill_checksum();
                if packet.more_frags() || packet.frag_offset() != 0 {
                    return;
                }
                let (from, to, protocol) = (packet.src_addr(), packet.dst_addr(), packet.next_header());
                fill(from.into(), to.into(), protocol, packet.payload_mut());
            }
        }
        EthernetProtocol::Ipv6 => {
            if let Ok(mut packet) = Ipv6Packet::new_checked(frame.payload_mut()) {
                let (from, to, protocol) = (packet.src_addr(), packet.dst_addr(), packet.next_header());
                fill(from.into(), to.into(), protocol, packet.payload_mut());
            }
        }
        _ => {}
    }
}
