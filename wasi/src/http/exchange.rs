//! A request and its response on their connection, and who waits for what of them.

mod receiving;
mod sending;
mod state;

use super::{
    Error, Limits, OutgoingBody, RequestHead, ResponseHead, Timeouts,
    client::Connect,
    connection::{Connection, Transport},
    fields::Fields,
};
use crate::{
    clocks::Clock,
    io::{
        InputStream, Readiness,
        waiting::{Waiting, is_looking},
    },
};
use alloc::{boxed::Box, sync::Arc, task::Wake};
use core::{
    mem,
    task::{Context, Poll, Waker, ready},
};
use spin::Mutex;
use state::State;

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
pub(super) struct Waiters(Mutex<Waiting>);

/// More do not wait for one exchange: a few streams, each for one guest.
const WAITING_MAX: usize = 64;

impl Waiters {
    pub(super) fn add(&self, task: &Context<'_>) {
        let crowd = self.0.lock().add_within(task, WAITING_MAX);
        crowd.wake();
    }

    pub(super) fn wake_all(&self) {
        let waiting = mem::take(&mut *self.0.lock());
        waiting.wake();
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
        state.waits = !is_looking(task);
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
        self.poll(task, |state, _| if state.is_sent(&is_taken) { Poll::Ready(()) } else { Poll::Pending })
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
        let state = State::client(connect, head, body.clone(), timeouts, clock)?;
        let exchange = Self::new(state);
        exchange.attach(body);
        Ok(exchange)
    }

    /// The server's side of a connection, which waits for a request.
    pub fn server(transport: Transport, limits: Limits, clock: Arc<dyn Clock>) -> Self {
        Self::next(Box::new(Connection::new(transport)), limits, clock)
    }

    fn next(connection: Box<Connection>, limits: Limits, clock: Arc<dyn Clock>) -> Self {
        Self::new(State::server(connection, limits, clock))
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
        self.shared.poll(task, |state, _| state.poll_response())
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
        self.shared.state.lock().respond(head, body.clone())?;
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
        self.shared.state.lock().inform(&head)?;
        self.shared.drive();
        Ok(())
    }

    /// Whether a response was begun.
    pub fn has_responded(&self) -> bool {
        self.shared.state.lock().has_responded()
    }

    /// A server's connection is closed behind this response.
    pub fn close_after(&self) {
        self.shared.state.lock().close_after();
    }

    /// Does what there is to do while the handler of a request is still at work, and waits for the connection's failure. What the handler
    /// may still read stays.
    pub fn poll_failed(&self, task: &mut Context<'_>) -> Poll<Error> {
        self.shared.poll(task, |state, _| state.poll_failed())
    }

    /// Waits until the response has left, and throws away what is left of the request. Gives the connection's next exchange, if it can have one.
    ///
    /// # Errors
    /// What went wrong with the connection.
    pub fn poll_finish(&self, task: &mut Context<'_>) -> Poll<Result<Option<Self>, Error>> {
        let finished = ready!(self.shared.poll(task, |state, task| state.poll_finish(task)))?;
        Poll::Ready(Ok(finished.map(|connection| {
            let (limits, clock) = self.shared.state.lock().surroundings();
            Self::next(connection, limits, clock)
        })))
    }
}

#[cfg(test)]
impl Exchange {
    /// How many bytes its connection's buffers have room for.
    pub fn buffered(&self) -> usize {
        self.shared.state.lock().buffered()
    }
}

/// What is thrown away in one go, before others have their turn.
const SKIPPED: usize = 256 << 10;

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
            Poll::Ready(Ok(state.take_trailers()))
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
