//! The kernel to boot.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use crate::error::Error;
use crate::machine::memory_file;

/// The kernel that this package's build script built.
static BUILT_IN: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/kernel"));

/// The kernel in the file at `path`, or the built-in one.
///
/// # Errors
///
/// The file cannot be read.
pub fn kernel(path: Option<&Path>) -> Result<Cow<'static, [u8]>, Error> {
    match path {
        None => Ok(BUILT_IN.into()),
        Some(path) => fs::read(path).map(Cow::from).map_err(|cause| unreadable(path, cause)),
    }
}

/// The same as a file: the one at `path` itself, or one in memory.
///
/// # Errors
///
/// The file cannot be opened, or there is no memory for one.
pub fn open(path: Option<&Path>) -> Result<File, Error> {
    if let Some(path) = path {
        return File::open(path).map_err(|cause| unreadable(path, cause));
    }
    let mut file = memory_file()?;
    file.write_all(BUILT_IN).map_err(|cause| Error::System { action: "write a file in memory", cause })?;
    Ok(file)
}

fn unreadable(path: &Path, cause: io::Error) -> Error {
    Error::File { action: "read the kernel", path: path.into(), cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_keeps_to_its_budget() {
        const BUDGET: usize = 17 << 18;
        let size = BUILT_IN.len();
        assert!(size <= BUDGET, "the kernel has {size} bytes; it may have {BUDGET}");
    }

    #[test]
    fn another_kernel_is_read_from_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kernel");
        for error in [kernel(Some(&path)).unwrap_err(), open(Some(&path)).unwrap_err()] {
            assert!(error.to_string().contains("read the kernel"), "{error}");
        }
        fs::write(&path, "other").unwrap();
        assert_eq!(*kernel(Some(&path)).unwrap(), *b"other");
        assert_eq!(io::read_to_string(open(Some(&path)).unwrap()).unwrap(), "other");
    }
}
