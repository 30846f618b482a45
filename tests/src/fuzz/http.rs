//! HTTP as it comes from a peer, who says whatever he likes.
//!
//! What must hold: what is understood does not depend on how the bytes are cut into pieces; and a request that is taken and
//! sent on is, at the next server, the same request and one request only.

use super::machine::StepClock;
use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
};
use wasi::{
    http::{
        Error, Exchange, Fields, IncomingBody, Limits, Method, OutgoingBody, RequestHead, Scheme, Timeouts,
        Transport, request,
    },
    io::{InputStream, NullOutput, OutputStream, PipeReader, PipeWriter, pipe},
};

/// A message that was received: what its head says, the body and the trailers.
type Received<H> = Result<(H, Vec<u8>, Option<Fields>), Error>;

/// Runs the target on `data`: how it is cut, and what the peer says.
pub fn run(data: &[u8]) {
    let [how, wire @ ..] = data else { return };
    let piece = usize::from(how >> 2) + 1;
    if how & 1 == 0 {
        let (whole, more) = requests(wire, wire.len().max(1));
        assert_eq!(
            (&whole, &more),
            (&requests(wire, piece).0, &requests(wire, piece).1),
            "in pieces of {piece}"
        );
        if let Ok(received) = whole {
            sent_on(received);
        }
    } else {
        let method = if how & 2 == 0 { "GET" } else { "HEAD" };
        assert_eq!(
            response(wire, wire.len().max(1), method),
            response(wire, piece, method),
            "in pieces of {piece}"
        );
    }
}

fn noop() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// Bytes that come in pieces, and then the end.
struct Pieces<'w> {
    pieces: std::slice::Chunks<'w, u8>,
    output: Option<PipeWriter>,
}

impl<'w> Pieces<'w> {
    fn new(wire: &'w [u8], piece: usize) -> (PipeReader, Self) {
        let (input, output) = pipe(wire.len().max(1));
        (input, Self { pieces: wire.chunks(piece), output: Some(output) })
    }

    fn more(&mut self) {
        match (self.pieces.next(), &self.output) {
            (Some(piece), Some(output)) => {
                let sent = output.poll_write(&mut noop(), piece);
                assert_eq!(sent, Poll::Ready(Ok(piece.len())), "there is room for all");
            }
            (None, Some(_)) => self.output = None,
            (_, None) => panic!("it waits for more than the end"),
        }
    }

    fn body(&mut self, body: &IncomingBody) -> Result<(Vec<u8>, Option<Fields>), Error> {
        let (mut all, mut buffer) = (Vec::new(), [0; 300]);
        loop {
            match body.poll_read(&mut noop(), &mut buffer) {
                Poll::Ready(Ok(0)) => break,
                Poll::Ready(Ok(count)) => all.extend_from_slice(&buffer[..count]),
                Poll::Ready(Err(wasi::Error::Http(error))) => return Err(error),
                Poll::Ready(Err(error)) => panic!("{error}"),
                Poll::Pending => self.more(),
            }
        }
        match body.poll_trailers(&mut noop()) {
            Poll::Ready(trailers) => Ok((all, trailers?)),
            Poll::Pending => panic!("the trailers were there at the body's end"),
        }
    }
}

/// The first request, and whether the connection goes on behind it with something.
fn requests(wire: &[u8], piece: usize) -> (Received<RequestHead>, Option<bool>) {
    let (input, mut pieces) = Pieces::new(wire, piece);
    let transport = Transport { input: Arc::new(input), output: Arc::new(NullOutput) };
    let exchange = Exchange::server(transport, Limits::default(), StepClock::new());
    let received = first(&exchange, &mut pieces);
    if received.is_err()
        || exchange.respond(wasi::http::ResponseHead { status: 200, fields: Fields::new() }, None).is_err()
    {
        return (received, None);
    }
    let next = loop {
        match exchange.poll_finish(&mut noop()) {
            Poll::Ready(next) => break next.ok().flatten(),
            Poll::Pending => pieces.more(),
        }
    };
    (received, next.map(|next| !matches!(first(&next, &mut pieces), Err(Error::ConnectionTerminated))))
}

fn first(exchange: &Exchange, pieces: &mut Pieces<'_>) -> Received<RequestHead> {
    let head = loop {
        match exchange.poll_request(&mut noop()) {
            Poll::Ready(head) => break head?.ok_or(Error::ConnectionTerminated)?,
            Poll::Pending => pieces.more(),
        }
    };
    let (body, trailers) = pieces.body(&exchange.incoming_body())?;
    Ok((head, body, trailers))
}

fn response(wire: &[u8], piece: usize, method: &str) -> Received<(u16, Fields)> {
    let (input, mut pieces) = Pieces::new(wire, piece);
    let transport = Transport { input: Arc::new(input), output: Arc::new(NullOutput) };
    let head = RequestHead {
        method: Method::new(method).expect("a method"),
        scheme: Scheme::Http,
        authority: Some("host".into()),
        path_with_query: None,
        fields: Fields::new(),
    };
    let exchange = request(Box::new(transport), head, None, Timeouts::default(), StepClock::new())?;
    let head = loop {
        match exchange.poll_response(&mut noop()) {
            Poll::Ready(head) => break head?,
            Poll::Pending => pieces.more(),
        }
    };
    let (body, trailers) = pieces.body(&exchange.incoming_body())?;
    Ok(((head.status, head.fields), body, trailers))
}

/// Sends a request on as a proxy does, and looks at what comes of it.
fn sent_on((head, body, trailers): (RequestHead, Vec<u8>, Option<Fields>)) {
    let outgoing = Arc::new(OutgoingBody::of_request(&head.fields));
    let (input, wire) = pipe(1 << 20);
    let (_nothing, never) = pipe(1);
    let transport = Transport { input: Arc::new(_nothing), output: Arc::new(wire) };
    let sent = RequestHead { authority: head.authority.clone().or(Some("host".into())), ..head };
    let made = request(
        Box::new(transport),
        sent.clone(),
        Some(outgoing.clone()),
        Timeouts::default(),
        StepClock::new(),
    );
    let Ok(exchange) = made else { return };
    let mut rest = &body[..];
    while !rest.is_empty() {
        match outgoing.poll_write(&mut noop(), rest) {
            Poll::Ready(Ok(count)) => rest = &rest[count..],
            other => panic!("there is room for all: {other:?}"),
        }
    }
    outgoing.finish(trailers.clone()).expect("a body as long as it was");
    assert!(exchange.poll_response(&mut noop()).is_pending());
    drop((exchange, never));

    let mut bytes = vec![0; 1 << 20];
    let mut len = 0;
    while let Poll::Ready(Ok(count @ 1..)) = input.poll_read(&mut noop(), &mut bytes[len..]) {
        len += count;
    }
    let (again, more) = requests(&bytes[..len], len);
    let (head, again, behind) = again.expect("what this side sends");
    let path = sent
        .path_with_query
        .as_deref()
        .map(|path| if path.starts_with('?') { format!("/{path}") } else { path.into() });
    assert_eq!(head.path_with_query, Some(path.unwrap_or("/".into())));
    assert_eq!((&head.method, &head.authority), (&sent.method, &sent.authority));
    let of_program = |fields: &Fields| {
        let fields = fields.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("content-length"));
        fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<Vec<_>>()
    };
    assert_eq!(of_program(&head.fields), of_program(&sent.fields));
    assert_eq!(again, body);
    if let (Some(behind), Some(trailers)) = (behind, trailers) {
        assert_eq!(behind, trailers);
    }
    assert_eq!(more, None, "connections are not kept for another request");
}
