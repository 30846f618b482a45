//! The kernel to boot: one of the two that are built in, or one in a file.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use manifest::{Kind, Manifest};
use wasi::program::is_module;

use crate::error::Error;
use crate::machine::memory_file;

// What this package's build script built.
static FULL: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/kernel-full"));
static MODULES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/kernel-modules"));

/// What a kernel must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Modules for preview 1 and no network: half of a kernel is enough.
    Modules,
    /// All that there is.
    Everything,
}

impl Needs {
    /// What the machine needs for `manifest`, with the program `wasm`; `None` where the machine gets it.
    pub fn of(manifest: &Manifest, wasm: Option<&[u8]>) -> Self {
        // Of anything else the full kernel knows best what is wrong with it.
        if wasm.is_some_and(is_module) && manifest.network.is_none() && manifest.kind == Kind::Command {
            Self::Modules
        } else {
            Self::Everything
        }
    }

    /// The built-in kernel that has it.
    fn built_in(self) -> &'static [u8] {
        match self {
            Self::Modules => MODULES,
            Self::Everything => FULL,
        }
    }
}

/// The kernel in the file at `path`, or the built-in one that has what is needed.
///
/// # Errors
///
/// The file cannot be read.
pub fn kernel(path: Option<&Path>, needs: Needs) -> Result<Cow<'static, [u8]>, Error> {
    match path {
        None => Ok(needs.built_in().into()),
        Some(path) => fs::read(path).map(Cow::from).map_err(|cause| unreadable(path, cause)),
    }
}

/// The same as a file: the one at `path` itself, or one in memory.
///
/// # Errors
///
/// The file cannot be opened, or there is no memory for one.
pub fn open(path: Option<&Path>, needs: Needs) -> Result<File, Error> {
    if let Some(path) = path {
        return File::open(path).map_err(|cause| unreadable(path, cause));
    }
    let mut file = memory_file()?;
    let write = file.write_all(needs.built_in());
    write.map_err(|cause| Error::System { action: "write a file in memory", cause })?;
    Ok(file)
}

fn unreadable(path: &Path, cause: io::Error) -> Error {
    Error::File { action: "read the kernel", path: path.into(), cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_keep_to_their_budgets() {
        for (needs, budget) in [(Needs::Modules, 17 << 17), (Needs::Everything, 17 << 18)] {
            let size = needs.built_in().len();
            assert!(size <= budget, "{needs:?}: the kernel has {size} bytes; it may have {budget}");
        }
        assert!(MODULES.len() < FULL.len());
    }

    #[test]
    fn a_kernel_has_what_its_program_needs() {
        let module = Some(&b"\0asm\x01\0\0\0"[..]);
        let component = Some(&b"\0asm\x0d\0\x01\0"[..]);
        let plain = Manifest::new(Vec::new());
        let settings = manifest::Network {
            address: manifest::Address::Dhcp,
            connect: None,
            listen: Vec::new(),
            authorities: String::new(),
        };
        let mut network = plain.clone();
        network.network = Some(settings);
        let mut handler = plain.clone();
        handler.kind = Kind::HttpHandler;
        assert_eq!(Needs::of(&plain, module), Needs::Modules);
        for (manifest, wasm) in [
            (&plain, component),
            (&plain, None),
            (&plain, Some(b"\0asm")),
            (&network, module),
            (&handler, module),
        ] {
            assert_eq!(Needs::of(manifest, wasm), Needs::Everything, "{manifest:?} {wasm:?}");
        }
    }

    #[test]
    fn another_kernel_is_read_from_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kernel");
        let needs = Needs::Modules;
        for error in [kernel(Some(&path), needs).unwrap_err(), open(Some(&path), needs).unwrap_err()] {
            assert!(error.to_string().contains("read the kernel"), "{error}");
        }
        fs::write(&path, "other").unwrap();
        assert_eq!(*kernel(Some(&path), needs).unwrap(), *b"other");
        assert_eq!(io::read_to_string(open(Some(&path), needs).unwrap()).unwrap(), "other");
    }
}
