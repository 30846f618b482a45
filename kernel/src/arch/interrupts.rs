//! Interrupts: who handles which vector, and when they are let in.
//!
//! They are open only inside [`wait`] and [`poll`]. So a handler never runs in the middle of other code, and
//! nothing that it shares with the rest needs more care than that. What a handler should do is little: note what
//! happened and wake who waits.

use super::exceptions::FIRST_INTERRUPT;
use super::{io_apic, local_apic};
use core::ops::Range;
use spin::Mutex;
use x86_64::instructions::interrupts;

/// What handles an interrupt.
pub type Handler = fn();

static HANDLERS: Mutex<[Option<Handler>; 256]> = Mutex::new([None; 256]);

/// Calls the handler of `vector`; false if there is none.
pub(super) fn dispatch(vector: u8) -> bool {
    let handler = HANDLERS.lock()[usize::from(vector)];
    if let Some(handler) = handler {
        handler();
    }
    if vector != local_apic::SPURIOUS_VECTOR {
        local_apic::end_of_interrupt();
    }
    handler.is_some()
}

/// Makes `handler` the one for `vector`.
pub fn register(vector: u8, handler: Handler) {
    assert!(vector >= FIRST_INTERRUPT, "vector {vector} is an exception's");
    HANDLERS.lock()[usize::from(vector)] = Some(handler);
}

/// The vectors that [`allocate_vector`] gives away; those above are the local APIC's own.
const DEVICE_VECTORS: Range<u8> = FIRST_INTERRUPT..local_apic::TIMER_VECTOR;

/// Gives `handler` a vector of its own, for messages (MSI-X). `None` if all are taken.
pub fn allocate_vector(handler: Handler) -> Option<u8> {
    let mut handlers = HANDLERS.lock();
    let vector = DEVICE_VECTORS.into_iter().find(|&vector| handlers[usize::from(vector)].is_none())?;
    handlers[usize::from(vector)] = Some(handler);
    Some(vector)
}

/// Makes `handler` the one for an interrupt line of the machine. `None` if there is no such line or no vector left.
pub fn register_line(line: u32, handler: Handler) -> Option<()> {
    io_apic::route(line, allocate_vector(handler)?)
}

/// Sleeps until an interrupt has been handled. One that is pending already ends the sleep at once: what the
/// caller checked before calling cannot be missed.
pub fn wait() {
    interrupts::enable_and_hlt();
    interrupts::disable();
}

/// Lets pending interrupts in.
pub fn poll() {
    interrupts::enable();
    // One instruction after `sti` before interrupts are taken.
    x86_64::instructions::nop();
    interrupts::disable();
}
