//! `sisal run` with a shell script in QEMU's place: streams, exit codes and failures, with each end of the machine's
//! sockets in the test's hands.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use manifest::FORMAT_VERSION;
use tempfile::TempDir;

/// Generous: it is reached only if something is broken.
const DEADLINE: Duration = Duration::from_secs(60);

/// Sets the variables `stdin`, `stdout`, `stderr`, `status` and `log` to the numbers of the machine's sockets. The function `ready` says a kernel's
/// first word.
const SOCKETS: &str = r#"#!/usr/bin/env bash
for argument; do
    case $argument in socket,id=*,fd=*)
        argument=${argument#socket,id=}
        declare "${argument%%,*}=${argument##*=}"
    esac
done
"#;

/// `sisal run` with a machine that does what `script` says.
struct Run {
    directory: TempDir,
    command: Command,
}

fn run(script: &str) -> Run {
    let directory = tempfile::tempdir().unwrap();
    let qemu = directory.path().join("qemu");
    // Written by another process: a descriptor that is open for writing while another test forks would be
    // inherited, and the file be "busy" for as long.
    let mut install = Command::new("sh")
        .args(["-c", "cat >\"$0\"; chmod +x \"$0\""])
        .arg(&qemu)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let ready = format!("ready() {{ echo 'ready {FORMAT_VERSION}' >&$status; }}\n");
    install.stdin.take().unwrap().write_all(format!("{SOCKETS}{ready}{script}").as_bytes()).unwrap();
    assert!(install.wait().unwrap().success());
    let mut command = Command::new(env!("CARGO_BIN_EXE_sisal"));
    command.args(["run", "--accel", "tcg"]).env("SISAL_QEMU", &qemu);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Run { directory, command }
}

impl Run {
    fn output(mut self) -> Output {
        self.command.output().unwrap()
    }
}

/// What a run that `script` stands for says, and its exit code.
fn says(script: &str) -> (String, Option<i32>) {
    let output = run(script).output();
    assert_eq!(output.stdout, b"", "nothing of sisal's goes to standard output");
    (String::from_utf8(output.stderr).unwrap(), output.status.code())
}

fn until<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(result) = attempt() {
            return result;
        }
        assert!(start.elapsed() < DEADLINE, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn end(child: &mut Child) -> Option<i32> {
    until("sisal did not end", || child.try_wait().unwrap()).code()
}

#[test]
fn the_program_s_end_is_sisal_s() {
    assert_eq!(says("ready; echo 'exit 0' >&$status"), (String::new(), Some(0)));
    assert_eq!(says("ready; echo 'exit 42' >&$status"), (String::new(), Some(42)));
    for (line, message, code) in [
        (r"trap one\ntwo", "sisal: tour: one\ntwo\n", 134),
        ("limit too long", "sisal: tour: too long\n", 137),
        ("missing not there", "sisal: tour: not there\n", 127),
        ("error not wasm", "sisal: tour: not wasm\n", 126),
    ] {
        let script = format!("ready; echo '{line}' >&$status; exit 33");
        assert_eq!(says(&script), (message.into(), Some(code)));
    }
}

#[test]
fn the_streams_are_the_program_s() {
    let bytes: Vec<u8> =
        (0..20_000_000u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut run = run(
        "ready; echo error >&$stderr; echo stdin >&$status; cat <&$stdin >&$stdout; echo 'exit 3' >&$status",
    );
    let mut child = run.command.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let sent = bytes.clone();
    let sender = thread::spawn(move || stdin.write_all(&sent).unwrap());
    let output = child.wait_with_output().unwrap();
    sender.join().unwrap();
    assert!(output.stdout == bytes, "{} bytes of {} came back", output.stdout.len(), bytes.len());
    assert_eq!(output.stderr, b"error\n");
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn input_that_the_program_does_not_ask_for_is_left_alone() {
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"for others").unwrap();
    drop(writer);
    let mut run = run("ready; echo 'exit 0' >&$status");
    run.command.stdin(reader.try_clone().unwrap());
    assert_eq!(run.output().status.code(), Some(0));
    let mut left = String::new();
    reader.read_to_string(&mut left).unwrap();
    assert_eq!(left, "for others");
}

#[test]
fn nothing_waits_for_more_input() {
    let mut run = run("echo stdin >&$status; echo 'exit 0' >&$status");
    let mut child = run.command.stdin(Stdio::piped()).spawn().unwrap();
    let stdin = child.stdin.take();
    assert_eq!(end(&mut child), Some(0));
    drop(stdin);
}

#[test]
fn a_reader_that_is_gone_is_gone_for_the_program() {
    // `yes` ends when it cannot write.
    let mut run = run("ready; yes >&$stdout; echo 'exit 5' >&$status");
    let mut child = run.command.spawn().unwrap();
    child.stdout.take().unwrap().read_exact(&mut [0]).unwrap();
    assert_eq!(end(&mut child), Some(5));
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert!(!stderr.contains("sisal"), "{stderr}");
}

#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let mut run = run("ready; echo x >&$stdout; echo 'exit 0' >&$status");
    run.command.stdout(fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let output = run.output();
    assert_eq!(output.status.code(), Some(125));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("cannot write the program's output: No space left")
    );
}

#[test]
fn a_machine_that_fails_says_why() {
    let (message, code) = says("echo 'kernel: last words' >&$log; echo 'no such device' >&2; exit 1");
    assert_eq!(code, Some(125));
    for part in
        ["failed before the program ended (exit status: 1)", "\n  kernel: last words", "\n  no such device"]
    {
        assert!(message.contains(part), "{message}");
    }
    // It said that the program ended well, and then failed.
    let (message, code) = says("echo 'exit 0' >&$status; exit 131");
    assert_eq!(code, Some(125), "{message}");
    let (message, code) = says("echo 'exit 0' >&$status; kill -9 $$");
    assert_eq!(code, Some(125), "{message}");
    let (message, code) = says("echo hello >&$status; exec sleep 1000");
    assert_eq!(code, Some(125));
    assert!(message.contains("\"hello\" is not a status line"), "{message}");
    let (message, code) = says("echo 'ready 99' >&$status; exec sleep 1000");
    assert_eq!(code, Some(125));
    assert!(message.contains("format version 99"), "{message}");
}

#[test]
fn the_kernel_s_log_is_shown_on_request() {
    let script = "echo 'some log' >&$log; echo 'exit 0' >&$status";
    assert_eq!(says(script).0, "");
    let mut run = run(script);
    run.command.args(["--log", "info"]);
    assert_eq!(run.output().stderr, b"some log\n");
}

#[test]
fn qemu_is_asked_for_if_missing() {
    let mut run = run("");
    let missing = run.directory.path().join("missing");
    run.command.env("SISAL_QEMU", &missing);
    let output = run.output();
    assert_eq!(output.status.code(), Some(125));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("apt install qemu-system-x86") && message.lines().count() == 1, "{message}");
}

#[test]
fn a_program_that_does_not_fit_asks_for_memory() {
    let mut run = run("echo 'exit 0' >&$status");
    let program = run.directory.path().join("large.wasm");
    fs::write(&program, vec![0; 8 << 20]).unwrap();
    run.command.args(["--ram", "8M"]).arg(&program);
    let output = run.output();
    assert_eq!(output.status.code(), Some(125));
    assert!(String::from_utf8(output.stderr).unwrap().contains("more with --ram"));
}

#[test]
fn directories_are_counted_before_qemu_does() {
    let mut run = run("echo 'exit 0' >&$status");
    run.command.args(["--dir=/"; 23]);
    let output = run.output();
    assert_eq!(output.status.code(), Some(125));
    assert!(String::from_utf8(output.stderr).unwrap().contains("room for 22 directories"));
}

#[test]
fn the_machine_never_outlives_sisal() {
    let mut run = run("echo $$ >\"$0.tmp\"; mv \"$0.tmp\" \"$0.pid\"; exec sleep 1000");
    let mut child = run.command.spawn().unwrap();
    let file = run.directory.path().join("qemu.pid");
    let pid = until("the machine did not start", || fs::read_to_string(&file).ok());
    let process = Path::new("/proc").join(pid.trim());
    assert!(process.exists());
    // SIGKILL: sisal itself can do nothing any more.
    child.kill().unwrap();
    child.wait().unwrap();
    // A dead process may stay as a zombie where nobody collects it.
    let dead = || fs::read_to_string(process.join("stat")).map_or(true, |stat| stat.contains(") Z "));
    until("the machine outlived sisal", || dead().then_some(()));
}
