//! What a panic does: say where and why, and end the machine with a failure.

use crate::{arch, logger, memory};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};
use manifest::debug_exit;

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    static PANICKED: AtomicBool = AtomicBool::new(false);
    if !PANICKED.swap(true, Ordering::Relaxed) {
        logger::emergency(format_args!("kernel panic: {info}\n"));
        // Where `handle_alloc_error` panics: an allocation that may not fail did, in wasmi's compiler for example.
        let out_of_memory = info.location().is_some_and(|place| place.file().ends_with("alloc/src/alloc.rs"));
        if out_of_memory && let Some((total, left)) = memory::left() {
            logger::write(format_args!(
                "out of memory: of {} MiB, {} KiB are left; start the machine with more (sisal run --ram)\n",
                total >> 20,
                left >> 10
            ));
        }
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
