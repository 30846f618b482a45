//! Handlers in text, asked over the loopback.

use super::*;
use crate::{
    Limits as RunLimits, hosted,
    io::{InputStream, OutputStream},
    sockets::{Access, Family, Network, Policy},
};
use alloc::vec::Vec;
use core::time::Duration;

/// What `wasi:http/types` is to the handlers; `error-code` as it is in the WIT.
const TYPES: &str = r#"
    (import "wasi:http/types@0.2.0" (instance $types
        (export "fields" (type $fields (sub resource)))
        (export "incoming-request" (type $request (sub resource)))
        (export "outgoing-response" (type $response (sub resource)))
        (export "response-outparam" (type $out (sub resource)))
        (type $dns' (record (field "rcode" (option string)) (field "info-code" (option u16))))
        (export "DNS-error-payload" (type $dns (eq $dns')))
        (type $tls' (record (field "alert-id" (option u8)) (field "alert-message" (option string))))
        (export "TLS-alert-received-payload" (type $tls (eq $tls')))
        (type $size' (record (field "field-name" (option string)) (field "field-size" (option u32))))
        (export "field-size-payload" (type $size (eq $size')))
        (type $error' (variant
            (case "DNS-timeout") (case "DNS-error" $dns) (case "destination-not-found") (case "destination-unavailable")
            (case "destination-IP-prohibited") (case "destination-IP-unroutable") (case "connection-refused")
            (case "connection-terminated") (case "connection-timeout") (case "connection-read-timeout")
            (case "connection-write-timeout") (case "connection-limit-reached") (case "TLS-protocol-error")
            (case "TLS-certificate-error") (case "TLS-alert-received" $tls) (case "HTTP-request-denied")
            (case "HTTP-request-length-required") (case "HTTP-request-body-size" (option u64)) (case "HTTP-request-method-invalid")
            (case "HTTP-request-URI-invalid") (case "HTTP-request-URI-too-long")
            (case "HTTP-request-header-section-size" (option u32)) (case "HTTP-request-header-size" (option $size))
            (case "HTTP-request-trailer-section-size" (option u32)) (case "HTTP-request-trailer-size" $size)
            (case "HTTP-response-incomplete") (case "HTTP-response-header-section-size" (option u32))
            (case "HTTP-response-header-size" $size) (case "HTTP-response-body-size" (option u64))
            (case "HTTP-response-trailer-section-size" (option u32)) (case "HTTP-response-trailer-size" $size)
            (case "HTTP-response-transfer-coding" (option string)) (case "HTTP-response-content-coding" (option string))
            (case "HTTP-response-timeout") (case "HTTP-upgrade-failed") (case "HTTP-protocol-error") (case "loop-detected")
            (case "configuration-error") (case "internal-error" (option string))))
        (export "error-code" (type $error (eq $error')))
        (export "[constructor]fields" (func (result (own $fields))))
        (export "[constructor]outgoing-response" (func (param "headers" (own $fields)) (result (own $response))))
        (export "[static]response-outparam.set" (func
            (param "param" (own $out)) (param "response" (result (own $response) (error $error)))))))
    (alias export $types "incoming-request" (type $request))
    (alias export $types "response-outparam" (type $out))
    (core module $memory (memory (export "memory") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
    (core instance $memory (instantiate $memory))
    (core func $fields (canon lower (func $types "[constructor]fields")))
    (core func $response (canon lower (func $types "[constructor]outgoing-response")))
    (core func $set (canon lower (func $types "[static]response-outparam.set")
        (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
"#;

/// A handler whose core function does this with the request (0) and the way to answer (1).
fn handler(body: &str) -> Handler {
    let wat = alloc::format!(
        r#"(component {TYPES}
        (core module $main
            (import "" "fields" (func $fields (result i32)))
            (import "" "response" (func $response (param i32) (result i32)))
            (import "" "set" (func $set (param i32 i32 i32 i32 i64 i32 i32 i32 i32)))
            (func (export "handle") (param i32 i32) {body}))
        (core instance $main (instantiate $main (with "" (instance
            (export "fields" (func $fields)) (export "response" (func $response)) (export "set" (func $set))))))
        (func $handle (param "request" (own $request)) (param "response-out" (own $out))
            (canon lift (core func $main "handle")))
        (instance $handler (export "handle" (func $handle)))
        (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))"#
    );
    match Handler::new(&Engine::new(), &wat::parse_str(wat).unwrap()) {
        Ok(handler) => handler,
        Err(refusal) => panic!("{refusal}"),
    }
}

/// 200, without a body.
const ANSWERS: &str = "(call $set (local.get 1) (i32.const 0) (call $response (call $fields))
    (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))";

/// What comes back when a server that has this handler is sent this on one connection, which then stays open.
fn ask(body: &str, requests: &str) -> String {
    let machine = hosted::machine();
    let network = Network::loopback(&machine).unwrap();
    let access = Access::new(network.clone(), Policy::everything());
    let listener = access.tcp(Family::Ipv4).unwrap();
    let address = "127.0.0.1:80".parse().unwrap();
    listener.bind(address).unwrap();
    listener.listen().unwrap();
    let command = Command::new("handler").limits(RunLimits::default().with_time(Duration::from_millis(300)));
    let server =
        Server { handler: handler(body), machine, command, limits: Limits::default(), connections: 8 };
    let done = Arc::new(AtomicBool::new(false));
    let stop = poll_fn(|_| if done.load(Ordering::Relaxed) { Poll::Ready(()) } else { Poll::Pending });
    let mut serving = pin!(server.serve(listener, stop));
    let mut network = pin!(network.run());
    let client = async {
        let socket = access.tcp(Family::Ipv4).unwrap();
        socket.connect(address).unwrap();
        poll_fn(|task| socket.poll_connected(task)).await.unwrap();
        let sent = poll_fn(|task| socket.poll_write(task, requests.as_bytes())).await;
        assert_eq!(sent, Ok(requests.len()));
        let (mut all, mut buffer) = (Vec::new(), [0; 1000]);
        // As many answers as there are requests.
        while all.windows(4).filter(|end| end == b"\r\n\r\n").count() < requests.matches("\r\n\r\n").count() {
            match poll_fn(|task| socket.poll_read(task, &mut buffer)).await {
                Ok(count @ 1..) => all.extend_from_slice(&buffer[..count]),
                _ => break,
            }
        }
        String::from_utf8(all).unwrap()
    };
    let mut client = pin!(client);
    let mut answer = None;
    let served = hosted::block_on(poll_fn(|task| {
        let _ = network.as_mut().poll(task);
        if answer.is_none()
            && let Poll::Ready(all) = client.as_mut().poll(task)
        {
            answer = Some(all);
            done.store(true, Ordering::Relaxed);
        }
        // It ends although the client is still connected.
        match serving.as_mut().poll(task) {
            Poll::Ready(served) => Poll::Ready(served),
            Poll::Pending => Poll::Pending,
        }
    }));
    served.unwrap();
    answer.unwrap()
}

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

fn statuses(answer: &str) -> Vec<&str> {
    answer.split("HTTP/1.1 ").skip(1).filter_map(|rest| rest.get(..3)).collect()
}

#[test]
fn each_request_has_an_instance_and_connections_are_kept() {
    let answer = ask(ANSWERS, &GET.repeat(3));
    assert_eq!(statuses(&answer), ["200", "200", "200"], "{answer}");
    assert!(!answer.contains("close") && answer.contains("Content-Length: 0\r\n"), "{answer}");
}

#[test]
fn a_request_that_fails_or_does_not_end_costs_itself() {
    for body in ["unreachable", "(loop $again (br $again))", "", "(drop (call $fields)) unreachable"] {
        let answer = ask(body, GET);
        assert_eq!(statuses(&answer), ["500"], "{body}: {answer}");
        assert!(answer.contains("Connection: close\r\n"), "{body}: {answer}");
    }
    let answer = ask(&[ANSWERS, "unreachable"].concat(), GET);
    assert_eq!(statuses(&answer), ["200"], "the answer was given before");
    assert_eq!(statuses(&ask(ANSWERS, "GET / HTTP/9\r\n\r\n")), ["505"]);
}

#[test]
fn what_is_no_handler_is_refused() {
    let refused = |wat: &str| Handler::new(&Engine::new(), &wat::parse_str(wat).unwrap()).err();
    assert_eq!(refused("(module)"), Some(Refusal::NotHandler(Vec::new())));
    assert_eq!(refused("(component)"), Some(Refusal::NotHandler(Vec::new())));
}
