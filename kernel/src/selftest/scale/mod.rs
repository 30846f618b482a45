//! Many guests: ten thousand in turn, a thousand at once, and some that take all they can get beside others that want
//! to be served in time. On a machine of their own (`selftest=scale::`): together they take half a minute.
//!
//! What is measured goes to the log, in lines that begin with `measured`; what is asserted holds on a host that is busy with
//! others, which may stop the machine for tens of milliseconds at any time.

mod crowd;
mod runs;
mod turns;

use super::{guests, machine, patiently};
use crate::{executor, memory};
use core::future::{Future, poll_fn};
use core::task::Poll;
use core::time::Duration;
use wasi::clocks::Timer;
use wasi::filesystem::Permissions;
use wasi::filesystem::memory::MemoryFileSystem;
use wasi::{Command, Engine, Limits, Program};

/// A program of tests/src/scale.rs.
fn program(name: &str) -> Program {
    compile(&Engine::new(), name)
}

fn compile(engine: &Engine, name: &str) -> Program {
    let found = guests::programs("scale/").into_iter().find(|(found, _)| found == name);
    let (_, bytes) = found.unwrap_or_else(|| panic!("the initrd has no scale/{name}.wasm"));
    Program::new(engine, bytes).expect("a program")
}

/// With a directory in memory that holds this many bytes.
fn command(name: &str, quota: u64) -> Command {
    let files = MemoryFileSystem::new(machine().clock.clone(), quota, 1).expect("a file system");
    Command::new(name)
        .preopen("/t", files.root(), Permissions::ReadWrite)
        .limits(Limits::default().with_time(None))
}

/// Waits.
fn sleep(time: Duration) -> impl Future<Output = ()> {
    let clock = machine().clock.clone();
    let deadline = clock.monotonic() + time.as_nanos() as u64;
    let mut timer = Timer::new(clock.timers().clone());
    poll_fn(move |task| {
        if clock.monotonic() >= deadline {
            return Poll::Ready(());
        }
        timer.set(deadline, task.waker().clone());
        Poll::Pending
    })
}

/// Runs the guest `name` to its end, and the others meanwhile.
fn finish<T>(name: &str, guest: impl Future<Output = T>) -> T {
    executor::block_on(patiently(name, guest))
}

/// All that guests take of the machine.
#[derive(Debug, PartialEq, Eq)]
struct Taken {
    heap: usize,
    promised: usize,
    slots: usize,
    timers: bool,
    tasks: usize,
}

fn taken() -> Taken {
    let stats = memory::stats();
    Taken {
        heap: stats.heap,
        promised: stats.total - stats.available,
        slots: stats.slots,
        timers: machine().clock.timers().next_deadline().is_some(),
        tasks: executor::ready(),
    }
}

/// The median; sorts.
fn median(values: &mut [u64]) -> u64 {
    percentile(values, 50)
}

/// The value that this many percent of them are not above; sorts.
fn percentile(values: &mut [u64], percent: usize) -> u64 {
    values.sort_unstable();
    values[(values.len() * percent / 100).min(values.len() - 1)]
}

/// Random numbers, the same in each boot (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// The clock that the tests measure with.
fn now() -> u64 {
    machine().clock.monotonic()
}

/// For a guest that reads it with `parameter`.
fn parameter(value: u32) -> [u8; 4] {
    value.to_le_bytes()
}
