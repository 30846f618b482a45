//! [`Status`]: what the kernel reports on the status port, one line each.

use alloc::{borrow::Cow, string::String};
use core::{fmt, str::FromStr};

/// A line that the kernel writes on [`port::STATUS`](crate::port::STATUS): one [`Ready`](Self::Ready) as soon as the
/// port is open, then perhaps one [`Stdin`](Self::Stdin) and one [`Serving`](Self::Serving), then one of the others, which is the
/// last.
///
/// [`Display`](fmt::Display) writes the line without the newline that ends it, and [`FromStr`] reads it. A
/// message with several lines stays one line on the wire: its newlines and backslashes are escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// The kernel is up. The number is its [`FORMAT_VERSION`](crate::FORMAT_VERSION).
    Ready(u32),
    /// The program has asked for its standard input for the first time.
    Stdin,
    /// HTTP requests are heard, on all ports.
    Serving,
    /// The program ended with this exit code: `proc_exit`, or 0 when `_start` returned.
    Exit(u32),
    /// The program trapped. As all messages, this is a whole sentence.
    Trap(String),
    /// The program reached one of its limits.
    Limit(String),
    /// There is no program: it could not be downloaded.
    Missing(String),
    /// The program was never run: it is not one, or the kernel could not give it what it asks for.
    Error(String),
}

/// A line that is no [`Status`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseStatusError(String);

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready(version) => write!(f, "ready {version}"),
            Self::Stdin => f.write_str("stdin"),
            Self::Serving => f.write_str("serving"),
            Self::Exit(code) => write!(f, "exit {code}"),
            Self::Trap(message) => write!(f, "trap {}", escape(message)),
            Self::Limit(message) => write!(f, "limit {}", escape(message)),
            Self::Missing(message) => write!(f, "missing {}", escape(message)),
            Self::Error(message) => write!(f, "error {}", escape(message)),
        }
    }
}

impl FromStr for Status {
    type Err = ParseStatusError;

    fn from_str(line: &str) -> Result<Self, ParseStatusError> {
        let fault = || ParseStatusError(line.into());
        match line {
            "stdin" => return Ok(Self::Stdin),
            "serving" => return Ok(Self::Serving),
            _ => {}
        }
        let (kind, rest) = line.split_once(' ').ok_or_else(fault)?;
        let number = || rest.parse().map_err(|_| fault());
        let message = || unescape(rest).ok_or_else(fault);
        Ok(match kind {
            "ready" => Self::Ready(number()?),
            "exit" => Self::Exit(number()?),
            "trap" => Self::Trap(message()?),
            "limit" => Self::Limit(message()?),
            "missing" => Self::Missing(message()?),
            "error" => Self::Error(message()?),
            _ => return Err(fault()),
        })
    }
}

impl fmt::Display for ParseStatusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not a status line of the kernel", self.0)
    }
}

impl core::error::Error for ParseStatusError {}

fn escape(message: &str) -> Cow<'_, str> {
    if message.contains(['\\', '\n']) {
        message.replace('\\', "\\\\").replace('\n', "\\n").into()
    } else {
        message.into()
    }
}

fn unescape(text: &str) -> Option<String> {
    let mut message = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        message.push(match char {
            '\\' => match chars.next()? {
                'n' => '\n',
                '\\' => '\\',
                _ => return None,
            },
            other => other,
        });
    }
    Some(message)
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn every_status_is_one_line_and_is_read_back() {
        let statuses = [
            Status::Ready(1),
            Status::Stdin,
            Status::Serving,
            Status::Exit(0),
            Status::Exit(u32::MAX),
            Status::Trap("unreachable".into()),
            Status::Trap("at\n  f\\n\n".into()),
            Status::Limit("timeout: 10 s  ".into()),
            Status::Missing("a\nb".into()),
            Status::Error(String::new()),
        ];
        for status in statuses {
            let line = status.to_string();
            assert!(!line.contains('\n'), "{line:?}");
            assert_eq!(line.parse(), Ok(status));
        }
    }

    #[test]
    fn the_wire_format_is_fixed() {
        assert_eq!(Status::Exit(7).to_string(), "exit 7");
        assert_eq!(Status::Trap("a\nb\\".into()).to_string(), r"trap a\nb\\");
    }

    #[test]
    fn other_lines_are_refused() {
        for line in [
            "",
            "stdin ",
            "exit",
            "exit ",
            "exit x",
            "exit -1",
            "exit 4294967296",
            "boo 1",
            "trap \\",
            "trap \\x",
        ] {
            let error = line.parse::<Status>().unwrap_err();
            assert!(error.to_string().contains("not a status line"), "{line:?}");
        }
    }
}
