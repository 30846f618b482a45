//! WASI 0.2 from the side of components: what crosses the canonical ABI, waits, traps and exits. What each function does is tested beside
//! the functions.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};
use wasi::{
    Command, Engine, Outcome, Program, hosted,
    io::{BytesOutput, OutputStream, pipe},
};

/// A command that imports what the tests use; `body` is that of its `run`, which returns 0 for ok and 1 for an error. Results that
/// need memory go to 1024.
fn command(body: &str) -> Program {
    let wat = format!(
        r#"(component
    (import "wasi:io/error@0.2.0" (instance $error (export "error" (type (sub resource)))))
    (alias export $error "error" (type $error))
    (import "wasi:io/poll@0.2.0" (instance $poll
        (export "pollable" (type $pollable (sub resource)))
        (export "[method]pollable.block" (func (param "self" (borrow $pollable))))
        (export "poll" (func (param "in" (list (borrow $pollable))) (result (list u32))))))
    (alias export $poll "pollable" (type $pollable))
    (import "wasi:io/streams@0.2.1" (instance $streams
        (alias outer 1 $error (type $error'))
        (export "error" (type $error (eq $error')))
        (alias outer 1 $pollable (type $pollable'))
        (export "pollable" (type $pollable (eq $pollable')))
        (export "input-stream" (type $input (sub resource)))
        (export "output-stream" (type $output (sub resource)))
        (type $stream-error' (variant (case "last-operation-failed" (own $error)) (case "closed")))
        (export "stream-error" (type $stream-error (eq $stream-error')))
        (export "[method]input-stream.subscribe" (func (param "self" (borrow $input)) (result (own $pollable))))
        (export "[method]input-stream.blocking-read" (func (param "self" (borrow $input)) (param "len" u64)
            (result (result (list u8) (error $stream-error)))))
        (export "[method]output-stream.check-write" (func (param "self" (borrow $output))
            (result (result u64 (error $stream-error)))))
        (export "[method]output-stream.write" (func (param "self" (borrow $output)) (param "contents" (list u8))
            (result (result (error $stream-error)))))
        (export "[method]output-stream.blocking-write-and-flush" (func
            (param "self" (borrow $output)) (param "contents" (list u8)) (result (result (error $stream-error)))))
        (export "[method]output-stream.blocking-splice" (func
            (param "self" (borrow $output)) (param "src" (borrow $input)) (param "len" u64)
            (result (result u64 (error $stream-error)))))))
    (alias export $streams "input-stream" (type $input))
    (alias export $streams "output-stream" (type $output))
    (import "wasi:cli/stdin@0.2.2" (instance $stdin
        (alias outer 1 $input (type $input'))
        (export "input-stream" (type $input (eq $input')))
        (export "get-stdin" (func (result (own $input))))))
    (import "wasi:cli/stdout@0.2.3" (instance $stdout
        (alias outer 1 $output (type $output'))
        (export "output-stream" (type $output (eq $output')))
        (export "get-stdout" (func (result (own $output))))))
    (import "wasi:cli/exit@0.2.12" (instance $exit
        (export "exit" (func (param "status" (result))))
        (export "exit-with-code" (func (param "status-code" u8)))))
    (import "wasi:clocks/monotonic-clock@0.2.99" (instance $clock
        (alias outer 1 $pollable (type $pollable'))
        (export "pollable" (type $pollable (eq $pollable')))
        (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))

    (core module $memory (memory (export "memory") 1)
        (global $next (mut i32) (i32.const 4096))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32)
            (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
            (global.get $next)
            (global.set $next (i32.add (global.get $next) (local.get 3)))))
    (core instance $memory (instantiate $memory))
    (alias core export $memory "memory" (core memory $mem))
    (alias core export $memory "realloc" (core func $realloc))
    (core func $block (canon lower (func $poll "[method]pollable.block")))
    (core func $poll (canon lower (func $poll "poll") (memory $mem) (realloc $realloc)))
    (core func $subscribe (canon lower (func $streams "[method]input-stream.subscribe")))
    (core func $read (canon lower (func $streams "[method]input-stream.blocking-read") (memory $mem) (realloc $realloc)))
    (core func $check-write (canon lower (func $streams "[method]output-stream.check-write") (memory $mem)))
    (core func $write (canon lower (func $streams "[method]output-stream.write") (memory $mem)))
    (core func $flush (canon lower (func $streams "[method]output-stream.blocking-write-and-flush") (memory $mem)))
    (core func $splice (canon lower (func $streams "[method]output-stream.blocking-splice") (memory $mem)))
    (core func $stdin (canon lower (func $stdin "get-stdin")))
    (core func $stdout (canon lower (func $stdout "get-stdout")))
    (core func $exit (canon lower (func $exit "exit")))
    (core func $exit-with-code (canon lower (func $exit "exit-with-code")))
    (core func $timeout (canon lower (func $clock "subscribe-duration")))
    (core func $drop-input (canon resource.drop $input))
    (core func $drop-pollable (canon resource.drop $pollable))

    (core module $program
        (import "" "memory" (memory 1))
        (import "" "block" (func $block (param i32)))
        (import "" "poll" (func $poll (param i32 i32 i32)))
        (import "" "subscribe" (func $subscribe (param i32) (result i32)))
        (import "" "read" (func $read (param i32 i64 i32)))
        (import "" "check-write" (func $check-write (param i32 i32)))
        (import "" "write" (func $write (param i32 i32 i32 i32)))
        (import "" "flush" (func $flush (param i32 i32 i32 i32)))
        (import "" "splice" (func $splice (param i32 i32 i64 i32)))
        (import "" "stdin" (func $stdin (result i32)))
        (import "" "stdout" (func $stdout (result i32)))
        (import "" "exit" (func $exit (param i32)))
        (import "" "exit-with-code" (func $exit-with-code (param i32)))
        (import "" "timeout" (func $timeout (param i64) (result i32)))
        (import "" "drop-input" (func $drop-input (param i32)))
        (import "" "drop-pollable" (func $drop-pollable (param i32)))
        (func (export "run") (result i32) (local $a i32) (local $b i32) (local $c i32)
            {body}))
    (core instance $program (instantiate $program (with "" (instance
        (export "memory" (memory $mem))
        (export "block" (func $block))
        (export "poll" (func $poll))
        (export "subscribe" (func $subscribe))
        (export "read" (func $read))
        (export "check-write" (func $check-write))
        (export "write" (func $write))
        (export "flush" (func $flush))
        (export "splice" (func $splice))
        (export "stdin" (func $stdin))
        (export "stdout" (func $stdout))
        (export "exit" (func $exit))
        (export "exit-with-code" (func $exit-with-code))
        (export "timeout" (func $timeout))
        (export "drop-input" (func $drop-input))
        (export "drop-pollable" (func $drop-pollable))))))
    (func $run (result (result)) (canon lift (core func $program "run")))
    (instance $run (export "run" (func $run)))
    (export "wasi:cli/run@0.2.5" (instance $run)))"#
    );
    let wasm = wat::parse_str(&wat).unwrap_or_else(|error| panic!("{error}"));
    match Program::new(&Engine::new(), &wasm) {
        Ok(program) => program,
        Err(refusal) => panic!("{refusal}"),
    }
}

/// How `body` ends.
fn outcome(body: &str) -> Outcome {
    let (program, machine) = (command(body), hosted::machine());
    hosted::block_on(program.output(&machine, Command::new("test"))).unwrap().outcome
}

/// The message of a trap.
#[track_caller]
fn trap(body: &str) -> String {
    match outcome(body) {
        Outcome::Trapped { message, .. } => message,
        outcome => panic!("{outcome}"),
    }
}

#[test]
fn the_status_is_what_run_returns_or_what_exit_says() {
    for (body, status) in [
        ("(i32.const 0)", 0),
        ("(i32.const 1)", 1),
        ("(call $exit (i32.const 0)) (i32.const 1)", 0),
        ("(call $exit (i32.const 1)) (i32.const 0)", 1),
        ("(call $exit-with-code (i32.const 200)) (i32.const 0)", 200),
    ] {
        assert_eq!(outcome(body), Outcome::Exited(status), "{body}");
    }
}

#[test]
fn what_the_wit_calls_a_trap_is_one() {
    let empty = trap("(call $poll (i32.const 0) (i32.const 0) (i32.const 1024)) (i32.const 0)");
    assert!(empty.contains("poll of no pollable"), "{empty}");
    let orphan = trap(
        "(local.set $a (call $stdin)) (drop (call $subscribe (local.get $a))) (call $drop-input (local.get $a)) (i32.const 0)",
    );
    assert!(orphan.contains("input-stream dropped before"), "{orphan}");
    let beyond =
        trap("(call $write (call $stdout) (i32.const 0) (i32.const 1) (i32.const 1024)) (i32.const 0)");
    assert!(beyond.contains("check-write permitted 0"), "{beyond}");
    let long =
        trap("(call $flush (call $stdout) (i32.const 0) (i32.const 4097) (i32.const 1024)) (i32.const 0)");
    assert!(long.contains("at most 4096"), "{long}");
    // In the right order it is none.
    let ordered = "(local.set $a (call $stdin)) (local.set $b (call $subscribe (local.get $a)))
        (call $drop-pollable (local.get $b)) (call $drop-input (local.get $a)) (i32.const 0)";
    assert_eq!(outcome(ordered), Outcome::Exited(0));
}

/// `cat`, with bytes that never come into its memory.
const SPLICE: &str = "(local.set $a (call $stdin)) (local.set $b (call $stdout))
    (loop $again
        (call $splice (local.get $b) (local.get $a) (i64.const 1000000) (i32.const 1024))
        (br_if $again (i32.eqz (i32.load8_u (i32.const 1024)))))
    ;; Closed, and not failed: its input has ended.
    (i32.ne (i32.load8_u (i32.const 1032)) (i32.const 1))";

/// `cat` by way of its memory.
const COPY: &str = "(local.set $a (call $stdin)) (local.set $b (call $stdout))
    (block $end (loop $again
        (call $read (local.get $a) (i64.const 1000) (i32.const 1024))
        (br_if $end (i32.load8_u (i32.const 1024)))
        (call $flush (local.get $b) (i32.load (i32.const 1028)) (i32.load (i32.const 1032)) (i32.const 1040))
        (br_if $again (i32.eqz (i32.load8_u (i32.const 1040))))
        (unreachable)))
    (i32.ne (i32.load8_u (i32.const 1028)) (i32.const 1))";

#[test]
fn what_goes_in_comes_out() {
    let input: Vec<u8> = (0..20_000_u32).map(|index| (index % 251) as u8).collect();
    for body in [SPLICE, COPY] {
        let program = command(body);
        for slice in [None, Some(20)] {
            let started = Command::new("cat").input(&input);
            let started = slice.into_iter().fold(started, Command::slice_fuel);
            let output = hosted::block_on(program.output(&hosted::machine(), started)).unwrap();
            assert_eq!(output.outcome, Outcome::Exited(0), "{slice:?}");
            assert!(output.stdout == input, "{slice:?}");
        }
    }
}

#[test]
fn a_guest_waits_for_room_and_for_bytes() {
    for body in [SPLICE, COPY] {
        let program = command(body);
        let (stdin, writer) = pipe(8);
        let (reader, stdout) = pipe(8);
        let cat = Command::new("cat").stdin(Arc::new(stdin)).stdout(Arc::new(stdout));
        let mut run = program.start(&hosted::machine(), cat).unwrap();
        let input: Vec<u8> = (0..200).collect();
        let (sender, bytes) = (
            async move {
                let mut rest: &[u8] = &input;
                while !rest.is_empty() {
                    let written = std::future::poll_fn(|task| writer.poll_write(task, rest)).await.unwrap();
                    rest = &rest[written..];
                }
                drop(writer);
                input
            },
            async move {
                let mut all = Vec::new();
                loop {
                    let mut buffer = [0; 5];
                    use wasi::io::InputStream as _;
                    match std::future::poll_fn(|task| reader.poll_read(task, &mut buffer)).await.unwrap() {
                        0 => return all,
                        count => all.extend_from_slice(&buffer[..count]),
                    }
                }
            },
        );
        let guest = async { (&mut run).await };
        let mut ends: (Option<Vec<u8>>, Option<Vec<u8>>, Option<Outcome>) = (None, None, None);
        let (mut sender, mut bytes, mut guest) = (Box::pin(sender), Box::pin(bytes), Box::pin(guest));
        hosted::block_on(std::future::poll_fn(|task| {
            poll_into(&mut sender, &mut ends.0, task);
            poll_into(&mut guest, &mut ends.2, task);
            poll_into(&mut bytes, &mut ends.1, task);
            if ends.0.is_some() && ends.1.is_some() && ends.2.is_some() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        }));
        assert_eq!(ends.2, Some(Outcome::Exited(0)));
        assert_eq!(ends.0, ends.1);
    }
}

fn poll_into<T>(future: &mut Pin<Box<impl Future<Output = T>>>, end: &mut Option<T>, task: &mut Context<'_>) {
    if end.is_none()
        && let Poll::Ready(value) = future.as_mut().poll(task)
    {
        *end = Some(value);
    }
}

#[test]
fn a_guest_sleeps_and_polls_what_comes_first() {
    let start = Instant::now();
    assert_eq!(
        outcome("(call $block (call $timeout (i64.const 20000000))) (i32.const 0)"),
        Outcome::Exited(0)
    );
    assert!(start.elapsed() >= Duration::from_millis(20));
    // A list of two: an hour, and stdin. Exits with the index that was ready.
    let body = "(i32.store (i32.const 512) (call $timeout (i64.const 3600000000000)))
        (i32.store (i32.const 516) (call $subscribe (call $stdin)))
        (call $poll (i32.const 512) (i32.const 2) (i32.const 1024))
        (call $exit-with-code (i32.add (i32.load (i32.load (i32.const 1024))) (i32.mul (i32.const 10) (i32.load (i32.const 1028)))))
        (i32.const 0)";
    let (stdin, writer) = pipe(8);
    let program = command(body);
    let machine = hosted::machine();
    let mut run = program.start(&machine, Command::new("test").stdin(Arc::new(stdin))).unwrap();
    let task = &mut Context::from_waker(Waker::noop());
    for _ in 0..3 {
        assert!(Pin::new(&mut run).poll(task).is_pending());
    }
    assert_eq!(writer.poll_write(task, b"x"), Poll::Ready(Ok(1)));
    assert_eq!(hosted::block_on(run), Outcome::Exited(11), "one, the second");
}

#[test]
fn a_full_output_is_an_error_and_not_the_end() {
    let program = command(COPY);
    let stdout = Arc::new(BytesOutput::new(Some(10)));
    let cat = Command::new("cat").input("twelve bytes").stdout(stdout.clone());
    let outcome = hosted::block_on(program.start(&hosted::machine(), cat).unwrap());
    assert!(matches!(outcome, Outcome::Trapped { .. }), "its own unreachable: {outcome}");
    assert_eq!(stdout.take(), b"twelve byt");
}
