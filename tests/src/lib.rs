//! What crosses crates or boots a machine: guests, the hosts that run them, conformance.
//!
//! A guest is a program in `guests/` (Rust, C) or `wat/`, with an expectation beside it ([`case`]). A [`host`] runs
//! it: [`hosted`] in this process, [`qemu`] through `sisal run`; the same case runs in both, with the same
//! expectation. Unit tests live beside the code they test, not here.

pub mod bytes;
pub mod case;
pub mod fuzz;
pub mod guests;
pub mod host;
pub mod hosted;
pub mod hostile;
pub mod kernel;
pub mod machine;
pub mod qemu;
pub mod sabotage;
pub mod tree;
