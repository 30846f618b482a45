//! For the kernel's own tests: trying what may fault (a fault inside of [`attempt`] ends the attempt, not the machine), and
//! taking a vector that means nothing.

pub use super::exceptions::{entry_of_vector, interrupt_stack_of_vector};

use super::exceptions::Frame;
use core::arch::{asm, naked_asm};
use core::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use x86_64::registers::control::Cr2;

/// The stack pointer to go back to; 0 when nothing is being tried.
static RETURN_STACK: AtomicU64 = AtomicU64::new(0);

/// A fault that ended an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its vector.
    pub vector: u8,
    /// The processor's error code.
    pub error: u64,
    /// The address, for a page fault.
    pub address: u64,
}

static ERROR: AtomicU64 = AtomicU64::new(0);

/// Calls `function(argument)`, which may fault and must own nothing that would be lost by that.
///
/// # Errors
/// The fault.
pub fn attempt(function: extern "C" fn(u64), argument: u64) -> Result<(), Fault> {
    match enter(function, argument, RETURN_STACK.as_ptr()) {
        0 => Ok(()),
        vector => Err(Fault {
            vector: (vector - 1) as u8,
            error: ERROR.load(Ordering::Relaxed),
            address: Cr2::read_raw(),
        }),
    }
}

/// Makes the interrupted attempt return its fault; false if nothing is being tried.
pub(super) fn fail(frame: &mut Frame) -> bool {
    let stack = RETURN_STACK.swap(0, Ordering::Relaxed);
    if stack == 0 {
        return false;
    }
    ERROR.store(frame.error, Ordering::Relaxed);
    frame.rax = frame.vector + 1;
    frame.rsp = stack;
    frame.rip = leave as *const () as u64;
    true
}

/// Notes the stack with the saved registers in `*return_stack`, and calls `function(argument)`; 0 if it returns.
#[unsafe(naked)]
extern "C" fn enter(function: extern "C" fn(u64), argument: u64, return_stack: *mut u64) -> u64 {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "push rdx",
        "mov [rdx], rsp",
        "mov rax, rdi",
        "mov rdi, rsi",
        "call rax",
        "xor eax, eax",
        "mov rdx, [rsp]",
        "mov qword ptr [rdx], 0",
        "jmp {leave}",
        leave = sym leave,
    )
}

/// Restores what [`enter`] saved, and returns to its caller with `rax`.
#[unsafe(naked)]
extern "C" fn leave() {
    naked_asm!("add rsp, 8", "pop r15", "pop r14", "pop r13", "pop r12", "pop rbx", "pop rbp", "ret",)
}

/// No vector, in [`EXPECTED`] and [`TAKEN`].
const NONE: u16 = u16::MAX;

static EXPECTED: AtomicU16 = AtomicU16::new(NONE);
static TAKEN: AtomicU16 = AtomicU16::new(NONE);

/// Has the next interrupt or exception of this vector return at once.
pub fn expect_vector(vector: u8) {
    TAKEN.store(NONE, Ordering::Relaxed);
    EXPECTED.store(vector.into(), Ordering::Relaxed);
}

/// The expected vector, if it has been taken.
pub fn taken_vector() -> Option<u8> {
    u8::try_from(TAKEN.load(Ordering::Relaxed)).ok()
}

/// Whether this is the vector that a test expects.
pub(super) fn is_expected(frame: &Frame) -> bool {
    let expected = EXPECTED.load(Ordering::Relaxed);
    let is_expected = u64::from(expected) == frame.vector;
    if is_expected {
        EXPECTED.store(NONE, Ordering::Relaxed);
        TAKEN.store(expected, Ordering::Relaxed);
        use_vector_registers();
    }
    is_expected
}

/// Changes every vector register, as a handler may: the way out of it has to restore them.
fn use_vector_registers() {
    // SAFETY: each register that is changed is named as an output.
    unsafe {
        asm!(
            ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
            "pcmpeqd xmm\\n, xmm\\n",
            ".endr",
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
            out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
            out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
            out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
            options(nomem, nostack, preserves_flags)
        );
    }
}
