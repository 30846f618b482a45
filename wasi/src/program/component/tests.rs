//! Small components as programs: how they end, what they may use, and why some are refused.

use crate::{
    Command, Engine, Limit, Limits, Outcome, Program, Refusal,
    testing::{machine, run_all},
};
use alloc::{boxed::Box, format, string::String, vec, vec::Vec};
use core::{sync::atomic::Ordering, time::Duration};

/// A command whose `run` is a core function with this body, and these imports and definitions around it.
fn command(imports: &str, around: &str, body: &str) -> Vec<u8> {
    let with = if imports.is_empty() { "" } else { r#"(with "host" (instance $host))"# };
    let text = format!(
        r#"(component
            {imports}
            (core module $m
                {around}
                (func (export "run") (result i32) {body}))
            (core instance $i (instantiate $m {with}))
            (func $run (result (result)) (canon lift (core func $i "run")))
            (instance $run (export "run" (func $run)))
            (export "wasi:cli/run@0.2.3" (instance $run)))"#
    );
    wat::parse_str(text).unwrap()
}

fn compile(wasm: &[u8]) -> Result<Program, Refusal> {
    Program::new(&Engine::new(), wasm)
}

fn refusal(text: &str) -> String {
    compile(&wat::parse_str(text).unwrap()).err().map(|refusal| format!("{refusal}")).unwrap_or_default()
}

/// How a command ends.
fn outcome(wasm: &[u8], limits: Limits) -> Outcome {
    let (machine, clock) = machine();
    let program = compile(wasm).unwrap();
    let output = program.output(&machine, Command::new("test").limits(limits));
    run_all(&clock, vec![Box::pin(output)]).remove(0).unwrap().outcome
}

const EXIT: &str = r#"
    (import "wasi:cli/exit@0.2.9" (instance $exit
        (export "exit" (func (param "status" (result))))
        (export "exit-with-code" (func (param "status-code" u8)))))
    (core func $exit (canon lower (func $exit "exit")))
    (core func $code (canon lower (func $exit "exit-with-code")))
    (core instance $host (export "exit" (func $exit)) (export "code" (func $code)))"#;
const EXIT_CORE: &str = r#"
    (import "host" "exit" (func $exit (param i32)))
    (import "host" "code" (func $code (param i32)))"#;

#[test]
fn the_status_is_0_or_1_or_what_the_guest_exits_with() {
    let exit = |body: &str| outcome(&command(EXIT, EXIT_CORE, body), Limits::default());
    assert_eq!(outcome(&command("", "", "(i32.const 0)"), Limits::default()), Outcome::Exited(0));
    assert_eq!(outcome(&command("", "", "(i32.const 1)"), Limits::default()), Outcome::Exited(1));
    assert_eq!(exit("(call $exit (i32.const 0)) (i32.const 1)"), Outcome::Exited(0));
    assert_eq!(exit("(call $exit (i32.const 1)) (i32.const 0)"), Outcome::Exited(1));
    assert_eq!(exit("(call $code (i32.const 77)) (i32.const 0)"), Outcome::Exited(77));
    assert_eq!(exit("(call $code (i32.const 0x1ff)) (i32.const 0)"), Outcome::Exited(255), "it is a u8");
}

#[test]
fn traps_and_limits_end_a_component_as_they_end_a_module() {
    let trapped = outcome(&command("", "", "(unreachable)"), Limits::default());
    assert!(matches!(trapped, Outcome::Trapped { after: None, .. }), "{trapped:?}");
    // Neither ok nor error.
    let invalid = outcome(&command("", "", "(i32.const 2)"), Limits::default());
    assert!(
        matches!(&invalid, Outcome::Trapped { message, .. } if message.contains("discriminant")),
        "{invalid:?}"
    );

    let endless = "(loop $again (br $again)) (i32.const 0)";
    let limits = Limits::default().with_fuel(100_000);
    assert_eq!(outcome(&command("", "", endless), limits), Outcome::LimitReached(Limit::Fuel(100_000)));
    let start = "(func $start (loop $again (br $again))) (start $start)";
    assert_eq!(
        outcome(&command("", start, "(i32.const 0)"), limits),
        Outcome::LimitReached(Limit::Fuel(100_000)),
        "in a start function"
    );
    let second = Duration::from_secs(1);
    let (machine, clock) = machine();
    clock.tick.store(1_000_000, Ordering::Relaxed);
    let program = compile(&command("", "", endless)).unwrap();
    let endless = Command::new("test").limits(Limits::default().with_time(second));
    let output = program.output(&machine, endless);
    let ended = run_all(&clock, vec![Box::pin(output)]).remove(0).unwrap().outcome;
    assert_eq!(ended, Outcome::LimitReached(Limit::Time(second)));

    let limits = Limits::default().with_memory(1 << 20);
    let large = "(memory 17)";
    assert_eq!(
        outcome(&command("", large, "(i32.const 0)"), limits),
        Outcome::LimitReached(Limit::Memory(1 << 20))
    );
    let grows = "(i32.ne (memory.grow (i32.const 16)) (i32.const -1))";
    assert_eq!(
        outcome(&command("", "(memory 1)", grows), limits),
        Outcome::Exited(0),
        "growing fails, as it may"
    );
    let recurses =
        outcome(&command("", "(func $f (result i32) (call $f) (drop) (call $f))", "(call $f)"), limits);
    assert_eq!(recurses, Outcome::LimitReached(Limit::Stack));
}

#[test]
fn two_memories_of_a_component_are_both_within_the_limit() {
    let wasm = wat::parse_str(
        r#"(component
            (core module $m
                (memory (export "memory") 1)
                (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
                (func (export "last") (result i32)
                    (i32.load8_u (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 1)))))
            (core instance $a (instantiate $m))
            (core instance $b (instantiate $m))
            (core module $run
                (import "a" "grow" (func $grow_a (param i32) (result i32)))
                (import "b" "grow" (func $grow_b (param i32) (result i32)))
                (import "a" "last" (func $last_a (result i32)))
                (import "b" "last" (func $last_b (result i32)))
                (func (export "run") (result i32)
                    ;; In turns, so that the sizes meet and part: all of it can be read, and is zero.
                    (if (i32.ne (call $grow_b (i32.const 3)) (i32.const 1)) (then (unreachable)))
                    (if (i32.or (call $last_a) (call $last_b)) (then (unreachable)))
                    (if (i32.ne (call $grow_a (i32.const 3)) (i32.const 1)) (then (unreachable)))
                    (if (i32.or (call $last_a) (call $last_b)) (then (unreachable)))
                    (if (i32.ne (call $grow_a (i32.const 4)) (i32.const 4)) (then (unreachable)))
                    (if (i32.or (call $last_a) (call $last_b)) (then (unreachable)))
                    ;; 8 and 4 of 16: 5 more are too many, 4 are not.
                    (if (i32.ne (call $grow_b (i32.const 5)) (i32.const -1)) (then (unreachable)))
                    (if (i32.ne (call $grow_b (i32.const 4)) (i32.const 4)) (then (unreachable)))
                    (if (i32.ne (call $grow_a (i32.const 1)) (i32.const -1)) (then (unreachable)))
                    (i32.or (call $last_a) (call $last_b))))
            (core instance $i (instantiate $run (with "a" (instance $a)) (with "b" (instance $b))))
            (func $run (result (result)) (canon lift (core func $i "run")))
            (instance $run (export "run" (func $run)))
            (export "wasi:cli/run@0.2.0" (instance $run)))"#,
    )
    .unwrap();
    assert_eq!(outcome(&wasm, Limits::default().with_memory(16 << 16)), Outcome::Exited(0));
}

#[test]
fn what_is_no_command_is_told_what_it_is() {
    let function = r#"(core module $m (func (export "f"))) (core instance $i (instantiate $m))
        (func $f (canon lift (core func $i "f"))) (instance $e (export "f" (func $f)))"#;
    let exports = |name: &str| refusal(&format!(r#"(component {function} (export "{name}" (instance $e)))"#));
    assert!(exports("a:b/c").contains("library: it exports a:b/c"), "{}", exports("a:b/c"));
    assert!(exports("wasi:http/incoming-handler@0.2.3").contains("HTTP"));
    assert!(exports("wasi:cli/run@0.1.0").contains("another version"));
    assert!(refusal("(component)").contains("exports nothing"));
}

#[test]
fn imports_that_cannot_be_given_are_named() {
    let run = r#"(core module $m (func (export "f") (result i32) (i32.const 0))) (core instance $i (instantiate $m))
        (func $f (result (result)) (canon lift (core func $i "f"))) (instance $r (export "run" (func $f)))
        (export "wasi:cli/run@0.2.0" (instance $r))"#;
    let import = |import: &str| refusal(&format!("(component {import} {run})"));
    let unknown = import(r#"(import "wasi:nn/graph@0.2.0" (instance (export "load" (func))))"#);
    assert!(unknown.contains("\"wasi:nn/graph@0.2.0\""), "{unknown}");
    let newer =
        r#"(import "wasi:cli/environment@0.2.99" (instance $e (export "get-quota" (func (result u32)))))"#;
    assert_eq!(import(newer), "", "what an older host lacks does not matter unless it is used");
    let used = import(&format!(r#"{newer} (alias export $e "get-quota" (func))"#));
    assert!(used.contains("get-quota") && used.contains("wasi:cli/environment@0.2.99"), "{used}");
    let typed = import(
        r#"(import "wasi:random/random@0.2.0" (instance (export "get-random-u64" (func (result u32)))))"#,
    );
    for part in ["get-random-u64", "wasi:random/random@0.2.0", "u32", "u64"] {
        assert!(typed.contains(part), "{part} in {typed}");
    }
}
