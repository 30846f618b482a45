//! What a machine is booted with: the archive, the manifest in it, and the status lines that come back.
//!
//! What must hold: whatever the bytes are, the archive's entries lie inside of it and the readers return; any manifest and any
//! status is written and read back as the same; an archive has what `tar` put into it; and one with some bytes changed is
//! no exception.

use arbitrary::{Result, Unstructured};
use manifest::{
    MANIFEST_PATH, Manifest, Mount, Source, Status,
    archive::{Archive, Content},
};
use tar::{Builder, EntryType, Header};

/// Runs the target on `data`: a byte that chooses the reader, and what it reads.
pub fn run(data: &[u8]) {
    let Some((&choice, rest)) = data.split_first() else { return };
    let mut input = Unstructured::new(rest);
    let checked = match choice % 7 {
        0 => return archive(rest),
        1 => return archive(&sound(rest)),
        2 => return manifest(rest),
        3 => return status(rest),
        4 => made_archive(&mut input),
        5 => made_manifest(&mut input),
        _ => made_status(&mut input),
    };
    checked.expect("what the input does not say is 0");
}

fn archive(bytes: &[u8]) {
    let Ok(archive) = Archive::open(bytes) else { return };
    for entry in archive.entries() {
        match entry {
            Ok(entry) => assert!(!entry.path.starts_with('/') && !entry.path.ends_with('/'), "{entry:?}"),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    if let Ok(bytes) = archive.file(MANIFEST_PATH) {
        manifest(bytes);
    }
}

/// An archive of headers with the right sums: what else is in them comes from the input.
fn sound(bytes: &[u8]) -> Vec<u8> {
    let mut input = Unstructured::new(bytes);
    let mut archive = Vec::new();
    while !input.is_empty() && archive.len() < 64 * 512 {
        let mut header = [0; 512];
        header[..MANIFEST_PATH.len()].copy_from_slice(MANIFEST_PATH.as_bytes());
        header[100..108].copy_from_slice(b"0000644\0");
        header[124..136].copy_from_slice(b"00000000010\0");
        header[156] = *input.choose(b"0\x0025137x").unwrap_or(&b'0');
        header[257..265].copy_from_slice(b"ustar\x0000");
        for _ in 0..input.int_in_range(0..=8).unwrap_or(0) {
            let (at, byte) = (input.choose_index(512).unwrap_or(0), input.arbitrary().unwrap_or(0));
            header[at] = byte;
        }
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        archive.extend_from_slice(&header);
        for _ in 0..input.int_in_range(0..=2).unwrap_or(0) {
            archive.extend_from_slice(&[b'{'; 512]);
        }
    }
    if input.arbitrary().unwrap_or(true) {
        archive.extend_from_slice(&[0; 1024]);
    }
    archive
}

/// What `tar` has put into an archive is in it.
fn made_archive(input: &mut Unstructured<'_>) -> Result<()> {
    let mut builder = Builder::new(Vec::new());
    let mut expected = Vec::new();
    for _ in 0..input.int_in_range(1..=6)? {
        // Some of them so long that they need both fields.
        let (name, times) = *input.choose(&[("a", 1), ("dir/b", 1), ("\u{e4}", 1), ("long/", 40)])?;
        let path = format!("{}{}", name.repeat(times), input.int_in_range(0..=9)?);
        let len = *input.choose(&[0, 1, 10, 511, 512, 513, 1025])?;
        let bytes = vec![input.arbitrary::<u8>()?; len];
        let mut header = Header::new_ustar();
        header.set_path(&path).expect("a path that fits");
        let (kind, data) = match input.int_in_range(0..=2)? {
            0 => (EntryType::Regular, &bytes[..]),
            1 => (EntryType::Directory, &[][..]),
            _ => (EntryType::Symlink, &[][..]),
        };
        header.set_entry_type(kind);
        header.set_size(data.len() as u64);
        if kind == EntryType::Symlink {
            header.set_link_name_literal("some/target").expect("a target that fits");
        }
        header.set_cksum();
        builder.append(&header, data).expect("room in memory");
        expected.push((path, kind, bytes));
    }
    // A loader adds zeros.
    let mut bytes = builder.into_inner().expect("room in memory");
    bytes.resize(bytes.len() + input.int_in_range(0..=1000)?, 0);

    let archive = Archive::open(&bytes).expect("a sound archive");
    let entries: Vec<_> = archive.entries().map(|entry| entry.expect("a sound entry")).collect();
    assert_eq!(entries.len(), expected.len());
    for (entry, (path, kind, bytes)) in entries.iter().zip(&expected) {
        assert_eq!(entry.path, *path);
        match (&entry.content, kind) {
            (Content::File(found), EntryType::Regular) => assert!(found == bytes, "the bytes of {path}"),
            (Content::Directory, EntryType::Directory) => {}
            (Content::SymbolicLink(target), EntryType::Symlink) => assert_eq!(target, "some/target"),
            (found, kind) => panic!("{found:?}, not {kind:?}"),
        }
    }
    Ok(())
}

fn made_manifest(input: &mut Unstructured<'_>) -> Result<()> {
    let mut manifest = Manifest::new(input.arbitrary()?);
    manifest.env = input.arbitrary()?;
    for _ in 0..input.int_in_range(0..=3)? {
        let source = match input.int_in_range(0..=2)? {
            0 => Source::Empty,
            1 => Source::Initrd { root: input.arbitrary()? },
            _ => Source::Virtio9p { tag: input.arbitrary()? },
        };
        manifest.mounts.push(Mount { guest: input.arbitrary()?, source, read_only: input.arbitrary()? });
    }
    manifest.limits.memory = input.arbitrary()?;
    manifest.limits.timeout = input.arbitrary()?;
    manifest.terminals.stdin = input.arbitrary()?;
    manifest.terminals.stdout = input.arbitrary()?;
    manifest.terminals.stderr = input.arbitrary()?;
    let encoded = manifest.encode().expect("any manifest can be written");
    assert_eq!(Manifest::decode(&encoded).ok(), Some(manifest));
    Ok(())
}

fn made_status(input: &mut Unstructured<'_>) -> Result<()> {
    let mut message = String::new();
    for _ in 0..input.int_in_range(0..=9)? {
        message.push_str(input.choose(&["\\", "\n", "n", "\r", " ", "trap ", "\u{2028}", ""])?);
    }
    let status = match input.int_in_range(0..=5)? {
        0 => Status::Ready(input.arbitrary()?),
        1 => Status::Stdin,
        2 => Status::Exit(input.arbitrary()?),
        3 => Status::Trap(message),
        4 => Status::Limit(message),
        _ => Status::Error(message),
    };
    let written = status.to_string();
    assert!(!written.contains('\n'));
    assert_eq!(written.parse(), Ok(status));
    Ok(())
}

fn manifest(bytes: &[u8]) {
    match Manifest::decode(bytes) {
        Ok(manifest) => {
            let encoded = manifest.encode().expect("a manifest that was read can be written");
            assert_eq!(Manifest::decode(&encoded).ok().as_ref(), Some(&manifest));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn status(bytes: &[u8]) {
    let Ok(line) = std::str::from_utf8(bytes) else { return };
    match line.parse::<Status>() {
        Ok(status) => {
            let written = status.to_string();
            assert!(!written.contains('\n'));
            assert_eq!(written.parse(), Ok(status));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
