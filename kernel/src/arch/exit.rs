//! The end of the machine.

use crate::logger;
use core::hint::spin_loop;
use manifest::debug_exit;
use spin::Once;
use x86_64::instructions::port::Port;
use x86_64::instructions::{hlt, interrupts};

static POWER_OFF: Once<fn()> = Once::new();

/// How many turns of a waiting loop a machine may take to power off: seconds.
const PATIENCE: u32 = 10_000_000;

/// Says how to power off the machine (ACPI).
pub fn set_power_off(power_off: fn()) {
    POWER_OFF.call_once(|| power_off);
}

/// Powers the machine off, which is success to the host: no code can say that by `isa-debug-exit`. A machine that does not
/// obey ends as by [`exit`].
pub fn power_off(code: u16) -> ! {
    interrupts::disable();
    if let Some(power_off) = POWER_OFF.get() {
        power_off();
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
    if let Some(power_off) = POWER_OFF.get() {
        power_off();
    }
    logger::emergency(format_args!("machine halted\n"));
    loop {
        hlt();
    }
}
