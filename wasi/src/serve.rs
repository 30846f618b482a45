//! Serving: a component that exports `wasi:http/incoming-handler` answers the requests that come to a listening socket. Each request has
//! an instance to itself, with the limits of a run of its own: one that fails or does not end costs itself alone.
//!
//! All connections are one future, so that any executor will do.

use crate::{
    Command, Engine, Machine, Outcome, Program, Refusal, StartError,
    http::{Error, Exchange, Fields, Limits, RequestHead, ResponseHead, Transport},
    runner::Run,
    sockets::TcpSocket,
};
use alloc::{boxed::Box, format, string::String, sync::Arc};
use core::{
    future::{Future, poll_fn},
    mem,
    pin::{Pin, pin},
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll},
};
use futures_util::stream::{FuturesUnordered, StreamExt};

/// A component that answers HTTP requests, compiled. Cheap to clone.
#[derive(Clone)]
pub struct Handler {
    program: Program,
}

impl Handler {
    /// Compiles a component that exports `wasi:http/incoming-handler`, of any 0.2.
    ///
    /// # Errors
    /// [`Refusal`] says what is wrong, or what is missing here.
    pub fn new(engine: &Engine, wasm: &[u8]) -> Result<Self, Refusal> {
        Ok(Self { program: Program::handler(engine, wasm)? })
    }

    /// Starts an instance that answers one request; what it is handed is the command's.
    ///
    /// # Errors
    /// [`StartError`], when it cannot even begin.
    pub fn handle(
        &self,
        machine: &Machine,
        command: Command,
        head: RequestHead,
        exchange: &Exchange,
    ) -> Result<Run, StartError> {
        let (limits, slices) = (command.limits, command.slices);
        let grants = command.grants(machine)?;
        let guest = self.program.handle(machine, grants, &limits, slices, head, exchange)?;
        Ok(Run::new(guest, &self.program))
    }
}

/// What is served, and how.
#[derive(Clone)]
pub struct Server {
    /// Who answers.
    pub handler: Handler,
    /// What each instance runs on.
    pub machine: Machine,
    /// What each instance is handed, and what it may use.
    pub command: Command,
    /// What a client may do.
    pub limits: Limits,
    /// Connections at once; more wait to be accepted. At least 1.
    pub connections: usize,
}

/// A connection that is served.
struct Connection {
    /// Whether it has a request.
    busy: Arc<AtomicBool>,
    work: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Future for Connection {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<()> {
        self.work.as_mut().poll(task)
    }
}

impl Server {
    /// Serves until `stop` is ready: then no connection is accepted any more, those without a request are closed, and it ends when the last request
    /// is answered.
    ///
    /// # Errors
    /// What the listening socket fails with.
    pub async fn serve(self, listener: TcpSocket, stop: impl Future<Output = ()>) -> crate::Result<()> {
        let mut stop = pin!(stop);
        let stopping = Arc::new(AtomicBool::new(false));
        let mut connections = FuturesUnordered::new();
        poll_fn(|task| {
            if !stopping.load(Ordering::Relaxed) && stop.as_mut().poll(task).is_ready() {
                stopping.store(true, Ordering::Relaxed);
                let all: FuturesUnordered<Connection> = mem::take(&mut connections);
                connections =
                    all.into_iter().filter(|connection| connection.busy.load(Ordering::Relaxed)).collect();
            }
            loop {
                let room = connections.len() < self.connections.max(1);
                if room && !stopping.load(Ordering::Relaxed) {
                    match listener.poll_accept(task) {
                        Poll::Ready(Ok(socket)) => {
                            connections.push(self.connection(socket, stopping.clone()));
                            continue;
                        }
                        Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                        Poll::Pending => {}
                    }
                }
                match connections.poll_next_unpin(task) {
                    Poll::Ready(Some(())) => {}
                    Poll::Ready(None) if stopping.load(Ordering::Relaxed) => return Poll::Ready(Ok(())),
                    Poll::Ready(None) | Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await
    }

    fn connection(&self, socket: TcpSocket, stopping: Arc<AtomicBool>) -> Connection {
        let busy = Arc::new(AtomicBool::new(false));
        let socket = Arc::new(socket);
        let transport = Transport { input: socket.clone(), output: socket };
        let exchange = Exchange::server(transport, self.limits, self.machine.clock.clone());
        let work = self.clone().requests(exchange, busy.clone(), stopping);
        Connection { busy, work: Box::pin(work) }
    }

    /// Answers the requests of one connection, one after the other.
    async fn requests(self, mut exchange: Exchange, busy: Arc<AtomicBool>, stopping: Arc<AtomicBool>) {
        loop {
            let head = match poll_fn(|task| exchange.poll_request(task)).await {
                Ok(Some(head)) => head,
                Ok(None) => return,
                Err(error) => {
                    log::debug!("a request is refused: {error}");
                    refuse(&exchange, error.status());
                    let _ = poll_fn(|task| exchange.poll_finish(task)).await;
                    return;
                }
            };
            busy.store(true, Ordering::Relaxed);
            if stopping.load(Ordering::Relaxed) {
                exchange.close_after();
            }
            match self.request(&exchange, head).await {
                Some(next) if !stopping.load(Ordering::Relaxed) => exchange = next,
                _ => return,
            }
            busy.store(false, Ordering::Relaxed);
        }
    }

    /// Answers one request; gives the connection's next exchange, if it can have one.
    async fn request(&self, exchange: &Exchange, head: RequestHead) -> Option<Exchange> {
        let what =
            format!("{} {}", head.method.as_str(), head.path_with_query.as_deref().unwrap_or_default());
        let mut run = match self.handler.handle(&self.machine, self.command.clone(), head, exchange) {
            Ok(run) => Some(run),
            Err(error) => {
                log::warn!("{what}: {error}");
                refuse(exchange, 500);
                None
            }
        };
        let mut finished = None;
        poll_fn(|task| {
            if let Some(guest) = &mut run
                && let Poll::Ready(outcome) = Pin::new(guest).poll(task)
            {
                run = None;
                ended(exchange, &what, &outcome);
            }
            if run.is_some() {
                // It may go on when it has answered, and read on.
                if let Poll::Ready(error) = exchange.poll_failed(task) {
                    log_broken(&what, error);
                    run = None;
                    finished = Some(None);
                }
            } else if finished.is_none() {
                match exchange.poll_finish(task) {
                    Poll::Ready(Ok(next)) => finished = Some(next),
                    Poll::Ready(Err(error)) => {
                        log_broken(&what, error);
                        finished = Some(None);
                    }
                    Poll::Pending => {}
                }
            }
            if run.is_some() { Poll::Pending } else { finished.take().map_or(Poll::Pending, Poll::Ready) }
        })
        .await
    }
}

fn log_broken(what: &String, error: Error) {
    log::warn!("{what}: the response was not sent whole: {error}");
}

/// The handler is done with a request, well or not.
fn ended(exchange: &Exchange, what: &String, outcome: &Outcome) {
    let responded = exchange.has_responded();
    match (outcome.success(), responded) {
        (true, true) => return,
        (true, false) => log::warn!("{what}: the handler returned without a response"),
        (false, _) => log::warn!("{what}: {outcome}"),
    }
    if !responded {
        refuse(exchange, 500);
    }
}

/// Answers with a status alone, and closes the connection behind it.
fn refuse(exchange: &Exchange, status: u16) {
    exchange.close_after();
    // If there was an answer already, that one counts.
    let _ = exchange.respond(ResponseHead { status, fields: Fields::new() }, None);
}

#[cfg(all(test, feature = "std"))]
mod tests;
