//! `wasi:filesystem`: `types` and `preopens`.

mod descriptor;
mod directory;
mod listing;
#[cfg(test)]
mod tests;
mod types;

pub use descriptor::Descriptor;
pub use listing::DirectoryEntryStream;
pub use types::ErrorCode;

use super::{
    Interfaces, Polled, Preview2, State, interface,
    io::{Input, IoError, Origin, Output},
    offer, refused,
};
use crate::{
    Error, Result,
    filesystem::{self, Directory, OpenFile, Permissions},
};
use alloc::{string::String, vec::Vec};
use component::{Borrow, Own, Trap};
use core::task::Poll;

/// What a function of `types` gives.
type Coded<T> = Polled<core::result::Result<T, ErrorCode>>;

/// Offers the interfaces.
pub fn register(linker: &mut Interfaces) {
    let mut types = interface(linker, "wasi:filesystem/types");
    offer::<Input>(&mut types);
    offer::<Output>(&mut types);
    offer::<IoError>(&mut types);
    offer::<Descriptor>(&mut types);
    offer::<DirectoryEntryStream>(&mut types);
    types.func("filesystem-error-code", filesystem_error_code);
    descriptor::register(&mut types);
    directory::register(&mut types);
    listing::register(&mut types);
    let mut preopens = interface(linker, "wasi:filesystem/preopens");
    offer::<Descriptor>(&mut preopens);
    preopens.func("get-directories", get_directories);
}

/// The directories that the program has from the start, and its names for them.
pub fn get_directories(call: &mut Preview2<'_>, (): &()) -> Polled<Vec<(Own<Descriptor>, String)>> {
    let State { preopens, table, .. } = &mut call.data.state;
    let directories = preopens.iter().map(|(name, directory)| {
        let descriptor = Descriptor::directory(directory.clone());
        Ok((Own::new(table.insert(descriptor).map_err(refused)?), name.clone()))
    });
    Poll::Ready(directories.collect())
}

/// What went wrong, if that was with a file.
pub fn filesystem_error_code(
    call: &mut Preview2<'_>,
    (error,): &(Borrow<IoError>,),
) -> Polled<Option<ErrorCode>> {
    let IoError { error, origin } = call.data.state.table.get(error.rep)?;
    Poll::Ready(Ok((*origin == Origin::File).then(|| (*error).into())))
}

/// The result as the guest gets it.
fn coded<T>(result: Result<T>) -> Coded<T> {
    Poll::Ready(Ok(result.map_err(Into::into)))
}

/// What a look at the table gives: the error is for the guest, the trap ends it.
type Found<T> = core::result::Result<Result<T>, Trap>;

impl State {
    /// The file that a descriptor is.
    fn file(&self, descriptor: Borrow<Descriptor>) -> Found<&OpenFile> {
        Ok(match &self.table.get::<Descriptor>(descriptor.rep)?.object {
            filesystem::Descriptor::File(file) => Ok(file),
            filesystem::Descriptor::Directory(_) => Err(Error::BadDescriptor),
        })
    }

    /// The directory that a descriptor is.
    fn directory(&self, descriptor: Borrow<Descriptor>) -> Found<&Directory> {
        Ok(match &self.table.get::<Descriptor>(descriptor.rep)?.object {
            filesystem::Descriptor::File(_) => Err(Error::NotDirectory),
            filesystem::Descriptor::Directory(directory) => Ok(directory),
        })
    }

    /// The directory that a descriptor is, to change what it has. `read-only`, before a path is looked at, if it does not
    /// permit that: 0.2's name for what is `EPERM` in preview 1.
    fn writable_directory(&self, descriptor: Borrow<Descriptor>) -> Found<&Directory> {
        Ok(self.directory(descriptor)?.and_then(|directory| match directory.permissions() {
            Permissions::ReadOnly => Err(Error::ReadOnly),
            Permissions::ReadWrite => Ok(directory),
        }))
    }
}
