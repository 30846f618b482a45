//! The methods of `descriptor` on what is open already, and what every descriptor has.

use super::{
    Coded, coded,
    types::{Advice, DescriptorFlags, DescriptorStat, DescriptorType, MetadataHashValue, NewTimestamp},
};
use crate::{
    Error, Result,
    filesystem::{self, Directory, FileStream, Integrity, OpenFile, SeekFrom, Stat},
    preview2::{
        Data, Polled, Preview2,
        io::{Input, Origin, Output, TRANSFER_MAX, zeroed},
        refused,
    },
};
use alloc::{sync::Arc, vec::Vec};
use component::{Borrow, Own, host::InterfaceBuilder};
use core::task::Poll;

/// The resource `descriptor`.
pub struct Descriptor {
    /// The file or directory.
    pub object: filesystem::Descriptor,
    /// The flags that it was opened with, of those that ask for durable writes.
    integrity: DescriptorFlags,
}

impl Descriptor {
    /// The flags that ask for durable writes. Reads are always of what was written last.
    const INTEGRITY: DescriptorFlags = DescriptorFlags::FILE_INTEGRITY_SYNC
        .union(DescriptorFlags::DATA_INTEGRITY_SYNC)
        .union(DescriptorFlags::REQUESTED_WRITE_SYNC);

    /// A directory.
    pub fn directory(directory: Directory) -> Self {
        Self { object: filesystem::Descriptor::Directory(directory), integrity: DescriptorFlags::empty() }
    }

    /// What was opened with these flags.
    pub fn opened(mut object: filesystem::Descriptor, flags: DescriptorFlags) -> Self {
        let integrity = flags & Self::INTEGRITY;
        if let filesystem::Descriptor::File(file) = &mut object {
            file.set_integrity(if flags.contains(DescriptorFlags::FILE_INTEGRITY_SYNC) {
                Integrity::File
            } else if flags.contains(DescriptorFlags::DATA_INTEGRITY_SYNC) {
                Integrity::Data
            } else {
                Integrity::None
            });
        }
        Self { object, integrity }
    }

    /// What is known of it.
    pub fn stat(&self) -> Result<Stat> {
        match &self.object {
            filesystem::Descriptor::File(file) => file.stat(),
            filesystem::Descriptor::Directory(directory) => directory.stat(),
        }
    }

    fn flags(&self) -> DescriptorFlags {
        let mut flags = self.integrity;
        match &self.object {
            filesystem::Descriptor::File(file) => {
                flags.set(DescriptorFlags::READ, file.access().read);
                flags.set(DescriptorFlags::WRITE, file.access().write);
            }
            filesystem::Descriptor::Directory(directory) => {
                flags |= DescriptorFlags::READ;
                let writable = directory.permissions() == filesystem::Permissions::ReadWrite;
                flags.set(DescriptorFlags::MUTATE_DIRECTORY, writable);
            }
        }
        flags
    }

    fn sync(&self, data_only: bool) -> Result<()> {
        match &self.object {
            filesystem::Descriptor::File(file) if file.access().write => file.sync(data_only),
            filesystem::Descriptor::File(_) => Ok(()),
            filesystem::Descriptor::Directory(directory) => directory.sync(),
        }
    }
}

pub fn register(types: &mut InterfaceBuilder<'_, Data>) {
    types
        .func("[method]descriptor.read-via-stream", read_via_stream)
        .func("[method]descriptor.write-via-stream", write_via_stream)
        .func("[method]descriptor.append-via-stream", append_via_stream)
        .func("[method]descriptor.advise", advise)
        .func("[method]descriptor.sync-data", sync_data)
        .func("[method]descriptor.get-flags", get_flags)
        .func("[method]descriptor.get-type", get_type)
        .func("[method]descriptor.set-size", set_size)
        .func("[method]descriptor.set-times", set_times)
        .func("[method]descriptor.read", read)
        .func("[method]descriptor.write", write)
        .func("[method]descriptor.sync", sync)
        .func("[method]descriptor.stat", stat)
        .func("[method]descriptor.is-same-object", is_same_object)
        .func("[method]descriptor.metadata-hash", metadata_hash);
}

/// A stream that reads the file from `offset` on.
pub fn read_via_stream(
    call: &mut Preview2<'_>,
    &(descriptor, offset): &(Borrow<Descriptor>, u64),
) -> Coded<Own<Input>> {
    let state = &mut call.data.state;
    let stream = match &state.table.get::<Descriptor>(descriptor.rep)?.object {
        filesystem::Descriptor::Directory(_) => Err(Error::IsDirectory),
        filesystem::Descriptor::File(file) => file.require_read().and_then(|()| stream(file, offset, false)),
    };
    match stream {
        Ok(stream) => {
            let input = state.table.insert(Input::new(Arc::new(stream), Origin::File)).map_err(refused)?;
            Poll::Ready(Ok(Ok(Own::new(input))))
        }
        Err(error) => coded(Err(error)),
    }
}

/// A stream that writes the file from `offset` on.
pub fn write_via_stream(
    call: &mut Preview2<'_>,
    &(descriptor, offset): &(Borrow<Descriptor>, u64),
) -> Coded<Own<Output>> {
    output(call, descriptor, offset, false)
}

/// A stream that writes at the file's end.
pub fn append_via_stream(
    call: &mut Preview2<'_>,
    &(descriptor,): &(Borrow<Descriptor>,),
) -> Coded<Own<Output>> {
    output(call, descriptor, 0, true)
}

fn output(
    call: &mut Preview2<'_>,
    descriptor: Borrow<Descriptor>,
    offset: u64,
    append: bool,
) -> Coded<Own<Output>> {
    let state = &mut call.data.state;
    let file = state.file(descriptor)?;
    match file.and_then(|file| file.require_write().and_then(|()| stream(file, offset, append))) {
        Ok(stream) => {
            let output = state.table.insert(Output::new(Arc::new(stream), Origin::File)).map_err(refused)?;
            Poll::Ready(Ok(Ok(Own::new(output))))
        }
        Err(error) => coded(Err(error)),
    }
}

/// A stream with a position of its own.
fn stream(file: &OpenFile, offset: u64, append: bool) -> Result<FileStream> {
    let mut file = file.clone();
    file.seek(SeekFrom::Start(offset))?;
    file.set_append(append);
    Ok(FileStream::new(file))
}

/// Advises how a part of the file will be used.
pub fn advise(
    call: &mut Preview2<'_>,
    &(descriptor, offset, len, _): &(Borrow<Descriptor>, u64, u64, Advice),
) -> Coded<()> {
    coded(call.data.state.file(descriptor)?.and_then(|file| file.advise(offset, len)))
}

/// Waits until what was written is durable; without effect if it is not open for writing.
pub fn sync_data(call: &mut Preview2<'_>, (descriptor,): &(Borrow<Descriptor>,)) -> Coded<()> {
    coded(call.data.state.table.get::<Descriptor>(descriptor.rep)?.sync(true))
}

/// As [`sync_data`], with what is known of the file.
pub fn sync(call: &mut Preview2<'_>, (descriptor,): &(Borrow<Descriptor>,)) -> Coded<()> {
    coded(call.data.state.table.get::<Descriptor>(descriptor.rep)?.sync(false))
}

/// What may be done with it.
pub fn get_flags(call: &mut Preview2<'_>, (descriptor,): &(Borrow<Descriptor>,)) -> Coded<DescriptorFlags> {
    coded(Ok(call.data.state.table.get::<Descriptor>(descriptor.rep)?.flags()))
}

/// What it is.
pub fn get_type(call: &mut Preview2<'_>, (descriptor,): &(Borrow<Descriptor>,)) -> Coded<DescriptorType> {
    let stat = call.data.state.table.get::<Descriptor>(descriptor.rep)?.stat();
    coded(stat.map(|stat| stat.kind.into()))
}

/// Cuts the file or grows it with zeros.
pub fn set_size(call: &mut Preview2<'_>, &(descriptor, size): &(Borrow<Descriptor>, u64)) -> Coded<()> {
    coded(call.data.state.file(descriptor)?.and_then(|file| file.set_size(size)))
}

/// Sets the times of what is open.
pub fn set_times(
    call: &mut Preview2<'_>,
    &(descriptor, accessed, modified): &(Borrow<Descriptor>, NewTimestamp, NewTimestamp),
) -> Coded<()> {
    let state = &call.data.state;
    let times = accessed.set_time().and_then(|accessed| Ok((accessed, modified.set_time()?)));
    coded(match &state.table.get::<Descriptor>(descriptor.rep)?.object {
        filesystem::Descriptor::File(file) => {
            times.and_then(|(accessed, modified)| file.set_times(accessed, modified))
        }
        filesystem::Descriptor::Directory(_) => state.writable_directory(descriptor)?.and_then(|directory| {
            let (accessed, modified) = times?;
            directory.set_times(accessed, modified)
        }),
    })
}

/// Reads up to `len` bytes at `offset`, and whether the end was reached. As in wasmtime, a read of nothing always says so: the
/// preview 1 adapter takes anything else for an interruption.
pub fn read(
    call: &mut Preview2<'_>,
    &(descriptor, len, offset): &(Borrow<Descriptor>, u64, u64),
) -> Coded<(Vec<u8>, bool)> {
    coded(call.data.state.file(descriptor)?.and_then(|file| {
        file.require_read()?;
        let mut buffer = zeroed(usize::try_from(len).unwrap_or(usize::MAX).min(TRANSFER_MAX))?;
        let count = file.pread(&mut buffer, offset)?;
        let end = count == 0 || count < buffer.len();
        buffer.truncate(count);
        Ok((buffer, end))
    }))
}

/// Writes at `offset`, and says how many bytes.
pub fn write(
    call: &mut Preview2<'_>,
    (descriptor, bytes, offset): &(Borrow<Descriptor>, Vec<u8>, u64),
) -> Coded<u64> {
    let bytes = bytes.get(..TRANSFER_MAX).unwrap_or(bytes);
    let file = call.data.state.file(*descriptor)?;
    coded(file.and_then(|file| file.pwrite(bytes, *offset)).map(|count| count as u64))
}

/// What is known of it.
pub fn stat(call: &mut Preview2<'_>, (descriptor,): &(Borrow<Descriptor>,)) -> Coded<DescriptorStat> {
    let stat = call.data.state.table.get::<Descriptor>(descriptor.rep)?.stat();
    coded(stat.map(Into::into))
}

/// Whether both are open on the same file.
pub fn is_same_object(
    call: &mut Preview2<'_>,
    (descriptor, other): &(Borrow<Descriptor>, Borrow<Descriptor>),
) -> Polled<bool> {
    let table = &call.data.state.table;
    let stats = [descriptor, other].map(|descriptor| Ok(table.get::<Descriptor>(descriptor.rep)?.stat()));
    let [one, other]: [core::result::Result<_, component::Trap>; 2] = stats;
    Poll::Ready(Ok(match (one?, other?) {
        (Ok(one), Ok(other)) => one.is_same_object(&other),
        // Nobody knows.
        _ => false,
    }))
}

/// A hash of which file it is and in which version.
pub fn metadata_hash(
    call: &mut Preview2<'_>,
    (descriptor,): &(Borrow<Descriptor>,),
) -> Coded<MetadataHashValue> {
    let stat = call.data.state.table.get::<Descriptor>(descriptor.rep)?.stat();
    coded(stat.map(Into::into))
}
