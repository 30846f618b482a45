//! Descriptors: the 22 functions `fd_*`.

use super::{
    Polled, Preview1,
    descriptors::{Descriptor, Object, Preopen},
    layouts::{DirEntry, FdStat, FileStat, Layouts, PreStat, preopen_type},
    types::{Advice, FdFlags, FstFlags, Rights, file_type},
};
use crate::{
    Error, Result,
    filesystem::SeekFrom,
    guest::{GuestMemory, GuestPtr, IoVec, IoVecs, Moved, Plain, Progress},
};
use core::{ops::ControlFlow, task::Poll};

/// Advises how a part of a file will be used.
pub fn fd_advise(call: &mut Preview1<'_>, fd: u32, offset: u64, len: u64, _: Advice) -> Polled {
    let file = call.state.descriptors.get_mut(fd)?.file(Rights::FD_ADVISE)?;
    Poll::Ready(file.advise(offset, len))
}

/// Bytes that are allocated between two looks at the clock.
const ALLOCATED: u64 = 256 << 10;

/// Makes sure that a file has space, in as many turns as that takes. What was had before the space ran out stays.
pub fn fd_allocate(call: &mut Preview1<'_>, fd: u32, offset: u64, len: u64) -> Polled {
    let mut done = call.progress();
    let file = call.state.descriptors.get_mut(fd)?.file(Rights::FD_ALLOCATE)?;
    loop {
        let rest = len.saturating_sub(done);
        let start = offset.checked_add(done).ok_or(Error::FileTooLarge)?;
        file.allocate(start, rest.min(ALLOCATED))?;
        if rest <= ALLOCATED {
            return Poll::Ready(Ok(()));
        }
        done = done.saturating_add(ALLOCATED);
        if call.turn.ends_here() {
            return call.pause(done);
        }
    }
}

/// Closes a descriptor.
pub fn fd_close(call: &mut Preview1<'_>, fd: u32) -> Polled {
    Poll::Ready(call.state.descriptors.remove(fd).map(drop))
}

/// Waits until what was written is durable.
pub fn fd_datasync(call: &mut Preview1<'_>, fd: u32) -> Polled {
    sync(call, fd, true)
}

/// Waits until what was written, and what is known of the file, is durable.
pub fn fd_sync(call: &mut Preview1<'_>, fd: u32) -> Polled {
    sync(call, fd, false)
}

fn sync(call: &mut Preview1<'_>, fd: u32, data_only: bool) -> Polled {
    let descriptor = call.state.descriptors.get_mut(fd)?;
    match &descriptor.object {
        Object::Output(stream) => stream.poll_flush(&mut call.task),
        Object::Input(_) => Poll::Ready(Err(Error::BadDescriptor)),
        Object::Socket(_) => Poll::Ready(Err(Error::Invalid)),
        Object::Directory(directory) => Poll::Ready(directory.sync()),
        Object::File(file) => {
            descriptor.require(if data_only { Rights::FD_DATASYNC } else { Rights::FD_SYNC })?;
            Poll::Ready(file.sync(data_only))
        }
    }
}

/// Tells what a descriptor is and what may be done with it.
pub fn fd_fdstat_get(call: &mut Preview1<'_>, fd: u32, out: GuestPtr<FdStat>) -> Polled {
    let descriptor = call.state.descriptors.get(fd)?;
    let stat = FdStat {
        file_type: descriptor.file_type()?,
        flags: descriptor.flags().bits(),
        rights: descriptor.rights().bits(),
        inheriting: descriptor.inheriting().bits(),
    };
    Poll::Ready(out.write(&mut call.memory, stat))
}

/// Sets `APPEND` and `NONBLOCK`.
pub fn fd_fdstat_set_flags(call: &mut Preview1<'_>, fd: u32, flags: FdFlags) -> Polled {
    Poll::Ready(call.state.descriptors.get_mut(fd)?.set_flags(flags))
}

/// Gives rights up.
pub fn fd_fdstat_set_rights(call: &mut Preview1<'_>, fd: u32, rights: Rights, inheriting: Rights) -> Polled {
    Poll::Ready(call.state.descriptors.get_mut(fd)?.limit_rights(rights, inheriting))
}

/// Tells what is known of a file.
pub fn fd_filestat_get<L: Layouts>(call: &mut Preview1<'_>, fd: u32, out: GuestPtr<L::FileStat>) -> Polled {
    let descriptor = call.state.descriptors.get(fd)?;
    let stat = match &descriptor.object {
        Object::File(file) => descriptor.require(Rights::FD_FILESTAT_GET).and_then(|()| file.stat())?.into(),
        Object::Directory(directory) => {
            descriptor.require(Rights::FD_FILESTAT_GET).and_then(|()| directory.stat())?.into()
        }
        Object::Socket(_) => {
            descriptor.require(Rights::FD_FILESTAT_GET).and_then(|()| stream_stat(descriptor))?
        }
        Object::Input(_) | Object::Output(_) => stream_stat(descriptor)?,
    };
    Poll::Ready(out.write(&mut call.memory, stat.into()))
}

/// A stream has nothing but its type.
fn stream_stat(descriptor: &Descriptor) -> Result<FileStat> {
    Ok(FileStat {
        device: 0,
        inode: 0,
        file_type: descriptor.file_type()?,
        links: 0,
        size: 0,
        accessed: 0,
        modified: 0,
        changed: 0,
    })
}

/// Cuts a file or grows it with zeros.
pub fn fd_filestat_set_size(call: &mut Preview1<'_>, fd: u32, size: u64) -> Polled {
    let file = call.state.descriptors.get_mut(fd)?.file(Rights::FD_FILESTAT_SET_SIZE)?;
    Poll::Ready(file.set_size(size))
}

/// Sets a file's times.
pub fn fd_filestat_set_times(
    call: &mut Preview1<'_>,
    fd: u32,
    accessed: u64,
    modified: u64,
    flags: FstFlags,
) -> Polled {
    let (accessed, modified) = flags.times(accessed, modified)?;
    let descriptor = call.state.descriptors.get(fd)?;
    Poll::Ready(match &descriptor.object {
        Object::Input(_) | Object::Output(_) | Object::Socket(_) => Err(Error::BadDescriptor),
        Object::File(file) => descriptor
            .require(Rights::FD_FILESTAT_SET_TIMES)
            .and_then(|()| file.set_times(accessed, modified)),
        Object::Directory(directory) => descriptor
            .require(Rights::FD_FILESTAT_SET_TIMES)
            .and_then(|()| directory.set_times(accessed, modified)),
    })
}

/// Tells that a descriptor is a directory that was there from the start, and how long its name is; or a socket.
pub fn fd_prestat_get(call: &mut Preview1<'_>, fd: u32, out: GuestPtr<PreStat>) -> Polled {
    let prestat = match call.state.descriptors.get(fd)?.preopened().ok_or(Error::BadDescriptor)? {
        Preopen::Directory(name) => PreStat {
            tag: preopen_type::DIRECTORY,
            name_len: name.len().try_into().map_err(|_| Error::Overflow)?,
        },
        Preopen::Listener => PreStat { tag: preopen_type::SOCKET, name_len: 0 },
    };
    Poll::Ready(out.write(&mut call.memory, prestat))
}

/// Writes the name of a directory that was there from the start, with no NUL.
pub fn fd_prestat_dir_name(call: &mut Preview1<'_>, fd: u32, out: GuestPtr<u8>, len: u32) -> Polled {
    let Some(Preopen::Directory(name)) = call.state.descriptors.get(fd)?.preopened() else {
        return Poll::Ready(Err(Error::NotDirectory));
    };
    let name_len = u32::try_from(name.len()).map_err(|_| Error::Overflow)?;
    if name_len > len {
        return Poll::Ready(Err(Error::NameTooLong));
    }
    out.slice(name_len).bytes_mut(&mut call.memory)?.copy_from_slice(name.as_bytes());
    Poll::Ready(Ok(()))
}

/// Gives a descriptor the number of another, which is closed.
pub fn fd_renumber(call: &mut Preview1<'_>, from: u32, to: u32) -> Polled {
    Poll::Ready(call.state.descriptors.renumber(from, to))
}

/// Moves a file's position.
pub fn fd_seek<L: Layouts>(
    call: &mut Preview1<'_>,
    fd: u32,
    offset: i64,
    whence: L::Whence,
    out: GuestPtr<u64>,
) -> Polled {
    let seek = whence.into().seek(offset)?;
    let descriptor = call.state.descriptors.get_mut(fd)?;
    let right = if seek == SeekFrom::Current(0) { tell_right(descriptor) } else { Rights::FD_SEEK };
    let file = descriptor.seekable(right)?;
    out.check(&call.memory)?;
    let position = file.seek(seek)?;
    Poll::Ready(out.write(&mut call.memory, position))
}

/// Tells a file's position.
pub fn fd_tell(call: &mut Preview1<'_>, fd: u32, out: GuestPtr<u64>) -> Polled {
    let descriptor = call.state.descriptors.get_mut(fd)?;
    let position = descriptor.seekable(tell_right(descriptor))?.tell();
    Poll::Ready(out.write(&mut call.memory, position))
}

/// The right that it takes to learn the position: that to move it is enough.
fn tell_right(descriptor: &Descriptor) -> Rights {
    let seek = Rights::FD_SEEK;
    if descriptor.require(seek).is_ok() { seek } else { Rights::FD_TELL }
}

/// Reads.
pub fn fd_read(
    call: &mut Preview1<'_>,
    fd: u32,
    vectors: GuestPtr<IoVec>,
    len: u32,
    read: GuestPtr<u32>,
) -> Polled {
    let from = Progress::from(call.progress());
    let descriptor = call.state.descriptors.get_mut(fd)?;
    let (permitted, flags) = (descriptor.require(Rights::FD_READ), descriptor.flags());
    let (memory, task, turn) = (&mut call.memory, &mut call.task, &mut *call.turn);
    let pause = || turn.ends_here();
    let moved = match &mut descriptor.object {
        Object::File(file) => {
            let permitted = permitted.and_then(|()| file.require_read());
            checked(permitted, memory, (vectors, len), from, read)?.transfer(
                memory,
                pause,
                |memory, buffer| Poll::Ready(file.read(buffer.bytes_mut(memory)?)),
            )
        }
        object => {
            let stream = object.reader()?;
            checked(permitted, memory, (vectors, len), from, read)?.transfer(
                memory,
                pause,
                |memory, buffer| stream.poll_read(task, buffer.bytes_mut(memory)?),
            )
        }
    };
    finish(call, moved, flags, read)
}

/// Reads at an offset; the position stays.
pub fn fd_pread(
    call: &mut Preview1<'_>,
    fd: u32,
    vectors: GuestPtr<IoVec>,
    len: u32,
    offset: u64,
    read: GuestPtr<u32>,
) -> Polled {
    let from = Progress::from(call.progress());
    let descriptor = call.state.descriptors.get_mut(fd)?;
    let flags = descriptor.flags();
    let file = descriptor.seekable(Rights::FD_READ)?;
    let mut offset = offset.saturating_add(from.moved.into());
    let pause = || call.turn.ends_here();
    let moved = checked(file.require_read(), &call.memory, (vectors, len), from, read)?.transfer(
        &mut call.memory,
        pause,
        |memory, buffer| {
            let count = file.pread(buffer.bytes_mut(memory)?, offset)?;
            offset = offset.saturating_add(count as u64);
            Poll::Ready(Ok(count))
        },
    );
    finish(call, moved, flags, read)
}

/// Writes.
pub fn fd_write(
    call: &mut Preview1<'_>,
    fd: u32,
    vectors: GuestPtr<IoVec>,
    len: u32,
    written: GuestPtr<u32>,
) -> Polled {
    let from = Progress::from(call.progress());
    let descriptor = call.state.descriptors.get_mut(fd)?;
    let (permitted, flags) = (descriptor.require(Rights::FD_WRITE), descriptor.flags());
    let (memory, task, turn) = (&mut call.memory, &mut call.task, &mut *call.turn);
    let pause = || turn.ends_here();
    let moved = match &mut descriptor.object {
        Object::File(file) => {
            let permitted = permitted.and_then(|()| file.require_write());
            checked(permitted, memory, (vectors, len), from, written)?.transfer(
                memory,
                pause,
                |memory, buffer| Poll::Ready(file.write(buffer.bytes(memory)?)),
            )
        }
        object => {
            let stream = object.writer()?;
            checked(permitted, memory, (vectors, len), from, written)?.transfer(
                memory,
                pause,
                |memory, buffer| stream.poll_write(task, buffer.bytes(memory)?),
            )
        }
    };
    finish(call, moved, flags, written)
}

/// Writes at an offset; the position stays.
pub fn fd_pwrite(
    call: &mut Preview1<'_>,
    fd: u32,
    vectors: GuestPtr<IoVec>,
    len: u32,
    offset: u64,
    written: GuestPtr<u32>,
) -> Polled {
    let from = Progress::from(call.progress());
    let descriptor = call.state.descriptors.get_mut(fd)?;
    let flags = descriptor.flags();
    let file = descriptor.seekable(Rights::FD_WRITE)?;
    let mut offset = offset.saturating_add(from.moved.into());
    let pause = || call.turn.ends_here();
    let moved = checked(file.require_write(), &call.memory, (vectors, len), from, written)?.transfer(
        &mut call.memory,
        pause,
        |memory, buffer| {
            let count = file.pwrite(buffer.bytes(memory)?, offset)?;
            offset = offset.saturating_add(count as u64);
            Poll::Ready(Ok(count))
        },
    );
    finish(call, moved, flags, written)
}

/// Checks the right and the pointers of a vectored call, also the one that its result goes to: what has been moved must be
/// told.
pub fn checked(
    permitted: Result<()>,
    memory: &GuestMemory<'_>,
    (vectors, len): (GuestPtr<IoVec>, u32),
    from: Progress,
    moved: GuestPtr<u32>,
) -> Result<IoVecs> {
    permitted?;
    let vectors = IoVecs::new(vectors.slice(len), from, memory)?;
    moved.check(memory)?;
    Ok(vectors)
}

/// Writes how many bytes were moved; what would wait is `AGAIN` for a non-blocking descriptor.
pub fn finish(
    call: &mut Preview1<'_>,
    moved: Poll<Result<Moved>>,
    flags: FdFlags,
    out: GuestPtr<u32>,
) -> Polled {
    match moved {
        Poll::Ready(Ok(Moved::All(moved))) => Poll::Ready(out.write(&mut call.memory, moved)),
        Poll::Ready(Ok(Moved::Some(moved))) => call.pause(moved.into()),
        Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        Poll::Pending if flags.contains(FdFlags::NONBLOCK) => Poll::Ready(Err(Error::WouldBlock)),
        Poll::Pending => {
            call.state.progress = 0;
            Poll::Pending
        }
    }
}

/// Entries of a listing between two looks at the clock.
const LISTED: u32 = 32;

/// Lists a directory into a buffer, which is filled whole, the last entry cut off where it ends: a listing that does not
/// fill it is complete. A long one takes as many turns as it needs.
pub fn fd_readdir(
    call: &mut Preview1<'_>,
    fd: u32,
    buffer: GuestPtr<u8>,
    len: u32,
    cookie: u64,
    used: GuestPtr<u32>,
) -> Polled {
    let (done, cookie) = (call.progress(), if call.repeated { call.state.cookie } else { cookie });
    let directory = call.state.descriptors.get(fd)?.directory(Rights::FD_READDIR)?;
    used.check(&call.memory)?;
    let whole = buffer.slice(len).bytes_mut(&mut call.memory)?;
    let whole_len = whole.len();
    let mut rest = usize::try_from(done).ok().and_then(|done| whole.get_mut(done..)).ok_or(Error::Fault)?;
    let mut head = [0; DirEntry::SIZE];
    let mut listed = 0_u32;
    let mut paused = None;
    directory.read_directory(cookie, &mut |entry| {
        let stored = DirEntry {
            next: entry.next,
            inode: entry.inode,
            name_len: entry.name.len().try_into().unwrap_or(u32::MAX),
            file_type: file_type(entry.kind),
        };
        // `head` has the size that it needs.
        let _ = stored.store(&mut head);
        fill(&mut rest, &head);
        fill(&mut rest, entry.name.as_bytes());
        if rest.is_empty() {
            return ControlFlow::Break(());
        }
        listed = listed.wrapping_add(1);
        if listed.is_multiple_of(LISTED) && call.turn.ends_here() {
            paused = Some(entry.next);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    let filled = whole_len.saturating_sub(rest.len());
    if let Some(cookie) = paused {
        call.state.cookie = cookie;
        return call.pause(filled as u64);
    }
    let filled = filled.try_into().map_err(|_| Error::Overflow)?;
    Poll::Ready(used.write(&mut call.memory, filled))
}

/// Moves as much of `bytes` as fits to the front of `rest`, and `rest` behind it.
fn fill(rest: &mut &mut [u8], bytes: &[u8]) {
    let len = rest.len().min(bytes.len());
    if let (Some((front, behind)), Some(bytes)) =
        (core::mem::take(rest).split_at_mut_checked(len), bytes.get(..len))
    {
        front.copy_from_slice(bytes);
        *rest = behind;
    }
}

#[cfg(test)]
mod tests;
