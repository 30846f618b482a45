//! `wasi:io/streams`: the functions; what streams do is in [`Input`] and [`Output`].

use super::{Failure, Input, IoError, Origin, Output, Pollable, Watched, input::Incoming};
use crate::preview2::{Interfaces, Polled, Preview2, State, interface, offer, refused};
use alloc::vec::Vec;
use component::{Borrow, Own, Trap};
use core::task::{Context, Poll, ready};

component::variant! {
    /// What a function of a stream fails with.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum StreamError {
        /// The operation failed, and the stream is closed from now on.
        LastOperationFailed(Own<IoError>),
        /// The stream is closed.
        Closed,
    }
}

/// What a function of a stream gives.
type Streamed<T> = Polled<Result<T, StreamError>>;

pub fn register(linker: &mut Interfaces) {
    let mut streams = interface(linker, "wasi:io/streams");
    offer::<IoError>(&mut streams);
    offer::<Pollable>(&mut streams);
    offer::<Input>(&mut streams);
    offer::<Output>(&mut streams);
    streams
        .func("[method]input-stream.read", read)
        .func("[method]input-stream.blocking-read", blocking_read)
        .func("[method]input-stream.skip", skip)
        .func("[method]input-stream.blocking-skip", blocking_skip)
        .func("[method]input-stream.subscribe", subscribe_input)
        .func("[method]output-stream.check-write", check_write)
        .func("[method]output-stream.write", write)
        .func("[method]output-stream.blocking-write-and-flush", blocking_write_and_flush)
        .func("[method]output-stream.flush", flush)
        .func("[method]output-stream.blocking-flush", blocking_flush)
        .func("[method]output-stream.subscribe", subscribe_output)
        .func("[method]output-stream.write-zeroes", write_zeroes)
        .func("[method]output-stream.blocking-write-zeroes-and-flush", blocking_write_zeroes_and_flush)
        .func("[method]output-stream.splice", splice)
        .func("[method]output-stream.blocking-splice", blocking_splice);
}

impl State {
    /// The failure as the guest gets it: with a resource of its own for what failed.
    fn streamed<T>(&mut self, result: Result<T, Failure>, origin: Origin) -> Streamed<T> {
        let error = match result {
            Ok(value) => return Poll::Ready(Ok(Ok(value))),
            Err(Failure::Closed) => StreamError::Closed,
            Err(Failure::Failed(error)) => {
                let error = self.table.insert(IoError { error, origin }).map_err(refused)?;
                StreamError::LastOperationFailed(Own::new(error))
            }
        };
        Poll::Ready(Ok(Err(error)))
    }

    fn read<T>(
        &mut self,
        stream: Borrow<Input>,
        read: impl FnOnce(&mut Incoming) -> Poll<Result<T, Failure>>,
    ) -> Streamed<T> {
        let mut incoming = self.table.get::<Input>(stream.rep)?.incoming();
        let (read, origin) = (ready!(read(&mut incoming)), incoming.origin);
        drop(incoming);
        self.streamed(read, origin)
    }

    fn write<T>(
        &mut self,
        stream: Borrow<Output>,
        write: impl FnOnce(&mut Output) -> Poll<Result<Result<T, Failure>, Trap>>,
    ) -> Streamed<T> {
        let output = self.table.get_mut::<Output>(stream.rep)?;
        let (written, origin) = (ready!(write(output))?, output.outgoing().origin);
        self.streamed(written, origin)
    }

    /// Moves bytes from one stream to another, as many as there are and are permitted now.
    fn splice(&mut self, output: Borrow<Output>, input: Borrow<Input>, len: u64) -> Streamed<u64> {
        let to = self.table.get_mut::<Output>(output.rep)?;
        let (permit, to) = (to.check_write(), to.outgoing().origin);
        let permit = match permit {
            Ok(permit) => permit,
            Err(failure) => return self.streamed(Err(failure), to),
        };
        let mut incoming = self.table.get::<Input>(input.rep)?.incoming();
        let (bytes, from) = (incoming.read(permit.min(len)), incoming.origin);
        drop(incoming);
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(failure) => return self.streamed(Err(failure), from),
        };
        let written = self.table.get_mut::<Output>(output.rep)?.write(&bytes)?;
        self.streamed(written.map(|()| bytes.len() as u64), to)
    }
}

/// How many bytes a vector has.
fn count(bytes: Result<Vec<u8>, Failure>) -> Result<u64, Failure> {
    bytes.map(|bytes| bytes.len() as u64)
}

/// Reads what is there.
pub fn read(call: &mut Preview2<'_>, &(stream, len): &(Borrow<Input>, u64)) -> Streamed<Vec<u8>> {
    call.data.state.read(stream, |incoming| Poll::Ready(incoming.read(len)))
}

/// Reads, and waits for the first byte.
pub fn blocking_read(call: &mut Preview2<'_>, &(stream, len): &(Borrow<Input>, u64)) -> Streamed<Vec<u8>> {
    let task = &mut call.task;
    call.data.state.read(stream, |incoming| incoming.poll_read(task, len))
}

/// Skips what is there.
pub fn skip(call: &mut Preview2<'_>, &(stream, len): &(Borrow<Input>, u64)) -> Streamed<u64> {
    call.data.state.read(stream, |incoming| Poll::Ready(count(incoming.read(len))))
}

/// Skips, and waits for the first byte.
pub fn blocking_skip(call: &mut Preview2<'_>, &(stream, len): &(Borrow<Input>, u64)) -> Streamed<u64> {
    let task = &mut call.task;
    call.data.state.read(stream, |incoming| incoming.poll_read(task, len).map(count))
}

/// A pollable for when there is something to read.
pub fn subscribe_input(call: &mut Preview2<'_>, &(stream,): &(Borrow<Input>,)) -> Polled<Own<Pollable>> {
    Poll::Ready(Ok(call.data.state.subscribe(stream.rep)?))
}

/// How many bytes may be written now.
pub fn check_write(call: &mut Preview2<'_>, &(stream,): &(Borrow<Output>,)) -> Streamed<u64> {
    call.data.state.write(stream, |output| Poll::Ready(Ok(output.check_write())))
}

/// Writes what was permitted; a trap for more.
pub fn write(call: &mut Preview2<'_>, (stream, contents): &(Borrow<Output>, Vec<u8>)) -> Streamed<()> {
    call.data.state.write(*stream, |output| Poll::Ready(output.write(contents)))
}

/// Writes up to 4096 bytes, a trap for more, and waits until they have left.
pub fn blocking_write_and_flush(
    call: &mut Preview2<'_>,
    (stream, contents): &(Borrow<Output>, Vec<u8>),
) -> Streamed<()> {
    let (task, again) = (&mut call.task, call.repeated);
    call.data.state.write(*stream, |output| output.poll_write_and_flush(task, again, contents))
}

/// Begins to flush.
pub fn flush(call: &mut Preview2<'_>, &(stream,): &(Borrow<Output>,)) -> Streamed<()> {
    call.data.state.write(stream, |output| Poll::Ready(Ok(output.flush())))
}

/// Flushes, and waits until that is done.
pub fn blocking_flush(call: &mut Preview2<'_>, &(stream,): &(Borrow<Output>,)) -> Streamed<()> {
    let (task, again) = (&mut call.task, call.repeated);
    call.data.state.write(stream, |output| output.poll_flush(task, again).map(Ok))
}

/// A pollable for when something may be written.
pub fn subscribe_output(call: &mut Preview2<'_>, &(stream,): &(Borrow<Output>,)) -> Polled<Own<Pollable>> {
    Poll::Ready(Ok(call.data.state.subscribe(stream.rep)?))
}

/// Writes zeros that were permitted; a trap for more.
pub fn write_zeroes(call: &mut Preview2<'_>, &(stream, len): &(Borrow<Output>, u64)) -> Streamed<()> {
    call.data.state.write(stream, |output| Poll::Ready(output.write_zeroes(len)))
}

/// Writes up to 4096 zeros, a trap for more, and waits until they have left.
pub fn blocking_write_zeroes_and_flush(
    call: &mut Preview2<'_>,
    &(stream, len): &(Borrow<Output>, u64),
) -> Streamed<()> {
    let (task, again) = (&mut call.task, call.repeated);
    call.data.state.write(stream, |output| output.poll_write_zeroes_and_flush(task, again, len))
}

/// Moves bytes from an input stream to an output stream, as many as there are and are permitted now.
pub fn splice(
    call: &mut Preview2<'_>,
    &(output, input, len): &(Borrow<Output>, Borrow<Input>, u64),
) -> Streamed<u64> {
    call.data.state.splice(output, input, len)
}

/// Moves bytes from an input stream to an output stream, and waits until both are ready.
pub fn blocking_splice(
    call: &mut Preview2<'_>,
    &(output, input, len): &(Borrow<Output>, Borrow<Input>, u64),
) -> Streamed<u64> {
    let Preview2 { data, task, .. } = call;
    ready!(ready_for_splice(&data.state, task, output, input))?;
    data.state.splice(output, input, len)
}

fn ready_for_splice(
    state: &State,
    task: &mut Context<'_>,
    output: Borrow<Output>,
    input: Borrow<Input>,
) -> Poll<Result<(), Trap>> {
    ready!(state.table.get::<Output>(output.rep)?.outgoing().poll_ready(task));
    state.table.get::<Input>(input.rep)?.incoming().poll_ready(task).map(Ok)
}
