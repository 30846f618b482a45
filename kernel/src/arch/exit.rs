//! The end of the machine.

use crate::{logger, power};
use core::hint::spin_loop;
use manifest::debug_exit;
use x86_64::instructions::port::Port;
use x86_64::instructions::{hlt, interrupts};

/// How many turns of a waiting loop a machine may take to power off: seconds.
const PATIENCE: u32 = 10_000_000;

/// Powers the machine off, which is success to the host: no code can say that by `isa-debug-exit`. A machine that does not
/// obey ends as by [`exit`].
pub fn power_off(code: u16) -> ! {
    interrupts::disable();
    if power::off() {
        // The machine goes on until QEMU's main loop comes to it.
        (0..PATIENCE).for_each(|_| spin_loop());
    }
    exit(code)
}

/// Ends the machine: by `isa-debug-exit`, which tells the host `code`; else by powering off; else it stops.
pub fn exit(code: u16) -> ! {
    interrupts::disable();
    // SAFETY: the device's port; a machine without it ignores the write.
    unsafe { Port::new(debug_exit::PORT).write(code) };
    power::off();
    logger::emergency(format_args!("machine halted\n"));
    loop {
        hlt();
    }
}
