//! Virtio console with many ports (VIRTIO 1.2, section 5.3, `VIRTIO_CONSOLE_F_MULTIPORT`): byte channels to the
//! host, found by name.
//!
//! This module starts the device and follows what the host says of the ports on the control queues; [`Receiver`] and
//! [`Sender`] are a port's two directions; [`InputPort`] and [`OutputPort`] are the streams that programs get.

mod receive;
mod send;
mod stream;

pub use stream::{InputPort, OutputPort};

use super::{Device, DmaBuffer, Error, Hal};
use crate::{
    executor::{self, Service},
    time,
};
use alloc::{sync::Arc, vec::Vec};
use bitflags::bitflags;
use core::hint::spin_loop;
use receive::Receiver;
use send::Sender;
use spin::Mutex;
use virtio_drivers::{
    queue::VirtQueue,
    transport::{SomeTransport, Transport},
};

bitflags! {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Features: u64 {
        const MULTIPORT = 1 << 1;
        const VERSION_1 = 1 << 32;
    }
}

/// Where the configuration space says how many ports there can be.
const MAX_PORTS_OFFSET: usize = 4;
/// The most ports that are served; the queues of each cost four pages.
const MAX_PORTS: u32 = 8;

const CONTROL_RECEIVE: u16 = 2;
const CONTROL_SEND: u16 = 3;
/// Descriptors in each of the device's queues. All have as many, so that the code for queues is there once.
const QUEUE_SIZE: usize = 32;
/// As many messages as a device sends at once: QEMU drops what finds no buffer.
const CONTROL_BUFFERS: usize = QUEUE_SIZE;
/// A control message with a port's name.
const CONTROL_LEN: usize = 128;
/// How long the device may take for a control message, in ticks of the time stamp counter: a second of any processor. How fast
/// it runs is not known yet when the device is started.
const PATIENCE: u64 = 10_000_000_000;

/// What a control message says (`struct virtio_console_control`).
mod event {
    pub const DEVICE_READY: u16 = 0;
    pub const PORT_ADD: u16 = 1;
    pub const PORT_REMOVE: u16 = 2;
    pub const PORT_READY: u16 = 3;
    pub const PORT_OPEN: u16 = 6;
    pub const PORT_NAME: u16 = 7;
}

/// The device, shared by the streams of its ports.
pub struct Console(Mutex<State>);

struct State {
    transport: SomeTransport<'static>,
    control: Control,
    ports: Vec<Port>,
}

struct Control {
    receive: VirtQueue<Hal, QUEUE_SIZE>,
    receive_buffers: DmaBuffer,
    send: VirtQueue<Hal, QUEUE_SIZE>,
    send_buffer: DmaBuffer,
}

struct Port {
    /// The device has this port.
    present: bool,
    name: Option<Vec<u8>>,
    /// The host's side is connected.
    connected: bool,
    receiver: Receiver,
    sender: Sender,
}

struct Message {
    port: u32,
    event: u16,
    value: u16,
    name: Option<Vec<u8>>,
}

impl Console {
    /// Starts the device and learns its ports.
    ///
    /// # Errors
    /// What the device or its queues do wrong; `Unsupported` for a console without ports.
    pub fn new(mut device: Device) -> Result<Arc<Self>, Error> {
        let transport = &mut device.transport;
        if !transport.begin_init(Features::MULTIPORT | Features::VERSION_1).contains(Features::MULTIPORT) {
            return Err(virtio_drivers::Error::Unsupported.into());
        }
        let ports = transport.read_config_space::<u32>(MAX_PORTS_OFFSET)?;
        if ports > MAX_PORTS {
            log::debug!("virtio console: {ports} ports, of which the first {MAX_PORTS} are served");
        }
        let ports = ports.min(MAX_PORTS) as u16;
        let control = Control {
            receive: VirtQueue::new(transport, CONTROL_RECEIVE, false, false)?,
            receive_buffers: DmaBuffer::new(CONTROL_BUFFERS * CONTROL_LEN).ok_or(Error::NoMemory)?,
            send: VirtQueue::new(transport, CONTROL_SEND, false, false)?,
            send_buffer: DmaBuffer::new(CONTROL_LEN).ok_or(Error::NoMemory)?,
        };
        let ports = (0..ports).map(|id| Port::new(transport, id)).collect::<Result<Vec<_>, _>>()?;
        let queues = ports.iter().flat_map(|port| [port.receiver.index(), port.sender.index()]);
        let queues = queues.chain([CONTROL_RECEIVE]);
        device.enable_interrupts(executor::interrupted, queues)?;
        device.transport.finish_init();

        let mut state = State { transport: device.transport, control, ports };
        state.start()?;
        let console = Arc::new(Self(Mutex::new(state)));
        executor::attach(console.clone());
        Ok(console)
    }

    /// The port of this name, for the two functions below.
    fn find(&self, name: &str) -> Option<usize> {
        self.0
            .lock()
            .ports
            .iter()
            .position(|port| port.present && port.name.as_deref() == Some(name.as_bytes()))
    }

    /// Opens the port `name` for reading; `None` if there is none.
    ///
    /// # Errors
    /// What the device does wrong; [`Error::NoMemory`].
    pub fn open_input(self: &Arc<Self>, name: &str) -> Result<Option<InputPort>, Error> {
        let Some(port) = self.find(name) else { return Ok(None) };
        let mut state = self.0.lock();
        let State { transport, ports, .. } = &mut *state;
        ports[port].receiver.open(transport)?;
        state.send_control(port as u32, event::PORT_OPEN, 1)?;
        Ok(Some(InputPort::new(self.clone(), port)))
    }

    /// Opens the port `name` for writing; `None` if there is none.
    ///
    /// # Errors
    /// What the device does wrong.
    pub fn open_output(self: &Arc<Self>, name: &str) -> Result<Option<OutputPort>, Error> {
        let Some(port) = self.find(name) else { return Ok(None) };
        self.0.lock().send_control(port as u32, event::PORT_OPEN, 1)?;
        Ok(Some(OutputPort::new(self.clone(), port)))
    }
}

impl Service for Console {
    fn service(&self) {
        self.0.lock().service();
    }
}

impl State {
    /// The start of the protocol. The device answers each message before it gives its buffer back, so once the message
    /// is sent, what it had to say has been said.
    fn start(&mut self) -> Result<(), Error> {
        for buffer in 0..CONTROL_BUFFERS {
            self.control.post(buffer)?;
        }
        self.transport.notify(CONTROL_RECEIVE);
        self.send_control(0, event::DEVICE_READY, 1)?;
        self.receive_control();
        for id in 0..self.ports.len() {
            if self.ports[id].present {
                self.send_control(id as u32, event::PORT_READY, 1)?;
                self.receive_control();
            }
        }
        Ok(())
    }

    fn service(&mut self) {
        // First of all: what comes later raises the interrupt again.
        self.transport.ack_interrupt();
        // The host says that it has closed a port after all of the data: so the data is looked for after that.
        self.receive_control();
        for port in &mut self.ports {
            port.receiver.take_used();
            port.sender.take_used(&mut self.transport, port.connected);
        }
    }

    fn send_control(&mut self, port: u32, event: u16, value: u16) -> Result<(), Error> {
        let Control { send, send_buffer, .. } = &mut self.control;
        let message = &mut send_buffer.as_mut_slice()[..8];
        message[..4].copy_from_slice(&port.to_le_bytes());
        message[4..6].copy_from_slice(&event.to_le_bytes());
        message[6..].copy_from_slice(&value.to_le_bytes());
        let inputs = [&*message];
        // SAFETY: the buffer lives as long as the queue and is left alone until `pop_used`, or for ever: after a
        // timeout the device is given up.
        let token = unsafe { send.add(&inputs, &mut []) }?;
        self.transport.notify(CONTROL_SEND);
        let deadline = time::ticks().saturating_add(PATIENCE);
        while !send.can_pop() {
            if time::ticks() > deadline {
                return Err(Error::Timeout);
            }
            spin_loop();
        }
        // SAFETY: the buffer given to `add`.
        unsafe { send.pop_used(token, &inputs, &mut []) }?;
        Ok(())
    }

    fn receive_control(&mut self) {
        let mut received = false;
        while let Some(message) = self.control.take() {
            received = true;
            if let Some(message) = message {
                self.handle(message);
            }
        }
        if received {
            self.transport.notify(CONTROL_RECEIVE);
        }
    }

    fn handle(&mut self, message: Message) {
        let Some(port) = self.ports.get_mut(message.port as usize) else { return };
        match message.event {
            event::PORT_ADD => port.present = true,
            event::PORT_REMOVE => {
                port.present = false;
                port.set_connected(false);
            }
            event::PORT_OPEN => port.set_connected(message.value != 0),
            event::PORT_NAME => port.name = message.name,
            _ => {}
        }
    }
}

impl Control {
    /// Gives a buffer to the device.
    fn post(&mut self, buffer: usize) -> Result<(), Error> {
        let slice = &mut self.receive_buffers.as_mut_slice()[buffer * CONTROL_LEN..][..CONTROL_LEN];
        // SAFETY: the buffer lives as long as the queue and is left alone until `pop_used`. One descriptor each,
        // all buffers posted in order and given back one by one: descriptor n is always buffer n.
        let token = unsafe { self.receive.add(&[], &mut [slice]) }?;
        debug_assert_eq!(usize::from(token), buffer);
        Ok(())
    }

    /// Takes a message that the device has sent; the inner `None` is one that makes no sense.
    fn take(&mut self) -> Option<Option<Message>> {
        let token = self.receive.peek_used()?;
        let buffer = usize::from(token);
        let slice = self.receive_buffers.as_mut_slice().get_mut(buffer * CONTROL_LEN..)?;
        let slice = slice.get_mut(..CONTROL_LEN)?;
        // SAFETY: descriptor n is buffer n (see `post`).
        let len = unsafe { self.receive.pop_used(token, &[], &mut [&mut *slice]) }.ok()? as usize;
        let message = Message::parse(slice.get(..len).unwrap_or_default());
        if let Err(error) = self.post(buffer) {
            log::error!("virtio console: control queue: {error}");
        }
        Some(message)
    }
}

impl Message {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let (&port, rest) = bytes.split_first_chunk()?;
        let (&event, rest) = rest.split_first_chunk()?;
        let (&value, rest) = rest.split_first_chunk()?;
        let event = u16::from_le_bytes(event);
        // QEMU ends the name with a NUL, which the specification does not ask for.
        let name = rest.split(|&byte| byte == 0).next().unwrap_or_default();
        Some(Self {
            port: u32::from_le_bytes(port),
            event,
            value: u16::from_le_bytes(value),
            name: (event == event::PORT_NAME).then(|| name.to_vec()),
        })
    }
}

impl Port {
    fn new(transport: &mut SomeTransport<'static>, id: u16) -> Result<Self, Error> {
        // Port 0 has the queues before the control queues, the others have those after them.
        let queue = if id == 0 { 0 } else { 2 + 2 * id };
        Ok(Self {
            present: false,
            name: None,
            connected: false,
            receiver: Receiver::new(transport, queue)?,
            sender: Sender::new(transport, queue + 1)?,
        })
    }

    fn set_connected(&mut self, connected: bool) {
        self.connected = connected;
        self.receiver.wake();
        self.sender.wake();
    }
}
