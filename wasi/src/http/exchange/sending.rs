//! What is sent: heads, and of bodies as much as the connection takes.

use super::{
    super::{
        Error, Method, OutgoingBody, ResponseHead, date,
        fields::{self, Fields},
        head::{self, Coding},
        outgoing::Taken,
    },
    state::{Link, Receiving, Sending, Side, State},
};
use alloc::{boxed::Box, sync::Arc};
use core::{
    mem,
    task::{Context, Poll},
};

/// Beyond so many bytes that are still to be sent, no more are taken of a body.
const UNSENT: usize = 32 << 10;

impl State {
    /// See [`Exchange::respond`](super::Exchange::respond).
    pub(super) fn respond(
        &mut self,
        head: ResponseHead,
        body: Option<Arc<OutgoingBody>>,
    ) -> Result<(), Error> {
        if self.has_responded() {
            return Err(Error::Protocol("a second response"));
        }
        if head.status < 200 {
            return Err(Error::Protocol("a response that is only informational"));
        }
        self.coding(&head.fields, body.as_deref(), Some(head.status))?;
        self.sending = Sending::Response(Box::new(head), body);
        Ok(())
    }

    /// See [`Exchange::inform`](super::Exchange::inform).
    pub(super) fn inform(&mut self, head: &ResponseHead) -> Result<(), Error> {
        if !matches!(head.status, 100 | 102..200) || self.has_responded() {
            return Err(Error::Protocol("not an informational response"));
        }
        let tells = self.peer_is_1_1();
        if let (Link::Open(connection), true) = (&mut self.link, tells) {
            if connection.unsent() >= UNSENT {
                return Err(Error::Internal("too many informational responses at once"));
            }
            head::write_response(connection.outbox(), head, Coding::Nothing, None, None);
        }
        Ok(())
    }

    /// Whether a response was begun.
    pub(super) fn has_responded(&self) -> bool {
        !matches!(self.sending, Sending::Nothing)
    }

    /// Whether all has left that `is_taken` says is taken, or nothing more will.
    pub(super) fn is_sent(&self, is_taken: impl Fn() -> bool) -> bool {
        match &self.link {
            Link::Open(connection) => is_taken() && connection.unsent() == 0,
            Link::Connecting(_) => false,
            Link::Closed => true,
        }
    }

    pub(super) fn give_up_sending(&mut self) {
        if let Sending::Body(body, _) | Sending::Request(_, Some(body)) | Sending::Response(_, Some(body)) =
            mem::replace(&mut self.sending, Sending::Failed)
        {
            body.fail();
        }
    }

    /// How a body is to be delimited.
    pub(super) fn coding(
        &self,
        fields: &Fields,
        body: Option<&OutgoingBody>,
        status: Option<u16>,
    ) -> Result<Coding, Error> {
        let mut lengths = fields.get("content-length");
        let declared = lengths.next().and_then(fields::content_length);
        if lengths.next().is_some() {
            return Err(Error::Protocol("more than one Content-Length"));
        }
        let (method, is_1_1) = (self.method.as_ref(), self.peer_is_1_1());
        if let (Some(status), Some(method)) = (status, method)
            && let Some(coding) = head::bodiless(status, method)
        {
            return Ok(coding);
        }
        let length = match body {
            None => Some(0),
            Some(body) => body.length(),
        };
        Ok(match (declared, length) {
            (Some(1..), _) if body.is_none() => {
                return Err(match status {
                    Some(_) => Error::ResponseBodySize(0),
                    None => Error::RequestBodySize(0),
                });
            }
            (Some(declared), _) => Coding::Length(declared, true),
            (None, Some(0)) if status.is_none() && !method.is_some_and(Method::expects_body) => {
                Coding::Nothing
            }
            (None, Some(length)) => Coding::Length(length, false),
            (None, None) if is_1_1 => Coding::Chunked,
            (None, None) => Coding::Close,
        })
    }

    pub(super) fn peer_is_1_1(&self) -> bool {
        match &self.side {
            Side::Server { delivery: Some(delivery), .. } => delivery.is_1_1,
            _ => true,
        }
    }

    /// Sends what there is.
    pub(super) fn send(&mut self, task: &mut Context<'_>, progress: &mut bool) -> Result<(), Error> {
        loop {
            let more = self.prepare(progress)?;
            let Link::Open(connection) = &mut self.link else { return Ok(()) };
            let mut sent = false;
            let polled = connection.poll_send(task, &mut sent);
            *progress |= sent;
            if sent {
                self.write_by = None;
                // A server may think about a request when it has all of it.
                if matches!((&self.side, &self.receiving), (Side::Client { .. }, Receiving::Head(_))) {
                    self.read_by = None;
                }
            }
            match polled {
                Poll::Ready(Ok(())) => {
                    self.write_by = None;
                    if !more {
                        return Ok(());
                    }
                }
                Poll::Ready(Err(error)) => {
                    // A server that does not want all of a request may still have an answer.
                    if matches!(self.side, Side::Server { .. }) || error != Error::ConnectionTerminated {
                        return Err(error);
                    }
                    connection.give_up_sending();
                    self.write_by = None;
                    self.give_up_sending();
                    *progress = true;
                    return Ok(());
                }
                Poll::Pending => {
                    let by = self.clock.monotonic().saturating_add(self.limits.write_time);
                    self.write_by.get_or_insert(by);
                    return Ok(());
                }
            }
        }
    }

    /// Brings what is to be sent to the connection; whether there may be more of it behind that.
    fn prepare(&mut self, progress: &mut bool) -> Result<bool, Error> {
        let (fields, body, status) = match &self.sending {
            Sending::Request(head, body) => (&head.fields, body, None),
            Sending::Response(head, body) => (&head.fields, body, Some(head.status)),
            _ => return self.prepare_body(progress),
        };
        if body.as_ref().is_some_and(|body| body.is_aborted()) {
            return Err(Error::Protocol("its body was given up"));
        }
        let coding = self.coding(fields, body.as_deref(), status)?;
        self.write_head(coding);
        let sending = mem::replace(&mut self.sending, Sending::Done);
        if let Sending::Request(_, Some(body)) | Sending::Response(_, Some(body)) = sending {
            self.sending = Sending::Body(body, coding);
        }
        *progress = true;
        Ok(true)
    }

    fn write_head(&mut self, coding: Coding) {
        let wall = self.clock.wall().ok();
        let Link::Open(connection) = &mut self.link else { return };
        let out = connection.outbox();
        match (&self.sending, &mut self.side) {
            (Sending::Request(head, _), _) => head::write_request(out, head, coding),
            (Sending::Response(head, _), Side::Server { delivery: Some(delivery), reusable }) => {
                // Whoever was not told to continue may send the body or not.
                *reusable = delivery.keep_alive && !delivery.expects_continue && coding != Coding::Close;
                let connection = match (*reusable, delivery.is_1_1) {
                    (true, true) => None,
                    (true, false) => Some("keep-alive"),
                    (false, _) => Some("close"),
                };
                head::write_response(out, head, coding, connection, wall.map(date::format).as_deref());
            }
            (Sending::Response(head, _), _) => {
                head::write_response(out, head, coding, Some("close"), wall.map(date::format).as_deref());
            }
            _ => {}
        }
    }

    fn prepare_body(&mut self, progress: &mut bool) -> Result<bool, Error> {
        let (Sending::Body(body, coding), Link::Open(connection)) = (&self.sending, &mut self.link) else {
            return Ok(false);
        };
        if connection.unsent() >= UNSENT {
            return Ok(false);
        }
        let taken = body.take(connection.outbox(), *coding)?;
        *progress |= taken != Taken::Nothing;
        if taken == Taken::End {
            self.sending = Sending::Done;
        }
        Ok(taken == Taken::Some)
    }
}
