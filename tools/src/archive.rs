//! The initrd: a tar archive (POSIX ustar) with the manifest, the program and the files of its directories.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use manifest::{MANIFEST_PATH, Manifest, PROGRAM_PATH, root_path};
use tar::{Builder, EntryType, Header};

use crate::error::Error;

/// Writes the archive of `manifest` and `program`, unless that is elsewhere, to `out`; `trees[n]` are the files of
/// [`Source::Initrd`](manifest::Source::Initrd)` { root: n }`.
///
/// # Errors
///
/// A file of a tree cannot be read, is neither a file, a directory nor a symbolic link, or its name is too long
/// for the format.
pub fn write<W: Write>(
    out: W,
    manifest: &Manifest,
    program: Option<&[u8]>,
    trees: &[PathBuf],
) -> Result<W, Error> {
    let mut archive = Archive(Builder::new(out));
    let memory = |cause| Error::System { action: "make the initrd", cause };
    let encoded = manifest.encode().map_err(|error| memory(io::Error::other(error)))?;
    archive.file(MANIFEST_PATH.as_ref(), &encoded).map_err(memory)?;
    if let Some(program) = program {
        archive.file(PROGRAM_PATH.as_ref(), program).map_err(memory)?;
    }
    for (root, tree) in (0..).zip(trees) {
        archive.tree(root_path(root).as_ref(), tree)?;
    }
    archive.0.into_inner().map_err(memory)
}

struct Archive<W: Write>(Builder<W>);

impl<W: Write> Archive<W> {
    fn file(&mut self, name: &Path, contents: &[u8]) -> io::Result<()> {
        let mut header = Header::new_ustar();
        header.set_size(contents.len() as u64);
        self.entry(&mut header, EntryType::Regular, name, contents)
    }

    /// Adds what is at `host` under `name`, directories with all that is in them, in the order of the names.
    fn tree(&mut self, name: &Path, host: &Path) -> Result<(), Error> {
        let fault = |cause| Error::File { action: "put into the image", path: host.into(), cause };
        let metadata = fs::symlink_metadata(host).map_err(fault)?;
        let mut header = Header::new_ustar();
        header.set_metadata(&metadata);
        if metadata.is_dir() {
            header.set_size(0);
            self.entry(&mut header, EntryType::Directory, name, io::empty()).map_err(fault)?;
            let entries: io::Result<Vec<_>> = fs::read_dir(host).and_then(Iterator::collect);
            let mut entries = entries.map_err(fault)?;
            entries.sort_by_key(fs::DirEntry::file_name);
            entries.iter().try_for_each(|entry| self.tree(&name.join(entry.file_name()), &entry.path()))
        } else if metadata.is_symlink() {
            header.set_size(0);
            let target = fs::read_link(host).map_err(fault)?;
            header.set_link_name_literal(target.as_os_str().as_encoded_bytes()).map_err(fault)?;
            self.entry(&mut header, EntryType::Symlink, name, io::empty()).map_err(fault)
        } else if metadata.is_file() {
            // A file that grows meanwhile must not spoil the archive; nor may one that shrinks.
            let contents = File::open(host).map_err(fault)?.take(metadata.len());
            let padded = contents.chain(io::repeat(0)).take(metadata.len());
            self.entry(&mut header, EntryType::Regular, name, padded).map_err(fault)
        } else {
            Err(Error::SpecialFile(host.into()))
        }
    }

    fn entry(
        &mut self,
        header: &mut Header,
        kind: EntryType,
        name: &Path,
        data: impl Read,
    ) -> io::Result<()> {
        header.set_entry_type(kind);
        header.set_path(name)?;
        header.set_cksum();
        self.0.append(header, data)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    /// What is in an archive: for each name, its kind and its contents or target.
    fn contents(bytes: &[u8]) -> BTreeMap<String, (EntryType, Vec<u8>)> {
        let read = |mut entry: tar::Entry<'_, &[u8]>| {
            let mut data = entry.link_name_bytes().unwrap_or_default().into_owned();
            entry.read_to_end(&mut data).unwrap();
            let name = entry.path().unwrap().to_str().unwrap().to_owned();
            (name, (entry.header().entry_type(), data))
        };
        tar::Archive::new(bytes).entries().unwrap().map(|entry| read(entry.unwrap())).collect()
    }

    #[test]
    fn an_archive_has_the_program_its_manifest_and_its_files() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("sub/empty")).unwrap();
        fs::write(at("sub/data"), [0, 255, 10]).unwrap();
        symlink("../no/such", at("link")).unwrap();
        let long = format!("{}/{}", "d".repeat(90), "f".repeat(90));
        fs::create_dir(at(&"d".repeat(90))).unwrap();
        fs::write(at(&long), "long").unwrap();

        let manifest = Manifest::new(vec!["p.wasm".into()]);
        let bytes = write(Vec::new(), &manifest, Some(b"\0asm"), &["/dev/null".into(), dir.path().into()]);
        assert!(matches!(bytes, Err(Error::SpecialFile(_))));

        let bytes = write(Vec::new(), &manifest, Some(b"\0asm"), &[dir.path().into()]).unwrap();
        let mut entries = contents(&bytes);
        let (_, encoded) = entries.remove(MANIFEST_PATH).unwrap();
        assert_eq!(Manifest::decode(&encoded).unwrap(), manifest);
        assert_eq!(entries.remove(PROGRAM_PATH), Some((EntryType::Regular, b"\0asm".to_vec())));
        let expected = [
            ("root/0", EntryType::Directory, &b""[..]),
            ("root/0/link", EntryType::Symlink, b"../no/such"),
            ("root/0/sub", EntryType::Directory, b""),
            ("root/0/sub/data", EntryType::Regular, &[0, 255, 10]),
            ("root/0/sub/empty", EntryType::Directory, b""),
            (&format!("root/0/{}", "d".repeat(90)), EntryType::Directory, b""),
            (&format!("root/0/{long}"), EntryType::Regular, b"long"),
        ];
        let expected = expected.map(|(name, kind, data)| (name.to_owned(), (kind, data.to_vec())));
        assert_eq!(entries, BTreeMap::from(expected));
    }

    #[test]
    fn what_cannot_be_in_an_archive_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = Manifest::new(Vec::new());
        let refusal = || write(Vec::new(), &manifest, None, &[dir.path().into()]).unwrap_err().to_string();

        let socket = dir.path().join("socket");
        let _listener = UnixListener::bind(&socket).unwrap();
        assert!(refusal().contains("socket` into the image: it is neither"), "{}", refusal());
        fs::remove_file(socket).unwrap();

        let name = "n".repeat(200);
        fs::write(dir.path().join(&name), "").unwrap();
        assert!(refusal().contains(&name), "{}", refusal());
    }
}
