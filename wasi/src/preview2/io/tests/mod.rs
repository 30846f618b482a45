//! What streams do; [`polls`] are tested beside them.

mod polls;

use super::{poll, streams::*, *};
use crate::{
    io::{BytesInput, BytesOutput, InputStream, OutputStream, Readiness},
    preview2::{stdio::*, testing::*},
};
use alloc::{string::String, sync::Arc, vec};
use component::Borrow;
use core::{
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll},
};

const CLOSED: core::result::Result<(), StreamError> = Err(StreamError::Closed);

fn borrow<R>(own: Own<R>) -> Borrow<R> {
    Borrow::new(own.rep)
}

fn stdin(guest: &mut Guest) -> Borrow<Input> {
    borrow(guest.call(get_stdin, ()))
}

fn stdout(guest: &mut Guest) -> Borrow<Output> {
    borrow(guest.call(get_stdout, ()))
}

/// Makes an output stream of anything.
fn output(guest: &mut Guest, stream: impl OutputStream + 'static) -> Borrow<Output> {
    Borrow::new(guest.data.state.table.insert(Output::new(Arc::new(stream), Origin::Stdio)).unwrap())
}

fn input(guest: &mut Guest, stream: impl InputStream + 'static) -> Borrow<Input> {
    Borrow::new(guest.data.state.table.insert(Input::new(Arc::new(stream), Origin::Stdio)).unwrap())
}

/// What a stream failed with, to a person; the error is dropped.
fn failure<T: core::fmt::Debug>(guest: &mut Guest, result: core::result::Result<T, StreamError>) -> String {
    let Err(StreamError::LastOperationFailed(error)) = result else { panic!("{result:?}") };
    let text = guest.call(super::error::to_debug_string, (borrow(error),));
    guest.drop::<IoError>(error.rep).unwrap();
    text
}

#[test]
fn reading_gives_what_is_there_and_then_the_end() {
    let mut guest = guest();
    let stream = stdin(&mut guest);
    assert_eq!(guest.call(read, (stream, 8)), Ok(vec![]));
    assert_eq!(guest.call(read, (stream, 0)), Ok(vec![]));
    guest.feed(b"abcdef");
    assert_eq!(guest.call(read, (stream, 4)), Ok(b"abcd".to_vec()));
    assert_eq!(guest.call(read, (stream, u64::MAX)), Ok(b"ef".to_vec()));
    guest.feed(b"gh");
    guest.stdin = None;
    assert_eq!(guest.call(skip, (stream, 1)), Ok(1));
    assert_eq!(guest.call(read, (stream, 0)), Ok(vec![]));
    assert_eq!(guest.call(blocking_read, (stream, 8)), Ok(b"h".to_vec()));
    for len in [0, 1, 1 << 40] {
        assert_eq!(guest.call(read, (stream, len)), Err(StreamError::Closed), "{len}");
        assert_eq!(guest.call(blocking_read, (stream, len)), Err(StreamError::Closed), "{len}");
        assert_eq!(guest.call(skip, (stream, len)), Err(StreamError::Closed), "{len}");
        assert_eq!(guest.call(blocking_skip, (stream, len)), Err(StreamError::Closed), "{len}");
    }
}

#[test]
fn a_blocking_read_waits_for_the_first_byte() {
    for len in [0, 3, u64::MAX] {
        let mut guest = guest();
        let stream = stdin(&mut guest);
        assert!(guest.poll(blocking_read, (stream, len)).is_pending());
        assert!(guest.poll_again(blocking_read, (stream, len)).is_pending());
        assert_eq!(guest.wakes(), 0);
        guest.feed(b"abc");
        assert_eq!(guest.wakes(), 1);
        let expected = if len == 0 { vec![] } else { b"abc".to_vec() };
        assert_eq!(done(guest.poll_again(blocking_read, (stream, len))), Ok(expected));
    }
    let mut guest = guest();
    let stream = stdin(&mut guest);
    assert!(guest.poll(blocking_skip, (stream, 2)).is_pending());
    guest.feed(b"abc");
    assert_eq!(done(guest.poll_again(blocking_skip, (stream, 2))), Ok(2));
    assert_eq!(guest.call(read, (stream, 9)), Ok(b"c".to_vec()));
}

#[test]
fn one_call_moves_so_much_and_no_more() {
    let mut guest = guest();
    let stream = input(&mut guest, BytesInput::new(vec![7; TRANSFER_MAX + 5]));
    assert_eq!(guest.call(read, (stream, u64::MAX)).unwrap().len(), TRANSFER_MAX);
    assert_eq!(guest.call(read, (stream, u64::MAX)), Ok(vec![7; 5]));
    let stream = output(&mut guest, BytesOutput::new(None));
    assert_eq!(guest.call(check_write, (stream,)), Ok(TRANSFER_MAX as u64));
}

#[test]
fn writing_is_permitted_as_far_as_there_is_room() {
    let mut guest = guest();
    let stream = stdout(&mut guest);
    assert!(matches!(guest.trap(write, (stream, b"x".to_vec())), Trap::Host(_)), "nothing is permitted yet");
    assert_eq!(guest.call(check_write, (stream,)), Ok(PIPE as u64));
    assert_eq!(guest.call(write, (stream, b"0123456789".to_vec())), Ok(()));
    assert_eq!(guest.call(check_write, (stream,)), Ok(6));
    assert!(matches!(guest.trap(write, (stream, vec![0; 7])), Trap::Host(_)));
    assert!(matches!(guest.trap(write_zeroes, (stream, u64::MAX)), Trap::Host(_)));
    assert_eq!(guest.call(write_zeroes, (stream, 6)), Ok(()));
    assert!(matches!(guest.trap(write, (stream, vec![0; 1])), Trap::Host(_)), "the permit is used up");
    assert_eq!(guest.call(check_write, (stream,)), Ok(0));
    assert_eq!(guest.call(write, (stream, vec![])), Ok(()));
    assert_eq!(guest.drain(99), b"0123456789\0\0\0\0\0\0");
    guest.stdout = None;
    assert_eq!(guest.call(check_write, (stream,)), Err(StreamError::Closed));
    assert_eq!(guest.call(flush, (stream,)), CLOSED);
    assert_eq!(guest.call(write, (stream, vec![])), CLOSED);
}

#[test]
fn a_permit_holds_when_somebody_else_takes_the_room() {
    let mut guest = guest();
    let (first, second) = (stdout(&mut guest), stdout(&mut guest));
    for stream in [first, second] {
        assert_eq!(guest.call(check_write, (stream,)), Ok(PIPE as u64));
    }
    assert_eq!(guest.call(write, (second, vec![2; PIPE - 4])), Ok(()));
    assert_eq!(guest.call(write, (first, vec![1; PIPE])), Ok(()));
    assert_eq!(guest.call(check_write, (first,)), Ok(0), "some of it is still here");
    assert!(guest.poll(blocking_flush, (first,)).is_pending());
    assert_eq!(guest.drain(PIPE), [vec![2; PIPE - 4], vec![1; 4]].concat());
    assert_eq!(guest.wakes(), 1);
    assert_eq!(done(guest.poll_again(blocking_flush, (first,))), Ok(()));
    assert_eq!(guest.drain(PIPE), vec![1; PIPE - 4]);
    assert_eq!(guest.call(check_write, (first,)), Ok(PIPE as u64));
    // What can still leave when a stream is dropped leaves.
    assert_eq!(guest.call(check_write, (second,)), Ok(PIPE as u64));
    assert_eq!(guest.call(write, (second, vec![2; PIPE])), Ok(()));
    assert_eq!(guest.call(write, (first, vec![1; 3])), Ok(()));
    assert_eq!(guest.drain(PIPE), vec![2; PIPE]);
    guest.drop::<Output>(first.rep).unwrap();
    assert_eq!(guest.drain(PIPE), vec![1; 3]);
    // Nor is anything overtaken that another handle has written.
    for stream in [second, stdout(&mut guest)] {
        assert_eq!(guest.call(check_write, (stream,)), Ok(PIPE as u64));
    }
    assert_eq!(guest.call(write, (second, vec![3; PIPE])), Ok(()));
    let third = stdout(&mut guest);
    assert!(guest.poll(blocking_write_and_flush, (third, vec![4; 2])).is_pending());
    assert_eq!(guest.drain(PIPE), vec![3; PIPE]);
    assert_eq!(guest.call(blocking_write_and_flush, (second, vec![5; 2])), Ok(()));
    assert_eq!(guest.drain(PIPE), [4, 4, 5, 5]);
}

#[test]
fn what_may_have_to_be_kept_is_bounded() {
    let mut guest = guest();
    guest.data.state.stdout = Output::new(Arc::new(crate::io::NullOutput), Origin::Stdio);
    let streams: Vec<_> = (0..50).map(|_| stdout(&mut guest)).collect();
    let permitted = |guest: &mut Guest, stream| guest.call(check_write, (stream,)).unwrap();
    let sum: u64 = streams.iter().map(|&stream| permitted(&mut guest, stream)).sum();
    assert_eq!(sum, output::PERMITS_MAX as u64 + 50 - (output::PERMITS_MAX / TRANSFER_MAX) as u64);
    assert_eq!(permitted(&mut guest, streams[49]), 1);
    // A permit is free again when it is used, given up, or gone with its stream.
    assert_eq!(guest.call(write, (streams[0], vec![0; TRANSFER_MAX])), Ok(()));
    assert_eq!(permitted(&mut guest, streams[49]), TRANSFER_MAX as u64 - 33, "33 others have one each");
    assert_eq!(guest.call(flush, (streams[1],)), Ok(()));
    assert_eq!(permitted(&mut guest, streams[48]), TRANSFER_MAX as u64);
    guest.drop::<Output>(streams[2].rep).unwrap();
    assert_eq!(permitted(&mut guest, streams[47]), TRANSFER_MAX as u64);
}

#[test]
fn a_blocking_write_waits_until_all_of_it_has_left() {
    let mut guest = guest();
    let stream = stdout(&mut guest);
    let long: Vec<u8> = (0..40).collect();
    assert!(guest.poll(blocking_write_and_flush, (stream, long.clone())).is_pending());
    let mut got = guest.drain(99);
    assert!(guest.poll_again(blocking_write_and_flush, (stream, long.clone())).is_pending());
    got.extend(guest.drain(4));
    assert!(guest.poll_again(blocking_write_and_flush, (stream, long.clone())).is_pending());
    got.extend(guest.drain(99));
    assert_eq!(done(guest.poll_again(blocking_write_and_flush, (stream, long.clone()))), Ok(()));
    got.extend(guest.drain(99));
    assert_eq!(got, long, "once, and in order");
    assert!(guest.poll(blocking_write_zeroes_and_flush, (stream, 20)).is_pending());
    assert_eq!(guest.drain(99), vec![0; PIPE]);
    assert_eq!(done(guest.poll_again(blocking_write_zeroes_and_flush, (stream, 20))), Ok(()));
    assert_eq!(guest.drain(99), vec![0; 4]);
    assert!(matches!(guest.trap(blocking_write_and_flush, (stream, vec![0; 4097])), Trap::Host(_)));
    assert!(matches!(guest.trap(blocking_write_zeroes_and_flush, (stream, 4097)), Trap::Host(_)));
    assert_eq!(guest.drain(99), b"");
    // Who reads goes away meanwhile.
    assert!(guest.poll(blocking_write_and_flush, (stream, long.clone())).is_pending());
    guest.stdout = None;
    assert_eq!(done(guest.poll_again(blocking_write_and_flush, (stream, long))), CLOSED);
}

/// A sink that takes 8 bytes, and is flushed, or fails once, when it is told.
#[derive(Default)]
struct Slow {
    flushed: AtomicUsize,
}

impl OutputStream for Arc<Slow> {
    fn poll_write(&self, _: &mut Context<'_>, buffer: &[u8]) -> Poll<crate::Result<usize>> {
        Poll::Ready(Ok(buffer.len().min(8)))
    }

    fn poll_writable(&self, _: &mut Context<'_>) -> Poll<crate::Result<Readiness>> {
        Poll::Ready(Ok(Readiness { bytes: 8, hangup: false }))
    }

    fn poll_flush(&self, task: &mut Context<'_>) -> Poll<crate::Result<()>> {
        match self.flushed.load(Ordering::Relaxed) {
            0 => {
                task.waker().wake_by_ref();
                Poll::Pending
            }
            usize::MAX => {
                self.flushed.store(1, Ordering::Relaxed);
                Poll::Ready(Err(Error::Io))
            }
            _ => Poll::Ready(Ok(())),
        }
    }
}

#[test]
fn nothing_is_permitted_until_a_flush_is_done() {
    let mut guest = guest();
    let slow = Arc::new(Slow::default());
    let stream = output(&mut guest, slow.clone());
    let pollable = borrow(guest.call(subscribe_output, (stream,)));
    assert_eq!(guest.call(check_write, (stream,)), Ok(8));
    assert_eq!(guest.call(flush, (stream,)), Ok(()));
    assert!(matches!(guest.trap(write, (stream, vec![1])), Trap::Host(_)));
    assert_eq!(guest.call(check_write, (stream,)), Ok(0));
    assert!(!guest.call(poll::ready, (pollable,)));
    assert!(guest.poll(blocking_flush, (stream,)).is_pending());
    slow.flushed.store(1, Ordering::Relaxed);
    assert_eq!(done(guest.poll_again(blocking_flush, (stream,))), Ok(()));
    assert_eq!(guest.call(check_write, (stream,)), Ok(8));
    assert!(guest.call(poll::ready, (pollable,)));
}

#[test]
fn a_failure_is_told_once_and_then_the_stream_is_closed() {
    let mut guest = guest();
    let stream = output(&mut guest, BytesOutput::new(Some(3)));
    let pollable = borrow(guest.call(subscribe_output, (stream,)));
    assert_eq!(guest.call(check_write, (stream,)), Ok(3));
    assert_eq!(guest.call(write, (stream, vec![0; 3])), Ok(()));
    assert!(guest.call(poll::ready, (pollable,)));
    assert_eq!(guest.call(check_write, (stream,)), Ok(1), "ready is never 0");
    let failed = guest.call(write, (stream, vec![0]));
    let Err(StreamError::LastOperationFailed(error)) = failed else { panic!("{failed:?}") };
    let code = guest.call(crate::preview2::filesystem::filesystem_error_code, (borrow(error),));
    assert_eq!(code, None, "it is not a file's");
    assert_eq!(failure(&mut guest, failed), "no space left");
    assert_eq!(guest.call(write, (stream, vec![])), CLOSED);
    assert_eq!(guest.call(blocking_flush, (stream,)), CLOSED);
    assert_eq!(guest.call(check_write, (stream,)), Err(StreamError::Closed));
    assert!(guest.call(poll::ready, (pollable,)));
}

#[test]
fn splicing_moves_what_is_there_as_far_as_there_is_room() {
    let mut guest = guest();
    let (from, to) = (stdin(&mut guest), stdout(&mut guest));
    assert_eq!(guest.call(splice, (to, from, 9)), Ok(0));
    guest.feed(b"0123456789");
    assert_eq!(guest.call(splice, (to, from, 0)), Ok(0));
    assert_eq!(guest.call(splice, (to, from, 4)), Ok(4));
    assert_eq!(guest.call(splice, (to, from, 99)), Ok(6));
    guest.feed(b"0123456789");
    assert_eq!(guest.call(splice, (to, from, 99)), Ok(6), "there is no more room");
    assert_eq!(guest.call(splice, (to, from, 99)), Ok(0));
    assert!(guest.poll(blocking_splice, (to, from, 99)).is_pending());
    assert_eq!(guest.drain(99), b"0123456789012345");
    assert_eq!(done(guest.poll_again(blocking_splice, (to, from, 99))), Ok(4));
    assert!(guest.poll(blocking_splice, (to, from, 99)).is_pending(), "now it waits for its input");
    guest.feed(b"x");
    assert_eq!(done(guest.poll_again(blocking_splice, (to, from, 99))), Ok(1));
    assert_eq!(guest.drain(99), b"6789x");
    guest.stdin = None;
    assert_eq!(guest.call(splice, (to, from, 99)), Err(StreamError::Closed));
    assert_eq!(guest.call(blocking_splice, (to, from, 99)), Err(StreamError::Closed));
}

/// A stream that is never ready to be written, and fails once when it is read, written or flushed.
#[derive(Default)]
struct Faulty {
    failed: core::sync::atomic::AtomicBool,
}

impl Faulty {
    fn once<T>(&self, then: T) -> Poll<crate::Result<T>> {
        let failed = self.failed.swap(true, Ordering::Relaxed);
        Poll::Ready(if failed { Ok(then) } else { Err(Error::Io) })
    }
}

impl InputStream for Faulty {
    fn poll_read(&self, _: &mut Context<'_>, buffer: &mut [u8]) -> Poll<crate::Result<usize>> {
        self.once(buffer.len())
    }

    fn poll_readable(&self, _: &mut Context<'_>) -> Poll<crate::Result<Readiness>> {
        Poll::Pending
    }
}

impl OutputStream for Faulty {
    fn poll_write(&self, _: &mut Context<'_>, buffer: &[u8]) -> Poll<crate::Result<usize>> {
        self.once(buffer.len())
    }

    fn poll_writable(&self, _: &mut Context<'_>) -> Poll<crate::Result<Readiness>> {
        Poll::Pending
    }

    fn poll_flush(&self, _: &mut Context<'_>) -> Poll<crate::Result<()>> {
        self.once(())
    }
}

#[test]
fn a_failure_that_shows_once_is_not_lost_and_closes_the_stream() {
    let mut guest = guest();
    let stream = input(&mut guest, Faulty::default());
    let failed = guest.call(read, (stream, 5));
    assert_eq!(failure(&mut guest, failed), "input/output error");
    assert_eq!(guest.call(read, (stream, 5)), Err(StreamError::Closed));

    // Who waits for it learns that it is closed, though nothing has woken anybody.
    let stream = output(&mut guest, Faulty::default());
    let pollable = borrow(guest.call(subscribe_output, (stream,)));
    assert!(!guest.call(poll::ready, (pollable,)));
    let failed = guest.call(blocking_write_and_flush, (stream, vec![1]));
    assert_eq!(failure(&mut guest, failed), "input/output error");
    assert!(guest.call(poll::ready, (pollable,)));

    // It is the pollable that meets the failure of a flush, and the next call that tells it.
    let slow = Arc::new(Slow::default());
    let stream = output(&mut guest, slow.clone());
    let pollable = borrow(guest.call(subscribe_output, (stream,)));
    assert_eq!(guest.call(flush, (stream,)), Ok(()));
    slow.flushed.store(usize::MAX, Ordering::Relaxed);
    assert!(guest.call(poll::ready, (pollable,)));
    let failed = guest.call(check_write, (stream,));
    assert_eq!(failure(&mut guest, failed), "input/output error");
    assert_eq!(guest.call(check_write, (stream,)), Err(StreamError::Closed));
}
