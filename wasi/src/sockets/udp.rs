//! UDP sockets.

use super::{
    Access, Family, Network, bring_into,
    connections::listen_endpoint,
    notify::Notify,
    policy::is_for_many,
    ports::{Port, Protocol},
    sets::Handle,
};
use crate::{Error, Result, heap};
use alloc::{sync::Arc, vec::Vec};
use core::{
    mem,
    net::SocketAddr,
    ops::RangeInclusive,
    task::{Context, Poll},
};
use smoltcp::socket::udp::{PacketBuffer, PacketMetadata, SendError, Socket, UdpMetadata};
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
    remote: Option<SocketAddr>,
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
        let state = State { bound: None, remote: None, options: UdpOptions::default() };
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
                stack.bound.add(self.0.family, local, handle);
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
        let mut state = self.0.state.lock();
        if state.bound.is_none() {
            return Err(Error::InvalidState);
        }
        if let Some(remote) = remote {
            self.0.access.check_connect(self.0.family, remote)?;
        }
        state.remote = remote;
        Ok(())
    }

    /// Receives a datagram; from the other end alone, if the socket is [connected](Self::connect).
    ///
    /// # Errors
    /// [`Error::InvalidState`] unless it is bound; [`Error::NoMemory`].
    pub fn poll_receive(&self, task: &mut Context<'_>) -> Poll<Result<Datagram>> {
        self.with(|socket, remote| {
            loop {
                // Looked at first, so that one for which there is no memory is not lost.
                let Ok((data, _)) = socket.peek() else {
                    let waker = self.0.notify.wait(task);
                    socket.register_recv_waker(&waker);
                    return Poll::Pending;
                };
                let mut copy = Vec::new();
                heap::reserve(&mut copy, data.len())?;
                copy.extend_from_slice(data);
                let Ok((_, from)) = socket.recv() else { return Poll::Pending };
                let from = SocketAddr::from(from.endpoint);
                if remote.is_none_or(|remote| remote == from) {
                    return Poll::Ready(Ok(Datagram { data: copy, remote: from }));
                }
            }
        })
    }

    /// Sends a datagram: to `remote`, or to the other end of a [connected](Self::connect) socket.
    ///
    /// # Errors
    /// - [`Error::InvalidState`] unless it is bound.
    /// - [`Error::Invalid`] without either of them, or with both and not the same, or for an address that is none.
    /// - [`Error::AddressFamily`]; [`Error::Access`] if the policy does not allow it.
    /// - [`Error::MessageSize`]; [`Error::NetworkUnreachable`] without a route.
    pub fn poll_send(
        &self,
        task: &mut Context<'_>,
        data: &[u8],
        remote: Option<SocketAddr>,
    ) -> Poll<Result<()>> {
        let connected = self.0.state.lock().remote;
        let to = match (remote, connected) {
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
        if !is_for_many(to.ip()) {
            self.network().with(|stack| stack.source(to.ip()))?;
        }
        let sent = self.with(|socket, _| {
            match socket.send_slice(data, UdpMetadata::from(smoltcp::wire::IpEndpoint::from(to))) {
                Ok(()) => Poll::Ready(Ok(())),
                Err(SendError::BufferFull) => {
                    let waker = self.0.notify.wait(task);
                    socket.register_send_waker(&waker);
                    Poll::Pending
                }
                Err(SendError::Unaddressable) => Poll::Ready(Err(Error::Invalid)),
            }
        });
        if let Poll::Ready(Ok(())) = sent {
            self.network().with(|stack| stack.kick());
        }
        sent
    }

    /// Waits until there is a datagram to receive: it may be one that a [connected](Self::connect) socket does not take.
    ///
    /// # Errors
    /// [`Error::InvalidState`] unless it is bound.
    pub fn poll_readable(&self, task: &mut Context<'_>) -> Poll<Result<()>> {
        self.with(|socket, _| {
            if socket.can_recv() {
                return Poll::Ready(Ok(()));
            }
            let waker = self.0.notify.wait(task);
            socket.register_recv_waker(&waker);
            Poll::Pending
        })
    }

    /// Waits until a datagram can be sent.
    ///
    /// # Errors
    /// [`Error::InvalidState`] unless it is bound.
    pub fn poll_writable(&self, task: &mut Context<'_>) -> Poll<Result<()>> {
        self.with(|socket, _| {
            // A datagram is kept in one piece: with room for two, there is one for any.
            let room = socket.payload_send_capacity().saturating_sub(socket.send_queue());
            let fits = socket.send_queue() == 0 || room / 2 >= self.payload_max();
            if socket.can_send() && fits {
                return Poll::Ready(Ok(()));
            }
            let waker = self.0.notify.wait(task);
            socket.register_send_waker(&waker);
            Poll::Pending
        })
    }

    /// The address that was bound.
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.0.state.lock().bound.as_ref().map(|(port, _)| port.local)
    }

    /// The other end that it is connected to.
    pub fn remote_address(&self) -> Option<SocketAddr> {
        self.0.state.lock().remote
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
        let hop_limit = options.hop_limit.max(1);
        drop(state);
        let set: Poll<Result<()>> = self.with(|socket, _| {
            socket.set_hop_limit(Some(hop_limit));
            Poll::Ready(Ok(()))
        });
        // One that is not bound gets it when it is.
        let _ = set;
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

    /// Works on the socket, and the other end that it is connected to.
    fn with<T>(
        &self,
        work: impl FnOnce(&mut Socket<'static>, Option<SocketAddr>) -> Poll<Result<T>>,
    ) -> Poll<Result<T>> {
        let state = self.0.state.lock();
        let Some((_, handle)) = state.bound else { return Poll::Ready(Err(Error::InvalidState)) };
        self.network().with(|stack| work(stack.sockets.change::<Socket>(handle), state.remote))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some((port, handle)) = mem::take(&mut self.state.get_mut().bound) {
            let network = self.access.network();
            let now = network.now();
            network.with(|stack| {
                // Woken when the stack is unlocked, not dropped with it locked.
                self.notify.notify();
                stack.leave(handle, port, now);
            });
        }
    }
}

/// A socket with buffers as large as the options say.
fn socket(options: &UdpOptions) -> Result<Socket<'static>> {
    let [receive, send] = [options.receive_buffer, options.send_buffer].map(|size| {
        Ok(PacketBuffer::new(heap::filled(DATAGRAMS, PacketMetadata::EMPTY)?, heap::filled(size, 0)?))
    });
    let mut socket = Socket::new(receive?, send?);
    socket.set_hop_limit(Some(options.hop_limit.max(1)));
    Ok(socket)
}
