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

#[allow(dead_code, reason = "devices are the users of some of it")]
mod arch;
mod logger;
#[allow(dead_code, reason = "devices and guests are the users of some of it")]
mod memory;
mod panic;
#[allow(dead_code, reason = "drivers are the users of some of it")]
mod registers;

use boot::BootInfo;

/// Called by the boot crate, in long mode, on the boot stack.
#[unsafe(no_mangle)]
fn kernel_main(info: &'static BootInfo) -> ! {
    logger::init(info.command_line());
    arch::init();
    // SAFETY: first of all, and once.
    unsafe { memory::init(info) };
    arch::local_apic::init();
    log::info!("sisal {}: {} bytes of command line", env!("CARGO_PKG_VERSION"), info.command_line().len());
    log::info!("module: {:?}", proof());
    log::info!("{:?}", memory::stats());
    arch::exit(0)
}

/// Runs a module that adds.
fn proof() -> Result<i32, wasmi::Error> {
    // (module (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add))
    const ADD: &[u8] = b"\0asm\x01\0\0\0\x01\x07\x01\x60\x02\x7f\x7f\x01\x7f\x03\x02\x01\0\x07\x07\x01\x03add\0\0\x0a\x09\x01\x07\0\x20\0\x20\x01\x6a\x0b";
    let engine = wasmi::Engine::default();
    let module = wasmi::Module::new(&engine, ADD)?;
    let mut store = wasmi::Store::new(&engine, ());
    let instance = wasmi::Linker::new(&engine).instantiate_and_start(&mut store, &module)?;
    instance.get_typed_func::<(i32, i32), i32>(&store, "add")?.call(&mut store, (40, 2))
}
