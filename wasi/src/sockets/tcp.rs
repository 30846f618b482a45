//! TCP sockets, as POSIX and WASI know them: bound, then connecting or listening, then connected, and at last closed.

use super::{
    Access, Family, Network, bring_into,
    connections::{self, Id, listen_endpoint},
    notify::Notify,
    packet::Ends,
    policy::is_for_many,
    ports::{Port, Protocol},
};
use crate::{
    Error, Result,
    io::{InputStream, OutputStream, Readiness},
    types::Nanoseconds,
};
use alloc::sync::Arc;
use core::{
    mem,
    net::SocketAddr,
    ops::RangeInclusive,
    task::{Context, Poll},
};
use smoltcp::{
    socket::tcp::{self, RecvError, Socket},
    time::Duration,
};
use spin::Mutex;

/// A TCP socket. A clone is the same socket; when the last is gone, a connection is ended in good order.
///
/// As a stream it is the connection: reading gives the end after the other side's last byte (or [`Error::ConnectionReset`], or
/// [`Error::TimedOut`] when the other side has fallen silent), writing fails with [`Error::Pipe`] after [`shutdown`](Self::shutdown).
#[derive(Clone)]
pub struct TcpSocket(Arc<Inner>);

struct Inner {
    access: Access,
    family: Family,
    state: Mutex<State>,
    notify: Arc<Notify>,
}

struct State {
    stage: Stage,
    options: Options,
    backlog: usize,
    /// The address that was bound or connected from.
    local: Option<SocketAddr>,
    remote: Option<SocketAddr>,
    /// Whether no more is to be read.
    deaf: bool,
    /// Whether no more is to be written.
    mute: bool,
}

enum Stage {
    Unbound,
    Bound(Port),
    Listening(Id, Port),
    Connecting(Id),
    Connected(Id),
    Closed,
}

/// What can be set of a socket. What is accepted from a listening socket has its options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes that wait to be read, at most.
    pub receive_buffer: usize,
    /// Bytes that wait to be sent or acknowledged, at most.
    pub send_buffer: usize,
    /// The hop limit (IPv4: time to live) of what is sent; at least 1.
    pub hop_limit: u8,
    /// Whether a silent connection is asked whether it is still there.
    pub keep_alive: bool,
    /// After how long a silence.
    pub keep_alive_idle: Nanoseconds,
    /// How long each answer may take.
    pub keep_alive_interval: Nanoseconds,
    /// How often it is asked before the connection is given up; at least 1.
    pub keep_alive_count: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            receive_buffer: 64 << 10,
            send_buffer: 64 << 10,
            hop_limit: 64,
            keep_alive: false,
            // Linux's, which WASI's programs expect.
            keep_alive_idle: 7_200 * 1_000_000_000,
            keep_alive_interval: 75 * 1_000_000_000,
            keep_alive_count: 9,
        }
    }
}

/// The sizes that a buffer can have.
const BUFFER: RangeInclusive<usize> = 4 << 10..=1 << 20;

impl Options {
    pub(super) fn apply(&self, socket: &mut Socket<'static>) {
        socket.set_hop_limit(Some(self.hop_limit.max(1)));
        let duration =
            |nanoseconds: Nanoseconds| Duration::from_micros(nanoseconds.max(KEEP_ALIVE_MIN) / 1_000);
        // smoltcp asks at one interval only, that of silence.
        socket.set_keep_alive(self.keep_alive.then(|| duration(self.keep_alive_idle)));
        if self.keep_alive {
            let interval = self.keep_alive_interval.max(KEEP_ALIVE_MIN);
            let probes = interval.saturating_mul(self.keep_alive_count.max(1).into());
            socket.set_timeout(Some(duration(self.keep_alive_idle.saturating_add(probes))));
        }
        // WASI's programs write what they want to send (as `TCP_NODELAY`): wasmtime's sockets have it so.
        socket.set_nagle_enabled(false);
        socket.set_ack_delay(Some(Duration::from_millis(10)));
    }
}

/// The shortest silence that is asked about, as on Linux: shorter ones would be a storm, which nobody answers.
const KEEP_ALIVE_MIN: Nanoseconds = 1_000_000_000;

/// What to end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// No more is read.
    Receive,
    /// No more is written; the other end is told.
    Send,
    /// Both.
    Both,
}

impl TcpSocket {
    pub(super) fn new(access: Access, family: Family) -> Self {
        let options = Options::default();
        Self::at(access, family, Stage::Unbound, options, None)
    }

    fn at(
        access: Access,
        family: Family,
        stage: Stage,
        options: Options,
        notify: Option<Arc<Notify>>,
    ) -> Self {
        let notify = notify.unwrap_or_else(|| access.network().notify());
        let state =
            State { stage, options, backlog: BACKLOG, local: None, remote: None, deaf: false, mute: false };
        Self(Arc::new(Inner { access, family, state: Mutex::new(state), notify }))
    }

    /// The family of its addresses.
    pub fn family(&self) -> Family {
        self.0.family
    }

    /// Takes a local address; port 0 stands for any that is free.
    ///
    /// # Errors
    /// - [`Error::InvalidState`] unless it is new.
    /// - [`Error::Invalid`] for an address that is none of a host; [`Error::AddressFamily`] for another family's.
    /// - [`Error::AddressNotAvailable`] if it is not the machine's; [`Error::AddressInUse`].
    /// - [`Error::Access`] if the policy does not allow it.
    pub fn bind(&self, local: SocketAddr) -> Result<()> {
        let mut state = self.0.state.lock();
        let Stage::Unbound = state.stage else { return Err(Error::InvalidState) };
        let port = self.0.access.bind(Protocol::Tcp, self.0.family, local)?;
        state.local = Some(port.local);
        state.stage = Stage::Bound(port);
        Ok(())
    }

    /// Begins to connect; [`poll_connected`](Self::poll_connected) says how that went.
    ///
    /// # Errors
    /// - [`Error::InvalidState`] unless it is new or bound.
    /// - [`Error::Invalid`], [`Error::AddressFamily`] for an address that cannot be connected to.
    /// - [`Error::Access`] if the policy does not allow it; [`Error::NetworkUnreachable`] without a route.
    /// - [`Error::NoMemory`].
    pub fn connect(&self, remote: SocketAddr) -> Result<()> {
        let mut state = self.0.state.lock();
        if !matches!(state.stage, Stage::Unbound | Stage::Bound(_)) {
            return Err(Error::InvalidState);
        }
        if is_for_many(remote.ip()) {
            return Err(Error::Invalid);
        }
        self.0.access.check_connect(self.0.family, remote)?;
        let from = self.network().with(|stack| stack.source(remote.ip()))?;
        if let Stage::Unbound = state.stage {
            let port = self.network().take_port(Protocol::Tcp, SocketAddr::new(from, 0))?;
            state.stage = Stage::Bound(port);
        }
        let Stage::Bound(port) = mem::replace(&mut state.stage, Stage::Closed) else {
            return Err(Error::InvalidState);
        };
        let ip = if port.local.ip().is_unspecified() { from } else { port.local.ip() };
        let local = SocketAddr::new(ip, port.local.port());
        let begun = self.network().with(|stack| {
            // What ended a moment ago, with these same ends, would take the answers.
            let ends = Ends { protocol: Protocol::Tcp, from: local.into(), to: remote.into() };
            if !stack.connections.make_way(&mut stack.sockets, ends.from, ends.to) {
                return Err((Error::AddressInUse, port));
            }
            let connecting = connections::socket(&state.options).and_then(|mut socket| {
                let connected = socket.connect(stack.interface.context(), remote, local);
                connected.map_err(|_| Error::AddressNotAvailable).map(|()| socket)
            });
            match connecting {
                Ok(socket) => {
                    stack.kick();
                    let (sockets, notify) = (&mut stack.sockets, self.0.notify.clone());
                    Ok(stack.connections.open(sockets, socket, &ends, port, notify))
                }
                Err(error) => Err((error, port)),
            }
        });
        match begun {
            Ok(id) => {
                state.local = Some(local);
                state.remote = Some(remote);
                state.stage = Stage::Connecting(id);
                Ok(())
            }
            Err((error, port)) => {
                state.stage = Stage::Bound(port);
                Err(error)
            }
        }
    }

    /// Waits for a connection that was [begun](Self::connect). If it has failed the socket is closed.
    ///
    /// # Errors
    /// [`Error::InvalidState`] if none was begun; [`Error::ConnectionRefused`]; [`Error::TimedOut`].
    pub fn poll_connected(&self, task: &mut Context<'_>) -> Poll<Result<()>> {
        let mut state = self.0.state.lock();
        let Stage::Connecting(id) = state.stage else { return Poll::Ready(Err(Error::InvalidState)) };
        let connected = self.network().with(|stack| {
            let connection = stack.connections.get(id)?;
            if connection.is_coming() {
                self.0.notify.wait(task);
                return Ok(None);
            }
            let failed = connection.failed;
            if failed.is_none() {
                state.options.apply(connection.change(&mut stack.sockets));
            }
            Ok(Some(failed.map_or(Ok(()), Err)))
        });
        match connected {
            Ok(None) => return Poll::Pending,
            Ok(Some(Ok(()))) => state.stage = Stage::Connected(id),
            Ok(Some(Err(error))) | Err(error) => {
                state.stage = Stage::Closed;
                self.abandon(id);
                return Poll::Ready(Err(error));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Listens at the address that was [bound](Self::bind).
    ///
    /// # Errors
    /// [`Error::InvalidState`] unless it is bound.
    pub fn listen(&self) -> Result<()> {
        let mut state = self.0.state.lock();
        let (backlog, options) = (state.backlog, state.options);
        match mem::replace(&mut state.stage, Stage::Closed) {
            Stage::Bound(port) => {
                let local = listen_endpoint(port.local.into());
                let id = self.network().with(|stack| {
                    let notify = self.0.notify.clone();
                    stack.connections.listen(self.0.family, local, backlog, notify, options)
                });
                state.stage = Stage::Listening(id, port);
                Ok(())
            }
            stage => {
                state.stage = stage;
                Err(Error::InvalidState)
            }
        }
    }

    /// Waits for a connection, and takes it.
    ///
    /// # Errors
    /// [`Error::InvalidState`] unless it listens.
    pub fn poll_accept(&self, task: &mut Context<'_>) -> Poll<Result<Self>> {
        let state = self.0.state.lock();
        let Stage::Listening(listener, _) = state.stage else { return Poll::Ready(Err(Error::InvalidState)) };
        let options = state.options;
        let accepted = self.network().with(|stack| {
            let Some(id) = stack.connections.accept(listener)? else {
                self.0.notify.wait(task);
                return Ok(None);
            };
            let connection = stack.connections.get(id)?;
            let notify = connection.notify.clone();
            let socket = connection.socket(&mut stack.sockets);
            Ok(Some((id, notify, socket.local_endpoint(), socket.remote_endpoint())))
        })?;
        let Some((id, notify, local, remote)) = accepted else { return Poll::Pending };
        let access = self.0.access.clone();
        let socket = Self::at(access, self.0.family, Stage::Connected(id), options, Some(notify));
        let mut new = socket.0.state.lock();
        new.local = local.map(Into::into);
        new.remote = remote.map(Into::into);
        drop(new);
        Poll::Ready(Ok(socket))
    }

    /// Waits until what the socket is doing is done: connecting, or waiting for a connection. At once if it does nothing.
    pub fn poll_ready(&self, task: &mut Context<'_>) -> Poll<()> {
        let state = self.0.state.lock();
        let ready = self.network().with(|stack| {
            let ready = match state.stage {
                Stage::Listening(id, _) => stack.connections.waiting(id).map_or(true, |waiting| waiting > 0),
                Stage::Connecting(id) => {
                    stack.connections.get(id).map_or(true, |connection| !connection.is_coming())
                }
                _ => true,
            };
            if !ready {
                self.0.notify.wait(task);
            }
            ready
        });
        if ready { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Ends one or both directions of the connection.
    ///
    /// # Errors
    /// [`Error::NotConnected`].
    pub fn shutdown(&self, how: Shutdown) -> Result<()> {
        let mut state = self.0.state.lock();
        let Stage::Connected(id) = state.stage else { return Err(Error::NotConnected) };
        state.deaf |= matches!(how, Shutdown::Receive | Shutdown::Both);
        state.mute |= matches!(how, Shutdown::Send | Shutdown::Both);
        self.network().with(|stack| {
            if state.mute {
                stack.connections.get(id)?.change(&mut stack.sockets).close();
                stack.connections.ends(id);
                stack.kick();
            }
            self.0.notify.notify();
            Ok(())
        })
    }

    /// The address that was bound, or that the connection comes from.
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.0.state.lock().local
    }

    /// The other end of the connection.
    pub fn remote_address(&self) -> Option<SocketAddr> {
        let state = self.0.state.lock();
        state.remote.filter(|_| matches!(state.stage, Stage::Connected(_)))
    }

    /// Whether it listens.
    pub fn is_listening(&self) -> bool {
        matches!(self.0.state.lock().stage, Stage::Listening(..))
    }

    /// Whether it is connected: the other end may have gone since.
    pub fn is_connected(&self) -> bool {
        matches!(self.0.state.lock().stage, Stage::Connected(_))
    }

    /// Whether it has an address and does nothing with it yet.
    pub fn is_bound(&self) -> bool {
        matches!(self.0.state.lock().stage, Stage::Bound(_))
    }

    /// What is set.
    pub fn options(&self) -> Options {
        self.0.state.lock().options
    }

    /// Sets what `set` changes. Buffers are as large as they are once it is connected.
    pub fn set_options(&self, set: impl FnOnce(&mut Options)) {
        let mut state = self.0.state.lock();
        let options = &mut state.options;
        set(options);
        bring_into(BUFFER, [&mut options.receive_buffer, &mut options.send_buffer]);
        let options = *options;
        self.network().with(|stack| match state.stage {
            Stage::Listening(id, _) => {
                if let Ok(listener) = stack.connections.listener(id) {
                    listener.options = options;
                }
            }
            Stage::Connected(id) => {
                if let Ok(connection) = stack.connections.get(id) {
                    options.apply(connection.change(&mut stack.sockets));
                    stack.kick();
                }
            }
            _ => {}
        });
    }

    /// How many connections may wait to be accepted; at least 1.
    pub fn set_backlog(&self, backlog: usize) {
        let mut state = self.0.state.lock();
        state.backlog = backlog.clamp(1, BACKLOG_MAX);
        if let Stage::Listening(id, _) = state.stage {
            self.network().with(|stack| {
                if let Ok(listener) = stack.connections.listener(id) {
                    listener.backlog = state.backlog;
                }
            });
        }
    }

    /// As [`poll_read`](InputStream::poll_read), but what is read stays to be read.
    pub fn poll_peek(&self, task: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize>> {
        self.poll_receive(task, buffer, true)
    }

    fn network(&self) -> &Network {
        self.0.access.network()
    }

    /// Gives a connection up that nobody else holds.
    fn abandon(&self, id: Id) {
        let now = self.network().now();
        self.network().with(|stack| {
            stack.connections.abandon(&mut stack.sockets, id, now);
            stack.kick();
        });
    }

    /// The connection, and which directions this end has shut down (deaf, mute).
    fn connection(&self) -> Result<(Id, bool, bool)> {
        let state = self.0.state.lock();
        match state.stage {
            Stage::Connected(id) => Ok((id, state.deaf, state.mute)),
            _ => Err(Error::NotConnected),
        }
    }

    fn poll_receive(&self, task: &mut Context<'_>, buffer: &mut [u8], peek: bool) -> Poll<Result<usize>> {
        let (id, deaf, _) = self.connection()?;
        if deaf || buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.network().with(|stack| {
            let connection = stack.connections.get(id)?;
            if !connection.rest.is_empty() {
                return Poll::Ready(Ok(connection.take_rest(buffer, peek)));
            }
            let (handle, finished) = (connection.handle, connection.finished);
            let socket = connection.socket(&mut stack.sockets);
            let low = socket.recv_queue() >= socket.recv_capacity() / 2;
            let received = if peek {
                // `peek_slice` does not say that nothing more will come.
                socket.peek(0).map(|_| ()).and_then(|()| socket.peek_slice(buffer))
            } else {
                socket.recv_slice(buffer)
            };
            match received {
                Ok(0) => {
                    let waker = self.0.notify.wait(task);
                    socket.register_recv_waker(&waker);
                    Poll::Pending
                }
                Ok(count) => {
                    if !peek {
                        stack.sockets.touch(handle);
                        // The other end may have stopped for want of room.
                        if low {
                            stack.kick();
                        }
                    }
                    Poll::Ready(Ok(count))
                }
                Err(RecvError::Finished) => Poll::Ready(Ok(0)),
                Err(RecvError::InvalidState) if finished => Poll::Ready(Ok(0)),
                Err(RecvError::InvalidState) => Poll::Ready(Err(connection.broken(&stack.sockets))),
            }
        })
    }
}

impl InputStream for TcpSocket {
    fn poll_read(&self, task: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize>> {
        self.poll_receive(task, buffer, false)
    }

    /// Of a socket that listens: until there is a connection to be [accepted](TcpSocket::poll_accept).
    fn poll_readable(&self, task: &mut Context<'_>) -> Poll<Result<Readiness>> {
        if self.is_listening() {
            return self.poll_ready(task).map(|()| Ok(Readiness { bytes: 1, hangup: false }));
        }
        let (id, deaf, _) = self.connection()?;
        if deaf {
            return Poll::Ready(Ok(Readiness { bytes: 0, hangup: true }));
        }
        self.network().with(|stack| {
            let connection = stack.connections.get(id)?;
            let rest = connection.rest.len();
            let socket = connection.socket(&mut stack.sockets);
            let bytes = rest.saturating_add(socket.recv_queue()) as u64;
            // In these states no more will come.
            let hangup = !matches!(
                socket.state(),
                tcp::State::Established | tcp::State::FinWait1 | tcp::State::FinWait2
            );
            if bytes == 0 && !hangup {
                let waker = self.0.notify.wait(task);
                socket.register_recv_waker(&waker);
                return Poll::Pending;
            }
            Poll::Ready(Ok(Readiness { bytes, hangup }))
        })
    }
}

impl OutputStream for TcpSocket {
    fn poll_write(&self, task: &mut Context<'_>, buffer: &[u8]) -> Poll<Result<usize>> {
        let (id, _, mute) = self.connection()?;
        if mute {
            return Poll::Ready(Err(Error::Pipe));
        }
        self.network().with(|stack| {
            let connection = stack.connections.get(id)?;
            let (handle, socket) = (connection.handle, connection.socket(&mut stack.sockets));
            match socket.send_slice(buffer) {
                Err(_) => Poll::Ready(Err(connection.broken(&stack.sockets))),
                Ok(0) if !buffer.is_empty() => {
                    let waker = self.0.notify.wait(task);
                    socket.register_send_waker(&waker);
                    Poll::Pending
                }
                Ok(count) => {
                    stack.sockets.touch(handle);
                    stack.kick();
                    Poll::Ready(Ok(count))
                }
            }
        })
    }

    fn poll_writable(&self, task: &mut Context<'_>) -> Poll<Result<Readiness>> {
        let (id, _, mute) = self.connection()?;
        self.network().with(|stack| {
            let socket = stack.connections.get(id)?.socket(&mut stack.sockets);
            let hangup = mute || !socket.may_send();
            let bytes = socket.send_capacity().saturating_sub(socket.send_queue()) as u64;
            if bytes == 0 && !hangup {
                let waker = self.0.notify.wait(task);
                socket.register_send_waker(&waker);
                return Poll::Pending;
            }
            Poll::Ready(Ok(Readiness { bytes, hangup }))
        })
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let stage = mem::replace(&mut self.state.get_mut().stage, Stage::Closed);
        let network = self.access.network();
        let now = network.now();
        network.with(|stack| {
            // Woken when the stack is unlocked, not dropped with it locked.
            self.notify.notify();
            match stage {
                Stage::Unbound | Stage::Closed => return,
                Stage::Bound(port) => stack.ports.release(&port),
                Stage::Listening(id, port) => {
                    stack.connections.close_listener(&mut stack.sockets, id);
                    stack.ports.release(&port);
                }
                Stage::Connecting(id) | Stage::Connected(id) => {
                    stack.connections.abandon(&mut stack.sockets, id, now);
                }
            }
            stack.kick();
        });
    }
}

/// Connections that may wait to be accepted, unless it is said otherwise, and at most.
const BACKLOG: usize = 128;
const BACKLOG_MAX: usize = 4096;
