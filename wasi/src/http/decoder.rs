//! How a body that is received is delimited (RFC 9112, sections 6 and 7): by its length, in chunks, or by the end of the connection.

use super::{Error, Fields, Limits, connection::Connection, head};
use core::task::{Context, Poll, ready};

/// Finds the body in what a connection receives.
#[derive(Debug)]
pub(super) struct Decoder {
    state: State,
    /// Whether it is a response's body: the client's side.
    response: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// So many bytes are to come.
    Length(u64),
    /// All until the end of the connection.
    Close,
    /// In a chunk, of which so many bytes are to come.
    Chunk(u64),
    /// The end of a chunk's data.
    ChunkEnd,
    /// A chunk's size.
    Size,
    /// What follows the last chunk.
    Trailers(head::Scanner),
    Done(Option<Fields>),
}

/// How a body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// It has so many bytes.
    Length(u64),
    /// It comes in chunks.
    Chunked,
    /// It ends with the connection.
    Close,
}

impl Decoder {
    pub(super) fn new(framing: Framing, response: bool) -> Self {
        let state = match framing {
            Framing::Length(0) => State::Done(None),
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Size,
            Framing::Close => State::Close,
        };
        Self { state, response }
    }

    /// Whether all of the body was received, and its trailers, if there are some.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.state, State::Done(_))
    }

    /// The trailers of a body that is done.
    pub(super) fn take_trailers(&mut self) -> Option<Fields> {
        match &mut self.state {
            State::Done(trailers) => trailers.take(),
            _ => None,
        }
    }

    /// Waits for bytes of the body, and gives how many are there at the beginning of what was received; 0 is the end.
    pub(super) fn poll_available(
        &mut self,
        connection: &mut Connection,
        limits: &Limits,
        task: &mut Context<'_>,
    ) -> Poll<Result<usize, Error>> {
        loop {
            let received = connection.received();
            let there = match &mut self.state {
                State::Done(_) => return Poll::Ready(Ok(0)),
                State::Length(rest) | State::Chunk(rest) => {
                    received.len().min(usize::try_from(*rest).unwrap_or(usize::MAX))
                }
                State::Close => received.len(),
                State::ChunkEnd => match received {
                    [b'\r', b'\n', ..] => {
                        connection.consume(2);
                        self.state = State::Size;
                        continue;
                    }
                    [] | [b'\r'] => 0,
                    _ => return Poll::Ready(Err(Error::Protocol("a chunk is longer than its size"))),
                },
                State::Size => match chunk_size(received)? {
                    Some((size, line)) if line <= limits.head_bytes => {
                        connection.consume(line);
                        self.state = match size {
                            0 => State::Trailers(head::Scanner::of_trailers()),
                            size => State::Chunk(size),
                        };
                        continue;
                    }
                    None if received.len() <= limits.head_bytes => 0,
                    _ => return Poll::Ready(Err(self.too_large(limits))),
                },
                State::Trailers(scanner) => match scanner.scan(received)? {
                    Some(end) if end <= limits.head_bytes => {
                        let section = received.get(..end).unwrap_or_default();
                        let trailers = head::trailers(section, limits, self.response)?;
                        connection.consume(end);
                        self.state = State::Done(trailers);
                        continue;
                    }
                    None if received.len() <= limits.head_bytes => 0,
                    _ => return Poll::Ready(Err(self.too_large(limits))),
                },
            };
            if there > 0 {
                return Poll::Ready(Ok(there));
            }
            if ready!(connection.poll_receive(task))? == 0 {
                if self.state != State::Close {
                    let error =
                        if self.response { Error::ResponseIncomplete } else { Error::ConnectionTerminated };
                    return Poll::Ready(Err(error));
                }
                self.state = State::Done(None);
            }
        }
    }

    /// So many bytes of the body that were available are taken.
    pub(super) fn take(&mut self, connection: &mut Connection, count: usize) {
        connection.consume(count);
        self.state = match core::mem::replace(&mut self.state, State::Close) {
            State::Length(rest) => match rest.saturating_sub(count as u64) {
                0 => State::Done(None),
                rest => State::Length(rest),
            },
            State::Chunk(rest) => match rest.saturating_sub(count as u64) {
                0 => State::ChunkEnd,
                rest => State::Chunk(rest),
            },
            state => state,
        };
    }

    fn too_large(&self, limits: &Limits) -> Error {
        let limit = u32::try_from(limits.head_bytes).unwrap_or(u32::MAX);
        if self.response { Error::ResponseTrailersSize(limit) } else { Error::RequestTrailersSize(limit) }
    }
}

/// The size of a chunk and the length of the line that says it; `None` as long as the line is not there. Extensions are skipped.
fn chunk_size(received: &[u8]) -> Result<Option<(u64, usize)>, Error> {
    const WRONG: Error = Error::Protocol("a chunk's size is none");
    let mut size = 0_u64;
    let mut digits = 0_usize;
    for byte in received {
        let Some(digit) = char::from(*byte).to_digit(16) else { break };
        size = size.checked_mul(16).and_then(|size| size.checked_add(digit.into())).ok_or(WRONG)?;
        digits = digits.saturating_add(1);
    }
    // Leading zeros are no reason to read for ever.
    if digits > 16 {
        return Err(WRONG);
    }
    let rest = received.get(digits..).unwrap_or_default();
    match rest {
        [] => return Ok(None),
        [b'\r' | b';', ..] if digits > 0 => {}
        _ => return Err(WRONG),
    }
    let Some(end) = rest.iter().position(|byte| byte.is_ascii_control() && *byte != b'\t') else {
        return Ok(None);
    };
    match rest.get(end..) {
        Some([b'\r', b'\n', ..]) => Ok(Some((size, digits.saturating_add(end).saturating_add(2)))),
        Some([b'\r']) => Ok(None),
        _ => Err(WRONG),
    }
}
