//! `sisal` with QEMU: the tour on every kind of machine, and from an image.

use std::fs;
use std::process::{Command, Output, Stdio};

/// The tour, as the build script made it.
const TOUR: &str = concat!(env!("OUT_DIR"), "/tour.wasm");

fn sisal(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sisal")).args(arguments).stdin(Stdio::null()).output().unwrap()
}

#[track_caller]
fn assert_passed(output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("checks passed") && !text.contains("WRONG"), "{output:?}");
}

#[test]
fn the_tour_passes_on_every_machine() {
    for machine in ["microvm", "q35", "pc"] {
        let output = sisal(&["run", "--machine", machine]);
        assert_passed(&output);
        assert_eq!(String::from_utf8_lossy(&output.stderr), "  (This line comes on standard error.)\n");
        assert_eq!(output.status.code(), Some(0), "{machine}");
    }
}

#[test]
fn the_tour_is_not_easily_content() {
    let output = sisal(&["run", "--tmpfs", "/tour", "--argv0", "tour", TOUR, "other words"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("WRONG: they are") && text.contains("2 of 7 areas are not as they should be"),
        "{text}"
    );
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_directory_of_the_host_is_shared_live_and_only_as_allowed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let tour = ["--env", "SISAL_TOUR=a=b", "--argv0", "tour", TOUR, "two words", "naïve"];

    // The tour removes all that it makes.
    let writable = format!("{path}::/tour");
    assert_passed(&sisal(&[&["run", "--dir", &writable], &tour[..]].concat()));
    assert_eq!(fs::read_dir(path).unwrap().count(), 0);

    let read_only = format!("{path}::/tour:ro");
    let output = sisal(&[&["run", "--dir", &read_only], &tour[..]].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("files        WRONG: contents:") && text.contains("1 of 7 areas"), "{text}");
    assert_eq!(fs::read_dir(path).unwrap().count(), 0);
}

#[test]
fn an_image_boots_without_sisal() {
    let directory = tempfile::tempdir().unwrap();
    let host = directory.path().join("host");
    fs::create_dir(&host).unwrap();
    let shared = format!("{}::/tour", host.display());
    let image = directory.path().join("image it's called");
    let output = sisal(
        &[
            &[
                "image",
                "--dir",
                &shared,
                "--env",
                "SISAL_TOUR=a=b",
                "--argv0",
                "tour",
                TOUR,
                "two words",
                "naïve",
            ],
            &["-o", image.to_str().unwrap()][..],
        ]
        .concat(),
    );
    assert!(output.status.success(), "{output:?}");
    let line = String::from_utf8(output.stdout).unwrap();
    // The files are in the image.
    fs::remove_dir(&host).unwrap();

    let output =
        Command::new("timeout").args(["120", "sh", "-c", &line]).stdin(Stdio::null()).output().unwrap();
    assert_passed(&output);
    assert_eq!(output.status.code(), Some(0));
    let status = format!("ready {}\nstdin\nexit 0\n", manifest::FORMAT_VERSION);
    assert_eq!(fs::read_to_string(image.join("status")).unwrap(), status);
}

#[test]
fn a_kernel_for_modules_says_what_it_cannot_run() {
    let directory = tempfile::tempdir().unwrap();
    let image = directory.path().join("image");
    assert!(sisal(&["image", "-o", image.to_str().unwrap(), TOUR]).status.success());
    let component = directory.path().join("component.wasm");
    fs::write(&component, b"\0asm\x0d\0\x01\0").unwrap();
    let kernel = image.join("kernel");
    let run = |options: &[&str], program: &str| {
        let output = sisal(&[&["run", "--kernel", kernel.to_str().unwrap()], options, &[program]].concat());
        assert_eq!(output.status.code(), Some(126), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let message = run(&[], component.to_str().unwrap());
    assert!(message.contains("this host was built without them"), "{message}");
    let message = run(&["--allow", "127.0.0.1:80"], TOUR);
    assert!(
        message.contains("the program cannot have its network: this kernel is for modules without one"),
        "{message}"
    );
}
