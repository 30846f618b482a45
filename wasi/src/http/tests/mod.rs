//! Both sides of HTTP over pipes: what goes over the wire, and what is refused.

mod client;
mod server;
mod smuggling;

use super::*;
use crate::{
    clocks::Clock,
    io::{InputStream, OutputStream, PipeReader, PipeWriter, pipe, waiting::looking},
    testing::{TestClock, machine},
};
use alloc::{
    string::{String, ToString},
    sync::Arc,
    task::Wake,
    vec::Vec,
};
use core::{
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll},
};

/// The other end of a connection, which is a test's.
struct Peer {
    input: Option<PipeReader>,
    output: Option<PipeWriter>,
}

/// A connection whose pipes hold so many bytes.
fn connection(capacity: usize) -> (Transport, Peer) {
    let (input, their_output) = pipe(capacity);
    let (their_input, output) = pipe(capacity);
    let transport = Transport { input: Arc::new(input), output: Arc::new(output) };
    (transport, Peer { input: Some(their_input), output: Some(their_output) })
}

fn noop() -> Context<'static> {
    looking()
}

impl Peer {
    /// Sends all of it, which there must be room for.
    #[track_caller]
    fn send(&self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        let sent = self.output.as_ref().unwrap().poll_write(&mut noop(), bytes);
        assert_eq!(sent, Poll::Ready(Ok(bytes.len())));
    }

    /// All that is there now.
    fn receive(&self) -> String {
        let mut all = Vec::new();
        let mut buffer = [0; 4096];
        while let Poll::Ready(Ok(count @ 1..)) =
            self.input.as_ref().unwrap().poll_read(&mut noop(), &mut buffer)
        {
            all.extend_from_slice(&buffer[..count]);
        }
        String::from_utf8(all).unwrap()
    }

    /// Whether nothing more will come.
    fn is_closed(&self) -> bool {
        self.input.as_ref().unwrap().poll_read(&mut noop(), &mut [0]) == Poll::Ready(Ok(0))
    }
}

/// Counts how often it is woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Wakes {
    fn take(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}

fn clock() -> (Arc<dyn Clock>, Arc<TestClock>) {
    let (machine, clock) = machine();
    (machine.clock, clock)
}

fn fields(entries: &[(&str, &str)]) -> Fields {
    let mut fields = Fields::new();
    for (name, value) in entries {
        fields.append((*name).into(), value.as_bytes().into()).unwrap();
    }
    fields
}

/// Whether this is the error that was expected.
type Check = fn(&Error) -> bool;

/// What must be ready.
#[track_caller]
fn ready<T>(polled: Poll<T>) -> T {
    match polled {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

/// Reads what is there of a body, up to the end (`true`) or until it waits.
fn read(body: &IncomingBody) -> (Result<bool, crate::Error>, String) {
    let waker = Arc::new(Wakes::default()).into();
    read_as(&mut Context::from_waker(&waker), body)
}

/// The same for this task.
fn read_as(task: &mut Context<'_>, body: &IncomingBody) -> (Result<bool, crate::Error>, String) {
    let mut all = Vec::new();
    let mut buffer = [0; 5];
    loop {
        match body.poll_read(task, &mut buffer) {
            Poll::Ready(Ok(0)) => return (Ok(true), String::from_utf8(all).unwrap()),
            Poll::Ready(Ok(count)) => all.extend_from_slice(&buffer[..count]),
            Poll::Ready(Err(error)) => return (Err(error), String::from_utf8(all).unwrap()),
            Poll::Pending => return (Ok(false), String::from_utf8(all).unwrap()),
        }
    }
}

/// Writes all of it, which there must be room for.
#[track_caller]
fn write(body: &OutgoingBody, bytes: &str) {
    assert_eq!(body.poll_write(&mut noop(), bytes.as_bytes()), Poll::Ready(Ok(bytes.len())));
}

fn response(status: u16, entries: &[(&str, &str)]) -> ResponseHead {
    ResponseHead { status, fields: fields(entries) }
}
