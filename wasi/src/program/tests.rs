//! What is refused, and what the refusal says.

use crate::{Engine, Program, Refusal};
use alloc::{string::ToString, vec::Vec};

fn refusal(wasm: &[u8]) -> Refusal {
    match Program::new(&Engine::new(), wasm) {
        Ok(_) => panic!("taken"),
        Err(refusal) => refusal,
    }
}

fn refusal_of(wat: &str) -> Refusal {
    refusal(&wat::parse_str(wat).unwrap())
}

#[test]
fn what_is_not_a_module_is_told_apart() {
    assert_eq!(refusal(b""), Refusal::NotWasm);
    assert_eq!(refusal(b"#!/bin/sh\n"), Refusal::NotWasm);
    assert_eq!(refusal(b"\x7fELF\x02\x01\x01"), Refusal::NotWasm);
    assert_eq!(refusal(b"  (module)"), Refusal::Text);
    assert_eq!(refusal(b"\0as"), Refusal::Truncated);
    assert_eq!(refusal(b"\0asm\x01\0"), Refusal::Truncated);
    assert_eq!(refusal(b"\0asm\x02\0\0\0"), Refusal::Version(2));
    assert_eq!(refusal(&wat::parse_str("(component)").unwrap()), Refusal::NotCommand([].into()));
}

#[test]
fn a_truncated_program_is_called_so_wherever_it_is_cut() {
    let wasm = wat::parse_str(r#"(module (memory 1) (func (export "_start") nop) (data (i32.const 0) "x"))"#)
        .unwrap();
    assert!(Program::new(&Engine::new(), &wasm).is_ok());
    let mut others = Vec::new();
    for cut in 1..wasm.len() {
        match Program::new(&Engine::new(), &wasm[..cut]) {
            Err(Refusal::Truncated) => {}
            // Cut where a section ends, so nothing shows it.
            Err(other) => others.push(other),
            Ok(_) => {}
        }
    }
    assert!(others.iter().all(|refusal| *refusal == Refusal::NoStart), "{others:?}");
}

#[test]
fn a_feature_that_is_lacking_is_named() {
    for (wat, feature) in [
        ("(module (memory 1 1 shared))", "threads"),
        ("(module (memory 1) (func (drop (i32.atomic.load (i32.const 0)))))", "threads"),
        ("(module (tag $t) (func (throw $t)))", "exceptions"),
        ("(module (type (struct (field i32))))", "GC"),
        (
            "(module (type $t (func)) (func (param (ref $t)) (call_ref $t (local.get 0))))",
            "function references",
        ),
        (
            "(module (func (drop (i64.add128 (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0))) drop))",
            "wide",
        ),
    ] {
        let refusal = refusal_of(wat);
        let Refusal::Feature(named) = refusal else { panic!("{wat}: {refusal}") };
        assert!(named.contains(feature), "{wat}: {named}");
        assert!(refusal.to_string().contains(feature));
    }
}

#[test]
fn an_invalid_module_is_refused_with_the_place() {
    let mut wasm = wat::parse_str(r#"(module (func (export "_start") (result i32) i32.const 1))"#).unwrap();
    let length = wasm.len();
    // The constant becomes one of another type.
    wasm[length - 3] = 0x42;
    let Refusal::Invalid(message) = refusal(&wasm) else { panic!() };
    assert!(message.contains("at byte"), "{message}");
}

#[test]
fn a_memory_that_is_there_twice_is_refused_though_the_rewriter_takes_it_away() {
    let wasm = wat::parse_str(r#"(module (memory 1) (func (export "_start")))"#).unwrap();
    let memory = [5, 3, 1, 0, 1];
    let at = wasm.windows(memory.len()).position(|bytes| bytes == memory).unwrap();
    let twice = [&wasm[..at], &memory, &wasm[at..]].concat();
    let Refusal::Invalid(message) = refusal(&twice) else { panic!() };
    assert!(message.contains("section") && message.contains("at byte"), "{message}");
}

#[test]
fn imports_that_are_not_wasi_are_named() {
    let import = |module: &str, item: &str| {
        refusal_of(&alloc::format!(r#"(module (import "{module}" "thing" {item}) (func (export "_start")))"#))
    };
    for (module, item) in [
        ("env", "(func)"),
        ("env", "(memory 1)"),
        ("env", "(global i32)"),
        ("env", "(table 1 funcref)"),
        ("wasi_snapshot_preview1", "(func)"),
        ("wasi_snapshot_preview1", "(memory 1)"),
    ] {
        let Refusal::UnknownImport { module: named, name } = import(module, item) else { panic!("{item}") };
        assert_eq!((&*named, &*name), (module, "thing"));
    }
    let ours = refusal_of(r#"(module (import "sisal" "memory" (memory 1)) (func (export "_start")))"#);
    assert!(matches!(ours, Refusal::UnknownImport { .. }), "{ours}");
    let threads = refusal_of(r#"(module (import "wasi" "thread-spawn" (func (param i32) (result i32))))"#);
    assert!(threads.to_string().contains("threads"));
    let typed = refusal_of(
        r#"(module (import "wasi_snapshot_preview1" "fd_close" (func (param i64) (result i32))) (func (export "_start")))"#,
    );
    let Refusal::ImportType { name, .. } = typed else { panic!("{typed}") };
    assert_eq!(name, "fd_close");
}

#[test]
fn a_program_needs_an_entry_and_the_memory_that_wasi_works_on() {
    assert_eq!(refusal_of("(module)"), Refusal::NoStart);
    for entry in ["(func (export \"_start\") (param i32))", "(memory (export \"_start\") 1)"] {
        assert_eq!(refusal_of(&alloc::format!("(module {entry})")), Refusal::StartType("_start".into()));
    }
    for memory in ["", "(memory 1)", "(memory (export \"memory\") i64 1)"] {
        let wat = alloc::format!(
            r#"(module (import "wasi_snapshot_preview1" "fd_close" (func (param i32) (result i32)))
                {memory} (func (export "_start")))"#
        );
        assert_eq!(refusal_of(&wat), Refusal::NoMemory);
    }
    let pure = r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func (param i32))) (func (export "_start")))"#;
    assert!(Program::new(&Engine::new(), &wat::parse_str(pure).unwrap()).is_ok());
}

#[test]
fn a_function_that_grows_in_too_many_places_is_refused() {
    let program = |places: usize, others: usize| {
        let grow = "(drop (memory.grow (i32.const 0)))".repeat(places);
        let blocks = "(block nop)".repeat(others);
        let wat = alloc::format!(r#"(module (memory 1) (func (export "_start") {grow} {blocks}))"#);
        Program::new(&Engine::new(), &wat::parse_str(wat).unwrap()).map(drop)
    };
    assert_eq!(program(255, 1_000), Ok(()));
    assert!(matches!(program(256, 0), Err(Refusal::TooLarge(_))));
}
