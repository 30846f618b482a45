//! `sisal`: runs WebAssembly programs on bare metal.
fn main() {}
