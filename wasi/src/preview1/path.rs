//! Paths: the ten functions `path_*`. Each decodes its text and hands it to the [`Directory`](crate::filesystem::Directory)
//! that it starts from.

use super::{
    Polled, Preview1,
    descriptors::{Descriptor, Object},
    layouts::{FileStat, Layouts},
    types::{FdFlags, FstFlags, LookupFlags, OFlags, Rights},
};
use crate::{
    Error, Result,
    filesystem::{self, Access, Directory, PATH_MAX},
    guest::{GuestMemory, GuestPtr},
};
use core::task::Poll;

/// A path or a link's text. One that is too long is not looked at.
fn text<'m>(memory: &'m GuestMemory<'_>, text: GuestPtr<u8>, len: u32) -> Result<&'m str> {
    let text = text.slice(len);
    if usize::try_from(len).map_or(true, |len| len > PATH_MAX) {
        text.check(memory)?;
        return Err(Error::NameTooLong);
    }
    text.text(memory)
}

fn directory<'c>(call: &'c Preview1<'_>, fd: u32, right: Rights) -> Result<&'c Directory> {
    call.state.descriptors.get(fd)?.directory(right)
}

fn follow(flags: LookupFlags) -> bool {
    flags.contains(LookupFlags::SYMLINK_FOLLOW)
}

/// Makes a directory.
pub fn path_create_directory(call: &mut Preview1<'_>, fd: u32, path: GuestPtr<u8>, len: u32) -> Polled {
    let directory = directory(call, fd, Rights::PATH_CREATE_DIRECTORY)?;
    Poll::Ready(directory.create_directory_at(text(&call.memory, path, len)?))
}

/// Tells what is known of a file.
pub fn path_filestat_get<L: Layouts>(
    call: &mut Preview1<'_>,
    fd: u32,
    flags: LookupFlags,
    path: GuestPtr<u8>,
    len: u32,
    out: GuestPtr<L::FileStat>,
) -> Polled {
    let directory = directory(call, fd, Rights::PATH_FILESTAT_GET)?;
    let stat = directory.stat_at(text(&call.memory, path, len)?, follow(flags))?;
    Poll::Ready(out.write(&mut call.memory, FileStat::from(stat).into()))
}

/// Sets a file's times.
#[expect(clippy::too_many_arguments, reason = "preview 1's signature")]
pub fn path_filestat_set_times(
    call: &mut Preview1<'_>,
    fd: u32,
    flags: LookupFlags,
    path: GuestPtr<u8>,
    len: u32,
    accessed: u64,
    modified: u64,
    times: FstFlags,
) -> Polled {
    let (accessed, modified) = times.times(accessed, modified)?;
    let directory = directory(call, fd, Rights::PATH_FILESTAT_SET_TIMES)?;
    let path = text(&call.memory, path, len)?;
    Poll::Ready(directory.set_times_at(path, follow(flags), accessed, modified))
}

/// Makes another name for a file.
#[expect(clippy::too_many_arguments, reason = "preview 1's signature")]
pub fn path_link(
    call: &mut Preview1<'_>,
    fd: u32,
    flags: LookupFlags,
    path: GuestPtr<u8>,
    len: u32,
    new_fd: u32,
    new_path: GuestPtr<u8>,
    new_len: u32,
) -> Polled {
    let source = directory(call, fd, Rights::PATH_LINK_SOURCE)?;
    let target = directory(call, new_fd, Rights::PATH_LINK_TARGET)?;
    let path = text(&call.memory, path, len)?;
    let new_path = text(&call.memory, new_path, new_len)?;
    Poll::Ready(source.link_at(path, follow(flags), target, new_path))
}

/// Opens a file or a directory.
///
/// The rights asked for say what it is opened to do (read, write); the others are those of the directory, as in
/// wasmtime, because libraries ask for fewer than they use. Only what the directory has given up is refused.
#[expect(clippy::too_many_arguments, reason = "preview 1's signature")]
pub fn path_open(
    call: &mut Preview1<'_>,
    fd: u32,
    lookup: LookupFlags,
    path: GuestPtr<u8>,
    len: u32,
    open: OFlags,
    rights: Rights,
    _inheriting: Rights,
    flags: FdFlags,
    out: GuestPtr<u32>,
) -> Polled {
    let reserved = call.state.descriptors.reserve();
    let descriptor = call.state.descriptors.get(fd)?;
    let directory = descriptor.directory(Rights::PATH_OPEN)?;
    if open.contains(OFlags::CREATE) {
        descriptor.require(Rights::PATH_CREATE_FILE)?;
    }
    let inheriting = descriptor.inheriting();
    if !inheriting.contains(rights & (Rights::FD_READ | Rights::FD_WRITE)) {
        return Poll::Ready(Err(Error::NotCapable));
    }
    let access = Access { read: rights.contains(Rights::FD_READ), write: rights.contains(Rights::FD_WRITE) };
    let path = text(&call.memory, path, len)?;
    out.check(&call.memory)?;
    reserved?;
    let object = match directory.open_at(path, follow(lookup), open, access)? {
        filesystem::Descriptor::File(file) => Object::File(file),
        filesystem::Descriptor::Directory(directory) => Object::Directory(directory),
    };
    let opened = call.state.descriptors.insert(Descriptor::opened(object, inheriting, flags))?;
    Poll::Ready(out.write(&mut call.memory, opened))
}

/// Reads a symbolic link; as much as fits.
pub fn path_readlink(
    call: &mut Preview1<'_>,
    fd: u32,
    path: GuestPtr<u8>,
    len: u32,
    buffer: GuestPtr<u8>,
    buffer_len: u32,
    used: GuestPtr<u32>,
) -> Polled {
    let target = directory(call, fd, Rights::PATH_READLINK)?.readlink_at(text(&call.memory, path, len)?)?;
    let fitting = u32::try_from(target.len()).unwrap_or(u32::MAX).min(buffer_len);
    used.check(&call.memory)?;
    let buffer = buffer.slice(fitting).bytes_mut(&mut call.memory)?;
    for (to, from) in buffer.iter_mut().zip(target.bytes()) {
        *to = from;
    }
    Poll::Ready(used.write(&mut call.memory, fitting))
}

/// Removes an empty directory.
pub fn path_remove_directory(call: &mut Preview1<'_>, fd: u32, path: GuestPtr<u8>, len: u32) -> Polled {
    let directory = directory(call, fd, Rights::PATH_REMOVE_DIRECTORY)?;
    Poll::Ready(directory.remove_directory_at(text(&call.memory, path, len)?))
}

/// Renames.
pub fn path_rename(
    call: &mut Preview1<'_>,
    fd: u32,
    path: GuestPtr<u8>,
    len: u32,
    new_fd: u32,
    new_path: GuestPtr<u8>,
    new_len: u32,
) -> Polled {
    let source = directory(call, fd, Rights::PATH_RENAME_SOURCE)?;
    let target = directory(call, new_fd, Rights::PATH_RENAME_TARGET)?;
    let path = text(&call.memory, path, len)?;
    Poll::Ready(source.rename_at(path, target, text(&call.memory, new_path, new_len)?))
}

/// Makes a symbolic link.
pub fn path_symlink(
    call: &mut Preview1<'_>,
    target: GuestPtr<u8>,
    target_len: u32,
    fd: u32,
    path: GuestPtr<u8>,
    len: u32,
) -> Polled {
    let directory = directory(call, fd, Rights::PATH_SYMLINK)?;
    let target = text(&call.memory, target, target_len)?;
    Poll::Ready(directory.symlink_at(target, text(&call.memory, path, len)?))
}

/// Removes a name of a file.
pub fn path_unlink_file(call: &mut Preview1<'_>, fd: u32, path: GuestPtr<u8>, len: u32) -> Polled {
    let directory = directory(call, fd, Rights::PATH_UNLINK_FILE)?;
    Poll::Ready(directory.unlink_file_at(text(&call.memory, path, len)?))
}

#[cfg(test)]
mod tests;
