//! Programs in every state that the driver knows, each also preempted at every possible place.

use crate::{
    Command, Limit, Limits, Machine, Outcome, Output, Program, StartError,
    io::{BytesInput, BytesOutput, pipe},
    testing::{TestClock, TestMemories, machine, program, run, run_all},
};
use alloc::{boxed::Box, format, string::String, sync::Arc, vec, vec::Vec};
use core::{
    future::Future,
    pin::Pin,
    sync::atomic::Ordering,
    task::{Context, Waker},
    time::Duration,
};

/// A module with these functions of WASI imported, a memory, and this body as `_start`.
fn command(start: &str) -> String {
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "sched_yield" (func $sched_yield (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
            (memory (export "memory") 2)
            (global $i (mut i32) (i32.const 0))
            (func $write (param $at i32) (param $len i32) (result i32)
                (i32.store (i32.const 0) (local.get $at))
                (i32.store (i32.const 4) (local.get $len))
                (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
            (func $read (param $at i32) (param $len i32) (result i32)
                (i32.store (i32.const 0) (local.get $at))
                (i32.store (i32.const 4) (local.get $len))
                (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
            (data (i32.const 16) "hello\n")
            (func $start (export "_start") {start}))"#
    )
}

/// The same commands, preempted as it comes and after every 20 units of fuel.
fn both_slices(command: Command) -> [Command; 2] {
    [command.clone(), command.slice_fuel(20)]
}

fn outcome(machine: &Machine, clock: &TestClock, program: &Program, command: Command) -> Outcome {
    run(clock, program.start(machine, command).unwrap())
}

/// The outcome of a command with this body and these limits, which must be the same however it is preempted.
fn outcome_of(start: &str, limits: Limits) -> Outcome {
    let (machine, clock) = machine();
    let program = program(&command(start));
    let [free, sliced] = both_slices(Command::new("test").limits(limits))
        .map(|command| outcome(&machine, &clock, &program, command));
    assert_eq!(free, sliced);
    free
}

const COPY: &str = "(loop $again
    (if (call $read (i32.const 1024) (i32.const 4096)) (then unreachable))
    (if (i32.load (i32.const 8)) (then
        (if (call $write (i32.const 1024) (i32.load (i32.const 8))) (then (call $proc_exit (i32.const 64))))
        (br $again))))";

#[test]
fn each_way_to_end_is_an_outcome_of_its_own() {
    let ended = |start| outcome_of(start, Limits::default());
    assert_eq!(ended(""), Outcome::Exited(0));
    assert_eq!(ended("(call $proc_exit (i32.const 7))"), Outcome::Exited(7));
    assert_eq!(ended("(call $proc_exit (i32.const -1))"), Outcome::Exited(u32::MAX));
    for (start, words) in [
        ("unreachable", "unreachable"),
        ("(drop (i32.div_u (i32.const 1) (global.get $i)))", "divide by zero"),
        ("(drop (i32.load (i32.const -4)))", "out of bounds"),
    ] {
        let Outcome::Trapped { message, after: None } = ended(start) else { panic!("{start}") };
        assert!(message.contains(words), "{message}");
    }
    assert_eq!(ended("(call $start)"), Outcome::LimitReached(Limit::Stack));
}

#[test]
fn output_is_kept_and_input_given() {
    let (machine, clock) = machine();
    let program = program(&command(COPY));
    let input: Vec<u8> = (0..100_000_u32).map(|byte| byte as u8).collect();
    for command in both_slices(Command::new("copy").input(input.clone())) {
        let output = run(&clock, program.output(&machine, command)).unwrap();
        assert_eq!(output.outcome, Outcome::Exited(0));
        assert!(output.stdout == input);
        assert!(!output.output_limit_reached);
        assert!(output.fuel_used > 0);
    }
    let limited = Command::new("copy").input(input).limits(Limits::default().with_output(5_000));
    let output = run(&clock, program.output(&machine, limited)).unwrap();
    assert_eq!((output.outcome, output.stdout.len()), (Outcome::Exited(64), 5_000));
    assert!(output.output_limit_reached);
}

#[test]
fn fuel_is_the_same_however_it_is_sliced() {
    let (machine, clock) = machine();
    let program = program(&command(COPY));
    let [free, sliced] = both_slices(Command::new("copy").input(vec![1; 50_000]))
        .map(|command| run(&clock, program.output(&machine, command)).unwrap().fuel_used);
    assert_eq!(free, sliced);
    let enough = Limits::default().with_fuel(free);
    assert!(
        outcome(&machine, &clock, &program, Command::new("copy").input(vec![1; 50_000]).limits(enough))
            .success()
    );
}

#[test]
fn limits_end_what_would_go_on_for_ever() {
    let endless = "(loop $again (global.set $i (i32.add (global.get $i) (i32.const 1))) (br $again))";
    let limits = Limits::default().with_fuel(100_000).with_time(None);
    assert_eq!(outcome_of(endless, limits), Outcome::LimitReached(Limit::Fuel(100_000)));

    // Every look at the clock takes a millisecond.
    let time = Duration::from_secs(3);
    for start in [endless, "(loop $again (drop (call $sched_yield)) (br $again))"] {
        let (machine, clock) = machine();
        clock.tick.store(1_000_000, Ordering::Relaxed);
        let command = Command::new("endless").limits(Limits::default().with_time(time)).slice_fuel(1_000);
        let program = program(&self::command(start));
        assert_eq!(outcome(&machine, &clock, &program, command), Outcome::LimitReached(Limit::Time(time)));
    }
}

#[test]
fn host_calls_that_take_long_end_a_turn_and_cost_no_fuel() {
    // Every look at the clock takes a millisecond, so eight calls do; a slice would be thousands of them.
    let calls = "(loop $again
        (drop (call $write (i32.const 16) (i32.const 1)))
        (global.set $i (i32.add (global.get $i) (i32.const 1)))
        (br_if $again (i32.lt_u (global.get $i) (i32.const 800))))";
    let program = program(&command(calls));
    let fuel = [0, 1_000_000].map(|tick| {
        let (machine, clock) = machine();
        clock.tick.store(tick, Ordering::Relaxed);
        let mut guest = program.start(&machine, Command::new("calls")).unwrap();
        let mut polls = 0;
        let outcome = run(
            &clock,
            core::future::poll_fn(|task| {
                polls += 1;
                Pin::new(&mut guest).poll(task)
            }),
        );
        assert!(outcome.success());
        assert_eq!(polls > 20, tick > 0, "{polls}");
        guest.fuel_used()
    });
    assert_eq!(fuel[0], fuel[1]);
}

#[test]
fn the_deadline_ends_a_guest_that_waits() {
    let (machine, clock) = machine();
    let program = program(&command(COPY));
    let (reader, _writer) = pipe(1);
    let command = Command::new("copy").stdin(Arc::new(reader));
    let limit = Limits::default().time.unwrap();
    assert_eq!(outcome(&machine, &clock, &program, command), Outcome::LimitReached(Limit::Time(limit)));
    assert_eq!(machine.clock.timers().next_deadline(), None);
}

#[test]
fn memory_stops_growing_at_its_limit_and_the_outcome_says_so() {
    // Grows by one page until it is refused; then stores how many it has, and aborts if it could not have them all.
    let grow = "(loop $again (br_if $again (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
        (i32.store (i32.const 16) (memory.size)) (drop (call $write (i32.const 16) (i32.const 4))) unreachable";
    let program = program(&command(grow));
    let limit = 20 << 16;
    for memories in [None, Some(Arc::new(TestMemories::default()))] {
        let (mut machine, clock) = machine();
        machine.memories = memories.clone().map(|memories| memories as _);
        for command in both_slices(Command::new("grow").limits(Limits::default().with_memory(limit))) {
            let output = run(&clock, program.output(&machine, command)).unwrap();
            assert_eq!(output.stdout, 20_u32.to_le_bytes());
            let Outcome::Trapped { message: _, after } = output.outcome else { panic!() };
            assert_eq!(after, Some(Limit::Memory(limit)));
        }
        if let Some(memories) = memories {
            assert_eq!(memories.committed.load(Ordering::Relaxed), limit as usize);
            assert_eq!(memories.live.load(Ordering::Relaxed), 0);
        }
    }
}

#[test]
fn a_machines_memory_is_clean_and_given_back() {
    // Any byte that is not zero makes it trap; then it fills them all and waits for ever.
    let start = "(local $at i32)
        (drop (memory.grow (i32.const 3)))
        (local.set $at (i32.const 1024))
        (loop $again
            (if (i64.ne (i64.load (local.get $at)) (i64.const 0)) (then unreachable))
            (local.set $at (i32.add (local.get $at) (i32.const 8)))
            (br_if $again (i32.lt_u (local.get $at) (i32.const 327680))))
        (memory.fill (i32.const 1024) (i32.const 7) (i32.const 320000))
        (drop (call $read (i32.const 1024) (i32.const 1)))";
    let (mut machine, _) = machine();
    let memories = Arc::new(TestMemories::default());
    machine.memories = Some(memories.clone());
    let program = program(&command(start));
    let (reader, writer) = pipe(1);
    let reader = Arc::new(reader);
    for command in both_slices(Command::new("waits").stdin(reader.clone())) {
        let held_before = Arc::strong_count(&reader);
        let mut guest = program.start(&machine, command).unwrap();
        assert_eq!(Arc::strong_count(&reader), held_before);
        let held = Arc::strong_count(&machine.clock);
        // Until it parks: it has no output, so only fuel and the pipe make it pending.
        for _ in 0..200_000 {
            assert!(Pin::new(&mut guest).poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        assert_eq!(memories.live.load(Ordering::Relaxed), 1);
        assert!(machine.clock.timers().next_deadline().is_some());
        drop(guest);
        assert_eq!(memories.live.load(Ordering::Relaxed), 0);
        assert_eq!(machine.clock.timers().next_deadline(), None);
        assert_eq!(Arc::strong_count(&reader), held_before - 1);
        assert!(Arc::strong_count(&machine.clock) < held);
    }
    drop(writer);
}

#[test]
fn growing_by_nothing_for_ever_does_not_use_the_hosts_stack_up() {
    // With a delta that the translator does not know: a constant 0 would be no growth at all.
    let grows = "(local $none i32) (local $times i32)
        (loop $again
            (drop (memory.grow (local.get $none)))
            (drop (table.grow $t (ref.null func) (local.get $none)))
            (local.set $times (i32.add (local.get $times) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $times) (i32.const 1000000))))";
    let wat = format!(r#"(module (memory 1) (table $t 1 funcref) (func (export "_start") {grows}))"#);
    let (machine, clock) = machine();
    assert!(outcome(&machine, &clock, &program(&wat), Command::new("grows")).success());
    // And where one block needs more fuel than a slice has.
    let places = "(drop (memory.grow (local.get $none)))".repeat(255);
    let nothing = "(local.set $times (i32.add (local.get $times) (i32.const 1)))".repeat(100_000);
    let wat = format!(
        r#"(module (memory 1) (func (export "_start") (local $none i32) (local $times i32) {places} {nothing}))"#
    );
    assert!(outcome(&machine, &clock, &program(&wat), Command::new("grows")).success());
}

#[test]
fn what_does_not_fit_from_the_start_does_not_start() {
    let (machine, _) = machine();
    let small = Limits::default().with_memory(65_536).with_table_elements(10);
    let started = |wat: &str| program(wat).start(&machine, Command::new("test").limits(small)).map(drop);
    assert_eq!(started(&command("")), Err(StartError::Limit(Limit::Memory(65_536))));
    let table = r#"(module (table 11 funcref) (func (export "_start")))"#;
    assert_eq!(started(table), Err(StartError::Limit(Limit::TableElements(10))));
    let data = r#"(module (memory 1) (data (i32.const 65535) "xy") (func (export "_start")))"#;
    assert!(matches!(started(data), Err(StartError::Instantiation(_))));
    assert_eq!(
        program(&command("")).start(&machine, Command::new("a\0b")).map(drop),
        Err(StartError::Argument("a\0b".into()))
    );
    for (name, value) in [("", "x"), ("a=b", "x"), ("a", "\0")] {
        let command = Command::new("test").env(name, value);
        assert_eq!(
            program(&self::command("")).start(&machine, command).map(drop),
            Err(StartError::Environment(name.into()))
        );
    }
}

#[test]
fn a_start_function_runs_first_and_can_wait() {
    let wat = r#"(module
        (import "wasi_snapshot_preview1" "sched_yield" (func $sched_yield (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
        (memory (export "memory") 1)
        (global $i (mut i32) (i32.const 0))
        (func $init (loop $again
            (drop (call $sched_yield))
            (global.set $i (i32.add (global.get $i) (i32.const 1)))
            (br_if $again (i32.lt_u (global.get $i) (i32.const 9)))))
        (start $init)
        (func (export "_start") (call $proc_exit (global.get $i))))"#;
    let (machine, clock) = machine();
    for command in both_slices(Command::new("start")) {
        assert_eq!(outcome(&machine, &clock, &program(wat), command), Outcome::Exited(9));
    }
    let library = r#"(module (func (export "_initialize") unreachable))"#;
    assert!(matches!(
        outcome(&machine, &clock, &program(library), Command::new("library")),
        Outcome::Trapped { .. }
    ));
}

#[test]
fn a_host_call_by_tail_call_can_wait() {
    // The status is what was read in the tail position, after every kind of tail call has parked on an empty pipe.
    let wat = r#"(module
        (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "\40\00\00\00\02\00\00\00")
        (type $read (func (param i32 i32 i32 i32) (result i32)))
        (table funcref (elem $fd_read))
        (func $direct (param i32 i64) (result i32)
            (return_call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
        (func $indirect (result i32)
            (return_call_indirect (type $read)
                (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8) (i32.const 0)))
        (func $again (param $rounds i32) (param $sum i32)
            (if (call $direct (i32.const 1) (i64.const 2)) (then unreachable))
            (local.set $sum (i32.add (local.get $sum) (i32.load8_u (i32.const 64))))
            (if (call $indirect) (then unreachable))
            (local.set $sum (i32.add (local.get $sum) (i32.load8_u (i32.const 64))))
            (if (i32.eqz (local.get $rounds)) (then (return_call $proc_exit (local.get $sum))))
            (return_call $again (i32.sub (local.get $rounds) (i32.const 1)) (local.get $sum)))
        (func (export "_start") (call $again (i32.const 4) (i32.const 0))))"#;
    let (machine, clock) = machine();
    let program = program(wat);
    for command in both_slices(Command::new("tail")) {
        let (reader, writer) = pipe(1);
        let guest = program.start(&machine, command.stdin(Arc::new(reader))).unwrap();
        let mut byte = 0;
        let feed = core::future::poll_fn(move |task| {
            while byte < 10 {
                match crate::io::OutputStream::poll_write(&writer, task, &[byte]) {
                    core::task::Poll::Ready(written) => byte += written.unwrap() as u8,
                    core::task::Poll::Pending => return core::task::Poll::Pending,
                }
            }
            core::task::Poll::Ready(Outcome::Exited(0))
        });
        let both: [Pin<Box<dyn Future<Output = Outcome>>>; 2] = [Box::pin(guest), Box::pin(feed)];
        assert_eq!(run_all(&clock, both.into())[0], Outcome::Exited((0..10).sum()));
    }
}

#[test]
fn guests_that_are_joined_by_a_pipe_run_side_by_side() {
    let (machine, clock) = machine();
    let program = program(&command(COPY));
    let megabytes = 100;
    let bytes: Vec<u8> = (0..megabytes << 20).map(|byte: u32| (byte ^ byte >> 9) as u8).collect();
    let (reader, writer) = pipe(64 << 10);
    let kept = Arc::new(BytesOutput::new(None));
    let limits = Limits::default();
    let from = Command::new("from").stdin(Arc::new(BytesInput::new(bytes.clone()))).stdout(Arc::new(writer));
    let to = Command::new("to").stdin(Arc::new(reader)).stdout(kept.clone());
    let guests = [from, to].map(|command| {
        let run = program.start(&machine, command.limits(limits)).unwrap();
        Box::pin(run) as Pin<Box<dyn Future<Output = Outcome>>>
    });
    assert_eq!(run_all(&clock, guests.into()), [Outcome::Exited(0), Outcome::Exited(0)]);
    assert!(kept.take() == bytes);
}

#[test]
fn writing_to_nobody_fails_and_reading_from_nobody_ends() {
    let (machine, clock) = machine();
    let program = program(&command(COPY));
    let (reader, writer) = pipe(10);
    let writes = Command::new("writes").input(vec![1; 100]).stdout(Arc::new(writer));
    drop(reader);
    // EPIPE is 64, the status that the program gives it.
    assert_eq!(outcome(&machine, &clock, &program, writes), Outcome::Exited(64));
    let (reader, writer) = pipe(10);
    drop(writer);
    assert!(outcome(&machine, &clock, &program, Command::new("reads").stdin(Arc::new(reader))).success());
}

#[test]
fn the_end_frees_all_unless_it_is_to_be_left() {
    let (machine, clock) = machine();
    let program = program(&command(""));
    for (leaving, left) in [(false, 1), (true, 2)] {
        let stdout = Arc::new(BytesOutput::new(None));
        let mut guest = program.start(&machine, Command::new("test").stdout(stdout.clone())).unwrap();
        if leaving {
            guest = guest.leaving_all();
        }
        assert_eq!(run(&clock, guest), Outcome::Exited(0));
        assert_eq!(Arc::strong_count(&stdout), left);
    }
}

#[test]
fn many_runs_of_one_program_at_once_do_not_touch_each_other() {
    let (machine, clock) = machine();
    let program = program(&command(COPY));
    let inputs: Vec<Vec<u8>> = (0..200_usize).map(|index| vec![index as u8; index * 97]).collect();
    let guests = inputs.iter().map(|input| {
        let command = Command::new("copy").input(input.clone()).slice_fuel(50);
        Box::pin(program.output(&machine, command))
            as Pin<Box<dyn Future<Output = Result<Output, StartError>>>>
    });
    let outputs = run_all(&clock, guests.collect());
    for (input, output) in inputs.iter().zip(outputs) {
        let output = output.unwrap();
        assert!(output.outcome.success() && output.stdout == *input);
    }
}

#[test]
fn a_session_answers_again_and_again() {
    let (machine, clock) = machine();
    let program = program(&command(COPY));
    for command in both_slices(Command::new("echo")) {
        let mut session = program.session(&machine, command).unwrap();
        let outcome = run(&clock, async {
            for round in 0..1_000 {
                let request = format!("request {round}\n");
                session.write_all(request.as_bytes()).await.unwrap();
                assert_eq!(session.read_until(b'\n', 100).await.unwrap(), request.as_bytes());
            }
            assert_eq!(session.outcome(), None);
            session.write_all(b"two\nlines\nand no end").await.unwrap();
            assert_eq!(session.read_until(b'\n', 100).await.unwrap(), b"two\n");
            session.close_stdin();
            assert_eq!(session.read_until(b'?', 3).await, Err(crate::Error::Overflow));
            assert_eq!(session.read_until(b'?', 100).await.unwrap(), b"lines\nand no end");
            assert_eq!(session.read(&mut [0; 4]).await, Ok(0));
            assert!(session.write_all(b"x").await.is_err());
            session.finish().await
        });
        assert_eq!(outcome, Outcome::Exited(0));
    }
}
