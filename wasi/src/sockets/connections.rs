//! The TCP connections of a stack, and those who listen for them. What programs see of them is in [`tcp`](super::tcp).
//!
//! smoltcp knows no backlog: a socket that listens becomes the connection. So none listens, but when a frame asks for a connection
//! that somebody listens for, a socket is made that listens for just this frame. A connection that nobody holds any more
//! stays until it is properly over, for a while at most.

use super::{
    Family,
    notify::{Notify, Woken},
    packet::Ends,
    ports::{Port, Ports},
    sets::{Handle, Sockets},
    tcp::Options,
};
use crate::{Error, Result, heap, types::Nanoseconds};
use alloc::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    vec::Vec,
};
use core::mem;
use smoltcp::{
    socket::tcp::{Socket, SocketBuffer, State},
    time::Duration,
    wire::{IpAddress, IpEndpoint, IpListenEndpoint, Ipv4Address, Ipv6Address},
};

const SECOND: Nanoseconds = 1_000_000_000;
/// How long a connection may take to come about: what it takes to repeat the first segment five times.
const CONNECT: Duration = Duration::from_secs(60);
/// How long a connection that nobody holds may take to end.
const ORPHANED: Nanoseconds = 60 * SECOND;
/// Connections that nobody holds and that may take so long; beyond, the oldest is given up.
const ORPHANS_MAX: usize = 256;
/// How long a connection that was given up may try to say so.
const RESETTING: Nanoseconds = 3 * SECOND;
/// Connections in `TIME-WAIT` that are kept; beyond, the oldest is forgotten.
const TIME_WAIT_MAX: usize = 128;
/// How often connections that come about or end are looked after at least.
const LOOK: Nanoseconds = 5 * SECOND;

/// A connection's number.
pub(super) type Id = u64;

/// The connections, and who listens.
pub(super) struct Connections {
    /// Those who wait for what nobody holds any more to end.
    pub(super) ended: Arc<Notify>,
    connections: BTreeMap<Id, Connection>,
    /// Which is between which ends.
    between: BTreeMap<Between, Id>,
    listeners: BTreeMap<Id, Listener>,
    next: Id,
    /// Those that are to be looked after at every turn: they come about or end.
    changing: Vec<Id>,
    /// Those in `TIME-WAIT` that nobody holds, the oldest first.
    time_wait: VecDeque<Id>,
}

/// The ends of a connection: the local port first, so that those of a port are neighbours.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Between {
    port: u16,
    family: Family,
    local: IpAddress,
    remote: IpEndpoint,
}

impl Between {
    fn new(local: IpEndpoint, remote: IpEndpoint) -> Self {
        Self { port: local.port, family: Family::of(local.addr.into()), local: local.addr, remote }
    }
}

/// A connection.
pub(super) struct Connection {
    pub(super) handle: Handle,
    pub(super) notify: Arc<Notify>,
    /// What came before the connection was over and has not been read: smoltcp forgets it after `TIME-WAIT`.
    pub(super) rest: VecDeque<u8>,
    /// The other end has said that it sends no more.
    pub(super) finished: bool,
    /// It comes about.
    connecting: bool,
    /// Why it did not come about.
    pub(super) failed: Option<Error>,
    /// Until when it may exist, since nobody holds it.
    orphaned: Option<Nanoseconds>,
    /// Until when it may try to say that it was given up.
    resetting: Option<Nanoseconds>,
    between: Between,
    /// What it has taken of the local addresses.
    port: Option<Port>,
    /// Who it is to be given to, once it has come about.
    listener: Option<Id>,
    /// It is looked after at every turn.
    changing: bool,
    /// It is among those in `TIME-WAIT`.
    waits: bool,
}

/// Who listens for connections.
pub(super) struct Listener {
    local: IpListenEndpoint,
    family: Family,
    /// Connections that may come about or wait to be accepted at once.
    pub(super) backlog: usize,
    /// Those that come about.
    coming: usize,
    /// Those that wait to be accepted.
    accepted: VecDeque<Id>,
    pub(super) notify: Arc<Notify>,
    pub(super) options: Options,
}

/// Whom a connection that comes about is for.
enum Owner {
    /// A program that connects, from this port.
    Program(Port),
    /// Whoever accepts it.
    Listener(Id),
}

impl Connection {
    /// smoltcp's socket of it, for what gives it nothing to send.
    pub(super) fn socket<'s>(&self, sockets: &'s mut Sockets) -> &'s mut Socket<'static> {
        sockets.get_mut(self.handle)
    }

    /// The same, for what may.
    pub(super) fn change<'s>(&self, sockets: &'s mut Sockets) -> &'s mut Socket<'static> {
        sockets.change(self.handle)
    }

    /// Whether it has neither come about nor failed to.
    pub(super) fn is_coming(&self) -> bool {
        self.connecting
    }

    /// Why it is over, if it has not ended in good order.
    pub(super) fn broken(&self, sockets: &Sockets) -> Error {
        if sockets.timed_out(self.handle) { Error::TimedOut } else { Error::ConnectionReset }
    }

    /// Whether it may still try to say that it was given up.
    fn may_reset(&mut self, now: Nanoseconds) -> bool {
        now < *self.resetting.get_or_insert(now.saturating_add(RESETTING))
    }

    /// Reads what is left of it.
    pub(super) fn take_rest(&mut self, buffer: &mut [u8], peek: bool) -> usize {
        let count = buffer.len().min(self.rest.len());
        buffer.iter_mut().zip(&self.rest).for_each(|(to, from)| *to = *from);
        if !peek {
            self.rest.drain(..count);
        }
        count
    }
}

impl Connections {
    pub(super) fn new(woken: &Woken) -> Self {
        Self {
            ended: Notify::new(woken),
            connections: BTreeMap::new(),
            between: BTreeMap::new(),
            listeners: BTreeMap::new(),
            next: 0,
            changing: Vec::new(),
            time_wait: VecDeque::new(),
        }
    }

    fn number(&mut self) -> Id {
        let id = self.next;
        self.next = id.wrapping_add(1);
        id
    }

    /// How many there are.
    #[cfg(all(test, feature = "std"))]
    pub(super) fn len(&self) -> usize {
        self.connections.len()
    }

    /// A connection.
    pub(super) fn get(&mut self, id: Id) -> Result<&mut Connection> {
        self.connections.get_mut(&id).ok_or(Error::NotConnected)
    }

    /// Who listens.
    pub(super) fn listener(&mut self, id: Id) -> Result<&mut Listener> {
        self.listeners.get_mut(&id).ok_or(Error::InvalidState)
    }

    /// The socket of the connection that a packet is of.
    pub(super) fn between(&self, ends: &Ends) -> Option<Handle> {
        let id = self.between.get(&Between::new(ends.to, ends.from))?;
        self.connections.get(id).map(|connection| connection.handle)
    }

    /// Whether a port is a connection's local one.
    pub(super) fn uses(&self, family: Family, port: u16) -> bool {
        let of = |addr| Between { port, family, local: addr, remote: IpEndpoint::new(addr, 0) };
        let first = of(match family {
            Family::Ipv4 => Ipv4Address::UNSPECIFIED.into(),
            Family::Ipv6 => Ipv6Address::UNSPECIFIED.into(),
        });
        let next = self.between.range(first..).next();
        next.is_some_and(|(ends, _)| (ends.port, ends.family) == (port, family))
    }

    /// Begins a connection: `socket` is connecting.
    pub(super) fn open(
        &mut self,
        sockets: &mut Sockets,
        socket: Socket<'static>,
        ends: &Ends,
        port: Port,
        notify: Arc<Notify>,
    ) -> Id {
        self.begin(sockets, socket, Between::new(ends.from, ends.to), Owner::Program(port), notify)
    }

    /// A connection that comes about from now on.
    fn begin(
        &mut self,
        sockets: &mut Sockets,
        mut socket: Socket<'static>,
        between: Between,
        owner: Owner,
        notify: Arc<Notify>,
    ) -> Id {
        socket.set_timeout(Some(CONNECT));
        let id = self.number();
        let (port, listener) = match owner {
            Owner::Program(port) => (Some(port), None),
            Owner::Listener(listener) => (None, Some(listener)),
        };
        let connection = Connection {
            handle: sockets.add(socket),
            notify,
            rest: VecDeque::new(),
            finished: false,
            connecting: true,
            failed: None,
            orphaned: None,
            resetting: None,
            between,
            port,
            listener,
            changing: true,
            waits: false,
        };
        self.connections.insert(id, connection);
        self.between.insert(between, id);
        self.changing.push(id);
        id
    }

    /// Forgets a connection.
    fn forget(&mut self, sockets: &mut Sockets, id: Id) {
        let Some(connection) = self.connections.remove(&id) else { return };
        sockets.remove(connection.handle);
        // A new one may have taken its place.
        if self.between.get(&connection.between) == Some(&id) {
            self.between.remove(&connection.between);
        }
        self.time_wait.retain(|&old| old != id);
    }

    /// Begins to listen.
    pub(super) fn listen(
        &mut self,
        family: Family,
        local: IpListenEndpoint,
        backlog: usize,
        notify: Arc<Notify>,
        options: Options,
    ) -> Id {
        let id = self.number();
        let accepted = VecDeque::new();
        self.listeners.insert(id, Listener { local, family, backlog, coming: 0, accepted, notify, options });
        id
    }

    /// Takes a connection that has come about.
    pub(super) fn accept(&mut self, id: Id) -> Result<Option<Id>> {
        let listener = self.listener(id)?;
        let accepted = listener.accepted.pop_front();
        if let Some(connection) = accepted.and_then(|id| self.connections.get_mut(&id)) {
            connection.listener = None;
        }
        Ok(accepted)
    }

    /// How many connections wait to be accepted.
    pub(super) fn waiting(&mut self, id: Id) -> Result<usize> {
        Ok(self.listener(id)?.accepted.len())
    }

    /// Listens no more; those who have not been accepted are sent away.
    pub(super) fn close_listener(&mut self, sockets: &mut Sockets, id: Id) {
        if self.listeners.remove(&id).is_none() {
            return;
        }
        for (&number, connection) in &mut self.connections {
            if connection.listener == Some(id) {
                connection.change(sockets).abort();
                connection.orphaned = Some(0);
                if !mem::replace(&mut connection.changing, true) {
                    self.changing.push(number);
                }
            }
        }
    }

    /// Whether a connection from and to these ends can begin: one that has just ended makes way for it (RFC 9293, 3.10.7.4).
    pub(super) fn make_way(&mut self, sockets: &mut Sockets, local: IpEndpoint, remote: IpEndpoint) -> bool {
        let Some(&id) = self.between.get(&Between::new(local, remote)) else { return true };
        let Some(connection) = self.connections.get(&id) else { return true };
        let socket = sockets.get::<Socket>(connection.handle);
        if socket.remote_endpoint().is_none() {
            return true;
        }
        // One that has still its port is looked after in this turn: the frame comes again.
        if socket.state() != State::TimeWait || connection.orphaned.is_none() || connection.port.is_some() {
            return false;
        }
        self.forget(sockets, id);
        true
    }

    /// A frame asks for a connection. Makes a socket for it, if somebody listens there.
    ///
    /// # Errors
    /// When the frame is to be lost, so that whoever asks asks again: the backlog is full, or there is no memory.
    pub(super) fn asked(
        &mut self,
        sockets: &mut Sockets,
        &Ends { from, to, .. }: &Ends,
        woken: &Woken,
    ) -> Result<Option<Id>> {
        if !self.make_way(sockets, to, from) {
            return Ok(None);
        }
        let hears = |listener: &Listener| {
            listener.family.is_of(&to.addr)
                && listener.local.port == to.port
                && listener.local.addr.is_none_or(|address| address == to.addr)
        };
        let listener = self.listeners.iter_mut().find(|(_, listener)| hears(listener));
        let Some((&number, listener)) = listener else { return Ok(None) };
        if listener.coming.saturating_add(listener.accepted.len()) >= listener.backlog {
            return Err(Error::Busy);
        }
        let mut socket = socket(&listener.options)?;
        socket.listen(to).map_err(|_| Error::Invalid)?;
        listener.coming = listener.coming.saturating_add(1);
        let (ends, owner) = (Between::new(to, from), Owner::Listener(number));
        Ok(Some(self.begin(sockets, socket, ends, owner, Notify::new(woken))))
    }

    /// The frame that asked has been looked at. What was broken (its checksum) has not begun a connection.
    pub(super) fn answered(&mut self, sockets: &mut Sockets, id: Id) {
        let Some(connection) = self.connections.get(&id) else { return };
        if sockets.get::<Socket>(connection.handle).state() == State::Listen {
            let listener = connection.listener.and_then(|id| self.listeners.get_mut(&id));
            if let Some(listener) = listener {
                listener.coming = listener.coming.saturating_sub(1);
            }
            self.forget(sockets, id);
            self.changing.retain(|&changing| changing != id);
        }
    }

    /// Looks after a connection at every turn from now on, since it ends.
    pub(super) fn ends(&mut self, id: Id) {
        if let Some(connection) = self.connections.get_mut(&id)
            && !mem::replace(&mut connection.changing, true)
        {
            self.changing.push(id);
        }
    }

    /// Nobody holds a connection any more. It ends in good order, if it has come about.
    pub(super) fn abandon(&mut self, sockets: &mut Sockets, id: Id, now: Nanoseconds) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.change(sockets).close();
        connection.rest = VecDeque::new();
        connection.orphaned = Some(now.saturating_add(ORPHANED));
        self.ends(id);
        // Whoever connects and goes away costs no more than this.
        let orphans = self
            .connections
            .values_mut()
            .filter_map(|connection| connection.orphaned.as_mut().filter(|until| **until > now));
        let (count, first) = orphans.fold((0_usize, None::<&mut Nanoseconds>), |(count, first), until| {
            let earlier = first.as_ref().is_none_or(|first| *until < **first);
            (count.saturating_add(1), if earlier { Some(until) } else { first })
        });
        if let Some(first) = first.filter(|_| count > ORPHANS_MAX) {
            *first = now;
        }
    }

    /// Whether a connection that nobody holds has still something to send.
    pub(super) fn is_sending(&self, sockets: &Sockets) -> bool {
        let mut abandoned = self.connections.values().filter(|connection| connection.orphaned.is_some());
        abandoned.any(|connection| {
            let socket = sockets.get::<Socket>(connection.handle);
            match socket.state() {
                State::Closed => socket.remote_endpoint().is_some(),
                State::FinWait2 | State::TimeWait => false,
                _ => true,
            }
        })
    }

    /// When [`settle`](Self::settle) has something to do, at the latest.
    pub(super) fn next(&self, now: Nanoseconds) -> Option<Nanoseconds> {
        (!self.changing.is_empty()).then(|| now.saturating_add(LOOK))
    }

    /// Looks after the connections that come about or end.
    pub(super) fn settle(&mut self, sockets: &mut Sockets, ports: &mut Ports, now: Nanoseconds) {
        let mut changing = mem::take(&mut self.changing);
        changing.retain(|&id| {
            let again = self.settle_one(sockets, ports, id, now);
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.changing = again;
            }
            again
        });
        self.changing.append(&mut changing);
        self.ended.notify();
    }

    /// Whether it is to be looked after again.
    fn settle_one(&mut self, sockets: &mut Sockets, ports: &mut Ports, id: Id, now: Nanoseconds) -> bool {
        let Some(connection) = self.connections.get_mut(&id) else { return false };
        let state = connection.socket(sockets).state();
        if connection.connecting {
            match state {
                State::SynSent | State::SynReceived if connection.orphaned.is_none() => return true,
                // smoltcp listens again after a reset.
                State::Closed | State::Listen => {
                    let late = sockets.timed_out(connection.handle);
                    connection.failed = Some(if late { Error::TimedOut } else { Error::ConnectionRefused });
                }
                _ => {}
            }
            connection.connecting = false;
            let socket = connection.change(sockets);
            socket.set_timeout(None);
            let listener = connection.listener.and_then(|id| self.listeners.get_mut(&id));
            if let Some(listener) = listener {
                listener.coming = listener.coming.saturating_sub(1);
                match connection.failed {
                    Some(_) => connection.orphaned = Some(0),
                    None => {
                        listener.options.apply(socket);
                        listener.accepted.push_back(id);
                        listener.notify.notify();
                    }
                }
            }
            connection.notify.notify();
        }
        if connection.orphaned.is_some_and(|deadline| deadline <= now)
            && connection.socket(sockets).state() != State::Closed
        {
            connection.change(sockets).abort();
        }
        let socket = sockets.get_mut::<Socket>(connection.handle);
        match socket.state() {
            State::TimeWait if connection.orphaned.is_some() => {
                if !mem::replace(&mut connection.waits, true) {
                    self.time_wait.push_back(id);
                }
                if let Some(port) = connection.port.take() {
                    ports.release(&port);
                }
                if self.time_wait.len() > TIME_WAIT_MAX
                    && let Some(oldest) = self.time_wait.pop_front()
                {
                    self.forget(sockets, oldest);
                }
                true
            }
            State::TimeWait => {
                connection.finished = true;
                keep(socket, &mut connection.rest);
                true
            }
            // It has to say so to the other end, if that can still be reached.
            State::Closed if socket.remote_endpoint().is_some() && connection.may_reset(now) => true,
            State::Closed if connection.orphaned.is_some() => {
                if let Some(port) = connection.port.take() {
                    ports.release(&port);
                }
                self.forget(sockets, id);
                false
            }
            State::FinWait1 | State::FinWait2 | State::Closing | State::LastAck => true,
            _ => connection.orphaned.is_some(),
        }
    }
}

/// Keeps what has not been read.
fn keep(socket: &mut Socket<'static>, rest: &mut VecDeque<u8>) {
    while socket.can_recv() {
        let taken = socket.recv(|bytes| {
            // No more than its buffer held, which is given back.
            rest.extend(&*bytes);
            (bytes.len(), bytes.len())
        });
        if taken.is_err() {
            return;
        }
    }
}

/// A socket with buffers as large as the options say.
///
/// # Errors
/// [`Error::NoMemory`].
pub(super) fn socket(options: &Options) -> Result<Socket<'static>> {
    let [receive, send] = [options.receive_buffer, options.send_buffer]
        .map(|size| Ok(SocketBuffer::new(heap::filled(size, 0)?)));
    let mut socket = Socket::new(receive?, send?);
    options.apply(&mut socket);
    Ok(socket)
}

/// An address as smoltcp listens on it: any for the unspecified one.
pub(super) fn listen_endpoint(local: IpEndpoint) -> IpListenEndpoint {
    let addr: Option<IpAddress> = (!local.addr.is_unspecified()).then_some(local.addr);
    IpListenEndpoint { addr, port: local.port }
}
