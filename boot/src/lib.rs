//! How the machine hands over to the kernel: the PVH entry, the first page tables, [`BootInfo`].
//!
//! A hypervisor (QEMU with `-kernel`, Firecracker, Cloud Hypervisor) loads the kernel's ELF image and jumps to
//! the address in its PVH note. `entry.s` takes the processor to long mode, with page tables that are final
//! for the image; this crate reads what the hypervisor left in memory into a [`BootInfo`] and calls the
//! kernel's `kernel_main`. `kernel.ld` is the image's linker script. Everything after that (frames, heap,
//! interrupts) is the kernel's.
//!
//! A binary that uses this crate links with `kernel.ld` and defines
//! `#[unsafe(no_mangle)] fn kernel_main(info: &'static BootInfo) -> !`.
#![no_std]

mod info;
mod pvh;

// The entry needs the linker script, and a kernel to call.
#[cfg(not(test))]
mod entry;
#[cfg(not(test))]
mod window;

#[cfg(not(test))]
pub use entry::{INTERRUPT_STACKS, KERNEL_BASE, image, kernel_table};
pub use info::{BootInfo, CommandLine, List, MemoryKind, MemoryRegion, Module, PhysicalRange};
