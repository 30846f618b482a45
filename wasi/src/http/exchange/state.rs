//! How far a request and its response are: what was sent and received of them, and what comes next. Who waits for it is not known
//! here.

use super::super::{
    Error, Limits, Method, OutgoingBody, RequestHead, ResponseHead, SECOND, Timeouts,
    client::Connect,
    connection::Connection,
    decoder::Decoder,
    fields::Fields,
    head::{Coding, Delivery, Scanner},
};
use crate::{
    clocks::{Clock, Timer},
    types::Nanoseconds,
};
use alloc::{boxed::Box, sync::Arc};
use core::{
    mem,
    task::{Context, Poll, Waker, ready},
};

pub(super) enum Link {
    Connecting(Box<dyn Connect>),
    Open(Box<Connection>),
    Closed,
}

/// What this side sends.
pub(super) enum Sending {
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
pub(super) enum Receiving {
    Head(Scanner),
    Body(Decoder),
    Done(Option<Fields>),
}

pub(super) enum Side {
    Client {
        response: Option<Box<ResponseHead>>,
        interim: u32,
    },
    Server {
        delivery: Option<Delivery>,
        /// Whether the connection can carry another request.
        reusable: bool,
    },
}

pub(super) struct State {
    pub(super) link: Link,
    pub(super) side: Side,
    /// Of the request.
    pub(super) method: Option<Method>,
    pub(super) sending: Sending,
    pub(super) receiving: Receiving,
    pub(super) failed: Option<Error>,
    pub(super) limits: Limits,
    pub(super) clock: Arc<dyn Clock>,
    /// Whether whoever polls now waits, or only looks.
    pub(super) waits: bool,
    /// How long the peer may take for what comes next: a connection, the first of a message, or more of its body.
    pub(super) patience: Nanoseconds,
    /// Until when that has to be there, once somebody waits for it.
    pub(super) read_by: Option<Nanoseconds>,
    pub(super) write_by: Option<Nanoseconds>,
    pub(super) timer: Timer,
    pub(super) armed: Option<Nanoseconds>,
}

/// What is thrown away of a request that its handler did not read, so that the connection can be used again.
const DRAINED: usize = 64 << 10;

/// Whoever waits comes this soon when the time is up.
const PROMPT: Nanoseconds = SECOND;

impl State {
    fn new(link: Link, side: Side, limits: Limits, clock: Arc<dyn Clock>) -> Self {
        Self {
            link,
            side,
            method: None,
            sending: Sending::Nothing,
            receiving: Receiving::Head(Scanner::of_request()),
            failed: None,
            waits: false,
            patience: limits.idle_time,
            limits,
            read_by: None,
            write_by: None,
            timer: Timer::new(clock.timers().clone()),
            armed: None,
            clock,
        }
    }

    /// A client's, which has a request to send.
    pub(super) fn client(
        connect: Box<dyn Connect>,
        head: RequestHead,
        body: Option<Arc<OutgoingBody>>,
        timeouts: Timeouts,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let limits = Limits {
            read_time: timeouts.between_bytes,
            write_time: timeouts.between_bytes,
            idle_time: timeouts.first_byte,
            ..Limits::default()
        };
        let side = Side::Client { response: None, interim: 0 };
        let mut state = Self::new(Link::Connecting(connect), side, limits, clock);
        state.receiving = Receiving::Head(Scanner::of_response());
        state.patience = timeouts.connect;
        state.method = Some(head.method.clone());
        state.coding(&head.fields, body.as_deref(), None)?;
        state.sending = Sending::Request(Box::new(head), body);
        Ok(state)
    }

    /// A server's, which waits for a request.
    pub(super) fn server(connection: Box<Connection>, limits: Limits, clock: Arc<dyn Clock>) -> Self {
        let side = Side::Server { delivery: None, reusable: false };
        Self::new(Link::Open(connection), side, limits, clock)
    }

    /// What a connection's exchanges have in common.
    pub(super) fn surroundings(&self) -> (Limits, Arc<dyn Clock>) {
        (self.limits, self.clock.clone())
    }

    /// The connection is closed behind this response.
    pub(super) fn close_after(&mut self) {
        if let Side::Server { delivery: Some(delivery), .. } = &mut self.side {
            delivery.keep_alive = false;
        }
    }

    pub(super) fn poll_failed(&self) -> Poll<Error> {
        self.failed.map_or(Poll::Pending, Poll::Ready)
    }

    #[cfg(test)]
    pub(super) fn buffered(&self) -> usize {
        match &self.link {
            Link::Open(connection) => connection.buffered(),
            _ => 0,
        }
    }

    /// Does all that can be done without anybody who reads; whether anything was.
    pub(super) fn advance(&mut self, task: &mut Context<'_>) -> bool {
        let mut progress = false;
        if let Err(error) = self.try_advance(task, &mut progress) {
            self.fail(error);
            progress = true;
        }
        progress
    }

    fn try_advance(&mut self, task: &mut Context<'_>, progress: &mut bool) -> Result<(), Error> {
        if let Link::Connecting(connect) = &mut self.link {
            let Poll::Ready(transport) = connect.poll_connect(task) else {
                self.expect();
                return Ok(());
            };
            self.link = Link::Open(Box::new(Connection::new(transport?)));
            *progress = true;
            self.expected(self.limits.idle_time);
        }
        self.send(task, progress)?;
        if matches!((&self.side, &self.receiving), (Side::Client { .. }, Receiving::Head(_))) {
            self.receive_response(task, progress)?;
        }
        Ok(())
    }

    pub(super) fn fail(&mut self, error: Error) {
        self.failed.get_or_insert(error);
        self.give_up_sending();
        self.link = Link::Closed;
        self.read_by = None;
        self.write_by = None;
        self.timer.clear();
        self.armed = None;
    }

    /// What comes next is waited for from now on, if it was not before; gives until when.
    pub(super) fn expect(&mut self) -> Nanoseconds {
        let by = || self.clock.monotonic().saturating_add(self.patience);
        *self.read_by.get_or_insert_with(by)
    }

    /// It is there, and what comes behind it may take so long.
    pub(super) fn expected(&mut self, next: Nanoseconds) {
        self.read_by = None;
        self.patience = next;
    }

    /// Somebody waits for more of a body, of which there is none: whether they have waited for too long. Whoever comes when the time
    /// is long up was not there when it was, and waits anew.
    pub(super) fn is_overdue(&mut self) -> bool {
        let (by, now) = (self.expect(), self.clock.monotonic());
        let is_prompt = now < by.saturating_add(PROMPT);
        if !is_prompt {
            self.read_by = None;
            self.expect();
        }
        now >= by && is_prompt
    }

    /// Whether the peer has taken too long; if not, the timer is set for when that will be so. For more of a body the timer only wakes
    /// those who wait for it: it is their business.
    pub(super) fn is_late(&mut self, waker: &Waker) -> bool {
        let (read_by, write_by) = (self.read_by.unwrap_or(u64::MAX), self.write_by.unwrap_or(u64::MAX));
        if read_by.min(write_by) == u64::MAX {
            return false;
        }
        let now = self.clock.monotonic();
        let of_body = matches!(self.receiving, Receiving::Body(_)) && matches!(self.link, Link::Open(_));
        let read_by = if of_body && now >= read_by { u64::MAX } else { read_by };
        let by = read_by.min(write_by);
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

    /// Waits until the response has left; the connection, if it can be used again.
    pub(super) fn poll_finish(
        &mut self,
        task: &mut Context<'_>,
    ) -> Poll<Result<Option<Box<Connection>>, Error>> {
        if let Some(error) = self.failed {
            return Poll::Ready(Err(error));
        }
        let Link::Open(connection) = &mut self.link else { return Poll::Ready(Ok(None)) };
        if !matches!(self.sending, Sending::Done) || connection.unsent() > 0 {
            return Poll::Pending;
        }
        let reusable = match &self.side {
            Side::Server { reusable, .. } => *reusable,
            Side::Client { .. } => false,
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
