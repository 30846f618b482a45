//! The program to run, and its manifest as the command line asks for it.

use std::borrow::Cow;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use manifest::{Download, Limits, Manifest, Mount, Source};
use wasi::http::Url;

use crate::error::Error;
use crate::options::{EnvVar, Given, Sha256, SharedDir};

/// The program that runs when none is named. Its sources are in `tools/tour`.
static TOUR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tour.wasm"));

/// A program with its arguments.
pub struct Program {
    /// Where it is.
    pub source: ProgramSource,
    /// Its arguments, its own name first.
    pub args: Vec<String>,
}

/// Where a program is.
#[derive(Debug, PartialEq, Eq)]
pub enum ProgramSource {
    /// Here: the module.
    Module(Cow<'static, [u8]>),
    /// On the network: the machine gets it.
    Network(Download),
}

impl Program {
    /// The program at `path`, which is read, or downloaded by the machine if it is an address; `-` is the standard input. Its own name
    /// is the one that is given, or else the file's name, without directories.
    ///
    /// # Errors
    ///
    /// The file cannot be read or its name is none; the address is none; `--sha256` was given for a file.
    pub fn find(path: &str, args: &[String], given: &Given) -> Result<Self, Error> {
        let sha256 = given.sha256.map(|Sha256(bytes)| bytes);
        let (source, file) = if is_address(path) {
            let url: Url = path.parse().map_err(|cause| Error::Address { address: path.into(), cause })?;
            let file = url.path_with_query.split('?').next().map(ToOwned::to_owned);
            (ProgramSource::Network(Download { url: url.to_string(), sha256 }), file.unwrap_or_default())
        } else if sha256.is_some() {
            return Err(Error::Sha256OfFile(path.into()));
        } else {
            let file = if path == "-" { "/dev/stdin" } else { path };
            let module = fs::read(file).map_err(|cause| Error::Program { path: path.into(), cause })?;
            (ProgramSource::Module(module.into()), path.to_owned())
        };
        let name = given.argv0.clone().or_else(|| Some(Path::new(&file).file_name()?.to_str()?.to_owned()));
        let name = name.ok_or_else(|| Error::ProgramName(path.into()))?;
        Ok(Self { source, args: [name].into_iter().chain(args.iter().cloned()).collect() })
    }

    /// The built-in tour, with arguments for it to find.
    pub fn tour() -> Self {
        let args = ["tour", "two words", "naïve"].map(String::from);
        Self { source: ProgramSource::Module(TOUR.into()), args: args.into() }
    }
}

impl ProgramSource {
    /// What the archive has of it.
    pub fn module(&self) -> Option<&[u8]> {
        match self {
            Self::Module(module) => Some(module),
            Self::Network(_) => None,
        }
    }
}

/// Whether a program is named by its address on the network, and not by its file.
fn is_address(path: &str) -> bool {
    path.split_once("://")
        .is_some_and(|(scheme, _)| ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)))
}

/// What `given` asks for, but for the directories.
///
/// # Errors
///
/// A variable of the environment cannot be passed on, or a file with authorities not be read.
pub fn manifest(program: &Program, given: &Given) -> Result<Manifest, Error> {
    let mut manifest = Manifest::new(program.args.clone());
    if let ProgramSource::Network(download) = &program.source {
        manifest.download = Some(download.clone());
    }
    manifest.env = given.env.iter().filter_map(|var| variable(var).transpose()).collect::<Result<_, _>>()?;
    manifest.network = given.network.manifest(manifest.download.is_some())?;
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

/// The program's directories, those of this computer first: what `source` makes of each of these, by its number and where it is.
///
/// # Errors
///
/// A directory is not there, not a directory, or may not be read.
pub fn mounts(
    given: &Given,
    mut source: impl FnMut(u32, PathBuf, &SharedDir) -> Source,
) -> Result<Vec<Mount>, Error> {
    let shared = (0..).zip(&given.dirs).map(|(number, dir)| {
        let fault = |cause| Error::File { action: "share", path: dir.host.clone(), cause };
        let host = fs::canonicalize(&dir.host).map_err(fault)?;
        fs::read_dir(&host).map_err(fault)?;
        let source = source(number, host, dir);
        Ok(Mount { guest: dir.guest.clone(), source, read_only: dir.read_only })
    });
    shared.chain(given.tmpfs.iter().map(|guest| Ok(tmpfs(guest)))).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::options::{Command, Options, Run};

    /// `sisal run` with these words.
    fn run(line: &[&str]) -> Run {
        let words = ["sisal", "run"].iter().chain(line);
        let Command::Run(run) = Options::try_parse_from(words).unwrap().command else { panic!("{line:?}") };
        run
    }

    fn find(line: &[&str]) -> Result<Program, Error> {
        let run = run(line);
        let (path, args) = run.program.split_first().unwrap();
        Program::find(path, args, &run.given)
    }

    #[test]
    fn a_program_is_called_by_its_files_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.wasm");
        fs::write(&path, "x").unwrap();
        let path = path.to_str().unwrap();
        assert_eq!(find(&[path, "a"]).unwrap().args, ["p.wasm", "a"]);
        assert_eq!(find(&["--argv0", "other", path]).unwrap().args, ["other"]);
        assert_eq!(find(&["https://a.example:1/b/p.wasm?q=/r", "a"]).unwrap().args, ["p.wasm", "a"]);
        assert_eq!(find(&["--argv0", "other", "http://a"]).unwrap().args, ["other"]);
        let error = find(&["http://a.example"]).err().unwrap().to_string();
        assert!(error.contains("`http://a.example`") && error.contains("--argv0"), "{error}");
    }

    #[test]
    fn an_address_is_not_read_here() {
        let hash = "f".repeat(64);
        let found = find(&["--sha256", &hash, "HTTPS://a.example/p.wasm#x"]).unwrap();
        let download = Download { url: "https://a.example/p.wasm".into(), sha256: Some([255; 32]) };
        assert_eq!(found.source, ProgramSource::Network(download));
        let error = find(&["https://user@a.example/p.wasm"]).err().unwrap().to_string();
        assert!(error.contains("`https://user@a.example/p.wasm`"), "{error}");
        let error = find(&["--sha256", &hash, "/dev/null"]).err().unwrap().to_string();
        assert!(error.contains("`/dev/null`") && error.contains("--sha256"), "{error}");
        // Files whose names are like addresses.
        for path in ["http:a.wasm", "ftp://a/b.wasm", "a/http://b.wasm"] {
            assert_eq!(find(&[path]).err().unwrap().exit_code(), 127, "{path}");
        }
    }

    #[test]
    fn a_program_that_cannot_be_read_is_named() {
        let error = find(&["/no/such.wasm"]).err().unwrap();
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
        let host = dir.path().to_str().unwrap();
        let options = ["--tmpfs", "/t", "--dir", &format!("{host}::/g:ro"), "--dir", &format!("{host}::/h")];
        let source = |root, path: PathBuf, _: &SharedDir| {
            assert_eq!(path, dir.path().canonicalize().unwrap());
            Source::Initrd { root }
        };
        let mount = |guest: &str, source, read_only| Mount { guest: guest.into(), source, read_only };
        let expected = [
            mount("/g", Source::Initrd { root: 0 }, true),
            mount("/h", Source::Initrd { root: 1 }, false),
            mount("/t", Source::Empty, false),
        ];
        assert_eq!(mounts(&run(&options).given, source).unwrap(), expected);

        fs::write(dir.path().join("file"), "").unwrap();
        for (name, why) in [("file", "Not a directory"), ("missing", "No such file or directory")] {
            let options = ["--dir", &format!("{host}/{name}")];
            let error = mounts(&run(&options).given, |_, _, _| Source::Empty).err().unwrap().to_string();
            assert!(error.contains(name) && error.contains(why), "{error}");
        }
    }
}
