//! Every guest on every host, each case a test of its own: `HOST::GUEST` or `HOST::GUEST::CASE`.
//!
//! What wasmtime's preview 1 test programs (`p1_*`) probe, and the guest here that does:
//!
//! | situations | guest |
//! |---|---|
//! | preopens, closed or replaced; stdio and others renumbered | `prestat`, `renumber`, `many` |
//! | files written, read, sought, cut, appended to, allocated, advised on | `offsets`, `files`, `nothing` |
//! | opening: what for, with what flags, through what, twice, thousands of times | `rights`, `nofollow`, `many` |
//! | paths that are odd, too long or lead out | `path_escape`, `nothing` |
//! | links of both kinds: loops, dangling, slashes | `links`, `symlinks`, `nofollow` |
//! | renaming and removing, also of what is open | `renames`, `removals`, `many` |
//! | directories: listing, and what their descriptors refuse | `readdir`, `dirs`, `dir_fds` |
//! | what is read-only stays so, also across preopens | `readonly` |
//! | times and what else is known of a file | `times`; of the host's oddest: `wasi/tests/filesystem/host.rs` |
//! | polls, clocks, random bytes, output | `poll`, `poll_errors`, `clocks`, `random`, `streams` |
//! | sockets | `net`, `serve`, `sockets`; each function of 0.2: `wasi/src/preview2/sockets/tests` |
//!
//! Where wasmtime says otherwise on purpose, it is its own limit (what a call may copy, `fd_allocate`, `SYNC`), or both errnos
//! are right: `fd_sync` of a directory works here, a bad descriptor in a poll is that event's error.

use libtest_mimic::{Failed, Trial};
use sisal_tests::{
    case::Case,
    guests::{self, Wasi},
    host,
};
use std::{process::ExitCode, sync::Arc};

fn main() -> ExitCode {
    sisal_tests::run(trials)
}

fn trials() -> Result<Vec<Trial>, String> {
    let hosts = host::all();
    let mut trials = vec![];
    for guest in guests::build()? {
        let guest = Arc::new(guest);
        for mut case in Case::read(&guest.expectation)? {
            if guest.wasi == Wasi::Preview2 {
                case.exit = case.exit.map(|code| code.min(1));
            }
            let case = Arc::new(case);
            for host in &hosts {
                let mut name = format!("{}::{}", host.name(), guest.label());
                if let Some(case) = &case.name {
                    name = format!("{name}::{case}");
                }
                let wasi = match guest.wasi {
                    Wasi::Preview1 => "p1",
                    Wasi::Preview2 => "p2",
                };
                let skipped = [wasi, host.name()].iter().any(|&name| case.skip.contains_key(name));
                let (host, guest, case) = (host.clone(), guest.clone(), case.clone());
                let trial =
                    Trial::test(name, move || host::check(&*host, &guest, &case).map_err(Failed::from));
                trials.push(trial.with_ignored_flag(skipped));
            }
        }
    }
    Ok(trials)
}
