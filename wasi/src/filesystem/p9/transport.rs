//! How 9P messages get to a server and back: the trait that a machine implements.

use crate::Result;

/// A connection to a 9P server: one request, one reply.
///
/// The session owns its transport and has one request in flight, so an implementation needs no lock and no table of
/// tags. It looks at no byte of a message but, on a byte stream, the length that each message begins with.
pub trait Transport: Send {
    /// The longest message that can be carried, in bytes, either way. The session offers it to the server as `msize`.
    fn max_message(&self) -> usize;

    /// Sends the message that the `request` parts make up one after the other, waits for the reply, puts it into the
    /// `reply` parts one after the other, each filled before the next is touched, and returns how many bytes came.
    ///
    /// There are one or two parts either way, none empty: a header of the session's and a caller's buffer. On virtio each
    /// part is one descriptor, or several where its pages are not contiguous, and the data of a large transfer need not be
    /// copied. `reply` is as long as the longest valid reply; what is not filled stays as it was. The session checks what
    /// came.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) when the connection is lost, or when no answer comes (the wait is bounded). The
    /// session uses the transport no more after that. A device that could still write into `reply` later must
    /// have been given a buffer of the implementation's own instead.
    fn exchange(&mut self, request: &[&[u8]], reply: &mut [&mut [u8]]) -> Result<usize>;
}
