//! How the machine hands over to the kernel: PVH entry, page tables, `BootInfo`.
#![no_std]
