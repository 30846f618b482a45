//! A body that is written, by somebody who may do so before there is any connection.

use super::{
    Error, Fields,
    exchange::{Shared, Waiters},
    head::{self, Coding},
};
use crate::{
    heap,
    io::{OutputStream, Readiness},
};
use alloc::{
    format,
    sync::{Arc, Weak},
    vec::Vec,
};
use core::{
    mem,
    task::{Context, Poll},
};
use spin::Mutex;

/// The body of a request or a response that this side sends: an [`OutputStream`], which takes some bytes before there is a
/// connection, and then as fast as the peer does. It must be [finished](Self::finish): one that is
/// [given up](Self::abort) breaks the connection, so that nobody takes it for whole.
pub struct OutgoingBody {
    body: Mutex<Body>,
}

struct Body {
    /// What the connection has not taken yet.
    bytes: Vec<u8>,
    /// The length that the fields say.
    declared: Option<u64>,
    of_response: bool,
    written: u64,
    end: End,
    /// Why nothing more can be written.
    failed: Option<crate::Error>,
    /// The exchange that it belongs to, once there is one.
    exchange: Option<Weak<Shared>>,
    waiters: Arc<Waiters>,
}

enum End {
    Open,
    Finished(Option<Fields>),
    Aborted,
}

/// How much is kept for a connection that takes nothing.
const BUFFER: usize = 64 << 10;

/// From here on what is written is sent even if nobody flushes.
const SENT_AT: usize = 16 << 10;

impl OutgoingBody {
    /// The body of a request with these fields.
    pub fn of_request(fields: &Fields) -> Self {
        Self::new(fields, false)
    }

    /// The body of a response with these fields.
    pub fn of_response(fields: &Fields) -> Self {
        Self::new(fields, true)
    }

    fn new(fields: &Fields, of_response: bool) -> Self {
        let declared = fields.get("content-length").next().and_then(super::fields::content_length);
        Self {
            body: Mutex::new(Body {
                bytes: Vec::new(),
                declared,
                of_response,
                written: 0,
                end: End::Open,
                failed: None,
                exchange: None,
                waiters: Arc::default(),
            }),
        }
    }

    /// All is written.
    ///
    /// # Errors
    /// [`Error::RequestBodySize`] or [`Error::ResponseBodySize`], if the fields said another length: then it is given up.
    pub fn finish(&self, trailers: Option<Fields>) -> Result<(), Error> {
        let body = self.body.lock();
        if !matches!(body.end, End::Open) {
            return Ok(());
        }
        let wrong = body.declared.is_some_and(|declared| declared != body.written);
        let size = body.size_error();
        self.end(body, if wrong { End::Aborted } else { End::Finished(trailers) });
        if wrong { Err(size) } else { Ok(()) }
    }

    /// What was written is not all of it, and will not be. Of no effect when it is finished.
    pub fn abort(&self) {
        let body = self.body.lock();
        if matches!(body.end, End::Open) {
            self.end(body, End::Aborted);
        }
    }

    fn end(&self, mut body: spin::MutexGuard<'_, Body>, end: End) {
        body.end = end;
        let exchange = body.exchange();
        let waiters = body.waiters.clone();
        drop(body);
        waiters.wake_all();
        if let Some(exchange) = exchange {
            exchange.drive();
        }
    }

    /// From now on it belongs to this exchange.
    pub(super) fn attach(&self, exchange: Weak<Shared>, waiters: Arc<Waiters>) {
        let mut body = self.body.lock();
        body.exchange = Some(exchange);
        let before = mem::replace(&mut body.waiters, waiters);
        drop(body);
        before.wake_all();
    }

    /// Nothing more can be written.
    pub(super) fn fail(&self) {
        let mut body = self.body.lock();
        body.failed.get_or_insert(crate::Error::Pipe);
        body.bytes = Vec::new();
    }

    /// It will not be sent: the message that it is of was refused.
    #[cfg_attr(not(feature = "components"), expect(dead_code, reason = "components are its users"))]
    pub(crate) fn refuse(&self) {
        self.fail();
        let waiters = self.body.lock().waiters.clone();
        waiters.wake_all();
    }

    /// How many bytes it has, if that is known already and nothing follows them.
    pub(super) fn length(&self) -> Option<u64> {
        let body = self.body.lock();
        matches!(body.end, End::Finished(None)).then_some(body.bytes.len() as u64)
    }

    /// Whether it was given up.
    pub(super) fn is_aborted(&self) -> bool {
        matches!(self.body.lock().end, End::Aborted)
    }

    /// Moves what is there to `out`, as `coding` delimits it.
    ///
    /// # Errors
    /// What was given up, and no memory.
    pub(super) fn take(&self, out: &mut Vec<u8>, coding: Coding) -> Result<Taken, Error> {
        let mut body = self.body.lock();
        let bytes = mem::take(&mut body.bytes);
        let some = !bytes.is_empty();
        if some && !matches!(coding, Coding::Nothing | Coding::Unsent) {
            heap::reserve(out, bytes.len().saturating_add(32))?;
            let chunked = coding == Coding::Chunked;
            if chunked {
                out.extend_from_slice(format!("{:x}\r\n", bytes.len()).as_bytes());
            }
            out.extend_from_slice(&bytes);
            if chunked {
                out.extend_from_slice(b"\r\n");
            }
        }
        match &mut body.end {
            End::Open => Ok(if some { Taken::Some } else { Taken::Nothing }),
            End::Aborted => Err(Error::Protocol("its body was given up")),
            End::Finished(trailers) => {
                if coding == Coding::Chunked {
                    out.extend_from_slice(b"0\r\n");
                    // What delimits a message is no trailer (RFC 9110, section 6.5.1).
                    head::write_fields(out, &trailers.take().unwrap_or_default(), false);
                }
                Ok(Taken::End)
            }
        }
    }
}

/// What came of [`OutgoingBody::take`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// Nothing was there.
    Nothing,
    /// Some.
    Some,
    /// All there will ever be.
    End,
}

impl Body {
    fn exchange(&self) -> Option<Arc<Shared>> {
        self.exchange.as_ref().and_then(Weak::upgrade)
    }

    fn size_error(&self) -> Error {
        if self.of_response {
            Error::ResponseBodySize(self.written)
        } else {
            Error::RequestBodySize(self.written)
        }
    }

    /// How many bytes can be written now.
    fn room(&self) -> crate::Result<usize> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let is_gone = self.exchange.as_ref().is_some_and(|exchange| exchange.strong_count() == 0);
        if is_gone || !matches!(self.end, End::Open) {
            return Err(crate::Error::Pipe);
        }
        Ok(BUFFER.saturating_sub(self.bytes.len()))
    }

    fn put(&mut self, buffer: &[u8]) -> crate::Result<usize> {
        let room = self.room()?;
        let taken = buffer.get(..room).unwrap_or(buffer);
        self.written = self.written.saturating_add(taken.len() as u64);
        if self.declared.is_some_and(|declared| self.written > declared) {
            let error = crate::Error::Http(self.size_error());
            self.failed = Some(error);
            self.end = End::Aborted;
            return Err(error);
        }
        heap::reserve(&mut self.bytes, taken.len())?;
        self.bytes.extend_from_slice(taken);
        Ok(taken.len())
    }
}

impl OutgoingBody {
    /// Tries `work`, which wants room; where there is none, the exchange is driven, and it is tried again.
    fn poll_room<T>(
        &self,
        task: &mut Context<'_>,
        mut work: impl FnMut(&mut Body) -> crate::Result<Option<T>>,
    ) -> Poll<crate::Result<T>> {
        let mut body = self.body.lock();
        if let Some(done) = work(&mut body)? {
            let exchange = body.exchange().filter(|_| body.bytes.len() >= SENT_AT);
            drop(body);
            if let Some(exchange) = exchange {
                exchange.drive();
            }
            return Poll::Ready(Ok(done));
        }
        body.waiters.add(task);
        let Some(exchange) = body.exchange() else { return Poll::Pending };
        drop(body);
        exchange.drive();
        match work(&mut self.body.lock())? {
            Some(done) => Poll::Ready(Ok(done)),
            None => Poll::Pending,
        }
    }
}

impl OutputStream for OutgoingBody {
    fn poll_write(&self, task: &mut Context<'_>, buffer: &[u8]) -> Poll<crate::Result<usize>> {
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.poll_room(task, |body| Ok(Some(body.put(buffer)?).filter(|count| *count > 0)))
    }

    fn poll_writable(&self, task: &mut Context<'_>) -> Poll<crate::Result<Readiness>> {
        self.poll_room(task, |body| {
            let room = body.room()?;
            Ok((room > 0).then_some(Readiness { bytes: room as u64, hangup: false }))
        })
    }

    /// Before there is a connection, nothing can leave, and nobody waits for it.
    fn poll_flush(&self, task: &mut Context<'_>) -> Poll<crate::Result<()>> {
        let exchange = self.body.lock().exchange();
        let Some(exchange) = exchange else { return Poll::Ready(self.body.lock().room().map(|_| ())) };
        let flushed = exchange.poll_sent(task, || self.body.lock().bytes.is_empty());
        if flushed.is_pending() { Poll::Pending } else { Poll::Ready(self.body.lock().room().map(|_| ())) }
    }
}
