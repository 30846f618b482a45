//! The program's directories: in memory, filled from the initrd or not, and the host's over virtio-9p.

use crate::{memory, virtio::p9::P9};
use alloc::{
    boxed::Box,
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use manifest::{
    Source,
    archive::{Archive, Content},
    root_path,
};
use wasi::{
    clocks::Clock,
    filesystem::{Node, memory::MemoryFileSystem, p9},
};

/// What each of the directories in memory among `sources` may take: together half of what memory there is, the rest is the
/// program's.
pub fn quota<'a>(sources: impl Iterator<Item = &'a Source>) -> u64 {
    let in_memory = sources.filter(|source| matches!(source, Source::Empty | Source::Initrd { .. })).count();
    memory::available() as u64 / 2 / in_memory.max(1) as u64
}

/// The root of a directory for the program, of at most `quota` bytes if it is in memory; `device` is its number, which no
/// other has.
///
/// # Errors
/// Why there is none, for a person.
pub fn mount(
    source: &Source,
    device: u64,
    quota: u64,
    archive: &Archive<'static>,
    shares: &mut Vec<P9>,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<dyn Node>, String> {
    match source {
        Source::Empty => Ok(in_memory(clock, device, quota)?.root()),
        Source::Initrd { root } => {
            let files = in_memory(clock, device, quota)?;
            fill(&files, archive, &root_path(*root))?;
            Ok(files.root())
        }
        Source::Virtio9p { tag } => {
            let share = shares.iter().position(|share| share.tag() == tag).map(|at| shares.swap_remove(at));
            let share =
                share.ok_or_else(|| format!("the machine has no virtio-9p device with the tag {tag:?}"))?;
            let options = p9::Options { device, ..p9::Options::default() };
            p9::attach(Box::new(share), options).map_err(|error| error.to_string())
        }
    }
}

fn in_memory(clock: &Arc<dyn Clock>, device: u64, quota: u64) -> Result<MemoryFileSystem, String> {
    MemoryFileSystem::new(clock.clone(), quota, device).map_err(|error| error.to_string())
}

/// Puts what the archive has below `root` into `files`. The bytes stay where they are.
fn fill(files: &MemoryFileSystem, archive: &Archive<'static>, root: &str) -> Result<(), String> {
    for entry in archive.entries() {
        let entry = entry.map_err(|error| error.to_string())?;
        let Some(path) = entry.path.strip_prefix(root).and_then(|path| path.strip_prefix('/')) else {
            continue;
        };
        let made = match entry.content {
            Content::File(bytes) => files.write_file(path, bytes).map(drop),
            Content::Directory => files.create_directory(path),
            Content::SymbolicLink(target) => files.create_symbolic_link(path, &target),
        };
        made.map_err(|error| format!("{path:?} in the initrd: {error}"))?;
    }
    Ok(())
}
