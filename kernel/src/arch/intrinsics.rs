//! The memory functions that compiled code calls by name.
//!
//! Short ranges are most of them: wasmi zeroes the locals of each function that a guest calls. They go with a few moves that may
//! overlap, from the start and from the end, as many as their length asks for: QEMU without KVM pays for every jump, and the
//! string instructions take long to start. Long ranges move words: on hardware as fast as bytes (`rep movsq` is a fast string
//! operation too), and *measured* on QEMU without KVM, which repeats the instruction, 16 times as fast (1,230 MB/s for 78).

use core::arch::naked_asm;

/// Up to this many bytes, moves are faster than the string instructions. Twice four vectors: no less and no more.
const SHORT: usize = 128;

/// Copies `n` bytes that do not overlap.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    naked_asm!(
        "mov rax, rdi",
        "cmp rdx, {short}",
        "ja 7f",
        // All is loaded before anything is stored, as `memmove` lets the ranges overlap.
        "cmp edx, 16",
        "jb 3f",
        "cmp edx, 32",
        "ja 2f",
        "movups xmm0, [rsi]",
        "movups xmm1, [rsi + rdx - 16]",
        "movups [rdi], xmm0",
        "movups [rdi + rdx - 16], xmm1",
        "ret",
        "2:",
        "movups xmm0, [rsi]",
        "movups xmm1, [rsi + 16]",
        "movups xmm2, [rsi + rdx - 32]",
        "movups xmm3, [rsi + rdx - 16]",
        "cmp edx, 64",
        "jbe 6f",
        "movups xmm4, [rsi + 32]",
        "movups xmm5, [rsi + 48]",
        "movups xmm6, [rsi + rdx - 64]",
        "movups xmm7, [rsi + rdx - 48]",
        "movups [rdi + 32], xmm4",
        "movups [rdi + 48], xmm5",
        "movups [rdi + rdx - 64], xmm6",
        "movups [rdi + rdx - 48], xmm7",
        "6:",
        "movups [rdi], xmm0",
        "movups [rdi + 16], xmm1",
        "movups [rdi + rdx - 32], xmm2",
        "movups [rdi + rdx - 16], xmm3",
        "ret",
        "3:",
        "cmp edx, 8",
        "jb 4f",
        "mov rcx, [rsi]",
        "mov r8, [rsi + rdx - 8]",
        "mov [rdi], rcx",
        "mov [rdi + rdx - 8], r8",
        "ret",
        "4:",
        "cmp edx, 4",
        "jb 5f",
        "mov ecx, [rsi]",
        "mov r8d, [rsi + rdx - 4]",
        "mov [rdi], ecx",
        "mov [rdi + rdx - 4], r8d",
        "ret",
        // The first, the middle and the last of up to three, which may be the same.
        "5:",
        "test edx, edx",
        "jz 8f",
        "mov r10, rdx",
        "shr r10, 1",
        "mov cl, [rsi]",
        "mov r8b, [rsi + r10]",
        "mov r9b, [rsi + rdx - 1]",
        "mov [rdi], cl",
        "mov [rdi + r10], r8b",
        "mov [rdi + rdx - 1], r9b",
        "ret",
        "7:",
        "mov rcx, rdx",
        "shr rcx, 3",
        "rep movsq",
        "mov ecx, edx",
        "and ecx, 7",
        "rep movsb",
        "8:",
        "ret",
        short = const SHORT,
    )
}

/// Copies `n` bytes that may overlap.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    naked_asm!(
        "mov rax, rdi",
        "cmp rdx, {short}",
        "jbe {memcpy}",
        "mov r8, rdi",
        "sub r8, rsi",
        "cmp r8, rdx",
        "jae {memcpy}",
        // Backwards: the last bytes first, then words, each addressed by its lowest byte.
        "lea rdi, [rdi + rdx - 1]",
        "lea rsi, [rsi + rdx - 1]",
        "std",
        "mov ecx, edx",
        "and ecx, 7",
        "rep movsb",
        "sub rdi, 7",
        "sub rsi, 7",
        "mov rcx, rdx",
        "shr rcx, 3",
        "rep movsq",
        "cld",
        "ret",
        short = const SHORT,
        memcpy = sym memcpy,
    )
}

/// Sets `n` bytes to `value`.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, value: i32, n: usize) -> *mut u8 {
    naked_asm!(
        "cmp rdx, {short}",
        "ja {long}",
        "mov rax, rdi",
        "movzx ecx, sil",
        "mov r8, 0x0101010101010101",
        "imul rcx, r8",
        "cmp edx, 16",
        "jb 3f",
        "movq xmm0, rcx",
        "punpcklqdq xmm0, xmm0",
        "movups [rdi], xmm0",
        "movups [rdi + rdx - 16], xmm0",
        "cmp edx, 32",
        "jbe 6f",
        "movups [rdi + 16], xmm0",
        "movups [rdi + rdx - 32], xmm0",
        "cmp edx, 64",
        "jbe 6f",
        "movups [rdi + 32], xmm0",
        "movups [rdi + 48], xmm0",
        "movups [rdi + rdx - 64], xmm0",
        "movups [rdi + rdx - 48], xmm0",
        "6:",
        "ret",
        "3:",
        "cmp edx, 8",
        "jb 4f",
        "mov [rdi], rcx",
        "mov [rdi + rdx - 8], rcx",
        "ret",
        "4:",
        "cmp edx, 4",
        "jb 5f",
        "mov [rdi], ecx",
        "mov [rdi + rdx - 4], ecx",
        "ret",
        // As `memcpy` has it.
        "5:",
        "test edx, edx",
        "jz 6b",
        "mov [rdi], cl",
        "mov [rdi + rdx - 1], cl",
        "shr edx, 1",
        "mov [rdi + rdx], cl",
        "ret",
        short = const SHORT,
        long = sym set_many,
    )
}

/// From this length on, zeroing looks for pages that need none.
const SPARSE: usize = 64 << 10;

/// Sets `n` bytes to `value`, if they are more than [`SHORT`].
unsafe extern "C" fn set_many(to: *mut u8, value: i32, n: usize) -> *mut u8 {
    // SAFETY: as the caller's: `n` bytes at `to` may be written.
    unsafe {
        if n < SPARSE || value as u8 != 0 || !crate::memory::zero(to, n) {
            fill(to, value, n);
        }
    }
    to
}

/// Sets `n` bytes to `value`, each by a write.
///
/// # Safety
/// `n` bytes at `to` may be written.
#[unsafe(naked)]
pub unsafe extern "C" fn fill(to: *mut u8, value: i32, n: usize) {
    naked_asm!(
        "movzx eax, sil",
        "mov rcx, 0x0101010101010101",
        "imul rax, rcx",
        "mov rcx, rdx",
        "shr rcx, 3",
        "rep stosq",
        "mov ecx, edx",
        "and ecx, 7",
        "rep stosb",
        "ret",
    )
}

/// Orders `n` bytes at `a` and `b`.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    naked_asm!(
        "mov rcx, rdx",
        "shr rcx, 3",
        "jz 3f",
        "2:",
        "mov rax, [rdi]",
        "mov r8, [rsi]",
        "cmp rax, r8",
        "jne 6f",
        "add rdi, 8",
        "add rsi, 8",
        "dec rcx",
        "jnz 2b",
        "and edx, 7",
        "jz 5f",
        // The last word overlaps the one before, which is equal.
        "mov rax, [rdi + rdx - 8]",
        "mov r8, [rsi + rdx - 8]",
        "cmp rax, r8",
        "jne 6f",
        "5:",
        "xor eax, eax",
        "ret",
        // The words differ: as big-endian numbers they are ordered as their first different byte is.
        "6:",
        "bswap rax",
        "bswap r8",
        "cmp rax, r8",
        "sbb eax, eax",
        "or eax, 1",
        "ret",
        // Less than a word: two halves that may overlap, or up to three bytes.
        "3:",
        "cmp edx, 4",
        "jb 8f",
        "mov eax, [rdi]",
        "mov r8d, [rsi]",
        "cmp eax, r8d",
        "jne 4f",
        "mov eax, [rdi + rdx - 4]",
        "mov r8d, [rsi + rdx - 4]",
        "cmp eax, r8d",
        "je 5b",
        "4:",
        "bswap eax",
        "bswap r8d",
        "cmp eax, r8d",
        "sbb eax, eax",
        "or eax, 1",
        "ret",
        "8:",
        "test edx, edx",
        "jz 5b",
        "9:",
        "movzx eax, byte ptr [rdi]",
        "movzx ecx, byte ptr [rsi]",
        "sub eax, ecx",
        "jnz 7f",
        "inc rdi",
        "inc rsi",
        "dec edx",
        "jnz 9b",
        "7:",
        "ret",
    )
}

/// Whether `n` bytes at `a` and `b` differ.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    naked_asm!("jmp {memcmp}", memcmp = sym memcmp)
}
