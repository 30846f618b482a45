//! The kernel with its own tests in it (feature `selftest`): built, and asked which tests it has.

use crate::guests;
use object::{Object, ObjectSection};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Builds it, beside the full kernel that `sisal` has in it and of the same parts; or takes the one that `SISAL_SELFTEST` names
/// (built without optimisation across crates, or broken on purpose).
///
/// # Errors
/// When it cannot be built: a text that says why.
pub fn build() -> Result<PathBuf, String> {
    const TRIPLE: &str = "x86_64-unknown-linux-gnu";
    if let Some(kernel) = std::env::var_os("SISAL_SELFTEST") {
        return Ok(kernel.into());
    }
    let target = guests::target()?;
    let own = target.join("kernel-selftest");
    // As tools/build.rs builds it: then its dependencies are there already. What comes out goes elsewhere, lest a
    // `sisal` that is being built meanwhile should get it.
    let shared = target.join("sisal-embedded");
    let mut cargo = guests::cargo();
    cargo
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["build", "--quiet", "--locked", "--package=kernel", "--features=selftest", "--profile=kernel"])
        .args(["--config=profile.kernel.strip=\"symbols\"", "--target", TRIPLE, "--target-dir"])
        .arg(&own)
        .env("CARGO_BUILD_BUILD_DIR", shared);
    guests::run(&mut cargo)?;
    Ok(own.join(TRIPLE).join("kernel/kernel"))
}

/// The names of the tests in a kernel, sorted.
///
/// # Errors
/// When the file is no kernel with tests in it.
pub fn tests(kernel: &Path) -> Result<Vec<String>, String> {
    let fault = |error: &dyn std::fmt::Display| format!("{}: {error}", kernel.display());
    let bytes = fs::read(kernel).map_err(|error| fault(&error))?;
    let file = object::File::parse(&*bytes).map_err(|error| fault(&error))?;
    let names = file.section_by_name(".selftest.names").ok_or_else(|| fault(&"there are no tests in it"))?;
    let names = names.data().map_err(|error| fault(&error))?;
    let names = str::from_utf8(names).map_err(|error| fault(&error))?;
    let mut names: Vec<_> = names.lines().map(short_name).map(str::to_owned).collect();
    names.sort();
    Ok(names)
}

/// As the kernel reports a test.
fn short_name(name: &str) -> &str {
    name.trim_start_matches("kernel::").trim_start_matches("selftest::")
}
