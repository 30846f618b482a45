//! A connection's bytes: what was received and not yet understood, and what is still to be sent.

use super::Error;
use crate::{
    heap,
    io::{InputStream, OutputStream},
};
use alloc::{sync::Arc, vec::Vec};
use core::{
    mem,
    task::{Context, Poll, ready},
};

/// A connection to a peer: bytes from it and bytes to it. Dropping both closes it.
#[derive(Clone)]
pub struct Transport {
    /// What comes from the peer.
    pub input: Arc<dyn InputStream>,
    /// What goes to it.
    pub output: Arc<dyn OutputStream>,
}

/// What is read at once, at most.
const READ: usize = 8 << 10;
/// What is read at first: most heads are shorter, and a buffer is to be cleared.
const READ_FIRST: usize = 1 << 10;

/// A connection with its buffers. They are there only while something is in them: one that is idle has none.
pub(super) struct Connection {
    transport: Transport,
    received: Vec<u8>,
    /// Where in `received` that begins which is not yet understood, and where it ends.
    start: usize,
    end: usize,
    /// What is read at once for now: more where there was more than that.
    read: usize,
    unsent: Vec<u8>,
    /// How much of `unsent` has left.
    sent: usize,
}

impl Connection {
    pub(super) fn new(transport: Transport) -> Self {
        Self {
            transport,
            received: Vec::new(),
            start: 0,
            end: 0,
            read: READ_FIRST,
            unsent: Vec::new(),
            sent: 0,
        }
    }

    /// What was received and not yet [consumed](Self::consume).
    pub(super) fn received(&self) -> &[u8] {
        self.received.get(self.start..self.end).unwrap_or_default()
    }

    /// So many bytes of what was received are understood.
    pub(super) fn consume(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Gives back the memory of buffers that are empty.
    pub(super) fn rest(&mut self) {
        if self.start == self.end {
            self.received = Vec::new();
            self.read = READ_FIRST;
        }
        if self.unsent.is_empty() {
            self.unsent = Vec::new();
        }
    }

    /// Receives more; 0 bytes are the end.
    pub(super) fn poll_receive(&mut self, task: &mut Context<'_>) -> Poll<Result<usize, Error>> {
        if self.received.len().saturating_sub(self.end) == 0 {
            // Without a buffer until something is there.
            ready!(self.transport.input.poll_readable(task))?;
            self.make_room()?;
        }
        let room = self.received.get_mut(self.end..).unwrap_or_default();
        let count = ready!(self.transport.input.poll_read(task, room))?.min(room.len());
        if count == room.len() {
            self.read = self.read.saturating_mul(2).min(READ);
        }
        self.end = self.end.saturating_add(count);
        Poll::Ready(Ok(count))
    }

    fn make_room(&mut self) -> Result<(), Error> {
        if self.start > 0 {
            self.received.copy_within(self.start..self.end, 0);
            self.end = self.end.saturating_sub(self.start);
            self.start = 0;
        }
        let wanted = self.end.saturating_add(self.read);
        if self.received.len() < wanted {
            heap::reserve(&mut self.received, wanted.saturating_sub(self.end))?;
            self.received.resize(wanted, 0);
        }
        Ok(())
    }

    /// Bytes that are to be sent. Whoever adds to them sees to it that they do not become many.
    pub(super) fn outbox(&mut self) -> &mut Vec<u8> {
        &mut self.unsent
    }

    /// How many bytes are still to be sent.
    pub(super) fn unsent(&self) -> usize {
        self.unsent.len().saturating_sub(self.sent)
    }

    /// Sends all; `progress` is set where some of it has left.
    pub(super) fn poll_send(
        &mut self,
        task: &mut Context<'_>,
        progress: &mut bool,
    ) -> Poll<Result<(), Error>> {
        while let Some(rest) = self.unsent.get(self.sent..).filter(|rest| !rest.is_empty()) {
            let count = ready!(self.transport.output.poll_write(task, rest))?;
            self.sent = self.sent.saturating_add(count);
            *progress |= count > 0;
        }
        if self.unsent.capacity() > READ {
            self.unsent = Vec::new();
        }
        self.unsent.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }

    /// Waits until what was sent has left this side.
    pub(super) fn poll_flush(&mut self, task: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.poll_send(task, &mut false))?;
        self.transport.output.poll_flush(task).map_err(Into::into)
    }

    /// Nothing more is sent.
    pub(super) fn give_up_sending(&mut self) {
        mem::take(&mut self.unsent);
        self.sent = 0;
    }

    /// How many bytes the buffers have room for.
    #[cfg(test)]
    pub(super) fn buffered(&self) -> usize {
        self.received.capacity().saturating_add(self.unsent.capacity())
    }
}
