//! The Sisal kernel: the machine under the guests.
//!
//! Built freestanding for the ordinary Linux target (vector registers, wasmi's tail calls), linked with
//! `boot/kernel.ld` by the arguments in `build.rs`:
//!
//! ```text
//! cargo build -p kernel --profile kernel --target x86_64-unknown-linux-gnu
//! qemu-system-x86_64 -M microvm -accel tcg -cpu max -nodefaults -display none -no-reboot -serial stdio \
//!     -device isa-debug-exit,iobase=0x501,iosize=2 -kernel target/x86_64-unknown-linux-gnu/kernel/kernel
//! ```
//!
//! One processor, one address space, and interrupts that are open only in [`arch::interrupts::wait`] and
//! [`arch::interrupts::poll`]: no handler but the page fault's ever runs in the middle of other code.
#![no_std]
#![no_main]

extern crate alloc;

#[cfg(not(panic = "abort"))]
compile_error!("the kernel cannot unwind: say `--profile kernel`, to `cargo check` and `clippy` too");

mod acpi;
#[allow(dead_code, reason = "devices are the users of some of it")]
mod arch;
mod entropy;
mod executor;
mod init;
mod logger;
mod memory;
mod panic;
mod pci;
mod power;
mod registers;
#[cfg(feature = "selftest")]
mod selftest;
mod time;
mod timings;
mod virtio;

use boot::BootInfo;

/// Called by the boot crate, in long mode, on the boot stack.
#[unsafe(no_mangle)]
fn kernel_main(info: &'static BootInfo) -> ! {
    logger::init(info.command_line());
    arch::init();
    // SAFETY: first of all, and once.
    unsafe { memory::init(info) };
    timings::init(info);
    timings::reached("memory");
    arch::local_apic::init();
    log::debug!("sisal {}: {} bytes of command line", env!("CARGO_PKG_VERSION"), info.command_line().len());
    init::run(info)
}
