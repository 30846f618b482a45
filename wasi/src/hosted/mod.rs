//! A hosted system as a [`Machine`] (feature `std`): clocks, entropy, stdio, homes for linear memories, and
//! `block_on`. Many programs at once: `block_on(join_all(runs))` on one thread, or a [`Run`](crate::Run) per thread.

mod clock;
mod entropy;
#[cfg(all(feature = "lazy-zero", target_os = "linux", target_env = "gnu"))]
mod lazy_zero;
#[cfg(unix)]
mod memories;
mod session;
mod stdio;

pub use clock::SystemClock;
pub use entropy::SystemEntropy;
pub use futures_executor::block_on;
pub use futures_util::future::join_all;
#[cfg(unix)]
pub use memories::MappedMemories;
pub use session::BlockingSession;
pub use stdio::{Stderr, Stdin, Stdout};

use crate::Machine;
use alloc::sync::Arc;

/// This process's system as a machine.
pub fn machine() -> Machine {
    Machine {
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        #[cfg(unix)]
        memories: Some(Arc::new(MappedMemories)),
        #[cfg(not(unix))]
        memories: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Command, Limit, Limits, Outcome, io::pipe, testing::program};
    use alloc::vec::Vec;
    use core::time::Duration;
    use std::io::Write;

    /// Copies stdin to stdout.
    const CAT: &str = r#"(module
        (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 40) (data (i32.const 0) "\10\00\00\00\80\00\00\00")
        (func (export "_start") (loop $again
            (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 4)))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
            (br_if $again (i32.load (i32.const 4))))))"#;

    #[test]
    fn programs_run_on_one_thread_and_on_many() {
        let (program, machine) = (program(CAT), machine());
        let outputs = block_on(join_all(
            (0..20_u8).map(|index| program.output(&machine, Command::new("cat").input([index; 1_000]))),
        ));
        for (index, output) in (0..20_u8).zip(outputs) {
            let output = output.unwrap();
            assert_eq!(output.outcome, Outcome::Exited(0));
            // It writes the whole buffer even when less was read.
            assert!(output.stdout.starts_with(&[index; 128]));
        }
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let run = program.start(&machine, Command::new("cat").input([1; 1_000])).unwrap();
                std::thread::spawn(move || block_on(run))
            })
            .collect();
        assert!(threads.into_iter().all(|thread| thread.join().unwrap().success()));
    }

    #[test]
    fn the_clocks_thread_rings_for_a_guest_that_waits() {
        let (program, machine) = (program(CAT), machine());
        let (stdin, _writer) = pipe(1);
        let time = Duration::from_millis(30);
        let command = Command::new("cat").stdin(Arc::new(stdin)).limits(Limits::default().with_time(time));
        let run = program.start(&machine, command).unwrap();
        assert_eq!(block_on(run), Outcome::LimitReached(Limit::Time(time)));
    }

    #[test]
    fn a_session_can_block() {
        let (program, machine) = (program(CAT), machine());
        let mut session = BlockingSession::new(program.session(&machine, Command::new("cat")).unwrap());
        for _ in 0..3 {
            session.write_all(&[7; 128]).unwrap();
            let mut answer = [0; 128];
            std::io::Read::read_exact(&mut session, &mut answer).unwrap();
            assert_eq!(answer, [7; 128]);
        }
        assert!(session.finish().success());
    }
}
