//! The methods of `descriptor` that take a path: each hands it to the [`Directory`] that it starts from.

use super::{
    Coded, Descriptor, coded,
    types::{DescriptorFlags, DescriptorStat, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags},
};
use crate::{
    Error,
    filesystem::{self, Access, Permissions},
    preview2::{Data, Preview2},
};
use alloc::string::String;
use component::{Borrow, Own, host::InterfaceBuilder};

pub fn register(types: &mut InterfaceBuilder<'_, Data>) {
    types
        .func("[method]descriptor.create-directory-at", create_directory_at)
        .func("[method]descriptor.stat-at", stat_at)
        .func("[method]descriptor.set-times-at", set_times_at)
        .func("[method]descriptor.link-at", link_at)
        .func("[method]descriptor.open-at", open_at)
        .func("[method]descriptor.readlink-at", readlink_at)
        .func("[method]descriptor.remove-directory-at", remove_directory_at)
        .func("[method]descriptor.rename-at", rename_at)
        .func("[method]descriptor.symlink-at", symlink_at)
        .func("[method]descriptor.unlink-file-at", unlink_file_at)
        .func("[method]descriptor.metadata-hash-at", metadata_hash_at);
}

fn follow(flags: PathFlags) -> bool {
    flags.contains(PathFlags::SYMLINK_FOLLOW)
}

/// Makes a directory.
pub fn create_directory_at(
    call: &mut Preview2<'_>,
    (descriptor, path): &(Borrow<Descriptor>, String),
) -> Coded<()> {
    let directory = call.data.state.writable_directory(*descriptor)?;
    coded(directory.and_then(|directory| directory.create_directory_at(path)))
}

/// What is known of a file.
pub fn stat_at(
    call: &mut Preview2<'_>,
    (descriptor, flags, path): &(Borrow<Descriptor>, PathFlags, String),
) -> Coded<DescriptorStat> {
    let directory = call.data.state.directory(*descriptor)?;
    coded(directory.and_then(|directory| directory.stat_at(path, follow(*flags))).map(Into::into))
}

/// Sets a file's times.
pub fn set_times_at(
    call: &mut Preview2<'_>,
    (descriptor, flags, path, accessed, modified): &(
        Borrow<Descriptor>,
        PathFlags,
        String,
        NewTimestamp,
        NewTimestamp,
    ),
) -> Coded<()> {
    let directory = call.data.state.writable_directory(*descriptor)?;
    coded(directory.and_then(|directory| {
        directory.set_times_at(path, follow(*flags), accessed.set_time()?, modified.set_time()?)
    }))
}

/// Makes another name for a file.
pub fn link_at(
    call: &mut Preview2<'_>,
    (descriptor, flags, path, new_descriptor, new_path): &(
        Borrow<Descriptor>,
        PathFlags,
        String,
        Borrow<Descriptor>,
        String,
    ),
) -> Coded<()> {
    let state = &call.data.state;
    let (from, to) = (state.writable_directory(*descriptor)?, state.writable_directory(*new_descriptor)?);
    coded(from.and_then(|from| from.link_at(path, follow(*flags), to?, new_path)))
}

/// Opens a file or a directory.
///
/// A directory may change what it has if the one that it was opened from may, whether or not `mutate-directory` is asked for, as in
/// wasmtime: the preview 1 adapter and the libraries of guests do not ask.
pub fn open_at(
    call: &mut Preview2<'_>,
    (descriptor, path_flags, path, open_flags, flags): &(
        Borrow<Descriptor>,
        PathFlags,
        String,
        OpenFlags,
        DescriptorFlags,
    ),
) -> Coded<Own<Descriptor>> {
    let state = &mut call.data.state;
    let changes = flags.intersects(DescriptorFlags::WRITE | DescriptorFlags::MUTATE_DIRECTORY)
        || open_flags.intersects(OpenFlags::CREATE | OpenFlags::TRUNCATE);
    let reserved = state.table.reserve::<Descriptor>();
    let access =
        Access { read: flags.contains(DescriptorFlags::READ), write: flags.contains(DescriptorFlags::WRITE) };
    let opened = state.directory(*descriptor)?.and_then(|directory| {
        if changes && directory.permissions() == Permissions::ReadOnly {
            return Err(Error::ReadOnly);
        }
        reserved?;
        let open_flags = filesystem::OpenFlags::from(*open_flags);
        directory.open_at(path, follow(*path_flags), open_flags, access)
    });
    let opened = opened.and_then(|opened| state.table.insert(Descriptor::opened(opened, *flags)));
    coded(opened.map(Own::new))
}

/// The text of a symbolic link.
pub fn readlink_at(
    call: &mut Preview2<'_>,
    (descriptor, path): &(Borrow<Descriptor>, String),
) -> Coded<String> {
    let directory = call.data.state.directory(*descriptor)?;
    coded(directory.and_then(|directory| directory.readlink_at(path)))
}

/// Removes an empty directory.
pub fn remove_directory_at(
    call: &mut Preview2<'_>,
    (descriptor, path): &(Borrow<Descriptor>, String),
) -> Coded<()> {
    let directory = call.data.state.writable_directory(*descriptor)?;
    coded(directory.and_then(|directory| directory.remove_directory_at(path)))
}

/// Renames.
pub fn rename_at(
    call: &mut Preview2<'_>,
    (descriptor, path, new_descriptor, new_path): &(Borrow<Descriptor>, String, Borrow<Descriptor>, String),
) -> Coded<()> {
    let state = &call.data.state;
    let (from, to) = (state.writable_directory(*descriptor)?, state.writable_directory(*new_descriptor)?);
    coded(from.and_then(|from| from.rename_at(path, to?, new_path)))
}

/// Makes a symbolic link.
pub fn symlink_at(
    call: &mut Preview2<'_>,
    (descriptor, target, path): &(Borrow<Descriptor>, String, String),
) -> Coded<()> {
    let directory = call.data.state.writable_directory(*descriptor)?;
    coded(directory.and_then(|directory| directory.symlink_at(target, path)))
}

/// Removes a name of a file.
pub fn unlink_file_at(
    call: &mut Preview2<'_>,
    (descriptor, path): &(Borrow<Descriptor>, String),
) -> Coded<()> {
    let directory = call.data.state.writable_directory(*descriptor)?;
    coded(directory.and_then(|directory| directory.unlink_file_at(path)))
}

/// A hash of which file a path names and in which version.
pub fn metadata_hash_at(
    call: &mut Preview2<'_>,
    (descriptor, flags, path): &(Borrow<Descriptor>, PathFlags, String),
) -> Coded<MetadataHashValue> {
    let directory = call.data.state.directory(*descriptor)?;
    coded(directory.and_then(|directory| directory.stat_at(path, follow(*flags))).map(Into::into))
}
