//! Ends in the way its argument names.
use std::hint::black_box;

fn main() {
    println!("begun");
    match std::env::args().nth(1).as_deref() {
        Some("return") => {}
        Some("panic") => panic!("on purpose"),
        Some("overflow") => {
            black_box(recurse(black_box(1)));
        }
        Some("unreachable") => core::arch::wasm32::unreachable(),
        Some("out of bounds") => {
            // SAFETY: none: the address is past the end of any memory here, and the engine traps.
            unsafe { black_box(core::ptr::read_volatile(black_box(0xffff_fff0u32) as *const u8)) };
        }
        Some(code) => std::process::exit(code.parse().expect("a number")),
        None => std::process::exit(0),
    }
}

#[allow(unconditional_recursion)]
fn recurse(n: u64) -> u64 {
    let deeper = recurse(black_box(n + 1));
    black_box(deeper + n)
}
