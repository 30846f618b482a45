//! The kernel to boot.

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use crate::error::Error;

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
        Some(path) => fs::read(path).map(Cow::from).map_err(|cause| Error::File {
            action: "read the kernel",
            path: path.into(),
            cause,
        }),
    }
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
        assert!(kernel(Some(&path)).unwrap_err().to_string().contains("read the kernel"));
        fs::write(&path, "other").unwrap();
        assert_eq!(*kernel(Some(&path)).unwrap(), *b"other");
    }
}
