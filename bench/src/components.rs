//! What the component model costs: calls of the host, calls from one component to another, and the start of a component;
//! beside wasmtime, and beside what wasmi takes for a call of a host function that knows no component.
//!
//! Calls are made in a loop (`components/calls.wat`); what an empty loop takes is subtracted.

use crate::{
    Result,
    race::{Contestant, race},
    report::{Better, Peer, Reach, Row, Section},
};
use std::{env, fs, time::Instant};

mod calls;
mod runs;

const FLOOR: &str = "core host call, wasmi";
const WASMTIME: &str = "wasmtime";
const PRECOMPILED: &str = "wasmtime, precompiled";

/// Where a component of CPython is, if it is to be measured: it is too large to be among the sources.
const PYTHON: &str = "PYTHON";
/// How often what takes seconds is done.
const FEW: usize = 3;

/// Whoever runs the loops: by the name of what is called, and how often.
trait Caller {
    fn call(&mut self, name: &str, count: u32) -> Result<()>;
}

/// What is called, as the loops' component exports it and as a person says, and what it is meant to reach.
type Called = (&'static str, &'static str, fn() -> Vec<Reach>);

const CALLS: [Called; 4] = [
    ("now", "host call, () -> u64", host_call),
    ("add", "host call, (u32, u32) -> u32", host_call),
    ("next", "another component's function, (u32) -> u32", || vec![Reach::Under { limit: 500.0 }]),
    ("echo", "another component's function, (string) -> string, 12 bytes", Vec::new),
];

fn host_call() -> Vec<Reach> {
    vec![Reach::Most { of: FLOOR.into(), times: 3.0 }]
}

/// Measures the section.
///
/// # Errors
/// When a contestant cannot do its work.
pub fn measure() -> Result<Section> {
    let mut rows = calls()?;
    rows.push(hello()?);
    match env::var(PYTHON) {
        Ok(path) => rows.extend(python(&fs::read(&path).map_err(|error| format!("{path}: {error}"))?)?),
        Err(_) => eprintln!("bench: without CPython: {PYTHON} is to say where its component is"),
    }
    Ok(Section {
        title: "Components".into(),
        about: "On a Linux host. Calls are made by a component in a loop, the empty loop subtracted: of the host, and of a component \
                that is beside it in the same one. Sisal runs with fuel; a call from one component to another is no nested Rust call, so that it \
                can wait and be preempted: the caller is unwound and resumed. The core host call is the floor, what wasmi takes \
                for the same function of the same engine without components. wasmtime is compiled by Cranelift. A run is from \
                the call to the collected output, everything but the compiled code new. What takes seconds is the \
                median of three; wasmtime's compilation of CPython (one thread) is done once."
            .into(),
        rows,
    })
}

fn calls() -> Result<Vec<Row>> {
    let (component, core) = (
        wat::parse_str(include_str!("components/calls.wat"))?,
        wat::parse_str(include_str!("components/core.wat"))?,
    );
    let mut callers: [Box<dyn Caller>; 3] = [
        Box::new(calls::Sisal::new(&component)?),
        Box::new(calls::Wasmtime::new(&component)?),
        Box::new(calls::Core::new(&core)?),
    ];
    let empty = take_turns(&mut callers, "empty")?;
    let mut rows = Vec::new();
    for (name, what, reach) in CALLS {
        // The floor is one of host calls.
        let contestants = if matches!(name, "now" | "add") { 3 } else { 2 };
        let took = take_turns(&mut callers[..contestants], name)?;
        let values: Vec<_> = took.iter().zip(&empty).map(|(took, empty)| took - empty).collect();
        let [ours, wasmtime, ref floor @ ..] = values[..] else { return Err("nobody called".into()) };
        if ours <= 0.0 {
            return Err(format!(
                "{what}: less than nothing, beside the empty loop: the machine is too noisy"
            )
            .into());
        }
        let floor = floor.iter().map(|&value| Peer { name: FLOOR.into(), value });
        let wasmtime = Peer { name: WASMTIME.into(), value: wasmtime.max(0.0) };
        let peers = floor.chain([wasmtime]).collect();
        rows.push(Row {
            what: what.into(),
            unit: "ns".into(),
            better: Better::Less,
            ours,
            peers,
            reach: reach(),
        });
    }
    Ok(rows)
}

/// Nanoseconds for doing it once, for each of them.
fn take_turns(callers: &mut [Box<dyn Caller>], name: &'static str) -> Result<Vec<f64>> {
    let mut contestants: Vec<_> = callers
        .iter_mut()
        .map(|caller| -> Contestant<'_> { Box::new(move |count| caller.call(name, count)) })
        .collect();
    race(&mut contestants)
}

/// A row of milliseconds.
fn milliseconds(what: &str, ours: f64, peers: &[(&str, f64)]) -> Row {
    let peers = peers.iter().map(|&(name, value)| Peer { name: name.into(), value }).collect();
    Row { what: what.into(), unit: "ms".into(), better: Better::Less, ours, peers, reach: Vec::new() }
}

/// The smallest command that writes something, as a component.
fn hello() -> Result<Row> {
    let wasm = wat::parse_str(include_str!("components/hello.wat"))?;
    let (mut ours, mut wasmtime) = (runs::Sisal::new(&wasm)?, runs::Wasmtime::new(&wasm)?);
    let mut contestants: [Contestant<'_>; 2] = [
        Box::new(|count| (0..count).try_for_each(|_| ours.run())),
        Box::new(|count| (0..count).try_for_each(|_| wasmtime.run())),
    ];
    let [ours, wasmtime] = race(&mut contestants)?[..] else { return Err("nobody ran".into()) };
    let peers = vec![Peer { name: WASMTIME.into(), value: wasmtime / 1e3 }];
    Ok(Row {
        what: "run of hello, compiled".into(),
        unit: "µs".into(),
        better: Better::Less,
        ours: ours / 1e3,
        peers,
        reach: Vec::new(),
    })
}

/// The start of CPython.
fn python(wasm: &[u8]) -> Result<Vec<Row>> {
    let (compile, mut ours) = timed(|| runs::Sisal::new(wasm))?;
    let (compile_peer, mut peer) = timed(|| runs::Wasmtime::new(wasm))?;
    let compile = few(compile, || runs::Sisal::new(wasm).map(drop))?;
    let (run, run_peer) = (few(f64::NAN, || ours.run())?, few(f64::NAN, || peer.run())?);
    let whole = few(f64::NAN, || runs::Sisal::new(wasm)?.run())?;
    let code = peer.code()?;
    let loaded = few(f64::NAN, || peer.load(&code)?.run())?;
    Ok(vec![
        milliseconds("CPython: compile", compile, &[(WASMTIME, compile_peer)]),
        milliseconds("CPython: run, compiled", run, &[(WASMTIME, run_peer)]),
        milliseconds(
            "CPython: from its bytes to its end",
            whole,
            &[(WASMTIME, compile_peer + run_peer), (PRECOMPILED, loaded)],
        ),
    ])
}

/// What it gives, and how many milliseconds that took.
fn timed<R>(work: impl FnOnce() -> Result<R>) -> Result<(f64, R)> {
    let start = Instant::now();
    let done = work()?;
    Ok((start.elapsed().as_secs_f64() * 1e3, done))
}

/// The median of a few times in milliseconds, of which one may be there.
fn few(first: f64, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut times: Vec<_> = Some(first).into_iter().filter(|time| !time.is_nan()).collect();
    while times.len() < FEW {
        times.push(timed(&mut work)?.0);
    }
    Ok(crate::race::median(times))
}
