//! Sockets: `sock_accept`, `sock_recv`, `sock_send`, `sock_shutdown`. A program has those that it was handed, which listen, and the
//! connections that it accepts from them. To read and to write they are streams like others ([`fd`]).

use super::{
    Polled, Preview1,
    descriptors::{Descriptor, Object},
    fd,
    types::{FdFlags, RiFlags, Rights, SdFlags, UpTo},
};
use crate::{
    Error, Result,
    guest::{GuestMemory, GuestPtr, IO_BYTES_MAX, IoVec, IoVecs, Moved, Progress},
    heap,
    io::InputStream,
    sockets::{Shutdown, TcpSocket},
};
use core::task::{Context, Poll, ready};

/// `siflags`: there are none.
type SiFlags = UpTo<0>;

/// Accepts a connection. Of the flags there is only `NONBLOCK` for a socket.
pub fn sock_accept(call: &mut Preview1<'_>, fd: u32, flags: FdFlags, out: GuestPtr<u32>) -> Polled {
    if !FdFlags::NONBLOCK.contains(flags) {
        return Poll::Ready(Err(Error::Invalid));
    }
    let listener = call.state.descriptors.get(fd)?;
    let (socket, inheriting) = (listener.socket(Rights::SOCK_ACCEPT)?.clone(), listener.inheriting());
    let nonblocking = listener.flags().contains(FdFlags::NONBLOCK);
    out.check(&call.memory)?;
    // Before a connection is accepted, and then lost.
    call.state.descriptors.reserve()?;
    let connection = match socket.poll_accept(&mut call.task) {
        Poll::Ready(connection) => connection?,
        Poll::Pending if nonblocking => return Poll::Ready(Err(Error::WouldBlock)),
        Poll::Pending => return Poll::Pending,
    };
    let connection = Descriptor::opened(Object::Socket(connection), inheriting, flags);
    let fd = call.state.descriptors.insert(connection)?;
    Poll::Ready(out.write(&mut call.memory, fd))
}

/// Receives. No flag comes out: a stream has no messages that could be cut off.
pub fn sock_recv(
    call: &mut Preview1<'_>,
    fd: u32,
    vectors: GuestPtr<IoVec>,
    len: u32,
    flags: RiFlags,
    received: GuestPtr<u32>,
    out_flags: GuestPtr<u16>,
) -> Polled {
    let from = Progress::from(call.progress());
    let descriptor = call.state.descriptors.get(fd)?;
    let (socket, fd_flags) = (descriptor.socket(Rights::FD_READ)?, descriptor.flags());
    out_flags.check(&call.memory)?;
    let vectors = fd::checked(Ok(()), &call.memory, (vectors, len), from, received)?;
    let (memory, task) = (&mut call.memory, &mut call.task);
    let moved = if flags.contains(RiFlags::PEEK) {
        peek(socket, task, memory, vectors).map_ok(Moved::All)
    } else {
        let wait = flags.contains(RiFlags::WAITALL) && !fd_flags.contains(FdFlags::NONBLOCK);
        match receive(socket, task, memory, vectors, wait, || call.turn.ends_here()) {
            Received::Moved(moved) => moved,
            Received::Waits(progress) => {
                call.state.progress = progress.into();
                return Poll::Pending;
            }
        }
    };
    ready!(fd::finish(call, moved, fd_flags, received))?;
    Poll::Ready(out_flags.write(&mut call.memory, 0))
}

/// Sends.
pub fn sock_send(
    call: &mut Preview1<'_>,
    fd: u32,
    vectors: GuestPtr<IoVec>,
    len: u32,
    _: SiFlags,
    sent: GuestPtr<u32>,
) -> Polled {
    call.state.descriptors.get(fd)?.socket(Rights::empty())?;
    fd::fd_write(call, fd, vectors, len, sent)
}

/// Shuts one or both directions down; neither is `INVAL`.
pub fn sock_shutdown(call: &mut Preview1<'_>, fd: u32, directions: SdFlags) -> Polled {
    let socket = call.state.descriptors.get(fd)?.socket(Rights::SOCK_SHUTDOWN)?;
    let directions = match (directions.contains(SdFlags::RD), directions.contains(SdFlags::WR)) {
        (true, true) => Shutdown::Both,
        (true, false) => Shutdown::Receive,
        (false, true) => Shutdown::Send,
        (false, false) => return Poll::Ready(Err(Error::Invalid)),
    };
    Poll::Ready(socket.shutdown(directions))
}

/// What has been received.
enum Received {
    /// All that the call gives, for now or at all.
    Moved(Poll<Result<Moved>>),
    /// So much of what is waited for.
    Waits(Progress),
}

/// Receives what is there; if it is to wait for all, until the buffers are full or nothing more comes.
fn receive(
    socket: &TcpSocket,
    task: &mut Context<'_>,
    memory: &mut GuestMemory<'_>,
    mut vectors: IoVecs,
    wait: bool,
    mut pause: impl FnMut() -> bool,
) -> Received {
    loop {
        let mut last = None;
        let moved = vectors.transfer(memory, &mut pause, |memory, buffer| {
            let read = socket.poll_read(task, buffer.bytes_mut(memory)?);
            last = Some(read);
            read
        });
        let Poll::Ready(Ok(Moved::All(count))) = moved else { return Received::Moved(moved) };
        if !wait || count >= vectors.total().min(IO_BYTES_MAX) {
            return Received::Moved(moved);
        }
        vectors = vectors.after(count);
        match last {
            Some(Poll::Pending) => return Received::Waits(vectors.progress()),
            // There may be more than was in one piece.
            Some(Poll::Ready(Ok(1..))) => {}
            // The end, or an error that the next call meets; or what was received has overwritten the vectors, and there is no
            // more room.
            _ => return Received::Moved(moved),
        }
    }
}

/// Copies what is there, and leaves it there. Gives how many bytes.
fn peek(
    socket: &TcpSocket,
    task: &mut Context<'_>,
    memory: &mut GuestMemory<'_>,
    vectors: IoVecs,
) -> Poll<Result<u32>> {
    if vectors.total() == 0 || ready!(socket.poll_peek(task, &mut [0]))? == 0 {
        return Poll::Ready(Ok(0));
    }
    let there = ready!(socket.poll_readable(task))?.bytes;
    let len = usize::try_from(there.min(vectors.total().into())).map_err(|_| Error::Overflow)?;
    let mut bytes = heap::filled(len, 0)?;
    let count = ready!(socket.poll_peek(task, &mut bytes))?;
    bytes.truncate(count);
    let mut rest = &bytes[..];
    let moved = vectors.transfer(
        memory,
        || false,
        |memory, buffer| {
            let buffer = buffer.bytes_mut(memory)?;
            let (piece, behind) = rest.split_at_checked(buffer.len()).unwrap_or((rest, &[]));
            rest = behind;
            if let Some(buffer) = buffer.get_mut(..piece.len()) {
                buffer.copy_from_slice(piece);
            }
            Poll::Ready(Ok(piece.len()))
        },
    );
    match ready!(moved)? {
        Moved::All(count) => Poll::Ready(Ok(count)),
        // Nobody has paused.
        Moved::Some(progress) => Poll::Ready(Ok(progress.moved)),
    }
}

#[cfg(test)]
mod tests;
