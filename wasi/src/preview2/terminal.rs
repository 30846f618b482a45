//! `wasi:cli/terminal-…`: whether a person sits at the other end. There is nothing that can be done with a terminal.

use super::{Interfaces, Polled, Preview2, State, interface, offer, refused, table::Resource};
use component::Own;
use core::task::Poll;

/// The resource `terminal-input`.
pub struct TerminalInput;

/// The resource `terminal-output`.
pub struct TerminalOutput;

pub fn register(linker: &mut Interfaces) {
    offer::<TerminalInput>(&mut interface(linker, "wasi:cli/terminal-input"));
    offer::<TerminalOutput>(&mut interface(linker, "wasi:cli/terminal-output"));
    let mut stdin = interface(linker, "wasi:cli/terminal-stdin");
    offer::<TerminalInput>(&mut stdin);
    stdin.func("get-terminal-stdin", get_terminal_stdin);
    let mut stdout = interface(linker, "wasi:cli/terminal-stdout");
    offer::<TerminalOutput>(&mut stdout);
    stdout.func("get-terminal-stdout", get_terminal_stdout);
    let mut stderr = interface(linker, "wasi:cli/terminal-stderr");
    offer::<TerminalOutput>(&mut stderr);
    stderr.func("get-terminal-stderr", get_terminal_stderr);
}

/// The terminal of stdin, if it is one.
pub fn get_terminal_stdin(call: &mut Preview2<'_>, (): &()) -> Polled<Option<Own<TerminalInput>>> {
    let is_terminal = call.data.state.stdin.incoming().is_terminal();
    terminal(&mut call.data.state, is_terminal.then_some(TerminalInput))
}

/// The terminal of stdout, if it is one.
pub fn get_terminal_stdout(call: &mut Preview2<'_>, (): &()) -> Polled<Option<Own<TerminalOutput>>> {
    let is_terminal = call.data.state.stdout.outgoing().is_terminal();
    terminal(&mut call.data.state, is_terminal.then_some(TerminalOutput))
}

/// The terminal of stderr, if it is one.
pub fn get_terminal_stderr(call: &mut Preview2<'_>, (): &()) -> Polled<Option<Own<TerminalOutput>>> {
    let is_terminal = call.data.state.stderr.outgoing().is_terminal();
    terminal(&mut call.data.state, is_terminal.then_some(TerminalOutput))
}

fn terminal<R: Resource>(state: &mut State, terminal: Option<R>) -> Polled<Option<Own<R>>> {
    let terminal = terminal.map(|terminal| state.table.insert(terminal)).transpose().map_err(refused)?;
    Poll::Ready(Ok(terminal.map(Own::new)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preview2::testing::*;

    #[test]
    fn only_a_terminal_is_one() {
        let mut guest = guest();
        assert_eq!(guest.call(get_terminal_stdin, ()), None);
        assert_eq!(guest.call(get_terminal_stdout, ()), None);
        let stderr = guest.call(get_terminal_stderr, ()).expect("the tests' stderr is a terminal");
        assert!(guest.data.state.table.get::<TerminalOutput>(stderr.rep).is_ok());
    }
}
