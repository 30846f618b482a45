//! Random operations, compared with a model that is too simple to be wrong: a map from paths to nodes.

use super::*;
use std::collections::BTreeMap;

/// A path from the root, without dots and links.
type Place = Vec<String>;

#[derive(Clone, Debug, PartialEq)]
enum Content {
    File(Vec<u8>),
    Directory,
    Link(String),
}

/// Nodes, and the names they have.
struct Model {
    nodes: Vec<Content>,
    names: BTreeMap<Place, usize>,
}

impl Model {
    fn new() -> Self {
        Self { nodes: vec![Content::Directory], names: BTreeMap::from([(vec![], 0)]) }
    }

    fn get(&self, place: &Place) -> Option<&Content> {
        self.names.get(place).map(|&node| &self.nodes[node])
    }

    fn is_directory(&self, place: &Place) -> bool {
        self.get(place) == Some(&Content::Directory)
    }

    fn is_empty(&self, place: &Place) -> bool {
        !self.names.keys().any(|other| other.len() > place.len() && other.starts_with(place))
    }

    fn add(&mut self, place: Place, content: Content) {
        self.nodes.push(content);
        self.names.insert(place, self.nodes.len() - 1);
    }

    /// Where a path leads; the last component need not be there.
    fn place(&self, mut base: Place, path: &str, follow: bool, links: &mut u32) -> Result<Place> {
        let components: Vec<_> = path.split('/').collect();
        for (at, &component) in components.iter().enumerate() {
            let last = at + 1 == components.len();
            if component == ".." {
                base.pop().ok_or(Error::NotPermitted)?;
                continue;
            }
            base.push(component.to_owned());
            if let Some(Content::Link(target)) = self.get(&base)
                && (follow || !last)
            {
                *links = links.checked_sub(1).ok_or(Error::Loop)?;
                base.pop();
                base = self.place(base, target, true, links)?;
            }
            match self.get(&base) {
                _ if last => {}
                Some(Content::Directory) => {}
                Some(_) => return Err(Error::NotDirectory),
                None => return Err(Error::NoEntry),
            }
        }
        Ok(base)
    }

    fn at(&self, path: &str, follow: bool) -> Result<Place> {
        self.place(vec![], path, follow, &mut 40)
    }

    fn found(&self, path: &str, follow: bool) -> Result<(Place, &Content)> {
        let place = self.at(path, follow)?;
        let content = self.get(&place).ok_or(Error::NoEntry)?;
        Ok((place, content))
    }

    /// Where something new may be.
    fn vacant(&self, path: &str) -> Result<Place> {
        let place = self.at(path, false)?;
        if self.get(&place).is_some() { Err(Error::Exists) } else { Ok(place) }
    }

    fn rename(&mut self, old: &str, new: &str) -> Result<()> {
        let (old, new) = (self.at(old, false)?, self.at(new, false)?);
        let directory = *self.get(&old).ok_or(Error::NoEntry)? == Content::Directory;
        if directory && new.len() > old.len() && new.starts_with(&old) {
            return Err(Error::Invalid);
        }
        if old == new || self.names.get(&old) == self.names.get(&new) {
            return Ok(());
        }
        match (directory, self.get(&new)) {
            (_, None) => {}
            (true, Some(Content::Directory)) if !self.is_empty(&new) => return Err(Error::NotEmpty),
            (true, Some(Content::Directory)) => {}
            (true, Some(_)) => return Err(Error::NotDirectory),
            // An ancestor of what is moved is not empty, whatever is moved.
            (false, Some(Content::Directory)) if old.starts_with(&new) => return Err(Error::NotEmpty),
            (false, Some(Content::Directory)) => return Err(Error::IsDirectory),
            (false, Some(_)) => {}
        }
        let moved: Vec<_> = self.names.keys().filter(|name| name.starts_with(&old)).cloned().collect();
        for name in moved {
            let node = self.names.remove(&name).unwrap();
            let mut place = new.clone();
            place.extend_from_slice(&name[old.len()..]);
            self.names.insert(place, node);
        }
        Ok(())
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }

    fn path(&mut self) -> String {
        let mut path = String::new();
        for _ in 0..self.below(3) {
            path += ["a/", "b/", "c/", "../", "a/"][self.below(5)];
        }
        path + ["a", "b", "c"][self.below(3)]
    }
}

pub fn random_operations_agree_with_a_model(world: &World) {
    // A server in another process takes its time.
    let seeds = if world.by_name { 2 } else { 8 };
    for seed in 0..seeds {
        let name = format!("seed{seed}");
        world.mkdir(&name);
        run(&world.directory(&name), seed);
    }
}

fn run(root: &Directory, seed: u64) {
    let mut model = Model::new();
    let mut random = Random(seed);
    let mut succeeded = 0;
    for step in 0..1500 {
        let (path, other, follow) = (random.path(), random.path(), random.below(2) == 0);
        let what = random.below(10);
        let (expected, found) = match what {
            0 | 1 => {
                let (offset, len, byte) = (random.below(9000), random.below(5000), step as u8);
                let bytes = vec![byte; len];
                let expected = write(&mut model, &path, follow, offset, &bytes);
                let found = root
                    .open_at(&path, follow, OpenFlags::CREATE, WRITE)
                    .and_then(file)
                    .and_then(|file| file.pwrite(&bytes, offset as u64))
                    .map(drop);
                (expected, found)
            }
            2 => {
                let size = random.below(9000);
                let expected = model.found(&path, follow).and_then(|(place, content)| match content {
                    Content::Link(_) => Err(Error::Loop),
                    Content::Directory => Err(Error::IsDirectory),
                    Content::File(_) => Ok(place),
                });
                let expected = expected.map(|place| {
                    let node = model.names[&place];
                    let Content::File(bytes) = &mut model.nodes[node] else { unreachable!() };
                    bytes.resize(size, 0);
                });
                let found = root
                    .open_at(&path, follow, NONE, WRITE)
                    .and_then(file)
                    .and_then(|file| file.set_size(size as u64));
                (expected, found)
            }
            3 => {
                let expected = model.vacant(&path).map(|place| model.add(place, Content::Directory));
                (expected, root.create_directory_at(&path))
            }
            4 => {
                let expected =
                    model.vacant(&path).map(|place| model.add(place, Content::Link(other.clone())));
                (expected, root.symlink_at(&other, &path))
            }
            5 => {
                let source = model.found(&path, follow).map(|(place, _)| place);
                let expected = source.and_then(|source| {
                    let place = model.at(&other, false)?;
                    if model.is_directory(&source) {
                        return Err(Error::NotPermitted);
                    }
                    if model.get(&place).is_some() {
                        return Err(Error::Exists);
                    }
                    let node = model.names[&source];
                    model.names.insert(place, node);
                    Ok(())
                });
                (expected, root.link_at(&path, follow, root, &other))
            }
            6 => (model.rename(&path, &other), root.rename_at(&path, root, &other)),
            7 => {
                let place = model.found(&path, false).and_then(|(place, content)| match content {
                    Content::Directory => Err(Error::IsDirectory),
                    _ => Ok(place),
                });
                let expected = place.map(|place| {
                    model.names.remove(&place);
                });
                (expected, root.unlink_file_at(&path))
            }
            8 => {
                let place = model.found(&path, false).and_then(|(place, content)| match content {
                    Content::Directory if model.is_empty(&place) => Ok(place),
                    Content::Directory => Err(Error::NotEmpty),
                    _ => Err(Error::NotDirectory),
                });
                let expected = place.map(|place| {
                    model.names.remove(&place);
                });
                (expected, root.remove_directory_at(&path))
            }
            _ => {
                let expected = model.found(&path, follow).map(|(_, content)| content.clone());
                let found = look(root, &path, follow);
                assert_eq!(found, expected, "seed {seed} step {step}: {path} follow {follow}");
                (Ok(()), Ok(()))
            }
        };
        assert_eq!(
            found, expected,
            "seed {seed} step {step}: operation {what} {path} {other} follow {follow}"
        );
        succeeded += usize::from(expected.is_ok());
        if step % 100 == 99 {
            compare(root, &model, seed, step);
        }
    }
    assert!(succeeded > 150, "seed {seed}: only {succeeded} operations did anything");
}

fn write(model: &mut Model, path: &str, follow: bool, offset: usize, bytes: &[u8]) -> Result<()> {
    let place = model.at(path, follow)?;
    match model.get(&place) {
        None => model.add(place.clone(), Content::File(vec![])),
        Some(Content::File(_)) => {}
        Some(Content::Directory) => return Err(Error::IsDirectory),
        Some(Content::Link(_)) => return Err(Error::Loop),
    }
    let node = model.names[&place];
    let Content::File(content) = &mut model.nodes[node] else { unreachable!() };
    if !bytes.is_empty() {
        content.resize(content.len().max(offset + bytes.len()), 0);
        content[offset..offset + bytes.len()].copy_from_slice(bytes);
    }
    Ok(())
}

fn look(root: &Directory, path: &str, follow: bool) -> Result<Content> {
    let stat = root.stat_at(path, follow)?;
    let content = match stat.kind {
        Kind::Directory => Content::Directory,
        Kind::SymbolicLink => Content::Link(root.readlink_at(path)?),
        _ => Content::File(read_all(&mut file(root.open_at(path, follow, NONE, READ)?)?)?),
    };
    if let Content::File(bytes) = &content {
        assert_eq!(stat.size, bytes.len() as u64);
    }
    Ok(content)
}

/// The whole tree is what the model says, listings and link counts included.
fn compare(root: &Directory, model: &Model, seed: u64, step: usize) {
    for (place, &node) in &model.names {
        let path = if place.is_empty() { ".".to_owned() } else { place.join("/") };
        assert_eq!(
            look(root, &path, false),
            Ok(model.nodes[node].clone()),
            "seed {seed} step {step}: {path}"
        );
        if model.nodes[node] == Content::Directory {
            let Ok(Descriptor::Directory(directory)) = root.open_at(&path, false, NONE, READ) else {
                panic!("seed {seed} step {step}: {path} does not open")
            };
            let expected: Vec<_> = model
                .names
                .keys()
                .filter(|name| name.len() == place.len() + 1 && name.starts_with(place))
                .map(|name| name[place.len()].clone())
                .collect();
            assert_eq!(names(&directory), expected, "seed {seed} step {step}: {path}");
        } else {
            let links = model.names.values().filter(|&&other| other == node).count() as u64;
            let stat = root.stat_at(&path, false).unwrap();
            assert_eq!(stat.links, links, "seed {seed} step {step}: {path}");
        }
    }
}
