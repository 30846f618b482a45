//! The component model on wasmi: `no_std + alloc`, no machine, and no word of WASI.
//!
//! A component is decoded and validated once ([`Component`]), linked once against what the host offers ([`Linker`]), and then
//! evaluated for every run: its definitions are walked in order, each index space holding run-time values. Nothing is
//! flattened beforehand.
//!
//! A call from one component into another nests no Rust calls: an [`Execution`] keeps an explicit stack of activations, so a
//! guest can wait, run out of fuel and go on at every depth, with no native stack of its own.
//!
//! Host functions are typed closures in poll style ([`func`](host::InterfaceBuilder::func)), checked against what the component declares when
//! it is linked.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod abi;
mod decode;
mod definitions;
pub mod error;
mod evaluation;
pub mod execution;
pub mod handles;
pub mod host;
mod link;
pub mod modules;
mod start;
pub mod typed;
pub mod types;
pub mod value;

pub use error::{InstantiationError, LinkError, LoadError, Trap};
pub use execution::{Execution, ExportedFunction, Progress, State};
pub use host::{Call, Host, HostData, Linker};
pub use link::{Component, Linked};
pub use modules::{CoreModule, Modules, PlainModules};
pub use typed::{Borrow, Lift, Lower, Own};
pub use types::{FunctionType, Type};
pub use value::Value;
