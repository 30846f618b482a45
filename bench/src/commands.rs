//! What one run of a command costs, from the call to the collected output: compiled beforehand, on the host, beside wasmi_wasi on
//! the same wasmi and beside wasmtime with precompiled code, on demand and pooling.

use crate::{
    Result,
    race::{Contestant, race},
    report::{Better, Peer, Reach, Row, Section},
};

mod peers;

const WASMI_WASI: &str = "wasmi_wasi";
const WASMTIME: &str = "wasmtime, on demand";
const POOLING: &str = "wasmtime, pooling";

/// One page and one call: what a run costs at the least.
const TINY: &str = include_str!("commands/tiny.wat");
/// As compilers with a stack of 16 MiB make it (zig does): 257 pages, and one more as soon as something is allocated.
const LARGE: &str = include_str!("commands/large.wat");
/// What both write.
const GREETING: &[u8] = b"hello\n";

fn check(written: &[u8]) -> Result<()> {
    if written == GREETING { Ok(()) } else { Err(format!("the command wrote {written:?}").into()) }
}

/// The commands: their names, what they are, and their sources.
pub const COMMANDS: [(&str, &str, &str); 2] =
    [("tiny", "hello, one page of memory", TINY), ("large", "hello, 257 pages that grow", LARGE)];

/// Measures the section.
///
/// # Errors
/// When a contestant cannot do its work.
pub fn measure() -> Result<Section> {
    let rows = COMMANDS.into_iter().map(|(_, what, wat)| {
        let [ours, peers @ ..] = race_all(wat)?;
        Ok(row(what.into(), ours, peers))
    });
    Ok(Section {
        title: "Running a command".into(),
        about: "From the call to the collected output, on the host: the module is compiled beforehand, everything else is new \
                for every run. Sisal is built with its feature `lazy-zero`."
            .into(),
        rows: rows.collect::<Result<_>>()?,
    })
}

/// A row of what a run takes, in microseconds: ours, and that of [`PEERS`].
pub fn row(what: String, ours: f64, peers: [f64; PEERS.len()]) -> Row {
    let named = PEERS.into_iter().zip(peers);
    let peers = named.map(|((name, _), value)| Peer { name: name.into(), value }).collect();
    let reach = [WASMI_WASI, POOLING].map(|than| Reach::Better { than: than.into(), times: 1.0 });
    Row { what, unit: "µs".into(), better: Better::Less, ours, peers, reach: reach.into() }
}

/// The peers' names in the table, with those of their lines in what [`print`] says.
pub const PEERS: [(&str, &str); 3] =
    [(WASMI_WASI, "wasmi_wasi"), (WASMTIME, "wasmtime"), (POOLING, "pooling")];

/// Says what a run takes for each of [`PEERS`] and for each command, in lines `PEER-COMMAND MICROSECONDS`: for a machine in
/// which there is nothing else.
///
/// # Errors
/// When a contestant cannot do its work.
pub fn print() -> Result<()> {
    for (name, _, wat) in COMMANDS {
        let [_, peers @ ..] = race_all(wat)?;
        for ((_, peer), took) in PEERS.into_iter().zip(peers) {
            println!("{peer}-{name} {took}");
        }
    }
    Ok(())
}

/// Microseconds that a run of a command takes: ours, and those of [`PEERS`].
fn race_all(wat: &str) -> Result<[f64; 1 + PEERS.len()]> {
    let wasm = wat::parse_str(wat)?;
    let mut contestants = [
        sisal(&wasm)?,
        peers::wasmi_wasi(&wasm)?,
        peers::wasmtime(&wasm, false)?,
        peers::wasmtime(&wasm, true)?,
    ];
    let took = race(&mut contestants)?;
    Ok(std::array::from_fn(|index| took.get(index).map_or(f64::NAN, |nanoseconds| nanoseconds / 1e3)))
}

fn sisal(wasm: &[u8]) -> Result<Contestant<'static>> {
    use wasi::{Command, Engine, Program, hosted};
    let program = Program::new(&Engine::new(), wasm)?;
    let machine = hosted::machine();
    Ok(Box::new(move |count| {
        for _ in 0..count {
            let command = Command::new("hello").arg("0");
            let output = hosted::block_on(program.output(&machine, command))?;
            if !output.outcome.success() {
                return Err(output.outcome.to_string().into());
            }
            check(&output.stdout)?;
        }
        Ok(())
    }))
}
