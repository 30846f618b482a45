//! The kernel's own tests, which run inside the machine (feature `selftest`): what needs the real hardware, tables and
//! allocator. `tests/tests/kernel.rs` boots them and reports each by its name.
//!
//! A test is registered where it stands by [`selftest!`], anywhere in the kernel, and fails by panicking. The report goes
//! to the serial port: `selftest NAME` as one begins, `ok NAME` when it has passed, and `selftests done` at the end. The
//! section `.selftest.names` of the kernel's file has a line for each: so tests/tests/kernel.rs, which boots the machines
//! and knows what it must find in them, misses none.
//!
//! On the command line, `selftest=PART` runs only those with PART in their names, `selftest=-PART,PART` those with none of
//! them; `now=SECONDS` and `ram=MIB` are the host's date and the machine's memory; `entropy=none` says that there is no source of
//! entropy; `fatal=WAY` ends the
//! machine in one of the ways of the module `fatal`; `measure=commands` measures what the module `commands` says,
//! `measure=connections` what the module `connections` does.

mod commands;
mod connections;
mod devices;
mod executor;
mod exhaustion;
mod fatal;
mod faults;
mod guests;
mod intrinsics;
mod memory;
mod network;
mod scale;
mod time;
mod vectors;

use crate::arch;
use crate::init::stdio::Stdio;
use crate::logger;
use crate::virtio::Devices;
use alloc::sync::Arc;
use boot::BootInfo;
use core::future::Future;
use core::pin::pin;
use core::ptr;
use core::slice;
use core::time::Duration;
use spin::{Mutex, Once};
use wasi::clocks::{Clock, within};

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
            const LINE: &str = concat!(module_path!(), "::", stringify!($name), "\n");
            // For the host, which reads them from the kernel's file.
            #[used]
            #[unsafe(link_section = ".selftest.names")]
            static NAME: [u8; LINE.len()] = *LINE.as_bytes().first_chunk().unwrap();
        };
    )*};
}
pub(crate) use selftest;

/// The machine that the tests run on.
struct UnderTest {
    info: &'static BootInfo,
    devices: Mutex<Devices>,
    stdio: Stdio,
    clock: Arc<dyn Clock>,
}

static MACHINE: Once<UnderTest> = Once::new();

fn machine() -> &'static UnderTest {
    MACHINE.get().expect("the machine is noted before the first test")
}

impl UnderTest {
    /// The value of `key=value` on the command line.
    fn option(&self, key: &str) -> Option<&'static str> {
        let words = self.info.command_line().split_ascii_whitespace();
        words
            .filter_map(|word| word.split_once('='))
            .find_map(|(found, value)| (found == key).then_some(value))
    }
}

/// The linker script gathers the tests between these two.
fn tests() -> &'static [SelfTest] {
    unsafe extern "C" {
        static selftests_start: u8;
        static selftests_end: u8;
    }
    let start = (&raw const selftests_start).cast::<SelfTest>();
    let end = (&raw const selftests_end).cast::<SelfTest>();
    // SAFETY: the section holds nothing but `SelfTest`s, each a static that lives for ever.
    unsafe { slice::from_raw_parts(start, end.offset_from_unsigned(start)) }
}

/// Runs the tests, and ends the machine with success if all passed (a failed one ends it at once).
pub fn run(info: &'static BootInfo, devices: Devices, stdio: Stdio, clock: Arc<dyn Clock>) -> ! {
    let machine = MACHINE.call_once(|| UnderTest { info, devices: Mutex::new(devices), stdio, clock });
    if let Some(way) = machine.option("fatal") {
        fatal::run(way);
    }
    match machine.option("measure") {
        Some("commands") => commands::measure(),
        Some("connections") => connections::measure(),
        _ => {}
    }
    let wanted = machine.option("selftest");
    for test in tests() {
        let name = test.name.trim_start_matches("kernel::").trim_start_matches("selftest::");
        let runs = match wanted.map(|part| (part, part.strip_prefix('-'))) {
            Some((_, Some(parts))) => !parts.split(',').any(|part| name.contains(part)),
            Some((part, None)) => name.contains(part),
            None => true,
        };
        if !runs {
            continue;
        }
        logger::write(format_args!("selftest {name}\n"));
        (test.run)();
        logger::write(format_args!("ok {name}\n"));
    }
    logger::write(format_args!("selftests done\n"));
    arch::exit(manifest::debug_exit::ENDED)
}

/// What `future` gives. If nothing wakes it any more, the test fails by this name, and not the whole boot by its length.
async fn patiently<T>(name: &str, future: impl Future<Output = T>) -> T {
    /// Far more than anything needs, on a host that is busy with others too.
    const PATIENCE: Duration = Duration::from_secs(60);
    let mut future = pin!(future);
    let done = within(&machine().clock, PATIENCE.as_nanos() as u64, |task| future.as_mut().poll(task)).await;
    done.unwrap_or_else(|| panic!("{name}: nothing after {PATIENCE:?}"))
}

/// Reads a byte, whatever the compiler knows about it.
fn touch(pointer: *const u8) -> u8 {
    // SAFETY: for the tests' own allocations only, which can be read.
    unsafe { ptr::read_volatile(pointer) }
}
