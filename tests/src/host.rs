//! [`Host`]: what can run a guest, and what is asked of it.

use crate::{
    bytes::Difference,
    case::{Case, Ending},
    guests::Guest,
    hosted::Hosted,
    qemu::Qemu,
};
use std::{fmt, sync::Arc};

/// Runs guests.
pub trait Host: Send + Sync {
    /// Its name, as tests are called after it.
    fn name(&self) -> &'static str;

    /// Runs `guest` as `case` asks.
    ///
    /// # Errors
    /// When the host itself failed, or the run took longer than any guest may.
    fn run(&self, guest: &Guest, case: &Case) -> Result<Outcome, String>;
}

/// Every host that guests are tested on.
pub fn all() -> Vec<Arc<dyn Host>> {
    vec![Arc::new(Hosted::new()), Arc::new(Hosted::new().with_slices(SLICE)), Arc::new(Qemu::new())]
}

/// Fuel between two preemptions: so little that every guest is preempted in the middle of what it does.
const SLICE: u64 = 1_000;

/// What came out of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// All of stdout.
    pub stdout: Vec<u8>,
    /// All of the guest's own stderr, without the host's message.
    pub stderr: Vec<u8>,
    /// How it ended.
    pub end: End,
    /// How the directories, and what clients have received, differ from what the case expects; empty when they do not.
    pub differences: String,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It left with this exit code.
    Exit(u32),
    /// It trapped, with this message.
    Trap(String),
    /// It reached one of its limits.
    Limit(String),
    /// It was never run.
    Refused(String),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(code) => write!(f, "exit code {code}"),
            Self::Trap(message) => write!(f, "a trap: {message}"),
            Self::Limit(message) => write!(f, "a limit: {message}"),
            Self::Refused(message) => write!(f, "a refusal: {message}"),
        }
    }
}

impl End {
    /// Whether this is what was expected: the same kind, the same code, or a message that contains the expected text.
    pub fn matches(&self, expected: &Ending) -> bool {
        match (self, expected) {
            (Self::Exit(code), Ending::Exit(expected)) => code == expected,
            (Self::Trap(message), Ending::Trap(part))
            | (Self::Limit(message), Ending::Limit(part))
            | (Self::Refused(message), Ending::Refused(part)) => message.contains(part.as_str()),
            _ => false,
        }
    }
}

/// Runs one case on one host and compares everything.
///
/// # Errors
/// A text that says what differs.
pub fn check(host: &dyn Host, guest: &Guest, case: &Case) -> Result<(), String> {
    let outcome = host.run(guest, case)?;
    let mut faults = String::new();
    for (stream, expected, actual) in
        [("stdout", &case.stdout, &outcome.stdout), ("stderr", &case.stderr, &outcome.stderr)]
    {
        if let Some(difference) = Difference::of(&expected.to_vec(), actual) {
            faults += &format!("{stream} differs (- expected, + came):\n{difference}");
        }
    }
    let expected = case.ending();
    if !outcome.end.matches(&expected) {
        faults += &format!("it should end with {expected}, and ended with {}\n", outcome.end);
    }
    if !outcome.differences.is_empty() {
        faults += &format!("it differs:\n{}", outcome.differences);
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}
