//! What is received: heads, and bodies as far as somebody asks for them.

use super::{
    super::{
        Error, RequestHead, ResponseHead,
        decoder::Decoder,
        fields::Fields,
        head::{self, Scanner},
    },
    state::{Link, Receiving, Sending, Side, State},
};
use alloc::boxed::Box;
use core::{
    mem,
    task::{Context, Poll, ready},
};

/// Heads before the one that counts.
const INTERIM_MAX: u32 = 32;

impl State {
    pub(super) fn poll_response(&mut self) -> Poll<Result<ResponseHead, Error>> {
        let Side::Client { response, .. } = &mut self.side else {
            return Poll::Ready(Err(Error::Internal("a server has no response")));
        };
        match response.take() {
            Some(head) => Poll::Ready(Ok(*head)),
            None => self.poll_failed().map(Err),
        }
    }

    /// The trailers, behind the end of the body.
    pub(super) fn take_trailers(&mut self) -> Option<Fields> {
        match &mut self.receiving {
            Receiving::Done(trailers) => trailers.take(),
            Receiving::Head(_) | Receiving::Body(_) => None,
        }
    }

    /// Receives the head of the response, if it is there.
    pub(super) fn receive_response(
        &mut self,
        task: &mut Context<'_>,
        progress: &mut bool,
    ) -> Result<(), Error> {
        loop {
            let too_large =
                Error::ResponseHeadSize(u32::try_from(self.limits.head_bytes).unwrap_or(u32::MAX));
            let Poll::Ready(received) = self.poll_head(task, too_large)? else {
                self.expect();
                return Ok(());
            };
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
                    self.receiving = Receiving::Body(Decoder::new(delivery.framing, true));
                    // Its first byte is the body's (wasi:http, first-byte-timeout).
                    self.expected(self.patience);
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

    pub(super) fn poll_request(
        &mut self,
        task: &mut Context<'_>,
    ) -> Poll<Result<Option<RequestHead>, Error>> {
        if let Some(error) = self.failed {
            // It is the client's to say what it wants, and it has not begun.
            return Poll::Ready(Err(error));
        }
        let limit = u32::try_from(self.limits.head_bytes).unwrap_or(u32::MAX);
        let before = self.has_begun();
        let polled = self.poll_head(task, Error::RequestHeadSize(limit));
        if !before && self.has_begun() {
            self.expected(self.limits.head_time);
        }
        if polled.is_pending() {
            self.expect();
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
        self.expected(self.limits.read_time);
        self.method = Some(head.method.clone());
        self.receiving = Receiving::Body(Decoder::new(delivery.framing, false));
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
    pub(super) fn poll_available(&mut self, task: &mut Context<'_>) -> Poll<Result<usize, Error>> {
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
                if self.waits && self.is_overdue() {
                    self.fail(Error::ReadTimeout);
                    return Poll::Ready(Err(Error::ReadTimeout));
                }
                return Poll::Pending;
            }
            Poll::Ready(Ok(0)) => {
                let trailers = decoder.take_trailers();
                self.note_end(trailers);
            }
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(error)) => self.fail(error),
        }
        self.expected(self.limits.read_time);
        polled
    }

    fn note_end(&mut self, trailers: Option<Fields>) {
        if let Side::Server { delivery: Some(delivery), .. } = &mut self.side {
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
    pub(super) fn poll_read(
        &mut self,
        task: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<Result<usize, Error>> {
        let there = ready!(self.poll_available(task))?;
        let (Receiving::Body(decoder), Link::Open(connection)) = (&mut self.receiving, &mut self.link) else {
            return Poll::Ready(Ok(0));
        };
        let count = there.min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), connection.received().get(..count)) {
            to.copy_from_slice(from);
        }
        decoder.take(connection, count);
        Poll::Ready(Ok(count))
    }

    /// Throws away up to `max` bytes of the body; whether it is at its end.
    pub(super) fn poll_skip(&mut self, task: &mut Context<'_>, max: usize) -> Poll<Result<bool, Error>> {
        let mut skipped = 0_usize;
        while skipped < max {
            let there = ready!(self.poll_available(task))?;
            if there == 0 {
                return Poll::Ready(Ok(true));
            }
            if let (Receiving::Body(decoder), Link::Open(connection)) = (&mut self.receiving, &mut self.link)
            {
                decoder.take(connection, there);
            }
            skipped = skipped.saturating_add(there);
        }
        Poll::Ready(Ok(false))
    }
}
