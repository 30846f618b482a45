//! [`Bytes`]: what goes through a stream or into a file, as an expectation writes it.

use serde::Deserialize;
use std::fmt;

/// Bytes, spelled in the way that is shortest to read.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Bytes {
    /// As text.
    Text(String),
    /// As hexadecimal digits, with white space anywhere.
    Hex {
        /// The digits.
        hex: String,
    },
    /// A text over and over.
    Repeat {
        /// The text.
        repeat: String,
        /// How often.
        times: usize,
    },
    /// A fixed sequence of this many bytes that look random: what is lost, doubled or out of order shows.
    Pattern {
        /// How many.
        pattern: usize,
    },
    /// As they are; no expectation can write this.
    #[serde(skip)]
    Raw(Vec<u8>),
}

impl Default for Bytes {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

impl Bytes {
    /// The bytes themselves.
    ///
    /// # Panics
    /// When hexadecimal digits are none.
    pub fn to_vec(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.clone().into_bytes(),
            Self::Hex { hex } => {
                let digits: Vec<u32> = hex
                    .chars()
                    .filter(|char| !char.is_whitespace())
                    .map(|char| {
                        char.to_digit(16).unwrap_or_else(|| panic!("{char:?} is no hexadecimal digit"))
                    })
                    .collect();
                assert!(digits.len().is_multiple_of(2), "an odd number of hexadecimal digits");
                digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
            }
            Self::Raw(bytes) => bytes.clone(),
            Self::Repeat { repeat, times } => repeat.repeat(*times).into_bytes(),
            Self::Pattern { pattern } => {
                let mut state = 0x2545_f491_u32;
                (0..*pattern)
                    .map(|_| {
                        state ^= state << 13;
                        state ^= state >> 17;
                        state ^= state << 5;
                        state as u8
                    })
                    .collect()
            }
        }
    }
}

/// How two byte strings differ, as a person wants to read it: the first lines that differ of texts, else the offset.
pub struct Difference<'a> {
    expected: &'a [u8],
    actual: &'a [u8],
}

impl<'a> Difference<'a> {
    /// `None` when they are the same.
    pub fn of(expected: &'a [u8], actual: &'a [u8]) -> Option<Self> {
        (expected != actual).then_some(Self { expected, actual })
    }
}

impl fmt::Display for Difference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LINES: usize = 80;
        if let (Ok(expected), Ok(actual)) = (str::from_utf8(self.expected), str::from_utf8(self.actual)) {
            let (mut expected, mut actual) = (expected.split('\n'), actual.split('\n'));
            let (mut line, mut shown) = (0, 0);
            loop {
                line += 1;
                let pair = (expected.next(), actual.next());
                if pair == (None, None) || shown == LINES {
                    return Ok(());
                }
                if pair.0 != pair.1 {
                    shown += 1;
                    for (mark, text) in [('-', pair.0), ('+', pair.1)] {
                        if let Some(text) = text {
                            writeln!(f, "  {line}{mark} {:.200}", text.escape_debug().to_string())?;
                        }
                    }
                }
            }
        }
        let at = self.expected.iter().zip(self.actual).take_while(|(a, b)| a == b).count();
        writeln!(
            f,
            "  {} bytes expected, {} came; they differ at {at}",
            self.expected.len(),
            self.actual.len()
        )
    }
}
