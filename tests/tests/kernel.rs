//! The tests inside the kernel (kernel/src/selftest), each by its name on each machine: `MACHINE::MODULE::TEST`. Beside them
//! what the host must see for itself: how hostile guests end (`MACHINE::guest::NAME`), and that a kernel that
//! fails says so and ends (`MACHINE::fatal::WAY`).
//!
//! A machine boots once, when the first of its tests is run, and runs those of them that its kernel has.

use libtest_mimic::{Failed, Trial};
use manifest::{Status, debug_exit};
use sisal_tests::{
    case::Ending,
    exhaustion, guests,
    host::End,
    hostile, kernel,
    machine::{Boot, Settings},
    scale,
};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, OnceLock},
};

fn main() -> ExitCode {
    sisal_tests::run(trials)
}

const MACHINES: [(&str, &str); 3] =
    [("microvm", "microvm,rtc=on,pit=on,pic=on"), ("q35", "q35"), ("pc", "pc")];

/// Guests by name, and how they must end.
type Guests = Vec<(&'static str, Ending)>;

/// What all boots share.
struct Image {
    kernel: PathBuf,
    tests: Vec<String>,
    guests: Guests,
    initrd: Vec<u8>,
}

/// A machine whose boot is still to come, or behind it.
struct Lazy {
    settings: Settings,
    image: Arc<Image>,
    boot: OnceLock<Result<Boot, String>>,
}

impl Lazy {
    fn new(image: &Arc<Image>, name: &str, machine: &'static str, ram: u32, append: &'static str) -> Self {
        let settings = Settings { name: name.into(), machine, ram, entropy: true, append };
        Self { settings, image: image.clone(), boot: OnceLock::new() }
    }

    fn without_entropy(mut self) -> Self {
        self.settings.entropy = false;
        self
    }

    fn boot(&self) -> Result<&Boot, Failed> {
        let boot = || Boot::new(&self.settings, &self.image.kernel, &self.image.initrd);
        self.boot.get_or_init(boot).as_ref().map_err(Failed::from)
    }

    /// A test of this machine.
    fn trial(
        self: &Arc<Self>,
        name: &str,
        test: impl FnOnce(&Boot) -> Result<(), String> + Send + 'static,
    ) -> Trial {
        let machine = self.clone();
        Trial::test(format!("{}::{name}", self.settings.name), move || Ok(test(machine.boot()?)?))
    }

    /// The tests of the kernel that have `part` in their names; those that have none of those after a `-`.
    fn trials(self: &Arc<Self>, part: &str) -> Vec<Trial> {
        let selected = |name: &&String| match part.strip_prefix('-') {
            Some(parts) => !parts.split(',').any(|part| name.contains(part)),
            None => name.contains(part),
        };
        let names = self.image.tests.iter().filter(selected).cloned();
        let mut trials: Vec<_> = names
            .map(|name| {
                self.trial(&name.clone(), move |boot| {
                    boot.passed(&name)?;
                    match &*name {
                        "devices::the_console_carries_bytes" => boot.console.clone(),
                        "devices::the_hosts_directory_is_there" => answered(boot),
                        _ => Ok(()),
                    }
                })
            })
            .collect();
        trials.push(self.trial("the_machine_ends", |boot| {
            boot.log.lines().filter(|line| line.starts_with("measured ")).for_each(|line| println!("{line}"));
            ended(boot, debug_exit::ENDED)
        }));
        trials
    }
}

fn answered(boot: &Boot) -> Result<(), String> {
    let answer = String::from_utf8_lossy(&boot.answer);
    if answer == "hello from the kernel\n" { Ok(()) } else { Err(format!("the host finds {answer:?}")) }
}

fn ended(boot: &Boot, code: u16) -> Result<(), String> {
    if boot.end == Ok(code) { Ok(()) } else { Err(format!("it should end with {code:#x}\n{}", boot.tail())) }
}

fn trials() -> Result<Vec<Trial>, String> {
    let kernel = kernel::build()?;
    let tests = kernel::tests(&kernel)?;
    let (guests, initrd) = initrd()?;
    let image = Arc::new(Image { kernel, tests, guests, initrd });
    let mut trials: Vec<Vec<Trial>> = vec![];
    for (name, machine) in MACHINES {
        let whole = Arc::new(Lazy::new(&image, name, machine, 512, "selftest=-scale::,exhaustion::"));
        trials.push(whole.trials("-scale::,exhaustion::"));
        trials.push(image.guests.iter().map(|(guest, ending)| guest_trial(&whole, guest, ending)).collect());
        let small = Arc::new(Lazy::new(&image, &format!("{name}_16M"), machine, 16, "selftest=memory::"));
        trials.push(small.trials("memory::"));
        // They take long: once.
        if name == "microvm" {
            let scale = Arc::new(Lazy::new(&image, "microvm_scale", machine, 512, "selftest=scale::"));
            trials.push(scale.trials("scale::"));
        }
        // Where there is more memory, it only takes longer.
        if name == "microvm" {
            let small = Lazy::new(&image, "microvm_32M", machine, 32, "selftest=exhaustion::");
            trials.push(Arc::new(small).trials("exhaustion::"));
        }
        // Takes that much of the host's memory: once.
        if name == "q35" {
            let large = Arc::new(Lazy::new(&image, "q35_8G", machine, 8 << 10, "selftest=memory::"));
            trials.push(large.trials("memory::"));
        }
        let predictable = Lazy::new(&image, &format!("{name}_no_entropy"), machine, 64, "selftest=random");
        trials.push(Arc::new(predictable.without_entropy()).trials("random"));
        trials.push(FATAL.iter().map(|way| fatal(&image, name, machine, way)).collect());
    }
    // One test of each machine after the other, so that machines boot side by side.
    let mut trials: Vec<_> = trials.into_iter().map(Vec::into_iter).collect();
    let mut mixed = vec![];
    while !trials.is_empty() {
        mixed.extend(trials.iter_mut().filter_map(Iterator::next));
        trials.retain(|trials| trials.len() > 0);
    }
    Ok(mixed)
}

/// How the kernel fails: what it must be told to do, and what the report must have in it.
type Fatal = (&'static str, &'static str, &'static [&'static str]);
const FATAL: [Fatal; 7] = [
    ("panic", "fatal=panic", &["kernel panic: ", "a panic for the test", "selftest/fatal.rs"]),
    (
        "null_pointer",
        "fatal=null_pointer",
        &["kernel fault: page fault (vector 14, error 0x0)", "reading 0x0: nothing is mapped (null pointer)"],
    ),
    ("code", "fatal=code", &["page fault (vector 14, error 0x3)", "the page forbids it (the kernel's code)"]),
    ("stack", "fatal=stack", &["page fault (vector 14, error 0x2)", "(stack overflow)"]),
    ("interrupt", "fatal=interrupt", &["interrupt that nobody registered (vector 238"]),
    (
        "registers",
        "fatal=registers",
        &[
            "kernel fault: invalid opcode (vector 6, error 0x0)",
            "rip 0xffffffff80",
            "rax 0x1111111111111111",
            "rbx 0x2222222222222222",
            "rbp 0x3333333333333333",
            "r8  0x4444444444444444",
            "r15 0x5555555555555555",
            "where: addr2line",
        ],
    ),
    ("memory", "fatal=memory", &["kernel panic: ", "memory allocation of"]),
];

fn fatal(image: &Arc<Image>, name: &str, machine: &'static str, way: &Fatal) -> Trial {
    let &(way, append, report) = way;
    let machine = Arc::new(Lazy::new(image, &format!("{name}::fatal"), machine, 64, append));
    machine.trial(way, move |boot| {
        ended(boot, debug_exit::FAILED)?;
        // Once: nothing starts again.
        for part in report {
            if boot.log.matches(part).count() != 1 {
                return Err(format!("{part:?} should be in its log, once\n{}", boot.tail()));
            }
        }
        Ok(())
    })
}

/// The hostile guests from `wat/`, with how they must end under the limits that the kernel's test sets.
fn files() -> [(&'static str, Ending); 12] {
    let limit = |part: &str| Ending::Limit(part.into());
    [
        ("descriptors", Ending::Exit(0)),
        ("endless", limit("time limit (5s)")),
        ("endless_wait", limit("time limit (5s)")),
        ("exit_code", Ending::Exit(256)),
        ("fill_disk", Ending::Exit(0)),
        ("grow", Ending::Exit(0)),
        ("long_name", Ending::Exit(0)),
        ("no_memory", Ending::Refused("memory".into())),
        ("recursion", limit("stack")),
        ("tables", Ending::Exit(0)),
        ("too_much_memory", limit("memory")),
        ("trap_in_start", Ending::Trap("divide by zero".into())),
    ]
}

/// Guests that are too small for files of their own.
fn texts() -> [(&'static str, String, Ending); 7] {
    let trap = |part: &str| Ending::Trap(part.into());
    let program = |body: &str| {
        format!(
            r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (func (export "_start") {body}))"#
        )
    };
    [
        ("unreachable", program("unreachable"), trap("unreachable")),
        (
            "out_of_bounds",
            program("(drop (i32.load (i32.const 65533)))"),
            trap("out of bounds"),
        ),
        (
            "writes_all",
            program(
                "(local $at i32)
                (drop (memory.grow (i32.const 30)))
                (loop $next
                  (if (i64.ne (i64.load (local.get $at)) (i64.const 0)) (then (call $exit (i32.const 1))))
                  (local.set $at (i32.add (local.get $at) (i32.const 1016)))
                  (br_if $next (i32.lt_u (local.get $at) (i32.const 2031608))))
                (memory.fill (i32.const 0) (i32.const 255) (i32.const 2031616))",
            ),
            Ending::Exit(0),
        ),
        // The errno is what it exits with: 21, FAULT.
        (
            "gigabyte_iovecs",
            program(
                "(i32.store (i32.const 4) (i32.const 0x40000000))
                (i32.store (i32.const 12) (i32.const 0x40000000))
                (call $exit (call $write (i32.const 1) (i32.const 0) (i32.const 2) (i32.const 100)))",
            ),
            Ending::Exit(21),
        ),
        // 28, INVAL: the sum overflows.
        (
            "overflowing_iovecs",
            program(
                "(i32.store (i32.const 4) (i32.const -1))
                (i32.store (i32.const 12) (i32.const -1))
                (call $exit (call $write (i32.const 1) (i32.const 0) (i32.const 2) (i32.const 100)))",
            ),
            Ending::Exit(28),
        ),
        (
            "missing_import",
            r#"(module (import "env" "nothing" (func)) (memory (export "memory") 1) (func (export "_start")))"#
                .into(),
            Ending::Refused("env.nothing".into()),
        ),
        ("sweep", hostile::sweep(200), Ending::Exit(0)),
    ]
}

/// The guests for the kernel's tests but for `hello`, with how they must end, and an archive of them all.
fn initrd() -> Result<(Guests, Vec<u8>), String> {
    let hello = r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "\10\00\00\00\06\00\00\00")
        (data (i32.const 16) "hello\n")
        (func (export "_start")
          (if (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable))))"#;
    let hello = guests::wat("hello", hello, Path::new(""))?.wasm;
    let mut modules = vec![];
    for (name, ending) in files() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("wat").join(name).with_extension("wat");
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        modules.push((name, guests::wat(name, &text, Path::new(""))?.wasm, ending));
    }
    for (name, text, ending) in texts() {
        modules.push((name, guests::wat(name, &text, Path::new(""))?.wasm, ending));
    }
    let refused = |part: &str| Ending::Refused(part.into());
    modules.push(("truncated", hello[..hello.len() - 3].to_vec(), refused("truncated")));
    modules.push(("not_wasm", b"#!/bin/sh\n".to_vec(), refused("not a WebAssembly program")));

    let mut archive = tar::Builder::new(vec![]);
    let mut append = |path: String, wasm: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_size(wasm.len() as u64);
        archive.append_data(&mut header, path, wasm).map_err(|error| error.to_string())
    };
    append("guests/hello.wasm".into(), &hello)?;
    for (name, wasm, _) in &modules {
        append(format!("guests/{name}.wasm"), wasm)?;
    }
    for (name, text) in scale::guests() {
        append(format!("scale/{name}.wasm"), &guests::wat(name, &text, Path::new(""))?.wasm)?;
    }
    let exhausting = exhaustion::programs().into_iter().map(|program| (program.name, program.wat));
    for (name, text) in exhausting.chain(exhaustion::inside()) {
        let name = format!("exhaustion/{name}");
        append(format!("{name}.wasm"), &guests::wat(&name.replace('/', "-"), &text, Path::new(""))?.wasm)?;
    }
    let archive = archive.into_inner().map_err(|error| error.to_string())?;
    Ok((modules.into_iter().map(|(name, _, ending)| (name, ending)).collect(), archive))
}

fn guest_trial(machine: &Arc<Lazy>, name: &'static str, ending: &Ending) -> Trial {
    let ending = ending.clone();
    machine.trial(&format!("guest::{name}"), move |boot| {
        let Some(line) = boot.guests.get(name) else {
            return boot
                .passed("guests::hostile_guests_end_and_the_next_one_runs")
                .and(Err("not reached".into()));
        };
        let end = match line.parse().map_err(|error| format!("{error}"))? {
            Status::Exit(code) => End::Exit(code),
            Status::Trap(message) => End::Trap(message),
            Status::Limit(message) => End::Limit(message),
            Status::Missing(message) | Status::Error(message) => End::Refused(message),
            Status::Ready(_) | Status::Stdin | Status::Serving => return Err(format!("no end: {line}")),
        };
        if end.matches(&ending) {
            Ok(())
        } else {
            Err(format!("it should end with {ending}, and ended with {end}"))
        }
    })
}
