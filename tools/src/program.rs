//! The program to run, and its manifest as the command line asks for it.

use std::borrow::Cow;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use manifest::{Limits, Manifest, Mount, Source};

use crate::error::Error;
use crate::options::{EnvVar, Given, SharedDir};

/// The program that runs when none is named. Its sources are in `tools/tour`.
static TOUR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tour.wasm"));

/// A program with its arguments.
pub struct Program {
    /// The module.
    pub module: Cow<'static, [u8]>,
    /// Its arguments, its own name first.
    pub args: Vec<String>,
}

impl Program {
    /// Reads the program at `path`, or from the standard input if that is `-`. Its own name is `argv0`, or else the file's name, without directories.
    ///
    /// # Errors
    ///
    /// The file cannot be read or its name is none.
    pub fn read(path: &str, args: &[String], argv0: Option<String>) -> Result<Self, Error> {
        let file = if path == "-" { "/dev/stdin" } else { path };
        let module = fs::read(file).map_err(|cause| Error::Program { path: path.into(), cause })?.into();
        let name = argv0.or_else(|| Some(Path::new(path).file_name()?.to_str()?.to_owned()));
        let name = name.ok_or_else(|| Error::ProgramName(path.into()))?;
        Ok(Self { module, args: [name].into_iter().chain(args.iter().cloned()).collect() })
    }

    /// The built-in tour, with arguments for it to find.
    pub fn tour() -> Self {
        let args = ["tour", "two words", "naïve"].map(String::from);
        Self { module: TOUR.into(), args: args.into() }
    }
}

/// What `given` asks for, but for the directories.
///
/// # Errors
///
/// A variable of the environment cannot be passed on.
pub fn manifest(args: Vec<String>, given: &Given) -> Result<Manifest, Error> {
    let mut manifest = Manifest::new(args);
    manifest.env = given.env.iter().filter_map(|var| variable(var).transpose()).collect::<Result<_, _>>()?;
    manifest.network = given.network.manifest();
    manifest.limits = Limits { memory: given.memory, timeout: given.timeout };
    Ok(manifest)
}

fn variable(EnvVar { name, value }: &EnvVar) -> Result<Option<(String, String)>, Error> {
    let value = match value {
        Some(value) => Some(value.clone()),
        None => env::var_os(name)
            .map(|value| value.into_string().map_err(|_| Error::EnvNotUtf8(name.clone())))
            .transpose()?,
    };
    Ok(value.map(|value| (name.clone(), value)))
}

/// An empty directory in memory.
pub fn tmpfs(guest: &str) -> Mount {
    Mount { guest: guest.into(), source: Source::Empty, read_only: false }
}

/// The directory of the host that is to be shared, and its mount with this source.
///
/// # Errors
///
/// It is not there, not a directory, or may not be read.
pub fn shared(dir: &SharedDir, source: Source) -> Result<(PathBuf, Mount), Error> {
    let fault = |cause| Error::File { action: "share", path: dir.host.clone(), cause };
    let host = fs::canonicalize(&dir.host).map_err(fault)?;
    fs::read_dir(&host).map_err(fault)?;
    Ok((host, Mount { guest: dir.guest.clone(), source, read_only: dir.read_only }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_called_by_its_files_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.wasm");
        fs::write(&path, "x").unwrap();
        let path = path.to_str().unwrap();
        assert_eq!(Program::read(path, &["a".into()], None).unwrap().args, ["p.wasm", "a"]);
        assert_eq!(Program::read(path, &[], Some("other".into())).unwrap().args, ["other"]);
    }

    #[test]
    fn a_program_that_cannot_be_read_is_named() {
        let error = Program::read("/no/such.wasm", &[], None).err().unwrap();
        assert_eq!(error.exit_code(), 127);
        assert!(error.to_string().contains("`/no/such.wasm`"), "{error}");
    }

    #[test]
    fn the_environment_is_what_was_given() {
        let var =
            |name: &str, value: Option<&str>| EnvVar { name: name.into(), value: value.map(Into::into) };
        assert_eq!(variable(&var("A", Some("1"))).unwrap(), Some(("A".into(), "1".into())));
        assert_eq!(variable(&var("SISAL_TEST_NOT_SET", None)).unwrap(), None);
        // Cargo sets it for the tests.
        let inherited = variable(&var("CARGO_PKG_NAME", None)).unwrap();
        assert_eq!(inherited, Some(("CARGO_PKG_NAME".into(), "sisal".into())));
    }

    #[test]
    fn what_is_shared_is_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        let host = dir.path();
        let shared_dir = SharedDir { host: host.into(), guest: "/g".into(), read_only: true };
        let (path, mount) = shared(&shared_dir, Source::Empty).unwrap();
        assert_eq!(path, dir.path().canonicalize().unwrap());
        assert_eq!(mount, Mount { guest: "/g".into(), source: Source::Empty, read_only: true });

        fs::write(dir.path().join("file"), "").unwrap();
        for (name, why) in [("file", "Not a directory"), ("missing", "No such file or directory")] {
            let dir = SharedDir { host: host.join(name), ..shared_dir.clone() };
            let error = shared(&dir, Source::Empty).err().unwrap().to_string();
            assert!(error.contains(name) && error.contains(why), "{error}");
        }
    }
}
