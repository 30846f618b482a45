//! [`Case`]: one run of a guest and what must come of it, read from the expectation beside the guest's source.
//!
//! `NAME.toml` holds a `[[case]]` for each run. Whatever it leaves out is empty: no arguments, no stdin, nothing on
//! stdout, exit code 0, no directories; a directory that has no `after` must be left as it was.

use crate::{bytes::Bytes, tree::Tree};
use serde::Deserialize;
use std::{collections::BTreeMap, fmt, fs, path::Path};

/// One run.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What sets it apart from the guest's other cases.
    pub name: Option<String>,
    /// Arguments after `argv[0]`.
    #[serde(default)]
    pub args: Vec<String>,
    /// The environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// All of stdin.
    #[serde(default)]
    pub stdin: Bytes,
    /// The preopened directories.
    #[serde(default)]
    pub dirs: Vec<Directory>,
    /// Whether it may use the network: of a machine its own, else the loopback alone.
    #[serde(default)]
    pub network: bool,
    /// Who connects, one after the other, to a socket that the guest has as descriptor 3. Without any it has no such socket.
    #[serde(default)]
    pub clients: Vec<Client>,
    /// Bytes of linear memory that the guest may use; the host's default without.
    pub memory: Option<u64>,
    /// Milliseconds that the guest may run.
    pub timeout: Option<u64>,
    /// All that must come on stdout.
    #[serde(default)]
    pub stdout: Bytes,
    /// All that must come on stderr.
    #[serde(default)]
    pub stderr: Bytes,
    /// The exit code.
    pub exit: Option<u32>,
    /// Part of the message of the trap that it ends with.
    pub trap: Option<String>,
    /// Part of the message of the limit that it ends with.
    pub limit: Option<String>,
    /// Part of the message that it is refused with.
    pub refused: Option<String>,
    /// Hosts that it does not run on, each with the reason; `p1` for all where the guest is a module, `p2` where it is a
    /// component.
    #[serde(default)]
    pub skip: BTreeMap<String, String>,
}

/// A client of the guest.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// All that it sends.
    pub sends: Bytes,
    /// All that it must receive until the guest ends the connection.
    pub receives: Bytes,
}

/// A preopened directory.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Directory {
    /// Its name in the guest.
    pub guest: String,
    /// Whether the guest may change nothing.
    #[serde(default)]
    pub read_only: bool,
    /// What is in it when the guest starts.
    #[serde(default)]
    pub before: Tree,
    /// What must be in it at the end; `before` if it is not said.
    pub after: Option<Tree>,
    /// Whether anything may be in it at the end.
    #[serde(default)]
    pub scratch: bool,
}

impl Directory {
    /// What must be in it at the end, if that is said.
    pub fn expected(&self) -> Option<&Tree> {
        (!self.scratch).then(|| self.after.as_ref().unwrap_or(&self.before))
    }
}

/// How a run is expected to end; the texts are parts of the message.
#[derive(Clone, Debug)]
pub enum Ending {
    /// With this exit code.
    Exit(u32),
    /// With a trap.
    Trap(String),
    /// With a limit.
    Limit(String),
    /// Before it began.
    Refused(String),
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(code) => write!(f, "exit code {code}"),
            Self::Trap(part) => write!(f, "a trap with {part:?} in its message"),
            Self::Limit(part) => write!(f, "a limit with {part:?} in its message"),
            Self::Refused(part) => write!(f, "a refusal with {part:?} in its message"),
        }
    }
}

impl Case {
    /// A case that must end in this way, all else being empty.
    pub fn ending_with(ending: Ending) -> Self {
        let mut case = Self::default();
        match ending {
            Ending::Exit(code) => case.exit = Some(code),
            Ending::Trap(part) => case.trap = Some(part),
            Ending::Limit(part) => case.limit = Some(part),
            Ending::Refused(part) => case.refused = Some(part),
        }
        case
    }

    /// How it must end.
    pub fn ending(&self) -> Ending {
        if let Some(part) = &self.trap {
            Ending::Trap(part.clone())
        } else if let Some(part) = &self.limit {
            Ending::Limit(part.clone())
        } else if let Some(part) = &self.refused {
            Ending::Refused(part.clone())
        } else {
            Ending::Exit(self.exit.unwrap_or(0))
        }
    }

    /// The cases in an expectation file.
    ///
    /// # Errors
    /// When it cannot be read or says what no expectation can.
    pub fn read(path: &Path) -> Result<Vec<Self>, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            case: Vec<Case>,
        }
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let file: File = toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(file.case)
    }
}
