//! The step from `entry.s` to the kernel, and the symbols of the linker script as values.

use crate::info::{BootInfo, PhysicalRange};
use crate::pvh;
use crate::window::Window;
use core::arch::{asm, global_asm};
use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::ops::Range;

global_asm!(include_str!("entry.s"), options(att_syntax));

const PAGE_SIZE: u64 = 4096;
/// The size of an interrupt stack; as in `kernel.ld`.
const INTERRUPT_STACK_SIZE: u64 = 16 << 10;
/// How many interrupt stacks there are; as in `kernel.ld`.
pub const INTERRUPT_STACKS: usize = 6;

/// What an address of the image differs from the physical one by.
pub const KERNEL_BASE: u64 = 0xffff_ffff_8000_0000;

unsafe extern "C" {
    static image_start: u8;
    static text_end: u8;
    static rodata_end: u8;
    static data_end: u8;
    static interrupt_stacks_start: u8;
    static boot_stack_start: u8;
    static boot_stack_end: u8;
    static image_end: u8;
    static entered: u64;
    static mut pml4: [u64; 512];
    static mut pd_window: [u64; 512];
}

unsafe extern "Rust" {
    /// The kernel's own entry; see the crate's documentation.
    safe fn kernel_main(info: &'static BootInfo) -> !;
}

/// The image's parts, as virtual addresses.
pub mod image {
    use super::*;

    /// Code: read and execute.
    pub fn text() -> Range<u64> {
        (&raw const image_start) as u64..(&raw const text_end) as u64
    }

    /// Constants: read only.
    pub fn rodata() -> Range<u64> {
        text().end..(&raw const rodata_end) as u64
    }

    /// Statics: read and write.
    pub fn data() -> Range<u64> {
        rodata().end..(&raw const data_end) as u64
    }

    /// The stack that the kernel starts on. The page below it is never mapped.
    pub fn stack() -> Range<u64> {
        (&raw const boot_stack_start) as u64..(&raw const boot_stack_end) as u64
    }

    /// The stacks for interrupts and exceptions, each with an unmapped page below it.
    pub fn interrupt_stacks() -> [Range<u64>; INTERRUPT_STACKS] {
        let first = (&raw const interrupt_stacks_start) as u64;
        core::array::from_fn(|index| {
            let start = first + index as u64 * (PAGE_SIZE + INTERRUPT_STACK_SIZE) + PAGE_SIZE;
            start..start + INTERRUPT_STACK_SIZE
        })
    }

    /// All of it, as the physical memory that it occupies.
    pub fn physical() -> PhysicalRange {
        let end = (&raw const image_end) as u64;
        PhysicalRange { start: text().start - KERNEL_BASE, end: end - KERNEL_BASE }
    }
}

/// The root page table (PML4) that the machine runs on. Its last entry is the image's; the rest is the kernel's.
pub fn kernel_table() -> *mut [u64; 512] {
    &raw mut pml4
}

pub(crate) fn window_table() -> *mut u64 {
    (&raw mut pd_window).cast()
}

/// Forgets cached translations.
pub(crate) fn reload_page_tables() {
    // SAFETY: writes back the root table that is in use.
    unsafe { asm!("mov {0}, cr3", "mov cr3, {0}", out(reg) _, options(nostack, preserves_flags)) };
}

/// The one `BootInfo`: too large for a stack frame, and alive as long as the machine.
struct Info(UnsafeCell<MaybeUninit<BootInfo>>);

// SAFETY: written once, by `boot_main`, before anything else runs; shared references only after that.
unsafe impl Sync for Info {}

static INFO: Info = Info(UnsafeCell::new(MaybeUninit::uninit()));

/// Called once by `entry.s`, with the physical address of `hvm_start_info`.
#[unsafe(no_mangle)]
extern "C" fn boot_main(start_info: u64) -> ! {
    // SAFETY: the only window there is: this runs once.
    let mut window = unsafe { Window::open() };
    let parsed = pvh::parse(&mut window, start_info);
    drop(window);
    match parsed {
        Ok(mut info) => {
            // SAFETY: `entry.s` wrote it before any Rust ran, and nobody writes it after that.
            info.entered = unsafe { (&raw const entered).read() };
            // SAFETY: this runs once, before anything else; nobody holds a reference into `INFO` yet.
            let info: &'static BootInfo = unsafe { (*INFO.0.get()).write(info) };
            kernel_main(info)
        }
        Err(pvh::Error::Magic) => refuse(b"sisal: the loader left no hvm_start_info (PVH)\r\n"),
        Err(pvh::Error::NoMemoryMap) => refuse(b"sisal: the loader's hvm_start_info has no memory map\r\n"),
    }
}

/// Says why on the first serial port, and ends the machine: by `isa-debug-exit`, or by stopping.
fn refuse(message: &[u8]) -> ! {
    for byte in message {
        // SAFETY: writes a byte to the first serial port, which touches no memory.
        unsafe { asm!("out dx, al", in("dx") 0x3f8u16, in("al") *byte, options(nomem, nostack)) };
    }
    // SAFETY: isa-debug-exit's port; where there is none, the write goes nowhere.
    unsafe { asm!("out dx, ax", in("dx") 0x501u16, in("ax") 1u16, options(nomem, nostack)) };
    loop {
        // SAFETY: interrupts are off: the machine stops here.
        unsafe { asm!("hlt", options(nomem, nostack)) };
    }
}
