//! smoltcp's sockets, and which of them have something to do.
//!
//! smoltcp walks a whole set of sockets for each frame and each time that it is asked what to do next. So each socket has a set
//! of its own here: a frame is shown to the one socket that it is for, and in a turn only those are asked that something has
//! happened to, or whose time has come. The others cost nothing.

use super::{
    device::{Egress, Link},
    neighbours::Neighbours,
};
use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    vec::Vec,
};
use core::mem;
use smoltcp::{
    iface::{Interface, SocketHandle, SocketSet},
    socket::{
        AnySocket,
        tcp::{self, State},
        udp,
    },
    time::{Duration, Instant},
    wire::IpAddress,
};

/// How often those that have something to send are asked for a packet in a row.
const ROUNDS: usize = 64;
/// A pause before what smoltcp calls due at once and then does not do.
const SHORTEST: Duration = Duration::from_micros(200);
/// How long what is sent may stay unacknowledged.
const UNACKNOWLEDGED: Duration = Duration::from_secs(120);

/// A socket's number. None is used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Handle(u64);

/// The sockets.
pub(super) struct Sockets {
    entries: BTreeMap<Handle, Entry>,
    next: u64,
    /// Those that something has happened to since they were last asked for a packet.
    touched: VecDeque<Handle>,
    /// When the others have something to do.
    due: BTreeSet<(Instant, Handle)>,
    /// Those that wait for a neighbour's address.
    unresolved: BTreeSet<Handle>,
    neighbours: Neighbours,
    /// What has become of datagrams.
    outcomes: Vec<(Handle, Outcome)>,
    /// For what is for no socket.
    none: SocketSet<'static>,
}

/// What has become of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It has been sent, and its socket is no more.
    Sent,
    /// It waits for a neighbour's address.
    Unresolved,
    /// It has waited too long for it, and its socket is no more.
    Unreachable,
}

struct Entry {
    set: SocketSet<'static>,
    socket: SocketHandle,
    touched: bool,
    due: Option<Instant>,
    /// Where its packets go, if it is not a connection's.
    to: Vec<IpAddress>,
    /// For how long it waits for a neighbour's address, and until when, if it is one datagram's.
    datagram: Option<(Duration, Option<Instant>)>,
    /// Its other end has not been heard of for too long.
    timed_out: bool,
}

impl Entry {
    fn tcp(&self) -> Option<&tcp::Socket<'static>> {
        self.set.iter().find_map(|(_, socket)| tcp::Socket::downcast(socket))
    }

    /// Where its packets go.
    fn destinations(&self) -> impl Iterator<Item = IpAddress> {
        let remote = self.tcp().and_then(tcp::Socket::remote_endpoint).map(|remote| remote.addr);
        self.to.iter().copied().chain(remote)
    }
}

impl Sockets {
    pub(super) fn new() -> Self {
        Self {
            entries: BTreeMap::new(),
            next: 0,
            touched: VecDeque::new(),
            due: BTreeSet::new(),
            unresolved: BTreeSet::new(),
            neighbours: Neighbours::default(),
            outcomes: Vec::new(),
            none: SocketSet::new(Vec::new()),
        }
    }

    /// Adds a socket.
    pub(super) fn add(&mut self, socket: impl AnySocket<'static>) -> Handle {
        let handle = Handle(self.next);
        self.next = self.next.wrapping_add(1);
        let mut set = SocketSet::new(Vec::with_capacity(1));
        let socket = set.add(socket);
        let entry = Entry {
            set,
            socket,
            touched: false,
            due: None,
            to: Vec::new(),
            datagram: None,
            timed_out: false,
        };
        self.entries.insert(handle, entry);
        self.touch(handle);
        handle
    }

    /// Adds a socket that has one datagram to send. It is removed when that is sent, or has waited so long for the address of a
    /// neighbour.
    pub(super) fn add_datagram(
        &mut self,
        socket: udp::Socket<'static>,
        to: IpAddress,
        patience: Duration,
    ) -> Handle {
        let handle = self.add(socket);
        if let Some(entry) = self.entries.get_mut(&handle) {
            entry.to.push(to);
            entry.datagram = Some((patience, None));
        }
        handle
    }

    /// What has become of datagrams since this was last asked.
    pub(super) fn take_outcomes(&mut self) -> Vec<(Handle, Outcome)> {
        mem::take(&mut self.outcomes)
    }

    /// Removes a socket, as it is.
    pub(super) fn remove(&mut self, handle: Handle) {
        if let Some(due) = self.entries.remove(&handle).and_then(|entry| entry.due) {
            self.due.remove(&(due, handle));
        }
        self.unresolved.remove(&handle);
    }

    /// A socket that there is, of this kind.
    ///
    /// # Panics
    /// If there is none: as smoltcp's.
    pub(super) fn get<T: AnySocket<'static>>(&self, handle: Handle) -> &T {
        match self.entries.get(&handle) {
            Some(entry) => entry.set.get(entry.socket),
            None => panic!("there is no socket {handle:?}"),
        }
    }

    /// The same, for what gives it nothing to send.
    ///
    /// # Panics
    /// As for [`get`](Self::get).
    pub(super) fn get_mut<T: AnySocket<'static>>(&mut self, handle: Handle) -> &mut T {
        match self.entries.get_mut(&handle) {
            Some(entry) => entry.set.get_mut(entry.socket),
            None => panic!("there is no socket {handle:?}"),
        }
    }

    /// The same, and has it asked for a packet in the next turn.
    ///
    /// # Panics
    /// As for [`get`](Self::get).
    pub(super) fn change<T: AnySocket<'static>>(&mut self, handle: Handle) -> &mut T {
        self.touch(handle);
        self.get_mut(handle)
    }

    /// Has a socket asked for a packet in the next turn.
    pub(super) fn touch(&mut self, handle: Handle) {
        let Some(entry) = self.entries.get_mut(&handle).filter(|entry| !entry.touched) else { return };
        entry.touched = true;
        if let Some(due) = entry.due.take() {
            self.due.remove(&(due, handle));
        }
        self.touched.push_back(handle);
    }

    /// Says where a socket's packets go, if it is not a connection's.
    pub(super) fn sends_to(&mut self, handle: Handle, to: Vec<IpAddress>) {
        if let Some(entry) = self.entries.get_mut(&handle) {
            entry.to = to;
        }
    }

    /// Has all asked, since the machine's addresses are others now.
    pub(super) fn touch_all(&mut self) {
        let all: Vec<_> = self.entries.keys().copied().collect();
        all.into_iter().for_each(|handle| self.touch(handle));
    }

    /// Has those asked that wait for a neighbour's address: one may be known now.
    pub(super) fn touch_unresolved(&mut self) {
        let waiting: Vec<_> = self.unresolved.iter().copied().collect();
        waiting.into_iter().for_each(|handle| self.touch(handle));
    }

    /// Whether a connection's other end has been silent for too long.
    pub(super) fn timed_out(&self, handle: Handle) -> bool {
        self.entries.get(&handle).is_some_and(|entry| entry.timed_out)
    }

    /// Lets the stack have a frame for this socket, or for none. `false` when it has to wait for room to answer it.
    pub(super) fn ingress(
        &mut self,
        at: Instant,
        link: &mut dyn Link,
        interface: &mut Interface,
        handle: Option<Handle>,
    ) -> bool {
        let entry = handle.and_then(|handle| self.entries.get_mut(&handle));
        let taken = link.ingress(at, interface, entry.map_or(&mut self.none, |entry| &mut entry.set));
        if let Some(handle) = handle {
            self.touch(handle);
        }
        taken
    }

    /// Sends what there is to send, up to a bound.
    pub(super) fn egress(&mut self, at: Instant, link: &mut dyn Link, interface: &mut Interface) {
        while let Some(&(_, handle)) = self.due.first().filter(|(due, _)| *due <= at) {
            self.touch(handle);
        }
        // What is left of a packet in fragments.
        if link.egress(at, interface, &mut self.none) == Egress::Full {
            return;
        }
        for _ in 0..ROUNDS {
            for _ in 0..self.touched.len() {
                let Some(handle) = self.touched.pop_front() else { break };
                let Some(entry) = self.entries.get_mut(&handle) else { continue };
                let is_open = |entry: &Entry| {
                    entry.tcp().is_some_and(|tcp| !matches!(tcp.state(), State::Closed | State::TimeWait))
                };
                let open = is_open(entry);
                let sent = link.egress(at, interface, &mut entry.set);
                // Silence is all that closes it here, but that its address is not the machine's any more: then nothing is sent.
                entry.timed_out |= open && !is_open(entry) && sent != Egress::Nothing;
                if sent != Egress::Full && self.is_over(at, handle) {
                    self.remove(handle);
                    continue;
                }
                let Some(entry) = self.entries.get(&handle) else { continue };
                match sent {
                    Egress::Sent => {
                        self.unresolved.remove(&handle);
                        self.touched.push_back(handle);
                    }
                    Egress::Full => {
                        self.touched.push_front(handle);
                        return;
                    }
                    Egress::Unresolved { asked } => {
                        self.unresolved.insert(handle);
                        for to in entry.destinations() {
                            self.neighbours.ask(at, link, interface, to, asked);
                        }
                        self.plan(at, interface, handle);
                    }
                    // Perhaps since it is not yet time to ask again.
                    Egress::Nothing => self.plan(at, interface, handle),
                }
            }
            if self.touched.is_empty() {
                return;
            }
        }
    }

    /// Whether all is over with a socket that has been asked for a packet, since it was one datagram's.
    fn is_over(&mut self, at: Instant, handle: Handle) -> bool {
        let Some(entry) = self.entries.get_mut(&handle) else { return true };
        let Some((patience, until)) = &mut entry.datagram else { return false };
        let outcome = match *until {
            // There is room for one.
            _ if entry.set.get::<udp::Socket>(entry.socket).can_send() => Outcome::Sent,
            Some(until) if until <= at => Outcome::Unreachable,
            Some(_) => return false,
            None => {
                *until = Some(at + *patience);
                Outcome::Unresolved
            }
        };
        self.outcomes.push((handle, outcome));
        outcome != Outcome::Unresolved
    }

    /// Notes when a socket has something to do that has nothing to send now.
    fn plan(&mut self, at: Instant, interface: &mut Interface, handle: Handle) {
        let Some(entry) = self.entries.get_mut(&handle) else { return };
        if let Some(tcp) = entry.set.iter_mut().find_map(|(_, socket)| tcp::Socket::downcast_mut(socket)) {
            bound_silence(tcp);
        }
        entry.touched = false;
        let due = interface.poll_at(at, &entry.set).map(|due| due.max(at + SHORTEST));
        let until = entry.datagram.and_then(|(_, until)| until);
        entry.due = [due, until].into_iter().flatten().min();
        if let Some(due) = entry.due {
            self.due.insert((due, handle));
        }
    }

    /// Whether there is something to do at once.
    pub(super) fn is_busy(&self) -> bool {
        !self.touched.is_empty()
    }

    /// When there is something to do, as far as it is known.
    pub(super) fn next(&self, at: Instant, interface: &mut Interface) -> Option<Instant> {
        // What is left of a packet in fragments.
        let fragments = interface.poll_at(at, &self.none);
        fragments.or_else(|| self.due.first().map(|&(due, _)| due))
    }

    /// How many cost something.
    #[cfg(all(test, feature = "std"))]
    pub(super) fn waiting(&self) -> usize {
        self.touched.len() + self.due.len()
    }
}

/// Bounds how long what a connection has sent may stay unacknowledged. smoltcp would end one on which nothing is to be said, too.
fn bound_silence(socket: &mut tcp::Socket<'static>) {
    let coming = matches!(socket.state(), State::Listen | State::SynSent | State::SynReceived);
    if !coming && socket.keep_alive().is_none() {
        socket.set_timeout((socket.send_queue() > 0).then_some(UNACKNOWLEDGED));
    }
}
