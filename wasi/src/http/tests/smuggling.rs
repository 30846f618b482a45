//! What two readers could understand differently, and so is refused.

use super::*;

/// A server's view of these bytes, which come in pieces of so many: the request with its body and trailers, or why not.
fn request(bytes: &[u8], piece: usize) -> Result<(RequestHead, String, Option<Fields>), Error> {
    let (transport, mut peer) = connection(1 << 20);
    let exchange = Exchange::server(transport, Limits::default(), clock().0);
    let mut pieces = bytes.chunks(piece);
    let mut more = || match pieces.next() {
        Some(piece) => peer.send(piece),
        None => peer.output = None,
    };
    let head = loop {
        match exchange.poll_request(&mut noop()) {
            Poll::Ready(head) => break head?.ok_or(Error::ConnectionTerminated)?,
            Poll::Pending => more(),
        }
    };
    let body = exchange.incoming_body();
    let mut all = String::new();
    loop {
        let (end, some) = read(&body);
        all += &some;
        match end {
            Ok(false) => more(),
            Ok(true) => return Ok((head, all, ready(body.poll_trailers(&mut noop()))?)),
            Err(crate::Error::Http(error)) => return Err(error),
            Err(other) => panic!("{other}"),
        }
    }
}

/// The same in pieces of all kinds.
#[track_caller]
fn requests(bytes: &[u8]) -> Result<(RequestHead, String, Option<Fields>), Error> {
    let whole = request(bytes, bytes.len());
    for piece in [1, 2, 3, 7] {
        assert_eq!(request(bytes, piece), whole, "{} in pieces of {piece}", bytes.escape_ascii());
    }
    whole
}

#[test]
fn heads_that_could_be_smuggled_are_refused() {
    use Error::*;
    let cases: &[(&str, Check)] = &[
        // Two lengths, the same or not.
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde", |e| {
            matches!(e, Protocol(_))
        }),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", |e| {
            matches!(e, Protocol(_))
        }),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc", |e| matches!(e, Protocol(_))),
        // A length beside chunks, in both orders.
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            |e| matches!(e, Protocol(_)),
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
            |e| matches!(e, Protocol(_)),
        ),
        // Lengths that are none.
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", |e| matches!(e, Protocol(_))),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc", |e| matches!(e, Protocol(_))),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\nabc", |e| matches!(e, Protocol(_))),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\nabc", |e| matches!(e, Protocol(_))),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n", |e| {
            matches!(e, Protocol(_))
        }),
        // Codings that are not exactly `chunked`.
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", |e| *e == TransferCoding),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            |e| *e == TransferCoding,
        ),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n", |e| {
            *e == TransferCoding
        }),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", |e| *e == TransferCoding),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \u{b}chunked\r\n\r\n", |e| {
            matches!(e, Protocol(_))
        }),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", |e| *e == TransferCoding),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", |e| matches!(e, Protocol(_))),
        // White space where there is none, and lines that are continued.
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 3\r\n\r\nabc", |e| matches!(e, Protocol(_))),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n", |e| {
            matches!(e, Protocol(_))
        }),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", |e| matches!(e, Protocol(_))),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n\tTransfer-Encoding: chunked\r\n\r\n", |e| {
            matches!(e, Protocol(_))
        }),
        ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", |e| matches!(e, Protocol(_))),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", |_| true),
        ("GET /  HTTP/1.1\r\nHost: a\r\n\r\n", |_| true),
        (" GET / HTTP/1.1\r\nHost: a\r\n\r\n", |e| matches!(e, Protocol(_))),
        ("GET /\tHTTP/1.1\r\nHost: a\r\n\r\n", |_| true),
        // Lines that do not end as lines do.
        ("GET / HTTP/1.1\nHost: a\r\n\r\n", |e| matches!(e, Protocol(_))),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", |e| matches!(e, Protocol(_))),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n", |e| matches!(e, Protocol(_))),
        ("GET / HTTP/1.1\rHost: a\r\n\r\n", |_| true),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\rY: b\r\n\r\n", |e| matches!(e, Protocol(_))),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", |e| matches!(e, Protocol(_))),
        ("GET / HTTP/1.1\r\nHost: a\r\nX\0: a\r\n\r\n", |e| matches!(e, Protocol(_))),
        ("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", |_| true),
        // Names that are none.
        ("GET / HTTP/1.1\r\nHost: a\r\n: a\r\n\r\n", |e| matches!(e, Protocol(_))),
        ("GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", |e| matches!(e, Protocol(_))),
        ("GET / HTTP/1.1\r\nHost: a\r\nX(: a\r\n\r\n", |e| matches!(e, Protocol(_))),
        ("GET / HTTP/1.1\r\nHost: a\r\nTransfer Encoding: chunked\r\n\r\n", |e| matches!(e, Protocol(_))),
        // Hosts.
        ("GET / HTTP/1.1\r\n\r\n", |e| matches!(e, Protocol(_))),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", |e| matches!(e, Protocol(_))),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", |e| matches!(e, Protocol(_))),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", |e| matches!(e, Protocol(_))),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", |e| matches!(e, Protocol(_))),
        ("GET / HTTP/1.1\r\nHost: user@a\r\n\r\n", |e| matches!(e, Protocol(_))),
        ("GET http://user@a/ HTTP/1.1\r\nHost: a\r\n\r\n", |e| matches!(e, Protocol(_))),
        // Targets.
        ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", |e| *e == UriInvalid),
        ("GET /#b HTTP/1.1\r\nHost: a\r\n\r\n", |e| *e == UriInvalid),
        ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", |e| *e == UriInvalid),
        ("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", |e| *e == UriInvalid),
        ("CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", |e| *e == UriInvalid),
        // Versions, and what is no request at all.
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", |e| *e == Version),
        ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", |e| *e == Version),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", |e| *e == Version),
        ("GET /\r\n\r\n", |_| true),
        ("G(T / HTTP/1.1\r\nHost: a\r\n\r\n", |e| matches!(e, Protocol(_))),
        ("\u{16}\u{3}\u{1}\r\n\r\n", |e| matches!(e, Protocol(_))),
        ("GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n", |e| *e == Expectation),
        ("GET / HTTP/1.1\r\nHost: a\r\n", |e| *e == ConnectionTerminated),
        ("GET / HT", |e| *e == ConnectionTerminated),
    ];
    for (bytes, expected) in cases {
        match requests(bytes.as_bytes()) {
            Err(error) => assert!(expected(&error), "{bytes:?}: {error}"),
            Ok(request) => panic!("{bytes:?} is taken: {request:?}"),
        }
    }
}

#[test]
fn chunks_that_could_be_smuggled_are_refused() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for chunks in [
        "x\r\n",
        "-1\r\n",
        "+1\r\na\r\n",
        "0x1\r\na\r\n",
        "\r\n",
        " 1\r\na\r\n",
        "1 \r\na\r\n",
        "1\ta\r\n",
        "1\na\r\n",
        "1\r\nab\r\n",
        "1\r\na\n0\r\n\r\n",
        "1\r\na0\r\n\r\n",
        "1\r\na\r0\r\n\r\n",
        "1;a\nb\r\na\r\n",
        "1;a\rb\r\na\r\n",
        "1;\0\r\na\r\n",
        "1 ; a\r\na\r\n",
        "10000000000000000\r\n",
        "00000000000000001\r\na\r\n",
        "ffffffffffffffffff\r\n",
        "0\r\nX : a\r\n\r\n",
        "0\r\nX: a\n\r\n",
        "0\r\n X: a\r\n\r\n",
        "0\r\nX: \0\r\n\r\n",
        "0\r\nX: a\r\n b\r\n\r\n",
        "0\r\nX\r\n\r\n",
        "0\r\n\n",
    ] {
        let refused = requests(&[head.as_bytes(), chunks.as_bytes()].concat());
        assert!(matches!(refused, Err(Error::Protocol(_))), "{chunks:?}: {refused:?}");
    }
    for cut in
        ["", "1", "1\r", "1\r\n", "1\r\na", "1\r\na\r\n", "0\r\n", "0\r\nX: a\r\n", "ffffffffffffffff\r\na"]
    {
        let refused = requests(&[head.as_bytes(), cut.as_bytes()].concat());
        assert_eq!(refused, Err(Error::ConnectionTerminated), "{cut:?}");
    }
    let cut = requests(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab");
    assert_eq!(cut, Err(Error::ConnectionTerminated));
}

#[test]
fn what_is_odd_and_clear_is_taken() {
    let body = |bytes: &str| requests(bytes.as_bytes()).map(|(_, body, _)| body);
    assert_eq!(body("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), Ok("".into()));
    assert_eq!(
        body("POST / HTTP/1.1\r\nHost:\r\nContent-Length:\t007 \r\n\r\nabcdefg"),
        Ok("abcdefg".into())
    );
    let chunked = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: CHUNKED\r\n\r\n";
    let chunks =
        "3;a=\"b c\"\r\nabc\r\n000A;\r\n0123456789\r\n0\r\nX: y\r\nContent-Length: 5\r\nHost: b\r\n\r\n";
    let (head, body, trailers) = requests(&[chunked.as_bytes(), chunks.as_bytes()].concat()).unwrap();
    assert_eq!((body.as_str(), trailers), ("abc0123456789", Some(fields(&[("X", "y")]).immutable())));
    assert_eq!((head.authority.as_deref(), head.fields), (Some("a"), Fields::new().immutable()));

    for (target, authority, path) in [
        ("/a?b=c#", None, None),
        ("/a?b=c", Some("h:1"), Some("/a?b=c")),
        ("http://x:2/y", Some("x:2"), Some("/y")),
        ("http://x", Some("x"), Some("/")),
        ("http://x?q", Some("x"), Some("?q")),
        ("//x/y", Some("h:1"), Some("//x/y")),
    ] {
        let request = requests(alloc::format!("GET {target} HTTP/1.1\r\nHost: h:1\r\n\r\n").as_bytes());
        match request {
            Ok((head, ..)) => {
                assert_eq!((head.authority.as_deref(), head.path_with_query.as_deref()), (authority, path));
            }
            Err(error) => assert_eq!((error, path), (Error::UriInvalid, None), "{target}"),
        }
    }
    let (connect, ..) = requests(b"CONNECT x:2 HTTP/1.1\r\nHost: x:2\r\n\r\n").unwrap();
    assert_eq!((connect.authority.as_deref(), connect.path_with_query), (Some("x:2"), None));
    let (options, ..) = requests(b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!(options.path_with_query.as_deref(), Some("*"));
}

#[test]
fn a_head_has_an_end() {
    let mut many = String::from("GET / HTTP/1.1\r\nHost: a\r\n");
    for _ in 0..Fields::MAX {
        many += "X: y\r\n";
    }
    many += "\r\n";
    let too_large = Error::RequestHeadSize(64 << 10);
    assert_eq!(requests(many.as_bytes()), Err(too_large));
    let long = alloc::format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(70_000));
    assert_eq!(request(long.as_bytes(), 1000), Err(too_large));
    let endless = alloc::format!("GET /{}", "y".repeat(70_000));
    assert_eq!(request(endless.as_bytes(), 1000), Err(too_large));
    let fits = alloc::format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(60_000));
    assert!(request(fits.as_bytes(), 1000).is_ok());

    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let trailers = Error::RequestTrailersSize(64 << 10);
    for endless in [
        alloc::format!("1;{}", "y".repeat(70_000)),
        alloc::format!("0\r\nX: {}", "y".repeat(70_000)),
        alloc::format!("0\r\n{}\r\n", "X: y\r\n".repeat(200)),
    ] {
        assert_eq!(request(&[chunked, &endless].concat().into_bytes(), 1000), Err(trailers));
    }
}
