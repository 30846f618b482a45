//! Powering off. [`crate::arch::exit`] decides when; this module knows how.
//!
//! With ACPI: the sleep state S5, on a PC through the PM1 control registers, on a machine with reduced hardware (microvm)
//! through its sleep control register. A machine without ACPI (microvm with `acpi=off`, Firecracker) has no power switch;
//! its convention is that a reset ends it: run QEMU with `-no-reboot`.

use crate::acpi::{SoftOff, Tables};
use core::arch::asm;
use spin::Once;
use x86_64::{VirtAddr, instructions::port::Port, structures::DescriptorTablePointer};

/// In a PM1 control register: ACPI, not the firmware, has the power.
const SCI_ENABLED: u16 = 1;
/// The sleep type's place, and the bit that starts the sleep, in PM1 control and in sleep control.
const PM1_SLEEP_TYPE: u32 = 10;
const PM1_SLEEP: u16 = 1 << 13;
const SLEEP_TYPE: u32 = 2;
const SLEEP: u8 = 1 << 5;

/// More looks at a port than a firmware needs to hand it over.
const PATIENCE: usize = 100_000;

/// `None` inside: there is no ACPI.
static SWITCH: Once<Option<SoftOff>> = Once::new();

/// Learns how to power this machine off.
pub fn init(acpi: Option<&Tables>) {
    let switch = acpi.map(Tables::soft_off);
    if let Some(None) = switch {
        log::warn!("ACPI does not say how to power off: the machine will halt at its end");
        return;
    }
    SWITCH.call_once(|| switch.flatten());
}

/// Powers off. Returns if the machine does not obey: false if it was not told to, as nobody knows how.
pub fn off() -> bool {
    match SWITCH.get() {
        Some(Some(SoftOff::Pm1 { control, enable })) => {
            for (port, sleep_type) in control.iter().flatten() {
                let mut port = Port::<u16>::new(*port);
                // SAFETY: the ports are those of the ACPI tables; the machine is meant to end here.
                unsafe {
                    take_over(&mut port, *enable);
                    port.write(u16::from(*sleep_type) << PM1_SLEEP_TYPE | PM1_SLEEP);
                }
            }
        }
        Some(Some(SoftOff::SleepControl { register, sleep_type })) => {
            register.write(0, sleep_type << SLEEP_TYPE | SLEEP);
        }
        Some(None) => reset(),
        None => return false,
    }
    true
}

/// Has the firmware hand PM1 over, if it has it.
///
/// # Safety
/// The ports are those of the ACPI tables.
unsafe fn take_over(control: &mut Port<u16>, enable: Option<(u16, u8)>) {
    let Some((command, value)) = enable else { return };
    // SAFETY: as the caller says.
    unsafe {
        if control.read() & SCI_ENABLED == 0 {
            Port::new(command).write(value);
            for _ in 0..PATIENCE {
                if control.read() & SCI_ENABLED != 0 {
                    return;
                }
            }
        }
    }
}

/// Resets: by the keyboard controller, else by a fault that nobody can handle.
fn reset() {
    const KEYBOARD_CONTROLLER: u16 = 0x64;
    const PULSE_RESET: u8 = 0xfe;
    let nothing = DescriptorTablePointer { limit: 0, base: VirtAddr::zero() };
    // SAFETY: the machine is meant to end here.
    unsafe {
        Port::new(KEYBOARD_CONTROLLER).write(PULSE_RESET);
        x86_64::instructions::tables::lidt(&nothing);
        asm!("ud2", options(noreturn));
    }
}
