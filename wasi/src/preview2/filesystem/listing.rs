//! The resource `directory-entry-stream`: a directory's entries, one by one, without `.` and `..`.

use super::{Coded, Descriptor, coded, types::DirectoryEntry};
use crate::{
    Result,
    filesystem::Directory,
    heap,
    preview2::{Data, Preview2},
};
use alloc::{collections::VecDeque, string::ToString};
use component::{Borrow, Own, host::InterfaceBuilder};
use core::ops::ControlFlow;

/// The resource `directory-entry-stream`.
pub struct DirectoryEntryStream {
    directory: Directory,
    cookie: u64,
    /// What the file system has given already.
    ahead: VecDeque<DirectoryEntry>,
    at_end: bool,
}

/// How many entries a file system is asked for at once.
const AHEAD: usize = 32;

impl DirectoryEntryStream {
    fn new(directory: Directory) -> Self {
        Self { directory, cookie: Directory::ENTRIES, ahead: VecDeque::new(), at_end: false }
    }

    fn next(&mut self) -> Result<Option<DirectoryEntry>> {
        if self.ahead.is_empty() && !self.at_end {
            heap::check()?;
            let (ahead, cookie) = (&mut self.ahead, &mut self.cookie);
            self.at_end = true;
            let at_end = &mut self.at_end;
            let listed = self.directory.read_directory(*cookie, &mut |entry| {
                ahead.push_back(DirectoryEntry { ty: entry.kind.into(), name: entry.name.to_string() });
                *cookie = entry.next;
                if ahead.len() < AHEAD {
                    return ControlFlow::Continue(());
                }
                *at_end = false;
                ControlFlow::Break(())
            });
            if let Err(error) = listed {
                // What was given before is there; then it is tried again.
                self.at_end = false;
                if self.ahead.is_empty() {
                    return Err(error);
                }
            }
        }
        Ok(self.ahead.pop_front())
    }
}

pub fn register(types: &mut InterfaceBuilder<'_, Data>) {
    types
        .func("[method]descriptor.read-directory", read_directory)
        .func("[method]directory-entry-stream.read-directory-entry", read_directory_entry);
}

/// A stream of a directory's entries, from the start.
pub fn read_directory(
    call: &mut Preview2<'_>,
    (descriptor,): &(Borrow<Descriptor>,),
) -> Coded<Own<DirectoryEntryStream>> {
    let state = &mut call.data.state;
    let stream = state.directory(*descriptor)?.map(|directory| DirectoryEntryStream::new(directory.clone()));
    coded(stream.and_then(|stream| state.table.insert(stream)).map(Own::new))
}

/// The next entry, if there is one.
pub fn read_directory_entry(
    call: &mut Preview2<'_>,
    (stream,): &(Borrow<DirectoryEntryStream>,),
) -> Coded<Option<DirectoryEntry>> {
    coded(call.data.state.table.get_mut::<DirectoryEntryStream>(stream.rep)?.next())
}
