//! `memset` for the whole process (feature `lazy-zero`): the system's, but that it does not write zeros over memory that is known to be zero.
//!
//! wasmi sets every byte that a linear memory begins with or grows by to zero, and offers no way to tell it
//! that they are: 16 MiB touched by a program that uses 40 KiB of them. So this stands where the kernel of Sisal has its
//! own `memset`. All others pay one comparison.

use super::memories;
use core::{
    ffi::{c_int, c_void},
    hint,
};

/// Memories grow by 64 KiB at least; shorter ranges are not looked at.
const SPARSE: usize = 64 << 10;

unsafe extern "C" {
    /// glibc's `memset` under another name of its own (that of `_FORTIFY_SOURCE`): it compares `n` with the room there is.
    fn __memset_chk(to: *mut c_void, value: c_int, n: usize, room: usize) -> *mut c_void;
}

/// Sets `n` bytes at `to` to the lowest byte of `value`, as the C standard has it.
///
/// # Safety
/// `n` bytes at `to` may be written.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut c_void, value: c_int, n: usize) -> *mut c_void {
    let needed = if n >= SPARSE && value as u8 == 0 { memories::not_known_zero(to.cast(), n) } else { n };
    // The compiler knows what that function does, and would make it a call of `memset` if it saw that the room suffices.
    let room = hint::black_box(usize::MAX);
    // SAFETY: the caller's promise covers `n` bytes, and no more are written.
    unsafe { __memset_chk(to, value, needed, room) }
}
