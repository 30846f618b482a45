//! Whole machines: Sisal's kernel beside Linux with wasmi's command line, in the same QEMU.
//!
//! What Linux boots is built by `bench/linux`, the programs by `bench/guests`: each reports on its own, by its own clock, how
//! fast it was, so that booting counts only where it is what is measured.

mod floor;
pub mod linux;
mod qemu;
pub mod server;
pub mod sisal;

use crate::{
    INSIDE, Result,
    commands::{self, COMMANDS, PEERS},
    race,
    report::{Better, Peer, Reach, Row, Section},
};
use linux::{Linux, SERIAL};
use qemu::Run;
use sisal::Sisal;
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

const LINUX: &str = "Linux";
const METERED: &str = "Linux, fuel metered";
const FLOOR: &str = "QEMU's own floor";

/// How QEMU realises the processor, for all machines; the environment's `ACCEL` replaces it.
const ACCEL: &str = "tcg";
/// Memory of the machines, in MiB.
pub const RAM: u32 = 512;
/// What is streamed: 100 MB that do not repeat.
const STREAM: usize = 100_000_000;
/// Linux boots for seconds, and its programs run for as long: fewer rounds than for what takes nanoseconds.
const MOST_ROUNDS: usize = 5;

/// What to build once, and all that is measured with it.
struct Bench {
    sisal: Sisal,
    linux: Linux,
    guests: PathBuf,
    scratch: tempfile::TempDir,
    rounds: usize,
}

/// Measures the section.
///
/// # Errors
/// When something cannot be built, or a machine does not do what it should.
pub fn measure() -> Result<Section> {
    let target = target();
    let scratch = tempfile::tempdir()?;
    let guests = build_guests(&target)?;
    let bench = Bench {
        sisal: Sisal::build(&target, scratch.path())?,
        linux: Linux::build(&target.join("bench-linux"), scratch.path())?,
        guests,
        scratch,
        rounds: race::rounds()?.min(MOST_ROUNDS),
    };
    let mut rows = Vec::new();
    let smallest = bench.smallest()?;
    for machine in ["microvm", "q35"] {
        rows.push(bench.life("hello in Rust", machine, &bench.guest("hello"))?);
        rows.push(bench.life("the smallest hello", machine, &smallest)?);
    }
    rows.push(bench.start()?);
    rows.push(bench.size()?);
    rows.push(bench.least_memory()?);
    rows.push(bench.compute()?);
    rows.extend(bench.files()?);
    rows.extend(bench.sqlite()?);
    rows.push(bench.stream()?);
    rows.extend(bench.commands()?);
    Ok(Section {
        title: "Machines".into(),
        about: format!(
            "Programs in Sisal's kernel, booted by `sisal run`, and in Linux (Debian's cloud kernel, busybox, wasmi_cli 2.0.0 in an \
             initramfs), in the same QEMU (`-accel {}`, `-cpu max`, {RAM} MiB; q35 unless it says microvm), in turns, medians of {} \
             rounds. The whole life is that of `sisal run` for Sisal, and of QEMU alone for Linux; QEMU's own floor is `sisal run` of \
             a kernel that ends the machine with its second instruction. Programs here are modules without a network, for which `sisal` \
             has a kernel without components and network. The start is from the kernel's entry until the program is handed to wasmi; \
             for Linux, the uptime when its shell starts wasmi. Programs time themselves. wasmi on Linux meters no fuel unless it says so; \
             Sisal always does: it is what guests are preempted with. A command is run again and again in one machine, in the kernel for \
             Sisal, in a process under Linux for its peers.",
            accel(),
            bench.rounds
        ),
        rows,
    })
}

impl Bench {
    fn guest(&self, name: &str) -> PathBuf {
        self.guests.join(name).with_extension("wasm")
    }

    /// The smallest hello, of one page and one call.
    fn smallest(&self) -> Result<PathBuf> {
        let path = self.scratch.path().join("smallest.wasm");
        fs::write(&path, wat::parse_str(include_str!("../guests/smallest.wat"))?)?;
        Ok(path)
    }

    /// QEMU's whole life. Linux takes part on q35 only: QEMU 7.2's microvm hangs in one of 18 boots of it, and far more often on
    /// a busy computer.
    fn life(&self, what: &str, machine: &str, hello: &Path) -> Result<Row> {
        let floor = floor::kernel(self.scratch.path())?;
        let name = hello.file_name().unwrap_or_default().to_string_lossy();
        let image = match machine {
            "q35" => Some(self.linux.initrd(&format!("wasmi run /{name}"), &[hello], None)?),
            _ => None,
        };
        let mut seconds = [const { Vec::new() }; 3];
        for _ in 0..self.rounds {
            let ours = self.sisal.run(machine, RAM, &[], hello, &[], None)?;
            ours.expect("Hello, world!")?;
            seconds[0].push(ours.seconds);
            seconds[1].push(self.sisal.boot(machine, &floor, hello)?.seconds);
            if let Some(image) = &image {
                let linux = self.linux.boot(machine, RAM, image)?;
                linux.expect("Hello, world!")?;
                seconds[2].push(linux.seconds);
            }
        }
        let [ours, floor, linux] = seconds.map(race::median);
        let mut row = Row {
            what: format!("{what}, QEMU's whole life, {machine}"),
            unit: "s".into(),
            better: Better::Less,
            ours,
            peers: vec![Peer::new(FLOOR, floor)],
            reach: vec![Reach::Within { of: FLOOR.into(), by: 0.05 }],
        };
        if image.is_some() {
            row.peers.insert(0, Peer::new(LINUX, linux));
            row.reach.insert(0, Reach::better(LINUX, 8.0));
        }
        Ok(row)
    }

    fn start(&self) -> Result<Row> {
        let hello = self.guest("hello");
        let image = self.linux.initrd("wasmi run /hello.wasm", &[&hello], None)?;
        let mut milliseconds = [const { Vec::new() }; 2];
        for _ in 0..self.rounds {
            let ours = self.sisal.run("q35", RAM, &["--timings"], &hello, &[], None)?;
            milliseconds[0].push(ours.before("ms program started")?);
            let linux = self.linux.boot("q35", RAM, &image)?;
            milliseconds[1].push(linux.after("uptime")? * 1e3);
        }
        let [ours, linux] = milliseconds.map(race::median);
        Ok(Row {
            what: "kernel entry to the program's start".into(),
            unit: "ms".into(),
            better: Better::Less,
            ours,
            peers: vec![Peer::new(LINUX, linux)],
            reach: Vec::new(),
        })
    }

    fn size(&self) -> Result<Row> {
        let hello = self.guest("hello");
        let image = self.linux.initrd("wasmi run /hello.wasm", &[&hello], None)?;
        let linux = self.linux.kernel_size()? + fs::metadata(image)?.len();
        Ok(Row {
            what: "kernel and initrd of hello".into(),
            unit: "MB".into(),
            better: Better::Less,
            ours: self.sisal.image_size(&hello)? as f64 / 1e6,
            peers: vec![Peer::new(LINUX, linux as f64 / 1e6)],
            reach: vec![Reach::better(LINUX, 6.0)],
        })
    }

    fn least_memory(&self) -> Result<Row> {
        let hello = self.guest("hello");
        let image = self.linux.initrd("wasmi run /hello.wasm", &[&hello], None)?;
        let works = |run: Result<Run>| run.is_ok_and(|run| run.expect("Hello, world!").is_ok());
        let ours = least(8, 64, 1, |ram| works(self.sisal.run("q35", ram, &[], &hello, &[], None)))?;
        let linux = least(32, 160, 4, |ram| works(self.linux.boot("q35", ram, &image)))?;
        Ok(Row {
            what: "smallest memory in which hello runs".into(),
            unit: "MiB".into(),
            better: Better::Less,
            ours,
            peers: vec![Peer::new(LINUX, linux)],
            reach: vec![Reach::better(LINUX, 4.0)],
        })
    }

    fn compute(&self) -> Result<Row> {
        let guest = self.guest("compute");
        let plain = self.linux.initrd("wasmi run /compute.wasm", &[&guest], None)?;
        let metered = self.linux.initrd("wasmi run --fuel 1000000000000 /compute.wasm", &[&guest], None)?;
        let mut rates = [const { Vec::new() }; 3];
        for _ in 0..self.rounds {
            rates[0].push(self.sisal.run("q35", RAM, &[], &guest, &[], None)?.after("compute")?);
            rates[1].push(self.linux.boot("q35", RAM, &plain)?.after("compute")?);
            rates[2].push(self.linux.boot("q35", RAM, &metered)?.after("compute")?);
        }
        let [ours, linux, metered] = rates.map(race::median);
        Ok(Row {
            what: "compute, as CoreMark does".into(),
            unit: "rounds/s".into(),
            better: Better::More,
            ours,
            peers: vec![Peer::new(LINUX, linux), Peer::new(METERED, metered)],
            reach: vec![Reach::better(LINUX, 1.0)],
        })
    }

    fn files(&self) -> Result<Vec<Row>> {
        /// What the program calls it, what a person does, and the unit.
        const PARTS: [(&str, &str, &str); 7] = [
            ("files", "10,000 files of 1 KiB, all of the below", "files/s"),
            ("create", "create and write", "files/s"),
            ("read", "open and read", "files/s"),
            ("rename", "rename", "files/s"),
            ("remove", "remove", "files/s"),
            ("sequential-write", "64 MiB written, 64 KiB at a time", "MB/s"),
            ("sequential-read", "64 MiB read, 64 KiB at a time", "MB/s"),
        ];
        let guest = self.guest("files");
        let image = self.linux.initrd("wasmi run --dir /t /files.wasm /t", &[&guest], None)?;
        let mut rates: Vec<_> = PARTS.iter().map(|_| [Vec::new(), Vec::new()]).collect();
        for _ in 0..self.rounds {
            let ours = self.sisal.run("q35", RAM, &["--tmpfs", "/t"], &guest, &["/t"], None)?;
            let linux = self.linux.boot("q35", RAM, &image)?;
            for ((name, ..), rates) in PARTS.iter().zip(&mut rates) {
                rates[0].push(ours.after(name)?);
                rates[1].push(linux.after(name)?);
            }
        }
        let rows = PARTS.iter().zip(rates).map(|((name, what, unit), rates)| {
            let [ours, linux] = rates.map(race::median);
            Row {
                what: (*what).into(),
                unit: (*unit).into(),
                better: Better::More,
                ours,
                peers: vec![Peer::new(LINUX, linux)],
                reach: if matches!(*name, "files" | "sequential-write" | "sequential-read") {
                    vec![Reach::better(LINUX, 1.5)]
                } else {
                    Vec::new()
                },
            }
        });
        Ok(rows.collect())
    }

    /// SQLite's shell, where somebody has put it: it is not part of the sources.
    fn sqlite(&self) -> Result<Option<Row>> {
        const SCRIPT: &str = include_str!("machine/sqlite.sql");
        let shell = env::var_os("SQLITE").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/guests/sqlite3_shell.wasm"),
            PathBuf::from,
        );
        if !shell.exists() {
            eprintln!(
                "bench: no SQLite: SQLITE names no shell that is compiled for WASI, nor is one at {}",
                shell.display()
            );
            return Ok(None);
        }
        let guest = self.scratch.path().join("sqlite.wasm");
        fs::copy(&shell, &guest)?;
        let script = self.scratch.path().join("script.sql");
        fs::write(&script, SCRIPT)?;
        let command = "wasmi run --dir /t /sqlite.wasm /t/x.db </script.sql";
        let image = self.linux.initrd(command, &[&guest, &script], None)?;
        let mut seconds = [const { Vec::new() }; 2];
        for _ in 0..self.rounds {
            let ours = self.sisal.run("q35", RAM, &["--tmpfs", "/t"], &guest, &["/t/x.db"], Some(&script))?;
            seconds[0].push(ours.after("seconds")?);
            seconds[1].push(self.linux.boot("q35", RAM, &image)?.after("seconds")?);
        }
        let [ours, linux] = seconds.map(race::median);
        Ok(Some(Row {
            what: "SQLite: 4,000 rows inserted, indexed, joined, updated".into(),
            unit: "s".into(),
            better: Better::Less,
            ours,
            peers: vec![Peer::new(LINUX, linux)],
            reach: Vec::new(),
        }))
    }

    /// The run of a command: in the kernel, by the kernel itself; under Linux by this program, for its peers.
    fn commands(&self) -> Result<Vec<Row>> {
        let programs = self.scratch.path().join("commands");
        fs::create_dir_all(&programs)?;
        for (name, _, wat) in COMMANDS {
            fs::write(programs.join(name).with_extension("wasm"), wat::parse_str(wat)?)?;
        }
        let archive = self.scratch.path().join("commands.tar");
        let mut tar = Command::new("tar");
        tar.args(["--create", "--format=ustar", "--file"])
            .arg(&archive)
            .arg("--directory")
            .arg(self.scratch.path());
        succeed(tar.arg("commands"))?;
        let ours = self.sisal.selftest("q35", "measure=commands", &archive)?;

        let inside = self.scratch.path().join("inside");
        succeed(Command::new("strip").arg("-o").arg(&inside).arg(env::current_exe()?))?;
        let command = format!("ROUNDS=3 /inside {INSIDE}");
        let image = self.linux.initrd(&command, &[&inside], None)?;
        let linux = self.linux.boot("q35", RAM, &image)?;
        let row = |(name, what, _): (&str, &str, &str)| {
            let mut peers = [0.0; PEERS.len()];
            for (value, (_, peer)) in peers.iter_mut().zip(PEERS) {
                *value = linux.after(&format!("{peer}-{name}"))?;
            }
            let what = format!("run of a command, from the call to the output: {what}");
            Ok(commands::row(what, ours.after(name)? / 1e3, peers))
        };
        COMMANDS.into_iter().map(row).collect()
    }

    fn stream(&self) -> Result<Row> {
        let guest = self.guest("stream");
        let input = self.scratch.path().join("input");
        fs::write(&input, noise(STREAM))?;
        let image = self.linux.initrd(
            "wasmi run /stream.wasm </dev/vport0p1 >/dev/vport0p2",
            &[&guest],
            Some(SERIAL),
        )?;
        let mut rates = [const { Vec::new() }; 2];
        for _ in 0..self.rounds {
            let ours = self.sisal.run("q35", RAM, &[], &guest, &[], Some(&input))?;
            ours.expect_output(&input)?;
            rates[0].push(ours.after("stream")?);
            let linux = self.linux.stream("q35", RAM, &image, &input)?;
            linux.expect_output(&input)?;
            rates[1].push(linux.after("stream")?);
        }
        let [ours, linux] = rates.map(race::median);
        Ok(Row {
            what: "100 MB from standard input to standard output, 64 KiB at a time".into(),
            unit: "MB/s".into(),
            better: Better::More,
            ours,
            peers: vec![Peer::new(LINUX, linux)],
            reach: vec![Reach::better(LINUX, 2.0)],
        })
    }
}

/// How QEMU realises the processor.
pub fn accel() -> String {
    env::var("ACCEL").unwrap_or_else(|_| ACCEL.into())
}

/// The least of `from`, `from + step`… up to `to` that `works`; what is larger than one that works does too.
fn least(from: u32, to: u32, step: u32, works: impl Fn(u32) -> bool) -> Result<f64> {
    let (mut low, mut high) = (0, (to - from) / step);
    if !works(to) {
        return Err(format!("hello does not run in {to} MiB").into());
    }
    while low < high {
        let middle = low.midpoint(high);
        if works(from + middle * step) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Ok((from + low * step).into())
}

/// Bytes that do not repeat.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let words = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 32) as u32
    });
    words.flat_map(u32::to_le_bytes).take(len).collect()
}

/// Where cargo builds.
pub fn target() -> PathBuf {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    env::var_os("CARGO_TARGET_DIR").map_or(default, PathBuf::from)
}

fn build_guests(target: &Path) -> Result<PathBuf> {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--quiet", "--locked", "--release", "--target=wasm32-wasip1", "--manifest-path"]);
    cargo.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("guests/Cargo.toml"));
    let target = target.join("bench-guests");
    succeed(cargo.arg("--target-dir").arg(&target))?;
    Ok(target.join("wasm32-wasip1/release"))
}

/// Runs a command that must succeed.
pub fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status().map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}").into()) }
}
