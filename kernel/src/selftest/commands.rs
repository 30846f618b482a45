//! What one run of a command takes in the machine, from the call to the collected output: no test, but what `tools/bench` measures
//! (`measure=commands`), beside its peers under Linux. The commands are the initrd's `commands/*.wasm`.

use super::{guests, machine};
use crate::{arch, executor, init, logger};
use wasi::{Command, Program, types::Nanoseconds};

/// What all runs of a turn take together, at least.
const TURN: Nanoseconds = 100_000_000;
const TURNS: usize = 9;

/// Measures each command (the median of some turns), reports it as `NAME NANOSECONDS`, and ends the machine.
pub(super) fn measure() -> ! {
    let engine = init::engine();
    let wasi_machine = guests::wasi_machine();
    for (name, wasm) in guests::programs("commands/") {
        let program = Program::new(&engine, wasm).expect("a program");
        let turn = |count: Nanoseconds| {
            let start = machine().clock.monotonic();
            for _ in 0..count {
                let run = program.output(&wasi_machine, Command::new("hello").arg("0"));
                let output = executor::block_on(run).expect("it starts");
                assert!(output.outcome.success() && output.stdout == b"hello\n", "{name}: {output:?}");
            }
            machine().clock.monotonic().saturating_sub(start)
        };
        let mut count = 1;
        while turn(count) < TURN {
            count *= 2;
        }
        let mut turns: [_; TURNS] = core::array::from_fn(|_| turn(count) / count);
        turns.sort_unstable();
        logger::write(format_args!("{name} {}\n", turns[TURNS / 2]));
    }
    arch::exit(manifest::debug_exit::ENDED)
}
