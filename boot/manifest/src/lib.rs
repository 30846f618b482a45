//! What `sisal` tells the kernel to run, and what the kernel answers: everything that the two must agree on.
//!
//! The kernel's initrd is a tar archive with [`MANIFEST_PATH`] (a [`Manifest`]), [`PROGRAM_PATH`] (the
//! program's module, unless it is to be [downloaded](Download)) and, for each [`Source::Initrd`], the files under [`root_path`]. The running program's
//! standard streams and the kernel's [`Status`] lines travel over the virtio-serial ports named in [`port`].
//!
//! The kernel's reader of the archive is here too ([`archive`]), where it can be tested; the tools write it with a crate.
//! No machine lives here.
#![no_std]

extern crate alloc;

pub mod archive;
mod manifest;
mod status;

pub use manifest::{
    Address, Download, Error, FORMAT_VERSION, Kind, Limits, Manifest, Mount, Network, Source, Terminals,
};
pub use status::{ParseStatusError, Status};

use alloc::{format, string::String};

/// Where the archive holds the [`Manifest`].
pub const MANIFEST_PATH: &str = "sisal/manifest";

/// Where the archive holds the program, a WebAssembly binary.
pub const PROGRAM_PATH: &str = "sisal/program.wasm";

/// Where the archive holds the files of [`Source::Initrd`]` { root }`: a directory, with no slash at its end.
pub fn root_path(root: u32) -> String {
    format!("root/{root}")
}

/// Names of the virtio-serial ports (VIRTIO 1.2, 5.3.6.2.6, VIRTIO_CONSOLE_PORT_NAME).
pub mod port {
    /// Host to guest: the program's standard input. The port closing on the host's side is the end of file. The
    /// program first asks for it when [`Status::Stdin`](crate::Status::Stdin) says so: a host that others share its
    /// own input with sends nothing before that.
    pub const STDIN: &str = "org.sisal.stdin";
    /// Guest to host: the program's standard output. The port closing on the host's side is a broken pipe.
    pub const STDOUT: &str = "org.sisal.stdout";
    /// Guest to host: the program's standard error, as [`STDOUT`].
    pub const STDERR: &str = "org.sisal.stderr";
    /// Guest to host: [`Status`](crate::Status) lines from the kernel. Host to guest: [`STOP`](crate::STOP).
    pub const STATUS: &str = "org.sisal.status";
}

/// What the host sends on [`port::STATUS`] to a machine that [serves](Status::Serving): it is to take no more requests, and to end when
/// those in flight have ended. Whatever else it sends there means the same.
pub const STOP: &[u8] = b"stop\n";

/// For how many seconds requests that are in flight may go on after that.
pub const LAST_REQUESTS: u64 = 5;

/// The word of the kernel's command line that sets how much it logs on the serial port: `log=LEVEL`, with the names
/// of the `log` crate's levels. The log begins before the archive is found, so the [`Manifest`] is no place for it.
pub const LOG_ARGUMENT: &str = "log=";

/// The target of the log's records of what the program was refused. They are for whoever started the machine, also if he has
/// not asked for the log.
pub const AUDIT_TARGET: &str = "audit";

/// What a line of the kernel's log (`[TIME] LEVEL TARGET: MESSAGE`) says of what the program was refused; `None` for one about
/// anything else.
pub fn audit_message(line: &str) -> Option<&str> {
    let (_, record) = line.strip_prefix('[')?.split_once("] ")?;
    let (_, record) = record.split_once(' ')?;
    record.trim_start().strip_prefix(AUDIT_TARGET)?.strip_prefix(": ")
}

/// The word of the kernel's command line that has it log, at the machine's end, how long it took to each point of its life.
pub const TIMINGS_ARGUMENT: &str = "timings";

/// QEMU's `isa-debug-exit` device, with which the kernel ends the machine, but for a program that ended with exit code
/// 0: that powers the machine off, and QEMU's exit code is 0 too. Writing `v` ends QEMU with exit code `v << 1 | 1`.
pub mod debug_exit {
    /// The device's I/O port (`iobase=`).
    pub const PORT: u16 = 0x501;
    /// How many ports the device takes (`iosize=`): write 16 bits.
    pub const SIZE: u16 = 2;
    /// The kernel came to its ordinary end; its last [`Status`](crate::Status) line says how the program ended.
    pub const ENDED: u16 = 0x10;
    /// The kernel itself failed (a panic, a fault); the log on the serial port says why.
    pub const FAILED: u16 = 0x11;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_is_found_in_the_log() {
        let line = "[    0.123456] WARN  audit: a: b refused";
        assert_eq!(audit_message(line), Some("a: b refused"));
        for line in [
            "",
            "audit: x",
            "[    0.1] WARN  kernel: audit: x",
            "[    0.1] WARN  auditor: x",
            "[    0.1] WARN  audit:x",
            "    0.1] WARN  audit: x",
        ] {
            assert_eq!(audit_message(line), None, "{line:?}");
        }
    }
}
