//! Builds what `sisal` has in it: the kernels and the tour, each by a cargo call of its own.
//!
//! They cannot be dependencies: a kernel is freestanding and must not get the features that the host's crates ask
//! for, and the tour is a WebAssembly program.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};
use std::thread;

fn main() {
    let tools = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let root = tools.parent().expect("tools/ is in the workspace");
    let out = PathBuf::from(variable("OUT_DIR"));
    // For all profiles of the host's crates: the results are the same, and the kernels take minutes.
    let shared = |name: &str| target_directory(&out).join(name);

    // All that the kernels may be made of; what else changes there costs a cargo call that finds nothing to do.
    for path in ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml", "boot", "kernel", "wasi", "component"] {
        let path = root.join(path);
        if path.exists() {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    println!("cargo::rerun-if-changed={}", tools.join("build.rs").display());
    for path in ["tour/Cargo.toml", "tour/Cargo.lock", "tour/src"] {
        println!("cargo::rerun-if-changed={}", tools.join(path).display());
    }

    let kernel = |name: &str, directory: &Path, features: &[&str]| {
        let kernel = ["--package=kernel", "--profile=kernel", "--config=profile.kernel.strip=\"symbols\""];
        let options = [&kernel, features].concat();
        // What comes out has one name for both, and another build may be at work in the shared directory.
        let own = out.join(format!("{name}-target"));
        let built = build(name, root, &own, directory, "x86_64-unknown-linux-gnu", &options);
        if built {
            copy(&own.join("x86_64-unknown-linux-gnu/kernel/kernel"), &out.join(name));
        }
        built
    };
    // Side by side, because most of their time is the linking of each, which takes one processor.
    let (full, modules) = (shared("sisal-embedded"), shared("sisal-embedded-modules"));
    let (full_built, modules_built) = thread::scope(|scope| {
        let modules = scope.spawn(|| kernel("kernel-modules", &modules, &["--no-default-features"]));
        (kernel("kernel-full", &full, &[]), modules.join().expect("it does not panic"))
    });

    let tour = build("tour", &tools.join("tour"), &full, &full, "wasm32-wasip1", &["--release"]);
    if !(full_built && modules_built && tour) {
        exit(1);
    }
    copy(&full.join("wasm32-wasip1/release/tour.wasm"), &out.join("tour.wasm"));
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|error| panic!("cargo sets {name}: {error}"))
}

/// The directory that has one for each profile, above this package's: `TARGET/PROFILE/build/PACKAGE/out`.
fn target_directory(out: &Path) -> &Path {
    let build = out.ancestors().find(|directory| directory.ends_with("build"));
    build.and_then(Path::parent).and_then(Path::parent).unwrap_or(out)
}

/// Builds a package in `directory`: what comes out goes to `own`, what is between to `shared`. Gives whether it could.
fn build(what: &str, directory: &Path, own: &Path, shared: &Path, target: &str, options: &[&str]) -> bool {
    let mut cargo = Command::new(variable("CARGO"));
    cargo.current_dir(directory).args(["build", "--locked", "--target", target]).args(options);
    cargo.arg("--target-dir").arg(own);
    for (name, _) in env::vars_os() {
        if !passes(&name) {
            cargo.env_remove(name);
        }
    }
    cargo.env("CARGO_BUILD_BUILD_DIR", shared);
    let status = cargo.status().unwrap_or_else(|error| panic!("cannot start cargo for {what}: {error}"));
    if !status.success() {
        // Cargo's own messages, above, say why.
        eprintln!(
            "building {what} failed; does rustup have the target {target}? (`rustup target add {target}`)"
        );
    }
    status.success()
}

/// Whether a variable of this build's environment is for the other build too: not so what is about this
/// package, its profile, its flags, or the tool (clippy, a cache, an instrumented compiler) that it is built with.
fn passes(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return true };
    let about_cargo = ["CARGO_HOME", "CARGO_MAKEFLAGS"].contains(&name)
        || ["CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTR"].iter().any(|prefix| name.starts_with(prefix));
    let about_this_build = name.starts_with("CARGO")
        || name.starts_with("RUSTC")
        || ["RUSTFLAGS", "RUSTDOC", "RUSTDOCFLAGS", "TARGET", "HOST", "PROFILE", "OPT_LEVEL", "DEBUG"]
            .contains(&name);
    about_cargo || !about_this_build
}

fn copy(from: &Path, to: &Path) {
    fs::copy(from, to).unwrap_or_else(|error| panic!("cannot copy {}: {error}", from.display()));
}
