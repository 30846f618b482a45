//! A machine with 32 MiB, and programs that want more, as a user sees it: the end of each is reported as it should be, names
//! what there was too little of, and says what to do. A kernel that panics would be an error of `sisal`'s, not an end.

use libtest_mimic::{Failed, Trial};
use sisal_tests::{
    case::Ending,
    exhaustion::{self, Exhausting},
    guests,
    qemu::Qemu,
};
use std::{ffi::OsString, path::Path, process::ExitCode, sync::Arc};

fn main() -> ExitCode {
    sisal_tests::run(trials)
}

fn trials() -> Result<Vec<Trial>, String> {
    let qemu = Arc::new(Qemu::new());
    let trial = |program: Exhausting| {
        let qemu = qemu.clone();
        Trial::test(program.name, move || run(&qemu, &program).map_err(Failed::from))
    };
    Ok(exhaustion::programs().into_iter().map(trial).collect())
}

fn run(qemu: &Qemu, program: &Exhausting) -> Result<(), String> {
    let guest = guests::wat(&format!("exhaustion-{}", program.name), &program.wat, Path::new(""))?;
    let mut args: Vec<OsString> = vec!["--ram".into(), "32M".into()];
    for directory in program.directories {
        args.extend(["--tmpfs".into(), directory.into()]);
    }
    args.push(guest.path.into());
    let finished = qemu.run_command(&args, vec![])?;
    let stderr = String::from_utf8_lossy(&finished.stderr);
    // As `sisal run --help` has them.
    let (code, parts) = match &program.ending {
        Ending::Exit(code) => (i32::try_from(*code).unwrap_or(-1), vec![]),
        Ending::Trap(part) => (134, vec![&**part, "sisal run --ram"]),
        Ending::Limit(part) if part == "the limit of the stack" => (137, vec![&**part]),
        Ending::Limit(part) => (137, vec![&**part, "sisal run --ram"]),
        Ending::Refused(part) => (126, vec![&**part, "sisal run --ram"]),
    };
    if finished.status.code() != Some(code) || !parts.iter().all(|part| stderr.contains(part)) {
        return Err(format!(
            "it should end with {code} and say {parts:?}, but ends with {} and says\n{stderr}",
            finished.status
        ));
    }
    Ok(())
}
