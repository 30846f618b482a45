//! Page protections and the other faults: what must be forbidden is, and the report names it.

use super::selftest;
use crate::arch::probe::{Fault, attempt};
use crate::memory::Reservation;
use boot::image;
use core::arch::asm;
use x86_64::registers::control::{Cr0, Cr0Flags, Cr4, Cr4Flags, Efer, EferFlags};

const PAGE_FAULT: u8 = 14;
const GENERAL_PROTECTION: u8 = 13;
/// Bits of a page fault's error code.
const PRESENT: u64 = 1;
const WRITE: u64 = 2;
const FETCH: u64 = 16;

extern "C" fn read(address: u64) {
    // SAFETY: a byte is read into a register, nothing else; that it may fault is the point, and it runs in `attempt`.
    unsafe { asm!("mov al, [{0}]", in(reg) address, out("al") _, options(readonly, nostack)) }
}

extern "C" fn write(address: u64) {
    // SAFETY: as in `read`; the caller names an address whose content does not matter or that cannot be written.
    unsafe { asm!("mov byte ptr [{0}], 0xc3", in(reg) address, options(nostack)) }
}

extern "C" fn call(address: u64) {
    // SAFETY: the caller names an address that holds `ret`, or that cannot be executed.
    unsafe { asm!("call {0}", in(reg) address, clobber_abi("C")) }
}

fn page_fault(error: u64, address: u64) -> Result<(), Fault> {
    Err(Fault { vector: PAGE_FAULT, error, address })
}

selftest! { an_attempt_that_does_not_fault_succeeds nothing_is_mapped_at_address_0 no_identity_map_is_left
code_cannot_be_written constants_cannot_be_written data_cannot_be_executed memory_on_demand_cannot_be_executed
stacks_have_a_guard_page the_direct_map_cannot_be_executed other_exceptions_are_caught protections_are_on }

fn an_attempt_that_does_not_fault_succeeds() {
    assert_eq!(attempt(read, image::text().start), Ok(()));
    assert_eq!(attempt(call, just_return as *const () as u64), Ok(()));
}

extern "C" fn just_return() {}

fn nothing_is_mapped_at_address_0() {
    for address in [0, 1, 4095] {
        assert_eq!(attempt(read, address), page_fault(0, address));
        assert_eq!(attempt(write, address), page_fault(WRITE, address));
        assert_eq!(attempt(call, address), page_fault(FETCH, address));
    }
}

fn no_identity_map_is_left() {
    for address in [4096, 0x7c00, 1 << 20, 2 << 20, 16 << 20, 1 << 30, 0xfee0_0000] {
        assert_eq!(attempt(read, address), page_fault(0, address));
    }
}

fn code_cannot_be_written() {
    let text = image::text();
    for address in [text.start, text.start.midpoint(text.end), text.end - 1] {
        assert_eq!(attempt(read, address), Ok(()));
        assert_eq!(attempt(write, address), page_fault(PRESENT | WRITE, address));
    }
}

fn constants_cannot_be_written() {
    let address = image::rodata().start;
    assert_eq!(attempt(read, address), Ok(()));
    assert_eq!(attempt(write, address), page_fault(PRESENT | WRITE, address));
    assert_eq!(attempt(call, address), page_fault(PRESENT | FETCH, address));
}

fn data_cannot_be_executed() {
    static mut DATA: u8 = 0;
    let heap = alloc::boxed::Box::new(0u8);
    let stack = 0u8;
    for address in [(&raw const DATA) as u64, (&raw const *heap) as u64, (&raw const stack) as u64] {
        assert_eq!(attempt(write, address), Ok(()));
        assert_eq!(attempt(call, address), page_fault(PRESENT | FETCH, address));
    }
}

fn memory_on_demand_cannot_be_executed() {
    let mut memory = Reservation::new(1 << 20).expect("address space");
    assert!(memory.commit_leaving(1 << 20, 0));
    let address = memory.base().as_ptr() as u64;
    assert_eq!(attempt(write, address), Ok(()));
    assert_eq!(attempt(call, address), page_fault(PRESENT | FETCH, address));
}

fn stacks_have_a_guard_page() {
    let stacks = image::interrupt_stacks();
    for stack in stacks.iter().chain([&image::stack()]) {
        assert_eq!(attempt(read, stack.end - 8), Ok(()));
        assert_eq!(attempt(write, stack.start - 8), page_fault(WRITE, stack.start - 8));
    }
    assert!(matches!(attempt(recurse, 0), Err(Fault { vector: PAGE_FAULT, error: WRITE, .. })));
}

/// Overflows the boot stack.
extern "C" fn recurse(depth: u64) {
    let frame = [depth; 64];
    core::hint::black_box(&frame);
    if core::hint::black_box(true) {
        recurse(depth + 1);
    }
    core::hint::black_box(&frame);
}

fn the_direct_map_cannot_be_executed() {
    // Behind the image there is RAM on every machine.
    let address = crate::memory::direct_map(image::physical().end);
    assert_eq!(attempt(read, address), Ok(()));
    assert_eq!(attempt(call, address), page_fault(PRESENT | FETCH, address));
}

fn other_exceptions_are_caught() {
    extern "C" fn undefined(_: u64) {
        // SAFETY: raises an exception, nothing else.
        unsafe { asm!("ud2") }
    }
    extern "C" fn breakpoint(_: u64) {
        // SAFETY: as above.
        unsafe { asm!("int3") }
    }
    extern "C" fn divide(by: u64) {
        // SAFETY: as above.
        unsafe { asm!("div {0}", in(reg) by, inout("rax") 1u64 => _, inout("rdx") 0u64 => _) }
    }
    let vector = |result: Result<(), Fault>| result.map_err(|fault| fault.vector);
    assert_eq!(vector(attempt(undefined, 0)), Err(6));
    assert_eq!(vector(attempt(breakpoint, 0)), Err(3));
    assert_eq!(vector(attempt(divide, 0)), Err(0));
    assert_eq!(vector(attempt(divide, 1)), Ok(()));
    assert_eq!(vector(attempt(read, 0x8000_0000_0000_0000)), Err(GENERAL_PROTECTION), "not canonical");
}

fn protections_are_on() {
    assert!(Cr0::read().contains(Cr0Flags::WRITE_PROTECT));
    assert!(Efer::read().contains(EferFlags::NO_EXECUTE_ENABLE));
    assert!(Cr4::read().contains(Cr4Flags::OSFXSR | Cr4Flags::OSXMMEXCPT_ENABLE));
}
