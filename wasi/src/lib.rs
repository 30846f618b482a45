//! WASI for programs on wasmi, with no operating system underneath: `no_std + alloc`, no globals, no machine.
//!
//! The semantics live once, in the core modules ([`filesystem`], [`io`], [`clocks`], [`random`], …); the faces over
//! them (preview 1 today) only decode a guest's bytes, call the core and spell its errors. A machine is a few traits:
//! [`clocks::Clock`], [`random::Entropy`], [`io::InputStream`], [`io::OutputStream`] and [`filesystem::Node`].
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
#[cfg(feature = "std")]
pub mod hosted;
pub mod io;
pub mod limits;
pub mod memory;
pub mod preview1;
pub mod program;
pub mod random;
pub mod runner;
#[cfg(test)]
mod testing;
mod turn;
pub mod types;

pub use cli::{Command, Machine};
pub use driver::Outcome;
pub use engine::Engine;
pub use error::{Error, Result};
pub use limits::{Limit, Limits};
pub use program::{Program, Refusal, StartError};
pub use runner::{Output, Run, Session};
