//! One connection: rustls's states, driven by whoever polls.
//!
//! rustls reads from and writes to byte slices; what lives here moves those to and from the streams underneath, and
//! keeps what is under way within bounds, whatever the server sends.

use super::Error;
use crate::{
    Result, heap,
    io::{InputStream, OutputStream, Readiness},
};
use alloc::{sync::Arc, vec::Vec};
use core::{
    fmt, mem,
    task::{Context, Poll, Waker, ready},
};
use rustls::{
    client::UnbufferedClientConnection,
    unbuffered::{ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic},
};
use spin::Mutex;

/// The plaintext of a record at most (RFC 8446, section 5.1).
const TEXT_MAX: usize = 1 << 14;
/// Read at once: a record with what encryption adds to it at most.
const PIECE: usize = TEXT_MAX + 256 + 5;
/// What came and is not understood yet at most: a handshake message (rustls takes no longer ones), and the record after it.
pub(super) const INCOMING_MAX: usize = (1 << 16) + PIECE;
/// What waits to be sent at most, before nothing more is read: only a server that wants many answers and reads none gets there.
pub(super) const OUTGOING_MAX: usize = 4 * PIECE;
/// What is read in one turn at most; then others have theirs. Handshakes, tickets and the like: data ends a turn by itself.
const TURN: usize = 1 << 17;
/// What rustls and the cryptography may take from the heap for a step at most: they cannot be refused.
const STEP_MEMORY: usize = 1 << 18;

/// A connection to a server: both streams of it. The handshake is done by whoever polls it first; nothing is written before the
/// server's certificate has been verified.
///
/// Reading ends (0) when the server has said goodbye. A stream that ends before that, like every other failure, is an error, and
/// [`error`](Self::error) says which. Dropped, it says goodbye as far as its output takes that at once.
pub struct Stream {
    state: Mutex<State>,
    input: Arc<dyn InputStream>,
    output: Arc<dyn OutputStream>,
}

struct State {
    connection: UnbufferedClientConnection,
    incoming: Incoming,
    /// Records to be sent.
    outgoing: Queue,
    /// What was received and verified.
    text: Queue,
    /// The handshake is done.
    established: bool,
    /// The server has said goodbye.
    ended: bool,
    /// We have.
    closed: bool,
    failed: Option<Error>,
}

/// What came and is not understood yet: the first `len` of `bytes`.
#[derive(Default)]
struct Incoming {
    bytes: Vec<u8>,
    len: usize,
}

/// Bytes, of which the first `done` are gone.
#[derive(Default)]
struct Queue {
    bytes: Vec<u8>,
    done: usize,
}

/// What a step is to send, once it can.
#[derive(Clone, Copy)]
enum Request<'a> {
    Nothing,
    Text(&'a [u8]),
    Goodbye,
}

impl Stream {
    pub(super) fn new(
        connection: UnbufferedClientConnection,
        input: Arc<dyn InputStream>,
        output: Arc<dyn OutputStream>,
    ) -> Self {
        let state = Mutex::new(State {
            connection,
            incoming: Incoming::default(),
            outgoing: Queue::default(),
            text: Queue::default(),
            established: false,
            ended: false,
            closed: false,
            failed: None,
        });
        Self { state, input, output }
    }

    /// Waits until the server is known to be who it should be.
    ///
    /// # Errors
    /// Why it is not, or why that cannot be told.
    pub fn poll_handshake(&self, task: &mut Context<'_>) -> Poll<core::result::Result<(), Error>> {
        self.poll_until(task, |state| state.established)
    }

    /// Says goodbye (`close_notify`), and waits until that is sent. Nothing can be written any more; reading goes on.
    ///
    /// # Errors
    /// Those of the stream underneath, and why the handshake failed.
    pub fn poll_close(&self, task: &mut Context<'_>) -> Poll<Result<()>> {
        ready!(self.poll_handshake(task)).map_err(Error::of_stream)?;
        self.state.lock().close().map_err(Error::of_stream)?;
        self.poll_flush(task)
    }

    /// Why the connection failed, if it did.
    pub fn error(&self) -> Option<Error> {
        self.state.lock().failed
    }

    /// How many bytes the buffers have room for.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        let state = self.state.lock();
        let vectors = [&state.incoming.bytes, &state.outgoing.bytes, &state.text.bytes];
        vectors.into_iter().map(Vec::capacity).sum()
    }

    /// Moves what there is to move until `enough`, or the end.
    fn poll_until(
        &self,
        task: &mut Context<'_>,
        enough: fn(&State) -> bool,
    ) -> Poll<core::result::Result<(), Error>> {
        let state = &mut *self.state.lock();
        let mut left = TURN;
        loop {
            if enough(state) {
                return Poll::Ready(Ok(()));
            }
            state.usable()?;
            let stepped = state.step(Request::Nothing);
            // Also the alert that says what was wrong.
            let sent = state.send(&*self.output, task);
            stepped?;
            if let Poll::Ready(result) = sent {
                result.or_else(|error| state.fail(error))?;
            } else if state.outgoing.len() > OUTGOING_MAX {
                return Poll::Pending;
            }
            if enough(state) {
                return Poll::Ready(Ok(()));
            }
            let Some(rest) = left.checked_sub(PIECE) else {
                task.waker().wake_by_ref();
                return Poll::Pending;
            };
            left = rest;
            if let Err(error) = ready!(state.incoming.fill(&*self.input, task)) {
                return Poll::Ready(state.fail(error));
            }
        }
    }

    /// Waits until there is something to read, or the end.
    fn poll_text(&self, task: &mut Context<'_>) -> Poll<core::result::Result<(), Error>> {
        self.poll_until(task, |state| state.text.len() > 0 || state.ended)
    }

    /// Waits until a record can be sent, or never will be.
    fn poll_room(&self, task: &mut Context<'_>) -> Poll<Result<()>> {
        ready!(self.poll_handshake(task)).map_err(Error::of_stream)?;
        let state = &mut *self.state.lock();
        state.usable().map_err(Error::of_stream)?;
        state.poll_sent(&*self.output, task)
    }
}

impl InputStream for Stream {
    fn poll_read(&self, task: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize>> {
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        ready!(self.poll_text(task)).map_err(Error::of_stream)?;
        Poll::Ready(Ok(self.state.lock().text.take(buffer)))
    }

    fn poll_readable(&self, task: &mut Context<'_>) -> Poll<Result<Readiness>> {
        ready!(self.poll_text(task)).map_err(Error::of_stream)?;
        let state = self.state.lock();
        Poll::Ready(Ok(Readiness { bytes: state.text.len() as u64, hangup: state.ended }))
    }
}

impl OutputStream for Stream {
    fn poll_write(&self, task: &mut Context<'_>, buffer: &[u8]) -> Poll<Result<usize>> {
        ready!(self.poll_room(task))?;
        let state = &mut *self.state.lock();
        if state.closed {
            return Poll::Ready(Err(crate::Error::Pipe));
        }
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let taken = buffer.get(..TEXT_MAX).unwrap_or(buffer);
        state.step(Request::Text(taken)).map_err(Error::of_stream)?;
        // As much as goes now. The rest, and whatever goes wrong, is for the next call.
        let _ = state.send(&*self.output, task);
        Poll::Ready(Ok(taken.len()))
    }

    fn poll_writable(&self, task: &mut Context<'_>) -> Poll<Result<Readiness>> {
        ready!(self.poll_room(task))?;
        Poll::Ready(Ok(Readiness { bytes: TEXT_MAX as u64, hangup: self.state.lock().closed }))
    }

    fn poll_flush(&self, task: &mut Context<'_>) -> Poll<Result<()>> {
        let state = &mut *self.state.lock();
        ready!(state.poll_sent(&*self.output, task))?;
        self.output.poll_flush(task)
    }
}

impl State {
    /// # Errors
    /// What it failed with before.
    fn usable(&self) -> core::result::Result<(), Error> {
        self.failed.map_or(Ok(()), Err)
    }

    /// Notes why it failed. What was verified before can still be read.
    fn fail<T>(&mut self, error: Error) -> core::result::Result<T, Error> {
        Err(*self.failed.get_or_insert(error))
    }

    /// Understands what came, as far as that goes without more, and prepares what is to be sent.
    fn step(&mut self, request: Request<'_>) -> core::result::Result<(), Error> {
        heap::check_for(STEP_MEMORY).map_err(Error::Stream)?;
        self.process(request).or_else(|error| {
            self.last_words();
            self.fail(error)
        })
    }

    /// Prepares the alert that says what was wrong, if there is one. rustls gives it first, and must not be asked for more: it would
    /// look at what was wrong again.
    fn last_words(&mut self) {
        let state = self.connection.process_tls_records(self.incoming.filled()).state;
        if let Ok(ConnectionState::EncodeTlsData(mut data)) = state {
            // Without it the connection ends too.
            let _ = self.outgoing.encode(&mut data);
        }
    }

    fn process(&mut self, mut request: Request<'_>) -> core::result::Result<(), Error> {
        loop {
            let UnbufferedStatus { mut discard, state } =
                self.connection.process_tls_records(self.incoming.filled());
            let mut on = true;
            let result = match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    // One record: whoever reads comes again. Whoever writes goes on until it is written, since what came is given
                    // before there is leave to write; it is no more than `incoming` held.
                    on = !matches!(request, Request::Nothing);
                    match traffic.next_record() {
                        Some(Ok(record)) => {
                            discard = discard.saturating_add(record.discard);
                            self.text.push(record.payload)
                        }
                        Some(Err(error)) => Err(error.into()),
                        None => Ok(()),
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => self.outgoing.encode(&mut data),
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    Ok(())
                }
                Ok(ConnectionState::PeerClosed) => {
                    self.ended = true;
                    Ok(())
                }
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    self.established = true;
                    on = false;
                    self.outgoing.request(&mut traffic, mem::replace(&mut request, Request::Nothing))
                }
                Ok(ConnectionState::BlockedHandshake | ConnectionState::Closed) => {
                    on = false;
                    Ok(())
                }
                // Only servers have early data to read.
                Ok(_) => Err(Error::Protocol),
                Err(error) => Err(error.into()),
            };
            self.incoming.discard(discard);
            result?;
            if !on {
                return Ok(());
            }
        }
    }

    /// Waits until all is sent that is to be.
    fn poll_sent(&mut self, output: &dyn OutputStream, task: &mut Context<'_>) -> Poll<Result<()>> {
        let sent = ready!(self.send(output, task)).or_else(|error| self.fail(error));
        Poll::Ready(sent.map_err(Error::of_stream))
    }

    /// Prepares the goodbye, once.
    fn close(&mut self) -> core::result::Result<(), Error> {
        if mem::replace(&mut self.closed, true) {
            return Ok(());
        }
        self.usable()?;
        self.step(Request::Goodbye)
    }

    /// Sends what is to be sent.
    fn send(
        &mut self,
        output: &dyn OutputStream,
        task: &mut Context<'_>,
    ) -> Poll<core::result::Result<(), Error>> {
        while self.outgoing.len() > 0 {
            match ready!(output.poll_write(task, self.outgoing.left())) {
                Ok(count) => self.outgoing.skip(count),
                Err(error) => return Poll::Ready(Err(Error::Stream(error))),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Incoming {
    fn filled(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..self.len).unwrap_or_default()
    }

    /// Reads what is there, up to [`PIECE`].
    fn fill(
        &mut self,
        input: &dyn InputStream,
        task: &mut Context<'_>,
    ) -> Poll<core::result::Result<(), Error>> {
        let end = self.len.saturating_add(PIECE);
        if end > INCOMING_MAX {
            return Poll::Ready(Err(Error::Protocol));
        }
        if let Some(more) = end.checked_sub(self.bytes.len()) {
            self.bytes.try_reserve(more).map_err(|_| Error::Stream(crate::Error::NoMemory))?;
            self.bytes.resize(end, 0);
        }
        let room = self.bytes.get_mut(self.len..end).unwrap_or_default();
        match ready!(input.poll_read(task, room)) {
            Ok(0) => Poll::Ready(Err(Error::Truncated)),
            Ok(count) => {
                self.len = self.len.saturating_add(count).min(end);
                Poll::Ready(Ok(()))
            }
            Err(error) => Poll::Ready(Err(Error::Stream(error))),
        }
    }

    /// Forgets the first bytes.
    fn discard(&mut self, count: usize) {
        let count = count.min(self.len);
        self.bytes.copy_within(count..self.len, 0);
        self.len = self.len.saturating_sub(count);
        // Handshakes are long, and over.
        if self.len == 0 && self.bytes.len() > PIECE {
            self.bytes = Vec::new();
        }
    }
}

impl Queue {
    fn left(&self) -> &[u8] {
        self.bytes.get(self.done..).unwrap_or_default()
    }

    fn len(&self) -> usize {
        self.left().len()
    }

    fn skip(&mut self, count: usize) {
        self.done = self.done.saturating_add(count);
        if self.len() == 0 {
            self.bytes.clear();
            self.done = 0;
        }
    }

    fn take(&mut self, buffer: &mut [u8]) -> usize {
        let count = buffer.len().min(self.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), self.left().get(..count)) {
            to.copy_from_slice(from);
        }
        self.skip(count);
        count
    }

    fn push(&mut self, bytes: &[u8]) -> core::result::Result<(), Error> {
        self.bytes.try_reserve(bytes.len()).map_err(|_| Error::Stream(crate::Error::NoMemory))?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Appends what `write` puts into a buffer; it says how large that must be if it is too small.
    fn append(
        &mut self,
        mut write: impl FnMut(&mut [u8]) -> core::result::Result<usize, Option<usize>>,
    ) -> core::result::Result<(), Error> {
        let start = self.bytes.len();
        let mut written = write(&mut []);
        if let Err(Some(size)) = written {
            self.bytes.try_reserve(size).map_err(|_| Error::Stream(crate::Error::NoMemory))?;
            self.bytes.resize(start.saturating_add(size), 0);
            written = write(self.bytes.get_mut(start..).unwrap_or_default());
        }
        self.bytes.truncate(start.saturating_add(written.unwrap_or(0)));
        // Too many records under one key, if not too small a buffer.
        written.map_or(Err(Error::Protocol), |_| Ok(()))
    }

    fn encode<D>(&mut self, data: &mut EncodeTlsData<'_, D>) -> core::result::Result<(), Error> {
        self.append(|buffer| match data.encode(buffer) {
            Err(EncodeError::InsufficientSize(size)) => Err(Some(size.required_size)),
            result => result.map_err(|_| None),
        })
    }

    fn request<D>(
        &mut self,
        traffic: &mut WriteTraffic<'_, D>,
        request: Request<'_>,
    ) -> core::result::Result<(), Error> {
        let size = |error| match error {
            EncryptError::InsufficientSize(size) => Some(size.required_size),
            EncryptError::EncryptExhausted => None,
        };
        match request {
            Request::Nothing => Ok(()),
            Request::Text(text) => self.append(|buffer| traffic.encrypt(text, buffer).map_err(size)),
            Request::Goodbye => self.append(|buffer| traffic.queue_close_notify(buffer).map_err(size)),
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        if state.established && state.close().is_ok() {
            let _ = state.send(&*self.output, &mut Context::from_waker(Waker::noop()));
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}
