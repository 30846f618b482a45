//! Every vector: on a stack of its own, with the interrupted code's registers, flags, vector registers and red zone intact.

use super::selftest;
use crate::arch::probe::{entry_of_vector, expect_vector, interrupt_stack_of_vector, taken_vector};
use core::arch::naked_asm;

/// Vectors with an error code, which `int` does not push.
const WITH_ERROR_CODE: [u8; 10] = [8, 10, 11, 12, 13, 14, 17, 21, 29, 30];

selftest! { every_vector_has_a_stack_of_its_own every_vector_returns_to_intact_code the_red_zone_check_can_fail }

fn every_vector_has_a_stack_of_its_own() {
    for vector in 0..=u8::MAX {
        assert!((1..=7).contains(&interrupt_stack_of_vector(vector)), "vector {vector}");
    }
    let critical = [2, 8, 14, 18, 3, 32].map(interrupt_stack_of_vector);
    for (index, stack) in critical.iter().enumerate() {
        assert!(
            !critical[..index].contains(stack),
            "NMI, double fault, page fault, machine check, others, interrupts"
        );
    }
}

fn every_vector_returns_to_intact_code() {
    for vector in 0..=u8::MAX {
        expect_vector(vector);
        let damage = if WITH_ERROR_CODE.contains(&vector) {
            // What the processor does, by hand: an error code on the vector's stack, and the entry.
            interrupted(push_and_enter as *const () as u64, entry_of_vector(vector), stack_top(vector))
        } else {
            interrupted(
                software_interrupts as *const () as u64 + u64::from(vector) * SOFTWARE_INTERRUPT_LEN,
                0,
                0,
            )
        };
        assert_eq!(taken_vector(), Some(vector));
        assert_eq!(damage, 0, "vector {vector} changes registers or the red zone");
    }
}

fn the_red_zone_check_can_fail() {
    // A call pushes its return address into the red zone, and this one changes a vector register.
    assert_eq!(interrupted(damaging as *const () as u64, 0, 0), 1 | 2);
}

fn stack_top(vector: u8) -> u64 {
    let stacks = boot::image::interrupt_stacks();
    stacks[usize::from(interrupt_stack_of_vector(vector)) - 1].end
}

const SOFTWARE_INTERRUPT_LEN: u64 = 8;

/// For each vector `int vector; jmp r15`.
#[unsafe(naked)]
extern "C" fn software_interrupts() {
    naked_asm!(
        ".set number, 0",
        ".rept 256",
        ".balign 8",
        // Not the assembler's `int3` for 3.
        ".byte 0xcd, number",
        "jmp r15",
        ".set number, number + 1",
        ".endr",
    )
}

/// Enters the vector whose entry is in r13 as the processor would on the stack that ends at r14; goes on at r15.
#[unsafe(naked)]
extern "C" fn push_and_enter() {
    naked_asm!(
        "mov rbx, rsp",
        "mov rsp, r14",
        "push 0",
        "push rbx",
        "pushfq",
        "mov rbx, cs",
        "push rbx",
        "push r15",
        "push 0",
        "jmp r13",
    )
}

#[unsafe(naked)]
extern "C" fn damaging() {
    naked_asm!("push 0", "pop rbx", "pxor xmm9, xmm9", "jmp r15")
}

/// Jumps to `code` with every register, vector register and the red zone filled, and gives what it has changed when it jumps to
/// r15: bit 0 the red zone, bit 1 a vector register, bit 2 a general register.
#[unsafe(naked)]
extern "C" fn interrupted(code: u64, entry: u64, stack: u64) -> u64 {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov r13, rsi",
        "mov r14, rdx",
        "mov r12, rdi",
        // xmm0 to xmm15: 0x101 to 0x110, in both halves.
        "mov eax, 0x100",
        ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
        "add eax, 1",
        "movq xmm\\n, rax",
        "punpcklqdq xmm\\n, xmm\\n",
        ".endr",
        ".irp n,8,16,24,32,40,48,56,64,72,80,88,96,104,112,120,128",
        "mov qword ptr [rsp - \\n], 0x5a00 + \\n",
        ".endr",
        "lea r15, [rip + 2f]",
        "mov eax, 1",
        "mov ecx, 2",
        "mov edx, 4",
        "mov esi, 8",
        "mov edi, 16",
        "mov r8d, 32",
        "mov r9d, 64",
        "mov r10d, 128",
        "mov r11d, 256",
        "mov ebp, 512",
        "stc",
        "jmp r12",
        "2:",
        // Flags and registers: the carry is set, and the registers add up. Nothing is pushed before the red zone is checked.
        "adc rax, rcx",
        "add rax, rdx",
        "add rax, rsi",
        "add rax, rdi",
        "add rax, r8",
        "add rax, r9",
        "add rax, r10",
        "add rax, r11",
        "add rax, rbp",
        "mov ebx, 0",
        "cmp rax, 1024",
        "je 3f",
        "or ebx, 4",
        "3:",
        ".irp n,8,16,24,32,40,48,56,64,72,80,88,96,104,112,120,128",
        "cmp qword ptr [rsp - \\n], 0x5a00 + \\n",
        "setne al",
        "or bl, al",
        ".endr",
        "mov edx, 0x100",
        ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
        "add edx, 1",
        "movq rcx, xmm\\n",
        "psrldq xmm\\n, 8",
        "movq rsi, xmm\\n",
        "xor rcx, rdx",
        "xor rsi, rdx",
        "or rcx, rsi",
        "setnz al",
        "shl al, 1",
        "or bl, al",
        ".endr",
        "mov eax, ebx",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}
