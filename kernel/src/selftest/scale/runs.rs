//! Ten thousand runs in one boot, a third of them killed, by each kind of trap and limit and by being dropped.

use super::{Random, command, compile, finish, median, now, program, sleep, taken};
use crate::executor::yield_now;
use crate::selftest::{guests, selftest};
use crate::{executor, logger};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;
use wasi::io::pipe;
use wasi::{Command, Engine, Limit, Limits, Outcome, Output, Program, StartError};

selftest! { ten_thousand_runs_leave_nothing_and_do_not_slow_down }

const RUNS: usize = 10_000;
/// How many runs are compared with as many others.
const SPAN: usize = 1_000;

/// A way to go, and what is seen of it.
struct Way {
    name: &'static str,
    program: Program,
    limits: Limits,
    end: End,
}

enum End {
    Outcome(Outcome),
    /// A trap with this text in its message, after this limit.
    Trap(&'static str, Option<Limit>),
    /// Not even started.
    Refused(Limit),
    /// Dropped after it has had this many turns, each of them at least so long in milliseconds.
    Dropped(usize, u64),
}

impl Way {
    fn command(&self) -> Command {
        command(self.name, 64 << 10).limits(self.limits)
    }

    /// Runs it, as a task of its own.
    fn run(&self) {
        let (program, machine, command) = (self.program.clone(), guests::wasi_machine(), self.command());
        // Nobody writes to it.
        let (reader, _writer) = pipe(16);
        let command = command.stdin(Arc::new(reader));
        let task = executor::spawn(async move { program.output(&machine, command).await });
        if let End::Dropped(turns, milliseconds) = self.end {
            executor::block_on(async {
                for _ in 0..turns {
                    yield_now().await;
                    if milliseconds > 0 {
                        sleep(Duration::from_millis(milliseconds)).await;
                    }
                }
                assert!(!task.is_finished(), "{} goes on for ever", self.name);
                assert!(task.cancel().await.is_none());
            });
            return;
        }
        let ended = finish(self.name, task);
        // Its output may be large.
        let outcome = ended.as_ref().map(|output| &output.outcome);
        assert!(self.end.is(&ended), "{} with {:?}: {outcome:?}", self.name, self.limits);
    }
}

impl End {
    fn is(&self, ended: &Result<Output, StartError>) -> bool {
        match (self, ended) {
            (Self::Outcome(expected), Ok(Output { outcome, .. })) => expected == outcome,
            (Self::Trap(text, limit), Ok(Output { outcome: Outcome::Trapped { message, after }, .. })) => {
                message.contains(text) && limit == after
            }
            (Self::Refused(expected), Err(StartError::Limit(limit))) => expected == limit,
            _ => false,
        }
    }
}

/// The ways to be killed.
fn ways() -> Vec<Way> {
    let limits = Limits::default();
    let millisecond = Duration::from_millis(1);
    let exits = |status| End::Outcome(Outcome::Exited(status));
    let reaches = |limit| End::Outcome(Outcome::LimitReached(limit));
    let trap = |text| End::Trap(text, None);
    let (memory, elements) = (16 << 16, 30);
    let ways = [
        ("exit", limits, exits(7)),
        ("unreachable", limits, trap("unreachable")),
        ("bounds", limits, trap("out of bounds")),
        ("divide", limits, trap("divide by zero")),
        ("convert", limits, trap("integer overflow")),
        ("indirect", limits, trap("uninitialized element")),
        ("recursion", limits, reaches(Limit::Stack)),
        ("endless", limits.with_fuel(10_000), reaches(Limit::Fuel(10_000))),
        ("endless", limits.with_time(millisecond), reaches(Limit::Time(millisecond))),
        ("wait", limits.with_time(millisecond), reaches(Limit::Time(millisecond))),
        ("sleep", limits.with_time(millisecond), reaches(Limit::Time(millisecond))),
        ("memory", limits.with_memory(memory), End::Trap("unreachable", Some(Limit::Memory(memory)))),
        (
            "table",
            limits.with_table_elements(elements),
            End::Trap("unreachable", Some(Limit::TableElements(elements))),
        ),
        ("nothing", limits.with_memory(1 << 16), End::Refused(Limit::Memory(1 << 16))),
        ("nothing", limits.with_descriptors(2), End::Refused(Limit::Descriptors(2))),
        ("output", limits.with_output(1_000), exits(51)),
        ("descriptors", limits.with_descriptors(20), exits(33)),
        ("disk", limits, exits(51)),
        ("endless", limits, End::Dropped(3, 0)),
        ("wait", limits, End::Dropped(2, 0)),
        ("sleep", limits, End::Dropped(1, 0)),
        ("sleep", limits, End::Dropped(1, 1)),
        ("sleep", limits, End::Dropped(0, 0)),
    ];
    let engine = Engine::new().stack(1_000, 64 << 10);
    let way = |(name, limits, end)| Way { name, program: compile(&engine, name), limits, end };
    ways.into_iter().map(way).collect()
}

fn ten_thousand_runs_leave_nothing_and_do_not_slow_down() {
    let start = now();
    let hello = Way {
        name: "hello",
        program: program("hello"),
        limits: Limits::default(),
        end: End::Outcome(Outcome::Exited(0)),
    };
    let ways = ways();
    // The first of each leaves what stays: translated code, and queues as long as they will ever be.
    for way in ways.iter().chain([&hello]) {
        way.run();
    }
    // How long those runs take that end by themselves: all of them do the same.
    let mut durations = [Vec::with_capacity(SPAN), Vec::with_capacity(SPAN)];
    let before = taken();
    let mut random = Random(0x2026_1121);
    let mut killed = 0;
    for run in 0..RUNS {
        let way = match random.below(3) {
            0 => &ways[random.below(ways.len() as u64) as usize],
            _ => &hello,
        };
        let start = now();
        way.run();
        let duration = now() - start;
        if !core::ptr::eq(way, &hello) {
            killed += 1;
        } else if run < SPAN {
            durations[0].push(duration);
        } else if run >= RUNS - SPAN {
            durations[1].push(duration);
        }
    }
    let after = taken();
    assert_eq!(before, after, "after {RUNS} runs, {killed} of them killed");
    let [first, last] = durations.each_mut().map(|durations| median(durations));
    logger::write(format_args!(
        "measured {RUNS} runs, {killed} killed: {} ms; a run in the first thousand {} us, in the last {} us\n",
        (now() - start) / 1_000_000,
        first / 1_000,
        last / 1_000
    ));
    // The median: the host may stop the machine in some of the runs. A leak that slows down (a queue that grows, a list that
    // is walked) is there in all of them.
    assert!(last < 2 * first, "a run takes {last} ns, and took {first} ns at first");
}
