//! The functions of `wasi:http`, with a peer at the other end of a pipe.

use super::{
    error::*,
    fields::*,
    handler::*,
    incoming::{consume_request, consume_response, get_trailers, status, subscribe_trailers},
    outgoing::{
        between_bytes_timeout, connect_timeout, first_byte_timeout, new_options, new_request, new_response,
        request_body, response_body, set_authority, set_between_bytes_timeout, set_connect_timeout,
        set_first_byte_timeout, set_method, set_path_with_query, set_scheme, set_status_code, status_code,
        write,
    },
    *,
};
use crate::{
    http::{Connect, Connector, Limits, Transport},
    io::{InputStream, OutputStream, PipeReader, PipeWriter, pipe},
    preview2::{
        io::{
            poll,
            streams::{self, StreamError},
        },
        testing::{self, Guest, done},
    },
    testing::TestClock,
};
use alloc::{boxed::Box, format, sync::Arc, vec::Vec};
use component::Borrow;
use core::task::{Context, Poll, Waker};
use spin::Mutex;

/// Connects to whoever asked last, at this end of a pipe.
#[derive(Default)]
struct Wire {
    asked: Mutex<Vec<(http::Scheme, String)>>,
    next: Mutex<Option<Transport>>,
}

struct Made(Arc<Wire>);

impl Connector for Made {
    fn connect(&self, scheme: &http::Scheme, authority: &str) -> Result<Box<dyn Connect>, http::Error> {
        self.0.asked.lock().push((scheme.clone(), authority.into()));
        match self.0.next.lock().take() {
            Some(transport) => Ok(Box::new(transport)),
            None => Err(http::Error::Denied),
        }
    }
}

struct Peer {
    input: PipeReader,
    output: Option<PipeWriter>,
}

fn ends() -> (Transport, Peer) {
    let (input, theirs) = pipe(1 << 16);
    let (mine, output) = pipe(1 << 16);
    (
        Transport { input: Arc::new(input), output: Arc::new(output) },
        Peer { input: mine, output: Some(theirs) },
    )
}

impl Peer {
    fn send(&self, bytes: &str) {
        let sent = self.output.as_ref().unwrap().poll_write(&mut noop(), bytes.as_bytes());
        assert_eq!(sent, Poll::Ready(Ok(bytes.len())));
    }

    fn receive(&self) -> String {
        let mut buffer = [0; 1 << 16];
        match self.input.poll_read(&mut noop(), &mut buffer) {
            Poll::Ready(Ok(count)) => String::from_utf8(buffer[..count].to_vec()).unwrap(),
            _ => String::new(),
        }
    }
}

fn noop() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// A guest that may make requests, to whoever is at the other end of a pipe.
fn guest() -> (Guest, Arc<Wire>) {
    let (mut guest, wire) = (testing::guest(), Arc::<Wire>::default());
    guest.data.state.connector = Some(Arc::new(Made(wire.clone())));
    (guest, wire)
}

/// The next request's peer.
fn peer(wire: &Wire) -> Peer {
    let (transport, peer) = ends();
    *wire.next.lock() = Some(transport);
    peer
}

fn b<R>(own: Own<R>) -> Borrow<R> {
    Borrow::new(own.rep)
}

fn list(guest: &mut Guest, entries: &[(&str, &str)]) -> Own<Fields> {
    let entries: Vec<_> =
        entries.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
    guest.call(from_list, (entries,)).unwrap()
}

fn request(guest: &mut Guest, method: Method, headers: &[(&str, &str)]) -> Own<OutgoingRequest> {
    let fields = list(guest, headers);
    let request = guest.call(new_request, (fields,));
    guest.call(set_method, (b(request), method)).unwrap();
    guest.call(set_scheme, (b(request), Some(Scheme::Http))).unwrap();
    guest.call(set_authority, (b(request), Some("host:80".into()))).unwrap();
    guest.call(set_path_with_query, (b(request), Some("/p?q".into()))).unwrap();
    request
}

#[test]
fn fields_are_made_and_changed() {
    let (mut guest, _) = guest();
    let fields = guest.call(new, ());
    let name = || String::from("A");
    assert_eq!(guest.call(append, (b(fields), name(), b"1".to_vec())), Ok(()));
    assert_eq!(guest.call(append, (b(fields), "b".into(), b"".to_vec())), Ok(()));
    assert_eq!(guest.call(append, (b(fields), "a".into(), b"2".to_vec())), Ok(()));
    assert_eq!(guest.call(get, (b(fields), "a".into())), [b"1", b"2"]);
    assert_eq!(guest.call(get, (b(fields), "b".into())), [b""]);
    assert_eq!(guest.call(get, (b(fields), "not a name".into())), Vec::<Vec<u8>>::new());
    assert!(guest.call(has, (b(fields), "B".into())) && !guest.call(has, (b(fields), "c".into())));
    let copy = guest.call(clone, (b(fields),));
    assert_eq!(guest.call(set, (b(fields), "b".into(), Vec::from([b"x".to_vec(), b"y".to_vec()]))), Ok(()));
    assert_eq!(guest.call(delete, (b(fields), "a".into())), Ok(()));
    let entries = |entries: &[(&str, &str)]| {
        entries.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect::<Vec<_>>()
    };
    assert_eq!(guest.call(super::fields::entries, (b(fields),)), entries(&[("b", "x"), ("b", "y")]));
    assert_eq!(guest.call(super::fields::entries, (b(copy),)), entries(&[("A", "1"), ("b", ""), ("a", "2")]));

    let one = |name: &str, value: &[u8]| Vec::from([(name.to_string(), value.to_vec())]);
    let listed = guest.call(from_list, (one("a", b"b"),)).unwrap();
    assert_eq!(guest.call(append, (b(listed), "a".into(), b"c".to_vec())), Ok(()));
    assert_eq!(guest.call(get, (b(listed), "a".into())), [b"b", b"c"]);
    guest.drop::<Fields>(listed.rep).unwrap();
    assert_eq!(guest.call(from_list, (one("a b", b""),)).err(), Some(HeaderError::InvalidSyntax));
    assert_eq!(guest.call(from_list, (one("a", b"\n"),)).err(), Some(HeaderError::InvalidSyntax));
    assert_eq!(guest.call(from_list, (one("Host", b""),)).err(), Some(HeaderError::Forbidden));
    assert_eq!(guest.call(set, (b(copy), "Upgrade".into(), Vec::new())), Err(HeaderError::Forbidden));
    assert_eq!(guest.call(delete, (b(copy), "a\r".into())), Err(HeaderError::InvalidSyntax));
    let much = one("a", &[b'x'; 200_000]);
    assert!(matches!(guest.trap(from_list, (much.clone(),)), Trap::Limit(_)));
    assert!(matches!(guest.trap(append, (b(copy), name(), much[0].1.clone())), Trap::Limit(_)));
    guest.drop::<Fields>(copy.rep).unwrap();
    guest.drop::<Fields>(fields.rep).unwrap();
    assert_eq!(guest.data.state.table.len(), 0);
}

#[test]
fn a_request_is_what_it_was_made() {
    let (mut guest, _) = guest();
    let fields = list(&mut guest, &[("a", "b")]);
    let request = guest.call(new_request, (fields,));
    assert!(guest.drop::<Fields>(fields.rep).is_err(), "it is the request's");
    assert_eq!(guest.call(outgoing::method, (b(request),)), Method::Get);
    assert_eq!(guest.call(outgoing::path_with_query, (b(request),)), None);
    assert_eq!(guest.call(outgoing::scheme, (b(request),)), None);
    assert_eq!(guest.call(outgoing::authority, (b(request),)), None);
    for method in [
        Method::Get,
        Method::Head,
        Method::Post,
        Method::Put,
        Method::Delete,
        Method::Connect,
        Method::Options,
        Method::Trace,
        Method::Patch,
        Method::Other("X".into()),
    ] {
        assert_eq!(Method::from(&http::Method::new(method.name()).unwrap()), method);
        assert_eq!(guest.call(set_method, (b(request), method.clone())), Ok(()));
        assert_eq!(guest.call(outgoing::method, (b(request),)), method);
    }
    assert_eq!(guest.call(set_method, (b(request), Method::Other("bad method".into()))), Err(()));
    assert_eq!(guest.call(outgoing::method, (b(request),)), Method::Other("X".into()));
    for scheme in [Some(Scheme::Http), Some(Scheme::Https), Some(Scheme::Other("ws".into())), None] {
        assert_eq!(guest.call(set_scheme, (b(request), scheme.clone())), Ok(()));
        assert_eq!(guest.call(set_scheme, (b(request), Some(Scheme::Other("b\nad".into())))), Err(()));
        assert_eq!(guest.call(outgoing::scheme, (b(request),)), scheme);
    }
    for authority in [Some("[::]:443".to_string()), Some("host".into()), None] {
        assert_eq!(guest.call(set_authority, (b(request), authority.clone())), Ok(()));
        assert_eq!(guest.call(set_authority, (b(request), Some("bad-\nhost".into()))), Err(()));
        assert_eq!(guest.call(outgoing::authority, (b(request),)), authority);
    }
    for path in [Some("/a?b".to_string()), None] {
        assert_eq!(guest.call(set_path_with_query, (b(request), path.clone())), Ok(()));
        assert_eq!(guest.call(set_path_with_query, (b(request), Some("/bad\npath".into()))), Err(()));
        assert_eq!(guest.call(outgoing::path_with_query, (b(request),)), path);
    }
    let headers = guest.call(outgoing::request_headers, (b(request),));
    assert_eq!(guest.call(get, (b(headers), "a".into())), [b"b"]);
    assert_eq!(guest.call(append, (b(headers), "a".into(), Vec::new())), Err(HeaderError::Immutable));
    let copy = guest.call(clone, (b(headers),));
    assert_eq!(guest.call(append, (b(copy), "a".into(), b"c".to_vec())), Ok(()));
    assert_eq!(guest.call(get, (b(headers), "a".into())), [b"b"]);
    guest.drop::<Fields>(copy.rep).unwrap();
    let body = guest.call(request_body, (b(request),)).unwrap();
    assert_eq!(guest.call(request_body, (b(request),)), Err(()));
    let stream = guest.call(write, (b(body),)).unwrap();
    assert_eq!(guest.call(write, (b(body),)), Err(()));
    assert!(matches!(guest.trap(outgoing::finish, (body, None)), Trap::Host(_)), "its stream is there");
    guest.drop::<Output>(stream.rep).unwrap();
    assert_eq!(guest.call(outgoing::finish, (body, None)), Ok(()));
    guest.drop::<Fields>(headers.rep).unwrap();
    guest.drop::<OutgoingRequest>(request.rep).unwrap();
    assert_eq!(guest.data.state.table.len(), 0);
}

#[test]
fn a_response_is_what_it_was_made() {
    let (mut guest, _) = guest();
    let fields = list(&mut guest, &[("a", "b")]);
    let response = guest.call(new_response, (fields,));
    assert!(guest.drop::<Fields>(fields.rep).is_err(), "it is the response's");
    assert_eq!(guest.call(status_code, (b(response),)), 200);
    for (status, set) in [(99, Err(())), (100, Ok(())), (999, Ok(())), (1000, Err(()))] {
        assert_eq!(guest.call(set_status_code, (b(response), status)), set);
    }
    assert_eq!(guest.call(status_code, (b(response),)), 999);
    let headers = guest.call(outgoing::response_headers, (b(response),));
    assert_eq!(guest.call(get, (b(headers), "a".into())), [b"b"]);
    assert_eq!(guest.call(delete, (b(headers), "a".into())), Err(HeaderError::Immutable));
    guest.call(response_body, (b(response),)).unwrap();
    assert_eq!(guest.call(response_body, (b(response),)), Err(()));

    let fields = list(&mut guest, &[("content-length", "3")]);
    let response = guest.call(new_response, (fields,));
    let body = guest.call(response_body, (b(response),)).unwrap();
    let trailers = list(&mut guest, &[]);
    let short = guest.call(outgoing::finish, (body, Some(trailers)));
    assert_eq!(short, Err(ErrorCode::HttpResponseBodySize(Some(0))));
    assert!(guest.drop::<Fields>(trailers.rep).is_err(), "they are the body's");
}

#[test]
fn options_are_what_they_were_set_to() {
    let (mut guest, _) = guest();
    let options = guest.call(new_options, ());
    assert_eq!(options_of(&mut guest, options), [None; 3]);
    assert_eq!(
        guest.data.state.table.get::<RequestOptions>(options.rep).unwrap().timeouts(),
        http::Timeouts::default()
    );
    guest.call(set_connect_timeout, (b(options), Some(1))).unwrap();
    guest.call(set_first_byte_timeout, (b(options), Some(2))).unwrap();
    guest.call(set_between_bytes_timeout, (b(options), Some(3))).unwrap();
    assert_eq!(options_of(&mut guest, options), [Some(1), Some(2), Some(3)]);
    let timeouts = guest.data.state.table.get::<RequestOptions>(options.rep).unwrap().timeouts();
    assert_eq!((timeouts.connect, timeouts.first_byte, timeouts.between_bytes), (1, 2, 3));
    guest.call(set_first_byte_timeout, (b(options), None)).unwrap();
    assert_eq!(options_of(&mut guest, options), [Some(1), None, Some(3)]);
}

fn options_of(guest: &mut Guest, options: Own<RequestOptions>) -> [Option<u64>; 3] {
    [
        guest.call(connect_timeout, (b(options),)),
        guest.call(first_byte_timeout, (b(options),)),
        guest.call(between_bytes_timeout, (b(options),)),
    ]
}

#[test]
fn a_request_goes_out_and_its_response_comes_in() {
    let (mut guest, wire) = guest();
    let peer = peer(&wire);
    let request = request(&mut guest, Method::Post, &[("a", "b")]);
    let body = guest.call(request_body, (b(request),)).unwrap();
    let future = guest.call(handle, (request, None)).unwrap();
    assert_eq!(*wire.asked.lock(), [(http::Scheme::Http, "host:80".into())]);
    assert!(guest.drop::<OutgoingRequest>(request.rep).is_err(), "it is gone");
    assert!(guest.call(get_response, (b(future),)).is_none());

    let stream = guest.call(write, (b(body),)).unwrap();
    guest.call(streams::blocking_write_and_flush, (b(stream), b"hello".to_vec())).unwrap();
    guest.drop::<Output>(stream.rep).unwrap();
    let trailers = list(&mut guest, &[("sum", "5")]);
    guest.call(outgoing::finish, (body, Some(trailers))).unwrap();
    assert_eq!(
        peer.receive(),
        "POST /p?q HTTP/1.1\r\nHost: host:80\r\nConnection: close\r\nTransfer-Encoding: chunked\r\na: b\r\n\r\n\
         5\r\nhello\r\n0\r\nsum: 5\r\n\r\n"
    );

    let pollable = guest.call(subscribe_response, (b(future),));
    assert!(guest.poll(poll::block, (b(pollable),)).is_pending());
    let wakes = guest.wakes();
    peer.send(
        "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\nConnection: x\r\nX: y\r\n\r\n3\r\nabc\r\n",
    );
    assert!(guest.wakes() > wakes);
    done(guest.poll_again(poll::block, (b(pollable),)));
    assert!(guest.drop::<FutureIncomingResponse>(future.rep).is_err(), "its pollable is there");
    guest.drop::<Pollable>(pollable.rep).unwrap();
    let response = guest.call(get_response, (b(future),)).unwrap().unwrap().unwrap();
    assert_eq!(guest.call(get_response, (b(future),)), Some(Err(())));
    guest.drop::<FutureIncomingResponse>(future.rep).unwrap();

    assert_eq!(guest.call(status, (b(response),)), 201);
    let headers = guest.call(incoming::response_headers, (b(response),));
    assert!(!guest.call(has, (b(headers), "connection".into())));
    assert_eq!(guest.call(get, (b(headers), "x".into())), [b"y"]);
    assert_eq!(guest.call(set, (b(headers), "x".into(), Vec::new())), Err(HeaderError::Immutable));
    let body = guest.call(consume_response, (b(response),)).unwrap();
    assert_eq!(guest.call(consume_response, (b(response),)), Err(()));
    guest.drop::<IncomingResponse>(response.rep).unwrap();
    let stream = guest.call(incoming::stream, (b(body),)).unwrap();
    assert_eq!(guest.call(incoming::stream, (b(body),)), Err(()));
    assert_eq!(guest.call(streams::read, (b(stream), 10)), Ok(b"abc".to_vec()));
    assert_eq!(guest.call(streams::read, (b(stream), 10)), Ok(Vec::new()));
    assert!(matches!(guest.trap(incoming::finish, (body,)), Trap::Host(_)), "its stream is there");
    guest.drop::<Input>(stream.rep).unwrap();

    let future = guest.call(incoming::finish, (body,));
    assert_eq!(guest.call(get_trailers, (b(future),)), None);
    let pollable = guest.call(subscribe_trailers, (b(future),));
    assert!(guest.drop::<FutureTrailers>(future.rep).is_err(), "its pollable is there");
    assert!(guest.poll(poll::block, (b(pollable),)).is_pending());
    peer.send("2\r\nde\r\n0\r\nsum: 3\r\nHost: x\r\n\r\n");
    done(guest.poll_again(poll::block, (b(pollable),)));
    let trailers = guest.call(get_trailers, (b(future),)).unwrap().unwrap().unwrap().unwrap();
    assert_eq!(guest.call(super::fields::entries, (b(trailers),)), [("sum".to_string(), b"3".to_vec())]);
    assert_eq!(guest.call(append, (b(trailers), "a".into(), Vec::new())), Err(HeaderError::Immutable));
    assert_eq!(guest.call(get_trailers, (b(future),)), Some(Err(())));
}

#[test]
fn requests_that_are_not_made() {
    let (mut guest, wire) = guest();
    let mut refused = |change: &dyn Fn(&mut Guest, Own<OutgoingRequest>)| {
        let request = request(&mut guest, Method::Get, &[]);
        change(&mut guest, request);
        let refused = guest.call(handle, (request, None)).unwrap_err();
        assert_eq!(guest.data.state.table.len(), 0);
        refused
    };
    assert_eq!(refused(&|_, _| {}), ErrorCode::HttpRequestDenied);
    assert_eq!(
        refused(&|guest, request| guest
            .call(set_scheme, (b(request), Some(Scheme::Other("ws".into()))))
            .unwrap()),
        ErrorCode::HttpProtocolError
    );
    assert_eq!(
        refused(&|guest, request| guest.call(set_authority, (b(request), None)).unwrap()),
        ErrorCode::HttpRequestUriInvalid
    );
    // https where nothing is said.
    for scheme in [None, Some(Scheme::Https)] {
        refused(&|guest, request| guest.call(set_scheme, (b(request), scheme.clone())).unwrap());
        assert_eq!(wire.asked.lock().pop().unwrap().0, http::Scheme::Https);
    }
    let _peer = peer(&wire);
    let tunnel = request(&mut guest, Method::Connect, &[]);
    assert_eq!(guest.call(handle, (tunnel, None)), Err(ErrorCode::HttpProtocolError));
    let _peer = peer(&wire);
    let promised = request(&mut guest, Method::Post, &[("content-length", "1")]);
    assert_eq!(guest.call(handle, (promised, None)), Err(ErrorCode::HttpRequestBodySize(Some(0))));
    guest.data.state.connector = None;
    let alone = request(&mut guest, Method::Get, &[]);
    assert_eq!(guest.call(handle, (alone, None)), Err(ErrorCode::HttpRequestDenied));
}

#[test]
fn who_writes_the_body_of_a_message_that_is_refused_hears_of_it() {
    let heard = |refuse: &dyn Fn(&mut Guest, &Wire) -> Own<OutgoingBody>| {
        let (mut guest, wire) = guest();
        let body = refuse(&mut guest, &wire);
        let stream = guest.call(write, (b(body),)).unwrap();
        assert_eq!(guest.call(streams::check_write, (b(stream),)), Err(StreamError::Closed));
    };
    heard(&|guest, _| {
        let denied = request(guest, Method::Post, &[]);
        let body = guest.call(request_body, (b(denied),)).unwrap();
        assert_eq!(guest.call(handle, (denied, None)), Err(ErrorCode::HttpRequestDenied));
        body
    });
    heard(&|guest, wire| {
        let _peer = peer(wire);
        let twice = request(guest, Method::Post, &[("content-length", "1"), ("content-length", "1")]);
        let body = guest.call(request_body, (b(twice),)).unwrap();
        assert_eq!(guest.call(handle, (twice, None)), Err(ErrorCode::HttpProtocolError));
        body
    });
    heard(&|guest, _| {
        let (exchange, peer, _, out) = handled(guest, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        let fields = list(guest, &[]);
        let response = guest.call(new_response, (fields,));
        guest.call(set_status_code, (b(response), 100)).unwrap();
        let body = guest.call(response_body, (b(response),)).unwrap();
        guest.call(set_response, (out, Ok(response)));
        assert!(exchange.poll_finish(&mut noop()).is_ready());
        assert!(peer.receive().starts_with("HTTP/1.1 500 "));
        body
    });

    // Who waits for room is told.
    let (mut guest, _) = guest();
    let denied = request(&mut guest, Method::Post, &[]);
    let body = guest.call(request_body, (b(denied),)).unwrap();
    let stream = guest.call(write, (b(body),)).unwrap();
    while let Ok(room @ 1..) = guest.call(streams::check_write, (b(stream),)) {
        guest.call(streams::write, (b(stream), alloc::vec![0; room as usize])).unwrap();
    }
    let pollable = guest.call(streams::subscribe_output, (b(stream),));
    assert!(guest.poll(poll::block, (b(pollable),)).is_pending());
    guest.call(handle, (denied, None)).unwrap_err();
    done(guest.poll_again(poll::block, (b(pollable),)));
}

#[test]
fn what_goes_wrong_has_its_code() {
    let (mut guest, wire) = guest();
    // Before the response.
    let mut first = peer(&wire);
    let made = request(&mut guest, Method::Get, &[]);
    let options = guest.call(new_options, ());
    let future = guest.call(handle, (made, Some(options))).unwrap();
    assert!(guest.drop::<RequestOptions>(options.rep).is_err(), "they are gone");
    first.output = None;
    let error = guest.call(get_response, (b(future),)).unwrap().unwrap().unwrap_err();
    assert_eq!(error, ErrorCode::ConnectionTerminated);
    // Too late.
    let _second = peer(&wire);
    let made = request(&mut guest, Method::Get, &[]);
    let options = guest.call(new_options, ());
    guest.call(set_first_byte_timeout, (b(options), Some(10))).unwrap();
    let future = guest.call(handle, (made, Some(options))).unwrap();
    let pollable = guest.call(subscribe_response, (b(future),));
    assert!(guest.poll(poll::block, (b(pollable),)).is_pending());
    TestClock::advance(&guest.clock, 10);
    done(guest.poll_again(poll::block, (b(pollable),)));
    let error = guest.call(get_response, (b(future),)).unwrap().unwrap().unwrap_err();
    assert_eq!(error, ErrorCode::ConnectionReadTimeout);
    // In the body of the response.
    let mut third = peer(&wire);
    let made = request(&mut guest, Method::Get, &[]);
    let future = guest.call(handle, (made, None)).unwrap();
    third.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na");
    third.output = None;
    let response = guest.call(get_response, (b(future),)).unwrap().unwrap().unwrap();
    let body = guest.call(consume_response, (b(response),)).unwrap();
    let stream = guest.call(incoming::stream, (b(body),)).unwrap();
    assert_eq!(guest.call(streams::read, (b(stream), 1)), Ok(b"a".to_vec()));
    let failed = guest.call(streams::blocking_read, (b(stream), 1)).unwrap_err();
    let StreamError::LastOperationFailed(error) = failed else { panic!("closed") };
    assert_eq!(guest.call(http_error_code, (b(error),)), Some(ErrorCode::HttpResponseIncomplete));
    assert_eq!(guest.call(streams::read, (b(stream), 1)), Err(StreamError::Closed));
    guest.drop::<Input>(stream.rep).unwrap();
    let future = guest.call(incoming::finish, (body,));
    assert_eq!(guest.call(get_trailers, (b(future),)), Some(Ok(Err(ErrorCode::HttpResponseIncomplete))));
    // In the body of the request.
    let _fourth = peer(&wire);
    let made = request(&mut guest, Method::Post, &[("content-length", "3")]);
    let body = guest.call(request_body, (b(made),)).unwrap();
    let stream = guest.call(write, (b(body),)).unwrap();
    let failed = guest.call(streams::blocking_write_and_flush, (b(stream), b"abcd".to_vec())).unwrap_err();
    let StreamError::LastOperationFailed(error) = failed else { panic!("closed") };
    assert_eq!(guest.call(http_error_code, (b(error),)), Some(ErrorCode::HttpRequestBodySize(Some(4))));
    let io_error = IoError { error: crate::Error::Io, origin: crate::preview2::io::Origin::File };
    let other = guest.data.state.table.insert(io_error).unwrap();
    assert_eq!(guest.call(http_error_code, (Borrow::new(other),)), None);

    let made = request(&mut guest, Method::Post, &[("content-length", "3")]);
    let body = guest.call(request_body, (b(made),)).unwrap();
    assert_eq!(guest.call(outgoing::finish, (body, None)), Err(ErrorCode::HttpRequestBodySize(Some(0))));
}

#[test]
fn a_body_that_is_dropped_is_given_up() {
    let (mut guest, wire) = guest();
    let peer = peer(&wire);
    let made = request(&mut guest, Method::Post, &[]);
    let body = guest.call(request_body, (b(made),)).unwrap();
    let future = guest.call(handle, (made, None)).unwrap();
    assert!(guest.call(get_response, (b(future),)).is_none());
    guest.drop::<OutgoingBody>(body.rep).unwrap();
    let error = guest.call(get_response, (b(future),)).unwrap().unwrap().unwrap_err();
    assert_eq!(error, ErrorCode::HttpProtocolError);
    assert!(!peer.receive().ends_with("0\r\n\r\n"));
}

/// A request that came in, and who sent it.
fn handled(
    guest: &mut Guest,
    wire: &str,
) -> (http::Exchange, Peer, Own<IncomingRequest>, Own<ResponseOutparam>) {
    let (transport, peer) = ends();
    let exchange = http::Exchange::server(transport, Limits::default(), guest.clock.clone());
    peer.send(wire);
    let Poll::Ready(Ok(Some(head))) = exchange.poll_request(&mut noop()) else { panic!("no request") };
    let args = guest.data.state.incoming(head, &exchange).unwrap();
    let [component::Value::Own(request), component::Value::Own(out)] = args[..] else { panic!("no handles") };
    (exchange, peer, Own::new(request.rep), Own::new(out.rep))
}

#[test]
fn a_request_comes_in_and_its_response_goes_out() {
    let (mut guest, _) = guest();
    let (exchange, peer, request, out) = handled(
        &mut guest,
        "PUT /p?q HTTP/1.1\r\nHost: h:1\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n2\r\nhi\r\n0\r\nt: u\r\n\r\n",
    );
    assert_eq!(guest.call(incoming::method, (b(request),)), Method::Put);
    assert_eq!(guest.call(incoming::path_with_query, (b(request),)).as_deref(), Some("/p?q"));
    assert_eq!(guest.call(incoming::scheme, (b(request),)), Some(Scheme::Http));
    assert_eq!(guest.call(incoming::authority, (b(request),)).as_deref(), Some("h:1"));
    let headers = guest.call(incoming::request_headers, (b(request),));
    assert_eq!(guest.call(super::fields::entries, (b(headers),)), [("X".to_string(), b"y".to_vec())]);
    assert_eq!(guest.call(append, (b(headers), "a".into(), Vec::new())), Err(HeaderError::Immutable));
    let body = guest.call(consume_request, (b(request),)).unwrap();
    assert_eq!(guest.call(consume_request, (b(request),)), Err(()));
    let stream = guest.call(incoming::stream, (b(body),)).unwrap();
    assert_eq!(guest.call(streams::blocking_read, (b(stream), 10)), Ok(b"hi".to_vec()));
    assert_eq!(guest.call(streams::blocking_read, (b(stream), 10)), Err(StreamError::Closed));
    guest.drop::<Input>(stream.rep).unwrap();
    let future = guest.call(incoming::finish, (body,));
    let trailers = guest.call(get_trailers, (b(future),)).unwrap().unwrap().unwrap().unwrap();
    assert_eq!(guest.call(get, (b(trailers), "T".into())), [b"u"]);

    for (status, sent) in [(99, false), (101, false), (103, true), (200, false)] {
        let fields = list(&mut guest, &[("link", "x")]);
        let informed = guest.call(send_informational, (b(out), status, fields));
        assert!(guest.drop::<Fields>(fields.rep).is_err(), "they are the response's");
        assert_eq!(informed, if sent { Ok(()) } else { Err(ErrorCode::HttpProtocolError) });
    }
    assert_eq!(peer.receive(), "HTTP/1.1 103 \r\nlink: x\r\n\r\n");
    let fields = list(&mut guest, &[("date", "")]);
    let response = guest.call(new_response, (fields,));
    guest.call(set_status_code, (b(response), 418)).unwrap();
    let body = guest.call(response_body, (b(response),)).unwrap();
    guest.call(set_response, (out, Ok(response)));
    assert!(
        guest.drop::<ResponseOutparam>(out.rep).is_err()
            && guest.drop::<OutgoingResponse>(response.rep).is_err()
    );
    let stream = guest.call(write, (b(body),)).unwrap();
    guest.call(streams::blocking_write_and_flush, (b(stream), b"tea".to_vec())).unwrap();
    guest.drop::<Output>(stream.rep).unwrap();
    guest.call(outgoing::finish, (body, None)).unwrap();
    assert!(exchange.poll_finish(&mut noop()).is_ready());
    assert_eq!(
        peer.receive(),
        "HTTP/1.1 418 \r\nTransfer-Encoding: chunked\r\ndate: \r\n\r\n3\r\ntea\r\n0\r\n\r\n"
    );
}

#[test]
fn a_request_may_say_its_scheme_and_have_no_trailers() {
    let (mut guest, _) = guest();
    let (_exchange, _peer, request, _) = handled(&mut guest, "GET https://h/p HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(guest.call(incoming::scheme, (b(request),)), Some(Scheme::Https));
    let body = guest.call(consume_request, (b(request),)).unwrap();
    let future = guest.call(incoming::finish, (body,));
    assert!(matches!(guest.call(get_trailers, (b(future),)), Some(Ok(Ok(None)))));
    let other = http::Scheme::Other("ws".into());
    assert_eq!(http::Scheme::from(Scheme::from(&other)), other);
}

#[test]
fn errors_are_answers_too() {
    let answer = |response: &dyn Fn(&mut Guest) -> Result<Own<OutgoingResponse>, ErrorCode>| {
        let (mut guest, _) = guest();
        let (exchange, peer, _, out) = handled(&mut guest, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        let response = response(&mut guest);
        guest.call(set_response, (out, response));
        assert!(exchange.poll_finish(&mut noop()).is_ready());
        peer.receive().split(' ').nth(1).unwrap().to_string()
    };
    for (code, status) in [
        (ErrorCode::InternalError(Some("x".into())), "500"),
        (ErrorCode::ConnectionRefused, "502"),
        (ErrorCode::ConnectionLimitReached, "503"),
        (ErrorCode::DnsTimeout, "504"),
        (ErrorCode::HttpRequestDenied, "403"),
        (ErrorCode::HttpRequestLengthRequired, "411"),
        (ErrorCode::HttpRequestBodySize(None), "413"),
        (ErrorCode::HttpRequestUriTooLong, "414"),
        (ErrorCode::HttpRequestUriInvalid, "400"),
        (ErrorCode::HttpRequestHeaderSize(None), "431"),
    ] {
        assert_eq!(answer(&|_| Err(code.clone())), status, "{code:?}");
    }
    // One that cannot be sent.
    let wrong = |status: u16, headers: &'static [(&str, &str)]| {
        answer(&move |guest| {
            let fields = list(guest, headers);
            let response = guest.call(new_response, (fields,));
            guest.call(set_status_code, (b(response), status)).unwrap();
            Ok(response)
        })
    };
    assert_eq!(wrong(100, &[]), "500");
    assert_eq!(wrong(200, &[("content-length", "5")]), "500");
}

#[test]
fn every_error_has_a_code() {
    use http::Error;
    let codes = [
        (Error::DnsTimeout, "DnsTimeout"),
        (Error::Dns, "DnsError(DnsErrorPayload { rcode: None, info_code: None })"),
        (Error::DestinationNotFound, "DestinationNotFound"),
        (Error::DestinationUnavailable, "DestinationUnavailable"),
        (Error::DestinationUnroutable, "DestinationIpUnroutable"),
        (Error::ConnectionRefused, "ConnectionRefused"),
        (Error::ConnectionTerminated, "ConnectionTerminated"),
        (Error::ConnectionTimeout, "ConnectionTimeout"),
        (Error::ReadTimeout, "ConnectionReadTimeout"),
        (Error::WriteTimeout, "ConnectionWriteTimeout"),
        (Error::ConnectionLimit, "ConnectionLimitReached"),
        (Error::TlsProtocol, "TlsProtocolError"),
        (Error::TlsCertificate, "TlsCertificateError"),
        (
            Error::TlsAlert(40),
            "TlsAlertReceived(TlsAlertReceivedPayload { alert_id: Some(40), alert_message: None })",
        ),
        (Error::Denied, "HttpRequestDenied"),
        (Error::RequestBodySize(1), "HttpRequestBodySize(Some(1))"),
        (Error::MethodInvalid, "HttpRequestMethodInvalid"),
        (Error::UriInvalid, "HttpRequestUriInvalid"),
        (Error::UriTooLong, "HttpRequestUriTooLong"),
        (Error::RequestHeadSize(1), "HttpRequestHeaderSectionSize(Some(1))"),
        (Error::RequestTrailersSize(1), "HttpRequestTrailerSectionSize(Some(1))"),
        (Error::ResponseIncomplete, "HttpResponseIncomplete"),
        (Error::ResponseHeadSize(1), "HttpResponseHeaderSectionSize(Some(1))"),
        (Error::ResponseBodySize(1), "HttpResponseBodySize(Some(1))"),
        (Error::ResponseTrailersSize(1), "HttpResponseTrailerSectionSize(Some(1))"),
        (Error::TransferCoding, "HttpResponseTransferCoding(None)"),
        (Error::Expectation, "HttpProtocolError"),
        (Error::Version, "HttpProtocolError"),
        (Error::Protocol("x"), "HttpProtocolError"),
        (Error::Internal("x"), "InternalError(Some(\"x\"))"),
    ];
    for (error, code) in codes {
        assert_eq!(format!("{:?}", ErrorCode::from(error)), code);
    }
}
