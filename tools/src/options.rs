//! The command line: what can be asked of `sisal`, and how each value is written.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use log::LevelFilter;

use crate::network::NetworkOptions;

/// Run WebAssembly programs on bare metal.
#[derive(Parser)]
#[command(name = "sisal", version, subcommand_required = true, arg_required_else_help = true)]
pub struct Options {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What `sisal` can do.
#[derive(Subcommand)]
pub enum Command {
    /// Run a program in a machine of its own
    Run(Run),
    /// Serve HTTP with a program, in a machine of its own
    Serve(Serve),
    /// Make a bootable set of files that runs a program without `sisal`
    Image(Image),
}

const RUN_USAGE: &str = "sisal run [OPTIONS] [PROGRAM.wasm [ARGS]...]";

const RUN_AFTER_HELP: &str = "\
Options after PROGRAM.wasm belong to the program.

PROGRAM.wasm may be `-`: the program is read from standard input. It may be an address, http://... or https://...: then
the machine gets the program over its own network. --net and --allow say what the program may reach after that.

Exit status: the lowest 8 bits of the program's own, or
  125  sisal failed: QEMU is missing, the machine did not start, ...
  126  the file is not a program that can be run
  127  the file cannot be read, or not be downloaded
  134  the program trapped
  137  the program reached a limit (--memory, --timeout)

Environment: SISAL_ACCEL is the default of --accel; SISAL_QEMU names the QEMU program to use.";

/// `sisal run`
#[derive(Args)]
#[command(override_usage = RUN_USAGE, after_help = RUN_AFTER_HELP)]
pub struct Run {
    /// What the program is given.
    #[command(flatten)]
    pub given: Given,
    /// The machine that runs it.
    #[command(flatten)]
    pub machine: MachineOptions,
    /// The program and its arguments; without a program, a tour of what Sisal does
    #[arg(value_name = "PROGRAM.wasm", trailing_var_arg = true, value_hint = ValueHint::FilePath)]
    pub program: Vec<String>,
}

/// `sisal serve`
#[derive(Args)]
#[command(
    override_usage = "sisal serve [OPTIONS] PROGRAM.wasm [ARGS]...",
    after_help = "\
PROGRAM.wasm is a component that exports wasi:http/incoming-handler of WASI 0.2. Each request is handled by an instance of
its own. --listen is 127.0.0.1:8080:80 unless it is given; --timeout (60s unless it is given) and --memory are for each request. Ctrl-C
ends the server: requests in flight have 5 s, or until Ctrl-C is pressed again."
)]
pub struct Serve {
    /// What the program is given.
    #[command(flatten)]
    pub given: Given,
    /// The machine that runs it.
    #[command(flatten)]
    pub machine: MachineOptions,
    /// The program and its arguments
    #[arg(value_name = "PROGRAM.wasm", trailing_var_arg = true, required = true, value_hint = ValueHint::FilePath)]
    pub program: Vec<String>,
}

/// `sisal image`
#[derive(Args)]
#[command(after_help = "\
Arguments of the program that begin with a dash come after `--`.

The printed command's exit status is 0 if the program's is, and else another; the last line of DIR/status says
more. The kernel's log is in DIR/log.")]
pub struct Image {
    /// What the program is given.
    #[command(flatten)]
    pub given: Given,
    /// The machine that will run it.
    #[command(flatten)]
    pub machine: MachineOptions,
    /// The directory to write; it is created if it does not exist
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub output: PathBuf,
    /// The program
    #[arg(value_name = "PROGRAM.wasm", value_hint = ValueHint::FilePath)]
    pub program: String,
    /// The program's arguments
    #[arg(value_name = "ARGS")]
    pub args: Vec<String>,
}

/// What a program is given.
#[derive(Args)]
pub struct Given {
    /// Give the program a directory of this computer (repeatable)
    ///
    /// The program sees it under the name GUEST, or HOST if there is none, and may change it unless `:ro` follows.
    /// With `run` the directory is shared; with `image` the files are copied into the image.
    #[arg(
        long = "dir",
        value_name = "HOST[::GUEST][:ro]",
        value_parser = OsStringValueParser::new().try_map(SharedDir::parse),
    )]
    pub dirs: Vec<SharedDir>,
    /// Create an empty directory in memory for the program (repeatable)
    ///
    /// With `serve` the program's instances share it.
    #[arg(long, value_name = "GUEST")]
    pub tmpfs: Vec<String>,
    /// Set a variable of the program's environment (repeatable)
    ///
    /// Without a VALUE, the variable is passed on if it is set here.
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub env: Vec<EnvVar>,
    /// Its network.
    #[command(flatten)]
    pub network: NetworkOptions,
    /// Run a program from the network only if its SHA-256 is this (64 hexadecimal digits)
    #[arg(long, value_name = "HEX")]
    pub sha256: Option<Sha256>,
    /// The program's own name, its first argument [default: the file's name]
    #[arg(long, value_name = "NAME")]
    pub argv0: Option<String>,
    /// The most linear memory the program may use, such as 64M [default: no limit but the machine's]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub memory: Option<u64>,
    /// The longest the program may run, such as 10s or 500ms [default: no limit]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub timeout: Option<Duration>,
    /// Show the kernel's log on standard error: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL")]
    pub log: Option<LevelFilter>,
    /// Show in the kernel's log how long the machine took to each point of its life
    #[arg(long)]
    pub timings: bool,
}

/// The machine to run in.
#[derive(Args)]
pub struct MachineOptions {
    /// The kind of machine
    #[arg(long, value_name = "KIND", value_enum, default_value_t = MachineKind::Microvm)]
    pub machine: MachineKind,
    /// The machine's memory, at least 8M
    #[arg(long, value_name = "SIZE", value_parser = ram, default_value = "1G")]
    pub ram: u64,
    /// How the machine's processor is realised
    #[arg(long, value_name = "ACCEL", value_enum, default_value_t = AccelChoice::Auto, env = "SISAL_ACCEL")]
    pub accel: AccelChoice,
    /// Boot this kernel instead of a built-in one
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub kernel: Option<PathBuf>,
}

/// A machine type of QEMU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MachineKind {
    /// The smallest and the fastest to start
    Microvm,
    /// A PC of today, with PCI Express
    Q35,
    /// A PC of the nineties, with PCI
    Pc,
}

/// What to ask QEMU for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AccelChoice {
    /// KVM where it works, else TCG
    Auto,
    /// The computer's own processor
    Kvm,
    /// QEMU's emulation
    Tcg,
}

/// The value of `--dir`: `HOST[::GUEST][:ro]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedDir {
    /// The directory on the host.
    pub host: PathBuf,
    /// Its name in the guest.
    pub guest: String,
    /// Whether the guest may not change it.
    pub read_only: bool,
}

/// Why a value of `--dir` is refused.
#[derive(Debug, thiserror::Error)]
pub enum SharedDirError {
    /// Nothing before the `::`.
    #[error("no host directory is named")]
    NoHost,
    /// Nothing after the `::`.
    #[error("no name for the guest follows the `::`")]
    NoGuest,
    /// The name for the guest is not text.
    #[error("the guest's name for it is not UTF-8; name it with `::GUEST`")]
    GuestNotUtf8,
}

impl SharedDir {
    fn parse(value: impl AsRef<OsStr>) -> Result<Self, SharedDirError> {
        let value = value.as_ref().as_bytes();
        // `a::ro` is a directory `a` that the guest calls `ro`.
        let (names, read_only) = match value.strip_suffix(b":ro") {
            Some(names) if !names.ends_with(b":") => (names, true),
            _ => (value, false),
        };
        let (host, guest) = match names.windows(2).position(|pair| pair == b"::") {
            Some(at) => (names.get(..at).unwrap_or_default(), names.get(at + 2..).unwrap_or_default()),
            None => (names, names),
        };
        if host.is_empty() {
            return Err(SharedDirError::NoHost);
        }
        if guest.is_empty() {
            return Err(SharedDirError::NoGuest);
        }
        let guest = std::str::from_utf8(guest).map_err(|_| SharedDirError::GuestNotUtf8)?.into();
        Ok(Self { host: OsStr::from_bytes(host).into(), guest, read_only })
    }
}

/// The value of `--env`: `NAME=VALUE`, or `NAME` alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvVar {
    /// The variable's name.
    pub name: String,
    /// Its value, or `None` to pass on the value that it has here.
    pub value: Option<String>,
}

/// Why a value of `--env` is refused.
#[derive(Debug, thiserror::Error)]
#[error("a variable has a name")]
pub struct EnvVarError;

impl FromStr for EnvVar {
    type Err = EnvVarError;

    fn from_str(value: &str) -> Result<Self, EnvVarError> {
        let (name, value) = match value.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (value, None),
        };
        if name.is_empty() {
            return Err(EnvVarError);
        }
        Ok(Self { name: name.into(), value })
    }
}

/// The value of `--sha256`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sha256(pub [u8; 32]);

/// Why a value of `--sha256` is refused.
#[derive(Debug, thiserror::Error)]
#[error("a SHA-256 has 64 hexadecimal digits")]
pub struct Sha256Error;

impl FromStr for Sha256 {
    type Err = Sha256Error;

    fn from_str(value: &str) -> Result<Self, Sha256Error> {
        let mut digits = value.chars().map(|digit| digit.to_digit(16).map(|digit| digit as u8));
        let mut bytes = [0; 32];
        for byte in &mut bytes {
            let (Some(Some(high)), Some(Some(low))) = (digits.next(), digits.next()) else {
                return Err(Sha256Error);
            };
            *byte = high << 4 | low;
        }
        if digits.next().is_some() { Err(Sha256Error) } else { Ok(Self(bytes)) }
    }
}

/// A size in bytes: `65536`, or with a unit of 1024 bytes, `64K`, `512M`, `1.5GiB`.
fn size(value: &str) -> Result<u64, parse_size::Error> {
    parse_size::Config::new().with_binary().parse_size(value)
}

/// Below this no kernel fits beside a program.
const LEAST_RAM: u64 = 8 << 20;

/// The size of a machine's memory.
fn ram(value: &str) -> Result<u64, RamError> {
    let bytes = size(value)?;
    if bytes < LEAST_RAM { Err(RamError::TooLittle) } else { Ok(bytes) }
}

/// Why a value of `--ram` is refused.
#[derive(Debug, thiserror::Error)]
enum RamError {
    /// It is no size.
    #[error(transparent)]
    Size(#[from] parse_size::Error),
    /// No machine runs with it.
    #[error("a machine needs at least {} MiB", LEAST_RAM >> 20)]
    TooLittle,
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, error::ErrorKind};

    use super::*;

    fn parse(line: &[&str]) -> Result<Command, clap::Error> {
        Options::try_parse_from(["sisal"].iter().chain(line)).map(|options| options.command)
    }

    fn run(line: &[&str]) -> Run {
        match parse(line) {
            Ok(Command::Run(run)) => run,
            Ok(_) => panic!("{line:?} is something else"),
            Err(error) => panic!("{line:?}: {error}"),
        }
    }

    fn dir(host: &str, guest: &str, read_only: bool) -> SharedDir {
        SharedDir { host: host.into(), guest: guest.into(), read_only }
    }

    #[test]
    fn the_definition_is_sound() {
        Options::command().debug_assert();
    }

    #[test]
    fn dir_is_a_host_directory_a_guest_name_and_a_mode() {
        for (value, expected) in [
            (".", dir(".", ".", false)),
            ("a/b", dir("a/b", "a/b", false)),
            ("a::/x", dir("a", "/x", false)),
            ("a:ro", dir("a", "a", true)),
            ("a::/x:ro", dir("a", "/x", true)),
            ("a::ro", dir("a", "ro", false)),
            ("a::ro:ro", dir("a", "ro", true)),
            ("c:d::/x", dir("c:d", "/x", false)),
            ("a::b::c", dir("a", "b::c", false)),
        ] {
            assert_eq!(SharedDir::parse(value).unwrap(), expected, "{value}");
        }
        for value in ["", "::", "::x", ":ro"] {
            assert!(matches!(SharedDir::parse(value), Err(SharedDirError::NoHost)), "{value}");
        }
        assert!(matches!(SharedDir::parse("a::"), Err(SharedDirError::NoGuest)));
    }

    #[test]
    fn sizes_count_in_1024() {
        for (value, expected) in [
            ("0", 0),
            ("65536", 65536),
            ("64K", 65536),
            ("64k", 65536),
            ("1M", 1 << 20),
            ("1MiB", 1 << 20),
            ("2G", 2 << 30),
        ] {
            assert_eq!(size(value).unwrap(), expected, "{value}");
        }
        for value in ["", "M", "-1", "12Q", "99999999999G"] {
            assert!(size(value).is_err(), "{value}");
        }
    }

    #[test]
    fn a_sha256_is_written_in_hexadecimal() {
        let Sha256(bytes) = format!("0aF{}", "9".repeat(61)).parse().unwrap();
        assert_eq!(bytes[..3], [0x0a, 0xf9, 0x99]);
    }

    #[test]
    fn env_has_a_name_and_perhaps_a_value() {
        let var =
            |name: &str, value: Option<&str>| EnvVar { name: name.into(), value: value.map(Into::into) };
        assert_eq!("A=b=c".parse::<EnvVar>().unwrap(), var("A", Some("b=c")));
        assert_eq!("A=".parse::<EnvVar>().unwrap(), var("A", Some("")));
        assert_eq!("A".parse::<EnvVar>().unwrap(), var("A", None));
        assert!("=b".parse::<EnvVar>().is_err());
        assert!("".parse::<EnvVar>().is_err());
    }

    #[test]
    fn options_after_the_program_belong_to_it() {
        let run = run(&["run", "--env", "A=1", "p.wasm", "--env", "B=2", "-x", "--", "--help"]);
        assert_eq!(run.program, ["p.wasm", "--env", "B=2", "-x", "--", "--help"]);
        assert_eq!(run.given.env.len(), 1);
    }

    #[test]
    fn what_is_not_asked_for_is_not_limited() {
        let run = run(&["run"]);
        assert!(run.program.is_empty());
        assert_eq!((run.given.memory, run.given.timeout, run.given.log), (None, None, None));
        assert_eq!(run.machine.ram, 1 << 30);
    }

    #[test]
    fn an_address_is_for_a_network() {
        for open in [&["--net"][..], &["--allow", "a:1"], &["--listen", "80"]] {
            let line: Vec<_> = ["run", "--ip", "10.0.2.9/24"].iter().chain(open).copied().collect();
            assert!(run(&line).given.network.ip.is_some());
        }
        let error = parse(&["run", "--ip", "10.0.2.9/24"]).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::MissingRequiredArgument);
    }

    #[test]
    fn values_are_checked() {
        let run =
            run(&["run", "--memory", "64M", "--timeout", "1m 500ms", "--log", "debug", "--machine", "q35"]);
        assert_eq!(run.given.memory, Some(64 << 20));
        assert_eq!(run.given.timeout, Some(Duration::from_millis(60_500)));
        assert_eq!(run.given.log, Some(LevelFilter::Debug));
        assert_eq!(run.machine.machine, MachineKind::Q35);
        for (option, value) in [
            ("--memory", "lots"),
            ("--ram", "0"),
            ("--ram", "7M"),
            ("--timeout", "5"),
            ("--timeout", "1 parsec"),
            ("--log", "loud"),
            ("--dir", "::"),
            ("--env", "=1"),
            ("--listen", "http"),
            ("--allow", "example.org:https"),
            ("--ip", "10.0.2.15"),
            ("--sha256", "00"),
            ("--sha256", &"0".repeat(65)),
            ("--sha256", &"g".repeat(64)),
        ] {
            let error = parse(&["run", option, value, "p.wasm"]).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::ValueValidation, "{option} {value}: {error}");
        }
    }

    #[test]
    fn an_unknown_option_before_the_program_is_an_error() {
        let error = parse(&["run", "--dirr", "x", "p.wasm"]).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::UnknownArgument);
    }

    #[test]
    fn image_takes_its_options_anywhere() {
        let Ok(Command::Image(image)) =
            parse(&["image", "p.wasm", "a", "-o", "out", "--dir", "d::/d", "--", "-b"])
        else {
            panic!("not an image");
        };
        assert_eq!((image.program.as_str(), image.output), ("p.wasm", "out".into()));
        assert_eq!(image.args, ["a", "-b"]);
        assert_eq!(image.given.dirs, [dir("d", "/d", false)]);
    }
}
