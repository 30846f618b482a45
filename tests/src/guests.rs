//! [`Guest`]: a program to run; where the sources are and how they become WebAssembly.
//!
//! Rust guests are built by a cargo call of their own, C guests by clang with Debian's wasi-libc, WAT by the `wat` crate. All
//! of it goes to `guests` in the target directory; what is there and made from the same source by the same command is
//! not made again.
//!
//! Rust and C guests are built twice: as modules for preview 1, and as components for 0.2. Both must do the same, but for the
//! exit code (0.2's is success or failure). What a guest asks of preview 1 by itself, as all of C's library does, the component asks
//! of the adapter that Rust's linker puts in: where that does otherwise, or 0.2 has another error, there is a `NAME.p2.toml`.

use std::{
    collections::hash_map::DefaultHasher,
    ffi::OsString,
    fs,
    hash::{Hash, Hasher},
    path::{Path, PathBuf},
    process::Command,
};

/// A program and the expectation beside its source.
#[derive(Clone, Debug)]
pub struct Guest {
    /// The source's name.
    pub name: String,
    /// Which WASI it is built for.
    pub wasi: Wasi,
    /// The module's bytes.
    pub wasm: Vec<u8>,
    /// The module as a file named `NAME.wasm`: `argv[0]` is its name.
    pub path: PathBuf,
    /// The expectation, if it has one.
    pub expectation: PathBuf,
}

impl Guest {
    /// What tests call it: components have names of their own.
    pub fn label(&self) -> String {
        match self.wasi {
            Wasi::Preview1 => self.name.clone(),
            Wasi::Preview2 => format!("{}-p2", self.name),
        }
    }
}

/// The expectation beside a source; `NAME.p2.toml` for a component that ends otherwise than the module.
fn expectation(source: &Path, wasi: Wasi) -> PathBuf {
    let component = source.with_extension("p2.toml");
    if wasi == Wasi::Preview2 && component.exists() { component } else { source.with_extension("toml") }
}

/// A version of WASI, and so of what a program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wasi {
    /// Preview 1, a module.
    Preview1,
    /// 0.2, a component.
    Preview2,
}

impl Wasi {
    const ALL: [Self; 2] = [Self::Preview1, Self::Preview2];

    /// Rust's name for it.
    const fn target(self) -> &'static str {
        match self {
            Self::Preview1 => "wasm32-wasip1",
            Self::Preview2 => "wasm32-wasip2",
        }
    }
}

/// Where this package's sources are.
fn sources() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Where what is built goes: beside what cargo built this test to.
///
/// # Errors
/// When this program is not in a target directory.
pub fn target() -> Result<PathBuf, String> {
    let executable = std::env::current_exe().map_err(|error| error.to_string())?;
    // TARGET/PROFILE/deps/TEST of a test, TARGET/PROFILE/PROGRAM of a program.
    let profile = executable.ancestors().skip(1).find(|directory| !directory.ends_with("deps"));
    profile
        .and_then(Path::parent)
        .map(Path::to_owned)
        .ok_or_else(|| format!("{} is not in a target directory of cargo's", executable.display()))
}

fn output() -> Result<PathBuf, String> {
    Ok(target()?.join("guests"))
}

/// Every guest of this package, built.
///
/// # Errors
/// When a build fails, or a source has no expectation: a text that says which and why.
pub fn build() -> Result<Vec<Guest>, String> {
    let mut guests = vec![];
    for wasi in Wasi::ALL {
        guests.extend(rust(wasi)?);
        for source in sources_in("guests/c", "c")? {
            guests.push(c(&source, wasi)?);
        }
    }
    guests.push(pair()?);
    for source in sources_in("wat", "wat")? {
        let text = fs::read_to_string(&source).map_err(|error| format!("{}: {error}", source.display()))?;
        guests.push(wat(&name_of(&source), &text, &source.with_extension("toml"))?);
    }
    for guest in &guests {
        if !guest.expectation.exists() {
            return Err(format!(
                "{} is missing: every guest has an expectation",
                guest.expectation.display()
            ));
        }
    }
    guests.sort_by_key(Guest::label);
    if let Some(pair) = guests.windows(2).find(|pair| pair[0].label() == pair[1].label()) {
        return Err(format!("two guests are called {}", pair[0].label()));
    }
    Ok(guests)
}

/// A guest from WebAssembly text.
///
/// # Errors
/// When the text is not a module.
pub fn wat(name: &str, text: &str, expectation: &Path) -> Result<Guest, String> {
    let wasm = wat::parse_str(text).map_err(|error| format!("{name}: {error}"))?;
    binary(name, wasm, expectation)
}

/// A guest from the bytes of what may or may not be a module.
///
/// # Errors
/// When the file cannot be written.
pub fn binary(name: &str, wasm: Vec<u8>, expectation: &Path) -> Result<Guest, String> {
    let path = output()?.join("wat").join(format!("{name}.wasm"));
    if fs::read(&path).ok().as_ref() != Some(&wasm) {
        write_whole(&path, &wasm)?;
    }
    Ok(Guest { name: name.into(), wasi: Wasi::Preview1, wasm, path, expectation: expectation.into() })
}

/// A guest that is a file already.
///
/// # Errors
/// When the file cannot be read.
pub fn file(path: &Path) -> Result<Guest, String> {
    let wasm = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let (wasi, expectation) = (Wasi::Preview1, PathBuf::new());
    Ok(Guest { name: name_of(path), wasi, wasm, path: path.into(), expectation })
}

/// Cargo, for what is built for another target: what the outer cargo was told about its own is none of its business.
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for name in ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET", "CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS"] {
        cargo.env_remove(name);
    }
    cargo
}

fn rust(wasi: Wasi) -> Result<Vec<Guest>, String> {
    let modules = cargo_build("guests/rust", wasi)?;
    sources_in("guests/rust/src/bin", "rs")?
        .into_iter()
        .map(|source| {
            let guest = file(&modules.join(format!("{}.wasm", name_of(&source))))?;
            Ok(Guest { wasi, expectation: expectation(&source, wasi), ..guest })
        })
        .collect()
}

/// The guest `traffic`: its file.
///
/// # Errors
/// As for [`build`].
pub fn traffic(wasi: Wasi) -> Result<PathBuf, String> {
    Ok(cargo_build("guests/rust", wasi)?.join("traffic.wasm"))
}

/// The guest `handler`, which answers HTTP requests: its file.
///
/// # Errors
/// As for [`build`].
pub fn handler() -> Result<PathBuf, String> {
    Ok(cargo_build("guests/handler", Wasi::Preview2)?.join("handler.wasm"))
}

/// The guest `http`, which answers HTTP requests and makes some: its file.
///
/// # Errors
/// As for [`build`].
pub fn http() -> Result<PathBuf, String> {
    Ok(cargo_build("guests/http", Wasi::Preview2)?.join("http.wasm"))
}

/// The guest `surface`, which calls what its standard input says: its file.
///
/// # Errors
/// As for [`build`].
pub fn surface() -> Result<PathBuf, String> {
    Ok(cargo_build("guests/surface", Wasi::Preview2)?.join("surface.wasm"))
}

/// Builds the workspace in `directory`; gives where its programs are.
fn cargo_build(directory: &str, wasi: Wasi) -> Result<PathBuf, String> {
    let directory = sources().join(directory);
    let target = output()?.join(directory.file_name().unwrap_or_default());
    let mut cargo = cargo();
    cargo
        .current_dir(&directory)
        .args(["build", "--quiet", "--release", "--locked", "--target", wasi.target(), "--target-dir"])
        .arg(&target);
    run(&mut cargo)?;
    Ok(target.join(wasi.target()).join("release"))
}

/// Two components as one: a program that calls what another component exports.
fn pair() -> Result<Guest, String> {
    let built = cargo_build("guests/pair", Wasi::Preview2)?;
    let path = output()?.join("pair.wasm");
    let unfinished = unfinished(&path)?;
    let mut compose = cargo();
    compose
        .current_dir(sources().join("guests/pair"))
        .args(["run", "--quiet", "--locked", "--package", "compose", "--target-dir"])
        .arg(output()?.join("pair"))
        .arg("--")
        .args([built.join("provider.wasm"), built.join("consumer.wasm"), unfinished.clone()]);
    run(&mut compose)?;
    fs::rename(&unfinished, &path).map_err(|error| format!("{}: {error}", path.display()))?;
    let guest = file(&path)?;
    Ok(Guest { wasi: Wasi::Preview2, expectation: sources().join("guests/pair/pair.toml"), ..guest })
}

fn c(source: &Path, wasi: Wasi) -> Result<Guest, String> {
    let mut flags: Vec<OsString> =
        ["--target=wasm32-wasi", "-O1", "-Wall", "-Wextra", "-Werror"].map(OsString::from).into();
    if wasi == Wasi::Preview2 {
        let mut linker = OsString::from("-fuse-ld=");
        linker.push(component_linker()?);
        flags.push(linker);
    }
    let name = name_of(source);
    let text = fs::read(source).map_err(|error| format!("{}: {error}", source.display()))?;
    let mut hasher = DefaultHasher::new();
    (&text, &flags).hash(&mut hasher);
    let path = output()?.join("c").join(format!("{:016x}", hasher.finish())).join(format!("{name}.wasm"));
    if !path.exists() {
        let unfinished = unfinished(&path)?;
        let mut clang = Command::new("clang");
        clang.args(&flags).arg(source).arg("-o").arg(&unfinished);
        run(&mut clang).map_err(|error| {
            format!("{error}\nC guests need: apt-get install clang lld wasi-libc libclang-rt-14-dev-wasm32")
        })?;
        fs::rename(&unfinished, &path).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let guest = file(&path)?;
    Ok(Guest { wasi, expectation: expectation(source, wasi), ..guest })
}

/// The linker for components that comes with Rust, the adapter for preview 1 inside.
fn component_linker() -> Result<PathBuf, String> {
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    let output =
        rustc.args(["--print", "target-libdir"]).output().map_err(|error| format!("{rustc:?}: {error}"))?;
    let libraries = String::from_utf8_lossy(&output.stdout);
    Ok(Path::new(libraries.trim_end()).with_file_name("bin").join("wasm-component-ld"))
}

fn name_of(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn sources_in(directory: &str, extension: &str) -> Result<Vec<PathBuf>, String> {
    let directory = sources().join(directory);
    let mut paths = vec![];
    for entry in fs::read_dir(&directory).map_err(|error| format!("{}: {error}", directory.display()))? {
        let path = entry.map_err(|error| error.to_string())?.path();
        if path.extension().is_some_and(|found| found == extension) {
            paths.push(path);
        }
    }
    Ok(paths)
}

/// Writes a file so that nobody ever sees half of it.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let unfinished = unfinished(path)?;
    fs::write(&unfinished, bytes)
        .and_then(|()| fs::rename(&unfinished, path))
        .map_err(|error| format!("{}: {error}", path.display()))
}

/// Where a file is made before it gets its name; its directory exists afterwards.
fn unfinished(path: &Path) -> Result<PathBuf, String> {
    let directory = path.parent().unwrap_or(path);
    fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    Ok(path.with_extension(format!("{}.tmp", std::process::id())))
}

/// Runs a build.
///
/// # Errors
/// When it fails: what it said.
pub fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr)))
    }
}
