//! Path resolution, against a model that expands symbolic links as it reads them.
//!
//! What must hold: from a directory inside of a tree with links of all kinds (to each other, upwards, absolute, far too
//! many), every path leads to the very node that the model says, or fails with the model's error; and that node is
//! never outside of the directory.

use super::{
    machine::StepClock,
    model::{Content, Id, Last, Model},
};
use arbitrary::{Result, Unstructured};
use std::collections::BTreeMap;
use wasi::{
    Error,
    filesystem::{Access, Descriptor, Directory, OpenFlags, PATH_MAX, Permissions, memory::MemoryFileSystem},
};

/// Names, long ones among them: paths reach their limit with a few.
const NAMES: [&str; 10] = ["a", "b", "c", ".", "..", "\u{e4}", LONG, TOO_LONG, "x\0", "..."];
const ROUND: &str = "round";
const LONG: &str = match std::str::from_utf8(&[b'n'; 255]) {
    Ok(text) => text,
    Err(_) => "",
};
const TOO_LONG: &str = match std::str::from_utf8(&[b'n'; 256]) {
    Ok(text) => text,
    Err(_) => "",
};

/// Where the guest's directory is in the tree, and how the model gets there.
const JAIL: &str = "outside/jail";

/// Runs the target on `data`: what the tree holds, and paths.
pub fn run(data: &[u8]) {
    compare(&mut Unstructured::new(data)).expect("what the input does not say is 0");
}

fn compare(input: &mut Unstructured<'_>) -> Result<()> {
    let files = MemoryFileSystem::new(StepClock::new(), 1 << 20, 7).expect("room for the root");
    let mut model = Model::new();
    files.create_directory(JAIL).expect("a directory");
    files.write_file("outside/a", "secret").expect("a file");
    let empty = || Content::Directory(Some(BTreeMap::new()));
    let outside = model.add(0, "outside".into(), empty()).expect("a new name");
    let jail = model.add(outside, "jail".into(), empty()).expect("a new name");
    model.add(outside, "a".into(), Content::File(b"secret".to_vec())).expect("a new name");

    // A way round that leads nowhere else.
    files.create_symbolic_link(&format!("{JAIL}/{ROUND}"), ".").expect("a link");
    model.add(jail, ROUND.into(), Content::Link(".".into())).expect("a new name");
    // Each node goes into one of the directories that there are; the embedder's paths need no resolution.
    let mut directories = vec![(jail, JAIL.to_owned())];
    for _ in 0..input.int_in_range(0..=20)? {
        let (directory, path) = input.choose(&directories)?.clone();
        let name = *input.choose(&["a", "b", "c", "\u{e4}", LONG])?;
        let place = format!("{path}/{name}");
        let kind = input.int_in_range(0..=3)?;
        let content = match kind {
            0 => Content::File(place.clone().into_bytes()),
            1 => empty(),
            _ => Content::Link(text(input)?),
        };
        let Ok(id) = model.add(directory, name.to_owned(), content.clone()) else { continue };
        match &content {
            Content::File(bytes) => drop(files.write_file(&place, bytes.clone()).expect("a file")),
            Content::Directory(_) => {
                files.create_directory(&place).expect("a directory");
                directories.push((id, place));
            }
            Content::Link(target) => {
                // The empty ones that no face lets through are not made here either.
                files.create_symbolic_link(&place, target).expect("a link");
            }
        }
    }

    let root = Directory::new(files.root(), Permissions::ReadWrite).expect("the root");
    let Ok(Descriptor::Directory(guest)) = root.open_at(JAIL, false, OpenFlags::empty(), Access::default())
    else {
        panic!("the guest's directory is there")
    };
    let known = inodes(&files, &model);
    for _ in 0..32 {
        if input.is_empty() {
            break;
        }
        let (path, follow) = (text(input)?, input.arbitrary()?);
        let expected = model.find(jail, &path, follow);
        if let Ok(id) = expected {
            assert!(inside(&model, id, jail), "{path:?} leads outside, says the model");
        }
        let found = guest.stat_at(&path, follow).map(|stat| known[&stat.inode]);
        assert_eq!(found, expected, "{path:?}, follow {follow}");

        // Where something new would be made.
        let place = model.walk(jail, &path, Last::Leave);
        let expected = match place {
            Err(error) => Err(error),
            Ok(place) => match place.name {
                None => Err(Error::Exists),
                Some(name) => match model.lookup(place.directory, &name) {
                    Ok(_) => Err(Error::Exists),
                    Err(Error::NoEntry) => Ok(()),
                    Err(error) => Err(error),
                },
            },
        };
        let made = guest.create_directory_at(&path);
        assert_eq!(made, expected, "mkdir {path:?}");
        if made.is_ok() {
            guest.remove_directory_at(&path).expect("what has just been made");
        }
    }
    Ok(())
}

/// The model's node of each inode of the file system, found by the names of both.
fn inodes(files: &MemoryFileSystem, model: &Model) -> BTreeMap<u64, Id> {
    let mut known = BTreeMap::new();
    let mut visit = |path: &str, stat: &wasi::filesystem::Stat| {
        let id = path.split('/').try_fold(0, |directory, name| model.lookup(directory, name));
        known.insert(stat.inode, id.expect("both trees have the same names"));
        std::ops::ControlFlow::Continue(())
    };
    files.walk(&mut visit).expect("a tree that can be walked");
    known
}

fn inside(model: &Model, id: Id, jail: Id) -> bool {
    id == jail
        || match &model.nodes[jail] {
            Content::Directory(Some(entries)) => entries.values().any(|&child| inside(model, id, child)),
            _ => false,
        }
}

/// A path or a link's text.
fn text(input: &mut Unstructured<'_>) -> Result<String> {
    let mut text = String::new();
    if input.ratio(1, 30)? {
        text.push('/');
    }
    // Around the number of links that are followed, and more.
    if input.ratio(1, 20)? {
        text += &format!("{ROUND}/").repeat(input.int_in_range(36..=41)?);
    }
    let repeat = if input.ratio(1, 20)? { 20 } else { 1 };
    for _ in 0..input.int_in_range(1..=5)? {
        let index =
            if input.ratio(3, 4)? { input.int_in_range(0..=4)? } else { input.choose_index(NAMES.len())? };
        let slash = *input.choose(&["/", "/", "/", "//"])?;
        for _ in 0..repeat {
            text += NAMES[index];
            text += slash;
        }
    }
    // Usually it ends in a name.
    if !input.ratio(1, 6)? {
        text.truncate(text.trim_end_matches('/').len());
    }
    // Around the longest that a path may be.
    if input.ratio(1, 20)? {
        let len = PATH_MAX + 1 - input.int_in_range(0..=3)?;
        text.insert_str(0, &"./".repeat(len.saturating_sub(text.len()) / 2));
    }
    // No face lets the empty text and a NUL into a link; a path with them is refused like any other.
    if text.is_empty() {
        text.push('a');
    }
    Ok(text)
}
