//! Requests: how they begin.

use super::{Error, Exchange, OutgoingBody, RequestHead, SECOND, Scheme, Transport};
use crate::{clocks::Clock, types::Nanoseconds};
use alloc::{boxed::Box, sync::Arc};
use core::task::{Context, Poll};

/// Makes a connection: resolves a name, connects, agrees on TLS.
pub trait Connect: Send {
    /// Waits for the connection. Not called again after that.
    ///
    /// # Errors
    /// Why there is none.
    fn poll_connect(&mut self, task: &mut Context<'_>) -> Poll<Result<Transport, Error>>;
}

/// Knows how to connect to those whom requests are for, and whether that is allowed.
pub trait Connector: Send + Sync {
    /// A connection to an [authority](super::Authority). Nothing happens before it is polled.
    ///
    /// # Errors
    /// Why there will be none: [`Error::Denied`], [`Error::UriInvalid`].
    fn connect(&self, scheme: &Scheme, authority: &str) -> Result<Box<dyn Connect>, Error>;
}

/// A connection that is there already.
impl Connect for Transport {
    fn poll_connect(&mut self, _: &mut Context<'_>) -> Poll<Result<Transport, Error>> {
        Poll::Ready(Ok(self.clone()))
    }
}

/// How long the parts of a request may take. Time passes only while somebody waits for that part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until there is a connection.
    pub connect: Nanoseconds,
    /// From the last piece of the request that was sent, until the head of the response is there; and then again until its body begins.
    pub first_byte: Nanoseconds,
    /// Between two pieces of the response's body, and of the request's, which the server has to take.
    pub between_bytes: Nanoseconds,
}

impl Default for Timeouts {
    /// Ten minutes each.
    fn default() -> Self {
        Self { connect: 600 * SECOND, first_byte: 600 * SECOND, between_bytes: 600 * SECOND }
    }
}

/// Begins a request over the connection that `connect` makes. Nothing happens until the exchange, or the body, is polled.
///
/// # Errors
/// [`Error::RequestBodySize`] for a Content-Length with no body; [`Error::Protocol`] for CONNECT, and for fields that contradict each
/// other.
pub fn request(
    connect: Box<dyn Connect>,
    head: RequestHead,
    body: Option<Arc<OutgoingBody>>,
    timeouts: Timeouts,
    clock: Arc<dyn Clock>,
) -> Result<Exchange, Error> {
    if head.method.as_str() == "CONNECT" {
        return Err(Error::Protocol("a tunnel, which is not supported"));
    }
    Exchange::client(connect, head, body, timeouts, clock)
}
