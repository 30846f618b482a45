//! Virtio network device (VIRTIO 1.2, section 5.1): Ethernet frames to the host and back.
//!
//! This module starts the device and answers its interrupts; [`Receiver`] and [`Sender`] are its two queues, `checksum` is
//! what the stack leaves to the device, and `phy` is the whole as smoltcp's device. What is in a frame is the stack's
//! ([`wasi::sockets`]).
//!
//! The crate `virtio-drivers` has a driver of its own, which is not used: it takes the device live before interrupts can be
//! routed to it, leaves checksums to the stack, and indexes with what the device says.

mod checksum;
mod phy;
mod receive;
mod send;
#[cfg(feature = "selftest")]
mod tests;

use super::{Device, Error};
use crate::executor::{self, Service};
use alloc::{boxed::Box, sync::Arc, vec};
use bitflags::bitflags;
use core::task::Waker;
use receive::Receiver;
use send::Sender;
use spin::Mutex;
use virtio_drivers::transport::{SomeTransport, Transport};

bitflags! {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Features: u64 {
        /// The device completes checksums of what is sent.
        const CSUM = 1 << 0;
        /// The driver takes frames whose checksums are not complete, or known to be right.
        const GUEST_CSUM = 1 << 1;
        const MTU = 1 << 3;
        const MAC = 1 << 5;
        const VERSION_1 = 1 << 32;
    }
}

const RECEIVE: u16 = 0;
const SEND: u16 = 1;

/// Fields of the configuration space, by offset.
const CONFIG_MAC: usize = 0;
const CONFIG_MTU: usize = 10;

/// Destination, source and type, before what the MTU counts.
const ETHERNET_HEADER: usize = 14;
/// The MTU of Ethernet.
const MTU: usize = 1500;
/// The least that IPv6 asks of a link.
const MIN_MTU: usize = 1280;
/// The longest frame.
const MAX_FRAME: usize = ETHERNET_HEADER + MTU;

/// A network interface.
pub struct Net {
    link: Arc<Link>,
    address: [u8; 6],
    mtu: usize,
    features: Features,
    /// The frame that was received last: a copy, which the device cannot change while the stack looks at it.
    frame: Box<[u8]>,
}

/// What the interface shares with the executor, which serves it after interrupts.
struct Link(Mutex<State>);

struct State {
    transport: SomeTransport<'static>,
    receiver: Receiver,
    sender: Sender,
    /// Waits for a frame, and for room if `wants_room`.
    waiting: Option<Waker>,
    /// Somebody found no room for a frame to send.
    wants_room: bool,
}

impl Net {
    /// Starts the device.
    ///
    /// # Errors
    /// What the device or its queues do wrong; `Unsupported` for one that names no address of its own; [`Error::NoMemory`].
    pub fn new(mut device: Device) -> Result<Self, Error> {
        let transport = &mut device.transport;
        let features = transport.begin_init(Features::all());
        let address: [u8; 6] = transport.read_consistent(|| transport.read_config_space(CONFIG_MAC))?;
        let is_group = address[0] & 1 != 0;
        if !features.contains(Features::MAC) || is_group || address == [0; 6] {
            return Err(virtio_drivers::Error::Unsupported.into());
        }
        let mtu = if features.contains(Features::MTU) {
            usize::from(transport.read_config_space::<u16>(CONFIG_MTU)?).clamp(MIN_MTU, MTU)
        } else {
            MTU
        };
        let header = if features.contains(Features::VERSION_1) { Header::LEN } else { Header::LEGACY_LEN };
        let receiver = Receiver::new(transport, RECEIVE, header)?;
        let sender = Sender::new(transport, SEND, header)?;
        device.enable_interrupts(executor::interrupted, [RECEIVE, SEND])?;
        device.transport.finish_init();

        let transport = device.transport;
        let mut state = State { transport, receiver, sender, waiting: None, wants_room: false };
        state.receiver.announce(&mut state.transport);
        let link = Arc::new(Link(Mutex::new(state)));
        executor::attach(link.clone());
        Ok(Self { link, address, mtu, features, frame: vec![0; MAX_FRAME].into() })
    }
}

impl Service for Link {
    fn service(&self) {
        let mut state = self.0.lock();
        // First of all: what comes later raises the interrupt again.
        state.transport.ack_interrupt();
        if state.can_go_on()
            && let Some(waker) = state.waiting.take()
        {
            waker.wake();
        }
    }
}

impl State {
    /// Whether there is what was waited for. Without room nothing is received either.
    fn can_go_on(&mut self) -> bool {
        if self.wants_room { self.sender.has_room() } else { self.receiver.has_frame() }
    }

    /// Whether there is room for a frame to send; if not, who waits is woken when there is.
    fn find_room(&mut self) -> bool {
        let mut has_room = self.sender.has_room();
        if has_room == self.wants_room {
            // Only who lacks room is interrupted when there is more of it. What was sent just before is seen at a second look.
            self.sender.announce(&mut self.transport);
            self.sender.interrupt(!has_room);
            has_room = self.sender.has_room();
            self.wants_room = !has_room;
        }
        has_room
    }
}

/// What precedes each frame in its buffer (`struct virtio_net_hdr`), as far as it is used here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Header {
    flags: u8,
    /// What a checksum that the receiver must complete covers: from here to the frame's end.
    checksum_start: u16,
    /// Where it belongs, counted from there.
    checksum_offset: u16,
}

impl Header {
    /// Bytes of it.
    const LEN: usize = 12;
    /// Without the last field: in front of devices older than version 1 of the specification.
    const LEGACY_LEN: usize = 10;

    /// The checksum is not complete.
    const NEEDS_CHECKSUM: u8 = 1;
    /// The device has found the checksum to be right.
    const DATA_VALID: u8 = 2;

    fn decode(bytes: &[u8]) -> Self {
        let word = |at| bytes.get(at..at + 2).map_or(0, |word| u16::from_le_bytes([word[0], word[1]]));
        Self {
            flags: bytes.first().copied().unwrap_or_default(),
            checksum_start: word(6),
            checksum_offset: word(8),
        }
    }

    fn encode(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[0] = self.flags;
        bytes[6..8].copy_from_slice(&self.checksum_start.to_le_bytes());
        bytes[8..10].copy_from_slice(&self.checksum_offset.to_le_bytes());
        bytes
    }
}
