//! The surface of WASI 0.2: the guest `surface` calls any function with anything in any order, as the input says. It has a network, on
//! which it finds itself and a server.
//!
//! What must hold: it ends within its limits, by its own end or a trap that says why, never by an assertion of its own; the host does not panic; what is
//! not ready after long has nothing for it; its file system stays whole and within its quota, and nothing of it is charged when
//! all is removed.

use super::{
    home::Home,
    machine::{machine, run as run_guest},
    network::Neighbours,
};
use crate::guests;
use arbitrary::Unstructured;
use std::{fs, sync::LazyLock};
use wasi::{Engine, Program};

/// Bytes of linear memory, of which its own start takes the most.
const MEMORY: u64 = 16 << 20;
const FUEL: u64 = 5_000_000;
/// How many resources the program may have.
const RESOURCES: u32 = 60;

static SURFACE: LazyLock<Program> = LazyLock::new(|| {
    let wasm = guests::surface().and_then(|path| fs::read(path).map_err(|error| error.to_string()));
    let wasm = wasm.expect("the guest is built");
    Program::new(&Engine::new(), &wasm).expect("the guest loads")
});

/// Runs the target on `data`: what the server says, how the program is preempted, and the program's script.
pub fn run(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let home = Home::new();
    let machine = machine(home.clock.clone());
    let neighbours = Neighbours::server(&machine, input.arbitrary().unwrap_or(0));
    let mut command = home.command(MEMORY, FUEL, RESOURCES).network(neighbours.access());
    if input.arbitrary().unwrap_or(false) {
        command = command.slice_fuel(1_000);
    }
    let command = command.input(input.take_rest());
    let guest = SURFACE.start(&machine, command).expect("the program starts");
    let outcome = run_guest(&home.clock, neighbours.beside(guest));
    let text = outcome.to_string();
    assert!(!text.is_empty() && !text.contains("unreachable"), "the program found something wrong: {text}");
    home.check();
}
