//! A kernel that ends the machine at once: what QEMU takes on its own.

use crate::Result;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where the image is loaded.
const BASE: u64 = 0x20_0000;
/// Where its code begins, in the file and from [`BASE`].
const CODE_OFFSET: u64 = 0x100;
const NOTE_OFFSET: u64 = 64 + 2 * 56;
/// In 32-bit code: `isa-debug-exit` takes 0x10 at port 0x501; `hlt`, again and again, if there is none.
const CODE: &[u8] = &[0x66, 0xba, 0x01, 0x05, 0x66, 0xb8, 0x10, 0x00, 0x66, 0xef, 0xf4, 0xeb, 0xfd];

/// Writes the kernel, an ELF image with a PVH note; its path.
///
/// # Errors
/// The file cannot be written.
pub fn kernel(directory: &Path) -> Result<PathBuf> {
    let entry = BASE + CODE_OFFSET;
    let mut image = b"\x7fELF\x02\x01\x01".to_vec();
    image.resize(16, 0);
    // An executable for x86-64; two program headers behind this header.
    halves(&mut image, &[2, 62]);
    words(&mut image, &[1]);
    longs(&mut image, &[entry, 64, 0]);
    words(&mut image, &[0]);
    halves(&mut image, &[64, 56, 2, 0, 0, 0]);
    // All of the file, to read and execute; the note in it.
    let len = CODE_OFFSET + CODE.len() as u64;
    words(&mut image, &[1, 5]);
    longs(&mut image, &[0, BASE, BASE, len, len, 4096]);
    words(&mut image, &[4, 4]);
    longs(&mut image, &[NOTE_OFFSET, BASE + NOTE_OFFSET, BASE + NOTE_OFFSET, 24, 24, 4]);
    // XEN_ELFNOTE_PHYS32_ENTRY.
    words(&mut image, &[4, 8, 18]);
    image.extend(b"Xen\0");
    longs(&mut image, &[entry]);
    image.resize(CODE_OFFSET as usize, 0);
    image.extend(CODE);
    let path = directory.join("floor");
    fs::write(&path, image)?;
    Ok(path)
}

fn halves(image: &mut Vec<u8>, values: &[u16]) {
    image.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

fn words(image: &mut Vec<u8>, values: &[u32]) {
    image.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

fn longs(image: &mut Vec<u8>, values: &[u64]) {
    image.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}
