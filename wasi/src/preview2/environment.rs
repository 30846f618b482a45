//! `wasi:cli/environment`.

use super::{Interfaces, Polled, Preview2, interface};
use alloc::{string::String, vec::Vec};
use core::task::Poll;

pub fn register(linker: &mut Interfaces) {
    interface(linker, "wasi:cli/environment")
        .func("get-environment", get_environment)
        .func("get-arguments", get_arguments)
        .func("initial-cwd", initial_cwd);
}

/// The environment.
pub fn get_environment(call: &mut Preview2<'_>, (): &()) -> Polled<Vec<(String, String)>> {
    Poll::Ready(Ok(call.data.state.environment.clone()))
}

/// The arguments, the program's name first.
pub fn get_arguments(call: &mut Preview2<'_>, (): &()) -> Polled<Vec<String>> {
    Poll::Ready(Ok(call.data.state.args.clone()))
}

/// There is no working directory: libraries begin at the preopened directories, as preview 1's do.
pub fn initial_cwd(_: &mut Preview2<'_>, (): &()) -> Polled<Option<String>> {
    Poll::Ready(Ok(None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preview2::testing::*;
    use alloc::string::ToString;

    #[test]
    fn they_are_what_was_given() {
        let mut guest = guest();
        assert_eq!(guest.call(get_arguments, ()), ["program", "ÿ", ""]);
        assert_eq!(guest.call(get_environment, ()), [("A".to_string(), "b".to_string())]);
        assert_eq!(guest.call(initial_cwd, ()), None);
    }
}
