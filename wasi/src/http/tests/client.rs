//! A client's side.

use super::*;
use alloc::boxed::Box;

struct Client {
    exchange: Exchange,
    peer: Peer,
    clock: Arc<TestClock>,
}

fn head(method: &str, entries: &[(&str, &str)]) -> RequestHead {
    RequestHead {
        method: Method::new(method).unwrap(),
        scheme: Scheme::Http,
        authority: Some("h:1".into()),
        path_with_query: Some("/p?q".into()),
        fields: fields(entries),
    }
}

fn client(head: RequestHead, body: Option<Arc<OutgoingBody>>) -> Client {
    client_with(1 << 16, head, body, Timeouts::default())
}

fn client_with(
    capacity: usize,
    head: RequestHead,
    body: Option<Arc<OutgoingBody>>,
    timeouts: Timeouts,
) -> Client {
    let (transport, peer) = connection(capacity);
    let (dynamic, clock) = clock();
    Client { exchange: request(Box::new(transport), head, body, timeouts, dynamic).unwrap(), peer, clock }
}

impl Client {
    fn response(&self) -> Result<ResponseHead, Error> {
        ready(self.exchange.poll_response(&mut noop()))
    }
}

#[test]
fn a_request_as_it_goes_over_the_wire() {
    for (method, path, entries, wire) in [
        (
            "GET",
            Some("/p?q"),
            &[("A", "b")][..],
            "GET /p?q HTTP/1.1\r\nHost: h:1\r\nConnection: close\r\nA: b\r\n\r\n",
        ),
        ("GET", None, &[], "GET / HTTP/1.1\r\nHost: h:1\r\nConnection: close\r\n\r\n"),
        (
            "PATCH",
            Some("?x"),
            &[],
            "PATCH /?x HTTP/1.1\r\nHost: h:1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        ),
        (
            "POST",
            Some(""),
            &[("content-length", "0")],
            "POST / HTTP/1.1\r\nHost: h:1\r\nConnection: close\r\ncontent-length: 0\r\n\r\n",
        ),
        ("X-Y", Some("*"), &[], "X-Y * HTTP/1.1\r\nHost: h:1\r\nConnection: close\r\n\r\n"),
    ] {
        let head = RequestHead { path_with_query: path.map(ToString::to_string), ..head(method, entries) };
        let client = client(head, None);
        assert!(client.exchange.poll_response(&mut noop()).is_pending());
        assert_eq!(client.peer.receive(), wire);
    }
}

#[test]
fn bodies_that_are_sent() {
    let post = |entries: &[(&str, &str)]| {
        let head = head("POST", entries);
        let body = Arc::new(OutgoingBody::of_request(&head.fields));
        (head, body)
    };
    let start = "POST /p?q HTTP/1.1\r\nHost: h:1\r\nConnection: close\r\n";
    // Known from the start.
    let (head, body) = post(&[]);
    write(&body, "hello");
    body.finish(None).unwrap();
    let known = client(head, Some(body));
    assert!(known.exchange.poll_response(&mut noop()).is_pending());
    assert_eq!(known.peer.receive(), [start, "Content-Length: 5\r\n\r\nhello"].concat());
    // Declared, and written while nobody polls the response: flushing alone drives it.
    let (head, body) = post(&[("Content-Length", "7")]);
    let declared = client(head, Some(body.clone()));
    write(&body, "abc");
    assert_eq!(body.poll_flush(&mut noop()), Poll::Ready(Ok(())));
    assert_eq!(declared.peer.receive(), [start, "Content-Length: 7\r\n\r\nabc"].concat());
    write(&body, "defg");
    body.finish(None).unwrap();
    assert_eq!(declared.peer.receive(), "defg");
    // In chunks, with trailers.
    let (head, body) = post(&[]);
    let chunked = client(head, Some(body.clone()));
    for part in ["a", "0123456789abcdef"] {
        write(&body, part);
        assert_eq!(body.poll_flush(&mut noop()), Poll::Ready(Ok(())));
    }
    body.finish(Some(fields(&[("Sum", "17")]))).unwrap();
    assert_eq!(
        chunked.peer.receive(),
        [start, "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n10\r\n0123456789abcdef\r\n0\r\nSum: 17\r\n\r\n"]
            .concat()
    );
}

#[test]
fn bodies_that_are_received() {
    let cases: &[(&str, &str, Option<Fields>)] = &[
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd", "abc", None),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", "abc", None),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nSum: 3\r\n\r\n",
            "abc",
            Some(fields(&[("Sum", "3")]).immutable()),
        ),
        ("HTTP/1.0 200 OK\r\n\r\nabc", "abc", None),
        ("HTTP/1.1 200 \r\n\r\n", "", None),
        ("HTTP/1.1 200\r\n\r\n", "", None),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nabcde", "", None),
        ("HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", "", None),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            "",
            None,
        ),
    ];
    for (wire, expected, trailers) in cases {
        for piece in [1, 2, 3, 1000] {
            let mut client = client(head("GET", &[]), None);
            let mut pieces = wire.as_bytes().chunks(piece);
            let mut more = || match pieces.next() {
                Some(piece) => client.peer.send(piece),
                None => client.peer.output = None,
            };
            while client.exchange.poll_response(&mut noop()).map(|head| head.unwrap()).is_pending() {
                more();
            }
            let body = client.exchange.incoming_body();
            let mut all = String::new();
            loop {
                let (end, some) = read(&body);
                all += &some;
                match end.unwrap_or_else(|error| panic!("{wire:?}: {error}")) {
                    true => break,
                    false => more(),
                }
            }
            assert_eq!(all, *expected, "{wire:?} in pieces of {piece}");
            assert_eq!(ready(body.poll_trailers(&mut noop())), Ok(trailers.clone()));
            assert_eq!(ready(body.poll_trailers(&mut noop())), Ok(None), "only once");
        }
    }
    let client = client(head("HEAD", &[]), None);
    assert!(client.exchange.poll_response(&mut noop()).is_pending());
    client.peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: x\r\nA: b\r\n\r\n");
    let received = client.response().unwrap();
    assert_eq!(received.fields, fields(&[("Content-Length", "5"), ("A", "b")]).immutable());
    assert_eq!(read(&client.exchange.incoming_body()), (Ok(true), "".into()));
}

#[test]
fn responses_that_are_refused() {
    use Error::*;
    let limit = 64 << 10;
    let long = alloc::format!("HTTP/1.1 200 OK\r\nX: {}", "y".repeat(limit));
    let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(33);
    let cases: &[(&str, Check)] = &[
        ("", |e| *e == ConnectionTerminated),
        ("HTTP/1.1 200 OK\r\n", |e| *e == ResponseIncomplete),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", |e| matches!(e, Protocol(_))),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", |e| {
            matches!(e, Protocol(_))
        }),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", |e| *e == TransferCoding),
        ("HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", |e| matches!(e, Protocol(_))),
        ("HTTP/1.1 200 OK\r\nX : a\r\n\r\n", |e| matches!(e, Protocol(_))),
        ("HTTP/1.1 200 OK\nX: a\r\n\r\n", |e| matches!(e, Protocol(_))),
        ("HTTP/1.1 99 OK\r\n\r\n", |e| matches!(e, Protocol(_))),
        ("HTTP/1.1 099 OK\r\n\r\n", |e| matches!(e, Protocol(_))),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", |e| matches!(e, Protocol(_))),
        ("HTTP/2.0 200 OK\r\n\r\n", |e| *e == Version),
        ("\r\nHTTP/1.1 200 OK\r\n\r\n", |_| true),
        ("SSH-2.0-x\r\n\r\n", |_| true),
        (&long, |e| *e == ResponseHeadSize(64 << 10)),
        (&interim, |e| matches!(e, Protocol(_))),
    ];
    for (wire, expected) in cases {
        let mut client = client_with(1 << 18, head("GET", &[]), None, Timeouts::default());
        client.peer.send(wire);
        client.peer.output = None;
        let error = client.response().expect_err(wire);
        assert!(expected(&error), "{wire:?}: {error}");
        assert_eq!(client.response(), Err(error), "it stays so");
        // Nothing more is sent.
        client.peer.receive();
        assert!(client.peer.is_closed());
    }
    for (wire, error) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", ResponseIncomplete),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab", ResponseIncomplete),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", ResponseIncomplete),
    ] {
        let mut client = client(head("GET", &[]), None);
        client.peer.send(wire);
        client.peer.output = None;
        client.response().unwrap();
        let body = client.exchange.incoming_body();
        assert_eq!(read(&body), (Err(crate::Error::Http(error)), "ab".into()));
        assert_eq!(ready(body.poll_trailers(&mut noop())), Err(error));
    }
}

#[test]
fn a_server_may_answer_before_it_has_heard_all() {
    let head = head("POST", &[]);
    let body = Arc::new(OutgoingBody::of_request(&head.fields));
    let mut client = client_with(256, head, Some(body.clone()), Timeouts::default());
    while let Poll::Ready(Ok(_)) = body.poll_write(&mut noop(), &[0; 1000]) {}
    client.peer.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno");
    client.peer.input = None;
    assert_eq!(client.response().unwrap().status, 413);
    assert_eq!(body.poll_write(&mut noop(), &[0]), Poll::Ready(Err(crate::Error::Pipe)));
    assert_eq!(read(&client.exchange.incoming_body()), (Ok(true), "no".into()));
    client.peer.output = None;
}

#[test]
fn a_request_that_is_given_up_is_not_whole() {
    let head = head("POST", &[]);
    let body = Arc::new(OutgoingBody::of_request(&head.fields));
    let client = client(head, Some(body.clone()));
    write(&body, "half");
    assert_eq!(body.poll_flush(&mut noop()), Poll::Ready(Ok(())));
    body.abort();
    assert!(matches!(client.response(), Err(Error::Protocol(_))));
    assert!(client.peer.receive().ends_with("4\r\nhalf\r\n"));
    assert!(client.peer.is_closed());

    // Or whose exchange is gone.
    let head = self::head("POST", &[]);
    let body = Arc::new(OutgoingBody::of_request(&head.fields));
    let client = self::client(head, Some(body.clone()));
    drop(client.exchange);
    assert!(client.peer.is_closed());
    assert_eq!(body.poll_write(&mut noop(), b"x"), Poll::Ready(Err(crate::Error::Pipe)));
    assert_eq!(body.poll_writable(&mut noop()), Poll::Ready(Err(crate::Error::Pipe)));
}

#[test]
fn a_body_takes_some_before_there_is_a_request() {
    let head = head("PUT", &[]);
    let body = Arc::new(OutgoingBody::of_request(&head.fields));
    let wakes = Arc::new(Wakes::default());
    let waker = wakes.clone().into();
    let task = &mut Context::from_waker(&waker);
    let mut written = 0;
    while let Poll::Ready(count) = body.poll_write(task, &[b'x'; 1000]) {
        written += count.unwrap();
        assert_eq!(body.poll_flush(task), Poll::Ready(Ok(())), "nobody to wait for");
    }
    assert_eq!(written, 64 << 10);
    assert!(body.poll_writable(task).is_pending());
    let client = client_with(1 << 20, head, Some(body.clone()), Timeouts::default());
    assert!(wakes.take() > 0);
    assert!(client.exchange.poll_response(&mut noop()).is_pending());
    assert!(matches!(body.poll_writable(task), Poll::Ready(Ok(_))));
    body.finish(None).unwrap();
    assert!(client.peer.receive().ends_with("\r\n0\r\n\r\n"));
}

#[test]
fn a_request_that_contradicts_itself_is_not_made() {
    let make = |head| {
        let (transport, _peer) = connection(1);
        request(Box::new(transport), head, None, Timeouts::default(), clock().0).err()
    };
    assert_eq!(make(head("POST", &[("Content-Length", "1")])), Some(Error::RequestBodySize(0)));
    let twice = head("POST", &[("Content-Length", "0"), ("content-length", "0")]);
    assert!(matches!(make(twice), Some(Error::Protocol(_))));
    assert!(matches!(make(head("CONNECT", &[])), Some(Error::Protocol(_))));
    let body = OutgoingBody::of_request(&fields(&[("Content-Length", "2")]));
    write(&body, "a");
    assert_eq!(body.finish(None), Err(Error::RequestBodySize(1)));
    assert_eq!(body.finish(None), Ok(()), "it is over");
}

/// Never connects.
struct Never;

impl Connect for Never {
    fn poll_connect(&mut self, _: &mut Context<'_>) -> Poll<Result<Transport, Error>> {
        Poll::Pending
    }
}

#[test]
fn the_parts_of_a_request_have_their_times() {
    let timeouts = Timeouts { connect: 10, first_byte: 20, between_bytes: 30 };
    let (dynamic, clock) = clock();
    let never = request(Box::new(Never), head("GET", &[]), None, timeouts, dynamic).unwrap();
    let wakes = Arc::new(Wakes::default());
    let waker = wakes.clone().into();
    let task = &mut Context::from_waker(&waker);
    assert!(never.poll_response(task).is_pending());
    clock.advance(9);
    assert!(never.poll_response(task).is_pending());
    wakes.take();
    clock.advance(1);
    assert_eq!(wakes.take(), 1);
    assert_eq!(never.poll_response(task), Poll::Ready(Err(Error::ConnectionTimeout)));

    let client = client_with(1 << 10, head("GET", &[]), None, timeouts);
    assert!(client.exchange.poll_response(task).is_pending());
    client.clock.advance(10);
    client.peer.send("HTTP/1.1 20");
    assert!(client.exchange.poll_response(task).is_pending());
    client.clock.advance(10);
    assert_eq!(client.exchange.poll_response(task), Poll::Ready(Err(Error::ReadTimeout)));

    let client = client_with(1 << 10, head("GET", &[]), None, timeouts);
    assert!(client.exchange.poll_response(task).is_pending());
    client.clock.advance(19);
    client.peer.send("HTTP/1.1 200 OK\r\n\r\na");
    client.response().unwrap();
    let body = client.exchange.incoming_body();
    client.clock.advance(1_000);
    assert_eq!(read(&body), (Ok(false), "a".into()));
    client.clock.advance(29);
    assert_eq!(read(&body), (Ok(false), "".into()));
    client.clock.advance(1);
    assert_eq!(read(&body), (Err(crate::Error::Http(Error::ReadTimeout)), "".into()));
}

#[test]
fn the_first_byte_of_a_body_has_the_time_of_a_first_byte() {
    let timeouts = Timeouts { connect: 10, first_byte: 20, between_bytes: 5 };
    let client = client_with(1 << 10, head("GET", &[]), None, timeouts);
    client.peer.send("HTTP/1.1 200 OK\r\n\r\n");
    client.response().unwrap();
    let body = client.exchange.incoming_body();
    assert_eq!(read(&body), (Ok(false), "".into()));
    client.clock.advance(19);
    assert_eq!(read(&body), (Ok(false), "".into()));
    client.peer.send("a");
    assert_eq!(read(&body), (Ok(false), "a".into()));
    client.clock.advance(5);
    assert_eq!(read(&body), (Err(crate::Error::Http(Error::ReadTimeout)), "".into()));

    let client = client_with(1 << 10, head("GET", &[]), None, timeouts);
    client.peer.send("HTTP/1.1 200 OK\r\n\r\n");
    client.response().unwrap();
    let body = client.exchange.incoming_body();
    assert_eq!(read(&body), (Ok(false), "".into()));
    client.clock.advance(20);
    assert_eq!(read(&body), (Err(crate::Error::Http(Error::ReadTimeout)), "".into()));
}

#[test]
fn a_server_that_is_still_sent_the_request_is_not_late() {
    let timeouts = Timeouts { connect: 10, first_byte: 20, between_bytes: 30 };
    let head = head("POST", &[]);
    let body = Arc::new(OutgoingBody::of_request(&head.fields));
    let client = client_with(1 << 10, head, Some(body.clone()), timeouts);
    for _ in 0..5 {
        write(&body, "piece");
        assert_eq!(body.poll_flush(&mut noop()), Poll::Ready(Ok(())));
        assert!(client.exchange.poll_response(&mut noop()).is_pending());
        client.clock.advance(19);
    }
    body.finish(None).unwrap();
    assert!(client.exchange.poll_response(&mut noop()).is_pending());
    client.clock.advance(20);
    assert_eq!(client.response(), Err(Error::ReadTimeout));
}

#[test]
fn whoever_drives_wakes_the_others() {
    let head = head("POST", &[]);
    let body = Arc::new(OutgoingBody::of_request(&head.fields));
    let client = client(head, Some(body.clone()));
    let wakes = Arc::new(Wakes::default());
    let waker = wakes.clone().into();
    assert!(client.exchange.poll_response(&mut Context::from_waker(&waker)).is_pending());
    client.peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert!(wakes.take() > 0, "by the connection");
    write(&body, "x");
    assert!(client.exchange.poll_response(&mut Context::from_waker(&waker)).is_ready());
    body.finish(None).unwrap();

    // The writer is the one who sees the response.
    let head = self::head("POST", &[]);
    let body = Arc::new(OutgoingBody::of_request(&head.fields));
    let client = self::client(head, Some(body.clone()));
    assert!(client.exchange.poll_response(&mut Context::from_waker(&waker)).is_pending());
    wakes.take();
    client.peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    wakes.take();
    write(&body, "x");
    assert_eq!(body.poll_flush(&mut noop()), Poll::Ready(Ok(())));
    assert_eq!(client.response().unwrap().status, 200);
    assert!(ready(client.exchange.incoming_body().poll_readable(&mut noop())).unwrap().hangup);
}

#[test]
fn a_body_that_is_over_takes_no_more_and_whoever_waits_hears_of_it() {
    let body = OutgoingBody::of_request(&Fields::new());
    write(&body, "x");
    body.finish(None).unwrap();
    assert_eq!(body.poll_write(&mut noop(), b"x"), Poll::Ready(Err(crate::Error::Pipe)));

    let body = OutgoingBody::of_request(&Fields::new());
    let wakes = Arc::new(Wakes::default());
    let waker = wakes.clone().into();
    let task = &mut Context::from_waker(&waker);
    assert_eq!(body.poll_write(task, &[0; 1 << 17]), Poll::Ready(Ok(1 << 16)));
    assert!(body.poll_writable(task).is_pending());
    body.abort();
    assert_eq!(wakes.take(), 1);
    assert_eq!(body.poll_writable(task), Poll::Ready(Err(crate::Error::Pipe)));
}

#[test]
fn much_of_a_body_is_sent_without_being_flushed() {
    let head = head("POST", &[]);
    let body = Arc::new(OutgoingBody::of_request(&head.fields));
    let client = client(head, Some(body.clone()));
    write(&body, "x");
    assert_eq!(client.peer.receive(), "");
    write(&body, &"x".repeat(16 << 10));
    assert!(client.peer.receive().ends_with("x\r\n"));
}

#[test]
fn what_is_thrown_away_leaves_others_their_turn() {
    let client = client_with(1 << 20, head("GET", &[]), None, Timeouts::default());
    client.peer.send("HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n");
    client.peer.send("x".repeat(400_000));
    client.response().unwrap();
    let body = client.exchange.incoming_body();
    let wakes = Arc::new(Wakes::default());
    let waker = wakes.clone().into();
    assert!(body.poll_trailers(&mut Context::from_waker(&waker)).is_pending());
    assert!(wakes.take() > 0, "it goes on at once");
    assert_eq!(ready(body.poll_trailers(&mut Context::from_waker(&waker))), Ok(None));
}
