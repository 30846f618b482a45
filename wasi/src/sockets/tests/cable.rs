//! A cable between two machines, which may lose, damage and reorder frames (the first two by smoltcp's fault injector).

use super::*;
use crate::sockets::{
    Device,
    smoltcp::{
        phy::{self, ChecksumCapabilities, DeviceCapabilities, FaultInjector, RxToken, TxToken},
        time::Instant,
        wire::{
            EthernetAddress, EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, Ipv4Repr, TcpControl,
            TcpPacket, TcpRepr, TcpSeqNumber,
        },
    },
};
use alloc::collections::VecDeque;
use spin::Mutex;

/// What is on its way to one end.
#[derive(Default)]
pub struct Way {
    pub frames: VecDeque<Vec<u8>>,
    waker: Option<Waker>,
    random: u32,
}

/// What goes wrong, in percent.
#[derive(Clone, Copy, Default)]
pub struct Faults {
    pub lost: u8,
    pub damaged: u8,
    pub reordered: u8,
}

/// One end of a cable.
pub struct End {
    reordered: u8,
    from: Arc<Mutex<Way>>,
    to: Arc<Mutex<Way>>,
}

/// One end of a cable on which things go wrong.
pub struct Faulty {
    injector: FaultInjector<End>,
    address: u8,
    from: Arc<Mutex<Way>>,
    to: Arc<Mutex<Way>>,
}

/// Two machines, 10.0.0.1 and 10.0.0.2, fd00::1 and fd00::2, on a cable.
pub fn machines(faults: Faults) -> [Network; 2] {
    let ways: [Arc<Mutex<Way>>; 2] =
        core::array::from_fn(|_| Arc::new(Mutex::new(Way { random: 7, ..Way::default() })));
    [1_u8, 2].map(|number| {
        let [one, two] = ways.clone();
        let (from, to) = if number == 1 { (one, two) } else { (two, one) };
        let end = End { reordered: faults.reordered, from: from.clone(), to: to.clone() };
        let mut injector = FaultInjector::new(end, 0x5157 + u32::from(number));
        // At both ends.
        injector.set_drop_chance(faults.lost / 2);
        injector.set_corrupt_chance(faults.damaged / 2);
        let configuration = Configuration {
            ipv4: Ipv4::Static { address: [10, 0, 0, number].into(), prefix: 24, gateway: None },
            ipv6: Ipv6::Static {
                address: [0xfd00, 0, 0, 0, 0, 0, 0, number.into()].into(),
                prefix: 64,
                gateway: None,
            },
            nameservers: [address("10.0.0.1:53").ip()].into(),
        };
        let device = Faulty { injector, address: number, from, to };
        Network::new(device, &configuration, &machine()).unwrap()
    })
}

/// A machine that asks for its addresses, what comes to it, and what it sends.
pub fn asking() -> (Network, Arc<Mutex<Way>>, Arc<Mutex<Way>>) {
    with(Configuration { ipv4: Ipv4::None, ..Configuration::default() })
}

/// The same with the address 10.0.0.1.
pub fn told() -> (Network, Arc<Mutex<Way>>, Arc<Mutex<Way>>) {
    let ipv4 = Ipv4::Static { address: [10, 0, 0, 1].into(), prefix: 24, gateway: None };
    with(Configuration { ipv4, ipv6: Ipv6::None, nameservers: Vec::new() })
}

/// A segment from 10.0.0.9 to port 80 of 10.0.0.1.
pub fn segment(port: u16, sequence: i32, control: TcpControl) -> Vec<u8> {
    let tcp = TcpRepr {
        src_port: port,
        dst_port: 80,
        control,
        seq_number: TcpSeqNumber(sequence),
        ack_number: None,
        window_len: 1000,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &[],
    };
    let (from, to) = ([10, 0, 0, 9].into(), [10, 0, 0, 1].into());
    let ip = Ipv4Repr {
        src_addr: from,
        dst_addr: to,
        next_header: IpProtocol::Tcp,
        payload_len: tcp.buffer_len(),
        hop_limit: 64,
    };
    let mut bytes = alloc::vec![0; 14 + ip.buffer_len() + tcp.buffer_len()];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    frame.set_src_addr(EthernetAddress([2, 0, 0, 0, 0, 9]));
    frame.set_dst_addr(EthernetAddress([2, 0, 0, 0, 1, 1]));
    frame.set_ethertype(EthernetProtocol::Ipv4);
    let mut packet = Ipv4Packet::new_unchecked(frame.payload_mut());
    ip.emit(&mut packet, &ChecksumCapabilities::default());
    let mut message = TcpPacket::new_unchecked(packet.payload_mut());
    tcp.emit(&mut message, &from.into(), &to.into(), &ChecksumCapabilities::default());
    bytes
}

fn with(configuration: Configuration) -> (Network, Arc<Mutex<Way>>, Arc<Mutex<Way>>) {
    let [from, to] = core::array::from_fn(|_| Arc::new(Mutex::new(Way::default())));
    let end = End { reordered: 0, from: from.clone(), to: to.clone() };
    let injector = FaultInjector::new(end, 1);
    let device = Faulty { injector, address: 1, from: from.clone(), to: to.clone() };
    (Network::new(device, &configuration, &machine()).unwrap(), from, to)
}

impl Device for Faulty {
    fn hardware_address(&self) -> [u8; 6] {
        [2, 0, 0, 0, 1, self.address]
    }

    fn register(&mut self, waker: &Waker) {
        let mut from = self.from.lock();
        match from.frames.is_empty() {
            true => from.waker = Some(waker.clone()),
            // The injector may have swallowed one, and there are more.
            false => waker.wake_by_ref(),
        }
    }

    // The other end hears of frames only now.
    fn flush(&mut self) {
        let mut to = self.to.lock();
        let waker = if to.frames.is_empty() { None } else { to.waker.take() };
        drop(to);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl phy::Device for Faulty {
    type RxToken<'a> = <FaultInjector<End> as phy::Device>::RxToken<'a>;
    type TxToken<'a> = <FaultInjector<End> as phy::Device>::TxToken<'a>;

    fn receive(&mut self, now: Instant) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        self.injector.receive(now)
    }

    fn transmit(&mut self, now: Instant) -> Option<Self::TxToken<'_>> {
        self.injector.transmit(now)
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.injector.capabilities()
    }
}

impl phy::Device for End {
    type RxToken<'a> = Frame;
    type TxToken<'a> = &'a End;

    fn receive(&mut self, _now: Instant) -> Option<(Frame, &End)> {
        let frame = self.from.lock().frames.pop_front()?;
        Some((Frame(frame), self))
    }

    fn transmit(&mut self, _now: Instant) -> Option<&End> {
        Some(self)
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

pub struct Frame(Vec<u8>);

impl RxToken for Frame {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl Way {
    /// Has a frame come.
    pub fn comes(&mut self, frame: Vec<u8>) {
        self.frames.push_back(frame);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl TxToken for &End {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = alloc::vec![0; len];
        let result = f(&mut frame);
        let mut to = self.to.lock();
        to.random = to.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let early = (to.random >> 16) % 100 < self.reordered.into();
        // Before what is there already.
        let place = if early { to.frames.len() / 2 } else { to.frames.len() };
        to.frames.insert(place, frame);
        result
    }
}
