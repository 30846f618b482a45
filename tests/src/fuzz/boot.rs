//! What a machine is booted with: the archive, the manifest in it, and the status lines that come back.
//!
//! What must hold: whatever the bytes are, the archive's entries lie inside of it and the readers return; what is a manifest or
//! a status is written and read back as the same; and an archive that `tar` made, with some bytes changed, is no
//! exception.

use arbitrary::Unstructured;
use manifest::{MANIFEST_PATH, Manifest, Status, archive::Archive};

/// Runs the target on `data`: a byte that chooses the reader, and what it reads.
pub fn run(data: &[u8]) {
    let Some((&choice, rest)) = data.split_first() else { return };
    match choice % 4 {
        0 => archive(rest),
        1 => archive(&sound(rest)),
        2 => manifest(rest),
        _ => status(rest),
    }
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
