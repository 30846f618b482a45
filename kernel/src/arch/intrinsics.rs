//! The memory functions that compiled code calls by name.
//!
//! They move words: on hardware as fast as bytes (`rep movsq` is a fast string operation too), and *measured* on QEMU without
//! KVM, which repeats the instruction, 16 times as fast (1,230 MB/s for 78). Short ranges (frames of a guest's calls, for
//! example) go without the string instructions, which take long to start.

use core::arch::naked_asm;

/// Up to this many bytes, a loop is faster than the string instructions.
const SHORT: usize = 128;

/// Copies `n` bytes that do not overlap.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    naked_asm!(
        "mov rax, rdi",
        "cmp rdx, {short}",
        "ja 5f",
        "cmp rdx, 8",
        "jb 3f",
        // Words from the start, and one that ends at the end: loaded first, as `memmove` lets the ranges overlap.
        "mov r8, [rsi + rdx - 8]",
        "lea rcx, [rdi + rdx - 8]",
        "jmp 4f",
        "2:",
        "mov r9, [rsi]",
        "mov [rdi], r9",
        "add rsi, 8",
        "add rdi, 8",
        "4:",
        "cmp rdi, rcx",
        "jb 2b",
        "mov [rcx], r8",
        "ret",
        "3:",
        "test rdx, rdx",
        "jz 6f",
        "mov cl, [rsi]",
        "mov [rdi], cl",
        "inc rsi",
        "inc rdi",
        "dec rdx",
        "jmp 3b",
        "5:",
        "mov rcx, rdx",
        "shr rcx, 3",
        "rep movsq",
        "mov ecx, edx",
        "and ecx, 7",
        "rep movsb",
        "6:",
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
        memcpy = sym memcpy,
    )
}

/// From this length on, zeroing looks for pages that need none.
const SPARSE: usize = 64 << 10;

/// Sets `n` bytes to `value`.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, value: i32, n: usize) -> *mut u8 {
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
        "cmp rdx, {short}",
        "ja 5f",
        "cmp rdx, 8",
        "jb 3f",
        // Words from the start, and one that ends at the end.
        "lea rcx, [rdi + rdx - 8]",
        "jmp 4f",
        "2:",
        "mov [rdi], rax",
        "add rdi, 8",
        "4:",
        "cmp rdi, rcx",
        "jb 2b",
        "mov [rcx], rax",
        "ret",
        "3:",
        "test rdx, rdx",
        "jz 6f",
        "mov [rdi], al",
        "inc rdi",
        "dec rdx",
        "jmp 3b",
        "5:",
        "mov rcx, rdx",
        "shr rcx, 3",
        "rep stosq",
        "mov ecx, edx",
        "and ecx, 7",
        "rep stosb",
        "6:",
        "ret",
        short = const SHORT,
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
        "3:",
        "and edx, 7",
        "jz 5f",
        "4:",
        "movzx eax, byte ptr [rdi]",
        "movzx ecx, byte ptr [rsi]",
        "sub eax, ecx",
        "jnz 7f",
        "inc rdi",
        "inc rsi",
        "dec edx",
        "jnz 4b",
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
