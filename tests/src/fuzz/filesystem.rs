//! The in-memory file system, against a model.
//!
//! What must hold: after any sequence of operations, through paths and through descriptors that were opened before (of files
//! and directories that may be gone by now), both agree on every result: contents, sizes, listings, link counts, kinds and
//! errors. A listing that is read in pieces, with changes in between, has the names that were there all the time exactly once, whatever
//! has come under them meanwhile. With a small quota the only difference is `NoSpace`, which ends the comparison; in the end, with all files removed
//! and all descriptors closed, nothing is charged to the quota.

use super::{
    machine::StepClock,
    model::{Content, Found, Id, Last, Model},
};
use arbitrary::{Result as Input, Unstructured};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
};
use wasi::{
    Error, Result,
    filesystem::{
        Access, Descriptor, Directory, Kind, OpenFile, OpenFlags, Permissions, SeekFrom,
        memory::MemoryFileSystem,
    },
};

const PATHS: [&str; 18] = [
    "a", "b", "c", "a/a", "a/b", "b/a", "a/b/c", "a/..", "b/../a", ".", "..", "a/.", "a/", "b/", "a/b/",
    "c/a", "./b", "b/c/",
];
const OFFSETS: [u64; 10] = [0, 1, 100, 4_095, 4_096, 4_097, 8_192, 12_000, 20_000, 1 << 63];
const LENGTHS: [usize; 7] = [0, 1, 10, 4_095, 4_096, 4_097, 9_000];
const READ_WRITE: Access = Access { read: true, write: true };

/// Both file systems, and what is open in both.
struct World {
    root: Directory,
    model: Model,
    directories: Vec<(Directory, Id)>,
    files: Vec<(OpenFile, Id, usize)>,
    listing: Option<Listing>,
}

/// A directory that is being listed.
struct Listing {
    directory: Directory,
    id: Id,
    cookie: u64,
    /// The names that have been there since the beginning.
    stayed: BTreeSet<String>,
    seen: Vec<String>,
}

/// Runs the target on `data`: a byte that chooses the quota, and operations.
pub fn run(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let quota = [1 << 30, 3_000, 40_000][usize::from(input.arbitrary::<u8>().unwrap_or(0)) % 3];
    let files = MemoryFileSystem::new(StepClock::new(), quota, 7).expect("room for the root");
    let (empty, _) = files.usage();
    let root = Directory::new(files.root(), Permissions::ReadWrite).expect("the root");
    let read_only = Directory::new(files.root(), Permissions::ReadOnly).expect("the root");
    let directories = vec![(root.clone(), 0), (read_only, 0)];
    let mut world = World { directories, root, model: Model::new(), files: vec![], listing: None };
    // The smallest quota has no room for it.
    if quota > 3_000 && input.arbitrary().unwrap_or(false) {
        world.furnish();
    }
    let mut agreed = true;
    for step in 0..300 {
        if input.is_empty() {
            break;
        }
        if world.step(step, &mut input).expect("what the input does not say is 0").is_break() {
            agreed = false;
            break;
        }
        if let Some(Listing { id, stayed, .. }) = &mut world.listing {
            stayed.retain(|name| world.model.lookup(*id, name).is_ok());
        }
        assert!(files.usage().0 <= quota);
        if step % 16 == 15 {
            world.compare();
        }
    }
    if agreed {
        world.compare();
    }
    drop(world);
    remove_all(&files);
    assert_eq!(files.usage().0, empty, "something is charged that is not there any more");
}

/// Removes all that is in a file system, from the deepest up.
pub(super) fn remove_all(files: &MemoryFileSystem) {
    let root = Directory::new(files.root(), Permissions::ReadWrite).expect("the root");
    let mut paths = Vec::new();
    let mut visit = |path: &str, stat: &wasi::filesystem::Stat| {
        paths.push((path.matches('/').count(), path.to_owned(), stat.kind));
        ControlFlow::Continue(())
    };
    files.walk(&mut visit).expect("a tree that can be walked");
    paths.sort_by_key(|(depth, ..)| std::cmp::Reverse(*depth));
    for (_, path, kind) in paths {
        let removed = match kind {
            Kind::Directory => root.remove_directory_at(&path),
            _ => root.unlink_file_at(&path),
        };
        assert_eq!(removed, Ok(()), "{path}");
    }
}

impl World {
    /// Something to begin with: two files and a directory with another.
    fn furnish(&mut self) {
        for path in ["a", "c"] {
            assert_eq!(self.root.open_at(path, false, OpenFlags::CREATE, READ_WRITE).map(drop), Ok(()));
            self.model.add(0, path.into(), Content::File(vec![])).expect("a new name");
        }
        assert_eq!(self.root.create_directory_at("b"), Ok(()));
        let b = self.model.add(0, "b".into(), Content::Directory(Some(BTreeMap::new()))).expect("a new name");
        assert_eq!(self.root.open_at("b/a", false, OpenFlags::CREATE, READ_WRITE).map(drop), Ok(()));
        self.model.add(b, "a".into(), Content::File(vec![])).expect("a new name");
    }

    /// One operation on both; breaks where the quota makes them differ.
    fn step(&mut self, step: u32, input: &mut Unstructured<'_>) -> Input<ControlFlow<()>> {
        let mut path = || {
            // Half of them are of few names, where something probably is.
            if input.arbitrary()? { input.choose(&PATHS[..3]) } else { input.choose(&PATHS) }.copied()
        };
        let (path, other) = (path()?, path()?);
        let follow = input.arbitrary()?;
        let mut directory = || -> Input<_> {
            // Mostly the root that may be changed.
            let at = if input.ratio(1, 3)? { input.choose_index(self.directories.len())? } else { 0 };
            Ok(self.directories[at].clone())
        };
        let (from, to) = (directory()?, directory()?);
        let what = input.int_in_range(0..=23)?;
        let (expected, found) = match what {
            0..=4 => return self.open(step, input, path, follow, &from.0, from.1),
            5..=12 => {
                let found = match what {
                    5 => from.0.create_directory_at(path),
                    6 => from.0.symlink_at(other, path),
                    7 => from.0.link_at(path, follow, &to.0, other),
                    8 | 9 => from.0.rename_at(path, &to.0, other),
                    10 | 11 => from.0.unlink_file_at(path),
                    _ => from.0.remove_directory_at(path),
                };
                let takes_two = (7..=9).contains(&what);
                let permitted = from.0.permissions() == Permissions::ReadWrite
                    && (!takes_two || to.0.permissions() == Permissions::ReadWrite);
                let expected = if permitted {
                    self.expect_change(what, (from.1, path), (to.1, other), follow)
                } else {
                    Err(Error::NotPermitted)
                };
                (expected, found)
            }
            13 => {
                let expected =
                    self.model.find(from.1, path, false).and_then(|id| match &self.model.nodes[id] {
                        Content::Link(text) => Ok(text.clone()),
                        _ => Err(Error::Invalid),
                    });
                assert_eq!(from.0.readlink_at(path), expected, "step {step}: readlink {path}");
                return Ok(ControlFlow::Continue(()));
            }
            14 => {
                // Close something.
                if !self.files.is_empty() && input.arbitrary()? {
                    let at = input.choose_index(self.files.len())?;
                    self.files.swap_remove(at);
                } else if self.directories.len() > 2 {
                    let at = input.int_in_range(2..=self.directories.len() - 1)?;
                    self.directories.swap_remove(at);
                }
                return Ok(ControlFlow::Continue(()));
            }
            15 | 16 => {
                self.list(from, input.int_in_range(1..=3)?);
                return Ok(ControlFlow::Continue(()));
            }
            _ => return self.use_file(step, input),
        };
        if found == Err(Error::NoSpace) {
            return Ok(ControlFlow::Break(()));
        }
        assert_eq!(found, expected, "step {step}: operation {what} {path} {other} follow {follow}");
        Ok(ControlFlow::Continue(()))
    }

    /// What [`step`](Self::step)'s operations 5 to 12 do to the model.
    fn expect_change(
        &mut self,
        what: u32,
        (start, path): (Id, &str),
        (new_start, other): (Id, &str),
        follow: bool,
    ) -> Result<()> {
        match what {
            5 => {
                let place = self.model.walk(start, path, Last::Leave)?;
                let name = place.name.ok_or(Error::Exists)?;
                self.model.add(place.directory, name, Content::Directory(Some(BTreeMap::new()))).map(drop)
            }
            6 => {
                let place = self.model.walk(start, path, Last::Leave)?;
                let (directory, name) = self.vacant(place)?;
                self.model.add(directory, name, Content::Link(other.into())).map(drop)
            }
            7 => {
                let source = self.model.find(start, path, follow)?;
                let place = self.model.walk(new_start, other, Last::Leave)?;
                let ends_in_dot = place.name.is_none();
                let place = self.vacant(place);
                if self.model.is_directory(source) && (place.is_ok() || ends_in_dot) {
                    return Err(Error::NotPermitted);
                }
                let (directory, name) = place?;
                if self.model.lookup(directory, &name).is_ok() {
                    return Err(Error::Exists);
                }
                self.model.entries(directory)?.insert(name, source);
                Ok(())
            }
            8 | 9 => self.rename((start, path), (new_start, other)),
            _ => self.remove(start, path, what == 12),
        }
    }

    /// Reads on in the listing that is in progress, or begins one.
    fn list(&mut self, (directory, id): (Directory, Id), count: usize) {
        let listing = self.listing.get_or_insert_with(|| {
            let stayed =
                self.model.entries(id).map(|entries| entries.keys().cloned().collect()).unwrap_or_default();
            Listing { directory, id, cookie: 0, stayed, seen: vec![] }
        });
        let (mut given, mut cookie) = (0, listing.cookie);
        let read = listing.directory.read_directory(cookie, &mut |entry| {
            if given == count {
                return ControlFlow::Break(());
            }
            given += 1;
            cookie = entry.next;
            listing.seen.push(entry.name.into());
            ControlFlow::Continue(())
        });
        assert_eq!(read, Ok(()));
        listing.cookie = cookie;
        if given == 0 {
            for name in &listing.stayed {
                let times = listing.seen.iter().filter(|seen| *seen == name).count();
                assert_eq!(times, 1, "{name} was there all the time, and listed: {:?}", listing.seen);
            }
            self.listing = None;
        }
    }

    /// Where something new that is no directory may be: with a slash behind it, only what is there is found.
    fn vacant(&self, place: Found) -> Result<(Id, String)> {
        let name = place.name.ok_or(Error::Exists)?;
        if place.slash {
            self.model.lookup(place.directory, &name)?;
            return Err(Error::Exists);
        }
        Ok((place.directory, name))
    }

    fn rename(&mut self, (start, path): (Id, &str), (new_start, new_path): (Id, &str)) -> Result<()> {
        let old = self.model.walk(start, path, Last::Leave)?;
        let new = self.model.walk(new_start, new_path, Last::Leave)?;
        let (name, new_name) = (old.name.ok_or(Error::Busy)?, new.name.ok_or(Error::Busy)?);
        let id = self.model.lookup(old.directory, &name)?;
        let moves_directory = self.model.is_directory(id);
        if (old.slash || new.slash) && !moves_directory {
            return Err(Error::NotDirectory);
        }
        // A directory that has been removed has no room.
        self.model.entries(new.directory)?;
        if moves_directory && self.model.is_within(new.directory, id) {
            return Err(Error::Invalid);
        }
        if let Ok(replaced) = self.model.lookup(new.directory, &new_name) {
            if replaced == id {
                return Ok(());
            }
            let replaces_directory = self.model.is_directory(replaced);
            if replaces_directory && self.model.is_within(old.directory, replaced) {
                return Err(Error::NotEmpty);
            }
            match (moves_directory, replaces_directory) {
                (true, false) => return Err(Error::NotDirectory),
                (false, true) => return Err(Error::IsDirectory),
                (true, true) if !self.model.entries(replaced)?.is_empty() => return Err(Error::NotEmpty),
                (true, true) => self.model.nodes[replaced] = Content::Directory(None),
                (false, false) => {}
            }
        }
        self.model.entries(old.directory)?.remove(&name);
        self.model.entries(new.directory)?.insert(new_name, id);
        Ok(())
    }

    fn remove(&mut self, start: Id, path: &str, directory: bool) -> Result<()> {
        let place = self.model.walk(start, path, Last::Leave)?;
        let name = place.name.ok_or(if directory { Error::Invalid } else { Error::IsDirectory });
        if place.slash
            && let Ok(name) = &name
            && !self.model.is_directory(self.model.lookup(place.directory, name)?)
        {
            self.model.find(start, path, true)?;
            return Err(Error::NotDirectory);
        }
        let name = name?;
        let id = self.model.lookup(place.directory, &name)?;
        match (self.model.is_directory(id), directory) {
            (true, false) => return Err(Error::IsDirectory),
            (false, true) => return Err(Error::NotDirectory),
            (true, true) if !self.model.entries(id)?.is_empty() => return Err(Error::NotEmpty),
            (true, true) => self.model.nodes[id] = Content::Directory(None),
            (false, false) => {}
        }
        self.model.entries(place.directory)?.remove(&name);
        Ok(())
    }

    /// Opens a path in both, and keeps it open.
    fn open(
        &mut self,
        step: u32,
        input: &mut Unstructured<'_>,
        path: &str,
        follow: bool,
        directory: &Directory,
        start: Id,
    ) -> Input<ControlFlow<()>> {
        let flags = OpenFlags::from_bits_truncate(input.int_in_range(0..=15)?);
        let access = *input.choose(&[
            READ_WRITE,
            READ_WRITE,
            Access::default(),
            Access { read: true, write: false },
        ])?;
        let writes = access.write || flags.intersects(OpenFlags::CREATE | OpenFlags::TRUNCATE);
        let expected = if flags.contains(OpenFlags::DIRECTORY) && flags != OpenFlags::DIRECTORY {
            Err(Error::Invalid)
        } else if writes && directory.permissions() == Permissions::ReadOnly {
            Err(Error::NotPermitted)
        } else {
            self.expect_open(start, path, follow, flags, access)
        };
        let append = input.ratio(1, 4)?;
        let found = directory.open_at(path, follow, flags, access);
        if matches!(found, Err(Error::NoSpace)) {
            return Ok(ControlFlow::Break(()));
        }
        match (found, expected) {
            (Ok(Descriptor::File(mut file)), Ok(id)) if !self.model.is_directory(id) => {
                file.set_append(append);
                if self.files.len() < 8 {
                    self.files.push((file, id, 0));
                }
            }
            (Ok(Descriptor::Directory(directory)), Ok(id)) if self.model.is_directory(id) => {
                if self.directories.len() < 8 {
                    self.directories.push((directory, id));
                }
            }
            (Err(found), Err(expected)) if found == expected => {}
            (found, expected) => panic!(
                "step {step}: open {path} follow {follow} {flags:?} {access:?}: {:?}, not {expected:?}",
                found.map(drop)
            ),
        }
        Ok(ControlFlow::Continue(()))
    }

    fn expect_open(
        &mut self,
        start: Id,
        path: &str,
        follow: bool,
        flags: OpenFlags,
        access: Access,
    ) -> Result<Id> {
        let create = flags.contains(OpenFlags::CREATE);
        let exclusive = create && flags.contains(OpenFlags::EXCLUSIVE);
        let truncate = flags.contains(OpenFlags::TRUNCATE);
        let last = if follow && !exclusive { Last::Follow } else { Last::Find };
        let place = self.model.walk(start, path, last)?;
        let there = match &place.name {
            Some(name) => self.model.lookup(place.directory, name),
            None => Ok(place.directory),
        };
        let id = match (there, place.name) {
            (Ok(_), _) if exclusive => return Err(Error::Exists),
            (Ok(id), _) => id,
            (Err(Error::NoEntry), Some(_)) if create && place.slash => return Err(Error::IsDirectory),
            (Err(Error::NoEntry), Some(name)) if create => {
                return self.model.add(place.directory, name, Content::File(vec![]));
            }
            (Err(error), _) => return Err(error),
        };
        match &mut self.model.nodes[id] {
            Content::Link(_) => Err(Error::Loop),
            Content::Directory(_) if access.write || create || truncate => Err(Error::IsDirectory),
            Content::Directory(_) => Ok(id),
            Content::File(_) if flags.contains(OpenFlags::DIRECTORY) => Err(Error::NotDirectory),
            Content::File(bytes) => {
                if truncate {
                    bytes.clear();
                }
                Ok(id)
            }
        }
    }

    /// Uses a file that is open, whether it still has a name or not.
    fn use_file(&mut self, step: u32, input: &mut Unstructured<'_>) -> Input<ControlFlow<()>> {
        if self.files.is_empty() {
            return Ok(ControlFlow::Continue(()));
        }
        let at = input.choose_index(self.files.len())?;
        let (file, id, position) = &mut self.files[at];
        let Content::File(bytes) = &mut self.model.nodes[*id] else { panic!("what is open is a file") };
        let (offset, len) = (*input.choose(&OFFSETS)?, *input.choose(&LENGTHS)?);
        let small = usize::try_from(offset).ok().filter(|&offset| offset < 1 << 20);
        let new = vec![step.to_le_bytes()[0] | 1; len];
        let access = file.access();
        let what = input.int_in_range(0..=6)?;
        let (expected, found) = match what {
            0 | 1 => {
                // At the position, or at an offset.
                let to = if what == 0 { Ok(*position) } else { small.ok_or(Error::Invalid) };
                let to = if access.write { to } else { Err(Error::BadDescriptor) };
                let to = to.map(|to| if file.append() && len > 0 { bytes.len() } else { to });
                let found = if what == 0 { file.write(&new) } else { file.pwrite(&new, offset) };
                if let Ok(count) = found
                    && count < len
                {
                    // As much as there was room for.
                    return Ok(ControlFlow::Break(()));
                }
                let expected = to.map(|to| {
                    if len > 0 {
                        let end = to + len;
                        bytes.resize(bytes.len().max(end), 0);
                        bytes[to..end].copy_from_slice(&new);
                        if what == 0 {
                            *position = end;
                        }
                    }
                    len
                });
                (expected, found)
            }
            2 | 3 => {
                let from = if what == 2 { Ok(*position) } else { small.ok_or(Error::Invalid) };
                let from = if access.read { from } else { Err(Error::BadDescriptor) };
                let mut buffer = vec![0; len];
                let found = if what == 2 { file.read(&mut buffer) } else { file.pread(&mut buffer, offset) };
                let expected = from.map(|from| {
                    let there = bytes.get(from..).unwrap_or_default();
                    let there = &there[..there.len().min(len)];
                    assert_eq!(&buffer[..there.len()], there, "step {step}: {len} bytes at {from}");
                    if what == 2 {
                        *position += there.len();
                    }
                    there.len()
                });
                (expected, found)
            }
            4 => {
                let expected = match (access.write, small) {
                    (false, _) => Err(Error::BadDescriptor),
                    (true, None) => Err(Error::FileTooLarge),
                    (true, Some(size)) => {
                        bytes.resize(size, 0);
                        Ok(0)
                    }
                };
                (expected, file.set_size(offset).map(|()| 0))
            }
            5 => {
                let expected = match (access.write, small, len) {
                    (false, ..) => Err(Error::BadDescriptor),
                    (_, None, _) | (_, _, 0) => Err(Error::Invalid),
                    (true, Some(from), len) => Ok(from + len),
                };
                let found = file.allocate(offset, len as u64);
                if let (Ok(end), Ok(())) = (expected, found) {
                    bytes.resize(bytes.len().max(end), 0);
                }
                (expected.map(|_| 0), found.map(|()| 0))
            }
            _ => {
                let delta = *input.choose(&[0, 1, -1, 5_000, -5_000, i64::MAX, i64::MIN])?;
                let from = *input.choose(&[0, *position, bytes.len()])?;
                let to = match from {
                    0 => SeekFrom::Start(delta.unsigned_abs()),
                    from if from == *position => SeekFrom::Current(delta),
                    _ => SeekFrom::End(delta),
                };
                let target = match to {
                    SeekFrom::Start(to) => i128::from(to),
                    _ => from as i128 + i128::from(delta),
                };
                // A position that no vector of the model could reach is not left there.
                if (1 << 20..=i128::from(i64::MAX)).contains(&target) {
                    return Ok(ControlFlow::Continue(()));
                }
                let expected =
                    usize::try_from(target).ok().filter(|&to| to <= i64::MAX as usize).ok_or(Error::Invalid);
                if let Ok(to) = expected {
                    *position = to;
                }
                (expected, file.seek(to).map(|to| usize::try_from(to).unwrap_or(usize::MAX)))
            }
        };
        if found == Err(Error::NoSpace) {
            return Ok(ControlFlow::Break(()));
        }
        assert_eq!(found, expected, "step {step}: use {what} of an open file, {len} at {offset}");
        Ok(ControlFlow::Continue(()))
    }

    /// The whole trees, and what is open, are the same.
    fn compare(&self) {
        let mut pending = vec![(self.root.clone(), 0)];
        pending.extend(self.directories.iter().cloned());
        while let Some((directory, id)) = pending.pop() {
            let none = BTreeMap::new();
            let entries = match &self.model.nodes[id] {
                Content::Directory(entries) => entries.as_ref().unwrap_or(&none),
                other => panic!("{other:?} is no directory"),
            };
            let mut listed = BTreeMap::new();
            let mut list = |entry: wasi::filesystem::DirectoryEntry<'_>| {
                if !matches!(entry.name, "." | "..") {
                    assert_eq!(listed.insert(entry.name.to_owned(), entry.kind), None, "listed twice");
                }
                ControlFlow::Continue(())
            };
            directory.read_directory(0, &mut list).expect("a listing");
            assert!(listed.keys().eq(entries.keys()), "{listed:?}, not {entries:?}");
            for (name, &child) in entries {
                let stat = directory.stat_at(name, false).expect("what is listed");
                assert_eq!(stat.kind, listed[name]);
                match &self.model.nodes[child] {
                    Content::Directory(_) => {
                        let opened = directory.open_at(name, false, OpenFlags::DIRECTORY, Access::default());
                        let Ok(Descriptor::Directory(opened)) = opened else {
                            panic!("{name} does not open")
                        };
                        pending.push((opened, child));
                    }
                    Content::File(bytes) => {
                        assert_eq!(
                            (stat.size, stat.links),
                            (bytes.len() as u64, self.model.names(child) as u64)
                        );
                    }
                    Content::Link(text) => {
                        assert_eq!(directory.readlink_at(name).as_ref(), Ok(text));
                        assert_eq!(stat.links, self.model.names(child) as u64);
                    }
                }
            }
        }
        for (file, id, position) in &self.files {
            let Content::File(bytes) = &self.model.nodes[*id] else { panic!("what is open is a file") };
            let stat = file.stat().expect("an open file");
            assert_eq!((stat.size, stat.links), (bytes.len() as u64, self.model.names(*id) as u64));
            assert_eq!(file.tell(), *position as u64);
            let mut content = vec![0; bytes.len()];
            if file.access().read {
                assert_eq!(file.pread(&mut content, 0), Ok(bytes.len()));
                assert!(content == *bytes, "the bytes of an open file");
            }
        }
    }
}
