//! Runs real programs (compilers' and other people's, built elsewhere) hosted and in QEMU and compares what they print.
//!
//! `real --programs PATH [--hosted|--qemu] [FILTER]…` where PATH holds `hello_rs.wasm`, `sqlite3_shell.wasm`, …; a program that is
//! not there is said to be missing and is no failure. The product's own tests do without.
//!
//! `python.wasm` is made by componentize-py of a program that prints `python` and its version, its arguments, its environment and how much
//! there is on stdin, and writes `/t/python.txt`; `js.wasm` by componentize-js of one that prints the like.

use sisal_tests::{
    bytes::Bytes,
    case::{Case, Directory, Ending},
    guests::{self, Guest},
    host::{End, Host, Outcome},
    hosted::Hosted,
    qemu::Qemu,
    tree::Tree,
};
use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

/// How long a boot may take here: sorting ten megabytes is minutes of work on a loaded machine under TCG.
const DEADLINE: Duration = Duration::from_secs(600);

/// A run of a program and what must be seen in what comes out.
struct Check {
    program: &'static str,
    case: Case,
    exit: u32,
    stdout: Expected,
}

enum Expected {
    /// All of stdout.
    Exactly(Vec<u8>),
    /// Each of these somewhere, in this order.
    InOrder(&'static [&'static str]),
}

struct Options {
    programs: PathBuf,
    hosted: bool,
    qemu: bool,
    filters: Vec<String>,
}

fn main() -> ExitCode {
    match options().and_then(|options| run(&options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("real: {error}");
            ExitCode::from(2)
        }
    }
}

fn options() -> Result<Options, String> {
    use lexopt::prelude::*;
    let mut parser = lexopt::Parser::from_env();
    let (mut programs, mut hosted, mut qemu, mut filters) = (None, false, false, vec![]);
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        match argument {
            Long("programs") => programs = Some(parser.value().map_err(|error| error.to_string())?.into()),
            Long("hosted") => hosted = true,
            Long("qemu") => qemu = true,
            Value(filter) => filters.push(filter.to_string_lossy().into_owned()),
            other => return Err(other.unexpected().to_string()),
        }
    }
    let programs = programs.ok_or("usage: real --programs PATH [--hosted|--qemu] [FILTER]...")?;
    let neither = !hosted && !qemu;
    Ok(Options { programs, hosted: hosted || neither, qemu: qemu || neither, filters })
}

fn run(options: &Options) -> Result<bool, String> {
    let mut hosts: Vec<Box<dyn Host>> = vec![];
    if options.hosted {
        hosts.push(Box::new(Hosted::new()));
    }
    if options.qemu {
        hosts.push(Box::new(Qemu::new().with_deadline(DEADLINE)));
    }
    let (mut passed, mut failed, mut missing) = (0, 0, 0);
    for check in checks() {
        let name = format!("{} {}", check.program, check.case.args.join(" "));
        if !options.filters.is_empty() && !options.filters.iter().any(|filter| name.contains(filter.as_str()))
        {
            continue;
        }
        let path = options.programs.join(format!("{}.wasm", check.program));
        if !path.exists() {
            println!("missing  {name}");
            missing += 1;
            continue;
        }
        let guest = guests::file(&path)?;
        for host in &hosts {
            let start = Instant::now();
            match judge(&**host, &guest, &check) {
                Ok(()) => {
                    println!("ok       {:6} {:6.2} s  {name}", host.name(), start.elapsed().as_secs_f64());
                    passed += 1;
                }
                Err(why) => {
                    println!(
                        "FAIL     {:6} {:6.2} s  {name}\n  {why}",
                        host.name(),
                        start.elapsed().as_secs_f64()
                    );
                    failed += 1;
                }
            }
        }
    }
    println!("{passed} passed, {failed} failed, {missing} missing");
    Ok(failed == 0)
}

fn judge(host: &dyn Host, guest: &Guest, check: &Check) -> Result<(), String> {
    let Outcome { stdout, stderr, end, differences } = host.run(guest, &check.case)?;
    let stderr = String::from_utf8_lossy(&stderr);
    if end != End::Exit(check.exit) {
        return Err(format!("it should leave with {}, and ended with {end}; stderr: {stderr}", check.exit));
    }
    if !differences.is_empty() {
        return Err(format!("it differs:\n{differences}"));
    }
    let text = String::from_utf8_lossy(&stdout);
    match &check.stdout {
        Expected::Exactly(expected) if *expected == stdout => Ok(()),
        Expected::Exactly(expected) => Err(format!(
            "stdout should have {} bytes, and has {}: {text:.400}; stderr: {stderr:.400}",
            expected.len(),
            stdout.len()
        )),
        Expected::InOrder(parts) => {
            let mut rest = &*text;
            for part in *parts {
                match rest.split_once(part) {
                    Some((_, after)) => rest = after,
                    None => {
                        return Err(format!(
                            "{part:?} is missing from stdout: {text:.2000}; stderr: {stderr:.400}"
                        ));
                    }
                }
            }
            Ok(())
        }
    }
}

fn directory(before: &[(&str, &[u8])]) -> Directory {
    let before = Tree::of_files(before.iter().map(|(path, bytes)| (*path, bytes.to_vec())));
    Directory { guest: "/t".into(), read_only: false, before, after: None, scratch: true }
}

fn check(program: &'static str, args: &[&str], stdin: &[u8], exit: u32, stdout: Expected) -> Check {
    let mut case = Case::ending_with(Ending::Exit(exit));
    case.args = args.iter().map(|&arg| arg.to_owned()).collect();
    case.stdin = Bytes::Raw(stdin.to_vec());
    case.env.insert("GREETING".into(), "hi".into());
    case.memory = Some(512 << 20);
    Check { program, case, exit, stdout }
}

fn with_files(mut check: Check, before: &[(&str, &[u8])]) -> Check {
    check.case.dirs.push(directory(before));
    check
}

fn checks() -> Vec<Check> {
    use Expected::{Exactly, InOrder};
    const LINES: &[u8] = b"a\nb\n";
    const HELLO: &str = "pear 3\napple 1\nfig 2\n";
    let files: &[(&str, &[u8])] = &[("a.txt", HELLO.as_bytes()), ("sub/b.txt", b"an apple a day\n")];
    let exactly = |text: &str| Exactly(text.as_bytes().to_vec());
    let coreutils = |args: &[&str], stdin: &[u8], expected| {
        with_files(check("coreutils", args, stdin, 0, expected), files)
    };
    // Ten megabytes of numbers in no order, and the same in order.
    let mut numbers: Vec<String> =
        (0..1_000_000_u64).map(|n| format!("{:09}\n", n * 7_368_787 % 1_000_003)).collect();
    let unsorted = numbers.concat();
    numbers.sort();
    let sorted = numbers.concat();

    vec![
        check("hello_c_zig", &["7", "x"], LINES, 7, InOrder(C_LINES)),
        with_files(check("hello_rs", &["7", "/t"], LINES, 7, InOrder(&["gone true"])), &[]),
        with_files(check("hello_go", &["7", "/t"], LINES, 7, InOrder(&["goroutines [0 1 4 9"])), &[]),
        check("hello_as", &[], LINES, 6, InOrder(&["sum 1291890006563070912"])),
        coreutils(&["sha256sum", "/t/a.txt"], b"", InOrder(&["/t/a.txt"])),
        coreutils(&["ls", "/t"], b"", exactly("a.txt\nsub\n")),
        coreutils(&["wc", "-l", "/t/a.txt"], b"", exactly("3 /t/a.txt\n")),
        coreutils(&["sort", "/t/a.txt"], b"", exactly("apple 1\nfig 2\npear 3\n")),
        coreutils(&["sort"], unsorted.as_bytes(), Exactly(sorted.into_bytes())),
        coreutils(&["factor", "360360"], b"", exactly("360360: 2 2 2 3 3 5 7 11 13\n")),
        coreutils(&["base64"], b"hello", exactly("aGVsbG8=\n")),
        coreutils(&["seq", "3"], b"", exactly("1\n2\n3\n")),
        coreutils(&["sleep", "0.1"], b"", exactly("")),
        coreutils(&["cp", "/t/a.txt", "/t/c.txt"], b"", exactly("")),
        coreutils(&["rm", "-r", "/t/sub"], b"", exactly("")),
        coreutils(&["cat"], b"\x00\xff\x01", Exactly(b"\x00\xff\x01".to_vec())),
        with_files(
            check(
                "rg",
                &["-n", "--sort", "path", "apple", "/t"],
                b"",
                0,
                exactly("/t/a.txt:2:apple 1\n/t/sub/b.txt:1:an apple a day\n"),
            ),
            files,
        ),
        with_files(check("rg", &["-c", "apple", "/t/a.txt"], b"", 0, exactly("1\n")), files),
        with_files(check("rg", &["nothing like it", "/t"], b"", 1, exactly("")), files),
        with_files(
            check(
                "sqlite3_shell",
                &["/t/x.db"],
                SQL.as_bytes(),
                0,
                InOrder(&["1000|500500|3939383536", "3.46.1", "t|", "ok"]),
            ),
            &[],
        ),
        // Components for 0.2, whose exit code is 0 or 1.
        check("hello_c_p2", &["7", "x"], LINES, 1, InOrder(C_LINES)),
        check("hello_c_debclang_comp", &["7", "x"], LINES, 1, InOrder(C_LINES)),
        with_files(check("hello_rs_p2", &["7", "/t"], LINES, 1, InOrder(&["gone true"])), &[]),
        check(
            "qjs_cli_p2",
            &["x", "y"],
            b"",
            0,
            InOrder(&[r#"hello from JS ["x","y"] [["GREETING","hi"]]"#, "sorted 0 100002"]),
        ),
        with_files(
            check(
                "python",
                &["x", "y z"],
                b"b a\nd c\n",
                0,
                InOrder(&[
                    "python 3.",
                    r#"args ["x", "y z"]"#,
                    r#"env {"GREETING": "hi"}"#,
                    "stdin 8 2",
                    "sorted ['a', 'b', 'c', 'd']",
                ]),
            ),
            &[],
        ),
        check(
            "js",
            &["x", "y z"],
            b"b a\nd c\n",
            0,
            InOrder(&[
                "javascript 1,2,3",
                r#"args ["x","y z"]"#,
                r#"env [["GREETING","hi"]]"#,
                "stdin 8 3",
                r#"words ["a","b","c","d"]"#,
                "time true random true",
            ]),
        ),
    ]
}

const C_LINES: &[&str] =
    &["hello from C argc=3", "=7", "=x", "GREETING=hi", "stdin[0]=a", "stdin[1]=b", "clock=ok"];

const SQL: &str = "create table t(a integer primary key,b text);
with recursive c(x) as (select 1 union all select x+1 from c where x<1000) insert into t select x, hex(x*x) from c;
select count(*),sum(a),max(b) from t;
select sqlite_version(); select name,sql from sqlite_schema;
pragma integrity_check;
";
