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

/// Measures the section.
///
/// # Errors
/// When a contestant cannot do its work.
pub fn measure() -> Result<Section> {
    let rows = [("hello, one page of memory", TINY), ("hello, 257 pages that grow", LARGE)]
        .into_iter()
        .map(|(what, wat)| {
            let wasm = wat::parse_str(wat)?;
            let mut contestants = [
                sisal(&wasm)?,
                peers::wasmi_wasi(&wasm)?,
                peers::wasmtime(&wasm, false)?,
                peers::wasmtime(&wasm, true)?,
            ];
            let [ours, others @ ..] = &race(&mut contestants)?[..] else { return Err("nobody ran".into()) };
            let peers = [WASMI_WASI, WASMTIME, POOLING].into_iter().zip(others);
            Ok(Row {
                what: what.into(),
                unit: "µs".into(),
                better: Better::Less,
                ours: ours / 1e3,
                peers: peers.map(|(name, value)| Peer { name: name.into(), value: value / 1e3 }).collect(),
                reach: [WASMI_WASI, POOLING]
                    .map(|than| Reach::Better { than: than.into(), times: 1.0 })
                    .into(),
            })
        })
        .collect::<Result<_>>()?;
    Ok(Section {
        title: "Running a command".into(),
        about: "From the call to the collected output, on the host: the module is compiled beforehand, everything else is new \
                for every run. Sisal is built with its feature `lazy-zero`."
            .into(),
        rows,
    })
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
