//! The Sisal kernel.
fn main() {}
