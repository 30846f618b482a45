//! A server's side.

use super::*;

struct Server {
    exchange: Exchange,
    peer: Peer,
    clock: Arc<TestClock>,
}

fn server() -> Server {
    server_with(1 << 16, Limits::default())
}

fn server_with(capacity: usize, limits: Limits) -> Server {
    let (transport, peer) = connection(capacity);
    let (dynamic, clock) = clock();
    Server { exchange: Exchange::server(transport, limits, dynamic), peer, clock }
}

impl Server {
    fn request(&self) -> RequestHead {
        ready(self.exchange.poll_request(&mut noop())).unwrap().expect("a request")
    }

    /// Answers, and goes on to the next exchange; `false` if there is none.
    fn finish(&mut self) -> bool {
        match ready(self.exchange.poll_finish(&mut noop())).unwrap() {
            Some(next) => {
                self.exchange = next;
                true
            }
            None => false,
        }
    }

    /// Answers with this body, written behind the head.
    fn answer(&self, head: ResponseHead, body: &str) {
        let outgoing = Arc::new(OutgoingBody::of_response(&head.fields));
        self.exchange.respond(head, Some(outgoing.clone())).unwrap();
        assert!(self.exchange.poll_finish(&mut noop()).is_pending());
        write(&outgoing, body);
        outgoing.finish(None).unwrap();
    }
}

const DATE: &str = "Date: Sun, 09 Sep 2001 01:46:40 GMT\r\n";

#[test]
fn requests_follow_each_other_on_one_connection() {
    let mut server = server();
    // Two at once, and a part of a third.
    server.peer.send("GET /1 HTTP/1.1\r\nHost: h\r\n\r\nPOST /2?q HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nX: y\r\n\r\nbodyGET /3 HT");
    let head = server.request();
    assert_eq!(head.method.as_str(), "GET");
    assert_eq!(head.path_with_query.as_deref(), Some("/1"));
    assert_eq!((head.scheme, head.authority.as_deref()), (Scheme::Http, Some("h")));
    server.exchange.respond(response(200, &[("A", "b")]), None).unwrap();
    assert!(server.finish());
    assert_eq!(
        server.peer.receive(),
        alloc::format!("HTTP/1.1 200 OK\r\n{DATE}Content-Length: 0\r\nA: b\r\n\r\n")
    );

    let head = server.request();
    let received = fields(&[("Content-Length", "4"), ("X", "y")]).immutable();
    assert_eq!((head.method.as_str(), head.fields), ("POST", received));
    assert_eq!(read(&server.exchange.incoming_body()), (Ok(true), "body".into()));
    server.answer(response(404, &[("date", "today")]), "not here");
    assert!(server.finish());
    assert_eq!(
        server.peer.receive(),
        "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\ndate: today\r\n\r\n8\r\nnot here\r\n0\r\n\r\n"
    );

    assert!(server.exchange.poll_request(&mut noop()).is_pending());
    server.peer.send("TP/1.1\r\nHost: h\r\nConnection: x, Close\r\n\r\n");
    assert_eq!(server.request().path_with_query.as_deref(), Some("/3"));
    server.answer(response(200, &[("Content-Length", "2"), ("Date", "")]), "ok");
    assert!(!server.finish());
    drop(server.exchange);
    assert_eq!(
        server.peer.receive(),
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\nDate: \r\n\r\nok"
    );
    assert!(server.peer.is_closed());
}

#[test]
fn a_client_may_close_between_requests() {
    let mut server = server();
    server.peer.send("\r\n");
    assert!(server.exchange.poll_request(&mut noop()).is_pending());
    server.peer.output = None;
    assert_eq!(ready(server.exchange.poll_request(&mut noop())), Ok(None));
}

#[test]
fn a_body_that_is_known_when_the_head_leaves_has_its_length() {
    let mut server = server();
    server.peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    server.request();
    let body = Arc::new(OutgoingBody::of_response(&Fields::new()));
    write(&body, "hello");
    body.finish(None).unwrap();
    server.exchange.respond(response(200, &[("Date", "")]), Some(body)).unwrap();
    assert!(server.finish());
    assert_eq!(server.peer.receive(), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nDate: \r\n\r\nhello");
}

#[test]
fn trailers_follow_chunks() {
    let mut server = server();
    server.peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    server.request();
    let body = Arc::new(OutgoingBody::of_response(&Fields::new()));
    write(&body, "hello");
    body.finish(Some(fields(&[("Sum", "5")]))).unwrap();
    server.exchange.respond(response(200, &[("Date", "")]), Some(body)).unwrap();
    assert!(server.finish());
    assert_eq!(
        server.peer.receive(),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nDate: \r\n\r\n5\r\nhello\r\n0\r\nSum: 5\r\n\r\n"
    );
}

#[test]
fn some_responses_have_no_body_whatever_is_written() {
    for (request, status) in [("HEAD / HTTP/1.1", 200), ("GET / HTTP/1.1", 204), ("GET / HTTP/1.1", 304)] {
        let mut server = server();
        server.peer.send(alloc::format!("{request}\r\nHost: h\r\n\r\n"));
        server.request();
        server.answer(response(status, &[("Date", "")]), "nobody reads this");
        assert!(server.finish());
        let received = server.peer.receive();
        assert!(received.ends_with("Date: \r\n\r\n") && !received.contains("Transfer"), "{received}");
    }
}

#[test]
fn http_1_0_has_no_chunks_and_closes() {
    let mut server = server();
    server.peer.send(
        "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    );
    assert_eq!(server.request().authority, None);
    server.answer(response(200, &[("Date", ""), ("Content-Length", "1")]), "a");
    assert!(server.finish());
    assert_eq!(
        server.peer.receive(),
        "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nDate: \r\nContent-Length: 1\r\n\r\na"
    );
    server.request();
    server.answer(response(200, &[("Date", "")]), "until the end");
    assert!(!server.finish());
    assert_eq!(server.peer.receive(), "HTTP/1.1 200 OK\r\nConnection: close\r\nDate: \r\n\r\nuntil the end");

    let mut server = self::server();
    server.peer.send("GET / HTTP/1.0\r\n\r\n");
    server.request();
    server.exchange.respond(response(200, &[]), None).unwrap();
    assert!(!server.finish());
}

#[test]
fn who_waits_to_be_asked_for_a_body_is_asked_when_it_is_read() {
    let post = "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n";
    let mut server = server();
    server.peer.send(post);
    server.request();
    let body = server.exchange.incoming_body();
    assert_eq!(server.peer.receive(), "");
    for _ in 0..2 {
        assert_eq!(read(&body), (Ok(false), "".into()));
    }
    assert_eq!(server.peer.receive(), "HTTP/1.1 100 Continue\r\n\r\n");
    server.peer.send("hi");
    assert_eq!(read(&body), (Ok(true), "hi".into()));
    server.exchange.respond(response(200, &[]), None).unwrap();
    assert!(server.finish());

    // Nobody reads it: it is not asked for, and whether it comes nobody knows.
    server.peer.receive();
    server.peer.send(post);
    server.request();
    server.exchange.respond(response(403, &[("Date", "")]), None).unwrap();
    assert!(!server.finish());
    assert_eq!(
        server.peer.receive(),
        "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\nDate: \r\n\r\n"
    );

    // It did not wait.
    let mut server = self::server();
    server.peer.send([post, "hi"].concat());
    server.request();
    assert_eq!(server.exchange.incoming_body().poll_read(&mut noop(), &mut []), Poll::Ready(Ok(0)));
    assert_eq!(read(&server.exchange.incoming_body()), (Ok(true), "hi".into()));
    assert_eq!(server.peer.receive(), "");
    server.exchange.respond(response(200, &[]), None).unwrap();
    assert!(server.finish());
    server.peer.receive();

    // There is none to be asked for.
    server.peer.send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n");
    server.request();
    server.exchange.respond(response(200, &[]), None).unwrap();
    assert!(server.finish());
    server.peer.receive();

    // HTTP/1.0 knows nothing of it.
    server.peer.send("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    server.request();
    assert_eq!(server.exchange.incoming_body().poll_read(&mut noop(), &mut []), Poll::Ready(Ok(0)));
    assert_eq!(read(&server.exchange.incoming_body()), (Ok(false), "".into()));
    assert_eq!(server.peer.receive(), "");
}

#[test]
fn what_is_left_of_a_request_is_thrown_away_up_to_a_limit() {
    let mut server = server_with(1 << 20, Limits::default());
    server.peer.send(
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabcdeGET /next HTTP/1.1\r\nHost: h\r\n\r\n",
    );
    server.request();
    server.exchange.respond(response(200, &[]), None).unwrap();
    assert!(server.finish());
    assert_eq!(server.request().path_with_query.as_deref(), Some("/next"));
    server.exchange.respond(response(200, &[]), None).unwrap();
    assert!(server.finish());

    server.peer.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 500000\r\n\r\n");
    server.peer.send("a".repeat(500_000));
    server.request();
    server.exchange.respond(response(200, &[]), None).unwrap();
    assert!(!server.finish());
}

#[test]
fn a_response_that_breaks_off_breaks_the_connection() {
    let server = server();
    server.peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    server.request();
    let body = Arc::new(OutgoingBody::of_response(&Fields::new()));
    server.exchange.respond(response(200, &[("Date", "")]), Some(body.clone())).unwrap();
    write(&body, "half");
    assert!(server.exchange.poll_finish(&mut noop()).is_pending());
    body.abort();
    assert!(matches!(ready(server.exchange.poll_finish(&mut noop())), Err(Error::Protocol(_))));
    assert_eq!(body.poll_write(&mut noop(), b"x"), Poll::Ready(Err(crate::Error::Pipe)));
    let received = server.peer.receive();
    assert!(received.ends_with("\r\n\r\n4\r\nhalf\r\n"), "{received:?}");
    assert!(server.peer.is_closed());
}

#[test]
fn a_response_is_as_long_as_it_says() {
    for (length, body, error) in
        [("3", "ab", Error::ResponseBodySize(2)), ("3", "abcd", Error::ResponseBodySize(4))]
    {
        let outgoing = OutgoingBody::of_response(&fields(&[("Content-Length", length)]));
        let written = outgoing.poll_write(&mut noop(), body.as_bytes());
        match written {
            Poll::Ready(Ok(2)) => assert_eq!(outgoing.finish(None), Err(error)),
            written => assert_eq!(written, Poll::Ready(Err(crate::Error::Http(error)))),
        }
    }
    let server = server();
    server.peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    server.request();
    let none = server.exchange.respond(response(200, &[("Content-Length", "3")]), None);
    assert_eq!(none, Err(Error::ResponseBodySize(0)));
    let two =
        server.exchange.respond(response(200, &[("Content-Length", "0"), ("Content-Length", "0")]), None);
    assert!(matches!(two, Err(Error::Protocol(_))));
    assert!(!server.exchange.has_responded());
    server.exchange.respond(response(200, &[]), None).unwrap();
    assert!(matches!(server.exchange.respond(response(200, &[]), None), Err(Error::Protocol(_))));
}

#[test]
fn slow_clients_are_not_waited_for() {
    let limits = Limits { idle_time: 50, head_time: 20, read_time: 30, write_time: 40, ..Limits::default() };
    let late = |server: &Server| ready(server.exchange.poll_request(&mut noop())).unwrap_err();
    // No request comes.
    let server = server_with(16, limits);
    assert!(server.exchange.poll_request(&mut noop()).is_pending());
    server.clock.advance(49);
    assert!(server.exchange.poll_request(&mut noop()).is_pending());
    server.clock.advance(1);
    assert_eq!(late(&server), Error::ReadTimeout);
    // It does not end, though something comes all the time.
    let server = server_with(16, limits);
    server.clock.advance(40);
    for _ in 0..20 {
        server.peer.send("G");
        assert!(server.exchange.poll_request(&mut noop()).is_pending());
        server.clock.advance(1);
    }
    assert_eq!(late(&server), Error::ReadTimeout);
    // The body does not come; what comes gives it time again.
    let server = server_with(1 << 10, limits);
    server.peer.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n");
    server.request();
    let body = server.exchange.incoming_body();
    let wakes = Arc::new(Wakes::default());
    let waker = wakes.clone().into();
    let mut buffer = [0; 8];
    let mut poll = || body.poll_read(&mut Context::from_waker(&waker), &mut buffer);
    server.clock.advance(1_000);
    for _ in 0..3 {
        assert!(poll().is_pending());
        server.clock.advance(29);
        assert!(poll().is_pending());
        server.peer.send("a");
        assert_eq!(poll(), Poll::Ready(Ok(1)));
    }
    assert!(poll().is_pending());
    wakes.take();
    server.clock.advance(30);
    assert_eq!(wakes.take(), 1);
    assert_eq!(poll(), Poll::Ready(Err(crate::Error::Http(Error::ReadTimeout))));
    assert_eq!(poll(), Poll::Ready(Err(crate::Error::Http(Error::ReadTimeout))));
    // The response is not taken.
    let server = server_with(64, limits);
    server.peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    server.request();
    server.exchange.respond(response(200, &[("X", &"y".repeat(200))]), None).unwrap();
    for _ in 0..3 {
        assert!(server.exchange.poll_finish(&mut noop()).is_pending());
        server.clock.advance(39);
        assert!(server.exchange.poll_finish(&mut noop()).is_pending());
        assert_ne!(server.peer.receive(), "");
    }
    assert!(server.exchange.poll_finish(&mut noop()).is_pending());
    server.clock.advance(40);
    assert!(matches!(ready(server.exchange.poll_finish(&mut noop())), Err(Error::WriteTimeout)));
}

#[test]
fn who_does_not_read_holds_the_peer_back_and_who_does_not_take_the_writer() {
    let mut server = server_with(256, Limits::default());
    server.peer.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n");
    server.request();
    for _ in 0..100 {
        assert!(server.exchange.poll_finish(&mut noop()).is_pending());
    }
    let output = server.peer.output.take().unwrap();
    let mut sent = 0;
    while let Poll::Ready(Ok(count)) = output.poll_write(&mut noop(), &[b'x'; 1000]) {
        sent += count;
        assert!(sent <= 20_000, "nobody reads it");
        assert!(server.exchange.poll_finish(&mut noop()).is_pending());
    }

    let body = Arc::new(OutgoingBody::of_response(&Fields::new()));
    server.exchange.respond(response(200, &[]), Some(body.clone())).unwrap();
    let wakes = Arc::new(Wakes::default());
    let waker = wakes.clone().into();
    let mut written = 0;
    while let Poll::Ready(count) = body.poll_write(&mut Context::from_waker(&waker), &[b'y'; 1000]) {
        written += count.unwrap();
        assert!(written <= 200_000, "nobody takes it");
    }
    assert!(body.poll_writable(&mut noop()).is_pending());
    assert!(body.poll_flush(&mut noop()).is_pending());
    wakes.take();
    let received = server.peer.receive();
    assert!(!received.is_empty());
    assert!(wakes.take() > 0, "there is room again");
    let mut all = received;
    while body.poll_flush(&mut noop()).is_pending() {
        all += &server.peer.receive();
    }
    all += &server.peer.receive();
    assert_eq!(all.bytes().filter(|byte| *byte == b'y').count(), written);
    assert!(
        matches!(body.poll_writable(&mut noop()), Poll::Ready(Ok(readiness)) if readiness.bytes == 64 << 10)
    );
}

#[test]
fn an_idle_connection_has_no_buffers() {
    let mut server = server();
    server.peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    server.request();
    server.exchange.respond(response(200, &[]), None).unwrap();
    assert!(server.finish());
    assert!(server.exchange.poll_request(&mut noop()).is_pending());
    assert_eq!(server.exchange.buffered(), 0);
}

#[test]
fn who_waits_for_two_things_is_woken_for_both() {
    let server = server();
    server.peer.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n");
    server.request();
    let (incoming, outgoing) =
        (server.exchange.incoming_body(), Arc::new(OutgoingBody::of_response(&Fields::new())));
    server.exchange.respond(response(200, &[]), Some(outgoing.clone())).unwrap();
    write(&outgoing, "x");
    assert_eq!(outgoing.poll_flush(&mut noop()), Poll::Ready(Ok(())));

    let wakes = Arc::new(Wakes::default());
    let waker = wakes.clone().into();
    let task = &mut Context::from_waker(&waker);
    let mut buffer = [0; 8];
    assert!(incoming.poll_read(task, &mut buffer).is_pending());
    assert_eq!(outgoing.poll_flush(task), Poll::Ready(Ok(())), "there is nothing more");
    assert_eq!(wakes.take(), 0);
    server.peer.send("hi");
    assert!(wakes.take() > 0, "for the body");
    assert_eq!(incoming.poll_read(task, &mut buffer), Poll::Ready(Ok(2)));
}

#[test]
fn what_a_handler_may_still_read_stays_until_it_is_done() {
    let mut server = server();
    server.peer.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab");
    server.request();
    server.exchange.respond(response(200, &[("Date", "")]), None).unwrap();
    // It has answered, and goes on.
    for _ in 0..2 {
        assert!(server.exchange.poll_failed(&mut noop()).is_pending());
    }
    assert_eq!(server.peer.receive(), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nDate: \r\n\r\n");
    assert_eq!(read(&server.exchange.incoming_body()), (Ok(false), "ab".into()));
    server.peer.send("cde");
    assert!(server.exchange.poll_failed(&mut noop()).is_pending());
    assert_eq!(read(&server.exchange.incoming_body()), (Ok(true), "cde".into()));
    assert!(server.finish());

    // It hears of a connection that fails.
    server.peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    server.request();
    server.peer.input = None;
    let body = Arc::new(OutgoingBody::of_response(&Fields::new()));
    server.exchange.respond(response(200, &[]), Some(body.clone())).unwrap();
    assert_eq!(ready(server.exchange.poll_failed(&mut noop())), Error::ConnectionTerminated);
    assert_eq!(body.poll_write(&mut noop(), b"x"), Poll::Ready(Err(crate::Error::Pipe)));
}

#[test]
fn what_follows_a_tunnel_is_no_request() {
    for (status, wire) in [
        (200, "HTTP/1.1 200 OK\r\nConnection: close\r\nDate: \r\n\r\n"),
        (405, "HTTP/1.1 405 Method Not Allowed\r\nConnection: close\r\nContent-Length: 0\r\nDate: \r\n\r\n"),
    ] {
        let mut server = server();
        server.peer.send("CONNECT x:2 HTTP/1.1\r\nHost: x:2\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n");
        server.request();
        server.exchange.respond(response(status, &[("Date", "")]), None).unwrap();
        assert!(!server.finish());
        assert_eq!(server.peer.receive(), wire);
    }
}

#[test]
fn what_cannot_have_a_body_has_no_length() {
    let mut server = server();
    server.peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    server.request();
    let length = [("Date", ""), ("content-LENGTH", "0"), ("A", "b")];
    server.exchange.inform(response(103, &length)).unwrap();
    assert_eq!(server.peer.receive(), "HTTP/1.1 103 \r\nDate: \r\nA: b\r\n\r\n");
    server.exchange.respond(response(204, &length), None).unwrap();
    assert!(server.finish());
    assert_eq!(server.peer.receive(), "HTTP/1.1 204 No Content\r\nDate: \r\nA: b\r\n\r\n");
    // What these would have had without that may be said.
    for (method, status, reason) in [("GET", 304, "Not Modified"), ("HEAD", 200, "OK")] {
        server.peer.send(alloc::format!("{method} / HTTP/1.1\r\nHost: h\r\n\r\n"));
        server.request();
        server.exchange.respond(response(status, &[("Date", ""), ("Content-Length", "5")]), None).unwrap();
        assert!(server.finish());
        assert_eq!(
            server.peer.receive(),
            alloc::format!("HTTP/1.1 {status} {reason}\r\nDate: \r\nContent-Length: 5\r\n\r\n")
        );
    }
}

#[test]
fn what_delimits_a_message_is_no_trailer() {
    let mut server = server();
    server.peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    server.request();
    let body = Arc::new(OutgoingBody::of_response(&Fields::new()));
    body.finish(Some(fields(&[("A", "b"), ("Content-length", "7")]))).unwrap();
    server.exchange.respond(response(200, &[("Date", "")]), Some(body)).unwrap();
    assert!(server.finish());
    assert_eq!(
        server.peer.receive(),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nDate: \r\n\r\n0\r\nA: b\r\n\r\n"
    );
}

#[test]
fn only_who_waits_for_a_body_can_wait_for_too_long() {
    const SECOND: u64 = 1_000_000_000;
    let limits = Limits { read_time: 30 * SECOND, ..Limits::default() };
    let server = server_with(1 << 10, limits);
    server.peer.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 50\r\n\r\n");
    server.request();
    let incoming = server.exchange.incoming_body();
    let outgoing = Arc::new(OutgoingBody::of_response(&Fields::new()));
    server.exchange.respond(response(200, &[]), Some(outgoing.clone())).unwrap();

    // Somebody looks, and comes back only when the time is nearly up.
    assert_eq!(read_as(&mut noop(), &incoming), (Ok(false), "".into()));
    server.clock.advance(29 * SECOND);
    assert_eq!(read(&incoming), (Ok(false), "".into()));
    server.clock.advance(29 * SECOND);
    assert_eq!(read(&incoming), (Ok(false), "".into()));
    // They leave. Those who do something else are not told that it is late, and the timer does not ring all the time.
    let wakes = Arc::new(Wakes::default());
    let waker = wakes.clone().into();
    assert!(server.exchange.poll_failed(&mut Context::from_waker(&waker)).is_pending());
    wakes.take();
    server.clock.advance(SECOND);
    assert_eq!(wakes.take(), 1);
    for _ in 0..3 {
        assert!(server.exchange.poll_failed(&mut Context::from_waker(&waker)).is_pending());
        write(&outgoing, "x");
        assert_eq!(outgoing.poll_flush(&mut noop()), Poll::Ready(Ok(())));
        wakes.take();
        server.clock.advance(30 * SECOND);
        assert_eq!(wakes.take(), 0);
    }
    // What has come meanwhile is there, and who comes to find nothing waits anew.
    server.peer.send("ab");
    assert_eq!(read(&incoming), (Ok(false), "ab".into()));
    server.clock.advance(100 * SECOND);
    assert_eq!(read(&incoming), (Ok(false), "".into()));
    server.clock.advance(30 * SECOND - 1);
    assert_eq!(read(&incoming), (Ok(false), "".into()));
    server.clock.advance(1);
    assert_eq!(read(&incoming), (Err(crate::Error::Http(Error::ReadTimeout)), "".into()));
    assert_eq!(ready(server.exchange.poll_failed(&mut noop())), Error::ReadTimeout);
}

#[test]
fn whoever_finds_a_connection_broken_tells_the_others() {
    for flushes in [false, true] {
        let mut server = server();
        server.peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        server.request();
        let wakes = Arc::new(Wakes::default());
        let waker = wakes.clone().into();
        let task = &mut Context::from_waker(&waker);
        assert!(server.exchange.poll_failed(task).is_pending());
        wakes.take();
        let body = Arc::new(OutgoingBody::of_response(&Fields::new()));
        server.exchange.respond(response(200, &[]), Some(body.clone())).unwrap();
        assert!(wakes.take() > 0, "there is something to send");
        assert!(server.exchange.poll_failed(task).is_pending());
        assert!(server.exchange.poll_failed(task).is_pending());
        wakes.take();
        server.peer.input = None;
        assert_eq!(wakes.take(), 0, "nobody waits for the connection");
        if flushes {
            write(&body, "x");
            assert_eq!(body.poll_flush(&mut noop()), Poll::Ready(Err(crate::Error::Pipe)));
        } else {
            write(&body, &"x".repeat(16 << 10));
        }
        assert!(wakes.take() > 0);
        assert_eq!(ready(server.exchange.poll_failed(task)), Error::ConnectionTerminated);
    }
}

#[test]
fn what_is_said_before_the_response_has_its_limits() {
    let server = server_with(16, Limits::default());
    server.peer.send("GET / HTTP/1.0\r\n");
    assert!(server.exchange.poll_request(&mut noop()).is_pending());
    server.peer.send("\r\n");
    server.request();
    server.exchange.inform(response(103, &[])).unwrap();
    assert_eq!(server.peer.receive(), "", "HTTP/1.0 knows nothing of it");

    let server = server_with(64, Limits::default());
    server.peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    server.request();
    let refused = (0..10_000).find_map(|_| server.exchange.inform(response(103, &[])).err());
    assert!(matches!(refused, Some(Error::Internal(_))), "nobody takes them");
    server.exchange.respond(response(200, &[]), None).unwrap();
    assert!(matches!(server.exchange.inform(response(103, &[])), Err(Error::Protocol(_))));
}

#[test]
fn a_response_whose_body_is_given_up_at_once_is_not_begun() {
    let server = server();
    server.peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    server.request();
    let body = Arc::new(OutgoingBody::of_response(&Fields::new()));
    body.abort();
    server.exchange.respond(response(200, &[]), Some(body)).unwrap();
    assert!(matches!(ready(server.exchange.poll_finish(&mut noop())), Err(Error::Protocol(_))));
    assert_eq!(server.peer.receive(), "");
}

/// An output that keeps what it takes until it is told to let go.
struct Held(PipeWriter, AtomicUsize);

impl OutputStream for Held {
    fn poll_write(&self, task: &mut Context<'_>, buffer: &[u8]) -> Poll<crate::Result<usize>> {
        self.0.poll_write(task, buffer)
    }

    fn poll_writable(&self, task: &mut Context<'_>) -> Poll<crate::Result<crate::io::Readiness>> {
        self.0.poll_writable(task)
    }

    fn poll_flush(&self, _: &mut Context<'_>) -> Poll<crate::Result<()>> {
        if self.1.load(Ordering::Relaxed) == 0 { Poll::Pending } else { Poll::Ready(Ok(())) }
    }
}

#[test]
fn a_connection_is_closed_when_all_has_left() {
    let (input, their_output) = pipe(1 << 10);
    let (_their_input, output) = pipe(1 << 10);
    let held = Arc::new(Held(output, AtomicUsize::new(0)));
    let transport = Transport { input: Arc::new(input), output: held.clone() };
    let exchange = Exchange::server(transport, Limits::default(), clock().0);
    let request = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    assert!(their_output.poll_write(&mut noop(), request).is_ready());
    ready(exchange.poll_request(&mut noop())).unwrap();
    exchange.respond(response(200, &[]), None).unwrap();
    assert!(exchange.poll_finish(&mut noop()).is_pending());
    held.1.store(1, Ordering::Relaxed);
    assert!(matches!(ready(exchange.poll_finish(&mut noop())), Ok(None)));
}

#[test]
fn limits_hold_for_what_comes_at_once() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let limits = Limits { head_bytes: head.len(), fields: 2, ..Limits::default() };
    let body = |bytes: &str| {
        let server = server_with(1 << 12, limits);
        server.peer.send([head, bytes].concat());
        server.request();
        let (end, _) = read(&server.exchange.incoming_body());
        end.err()
    };
    let too_large = crate::Error::Http(Error::RequestTrailersSize(head.len() as u32));
    let long = "y".repeat(head.len());
    assert_eq!(body("1;y\r\nx\r\n0\r\nA: b\r\n\r\n"), None);
    assert_eq!(body(&alloc::format!("1;{long}\r\nx\r\n0\r\n\r\n")), Some(too_large));
    assert_eq!(body(&alloc::format!("0\r\nA: {long}\r\n\r\n")), Some(too_large));
    for (more, fields) in [("X: y\r\n", 3), ("Y:\r\n", 2)] {
        let server = server_with(1 << 12, Limits { head_bytes: head.len() + 4, fields, ..limits });
        server.peer.send(head.replace("\r\n\r\n", &alloc::format!("\r\n{more}\r\n")));
        let refused = ready(server.exchange.poll_request(&mut noop())).unwrap_err();
        assert_eq!(refused, Error::RequestHeadSize(head.len() as u32 + 4), "too long, or too many");
    }
}
