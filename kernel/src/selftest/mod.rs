//! The kernel's own tests, which run inside the machine (feature `selftest`): what needs the real hardware, tables and
//! allocator. `tests/tests/kernel.rs` boots them and reports each by its name.
//!
//! A test is registered where it stands by [`selftest!`], anywhere in the kernel, and fails by panicking. The report goes
//! to the serial port: `selftest NAME` as one begins, `ok NAME` when it has passed, and `selftests done` at the end.

mod faults;
mod memory;
mod vectors;

use crate::arch;
use crate::logger;
use core::ptr;
use core::slice;

/// A registered test.
pub struct SelfTest {
    /// `module::function`.
    pub name: &'static str,
    /// Panics if the test fails.
    pub run: fn(),
}

/// Registers functions of this module as tests.
macro_rules! selftest {
    ($($name:ident)*) => {$(
        const _: () = {
            #[used]
            #[unsafe(link_section = ".selftests")]
            static TEST: $crate::selftest::SelfTest = $crate::selftest::SelfTest {
                name: concat!(module_path!(), "::", stringify!($name)),
                run: $name,
            };
        };
    )*};
}
pub(crate) use selftest;

/// The linker script gathers the tests between these two.
fn tests() -> &'static [SelfTest] {
    unsafe extern "C" {
        static selftests_start: u8;
        static selftests_end: u8;
    }
    let (start, end) = ((&raw const selftests_start).cast::<SelfTest>(), (&raw const selftests_end).cast());
    // SAFETY: the section holds nothing but `SelfTest`s, each a static that lives for ever.
    unsafe { slice::from_raw_parts(start, end.offset_from_unsigned(start)) }
}

/// Runs the tests, and ends the machine with success if all passed (a failed one ends it at once).
pub fn run(command_line: &str) -> ! {
    let wanted = command_line.split_ascii_whitespace().find_map(|word| word.strip_prefix("selftest="));
    for test in tests() {
        let name = test.name.strip_prefix("kernel::").unwrap_or(test.name);
        if wanted.is_some_and(|wanted| !name.contains(wanted)) {
            continue;
        }
        logger::write(format_args!("selftest {name}\n"));
        (test.run)();
        logger::write(format_args!("ok {name}\n"));
    }
    logger::write(format_args!("selftests done\n"));
    arch::exit(manifest::debug_exit::ENDED)
}

/// Keeps a pointer's target from being optimised away.
fn touch(pointer: *const u8) -> u8 {
    // SAFETY: for the tests' own allocations only, which can be read.
    unsafe { ptr::read_volatile(pointer) }
}
