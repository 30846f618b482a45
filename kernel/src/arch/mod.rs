//! The processor: segments and stacks, exceptions, interrupts, the end of the machine, and the memory functions
//! that the compiler calls.

mod exceptions;
mod exit;
pub mod interrupts;
mod intrinsics;
pub mod io_apic;
pub mod local_apic;
#[cfg(feature = "selftest")]
pub mod probe;
mod segments;

pub use exit::{exit, power_off};
pub use intrinsics::fill;

/// Sets up what the processor needs before anything may go wrong: after this, a fault is reported.
pub fn init() {
    segments::init();
    exceptions::init();
}
