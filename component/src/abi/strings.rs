//! Strings: lifted from and lowered to the three encodings, and what lowering allocates for each pair of them.

use super::{MAX_BYTES, StringEncoding, aligned, range};
use crate::{
    Trap,
    value::{Source, Text},
};
use alloc::string::String;

/// In the length of a `latin1+utf16` string: it is in UTF-16.
const UTF16_TAG: u32 = 1 << 31;

/// The string of `units` code units (in the encoding's own way of counting) at `pointer`. Its size is taken from `budget`.
pub(super) fn lift(
    memory: &[u8],
    encoding: StringEncoding,
    pointer: u32,
    units: u32,
    budget: &mut usize,
) -> Result<Text, Trap> {
    let (source, count, unit) = match encoding {
        StringEncoding::Utf8 => (Source::Utf8, units, 1),
        StringEncoding::Utf16 => (Source::Utf16, units, 2),
        StringEncoding::CompactUtf16 if units & UTF16_TAG == 0 => (Source::Latin1, units, 1),
        StringEncoding::CompactUtf16 => (Source::TaggedUtf16, units ^ UTF16_TAG, 2),
    };
    let alignment = if encoding == StringEncoding::Utf8 { 1 } else { 2 };
    let len = (count as usize).checked_mul(unit).filter(|len| *len <= MAX_BYTES).ok_or(Trap::TooLarge)?;
    aligned(pointer, alignment)?;
    let bytes = memory.get(range(pointer, len, memory.len())?).ok_or(Trap::OutOfBounds)?;
    let text = match source {
        Source::Utf8 => {
            let text = core::str::from_utf8(bytes).map_err(|_| Trap::InvalidString)?;
            let mut copy = reserve(text.len(), budget)?;
            copy.push_str(text);
            copy
        }
        Source::Latin1 => {
            let upper = bytes.iter().filter(|byte| !byte.is_ascii()).count();
            let mut text = reserve(bytes.len().saturating_add(upper), budget)?;
            text.extend(bytes.iter().copied().map(char::from));
            text
        }
        Source::Utf16 | Source::TaggedUtf16 => {
            let units = || bytes.as_chunks().0.iter().copied().map(u16::from_le_bytes);
            let len = char::decode_utf16(units())
                .try_fold(0_usize, |len, c| c.map(|c| len.saturating_add(c.len_utf8())))
                .map_err(|_| Trap::InvalidString)?;
            let mut text = reserve(len, budget)?;
            text.extend(char::decode_utf16(units()).flatten());
            text
        }
    };
    Ok(Text::new(text, source))
}

/// An empty string with room for `len` bytes.
fn reserve(len: usize, budget: &mut usize) -> Result<String, Trap> {
    *budget = budget.checked_sub(len).ok_or(Trap::Limit("host memory for the values of a call"))?;
    let mut text = String::new();
    text.try_reserve_exact(len).map_err(|_| Trap::Limit("host memory"))?;
    Ok(text)
}

/// The calls of `realloc` for one string: sizes in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Steps {
    /// The alignment asked for, in every call but the last where it says another.
    pub alignment: u32,
    /// The first guess.
    pub first: u32,
    /// The worst case, once the first guess was not enough.
    pub grown: Option<u32>,
    /// Alignment and size in the end, if there was too much.
    pub shrunk: Option<(u32, u32)>,
}

impl Steps {
    const fn once(alignment: u32, first: u32) -> Self {
        Self { alignment, first, grown: None, shrunk: None }
    }

    /// Shrinks to `size`, if that is less than `from`.
    const fn shrink(mut self, from: u32, size: u32) -> Self {
        if size < from {
            self.shrunk = Some((self.alignment, size));
        }
        self
    }
}

/// Whether all of the text is in Latin-1.
fn is_latin1(text: &str) -> bool {
    // U+0100 begins with 0xC4.
    text.bytes().all(|byte| byte < 0xc4)
}

/// The length in UTF-16.
fn utf16_len(text: &str) -> usize {
    // One for each character, and one more for each of four bytes.
    text.bytes().map(|byte| usize::from(byte & 0xc0 != 0x80) + usize::from(byte >= 0xf0)).sum()
}

/// The calls of `realloc` that the canonical ABI makes to lower `text`.
pub(super) fn steps(text: &Text, encoding: StringEncoding) -> Result<Steps, Trap> {
    let (source, text) = (text.source(), text.as_str());
    // Only the host's strings can be too large; the others were checked in their encoding, which bounds what follows to
    // three times the most bytes.
    if source == Source::Utf8 && text.len() > MAX_BYTES {
        return Err(Trap::TooLarge);
    }
    let size = |size: usize| u32::try_from(size).map_err(|_| Trap::TooLarge);
    let len = size(text.len())?;
    let units = match source {
        Source::Utf8 => len,
        Source::Utf16 | Source::TaggedUtf16 => size(utf16_len(text))?,
        Source::Latin1 => size(text.chars().count())?,
    };
    let times = |factor| units.checked_mul(factor).ok_or(Trap::TooLarge);
    Ok(match (encoding, source) {
        (StringEncoding::Utf8, Source::Utf8) => Steps::once(1, len),
        (StringEncoding::Utf8, _) if text.is_ascii() => Steps::once(1, units),
        (StringEncoding::Utf8, _) => {
            let worst = times(if source == Source::Latin1 { 2 } else { 3 })?;
            Steps { grown: Some(worst), ..Steps::once(1, units) }.shrink(worst, len)
        }
        (StringEncoding::Utf16, Source::Utf8) => {
            Steps::once(2, times(2)?).shrink(times(2)?, size(utf16_len(text).saturating_mul(2))?)
        }
        (StringEncoding::Utf16, _) => Steps::once(2, times(2)?),
        (StringEncoding::CompactUtf16, Source::Latin1) => Steps::once(2, units),
        (StringEncoding::CompactUtf16, Source::TaggedUtf16) => {
            let shrunk = is_latin1(text).then_some((1, units));
            Steps { shrunk, ..Steps::once(2, times(2)?) }
        }
        (StringEncoding::CompactUtf16, _) if is_latin1(text) => {
            Steps::once(2, units).shrink(units, size(text.chars().count())?)
        }
        (StringEncoding::CompactUtf16, _) => Steps { grown: Some(times(2)?), ..Steps::once(2, units) }
            .shrink(times(2)?, size(utf16_len(text).saturating_mul(2))?),
    })
}

/// Writes `text` to `pointer`, where [`steps`] has made room. Gives its length as the encoding counts it.
pub(super) fn store(
    memory: &mut [u8],
    pointer: u32,
    text: &str,
    encoding: StringEncoding,
) -> Result<u32, Trap> {
    let (len, unit, tag) = match encoding {
        StringEncoding::Utf8 => (text.len(), 1, 0),
        StringEncoding::CompactUtf16 if is_latin1(text) => (text.chars().count(), 1, 0),
        StringEncoding::CompactUtf16 => (utf16_len(text), 2, UTF16_TAG),
        StringEncoding::Utf16 => (utf16_len(text), 2, 0),
    };
    let room = range(pointer, len.checked_mul(unit).ok_or(Trap::TooLarge)?, memory.len())?;
    let target = memory.get_mut(room).ok_or(Trap::OutOfBounds)?;
    match (encoding, unit) {
        (StringEncoding::Utf8, _) => target.copy_from_slice(text.as_bytes()),
        (_, 1) => {
            for (byte, c) in target.iter_mut().zip(text.chars()) {
                *byte = u8::try_from(c).map_err(|_| Trap::InvalidString)?;
            }
        }
        _ => {
            for (bytes, unit) in target.as_chunks_mut().0.iter_mut().zip(text.encode_utf16()) {
                *bytes = unit.to_le_bytes();
            }
        }
    }
    u32::try_from(len).map(|len| len | tag).map_err(|_| Trap::TooLarge)
}
