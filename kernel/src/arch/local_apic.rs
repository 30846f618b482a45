//! The processor's local interrupt controller (Intel SDM volume 3, chapter 11) and its one-shot timer.
//!
//! Eight of its registers, so a driver of our own: the crate for it (`x2apic`) calls itself experimental and brings an
//! old copy of two others along. The registers are used where they are mapped (xAPIC), which every machine starts with.

use super::interrupts;
use crate::registers::Registers;
use spin::Once;
use x86_64::instructions::port::Port;
use x86_64::registers::model_specific::Msr;

/// The vector of the timer.
pub const TIMER_VECTOR: u8 = 0xf0;
/// The vector of interrupts that went away before they were taken. They want no end-of-interrupt.
pub const SPURIOUS_VECTOR: u8 = 0xff;

/// The model-specific register that says where the registers are, and the bits of the address in it.
const APIC_BASE: u32 = 0x1b;
const APIC_BASE_ADDRESS: u64 = 0x000f_ffff_ffff_f000;
const REGISTERS_LEN: usize = 0x400;

/// Registers, by offset.
const ID: usize = 0x20;
const END_OF_INTERRUPT: usize = 0xb0;
const SPURIOUS: usize = 0xf0;
const LINT0: usize = 0x350;
const LINT1: usize = 0x360;
const TIMER: usize = 0x320;
const TIMER_INITIAL: usize = 0x380;
const TIMER_CURRENT: usize = 0x390;
const TIMER_DIVIDE: usize = 0x3e0;

/// Of [`SPURIOUS`]: the controller is on.
const ENABLED: u32 = 1 << 8;
/// Of the local vector table: this source does not interrupt.
const MASKED: u32 = 1 << 16;
/// Of [`TIMER_DIVIDE`]: the bus clock, undivided.
const DIVIDE_BY_1: u32 = 0b1011;

static REGISTERS: Once<Registers> = Once::new();

/// Turns the controller on, and the older ones (8259) off. The timer is set up and does not run.
pub fn init() {
    for data_port in [0x21, 0xa1] {
        // SAFETY: the masks of the two 8259s; a machine without them ignores the writes.
        unsafe { Port::<u8>::new(data_port).write(0xff) };
    }
    // SAFETY: every processor with a local APIC, that is every one in 64-bit mode, has this register.
    let base = unsafe { Msr::new(APIC_BASE).read() } & APIC_BASE_ADDRESS;
    let registers = REGISTERS.call_once(|| Registers::map(base, REGISTERS_LEN));
    registers.write(SPURIOUS, ENABLED | u32::from(SPURIOUS_VECTOR));
    registers.write(LINT0, MASKED);
    registers.write(LINT1, MASKED);
    registers.write(TIMER_DIVIDE, DIVIDE_BY_1);
    registers.write(TIMER, u32::from(TIMER_VECTOR));
    interrupts::register(SPURIOUS_VECTOR, || {});
    // It only ends a sleep: whoever slept looks at the clock.
    interrupts::register(TIMER_VECTOR, || {});
}

/// Tells the controller that the interrupt in service has been handled.
pub(super) fn end_of_interrupt() {
    if let Some(registers) = REGISTERS.get() {
        registers.write(END_OF_INTERRUPT, 0u32);
    }
}

/// The processor's number, to which interrupts are sent.
pub fn id() -> u32 {
    REGISTERS.get().map_or(0, |registers| registers.read::<u32>(ID) >> 24)
}

/// Has the timer interrupt once, with [`TIMER_VECTOR`], after `count` ticks of the bus clock; 0 stops it.
pub fn set_timer(count: u32) {
    if let Some(registers) = REGISTERS.get() {
        registers.write(TIMER_INITIAL, count);
    }
}

/// The ticks that the timer has left.
pub fn timer() -> u32 {
    REGISTERS.get().map_or(0, |registers| registers.read(TIMER_CURRENT))
}
