//! The initrd's archive: what `sisal` puts into it, which is POSIX `ustar` (names of up to 255 bytes in two fields).
//!
//! The crate `tar-no-std` checks the sequence of headers (sums, types, sizes inside of the archive); what an entry is, and
//! where its bytes are, is found here, because the crate's own entries are regular files only.

use super::Error;
use alloc::{borrow::ToOwned, format, string::String};
use tar_no_std::{PosixHeader, TarArchiveRef, TypeFlag};

const BLOCK: usize = 512;

/// An archive whose headers are sound.
pub struct Archive {
    bytes: &'static [u8],
    headers: TarArchiveRef<'static>,
}

/// A file, directory or symbolic link in an archive.
#[derive(Debug)]
pub struct Entry {
    /// Its path, without a slash at either end.
    pub path: String,
    /// What it is.
    pub content: Content,
}

/// What an [`Entry`] is.
#[derive(Debug)]
pub enum Content {
    /// A regular file with these bytes.
    File(&'static [u8]),
    /// A directory.
    Directory,
    /// A symbolic link with this target.
    SymbolicLink(String),
}

impl Archive {
    /// The archive in `bytes`. What the loader adds at the end to fill a page does no harm.
    ///
    /// # Errors
    /// [`Error::Archive`] says what is wrong with it.
    pub fn open(bytes: &'static [u8]) -> Result<Self, Error> {
        let whole_blocks = bytes.len() - bytes.len() % BLOCK;
        let bytes = bytes.get(..whole_blocks).unwrap_or_default();
        let headers = TarArchiveRef::new(bytes).map_err(|error| Error::Archive(format!("{error}")))?;
        Ok(Self { bytes, headers })
    }

    /// Its entries, in order.
    pub fn entries(&self) -> impl Iterator<Item = Result<Entry, Error>> {
        self.headers.headers().map(|(block, header)| self.entry(block, header))
    }

    /// The bytes of the regular file at `path`.
    ///
    /// # Errors
    /// [`Error::Archive`] if there is none.
    pub fn file(&self, path: &str) -> Result<&'static [u8], Error> {
        for entry in self.entries() {
            if let Entry { path: found, content: Content::File(bytes) } = entry?
                && found == path
            {
                return Ok(bytes);
            }
        }
        Err(Error::Archive(format!("it has no file {path:?}")))
    }

    fn entry(&self, block: usize, header: &PosixHeader) -> Result<Entry, Error> {
        let fault = |what: &str| Error::Archive(format!("the entry in block {block} has {what}"));
        let utf8 = |_| fault("a name that is not UTF-8");
        // The header is packed: its fields are copied out before they are looked at.
        let (name, prefix, target) = ({ header.name }, { header.prefix }, { header.linkname });
        let (name, prefix) = (name.as_str().map_err(utf8)?, prefix.as_str().map_err(utf8)?);
        let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
        let content = match { header.typeflag }.try_to_type_flag() {
            Ok(kind) if kind.is_regular_file() => {
                let size = { header.size }.as_number::<usize>().map_err(|_| fault("no size"))?;
                let start = (block + 1) * BLOCK;
                let end = start.checked_add(size);
                let bytes = end.and_then(|end| self.bytes.get(start..end));
                Content::File(bytes.ok_or_else(|| fault("a size beyond the archive"))?)
            }
            Ok(TypeFlag::DIRTYPE) => Content::Directory,
            Ok(TypeFlag::SYMTYPE) => Content::SymbolicLink(target.as_str().map_err(utf8)?.to_owned()),
            _ => return Err(fault("a type that is neither file, directory nor symbolic link")),
        };
        Ok(Entry { path: path.trim_matches('/').to_owned(), content })
    }
}
