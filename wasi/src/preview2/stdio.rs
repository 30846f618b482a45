//! `wasi:cli/stdin`, `stdout` and `stderr`.

use super::{
    Interfaces, Polled, Preview2, State, interface,
    io::{Input, Output},
    offer, refused,
};
use component::Own;
use core::task::Poll;

pub fn register(linker: &mut Interfaces) {
    let mut stdin = interface(linker, "wasi:cli/stdin");
    offer::<Input>(&mut stdin);
    stdin.func("get-stdin", get_stdin);
    let mut stdout = interface(linker, "wasi:cli/stdout");
    offer::<Output>(&mut stdout);
    stdout.func("get-stdout", get_stdout);
    let mut stderr = interface(linker, "wasi:cli/stderr");
    offer::<Output>(&mut stderr);
    stderr.func("get-stderr", get_stderr);
}

/// A stream that reads stdin; all of them share what there is to read.
pub fn get_stdin(call: &mut Preview2<'_>, (): &()) -> Polled<Own<Input>> {
    let State { stdin, table, .. } = &mut call.data.state;
    Poll::Ready(Ok(Own::new(table.insert(stdin.clone()).map_err(refused)?)))
}

/// A stream that writes to stdout.
pub fn get_stdout(call: &mut Preview2<'_>, (): &()) -> Polled<Own<Output>> {
    let State { stdout, table, .. } = &mut call.data.state;
    Poll::Ready(Ok(Own::new(table.insert(stdout.another()).map_err(refused)?)))
}

/// A stream that writes to stderr.
pub fn get_stderr(call: &mut Preview2<'_>, (): &()) -> Polled<Own<Output>> {
    let State { stderr, table, .. } = &mut call.data.state;
    Poll::Ready(Ok(Own::new(table.insert(stderr.another()).map_err(refused)?)))
}
