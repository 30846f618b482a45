//! The initrd's archive: what `sisal` puts into it, which is POSIX `ustar` (names of up to 255 bytes in two fields).
//!
//! The crate `tar-no-std` checks the sequence of headers (sums, types, sizes inside of the archive); what an entry is, and
//! where its bytes are, is found here, because the crate's own entries are regular files only.

use alloc::{borrow::ToOwned, format, string::String};
use core::fmt;

use tar_no_std::{CorruptDataError, PosixHeader, TarArchiveRef, TypeFlag};

const BLOCK: usize = 512;

/// An archive whose headers are sound.
pub struct Archive<'a> {
    bytes: &'a [u8],
    headers: TarArchiveRef<'a>,
}

/// A file, directory or symbolic link in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its path, without a slash at either end.
    pub path: String,
    /// What it is.
    pub content: Content<'a>,
}

/// What an [`Entry`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// A regular file with these bytes.
    File(&'a [u8]),
    /// A directory.
    Directory,
    /// A symbolic link with this target.
    SymbolicLink(String),
}

/// Why an archive, or something in it, cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// It is no sequence of sound headers.
    Headers(CorruptDataError),
    /// The entry whose header is in this block (of 512 bytes) is not one that `sisal image` makes.
    Entry {
        /// The block.
        block: usize,
        /// What is wrong with it.
        fault: Fault,
    },
    /// There is no regular file at this path.
    NoFile(String),
}

/// What is wrong with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its name, or the target of a symbolic link, is not UTF-8.
    Name,
    /// Its size is not a number.
    Size,
    /// It goes on beyond the archive's end.
    Truncated,
    /// It is neither a file, nor a directory, nor a symbolic link.
    Type,
}

impl<'a> Archive<'a> {
    /// The archive in `bytes`. What the loader adds at the end to fill a page does no harm.
    ///
    /// # Errors
    /// [`Error::Headers`].
    pub fn open(bytes: &'a [u8]) -> Result<Self, Error> {
        let whole_blocks = bytes.len() - bytes.len() % BLOCK;
        let bytes = bytes.get(..whole_blocks).unwrap_or_default();
        let headers = TarArchiveRef::new(bytes).map_err(Error::Headers)?;
        Ok(Self { bytes, headers })
    }

    /// Its entries, in order; [`Error::Entry`] for one that it should not have.
    pub fn entries(&self) -> impl Iterator<Item = Result<Entry<'a>, Error>> {
        self.headers.headers().map(|(block, header)| self.entry(block, header))
    }

    /// The bytes of the regular file at `path`.
    ///
    /// # Errors
    /// [`Error::NoFile`], and those of the entries before it.
    pub fn file(&self, path: &str) -> Result<&'a [u8], Error> {
        for entry in self.entries() {
            if let Entry { path: found, content: Content::File(bytes) } = entry?
                && found == path
            {
                return Ok(bytes);
            }
        }
        Err(Error::NoFile(path.to_owned()))
    }

    fn entry(&self, block: usize, header: &PosixHeader) -> Result<Entry<'a>, Error> {
        let error = |fault| Error::Entry { block, fault };
        let utf8 = |_| error(Fault::Name);
        // The header is packed: its fields are copied out before they are looked at.
        let (name, prefix, target) = ({ header.name }, { header.prefix }, { header.linkname });
        let (name, prefix) = (name.as_str().map_err(utf8)?, prefix.as_str().map_err(utf8)?);
        let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
        let content = match { header.typeflag }.try_to_type_flag() {
            Ok(kind) if kind.is_regular_file() => {
                let size = { header.size }.as_number::<usize>().map_err(|_| error(Fault::Size))?;
                let start = (block + 1) * BLOCK;
                let end = start.checked_add(size);
                let bytes = end.and_then(|end| self.bytes.get(start..end));
                Content::File(bytes.ok_or_else(|| error(Fault::Truncated))?)
            }
            Ok(TypeFlag::DIRTYPE) => Content::Directory,
            Ok(TypeFlag::SYMTYPE) => Content::SymbolicLink(target.as_str().map_err(utf8)?.to_owned()),
            _ => return Err(error(Fault::Type)),
        };
        Ok(Entry { path: path.trim_matches('/').to_owned(), content })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Headers(error) => error.fmt(f),
            Self::Entry { block, fault } => write!(f, "the entry in block {block} has {fault}"),
            Self::NoFile(path) => write!(f, "it has no file {path:?}"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "a name that is not UTF-8",
            Self::Size => "no size",
            Self::Truncated => "a size beyond the archive",
            Self::Type => "a type that is neither file, directory nor symbolic link",
        })
    }
}

impl core::error::Error for Error {}
