//! Servers that mean harm: nothing they send makes the client panic, keep much, run on, or believe them.

use super::*;
use crate::io::{PipeReader, PipeWriter};
use crate::tls::stream::{INCOMING_MAX, OUTGOING_MAX};
use core::{
    ops::Range,
    task::{Context, Poll, Waker},
};
use rcgen::DnType;

/// What a server sends in answer to the client's first message, and a client that has sent it. The pipe back is to stay open: what the
/// client answers is not what counts.
fn first_flight(client: &Client, server: ServerConfig) -> (Stream, PipeWriter, Vec<u8>, PipeReader) {
    let ((input, to_client), (from_client, output)) = (pipe(1 << 20), pipe(1 << 20));
    let stream = client.connect(NAME, Arc::new(input), Arc::new(output)).unwrap();
    let task = &mut Context::from_waker(Waker::noop());
    assert!(stream.poll_handshake(task).is_pending());
    let mut hello = vec![0; 4_096];
    let Poll::Ready(Ok(count)) = from_client.poll_read(task, &mut hello) else { panic!("no hello") };
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    server.read_tls(&mut &hello[..count]).unwrap();
    server.process_new_packets().unwrap();
    let mut flight = Vec::new();
    while server.wants_write() {
        server.write_tls(&mut flight).unwrap();
    }
    (stream, to_client, flight, from_client)
}

fn feed(stream: &Stream, to_client: &PipeWriter, bytes: &[u8]) -> Poll<Result<(), Error>> {
    let task = &mut Context::from_waker(Waker::noop());
    let mut rest = bytes;
    loop {
        if let Poll::Ready(Ok(count)) = to_client.poll_write(task, rest) {
            rest = &rest[count..];
        }
        // Turns are short: it may have given others theirs.
        let mut result = stream.poll_handshake(task);
        for _ in 0..20 {
            if result.is_pending() {
                result = stream.poll_handshake(task);
            }
        }
        if rest.is_empty() || result.is_ready() {
            return result;
        }
    }
}

/// Where the records have their version.
fn versions(flight: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    core::iter::from_fn(move || {
        let header = flight.get(start..start + 5)?;
        let version = start + 1..start + 3;
        start += 5 + usize::from(u16::from_be_bytes([header[3], header[4]]));
        Some(version)
    })
}

#[test]
fn changed_bytes_are_noticed() {
    let root = p256_root();
    let client = client(roots(&root));
    let (stream, to_client, flight, _back) = first_flight(&client, plain(root.server(|_| {})));
    assert_eq!(feed(&stream, &to_client, &flight), Poll::Ready(Ok(())));
    // Of each three bytes one: all of them take long without optimisation.
    for index in (0..flight.len()).step_by(3) {
        let (stream, to_client, mut flight, _back) = first_flight(&client, plain(root.server(|_| {})));
        // A signature is sometimes a byte longer.
        let index = index.min(flight.len() - 1);
        // What must be ignored (RFC 8446, section 5.1).
        if versions(&flight).any(|version| version.contains(&index)) {
            continue;
        }
        flight[index] ^= 1 << (index % 8);
        let result = feed(&stream, &to_client, &flight);
        assert!(!matches!(result, Poll::Ready(Ok(()))), "byte {index}");
    }
}

#[test]
fn rubbish_ends_a_connection() {
    let client = client(Roots::none());
    let cases: [&[u8]; 7] = [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x16\x03\x03\xff\xff",
        b"\x16\x03\x03\x00\x00",
        b"\x17\x03\x03\x00\x05aaaaa",
        b"\x16\x03\x03\x00\x04\x02\xff\xff\xff",
        b"\x15\x03\x03\x00\x02\x02\x28",
        &[0; 100],
    ];
    for bytes in cases {
        let ((input, to_client), (_from_client, output)) = (pipe(1 << 20), pipe(1 << 20));
        let stream = client.connect(NAME, Arc::new(input), Arc::new(output)).unwrap();
        let result = feed(&stream, &to_client, bytes);
        assert!(matches!(result, Poll::Ready(Err(_))), "{bytes:?}: {result:?}");
    }
}

#[test]
fn what_is_kept_is_bounded() {
    // A handshake message that never ends, and one piece of a record after the other.
    let client = client(Roots::none());
    let ((input, to_client), (_from_client, output)) = (pipe(1 << 20), pipe(1 << 20));
    let stream = client.connect(NAME, Arc::new(input), Arc::new(output)).unwrap();
    let mut record = Vec::from(b"\x16\x03\x03\x40\x00\x02\x00\xff\xff");
    record.resize(5 + (1 << 14), 0);
    let mut result = Poll::Pending;
    for _ in 0..20 {
        result = feed(&stream, &to_client, &record);
        record[5] = 0;
        assert!(stream.kept() <= 2 * (INCOMING_MAX + OUTGOING_MAX));
    }
    assert!(matches!(result, Poll::Ready(Err(_))), "{result:?}");

    // A certificate as long as one can be.
    let root = p256_root();
    let long = "x".repeat(60_000);
    let client = super::client(roots(&root));
    let server = |len: usize| {
        plain(
            root.server(|params| params.distinguished_name.push(DnType::CommonName, long[..len].to_string())),
        )
    };
    assert_eq!(handshake(&client, NAME, server(50_000)), Ok(()));
    assert!(handshake(&client, NAME, server(60_000)).is_ok());
}

#[test]
fn a_server_that_never_says_anything_of_use_gives_others_their_turns() {
    // Messages without content, which the protocol allows (some of them).
    let root = p256_root();
    let (stream, to_client, flight, _back) = first_flight(&client(roots(&root)), plain(root.server(|_| {})));
    assert_eq!(feed(&stream, &to_client, &flight), Poll::Ready(Ok(())));
    let task = &mut Context::from_waker(Waker::noop());
    for _ in 0..1_000 {
        let _ = to_client.poll_write(task, b"\x14\x03\x03\x00\x01\x01");
    }
    assert!(matches!(stream.poll_read(task, &mut [0]), Poll::Ready(Err(_))));
}
