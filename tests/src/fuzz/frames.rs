//! A network of adversaries: frames as they come, and answers to what the machine sends, right and wrong; meanwhile a program uses
//! its sockets.
//!
//! What must hold: nothing panics, the network rests when there is nothing to do, and when the program is gone nothing is left of its
//! connections after a while.

use super::machine::{StepClock, machine};
use arbitrary::{Result, Unstructured};
use std::{
    collections::VecDeque,
    future::Future,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};
use wasi::{
    clocks::Clock,
    io::{InputStream, OutputStream},
    sockets::{
        Access, Configuration, Device, Family, Ipv4, Ipv6, Lookup, Network, Policy, Shutdown, TcpSocket,
        UdpSocket,
        smoltcp::{
            phy::{self, ChecksumCapabilities, DeviceCapabilities},
            time::Instant,
            wire::{
                EthernetAddress, EthernetFrame, EthernetProtocol, Icmpv6Packet, IpProtocol, Ipv4Packet,
                Ipv6Packet, TcpPacket, UdpPacket,
            },
        },
    },
};

/// The machine's hardware address, and the adversary's.
const OURS: [u8; 6] = [2, 0, 0, 0, 0, 1];
const THEIRS: [u8; 6] = [2, 0, 0, 0, 0, 2];
/// Turns of the network while time stands still: far more than there is ever to do.
const TURNS_MAX: u32 = 20_000;
/// Turns of the network in a second of time that passes: what smoltcp calls due at once and does not do would fill it with turns.
const TURNS_A_SECOND: u64 = 200;
/// Steps of one input.
const STEPS: usize = 64;

/// Runs the target on `data`: what comes from the network, and what the program does.
pub fn run(data: &[u8]) {
    let mut steps = Unstructured::new(data);
    // Whatever is missing ends it.
    let _ = play(&mut steps);
}

fn play(steps: &mut Unstructured<'_>) -> Result<()> {
    let mut machine = Adversary::new(steps.arbitrary()?);
    for _ in 0..STEPS {
        if steps.is_empty() {
            break;
        }
        machine.step(steps)?;
        machine.turn();
    }
    let network = machine.network.clone();
    // Nobody holds anything any more.
    machine.cable.lock().unwrap().room = usize::MAX;
    machine.sockets.clear();
    machine.datagrams.clear();
    machine.lookups.clear();
    machine.turn();
    machine.pass(200_000_000_000);
    machine.turn();
    let sent = pin!(std::future::poll_fn(|task| network.poll_sent(task)))
        .poll(&mut Context::from_waker(Waker::noop()));
    assert!(sent.is_ready(), "something of a program that is gone is still to be sent");
    Ok(())
}

/// The cable.
#[derive(Default)]
struct Cable {
    coming: VecDeque<Vec<u8>>,
    /// The last of what was sent.
    gone: VecDeque<Vec<u8>>,
    /// Frames that there is room for.
    room: usize,
}

struct Port(Arc<Mutex<Cable>>);

impl Device for Port {
    fn hardware_address(&self) -> [u8; 6] {
        OURS
    }

    // Whoever puts a frame on the cable takes turns until all is done.
    fn register(&mut self, _waker: &Waker) {}
}

impl phy::Device for Port {
    type RxToken<'a> = Frame;
    type TxToken<'a> = Sent<'a>;

    fn receive(&mut self, _now: Instant) -> Option<(Frame, Sent<'_>)> {
        let frame = self.0.lock().unwrap().coming.pop_front()?;
        Some((Frame(frame), Sent(&self.0)))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Sent<'_>> {
        (self.0.lock().unwrap().room > 0).then_some(Sent(&self.0))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.max_transmission_unit = 1514;
        // An adversary can compute them.
        capabilities.checksum = ChecksumCapabilities::ignored();
        capabilities
    }
}

struct Frame(Vec<u8>);

impl phy::RxToken for Frame {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

struct Sent<'a>(&'a Mutex<Cable>);

impl phy::TxToken for Sent<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        assert!(len <= 1514, "a frame of {len} bytes");
        let mut frame = vec![0; len];
        let result = f(&mut frame);
        let mut cable = self.0.lock().unwrap();
        cable.room = cable.room.saturating_sub(1);
        if cable.gone.len() >= 8 {
            cable.gone.pop_front();
        }
        cable.gone.push_back(frame);
        result
    }
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The machine on its network, with a program's sockets.
struct Adversary {
    clock: Arc<StepClock>,
    cable: Arc<Mutex<Cable>>,
    network: Network,
    driver: Pin<Box<dyn Future<Output = std::convert::Infallible> + Send>>,
    woken: Arc<Woken>,
    access: Access,
    sockets: Vec<TcpSocket>,
    datagrams: Vec<UdpSocket>,
    lookups: Vec<Lookup>,
}

impl Adversary {
    fn new(kind: u8) -> Self {
        let clock = StepClock::new();
        let cable = Arc::new(Mutex::new(Cable { room: usize::MAX, ..Cable::default() }));
        let address = Ipv4Addr::new(10, 0, 0, 1);
        let ipv4 = match kind % 2 {
            0 => Ipv4::Dhcp,
            _ => Ipv4::Static { address, prefix: 24, gateway: Some(Ipv4Addr::new(10, 0, 0, 2)) },
        };
        let nameservers = [IpAddr::from([10, 0, 0, 2])].into();
        let configuration = Configuration { ipv4, ipv6: Ipv6::Automatic, nameservers };
        let network = Network::new(Port(cable.clone()), &configuration, &machine(clock.clone())).unwrap();
        Self {
            driver: Box::pin(network.run()),
            access: Access::new(network.clone(), Policy::everything()),
            clock,
            cable,
            network,
            woken: Arc::default(),
            sockets: Vec::new(),
            datagrams: Vec::new(),
            lookups: Vec::new(),
        }
    }

    /// Lets the network do what there is to do.
    fn turn(&mut self) {
        self.woken.0.store(true, Ordering::Relaxed);
        let waker = Waker::from(self.woken.clone());
        for _ in 0..TURNS_MAX {
            // Without room for an answer nothing is taken.
            let (none, full) =
                self.cable.lock().map(|cable| (cable.coming.is_empty(), cable.room == 0)).unwrap();
            if !self.woken.0.swap(false, Ordering::Relaxed) && (none || full) {
                return;
            }
            assert!(self.driver.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        }
        panic!("the network has had {TURNS_MAX} turns and does not rest");
    }

    /// Lets time pass.
    fn pass(&mut self, nanoseconds: u64) {
        let end = self.clock.monotonic().saturating_add(nanoseconds);
        let mut turns = 1_000 + TURNS_A_SECOND * (nanoseconds / 1_000_000_000);
        while let Some(next) = self.clock.timers().next_deadline().filter(|&next| next <= end) {
            turns = turns.checked_sub(1).expect("the network rests when time passes");
            self.clock.advance_to(next);
            self.clock.timers().fire(next);
            self.turn();
        }
        self.clock.advance_to(end);
    }

    fn step(&mut self, steps: &mut Unstructured<'_>) -> Result<()> {
        let task = &mut Context::from_waker(Waker::noop());
        match steps.int_in_range(0..=15)? {
            0 => {
                let len = steps.int_in_range(0..=200)?;
                let frame = steps.bytes(len.min(steps.len()))?.to_vec();
                self.comes(frame);
            }
            1..=3 => {
                let frame = packet(steps)?;
                self.comes(frame);
            }
            4..=8 => {
                let last = self.cable.lock().unwrap().gone.back().cloned();
                if let Some(frame) = last {
                    let frame = answer(frame, steps)?;
                    self.comes(frame);
                }
            }
            9 => {
                let nanoseconds = 1 << steps.int_in_range(10..=38)?;
                self.pass(nanoseconds);
            }
            10 => {
                let family = family(steps)?;
                let socket = self.access.tcp(family).unwrap();
                let remote = remote(family, steps)?;
                if steps.arbitrary()? {
                    let _ = socket.connect(remote);
                } else {
                    let _ = socket.bind(unspecified(family, steps.int_in_range(0..=3)?));
                    socket.set_backlog(steps.int_in_range(0..=3)?);
                    let _ = socket.listen();
                }
                self.sockets.push(socket);
            }
            11 => {
                let family = family(steps)?;
                let socket = self.access.udp(family).unwrap();
                let _ = socket.bind(unspecified(family, steps.int_in_range(0..=3)?));
                let to = remote(family, steps)?;
                let len = steps.int_in_range(0..=20_000)?;
                let _ = socket.poll_send(task, &vec![7; len], Some(to));
                self.datagrams.push(socket);
            }
            12 => {
                let name = ["a.example", "localhost", "10.0.0.9", "a.b.c.d.e.example."];
                if let Ok(lookup) = self.access.resolve(steps.choose(&name)?) {
                    self.lookups.push(lookup);
                }
            }
            13 if !self.sockets.is_empty() => {
                let at = steps.choose_index(self.sockets.len())?;
                let socket = &self.sockets[at];
                let mut buffer = vec![0; steps.int_in_range(0..=70_000)?];
                match steps.int_in_range(0..=6)? {
                    0 => drop(socket.poll_connected(task)),
                    1 => {
                        if let Poll::Ready(Ok(accepted)) = socket.poll_accept(task) {
                            self.sockets.push(accepted);
                        }
                    }
                    2 => drop(socket.poll_read(task, &mut buffer)),
                    3 => drop(socket.poll_write(task, &buffer)),
                    4 => drop(socket.shutdown(Shutdown::Send)),
                    5 => drop((
                        socket.poll_readable(task),
                        socket.poll_writable(task),
                        socket.poll_ready(task),
                    )),
                    _ => drop(self.sockets.swap_remove(at)),
                }
            }
            14 => {
                for socket in &self.datagrams {
                    let _ = socket.poll_receive(task);
                }
                self.lookups.retain_mut(|lookup| lookup.poll(task).is_pending());
                if steps.arbitrary()? {
                    self.datagrams.clear();
                }
            }
            _ => self.cable.lock().unwrap().room = if steps.arbitrary()? { usize::MAX } else { 0 },
        }
        Ok(())
    }

    fn comes(&mut self, frame: Vec<u8>) {
        self.cable.lock().unwrap().coming.push_back(frame);
    }
}

fn family(steps: &mut Unstructured<'_>) -> Result<Family> {
    Ok(if steps.ratio(2, 3)? { Family::Ipv4 } else { Family::Ipv6 })
}

fn unspecified(family: Family, port: u16) -> SocketAddr {
    match family {
        Family::Ipv4 => SocketAddr::from(([0; 4], port)),
        Family::Ipv6 => SocketAddr::from(([0_u16; 8], port)),
    }
}

fn remote(family: Family, steps: &mut Unstructured<'_>) -> Result<SocketAddr> {
    let ip: IpAddr = match family {
        Family::Ipv4 => {
            (*steps.choose(&[[10, 0, 0, 2], [127, 0, 0, 1], [10, 0, 0, 1], [1, 2, 3, 4], [255; 4]])?).into()
        }
        Family::Ipv6 => (*steps.choose(&[[0xfe80, 0, 0, 0, 0, 0, 0, 2], [0, 0, 0, 0, 0, 0, 0, 1]])?).into(),
    };
    Ok(SocketAddr::new(ip, steps.int_in_range(0..=3)?))
}

/// A frame to the machine around bytes from the input.
fn packet(steps: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let kind: u8 = steps.int_in_range(0..=2)?;
    let len = steps.int_in_range(0..=120)?;
    let payload = steps.bytes(len.min(steps.len()))?.to_vec();
    let mut frame = vec![0; 14];
    let to = *steps.choose(&[OURS, [0xff; 6], [0x33, 0x33, 0, 0, 0, 1]])?;
    let mut ethernet = EthernetFrame::new_unchecked(&mut frame);
    ethernet.set_src_addr(EthernetAddress(THEIRS));
    ethernet.set_dst_addr(EthernetAddress(to));
    match kind {
        0 => {
            ethernet.set_ethertype(EthernetProtocol::Arp);
            // Ethernet and IPv4; the rest is the input's.
            frame.extend([0, 1, 8, 0, 6, 4, 0]);
            frame.extend(payload);
        }
        1 => {
            ethernet.set_ethertype(EthernetProtocol::Ipv4);
            let mut header = vec![0; 20];
            let mut ip = Ipv4Packet::new_unchecked(&mut header);
            ip.set_version(4);
            ip.set_header_len(20);
            ip.set_total_len(20 + payload.len() as u16);
            ip.set_hop_limit(64);
            ip.set_next_header(*steps.choose(&[IpProtocol::Tcp, IpProtocol::Udp, IpProtocol::Icmp])?);
            ip.set_src_addr(Ipv4Addr::new(10, 0, 0, *steps.choose(&[2, 3, 1, 255])?));
            ip.set_dst_addr(
                (*steps.choose(&[[10, 0, 0, 1], [255; 4], [224, 0, 0, 1], [127, 0, 0, 1]])?).into(),
            );
            if steps.ratio(1, 4)? {
                ip.set_more_frags(steps.arbitrary()?);
                ip.set_frag_offset(steps.int_in_range(0..=8191)?);
            }
            frame.extend(header);
            frame.extend(payload);
        }
        _ => {
            ethernet.set_ethertype(EthernetProtocol::Ipv6);
            let mut header = vec![0; 40];
            let mut ip = Ipv6Packet::new_unchecked(&mut header);
            ip.set_version(6);
            ip.set_payload_len(payload.len() as u16);
            ip.set_hop_limit(255);
            let protocols = [
                IpProtocol::Icmpv6,
                IpProtocol::Tcp,
                IpProtocol::Udp,
                IpProtocol::HopByHop,
                IpProtocol::Ipv6Frag,
            ];
            ip.set_next_header(*steps.choose(&protocols)?);
            ip.set_src_addr([0xfe80, 0, 0, 0, 0, 0, 0, 2].into());
            let own = [0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 1];
            ip.set_dst_addr(
                (*steps.choose(&[[0xff02, 0, 0, 0, 0, 0, 0, 1], own, [0, 0, 0, 0, 0, 0, 0, 1]])?).into(),
            );
            let mut payload = payload;
            // Half of them are what routers and neighbours say.
            if ip.next_header() == IpProtocol::Icmpv6
                && steps.arbitrary()?
                && let Ok(mut icmp) = Icmpv6Packet::new_checked(&mut payload)
            {
                let kinds = [134_u8, 135, 136].map(Into::into);
                icmp.set_msg_type(*steps.choose(&kinds)?);
                icmp.set_msg_code(0);
            }
            frame.extend(header);
            frame.extend(payload);
        }
    }
    Ok(frame)
}

/// What was sent, sent back: to whom it came from, as an answer that may be right, with some bytes changed.
fn answer(mut frame: Vec<u8>, steps: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let Ok(mut ethernet) = EthernetFrame::new_checked(&mut frame[..]) else { return Ok(frame) };
    ethernet.set_src_addr(EthernetAddress(THEIRS));
    ethernet.set_dst_addr(EthernetAddress(OURS));
    match ethernet.ethertype() {
        EthernetProtocol::Arp => {
            // A reply: the addresses of both change places.
            let payload = ethernet.payload_mut();
            if payload.len() >= 28 {
                payload[7] = 2;
                let (asker, asked) = (payload[8..18].to_vec(), payload[24..28].to_vec());
                payload[8..14].copy_from_slice(&THEIRS);
                payload[14..18].copy_from_slice(&asked);
                payload[18..28].copy_from_slice(&asker);
            }
        }
        EthernetProtocol::Ipv4 => {
            if let Ok(mut ip) = Ipv4Packet::new_checked(ethernet.payload_mut()) {
                let (from, to, protocol) = (ip.src_addr(), ip.dst_addr(), ip.next_header());
                ip.set_dst_addr(if from.is_unspecified() { Ipv4Addr::BROADCAST } else { from });
                ip.set_src_addr(if to.is_broadcast() { Ipv4Addr::new(10, 0, 0, 2) } else { to });
                answer_payload(protocol, ip.payload_mut(), steps)?;
            }
        }
        EthernetProtocol::Ipv6 => {
            if let Ok(mut ip) = Ipv6Packet::new_checked(ethernet.payload_mut()) {
                let (from, to, protocol) = (ip.src_addr(), ip.dst_addr(), ip.next_header());
                ip.set_dst_addr(from);
                ip.set_src_addr(if to.is_multicast() { [0xfe80, 0, 0, 0, 0, 0, 0, 2].into() } else { to });
                answer_payload(protocol, ip.payload_mut(), steps)?;
            }
        }
        _ => {}
    }
    for _ in 0..steps.int_in_range(0..=3)? {
        let at = steps.choose_index(frame.len().max(1))?;
        if let Some(byte) = frame.get_mut(at) {
            *byte = steps.arbitrary()?;
        }
    }
    Ok(frame)
}

fn answer_payload(protocol: IpProtocol, payload: &mut [u8], steps: &mut Unstructured<'_>) -> Result<()> {
    match protocol {
        IpProtocol::Tcp => {
            let Ok(mut tcp) = TcpPacket::new_checked(payload) else { return Ok(()) };
            let (from, to) = (tcp.src_port(), tcp.dst_port());
            let (sequence, acknowledged, len) = (tcp.seq_number(), tcp.ack_number(), tcp.segment_len());
            tcp.set_src_port(to);
            tcp.set_dst_port(from);
            tcp.set_ack_number(sequence + len);
            tcp.set_seq_number(if tcp.ack() { acknowledged } else { tcp.seq_number() });
            let syn = tcp.syn();
            let [fin, rst, far]: [bool; 3] = [steps.ratio(1, 6)?, steps.ratio(1, 12)?, steps.ratio(1, 8)?];
            tcp.set_ack(true);
            tcp.set_syn(syn);
            tcp.set_fin(fin);
            tcp.set_rst(rst);
            tcp.set_window_len(*steps.choose(&[65_535, 1, 0])?);
            if far {
                tcp.set_seq_number(tcp.seq_number() + steps.int_in_range(0..=70_000)?);
            }
        }
        IpProtocol::Udp => {
            let Ok(mut udp) = UdpPacket::new_checked(payload) else { return Ok(()) };
            let (from, to) = (udp.src_port(), udp.dst_port());
            udp.set_src_port(to);
            udp.set_dst_port(from);
            let payload = udp.payload_mut();
            match to {
                // A response, with as many answers as the input says.
                53 if payload.len() > 12 => {
                    payload[2] = 0x81;
                    payload[3] = 0x80;
                    payload[7] = steps.int_in_range(0..=3)?;
                }
                // An offer or an acknowledgement of an address.
                67 if payload.len() > 243 => {
                    payload[0] = 2;
                    payload[16..20].copy_from_slice(&[10, 0, 0, 1]);
                    payload[242] = *steps.choose(&[2, 5, 6])?;
                }
                _ => {}
            }
        }
        // An echo, or what neighbours say of each other.
        _ if !payload.is_empty() => payload[0] = steps.arbitrary()?,
        _ => {}
    }
    Ok(())
}
