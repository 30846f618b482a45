//! The memory functions that compiled code calls by name.

use core::arch::naked_asm;

/// Copies `n` bytes that do not overlap.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    naked_asm!("mov rax, rdi", "mov rcx, rdx", "rep movsb", "ret")
}

/// Copies `n` bytes that may overlap.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    naked_asm!(
        "mov rax, rdi",
        "mov rcx, rdx",
        "mov r8, rdi",
        "sub r8, rsi",
        "cmp r8, rdx",
        "jb 2f",
        "rep movsb",
        "ret",
        "2:",
        "lea rdi, [rdi + rdx - 1]",
        "lea rsi, [rsi + rdx - 1]",
        "std",
        "rep movsb",
        "cld",
        "ret",
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

/// Sets `n` bytes to `value`, byte by byte.
///
/// # Safety
/// `n` bytes at `to` may be written.
#[unsafe(naked)]
pub unsafe extern "C" fn fill(to: *mut u8, value: i32, n: usize) {
    naked_asm!("mov eax, esi", "mov rcx, rdx", "rep stosb", "ret")
}

/// Orders `n` bytes at `a` and `b`.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    naked_asm!(
        "xor eax, eax",
        "mov rcx, rdx",
        "test rcx, rcx",
        "jz 2f",
        "repe cmpsb",
        "movzx eax, byte ptr [rdi - 1]",
        "movzx ecx, byte ptr [rsi - 1]",
        "sub eax, ecx",
        "2:",
        "ret",
    )
}

/// Whether `n` bytes at `a` and `b` differ.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    naked_asm!("jmp {memcmp}", memcmp = sym memcmp)
}
