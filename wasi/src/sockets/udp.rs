//! UDP sockets.

use super::{
    Access, Family, Network, bring_into,
    connections::listen_endpoint,
    notify::Notify,
    policy::is_for_many,
    ports::{Port, Protocol},
    sets::Handle,
    stack::Stack,
};
use crate::{Error, Result, heap};
use alloc::{sync::Arc, vec::Vec};
use core::{
    mem,
    net::SocketAddr,
    ops::RangeInclusive,
    task::{Context, Poll},
};
use smoltcp::socket::udp::{PacketBuffer, PacketMetadata, Socket};
use spin::Mutex;

/// A UDP socket. A clone is the same socket.
#[derive(Clone)]
pub struct UdpSocket(Arc<Inner>);

struct Inner {
    access: Access,
    family: Family,
    state: Mutex<State>,
    notify: Arc<Notify>,
}

struct State {
    bound: Option<(Port, Handle)>,
    options: UdpOptions,
}

/// What can be set of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpOptions {
    /// Bytes of datagrams that wait to be received, at most.
    pub receive_buffer: usize,
    /// Bytes of datagrams that wait to be sent, at most.
    pub send_buffer: usize,
    /// The hop limit (IPv4: time to live) of what is sent; at least 1.
    pub hop_limit: u8,
}

impl Default for UdpOptions {
    fn default() -> Self {
        Self { receive_buffer: 64 << 10, send_buffer: 64 << 10, hop_limit: 64 }
    }
}

/// A datagram that has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// What is in it.
    pub data: Vec<u8>,
    /// Who sent it.
    pub remote: SocketAddr,
}

/// Datagrams that wait on each way, at most.
const DATAGRAMS: usize = 256;
/// The sizes that a buffer can have.
const BUFFER: RangeInclusive<usize> = 16 << 10..=4 << 20;
/// The most that a datagram can have in it: over IPv4 as much as the stack can send in fragments, over IPv6 what fits a packet of
/// Ethernet.
const PAYLOAD_MAX_V4: usize = (16 << 10) - 20 - 8;
const PAYLOAD_MAX_V6: usize = 1500 - 40 - 8;

impl UdpSocket {
    pub(super) fn new(access: Access, family: Family) -> Self {
        let notify = access.network().notify();
        let state = State { bound: None, options: UdpOptions::default() };
        Self(Arc::new(Inner { access, family, state: Mutex::new(state), notify }))
    }

    /// The family of its addresses.
    pub fn family(&self) -> Family {
        self.0.family
    }

    /// Takes a local address; port 0 stands for any that is free.
    ///
    /// # Errors
    /// As for [`TcpSocket::bind`](super::TcpSocket::bind), and [`Error::NoMemory`].
    pub fn bind(&self, local: SocketAddr) -> Result<()> {
        let mut state = self.0.state.lock();
        if state.bound.is_some() {
            return Err(Error::InvalidState);
        }
        let mut socket = socket(&state.options)?;
        let port = self.0.access.bind(Protocol::Udp, self.0.family, local)?;
        let local = listen_endpoint(port.local.into());
        let bound = socket.bind(local).map_err(|_| Error::Invalid);
        let handle = self.network().with(|stack| match bound {
            Ok(()) => {
                let handle = stack.sockets.add(socket);
                stack.datagrams.add(handle, self.0.family, local, self.0.notify.clone());
                Ok(handle)
            }
            Err(error) => {
                stack.ports.release(&port);
                Err(error)
            }
        })?;
        state.bound = Some((port, handle));
        Ok(())
    }

    /// Has the socket speak with one other end alone, or again with all (`None`).
    ///
    /// # Errors
    /// - [`Error::InvalidState`] unless it is bound.
    /// - [`Error::Invalid`], [`Error::AddressFamily`], [`Error::Access`]: as for [`send`](Self::poll_send).
    pub fn connect(&self, remote: Option<SocketAddr>) -> Result<()> {
        if let Some(remote) = remote
            && self.0.state.lock().bound.is_some()
        {
            self.0.access.check_connect(self.0.family, remote)?;
        }
        self.with(|stack, handle, _| {
            let bound = stack.datagrams.get(handle)?;
            bound.remote = remote;
            // That of another end.
            bound.take_failed().or(Ok(()))
        })
    }

    /// Receives a datagram; from the other end alone, if the socket is [connected](Self::connect).
    ///
    /// # Errors
    /// - [`Error::InvalidState`] unless it is bound; [`Error::NoMemory`].
    /// - [`Error::ConnectionRefused`] if nobody hears what a connected socket has sent, [`Error::HostUnreachable`] if it did not get
    ///   there: once, of this and [`poll_send`](Self::poll_send).
    pub fn poll_receive(&self, task: &mut Context<'_>) -> Poll<Result<Datagram>> {
        self.with(|stack, handle, _| {
            let bound = stack.datagrams.get(handle)?;
            bound.take_failed()?;
            let remote = bound.remote;
            let socket = stack.sockets.get_mut::<Socket>(handle);
            loop {
                // Looked at first, so that one for which there is no memory is not lost.
                let Ok((data, _)) = socket.peek() else {
                    let waker = self.0.notify.wait(task);
                    socket.register_recv_waker(&waker);
                    return Ok(Poll::Pending);
                };
                let mut copy = Vec::new();
                heap::reserve(&mut copy, data.len())?;
                copy.extend_from_slice(data);
                let Ok((_, from)) = socket.recv() else { return Ok(Poll::Pending) };
                let from = SocketAddr::from(from.endpoint);
                if remote.is_none_or(|remote| remote == from) {
                    return Ok(Poll::Ready(Datagram { data: copy, remote: from }));
                }
            }
        })
        .map_or_else(|error| Poll::Ready(Err(error)), |polled| polled.map(Ok))
    }

    /// Sends a datagram: to `remote`, or to the other end of a [connected](Self::connect) socket. One to a neighbour that does not
    /// answer is given up after some seconds.
    ///
    /// # Errors
    /// - [`Error::InvalidState`] unless it is bound.
    /// - [`Error::Invalid`] without either of them, or with both and not the same, or for an address that is none.
    /// - [`Error::AddressFamily`]; [`Error::Access`] if the policy does not allow it.
    /// - [`Error::MessageSize`]; [`Error::NetworkUnreachable`] without a route; [`Error::NoMemory`].
    /// - [`Error::ConnectionRefused`], [`Error::HostUnreachable`]: as for [`poll_receive`](Self::poll_receive).
    pub fn poll_send(
        &self,
        task: &mut Context<'_>,
        data: &[u8],
        remote: Option<SocketAddr>,
    ) -> Poll<Result<()>> {
        let to = match (remote, self.remote_address()) {
            (Some(remote), Some(connected)) if remote != connected => {
                return Poll::Ready(Err(Error::Invalid));
            }
            (Some(remote), _) | (None, Some(remote)) => remote,
            (None, None) => return Poll::Ready(Err(Error::Invalid)),
        };
        self.0.access.check_connect(self.0.family, to)?;
        if data.len() > self.payload_max() {
            return Poll::Ready(Err(Error::MessageSize));
        }
        let sent = self.with(|stack, handle, options| {
            if !is_for_many(to.ip()) {
                stack.source(to.ip())?;
            }
            let bound = stack.datagrams.get(handle)?;
            bound.take_failed()?;
            if !bound.has_room(data.len(), DATAGRAMS, options.send_buffer) {
                self.0.notify.wait(task);
                return Ok(Poll::Pending);
            }
            stack.datagrams.send(&mut stack.sockets, handle, data, to.into(), options.hop_limit)?;
            stack.kick();
            Ok(Poll::Ready(()))
        });
        sent.map_or_else(|error| Poll::Ready(Err(error)), |polled| polled.map(Ok))
    }

    /// Waits until there is a datagram to receive: it may be one that a [connected](Self::connect) socket does not take.
    ///
    /// # Errors
    /// [`Error::InvalidState`] unless it is bound.
    pub fn poll_readable(&self, task: &mut Context<'_>) -> Poll<Result<()>> {
        self.poll_ready(|stack, handle, _| {
            let socket = stack.sockets.get_mut::<Socket>(handle);
            if socket.can_recv() {
                return true;
            }
            let waker = self.0.notify.wait(task);
            socket.register_recv_waker(&waker);
            false
        })
    }

    /// Waits until a datagram can be sent.
    ///
    /// # Errors
    /// [`Error::InvalidState`] unless it is bound.
    pub fn poll_writable(&self, task: &mut Context<'_>) -> Poll<Result<()>> {
        self.poll_ready(|stack, handle, options| {
            let bound = stack.datagrams.get(handle);
            let room =
                bound.is_ok_and(|bound| bound.has_room(self.payload_max(), DATAGRAMS, options.send_buffer));
            if !room {
                self.0.notify.wait(task);
            }
            room
        })
    }

    /// Whether something can be done, if only to hear of an error.
    fn poll_ready(&self, is_ready: impl FnOnce(&mut Stack, Handle, &UdpOptions) -> bool) -> Poll<Result<()>> {
        let ready = self.with(|stack, handle, options| {
            Ok(stack.datagrams.get(handle)?.has_failed() || is_ready(stack, handle, options))
        });
        match ready {
            Ok(true) => Poll::Ready(Ok(())),
            Ok(false) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// The address that was bound.
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.0.state.lock().bound.as_ref().map(|(port, _)| port.local)
    }

    /// The other end that it is connected to.
    pub fn remote_address(&self) -> Option<SocketAddr> {
        self.with(|stack, handle, _| Ok(stack.datagrams.get(handle)?.remote)).ok().flatten()
    }

    /// What is set.
    pub fn options(&self) -> UdpOptions {
        self.0.state.lock().options
    }

    /// Sets what `set` changes. Buffers are as large as they are once it is bound.
    pub fn set_options(&self, set: impl FnOnce(&mut UdpOptions)) {
        let mut state = self.0.state.lock();
        let options = &mut state.options;
        set(options);
        bring_into(BUFFER, [&mut options.receive_buffer, &mut options.send_buffer]);
    }

    /// The most that a datagram can have in it.
    fn payload_max(&self) -> usize {
        match self.0.family {
            Family::Ipv4 => PAYLOAD_MAX_V4,
            Family::Ipv6 => PAYLOAD_MAX_V6,
        }
    }

    fn network(&self) -> &Network {
        self.0.access.network()
    }

    /// Works on the socket.
    fn with<T>(&self, work: impl FnOnce(&mut Stack, Handle, &UdpOptions) -> Result<T>) -> Result<T> {
        let state = self.0.state.lock();
        let Some((_, handle)) = state.bound else { return Err(Error::InvalidState) };
        self.network().with(|stack| work(stack, handle, &state.options))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some((port, handle)) = mem::take(&mut self.state.get_mut().bound) {
            self.access.network().with(|stack| {
                // Woken when the stack is unlocked, not dropped with it locked.
                self.notify.notify();
                stack.datagrams.remove(handle);
                stack.sockets.remove(handle);
                stack.ports.release(&port);
            });
        }
    }
}

/// A socket that receives, with a buffer as large as the options say. What is sent is not sent by it.
fn socket(options: &UdpOptions) -> Result<Socket<'static>> {
    let buffer = |datagrams, bytes| {
        Ok(PacketBuffer::new(heap::filled(datagrams, PacketMetadata::EMPTY)?, heap::filled(bytes, 0)?))
    };
    Ok(Socket::new(buffer(DATAGRAMS, options.receive_buffer)?, buffer(0, 0)?))
}
