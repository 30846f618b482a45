//! A request and its response on their connection, and who waits for what of them.

use super::{
    Error, Limits, Method, OutgoingBody, RequestHead, ResponseHead, Timeouts,
    client::Connect,
    connection::{Connection, Transport},
    date,
    decoder::Decoder,
    fields::Fields,
    head::{self, Coding, Delivery, Scanner},
    outgoing::Taken,
};
use crate::{
    clocks::{Clock, Timer},
    io::{InputStream, Readiness},
    types::Nanoseconds,
};
use alloc::{boxed::Box, sync::Arc, task::Wake, vec::Vec};
use core::{
    mem,
    task::{Context, Poll, Waker, ready},
};
use spin::Mutex;

/// One request and its response. Clones are the same one; when the last is dropped, and the bodies that were taken of it, the
/// connection is closed.
#[derive(Clone)]
pub struct Exchange {
    shared: Arc<Shared>,
}

/// What all that works with an exchange shares.
pub(super) struct Shared {
    state: Mutex<State>,
    waiters: Arc<Waiters>,
}

/// Who waits for anything of an exchange: its connection wakes all of them.
#[derive(Default)]
pub(super) struct Waiters(Mutex<Vec<Waker>>);

/// More do not wait for one exchange: a few streams, each for one guest.
const WAITING_MAX: usize = 64;

impl Waiters {
    pub(super) fn add(&self, task: &Context<'_>) {
        let mut waiting = self.0.lock();
        if waiting.iter().any(|waker| waker.will_wake(task.waker())) {
            return;
        }
        let crowd = if waiting.len() < WAITING_MAX { Vec::new() } else { mem::take(&mut *waiting) };
        waiting.push(task.waker().clone());
        drop(waiting);
        crowd.into_iter().for_each(Waker::wake);
    }

    pub(super) fn wake_all(&self) {
        let waiting = mem::take(&mut *self.0.lock());
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl Wake for Waiters {
    fn wake(self: Arc<Self>) {
        self.wake_all();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_all();
    }
}

enum Link {
    Connecting(Box<dyn Connect>),
    Open(Box<Connection>),
    Closed,
}

/// What this side sends.
enum Sending {
    /// A server that has not been told yet.
    Nothing,
    Request(Box<RequestHead>, Option<Arc<OutgoingBody>>),
    Response(Box<ResponseHead>, Option<Arc<OutgoingBody>>),
    Body(Arc<OutgoingBody>, Coding),
    Done,
    /// The peer takes nothing more. It may still have something to say.
    Failed,
}

/// What it receives.
enum Receiving {
    Head(Scanner),
    Body(Decoder),
    Done(Option<Fields>),
}

enum Side {
    Client {
        timeouts: Timeouts,
        /// Until when the response has to begin; known once there is a connection.
        first_byte: Option<Nanoseconds>,
        response: Option<Box<ResponseHead>>,
        interim: u32,
    },
    Server {
        delivery: Option<Delivery>,
        /// Whether the connection can carry another request.
        reusable: bool,
    },
}

struct State {
    link: Link,
    side: Side,
    /// Of the request.
    method: Option<Method>,
    sending: Sending,
    receiving: Receiving,
    failed: Option<Error>,
    limits: Limits,
    clock: Arc<dyn Clock>,
    read_by: Option<Nanoseconds>,
    write_by: Option<Nanoseconds>,
    timer: Timer,
    armed: Option<Nanoseconds>,
}

/// Beyond so many bytes that are still to be sent, no more are taken of a body.
const UNSENT: usize = 32 << 10;

/// Heads before the one that counts.
const INTERIM_MAX: u32 = 32;

/// What is thrown away in one go, before others have their turn.
const SKIPPED: usize = 256 << 10;

/// What is thrown away of a request that its handler did not read, so that the connection can be used again.
const DRAINED: usize = 64 << 10;

impl Shared {
    /// Does all that can be done, and then `work`; if that waits, it is woken when it should be tried again.
    fn poll<T>(
        &self,
        task: &mut Context<'_>,
        mut work: impl FnMut(&mut State, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.waiters.add(task);
        let waker = Waker::from(self.waiters.clone());
        let inner = &mut Context::from_waker(&waker);
        let mut state = self.state.lock();
        let mut progress = state.advance(inner);
        let mut polled = work(&mut state, inner);
        if polled.is_pending() && state.is_late(&waker) {
            progress = true;
            polled = work(&mut state, inner);
        }
        drop(state);
        // Who was told stays among those who wait: the same task may wait for something else of the exchange. A wake too many does
        // no harm.
        if progress {
            self.waiters.wake_all();
            if polled.is_pending() {
                self.waiters.add(task);
            }
        }
        polled
    }

    /// Does all that can be done, for nobody in particular.
    pub(super) fn drive(&self) {
        let waker = Waker::from(self.waiters.clone());
        let mut state = self.state.lock();
        let mut progress = state.advance(&mut Context::from_waker(&waker));
        progress |= state.is_late(&waker);
        drop(state);
        if progress {
            self.waiters.wake_all();
        }
    }

    /// Waits until all has left that `is_taken` says is taken, or nothing more will.
    pub(super) fn poll_sent(&self, task: &mut Context<'_>, is_taken: impl Fn() -> bool) -> Poll<()> {
        self.poll(task, |state, _| match &state.link {
            Link::Open(connection) if !(is_taken() && connection.unsent() == 0) => Poll::Pending,
            Link::Connecting(_) => Poll::Pending,
            _ => Poll::Ready(()),
        })
    }
}

impl Exchange {
    fn new(state: State) -> Self {
        Self { shared: Arc::new(Shared { state: Mutex::new(state), waiters: Arc::default() }) }
    }

    /// The client's side: sends a request as soon as there is a connection.
    pub(super) fn client(
        connect: Box<dyn Connect>,
        head: RequestHead,
        body: Option<Arc<OutgoingBody>>,
        timeouts: Timeouts,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let now = clock.monotonic();
        let limits = Limits {
            read_time: timeouts.between_bytes,
            write_time: timeouts.between_bytes,
            ..Limits::default()
        };
        let side = Side::Client { timeouts, first_byte: None, response: None, interim: 0 };
        let mut state = State::new(Link::Connecting(connect), side, limits, clock);
        state.receiving = Receiving::Head(Scanner::of_response());
        state.read_by = Some(now.saturating_add(timeouts.connect));
        state.method = Some(head.method.clone());
        state.coding(&head.fields, body.as_deref(), None)?;
        state.sending = Sending::Request(Box::new(head), body.clone());
        let exchange = Self::new(state);
        exchange.attach(body);
        Ok(exchange)
    }

    /// The server's side of a connection, which waits for a request.
    pub fn server(transport: Transport, limits: Limits, clock: Arc<dyn Clock>) -> Self {
        Self::next(Box::new(Connection::new(transport)), limits, clock)
    }

    fn next(connection: Box<Connection>, limits: Limits, clock: Arc<dyn Clock>) -> Self {
        let side = Side::Server { delivery: None, reusable: false };
        let mut state = State::new(Link::Open(connection), side, limits, clock);
        state.read_by = Some(state.clock.monotonic().saturating_add(limits.idle_time));
        Self::new(state)
    }

    fn attach(&self, body: Option<Arc<OutgoingBody>>) {
        if let Some(body) = body {
            body.attach(Arc::downgrade(&self.shared), self.shared.waiters.clone());
        }
    }

    /// Waits for the head of the response. It can be had once.
    ///
    /// # Errors
    /// What went wrong.
    pub fn poll_response(&self, task: &mut Context<'_>) -> Poll<Result<ResponseHead, Error>> {
        self.shared.poll(task, |state, _| match (&mut state.side, state.failed) {
            (Side::Client { response, .. }, failed) => match (response.take(), failed) {
                (Some(head), _) => Poll::Ready(Ok(*head)),
                (None, Some(error)) => Poll::Ready(Err(error)),
                (None, None) => Poll::Pending,
            },
            (Side::Server { .. }, _) => Poll::Ready(Err(Error::Internal("a server has no response"))),
        })
    }

    /// Waits for the head of a request; `None` when the client has closed the connection instead.
    ///
    /// # Errors
    /// What is wrong with it; [`Error::status`] says how to answer.
    pub fn poll_request(&self, task: &mut Context<'_>) -> Poll<Result<Option<RequestHead>, Error>> {
        self.shared.poll(task, |state, task| state.poll_request(task))
    }

    /// The body of what is received, whose head was.
    pub fn incoming_body(&self) -> IncomingBody {
        IncomingBody { shared: self.shared.clone() }
    }

    /// A server's answer.
    ///
    /// # Errors
    /// [`Error::ResponseBodySize`], if there is no body and the fields say otherwise; [`Error::Protocol`] when there was an
    /// answer before, and for fields that contradict each other.
    pub fn respond(&self, head: ResponseHead, body: Option<Arc<OutgoingBody>>) -> Result<(), Error> {
        let mut state = self.shared.state.lock();
        if !matches!(state.sending, Sending::Nothing) {
            return Err(Error::Protocol("a second response"));
        }
        if head.status < 200 {
            return Err(Error::Protocol("a response that is only informational"));
        }
        state.coding(&head.fields, body.as_deref(), Some(head.status))?;
        state.sending = Sending::Response(Box::new(head), body.clone());
        drop(state);
        self.attach(body);
        self.shared.waiters.wake_all();
        Ok(())
    }

    /// Something that a server says before its answer: a status from 100 to 199, but for that of an upgrade. Clients of
    /// HTTP/1.0 are not told.
    ///
    /// # Errors
    /// [`Error::Protocol`] for another status, and behind an answer.
    pub fn inform(&self, head: ResponseHead) -> Result<(), Error> {
        let mut state = self.shared.state.lock();
        if !matches!(head.status, 100 | 102..200) || !matches!(state.sending, Sending::Nothing) {
            return Err(Error::Protocol("not an informational response"));
        }
        let tells = state.peer_is_1_1();
        if let (Link::Open(connection), true) = (&mut state.link, tells) {
            if connection.unsent() >= UNSENT {
                return Err(Error::Internal("too many informational responses at once"));
            }
            head::write_response(connection.outbox(), &head, Coding::Nothing, None, None);
        }
        drop(state);
        self.shared.drive();
        Ok(())
    }

    /// Whether a response was begun.
    pub fn has_responded(&self) -> bool {
        !matches!(self.shared.state.lock().sending, Sending::Nothing)
    }

    /// A server's connection is closed behind this response.
    pub fn close_after(&self) {
        if let Side::Server { delivery: Some(delivery), .. } = &mut self.shared.state.lock().side {
            delivery.keep_alive = false;
        }
    }

    /// Does what there is to do while the handler of a request is still at work, and waits for the connection's failure. What the handler
    /// may still read stays.
    pub fn poll_failed(&self, task: &mut Context<'_>) -> Poll<Error> {
        self.shared.poll(task, |state, _| state.failed.map_or(Poll::Pending, Poll::Ready))
    }

    /// Waits until the response has left, and throws away what is left of the request. Gives the connection's next exchange, if it can have one.
    ///
    /// # Errors
    /// What went wrong with the connection.
    pub fn poll_finish(&self, task: &mut Context<'_>) -> Poll<Result<Option<Self>, Error>> {
        let finished = ready!(self.shared.poll(task, |state, task| state.poll_finish(task)))?;
        Poll::Ready(Ok(finished.map(|connection| {
            let state = self.shared.state.lock();
            let (limits, clock) = (state.limits, state.clock.clone());
            Self::next(connection, limits, clock)
        })))
    }
}

#[cfg(test)]
impl Exchange {
    /// How many bytes its connection's buffers have room for.
    pub fn buffered(&self) -> usize {
        match &self.shared.state.lock().link {
            Link::Open(connection) => connection.buffered(),
            _ => 0,
        }
    }
}

impl State {
    fn new(link: Link, side: Side, limits: Limits, clock: Arc<dyn Clock>) -> Self {
        Self {
            link,
            side,
            method: None,
            sending: Sending::Nothing,
            receiving: Receiving::Head(Scanner::of_request()),
            failed: None,
            limits,
            read_by: None,
            write_by: None,
            timer: Timer::new(clock.timers().clone()),
            armed: None,
            clock,
        }
    }

    /// Does all that can be done without anybody who reads; whether anything was.
    fn advance(&mut self, task: &mut Context<'_>) -> bool {
        let mut progress = false;
        if let Err(error) = self.try_advance(task, &mut progress) {
            self.fail(error);
            progress = true;
        }
        progress
    }

    fn try_advance(&mut self, task: &mut Context<'_>, progress: &mut bool) -> Result<(), Error> {
        if let Link::Connecting(connect) = &mut self.link {
            let Poll::Ready(transport) = connect.poll_connect(task) else { return Ok(()) };
            self.link = Link::Open(Box::new(Connection::new(transport?)));
            *progress = true;
            if let Side::Client { timeouts, first_byte, .. } = &mut self.side {
                let by = self.clock.monotonic().saturating_add(timeouts.first_byte);
                *first_byte = Some(by);
                self.read_by = Some(by);
            }
        }
        self.send(task, progress)?;
        if matches!((&self.side, &self.receiving), (Side::Client { .. }, Receiving::Head(_))) {
            self.receive_response(task, progress)?;
        }
        Ok(())
    }

    fn fail(&mut self, error: Error) {
        self.failed.get_or_insert(error);
        self.give_up_sending();
        self.link = Link::Closed;
        self.read_by = None;
        self.write_by = None;
        self.timer.clear();
        self.armed = None;
    }

    fn give_up_sending(&mut self) {
        if let Sending::Body(body, _) | Sending::Request(_, Some(body)) | Sending::Response(_, Some(body)) =
            mem::replace(&mut self.sending, Sending::Failed)
        {
            body.fail();
        }
    }

    /// Whether somebody has waited for too long; if not, the timer is set for when that will be so.
    fn is_late(&mut self, waker: &Waker) -> bool {
        let (read_by, write_by) = (self.read_by.unwrap_or(u64::MAX), self.write_by.unwrap_or(u64::MAX));
        let by = read_by.min(write_by);
        if by == u64::MAX {
            return false;
        }
        let now = self.clock.monotonic();
        if now >= by {
            let error = match self.link {
                Link::Connecting(_) => Error::ConnectionTimeout,
                _ if write_by <= read_by => Error::WriteTimeout,
                _ => Error::ReadTimeout,
            };
            self.fail(error);
            return true;
        }
        // One that rings too early does no harm: then it is set again.
        if self.armed.is_none_or(|armed| armed > by || armed <= now) {
            self.timer.set(by, waker.clone());
            self.armed = Some(by);
        }
        false
    }

    /// How a body is to be delimited.
    fn coding(
        &self,
        fields: &Fields,
        body: Option<&OutgoingBody>,
        status: Option<u16>,
    ) -> Result<Coding, Error> {
        let mut lengths = fields.get("content-length");
        let declared = lengths.next().and_then(super::fields::content_length);
        if lengths.next().is_some() {
            return Err(Error::Protocol("more than one Content-Length"));
        }
        let (method, is_1_1) = (self.method.as_ref(), self.peer_is_1_1());
        if let (Some(status), Some(method)) = (status, method)
            && !head::has_body(status, method)
        {
            return Ok(Coding::Nothing);
        }
        let length = match body {
            None => Some(0),
            Some(body) => body.length(),
        };
        Ok(match (declared, length) {
            (Some(1..), _) if body.is_none() => {
                return Err(match status {
                    Some(_) => Error::ResponseBodySize(0),
                    None => Error::RequestBodySize(0),
                });
            }
            (Some(declared), _) => Coding::Length(declared, true),
            (None, Some(0)) if status.is_none() && !method.is_some_and(Method::expects_body) => {
                Coding::Nothing
            }
            (None, Some(length)) => Coding::Length(length, false),
            (None, None) if is_1_1 => Coding::Chunked,
            (None, None) => Coding::Close,
        })
    }

    fn peer_is_1_1(&self) -> bool {
        match &self.side {
            Side::Server { delivery: Some(delivery), .. } => delivery.is_1_1,
            _ => true,
        }
    }

    /// Sends what there is.
    fn send(&mut self, task: &mut Context<'_>, progress: &mut bool) -> Result<(), Error> {
        loop {
            let more = self.prepare(progress)?;
            let Link::Open(connection) = &mut self.link else { return Ok(()) };
            let mut sent = false;
            let polled = connection.poll_send(task, &mut sent);
            *progress |= sent;
            if sent {
                self.write_by = None;
            }
            match polled {
                Poll::Ready(Ok(())) => {
                    self.write_by = None;
                    if !more {
                        return Ok(());
                    }
                }
                Poll::Ready(Err(error)) => {
                    // A server that does not want all of a request may still have an answer.
                    if matches!(self.side, Side::Server { .. }) || error != Error::ConnectionTerminated {
                        return Err(error);
                    }
                    connection.give_up_sending();
                    self.write_by = None;
                    self.give_up_sending();
                    *progress = true;
                    return Ok(());
                }
                Poll::Pending => {
                    let by = self.clock.monotonic().saturating_add(self.limits.write_time);
                    self.write_by.get_or_insert(by);
                    return Ok(());
                }
            }
        }
    }

    /// Brings what is to be sent to the connection; whether there may be more of it behind that.
    fn prepare(&mut self, progress: &mut bool) -> Result<bool, Error> {
        let (fields, body, status) = match &self.sending {
            Sending::Request(head, body) => (&head.fields, body, None),
            Sending::Response(head, body) => (&head.fields, body, Some(head.status)),
            _ => return self.prepare_body(progress),
        };
        if body.as_ref().is_some_and(|body| body.is_aborted()) {
            return Err(Error::Protocol("its body was given up"));
        }
        let coding = self.coding(fields, body.as_deref(), status)?;
        self.write_head(coding);
        let sending = mem::replace(&mut self.sending, Sending::Done);
        if let Sending::Request(_, Some(body)) | Sending::Response(_, Some(body)) = sending {
            self.sending = Sending::Body(body, coding);
        }
        *progress = true;
        Ok(true)
    }

    fn write_head(&mut self, coding: Coding) {
        let wall = self.clock.wall().ok();
        let Link::Open(connection) = &mut self.link else { return };
        let out = connection.outbox();
        match (&self.sending, &mut self.side) {
            (Sending::Request(head, _), _) => head::write_request(out, head, coding),
            (Sending::Response(head, _), Side::Server { delivery: Some(delivery), reusable }) => {
                // Whoever was not told to continue may send the body or not.
                *reusable = delivery.keep_alive && !delivery.expects_continue && coding != Coding::Close;
                let connection = match (*reusable, delivery.is_1_1) {
                    (true, true) => None,
                    (true, false) => Some("keep-alive"),
                    (false, _) => Some("close"),
                };
                head::write_response(out, head, coding, connection, wall.map(date::format).as_deref());
            }
            (Sending::Response(head, _), _) => {
                head::write_response(out, head, coding, Some("close"), wall.map(date::format).as_deref());
            }
            _ => {}
        }
    }

    fn prepare_body(&mut self, progress: &mut bool) -> Result<bool, Error> {
        let (Sending::Body(body, coding), Link::Open(connection)) = (&self.sending, &mut self.link) else {
            return Ok(false);
        };
        if connection.unsent() >= UNSENT {
            return Ok(false);
        }
        let taken = body.take(connection.outbox(), *coding)?;
        *progress |= taken != Taken::Nothing;
        if taken == Taken::End {
            self.sending = Sending::Done;
        }
        Ok(taken == Taken::Some)
    }

    /// Receives the head of the response, if it is there.
    fn receive_response(&mut self, task: &mut Context<'_>, progress: &mut bool) -> Result<(), Error> {
        loop {
            let too_large =
                Error::ResponseHeadSize(u32::try_from(self.limits.head_bytes).unwrap_or(u32::MAX));
            let Poll::Ready(received) = self.poll_head(task, too_large)? else { return Ok(()) };
            let (Link::Open(connection), Some(method)) = (&mut self.link, &self.method) else {
                return Ok(());
            };
            let Some(end) = received else {
                let nothing = connection.received().is_empty();
                return Err(if nothing { Error::ConnectionTerminated } else { Error::ResponseIncomplete });
            };
            let head = connection.received().get(..end).unwrap_or_default();
            let (head, delivery) = head::response(head, method, &self.limits)?;
            connection.consume(end);
            *progress = true;
            let Side::Client { response, interim, .. } = &mut self.side else { return Ok(()) };
            match head.status {
                101 => return Err(Error::Protocol("an upgrade that nobody has asked for")),
                100..200 => {
                    *interim = interim.saturating_add(1);
                    if *interim > INTERIM_MAX {
                        return Err(Error::Protocol("informational responses without end"));
                    }
                    self.receiving = Receiving::Head(Scanner::of_response());
                }
                _ => {
                    *response = Some(Box::new(head));
                    self.receiving = Receiving::Body(Decoder::new(delivery.framing, true, &self.limits));
                    self.read_by = None;
                    return Ok(());
                }
            }
        }
    }

    /// Waits for a whole head, and gives its length; `None` is the end of the connection.
    fn poll_head(&mut self, task: &mut Context<'_>, too_large: Error) -> Poll<Result<Option<usize>, Error>> {
        let (Receiving::Head(scanner), Link::Open(connection)) = (&mut self.receiving, &mut self.link) else {
            return Poll::Pending;
        };
        loop {
            let received = connection.received();
            match scanner.scan(received)? {
                Some(end) if end <= self.limits.head_bytes => return Poll::Ready(Ok(Some(end))),
                None if received.len() <= self.limits.head_bytes => {}
                _ => return Poll::Ready(Err(too_large)),
            }
            if received.is_empty() {
                connection.rest();
            }
            if ready!(connection.poll_receive(task))? == 0 {
                return Poll::Ready(Ok(None));
            }
        }
    }

    fn poll_request(&mut self, task: &mut Context<'_>) -> Poll<Result<Option<RequestHead>, Error>> {
        if let Some(error) = self.failed {
            // It is the client's to say what it wants, and it has not begun.
            return Poll::Ready(Err(error));
        }
        let limit = u32::try_from(self.limits.head_bytes).unwrap_or(u32::MAX);
        let before = self.has_begun();
        let polled = self.poll_head(task, Error::RequestHeadSize(limit));
        if !before && self.has_begun() {
            self.read_by = Some(self.clock.monotonic().saturating_add(self.limits.head_time));
        }
        let received = ready!(polled)?;
        let begun = self.has_begun();
        let Link::Open(connection) = &mut self.link else { return Poll::Ready(Ok(None)) };
        let Some(end) = received else {
            return Poll::Ready(if begun { Err(Error::ConnectionTerminated) } else { Ok(None) });
        };
        let (head, delivery) =
            head::request(connection.received().get(..end).unwrap_or_default(), &self.limits)?;
        connection.consume(end);
        self.read_by = None;
        self.method = Some(head.method.clone());
        self.receiving = Receiving::Body(Decoder::new(delivery.framing, false, &self.limits));
        self.side = Side::Server { delivery: Some(delivery), reusable: false };
        Poll::Ready(Ok(Some(head)))
    }

    /// Whether some of a request's head is there.
    fn has_begun(&self) -> bool {
        match (&self.receiving, &self.link) {
            (Receiving::Head(scanner), Link::Open(connection)) => scanner.has_begun(connection.received()),
            _ => false,
        }
    }

    /// Waits for bytes of the body: how many are there; 0 is the end.
    fn poll_available(&mut self, task: &mut Context<'_>) -> Poll<Result<usize, Error>> {
        let Receiving::Body(decoder) = &mut self.receiving else {
            return Poll::Ready(
                self.failed.filter(|_| matches!(self.receiving, Receiving::Head(_))).map_or(Ok(0), Err),
            );
        };
        let polled = match &mut self.link {
            Link::Open(connection) => decoder.poll_available(connection, &self.limits, task),
            _ if decoder.is_done() => Poll::Ready(Ok(0)),
            _ => Poll::Ready(Err(self.failed.unwrap_or(Error::ConnectionTerminated))),
        };
        match polled {
            Poll::Pending => {
                self.ask_to_continue(task)?;
                let by = self.clock.monotonic().saturating_add(self.limits.read_time);
                self.read_by.get_or_insert(by);
                return Poll::Pending;
            }
            Poll::Ready(Ok(0)) => {
                let trailers = decoder.take_trailers();
                self.note_end(trailers);
            }
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(error)) => self.fail(error),
        }
        self.read_by = None;
        polled
    }

    fn note_end(&mut self, trailers: Option<Fields>) {
        if let (Receiving::Body(decoder), Side::Server { delivery: Some(delivery), .. }) =
            (&self.receiving, &mut self.side)
        {
            delivery.keep_alive &= decoder.ends_by_itself();
            // It was sent without being asked for.
            delivery.expects_continue = false;
        }
        self.receiving = Receiving::Done(trailers);
    }

    /// Tells a client that waits for it that its body is wanted.
    fn ask_to_continue(&mut self, task: &mut Context<'_>) -> Result<(), Error> {
        let (Side::Server { delivery: Some(delivery), .. }, Link::Open(connection), Sending::Nothing) =
            (&mut self.side, &mut self.link, &self.sending)
        else {
            return Ok(());
        };
        if mem::take(&mut delivery.expects_continue) {
            connection.outbox().extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            let mut progress = false;
            self.send(task, &mut progress)?;
        }
        Ok(())
    }

    /// Some bytes of the body; none at the end.
    fn poll_read(&mut self, task: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, Error>> {
        let there = ready!(self.poll_available(task))?;
        let (Receiving::Body(decoder), Link::Open(connection)) = (&mut self.receiving, &mut self.link) else {
            return Poll::Ready(Ok(0));
        };
        let count = there.min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), connection.received().get(..count)) {
            to.copy_from_slice(from);
        }
        decoder.take(connection, count, &self.limits);
        Poll::Ready(Ok(count))
    }

    /// Throws away up to `max` bytes of the body; whether it is at its end.
    fn poll_skip(&mut self, task: &mut Context<'_>, max: usize) -> Poll<Result<bool, Error>> {
        let mut skipped = 0_usize;
        while skipped < max {
            let there = ready!(self.poll_available(task))?;
            if there == 0 {
                return Poll::Ready(Ok(true));
            }
            if let (Receiving::Body(decoder), Link::Open(connection)) = (&mut self.receiving, &mut self.link)
            {
                decoder.take(connection, there, &self.limits);
            }
            skipped = skipped.saturating_add(there);
        }
        Poll::Ready(Ok(false))
    }

    /// Waits until the response has left; the connection, if it can be used again.
    fn poll_finish(&mut self, task: &mut Context<'_>) -> Poll<Result<Option<Box<Connection>>, Error>> {
        if let Some(error) = self.failed {
            return Poll::Ready(Err(error));
        }
        let Link::Open(connection) = &mut self.link else { return Poll::Ready(Ok(None)) };
        if !matches!(self.sending, Sending::Done) || connection.unsent() > 0 {
            return Poll::Pending;
        }
        let reusable = match &self.side {
            // Who still waits to be asked for a body may send it or not.
            Side::Server { delivery: Some(delivery), reusable } => *reusable && !delivery.expects_continue,
            _ => false,
        };
        if !reusable {
            ready!(connection.poll_flush(task))?;
            return Poll::Ready(Ok(None));
        }
        // What is there of the rest of the request; who sends more has not been heard, and has to connect again.
        match self.poll_skip(task, DRAINED) {
            Poll::Ready(Ok(true)) => match mem::replace(&mut self.link, Link::Closed) {
                Link::Open(connection) => Poll::Ready(Ok(Some(connection))),
                _ => Poll::Ready(Ok(None)),
            },
            Poll::Ready(Ok(false)) => Poll::Ready(Ok(None)),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// The body of what is received: an [`InputStream`], behind which there may be trailers. Clones are the same one.
#[derive(Clone)]
pub struct IncomingBody {
    shared: Arc<Shared>,
}

impl IncomingBody {
    /// Throws away what was not read, and waits for the trailers, if there are some. They can be had once.
    ///
    /// # Errors
    /// What went wrong with the body.
    pub fn poll_trailers(&self, task: &mut Context<'_>) -> Poll<Result<Option<Fields>, Error>> {
        let waker = task.waker().clone();
        self.shared.poll(task, |state, task| {
            if !ready!(state.poll_skip(task, SKIPPED))? {
                waker.wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(Ok(match &mut state.receiving {
                Receiving::Done(trailers) => trailers.take(),
                _ => None,
            }))
        })
    }
}

impl InputStream for IncomingBody {
    fn poll_read(&self, task: &mut Context<'_>, buffer: &mut [u8]) -> Poll<crate::Result<usize>> {
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.shared.poll(task, |state, task| state.poll_read(task, buffer)).map_err(crate::Error::Http)
    }

    fn poll_readable(&self, task: &mut Context<'_>) -> Poll<crate::Result<Readiness>> {
        let there = ready!(self.shared.poll(task, |state, task| state.poll_available(task)));
        let there = there.map_err(crate::Error::Http)?;
        Poll::Ready(Ok(Readiness { bytes: there as u64, hangup: there == 0 }))
    }
}
