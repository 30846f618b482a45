//! What a program has that was handed nothing: no environment, no arguments, no descriptor past stderr.
use guests::*;
use std::io::Read;

fn main() {
    println!("arguments: {}", std::env::args().count() - 1);
    println!("variables: {}", std::env::vars().count());
    // SAFETY: descriptors are numbers.
    unsafe {
        check("prestat of 3", fd_prestat_get(3));
        check("fdstat of 3", fd_fdstat_get(3));
        check("close 3", fd_close(3));
    }
    for path in ["/", ".", "/etc/passwd", "../x", "x"] {
        match std::fs::metadata(path) {
            Ok(_) => println!("{path} exists"),
            Err(error) => println!("{path}: {:?}", error.kind()),
        }
    }
    let mut rest = vec![];
    println!("stdin: {:?}", std::io::stdin().read_to_end(&mut rest).map_err(|error| error.kind()));
}
