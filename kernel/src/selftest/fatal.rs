//! Ways to end the machine that no test survives: the host looks at the report and at the exit code.

use core::arch::asm;
use core::hint::black_box;

/// Does what `way` says.
pub fn run(way: &str) -> ! {
    match way {
        "panic" => panic!("a panic for the test"),
        "null_pointer" => read(0),
        "code" => write_code(),
        "stack" => _ = overflow(0),
        "interrupt" => interrupt(),
        "registers" => registers(),
        "memory" => drop(black_box(alloc::vec![1u8; isize::MAX as usize])),
        _ => {}
    }
    panic!("fatal={way} is survived, or not known")
}

fn read(address: u64) {
    // SAFETY: a byte is read into a register; it ends the machine.
    unsafe { asm!("mov al, [{0}]", in(reg) address, out("al") _, options(readonly, nostack)) }
}

fn write_code() {
    let address = boot::image::text().start;
    // SAFETY: the kernel's code cannot be written: it ends the machine.
    unsafe { asm!("mov byte ptr [{0}], 0", in(reg) address, options(nostack)) }
}

fn overflow(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    if black_box(true) { overflow(depth + 1) + frame[0] } else { 0 }
}

/// An interrupt of no device.
fn interrupt() {
    // SAFETY: it ends the machine.
    unsafe { asm!("int 0xee") }
}

/// A fault with known values in registers.
fn registers() {
    // SAFETY: it ends the machine, so that nothing is left to be broken by what the registers hold.
    unsafe {
        asm!(
            "mov rax, 0x1111111111111111",
            "mov rbx, 0x2222222222222222",
            "mov rbp, 0x3333333333333333",
            "mov r8, 0x4444444444444444",
            "mov r15, 0x5555555555555555",
            "ud2",
            options(noreturn)
        )
    }
}
