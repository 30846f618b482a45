//! Guests that mean harm, and files that are no guests: each gets its errno, its trap or its refusal, and whoever comes next
//! runs normally. Single hostile programs are in `wat/` and run with all other guests; here is what takes more than
//! one program, or none.

use libtest_mimic::{Failed, Trial};
use sisal_tests::{
    bytes::Bytes,
    case::{Case, Directory, Ending},
    guests::{self, Guest},
    host::{self, Host},
    hostile,
};
use std::{path::Path, process::ExitCode, sync::Arc};

fn main() -> ExitCode {
    sisal_tests::run(trials)
}

fn trials() -> Result<Vec<Trial>, String> {
    let mut trials = vec![];
    for host in host::all() {
        trials.extend(sweeps(&host)?);
        trials.extend(refusals(&host)?);
    }
    Ok(trials)
}

fn trial(host: &Arc<dyn Host>, name: &str, guest: Guest, case: Case) -> Trial {
    let host = host.clone();
    Trial::test(format!("{}::{name}", host.name()), move || {
        host::check(&*host, &guest, &case).map_err(Failed::from)
    })
}

fn sweeps(host: &Arc<dyn Host>) -> Result<Vec<Trial>, String> {
    let directory = Directory {
        guest: "/t".into(),
        read_only: false,
        before: Default::default(),
        after: None,
        scratch: true,
    };
    let mut case = Case::ending_with(Ending::Exit(0));
    case.stdout = Bytes::Text("survived\n".into());
    case.dirs.push(directory);
    let sweep = guests::wat("sweep", &hostile::sweep(500), Path::new(""))?;
    let mut nothing_given = case.clone();
    nothing_given.dirs.clear();
    Ok(vec![
        trial(host, "sweep", sweep.clone(), case),
        trial(host, "sweep::no_directory", sweep, nothing_given),
    ])
}

/// What is not a program that can run, and part of the message that says so.
fn refusals(host: &Arc<dyn Host>) -> Result<Vec<Trial>, String> {
    let module = |text: &str| wat::parse_str(text).map_err(|error| error.to_string());
    let hello = module(
        r#"(module (memory (export "memory") 1) (func (export "_start")) (data (i32.const 0) "hello"))"#,
    )?;
    let start = r#"(func (export "_start"))"#;
    let truncated_head = hello[..6].to_vec();
    let truncated = hello[..hello.len() - 3].to_vec();
    let mut version = hello.clone();
    version[4] = 2;
    let mut garbage = hello.clone();
    garbage.extend([0x7f, 1, 0]);
    let table = [
        ("empty_file", vec![], "not a WebAssembly program"),
        ("not_wasm", b"#!/bin/sh\necho hello\n".to_vec(), "not a WebAssembly program"),
        ("elf", b"\x7fELF\x02\x01\x01".to_vec(), "not a WebAssembly program"),
        ("text_format", b"(module (func (export \"_start\")))".to_vec(), "text format"),
        ("truncated_head", truncated_head, "truncated"),
        ("truncated", truncated, "truncated"),
        ("unknown_version", version, "version 2"),
        ("garbage_at_the_end", garbage, "not valid WebAssembly"),
        ("component", module("(component)")?, "a component"),
        ("library", module(r#"(module (memory (export "memory") 1) (func (export "run")))"#)?, "library"),
        (
            "start_with_a_result",
            module(r#"(module (func (export "_start") (result i32) (i32.const 0)))"#)?,
            "_start",
        ),
        (
            "start_is_no_function",
            module(r#"(module (global (export "_start") i32 (i32.const 0)))"#)?,
            "_start",
        ),
        ("exceptions", module(&format!("(module (tag $e) (func (throw $e)) {start})"))?, "exceptions"),
        ("shared_memory", module(&format!("(module (memory 1 1 shared) {start})"))?, "threads"),
        (
            "atomics",
            module(&format!("(module (memory 1) (func (drop (i32.atomic.load (i32.const 0)))) {start})"))?,
            "threads",
        ),
        (
            "thread_spawn",
            module(&format!(
                r#"(module (import "wasi" "thread-spawn" (func (param i32) (result i32))) {start})"#
            ))?,
            "threads",
        ),
        (
            "gc",
            module(&format!(
                "(module (type $s (struct (field i32))) (func (drop (struct.new_default $s))) {start})"
            ))?,
            "GC",
        ),
        (
            "unknown_module",
            module(&format!(r#"(module (import "env" "emscripten_notify" (func)) {start})"#))?,
            "env.emscripten_notify",
        ),
        (
            "unknown_function",
            module(&format!(r#"(module (import "wasi_snapshot_preview1" "fd_frobnicate" (func)) {start})"#))?,
            "wasi_snapshot_preview1.fd_frobnicate",
        ),
        (
            "import_of_another_type",
            module(&format!(
                r#"(module (import "wasi_snapshot_preview1" "fd_close" (func (param i64) (result i32)))
                (memory (export "memory") 1) {start})"#
            ))?,
            "another type",
        ),
        (
            "imported_memory",
            module(&format!(r#"(module (import "env" "memory" (memory 1)) {start})"#))?,
            "env.memory",
        ),
        ("invalid", module(&format!("(module (func (result i32)) {start})"))?, "not valid WebAssembly"),
        (
            "memory_of_64_bits",
            module(&format!(
                r#"(module (import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32)))
                (memory (export "memory") i64 1) {start})"#
            ))?,
            "32-bit memory",
        ),
    ];
    table
        .into_iter()
        .map(|(name, wasm, part)| {
            let guest = guests::binary(&format!("refused-{name}"), wasm, Path::new(""))?;
            Ok(trial(
                host,
                &format!("refused::{name}"),
                guest,
                Case::ending_with(Ending::Refused(part.into())),
            ))
        })
        .collect()
}
