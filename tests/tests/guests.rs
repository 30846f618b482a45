//! Every guest on every host, each case a test of its own: `HOST::GUEST` or `HOST::GUEST::CASE`.

use libtest_mimic::{Failed, Trial};
use sisal_tests::{case::Case, guests, host};
use std::{process::ExitCode, sync::Arc};

fn main() -> ExitCode {
    sisal_tests::run(trials)
}

fn trials() -> Result<Vec<Trial>, String> {
    let hosts = host::all();
    let mut trials = vec![];
    for guest in guests::build()? {
        let guest = Arc::new(guest);
        for case in Case::read(&guest.expectation)? {
            let case = Arc::new(case);
            for host in &hosts {
                let mut name = format!("{}::{}", host.name(), guest.name);
                if let Some(case) = &case.name {
                    name = format!("{name}::{case}");
                }
                let skipped = case.skip.contains_key(host.name());
                let (host, guest, case) = (host.clone(), guest.clone(), case.clone());
                let trial =
                    Trial::test(name, move || host::check(&*host, &guest, &case).map_err(Failed::from));
                trials.push(trial.with_ignored_flag(skipped));
            }
        }
    }
    Ok(trials)
}
