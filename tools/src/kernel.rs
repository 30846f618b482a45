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
