//! WASI for programs on wasmi, with no operating system underneath: `no_std + alloc`, no machine, and no
//! globals but the account of the [`heap`] and, with the feature `tls`, the generator of its handshakes.
//!
//! The semantics live once, in the core modules ([`filesystem`], [`io`], [`clocks`], [`random`], …); the faces over
//! them (preview 1, and 0.2 with the feature `components`) only decode a guest's bytes, call the core and spell its errors. A machine is a few traits:
//! [`clocks::Clock`], [`random::Entropy`], [`io::InputStream`], [`io::OutputStream`] and [`filesystem::Node`].
//!
//! # Running a program
//!
//! Compile once, run as often as you like, one after the other or side by side. A run is a future: any executor will do.
//! On a hosted system (feature `std`) `hosted` has the machine and a `block_on`; elsewhere they are the
//! embedder's.
//!
#![cfg_attr(feature = "std", doc = "```")]
#![cfg_attr(not(feature = "std"), doc = "```ignore")]
//! use std::time::Duration;
//! use wasi::{Command, Engine, Limits, Outcome, Program, hosted};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let wasm = wat::parse_str(r#"(module
//! #     (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
//! #     (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
//! #     (memory (export "memory") 1) (data (i32.const 0) "\10\00\00\00\80\00\00\00")
//! #     (func (export "_start") (loop $again
//! #         (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 4)))
//! #         (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
//! #         (br_if $again (i32.load (i32.const 4))))))"#)?;
//! // `wasm`: the bytes of a program built for wasm32-wasip1; this one is `cat`.
//! let program = Program::new(&Engine::new(), &wasm)?;
//! let machine = hosted::machine();
//! let limits = Limits::default().with_memory(16 << 20).with_time(Duration::from_secs(60));
//!
//! // A run with its output kept: no environment, no directories, no more than it is given here.
//! let command = Command::new("cat").arg("-u").env("LANG", "C").limits(limits);
//! let output = hosted::block_on(program.output(&machine, command.clone().input("hello\n")))?;
//! assert_eq!(output.outcome, Outcome::Exited(0));
//! assert_eq!(output.stdout, b"hello\n");
//!
//! // A session with a program that stays: requests in, answers out.
//! let mut session = program.session(&machine, command)?;
//! hosted::block_on(async {
//!     for request in ["one\n", "two\n"] {
//!         session.write_all(request.as_bytes()).await?;
//!         assert_eq!(session.read_until(b'\n', 4096).await?, request.as_bytes());
//!     }
//!     wasi::Result::Ok(())
//! })?;
//! assert!(hosted::block_on(session.finish()).success());
//! # Ok(())
//! # }
//! ```
//!
//! # Building
//!
//! wasmi goes from instruction to instruction by tail calls when it is optimised. With debug assertions these are none,
//! and a guest that runs long enough overflows the host's stack: so whoever sets `opt-level` for a profile with
//! debug assertions also sets `[profile.dev.package.wasmi]` with `debug-assertions = false` and `overflow-checks = false`. The
//! plain `dev` profile (`opt-level = 0`) is safe, and slow; `release` is as it should be.
#![no_std]

extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

pub mod call;
pub mod cli;
pub mod clocks;
mod driver;
mod engine;
pub mod error;
pub mod filesystem;
pub mod guest;
pub mod heap;
#[cfg(feature = "std")]
pub mod hosted;
pub mod http;
pub mod io;
pub mod limits;
pub mod memory;
pub mod preview1;
#[cfg(feature = "components")]
pub mod preview2;
pub mod program;
pub mod random;
pub mod runner;
#[cfg(feature = "components")]
pub mod serve;
pub mod sockets;
#[cfg(test)]
mod testing;
#[cfg(feature = "tls")]
pub mod tls;
mod turn;
pub mod types;

pub use cli::{Command, Machine};
pub use driver::Outcome;
pub use engine::Engine;
pub use error::{Error, Result};
pub use limits::{Limit, Limits, Need};
pub use program::{Program, Refusal, StartError};
pub use runner::{Output, Run, Session};

/// The README's example, compiled as a test.
#[cfg(all(doctest, feature = "std"))]
#[doc = include_str!("../../README.md")]
struct Readme;
