//! Prints its arguments and environment, and exits with the first argument.
fn main() {
    let mut code = 0;
    for (i, arg) in std::env::args_os().enumerate() {
        println!("argv[{i}]={arg:?}");
        if i == 1 {
            code = arg.to_str().and_then(|arg| arg.parse().ok()).unwrap_or(0);
        }
    }
    for (name, value) in std::env::vars_os() {
        println!("{name:?}={value:?}");
    }
    eprintln!("leaving with {code}");
    std::process::exit(code);
}
