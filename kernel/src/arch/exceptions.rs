//! The interrupt descriptor table, the way in and out of a handler, and the report of a fault.
//!
//! All 256 vectors enter through the same few instructions: each switches stack (see `segments`), saves every
//! register, vector registers included (handlers are ordinary Rust), and calls [`dispatch`].

use super::exit::exit;
use super::segments::Stack;
use crate::logger;
use boot::image;
use core::arch::naked_asm;
use core::fmt;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, Ordering};
use manifest::debug_exit;
use spin::Once;
use x86_64::VirtAddr;
use x86_64::instructions::segmentation::{CS, Segment};
use x86_64::instructions::tables::lidt;
use x86_64::registers::control::Cr2;
use x86_64::structures::DescriptorTablePointer;

/// The first vector that is not an exception.
pub const FIRST_INTERRUPT: u8 = 32;

const NMI: u8 = 2;
const DOUBLE_FAULT: u8 = 8;
const PAGE_FAULT: u8 = 14;
const MACHINE_CHECK: u8 = 18;

/// What was interrupted: its registers, as the entry pushed them.
#[derive(Debug)]
#[repr(C)]
pub struct Frame {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub rdx: u64,
    pub rcx: u64,
    pub rax: u64,
    pub vector: u64,
    pub error: u64,
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
}

/// A gate of the interrupt descriptor table.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
struct Gate {
    low: u64,
    high: u64,
}

impl Gate {
    /// A gate to `address` with interrupts off, on `stack`.
    fn new(address: u64, selector: u16, stack: Stack) -> Self {
        // Present, privilege 0, type 14 (interrupt gate); the field for the stack counts from 1.
        let attributes = 0x8e00 | (stack as u64 + 1);
        Self {
            low: (address & 0xffff)
                | u64::from(selector) << 16
                | attributes << 32
                | (address >> 16 & 0xffff) << 48,
            high: address >> 32,
        }
    }
}

static TABLE: Once<[Gate; 256]> = Once::new();

/// Loads the table.
pub fn init() {
    let table = TABLE.call_once(|| {
        let entries = vectors as *const () as u64;
        let selector = CS::get_reg().0;
        core::array::from_fn(|vector| {
            Gate::new(entries + vector as u64 * ENTRY_SIZE, selector, stack_of(vector as u8))
        })
    });
    let limit = (size_of_val(table) - 1) as u16;
    let pointer = DescriptorTablePointer { limit, base: VirtAddr::from_ptr(table) };
    // SAFETY: the table lives as long as the machine; each gate leads to the entry of its vector, on a stack of
    // its own, with the code segment in use.
    unsafe { lidt(&pointer) };
}

fn stack_of(vector: u8) -> Stack {
    match vector {
        NMI => Stack::Nmi,
        DOUBLE_FAULT => Stack::DoubleFault,
        PAGE_FAULT => Stack::PageFault,
        MACHINE_CHECK => Stack::MachineCheck,
        0..FIRST_INTERRUPT => Stack::Exception,
        FIRST_INTERRUPT.. => Stack::Interrupt,
    }
}

/// The address of a vector's entry.
#[cfg(feature = "selftest")]
pub fn entry_of_vector(vector: u8) -> u64 {
    vectors as *const () as u64 + u64::from(vector) * ENTRY_SIZE
}

/// Which stack of the interrupt stack table a vector switches to, from 1; 0 would be none.
#[cfg(feature = "selftest")]
pub fn interrupt_stack_of_vector(vector: u8) -> u8 {
    TABLE.get().map_or(0, |table| (table[usize::from(vector)].low >> 32) as u8 & 7)
}

/// The length of an entry in [`vectors`].
const ENTRY_SIZE: u64 = 16;

/// The 256 entries, and the way in and out that they share. Where the processor pushes no error code, a 0 stands
/// in for it.
#[unsafe(naked)]
extern "C" fn vectors() {
    naked_asm!(
        ".set vector, 0",
        ".rept 256",
        ".balign 16",
        // Vectors 8, 10 to 14, 17, 21, 29 and 30 have an error code.
        ".if vector > 31 || !((0x60227d00 >> vector) & 1)",
        "push 0",
        ".endif",
        "push vector",
        "jmp 2f",
        ".set vector, vector + 1",
        ".endr",
        "2:",
        "push rax",
        "push rcx",
        "push rdx",
        "push rbx",
        "push rbp",
        "push rsi",
        "push rdi",
        "push r8",
        "push r9",
        "push r10",
        "push r11",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "cld",
        "mov rdi, rsp",
        "mov rbx, rsp",
        "sub rsp, 512",
        "and rsp, -16",
        "fxsave64 [rsp]",
        "call {dispatch}",
        "fxrstor64 [rsp]",
        "mov rsp, rbx",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop r11",
        "pop r10",
        "pop r9",
        "pop r8",
        "pop rdi",
        "pop rsi",
        "pop rbp",
        "pop rbx",
        "pop rdx",
        "pop rcx",
        "pop rax",
        "add rsp, 16",
        "iretq",
        dispatch = sym dispatch,
    )
}

/// What a vector means.
extern "C" fn dispatch(frame: &mut Frame) {
    #[cfg(feature = "selftest")]
    if super::probe::is_expected(frame) {
        return;
    }
    let vector = frame.vector as u8;
    if vector == PAGE_FAULT && crate::memory::page_fault(Cr2::read_raw(), frame.error) {
        return;
    }
    if vector >= FIRST_INTERRUPT && super::interrupts::dispatch(vector) {
        return;
    }
    #[cfg(feature = "selftest")]
    if super::probe::fail(frame) {
        return;
    }
    fatal(frame)
}

/// Reports what nobody handles, and ends the machine.
fn fatal(frame: &Frame) -> ! {
    static FAULTED: AtomicBool = AtomicBool::new(false);
    if FAULTED.swap(true, Ordering::Relaxed) {
        // The report itself faulted: no more formatting than this.
        logger::emergency(format_args!("fault inside a fault, at {:#x}\n", frame.rip));
    } else {
        logger::emergency(format_args!("{}", Report { frame, address: Cr2::read_raw() }));
    }
    exit(debug_exit::FAILED)
}

/// A fault, as a person reads it.
struct Report<'a> {
    frame: &'a Frame,
    address: u64,
}

const NAMES: [&str; FIRST_INTERRUPT as usize] = [
    "divide error",
    "debug",
    "non-maskable interrupt",
    "breakpoint",
    "overflow",
    "bound range exceeded",
    "invalid opcode",
    "device not available",
    "double fault",
    "coprocessor segment overrun",
    "invalid TSS",
    "segment not present",
    "stack segment fault",
    "general protection fault",
    "page fault",
    "reserved",
    "x87 floating point",
    "alignment check",
    "machine check",
    "SIMD floating point",
    "virtualization",
    "control protection",
    "reserved",
    "reserved",
    "reserved",
    "reserved",
    "reserved",
    "reserved",
    "hypervisor injection",
    "VMM communication",
    "security",
    "reserved",
];

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { frame, address } = self;
        let name = NAMES.get(frame.vector as usize).unwrap_or(&"interrupt that nobody registered");
        writeln!(f, "kernel fault: {name} (vector {}, error {:#x})", frame.vector, frame.error)?;
        if frame.vector == u64::from(PAGE_FAULT) {
            let access = match frame.error {
                error if error & 0x10 != 0 => "executing",
                error if error & 2 != 0 => "writing",
                _ => "reading",
            };
            let why = if frame.error & 1 != 0 { "the page forbids it" } else { "nothing is mapped" };
            writeln!(f, "  {access} {address:#x}: {why}{}", what_is_at(*address))?;
        }
        writeln!(f, "  rip {:#018x} rflags {:#x} cs {:#x}", frame.rip, frame.rflags, frame.cs)?;
        let registers = [
            ("rax", frame.rax),
            ("rbx", frame.rbx),
            ("rcx", frame.rcx),
            ("rdx", frame.rdx),
            ("rsi", frame.rsi),
            ("rdi", frame.rdi),
            ("rbp", frame.rbp),
            ("rsp", frame.rsp),
            ("r8", frame.r8),
            ("r9", frame.r9),
            ("r10", frame.r10),
            ("r11", frame.r11),
            ("r12", frame.r12),
            ("r13", frame.r13),
            ("r14", frame.r14),
            ("r15", frame.r15),
        ];
        for row in registers.chunks(4) {
            for (name, value) in row {
                write!(f, "  {name:3} {value:#018x}")?;
            }
            writeln!(f)?;
        }
        writeln!(f, "  where: addr2line -fe KERNEL {:#x}, with the KERNEL that", frame.rip)?;
        writeln!(
            f,
            "  `cargo build -p kernel --profile kernel --target x86_64-unknown-linux-gnu` makes of the same sources"
        )
    }
}

/// What an address belongs to, where that explains a fault.
fn what_is_at(address: u64) -> &'static str {
    let below = |stack: &Range<u64>| (stack.start - 4096..stack.start).contains(&address);
    match address {
        0..4096 => " (null pointer)",
        _ if below(&image::stack()) => " (stack overflow)",
        _ if image::interrupt_stacks().iter().any(below) => " (overflow of an interrupt stack)",
        _ if image::text().contains(&address) => " (the kernel's code)",
        _ if image::rodata().contains(&address) => " (the kernel's constants)",
        _ => "",
    }
}
