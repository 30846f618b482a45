//! The end of the machine.

use crate::logger;
use manifest::debug_exit;
use spin::Once;
use x86_64::instructions::port::Port;
use x86_64::instructions::{hlt, interrupts};

static POWER_OFF: Once<fn()> = Once::new();

/// Says how [`exit`] powers off a machine that has no `isa-debug-exit` (ACPI).
pub fn set_power_off(power_off: fn()) {
    POWER_OFF.call_once(|| power_off);
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
