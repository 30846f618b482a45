//! [`Error`]: why `sisal` itself could not do what was asked.

use std::io;
use std::net::SocketAddrV4;
use std::path::PathBuf;

/// Why `sisal` failed. How a program ended is no error but a [`Status`](manifest::Status).
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program's file could not be read.
    #[error("cannot read the program `{}`: {cause}", path.display())]
    Program {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The program's name is not a file's.
    #[error("`{}` does not name a file; give the program a name with --argv0", .0.display())]
    ProgramName(PathBuf),
    /// The program's address is none.
    #[error("`{address}` is {cause}")]
    Address {
        /// What was given.
        address: String,
        /// What is wrong with it.
        cause: wasi::http::NotAUrl,
    },
    /// A hash for what is not downloaded.
    #[error("--sha256 is for a program from the network, and `{}` is a file", .0.display())]
    Sha256OfFile(PathBuf),
    /// Another file or directory that was named could not be used.
    #[error("cannot {action} `{}`: {cause}", path.display())]
    File {
        /// What was tried, as in "cannot ACTION `path`".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// What the machine starts with does not fit into its memory.
    #[error("{} MiB of memory are too little for this program and its files; give the machine more with --ram", ram >> 20)]
    TooLittleRam {
        /// Bytes that it was to have.
        ram: u64,
    },
    /// The machine has no room for so many directories.
    #[error(
        "a machine of the kind {machine:?} has room for {most} directories; share one that has the others in it"
    )]
    TooManyDirs {
        /// How many it can have.
        most: usize,
        /// Which machine.
        machine: crate::options::MachineKind,
    },
    /// A port of this computer cannot be forwarded.
    #[error("cannot listen on {address}: {cause}; name another port with --listen PORT:GUESTPORT")]
    Listen {
        /// Where.
        address: SocketAddrV4,
        /// Why.
        cause: io::Error,
    },
    /// A file cannot be in an image.
    #[error("cannot put `{}` into the image: it is neither a file, a directory nor a symbolic link", .0.display())]
    SpecialFile(PathBuf),
    /// An inherited variable of the environment cannot be passed on.
    #[error("cannot pass on the variable `{0}`: its value is not UTF-8")]
    EnvNotUtf8(String),
    /// QEMU is not installed.
    #[error("`{0}` was not found; install QEMU with `apt install qemu-system-x86`, or name it in SISAL_QEMU")]
    NoQemu(String),
    /// KVM was asked for and does not work.
    #[error("KVM does not work here: {0}; use `--accel tcg`")]
    NoKvm(crate::accel::KvmFault),
    /// The system refused something that the machine needs.
    #[error("cannot {action}: {cause}")]
    System {
        /// What was tried.
        action: &'static str,
        /// Why.
        cause: io::Error,
    },
    /// The machine gave no sign of life.
    #[error("the machine did not start: its kernel said nothing for {seconds} s{log}")]
    Silent {
        /// How long it was given.
        seconds: u64,
        /// What was heard.
        log: Log,
    },
    /// The program ended, or its time was up, but the machine did not end.
    #[error(
        "the machine did not end: its kernel said nothing for {seconds} s after the program's end or time limit{log}"
    )]
    Stuck {
        /// How long it was given.
        seconds: u64,
        /// What was heard.
        log: Log,
    },
    /// The machine ended without saying how the program ended.
    #[error("the machine failed before the program ended ({qemu}){log}")]
    Machine {
        /// How QEMU ended.
        qemu: std::process::ExitStatus,
        /// What was heard.
        log: Log,
    },
    /// The kernel and this `sisal` do not understand each other.
    #[error("the kernel is of format version {0}, and this sisal of version {version}", version = manifest::FORMAT_VERSION)]
    KernelVersion(u32),
    /// The kernel wrote what is no status.
    #[error("the machine failed: {0}{1}")]
    Status(manifest::ParseStatusError, Log),
    /// The program's output could not be passed on.
    #[error("cannot write the program's output: {0}")]
    Output(io::Error),
}

impl Error {
    /// The exit code that tells of this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Program { .. } | Self::Address { .. } => 127,
            _ => 125,
        }
    }
}

/// The last of what a machine said, for a person to read.
#[derive(Debug, Default)]
pub struct Log {
    /// The end of the kernel's log.
    pub kernel: String,
    /// What QEMU wrote on its standard error.
    pub qemu: String,
}

impl std::fmt::Display for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (what, text) in [("QEMU says", &self.qemu), ("The kernel's log ends with", &self.kernel)] {
            if !text.trim().is_empty() {
                write!(f, "\n{what}:")?;
                text.trim_end().lines().try_for_each(|line| write!(f, "\n  {line}"))?;
            }
        }
        Ok(())
    }
}
