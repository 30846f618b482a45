//! A handler of HTTP requests, for `tests/tests/serve.rs`: it does what the path says.
use std::io::Write;
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};
use wasip2::io::streams::StreamError;

struct Handler;

wasip2::http::proxy::export!(Handler);

/// How many requests this instance has seen: never more than one.
static mut SEEN: usize = 0;

impl Guest for Handler {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        // SAFETY: there is one thread.
        let seen = unsafe {
            SEEN += 1;
            SEEN
        };
        let path = request.path_with_query().unwrap_or_default();
        match &*path {
            "/trap" => panic!("as was asked for"),
            "/endless" => loop {
                std::hint::black_box(seen);
            },
            "/silent" => {}
            "/half" => {
                let body = answer(out);
                let stream = body.write().unwrap();
                stream.blocking_write_and_flush(b"the first half").unwrap();
                panic!("and no second");
            }
            "/echo" => {
                let body = answer(out);
                let stream = body.write().unwrap();
                let incoming = request.consume().unwrap();
                let input = incoming.stream().unwrap();
                loop {
                    match input.blocking_read(4096) {
                        Ok(bytes) => bytes
                            .chunks(4096)
                            .for_each(|piece| stream.blocking_write_and_flush(piece).unwrap()),
                        Err(StreamError::Closed) => break,
                        Err(error) => panic!("{error}"),
                    }
                }
                drop(stream);
                OutgoingBody::finish(body, None).unwrap();
            }
            _ => {
                println!("{path}");
                let body = answer(out);
                let stream = body.write().unwrap();
                let mut text = vec![];
                write!(text, "{path} {seen}").unwrap();
                stream.blocking_write_and_flush(&text).unwrap();
                drop(stream);
                OutgoingBody::finish(body, None).unwrap();
            }
        }
    }
}

/// Begins an answer.
fn answer(out: ResponseOutparam) -> OutgoingBody {
    let response = OutgoingResponse::new(Fields::new());
    let body = response.body().unwrap();
    ResponseOutparam::set(out, Ok(response));
    body
}
