//! Answers by what the path says: `/echo` sends the body and its trailers back, `/ask` asks the server itself (with the authority that the
//! client has used) for `/echo`, and gives on what that says; `/late` answers, and reads the body only when there is a line on its stdin; `/headers`
//! says what is wrong with fields; `/panic`, `/endless` and `/silent` do what they are called.

use wasip2::{
    exports::http::incoming_handler::Guest,
    http::{
        outgoing_handler,
        types::{
            ErrorCode, Fields, HeaderError, IncomingBody, IncomingRequest, Method, OutgoingBody,
            OutgoingRequest, OutgoingResponse, RequestOptions, ResponseOutparam, Scheme, http_error_code,
        },
    },
    io::streams::{InputStream, OutputStream, StreamError},
};

struct Handler;

wasip2::http::proxy::export!(Handler);

impl Guest for Handler {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        match path.split('?').next().unwrap_or_default() {
            "/echo" => echo(request, out),
            "/ask" => ask(request, out),
            "/late" => late(request, out),
            "/headers" => answer(out, &headers()),
            "/refused" => {
                let refused = outgoing("example.org", "/").map(|_| ()).unwrap_err();
                answer(out, &format!("{refused:?}"));
            }
            "/error" => ResponseOutparam::set(out, Err(ErrorCode::ConnectionLimitReached)),
            "/panic" => panic!("as it was told"),
            "/endless" => loop {
                core::hint::spin_loop();
            },
            "/silent" => {}
            other => answer(out, &format!("{:?} {other} {:?}", request.method(), request.authority())),
        }
    }
}

fn answer(out: ResponseOutparam, text: &str) {
    let response = OutgoingResponse::new(Fields::new());
    let body = response.body().unwrap();
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().unwrap();
    stream.blocking_write_and_flush(text.as_bytes()).unwrap();
    drop(stream);
    OutgoingBody::finish(body, None).unwrap();
}

/// Moves all bytes from one stream to another.
fn copy(from: &InputStream, to: &OutputStream) {
    loop {
        match to.blocking_splice(from, 1 << 16) {
            Ok(_) => {}
            Err(StreamError::Closed) => return,
            Err(StreamError::LastOperationFailed(error)) => panic!("{:?}", http_error_code(&error)),
        }
    }
}

/// Sends a body on, with its trailers.
fn send_on(from: IncomingBody, to: OutgoingBody) {
    let (input, output) = (from.stream().unwrap(), to.write().unwrap());
    copy(&input, &output);
    drop((input, output));
    let future = IncomingBody::finish(from);
    future.subscribe().block();
    let trailers = future.get().unwrap().unwrap().unwrap();
    OutgoingBody::finish(to, trailers.map(|trailers| trailers.clone())).unwrap();
}

fn echo(request: IncomingRequest, out: ResponseOutparam) {
    let response = OutgoingResponse::new(request.headers().clone());
    response.set_status_code(201).unwrap();
    let body = response.body().unwrap();
    ResponseOutparam::set(out, Ok(response));
    send_on(request.consume().unwrap(), body);
}

fn late(request: IncomingRequest, out: ResponseOutparam) {
    answer(out, "early");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    let body = request.consume().unwrap();
    let stream = body.stream().unwrap();
    let mut all = Vec::new();
    while let Ok(bytes) = stream.blocking_read(1 << 16) {
        all.extend(bytes);
    }
    println!("late: {}", String::from_utf8(all).unwrap());
}

fn outgoing(
    authority: &str,
    path: &str,
) -> Result<(wasip2::http::types::FutureIncomingResponse, OutgoingBody), ErrorCode> {
    let fields = Fields::from_list(&[("x-asked".into(), b"yes".into())]).unwrap();
    let request = OutgoingRequest::new(fields);
    request.set_method(&Method::Post).unwrap();
    request.set_scheme(Some(&Scheme::Http)).unwrap();
    request.set_authority(Some(authority)).unwrap();
    request.set_path_with_query(Some(path)).unwrap();
    let body = request.body().unwrap();
    let options = RequestOptions::new();
    options.set_connect_timeout(Some(5_000_000_000)).unwrap();
    Ok((outgoing_handler::handle(request, Some(options))?, body))
}

fn ask(request: IncomingRequest, out: ResponseOutparam) {
    let (future, body) = outgoing(&request.authority().unwrap(), "/echo").unwrap();
    send_on(request.consume().unwrap(), body);
    future.subscribe().block();
    let incoming = future.get().unwrap().unwrap().unwrap();
    assert_eq!(incoming.status(), 201);
    let response = OutgoingResponse::new(incoming.headers().clone());
    let body = response.body().unwrap();
    ResponseOutparam::set(out, Ok(response));
    send_on(incoming.consume().unwrap(), body);
}

/// What is refused of fields.
fn headers() -> String {
    let fields = Fields::new();
    let syntax = matches!(fields.append("a b", b""), Err(HeaderError::InvalidSyntax));
    let value = matches!(fields.append("a", b"b\r\nc: d"), Err(HeaderError::InvalidSyntax));
    let host = matches!(fields.set("Host", &[]), Err(HeaderError::Forbidden));
    fields.append("Content-Length", b"5").unwrap();
    let response = OutgoingResponse::new(fields);
    let immutable = matches!(response.headers().delete("content-length"), Err(HeaderError::Immutable));
    let body = response.body().unwrap();
    body.write().unwrap().blocking_write_and_flush(b"hey").unwrap();
    let short = matches!(OutgoingBody::finish(body, None), Err(ErrorCode::HttpResponseBodySize(Some(3))));
    format!("{syntax} {value} {host} {immutable} {short}")
}
