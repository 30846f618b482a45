//! What a panic does: say where and why, and end the machine with a failure.

use crate::arch;
use crate::logger;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};
use manifest::debug_exit;

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    static PANICKED: AtomicBool = AtomicBool::new(false);
    if !PANICKED.swap(true, Ordering::Relaxed) {
        logger::emergency(format_args!("kernel panic: {info}\n"));
    }
    arch::exit(debug_exit::FAILED)
}

/// The precompiled `core` and `alloc` name it for unwinding, which this kernel does not do.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// As [`rust_eh_personality`].
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    panic!("unwinding in a kernel that aborts")
}
