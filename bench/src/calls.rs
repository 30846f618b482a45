//! What one host call costs: preview 1 on the host, beside wasmi_wasi on the same wasmi and beside wasmtime.
//!
//! All contestants run the same guest (`calls/guest.wat`), which makes one kind of call in a loop; what an empty loop
//! takes is subtracted.

use crate::{
    Result,
    race::{Contestant, race},
    report::{Better, Peer, Reach, Row, Section},
};
use std::{cell::RefCell, fs, path::Path};
use tempfile::TempDir;

mod peers;
mod sisal;

/// What a guest is told: the operation's index in its table (0 is the empty loop), and how often.
#[derive(Clone, Copy)]
struct Order {
    operation: u32,
    count: u32,
}

impl Order {
    /// As the guest reads it.
    fn bytes(self) -> [u8; 8] {
        (u64::from(self.count) << 32 | u64::from(self.operation)).to_le_bytes()
    }
}

/// Whoever runs the guest with such an order as its standard input.
trait Host {
    fn run(&mut self, order: Order) -> Result<()>;
}

/// One of the guest's operations.
struct Operation {
    what: &'static str,
    unit: Unit,
    reach: fn() -> Vec<Reach>,
    /// Whether it works on a file or a directory: then Sisal has two rows.
    files: bool,
}

#[derive(Clone, Copy)]
enum Unit {
    Nanoseconds,
    Microseconds,
}

const FLOOR: &str = "empty host function";
const WASMI_WASI: &str = "wasmi_wasi";
const WASMTIME: &str = "wasmtime";

fn none() -> Vec<Reach> {
    Vec::new()
}

fn floors() -> Vec<Reach> {
    vec![Reach::Most { of: FLOOR.into(), times: 3.0 }]
}

fn file() -> Vec<Reach> {
    vec![Reach::Better { than: WASMI_WASI.into(), times: 5.0 }]
}

fn listing() -> Vec<Reach> {
    vec![Reach::Better { than: WASMI_WASI.into(), times: 20.0 }]
}

/// In the order of the guest's table, from its second entry on: the first is the empty loop.
const OPERATIONS: [Operation; 10] = [
    call("clock_time_get", floors),
    call("random_get, 16 B", none),
    call("fd_write to a pipe, 1 B", floors),
    call("fd_write to a pipe, 4 KiB", none),
    file_call("fd_read, 4 KiB", file),
    file_call("fd_pread, 4 KiB", file),
    file_call("path_open and fd_close, three directories deep", file),
    Operation {
        unit: Unit::Microseconds,
        ..file_call("fd_readdir, 1,000 entries, one call with 64 KiB", listing)
    },
    Operation {
        unit: Unit::Microseconds,
        ..file_call("fd_readdir, 1,000 entries, calls with 4 KiB", listing)
    },
    call("poll_oneoff, one ready subscription", none),
];

const fn call(what: &'static str, reach: fn() -> Vec<Reach>) -> Operation {
    Operation { what, unit: Unit::Nanoseconds, reach, files: false }
}

const fn file_call(what: &'static str, reach: fn() -> Vec<Reach>) -> Operation {
    Operation { files: true, ..call(what, reach) }
}

/// Measures all of them.
pub fn measure() -> Result<Section> {
    let directory = tree()?;
    let guest = wat::parse_str(include_str!("calls/guest.wat"))?;
    let mut hosts: [Box<dyn Host>; 5] = [
        Box::new(peers::Floor::new()?),
        Box::new(sisal::in_memory(&guest, directory.path())?),
        Box::new(sisal::on_host(&guest, directory.path())?),
        Box::new(peers::WasmiWasi::new(&guest, directory.path())?),
        Box::new(peers::Wasmtime::new(&guest, directory.path())?),
    ];
    let mut rows = Vec::new();
    for (index, operation) in (1..).zip(&OPERATIONS) {
        let took = take_turns(&mut hosts, index)?;
        let (divisor, unit) = match operation.unit {
            Unit::Nanoseconds => (1.0, "ns"),
            Unit::Microseconds => (1e3, "µs"),
        };
        let values: [f64; 5] = std::array::from_fn(|index| took[index] / divisor);
        if values.iter().any(|&value| value <= 0.0) {
            let what = operation.what;
            return Err(format!(
                "{what}: less than nothing, beside the empty loop: the machine is too noisy"
            )
            .into());
        }
        let [floor, memory, host, wasmi_wasi, wasmtime] = values;
        let row = |what: String, ours| {
            let mut peers = vec![
                Peer { name: WASMI_WASI.into(), value: wasmi_wasi },
                Peer { name: WASMTIME.into(), value: wasmtime },
            ];
            // Beside what moves kilobytes or asks the host's files it says nothing.
            if !operation.files {
                peers.insert(0, Peer { name: FLOOR.into(), value: floor });
            }
            Row { what, unit: unit.into(), better: Better::Less, ours, peers, reach: (operation.reach)() }
        };
        if operation.files {
            rows.push(row(format!("{}: in memory", operation.what), memory));
            rows.push(row(format!("{}: host's directory", operation.what), host));
        } else {
            rows.push(row(operation.what.into(), memory));
        }
    }
    Ok(Section {
        title: "Host calls".into(),
        about: "What a guest's call of a WASI function costs on a Linux host, the empty loop around it subtracted. Sisal runs \
                the guest as it always does, with fuel, in slices. Files have two rows: Sisal's file system in memory, and the \
                host's directory; wasmi_wasi (on the same wasmi, without fuel) and wasmtime (Cranelift, file calls on the \
                calling thread) have the host's directory in both. Standard output is a pipe for Sisal, emptied by 64 KiB, and a vector \
                in memory for the others. The empty host function is the floor: what wasmi takes to call a function that \
                does nothing. In the host's directory each call is one system call for all of them (opening is three, with the \
                file's type and the closing): there the goals cannot be reached, as the system's own work on it is the larger part \
                of the peers' time too; of a listing it is nine tenths. Of a read in memory the floor and the copy are seven tenths; \
                with the guest's look at the result they take nearly the fifth of wasmi_wasi's time that is the goal."
            .into(),
        rows,
    })
}

/// Nanoseconds for doing it once, for each host: those of the loop with it, less those of the empty loop, which takes its turns too.
fn take_turns(hosts: &mut [Box<dyn Host>], operation: u32) -> Result<Vec<f64>> {
    let hosts: Vec<_> = hosts.iter_mut().map(RefCell::new).collect();
    let mut contestants: Vec<_> = hosts
        .iter()
        .flat_map(|host| [operation, 0].map(|operation| (host, operation)))
        .map(|(host, operation)| -> Contestant<'_> {
            Box::new(move |count| host.borrow_mut().run(Order { operation, count }))
        })
        .collect();
    let took = race(&mut contestants)?;
    Ok(took.as_chunks().0.iter().map(|[with, empty]| with - empty).collect())
}

/// The file that is read and opened, and how large it is.
const FILE: &str = "a/b/c/file";
const FILE_BYTES: usize = 256 << 10;
/// The directory that is listed, and how many files are in it.
const MANY: &str = "many";
const MANY_FILES: usize = 1000;

/// The host's directory that the guests get.
fn tree() -> Result<TempDir> {
    let root = tempfile::tempdir()?;
    for path in paths() {
        let (path, content) = (root.path().join(&path), content(&path));
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
        fs::write(path, content)?;
    }
    Ok(root)
}

/// The files in it.
fn paths() -> impl Iterator<Item = String> {
    let many = (0..MANY_FILES).map(|index| format!("{MANY}/file{index:04}"));
    many.chain([FILE.to_string()])
}

fn content(path: &str) -> Vec<u8> {
    if path == FILE { vec![7; FILE_BYTES] } else { Vec::new() }
}
