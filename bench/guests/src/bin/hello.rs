//! The program that boots are measured with.

fn main() {
    println!("Hello, world!");
}
