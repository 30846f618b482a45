//! [`Manifest`]: the program to run and what it is given.

use alloc::{string::String, vec::Vec};
use core::{fmt, net::Ipv4Addr, time::Duration};

use serde::{Deserialize, Serialize};

/// Version of this crate's formats (manifest, archive and status lines). It rises with every change that a kernel
/// or a tool built before the change would misread.
pub const FORMAT_VERSION: u32 = 6;

/// What to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT_VERSION`] of the writer.
    version: u32,
    /// What the program is.
    pub kind: Kind,
    /// Where the program is to be had, if it is not in the archive. It takes a [`network`](Self::network).
    pub download: Option<Download>,
    /// The program's arguments; the first is its own name (`argv[0]`).
    pub args: Vec<String>,
    /// The program's environment, names with values, in the order in which the program sees them.
    pub env: Vec<(String, String)>,
    /// The program's directories, in the order of their preopened descriptors.
    pub mounts: Vec<Mount>,
    /// The program's network; `None` for none.
    pub network: Option<Network>,
    /// What the program may use at most.
    pub limits: Limits,
    /// Which of the program's standard streams lead to a person.
    pub terminals: Terminals,
}

/// What a program is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A command, which runs once.
    #[default]
    Command,
    /// A handler of HTTP requests, of which an instance runs for each. It is served on all ports of its network.
    HttpHandler,
}

/// Which of a program's standard streams are terminals: what `isatty` answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terminals {
    /// Standard input.
    pub stdin: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
}

/// A directory that the program is given (a preopen).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// The directory's name in the program.
    pub guest: String,
    /// Where its files are.
    pub source: Source,
    /// Whether the program may change nothing in it.
    pub read_only: bool,
}

/// Where the files of a [`Mount`] are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// In memory, empty at the start.
    Empty,
    /// In memory, with the files that the archive holds under [`root_path`](crate::root_path)`(root)` at the start.
    Initrd {
        /// The number of the archive's directory.
        root: u32,
    },
    /// On the host, over virtio-9p.
    Virtio9p {
        /// The device's mount tag.
        tag: String,
    },
}

/// A program that is somewhere else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Download {
    /// Where: an address of `http` or `https`.
    pub url: String,
    /// The SHA-256 of the program, if it is known.
    pub sha256: Option<[u8; 32]>,
}

/// A program's network, on the machine's one virtio network device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Where the machine's address comes from.
    pub address: Address,
    /// Where the program may connect and send to: nowhere else than to these, each `HOST:PORT`; `None` for everywhere.
    pub connect: Option<Vec<String>>,
    /// The TCP ports that it may listen on.
    pub listen: Vec<u16>,
    /// Authorities whose certificates are believed besides those that are known: PEM.
    pub authorities: String,
}

/// Where a machine's address comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Address {
    /// From the network, by DHCP.
    Dhcp,
    /// From whoever starts the machine.
    Static {
        /// The address.
        address: Ipv4Addr,
        /// How many of its leading bits the whole network has.
        prefix: u8,
        /// The way to all other networks.
        gateway: Option<Ipv4Addr>,
        /// Who knows the addresses of names.
        nameservers: Vec<Ipv4Addr>,
    },
}

/// What a program may use at most. `None` is no limit but the machine's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of linear memory.
    pub memory: Option<u64>,
    /// Time from the program's start to its end.
    pub timeout: Option<Duration>,
}

/// Why a manifest could not be read.
#[derive(Debug)]
pub enum Error {
    /// It was written in another version of the format.
    Version {
        /// The version that it says it has; this crate's is [`FORMAT_VERSION`].
        found: u32,
    },
    /// It is not a manifest.
    Malformed(postcard::Error),
}

impl Manifest {
    /// A command with these arguments and nothing else: no environment, no directories, no network, no limits, no terminals.
    pub fn new(args: Vec<String>) -> Self {
        Self {
            version: FORMAT_VERSION,
            kind: Kind::Command,
            download: None,
            args,
            env: Vec::new(),
            mounts: Vec::new(),
            network: None,
            limits: Limits::default(),
            terminals: Terminals::default(),
        }
    }

    /// The manifest as the contents of [`MANIFEST_PATH`](crate::MANIFEST_PATH), in the format of `postcard`.
    ///
    /// # Errors
    ///
    /// Only if memory for it cannot be had.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        postcard::to_allocvec(self).map_err(Error::Malformed)
    }

    /// Reads the contents of [`MANIFEST_PATH`](crate::MANIFEST_PATH).
    ///
    /// # Errors
    ///
    /// [`Error::Version`] if another version of the format wrote it, else [`Error::Malformed`] if it is not a manifest.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        // What every version begins with: the rest of another version need not make sense.
        let version = postcard::from_bytes(bytes).map_err(Error::Malformed)?;
        if version != FORMAT_VERSION {
            return Err(Error::Version { found: version });
        }
        postcard::from_bytes(bytes).map_err(Error::Malformed)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version { found } => write!(
                f,
                "the manifest has format version {found}, and this kernel reads version {FORMAT_VERSION}: \
                 make the image again with the `sisal` that built this kernel"
            ),
            Self::Malformed(error) => write!(f, "the manifest is malformed: {error}"),
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Version { .. } => None,
            Self::Malformed(error) => Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::{string::ToString, vec};

    use super::*;

    fn full() -> Manifest {
        Manifest {
            kind: Kind::HttpHandler,
            download: Some(Download { url: "https://example.org/p.wasm".into(), sha256: Some([255; 32]) }),
            args: vec!["prog.wasm".into(), "a \"b\"\n".into(), "ä\u{0}".into()],
            env: vec![("A".into(), "1=2".into()), ("B".into(), String::new())],
            mounts: vec![
                Mount { guest: "/tmp".into(), source: Source::Empty, read_only: false },
                Mount { guest: "/data".into(), source: Source::Initrd { root: 3 }, read_only: true },
                Mount {
                    guest: ".".into(),
                    source: Source::Virtio9p { tag: "dir0".into() },
                    read_only: false,
                },
            ],
            network: Some(Network {
                address: Address::Static {
                    address: [10, 0, 2, 15].into(),
                    prefix: 24,
                    gateway: None,
                    nameservers: vec![[10, 0, 2, 3].into()],
                },
                connect: Some(vec!["example.org:443".into()]),
                listen: vec![80, 65535],
                authorities: "-----BEGIN CERTIFICATE-----\n".into(),
            }),
            limits: Limits { memory: Some(u64::MAX), timeout: Some(Duration::from_nanos(1_500_000_001)) },
            terminals: Terminals { stdin: true, stdout: false, stderr: true },
            ..Manifest::new(Vec::new())
        }
    }

    #[test]
    fn a_manifest_survives_the_archive() {
        for manifest in [full(), Manifest::new(vec!["x".into()])] {
            let bytes = manifest.encode().unwrap();
            assert_eq!(Manifest::decode(&bytes).unwrap(), manifest);
        }
    }

    #[test]
    fn another_version_is_named_whatever_else_it_says() {
        let error = Manifest::decode(&[99, 255]).unwrap_err();
        assert!(matches!(error, Error::Version { found: 99 }));
        assert!(error.to_string().contains("version 99"), "{error}");
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        let mut cut = full().encode().unwrap();
        cut.pop();
        let version_alone = [FORMAT_VERSION as u8];
        let no_kind = [FORMAT_VERSION as u8, 2];
        for bytes in [&cut[..], b"", b"\xff", &version_alone, &no_kind] {
            assert!(matches!(Manifest::decode(bytes), Err(Error::Malformed(_))), "{bytes:?}");
        }
    }
}
