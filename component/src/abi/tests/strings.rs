//! Strings in every pair of encodings: the calls of `realloc`, what lies in memory, and what is not a string.

use super::*;
use crate::value::{Source, Text};
use StringEncoding::{CompactUtf16, Utf8, Utf16};
use alloc::string::String;

const TAG: u32 = 1 << 31;

/// How a guest of the source's encoding has the text in memory: its encoding, the bytes, and the length as it counts it.
fn encoded(text: &str, source: Source) -> (StringEncoding, Vec<u8>, u32) {
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let units = u32::try_from(utf16.len() / 2).unwrap();
    match source {
        Source::Utf8 => (Utf8, text.into(), u32::try_from(text.len()).unwrap()),
        Source::Utf16 => (Utf16, utf16, units),
        Source::TaggedUtf16 => (CompactUtf16, utf16, units | TAG),
        Source::Latin1 => (
            CompactUtf16,
            text.chars().map(|c| u8::try_from(c).unwrap()).collect(),
            text.chars().count() as u32,
        ),
    }
}

/// Text, source, the guest's encoding, the length that it gets, and its calls of `realloc`: whether the block before is
/// reallocated, its size, alignment, size. Made with definitions.py.
#[rustfmt::skip]
#[expect(clippy::type_complexity, reason = "a table")]
const CALLS: &[(&str, Source, StringEncoding, u32, &[(bool, u32, u32, u32)])] = &[
    ("", Source::Utf8, Utf8, 0, &[(false, 0, 1, 0)]),
    ("", Source::Utf8, Utf16, 0, &[(false, 0, 2, 0)]),
    ("", Source::Utf8, CompactUtf16, 0, &[(false, 0, 2, 0)]),
    ("", Source::Utf16, Utf8, 0, &[(false, 0, 1, 0)]),
    ("", Source::Utf16, Utf16, 0, &[(false, 0, 2, 0)]),
    ("", Source::Utf16, CompactUtf16, 0, &[(false, 0, 2, 0)]),
    ("", Source::Latin1, Utf8, 0, &[(false, 0, 1, 0)]),
    ("", Source::Latin1, Utf16, 0, &[(false, 0, 2, 0)]),
    ("", Source::Latin1, CompactUtf16, 0, &[(false, 0, 2, 0)]),
    ("", Source::TaggedUtf16, Utf8, 0, &[(false, 0, 1, 0)]),
    ("", Source::TaggedUtf16, Utf16, 0, &[(false, 0, 2, 0)]),
    ("", Source::TaggedUtf16, CompactUtf16, 0, &[(false, 0, 2, 0), (true, 0, 1, 0)]),
    ("az", Source::Utf8, Utf8, 2, &[(false, 0, 1, 2)]),
    ("az", Source::Utf8, Utf16, 2, &[(false, 0, 2, 4)]),
    ("az", Source::Utf8, CompactUtf16, 2, &[(false, 0, 2, 2)]),
    ("az", Source::Utf16, Utf8, 2, &[(false, 0, 1, 2)]),
    ("az", Source::Utf16, Utf16, 2, &[(false, 0, 2, 4)]),
    ("az", Source::Utf16, CompactUtf16, 2, &[(false, 0, 2, 2)]),
    ("az", Source::Latin1, Utf8, 2, &[(false, 0, 1, 2)]),
    ("az", Source::Latin1, Utf16, 2, &[(false, 0, 2, 4)]),
    ("az", Source::Latin1, CompactUtf16, 2, &[(false, 0, 2, 2)]),
    ("az", Source::TaggedUtf16, Utf8, 2, &[(false, 0, 1, 2)]),
    ("az", Source::TaggedUtf16, Utf16, 2, &[(false, 0, 2, 4)]),
    ("az", Source::TaggedUtf16, CompactUtf16, 2, &[(false, 0, 2, 4), (true, 4, 1, 2)]),
    ("a\u{e9}", Source::Utf8, Utf8, 3, &[(false, 0, 1, 3)]),
    ("a\u{e9}", Source::Utf8, Utf16, 2, &[(false, 0, 2, 6), (true, 6, 2, 4)]),
    ("a\u{e9}", Source::Utf8, CompactUtf16, 2, &[(false, 0, 2, 3), (true, 3, 2, 2)]),
    ("a\u{e9}", Source::Utf16, Utf8, 3, &[(false, 0, 1, 2), (true, 2, 1, 6), (true, 6, 1, 3)]),
    ("a\u{e9}", Source::Utf16, Utf16, 2, &[(false, 0, 2, 4)]),
    ("a\u{e9}", Source::Utf16, CompactUtf16, 2, &[(false, 0, 2, 2)]),
    ("a\u{e9}", Source::Latin1, Utf8, 3, &[(false, 0, 1, 2), (true, 2, 1, 4), (true, 4, 1, 3)]),
    ("a\u{e9}", Source::Latin1, Utf16, 2, &[(false, 0, 2, 4)]),
    ("a\u{e9}", Source::Latin1, CompactUtf16, 2, &[(false, 0, 2, 2)]),
    ("a\u{e9}", Source::TaggedUtf16, Utf8, 3, &[(false, 0, 1, 2), (true, 2, 1, 6), (true, 6, 1, 3)]),
    ("a\u{e9}", Source::TaggedUtf16, Utf16, 2, &[(false, 0, 2, 4)]),
    ("a\u{e9}", Source::TaggedUtf16, CompactUtf16, 2, &[(false, 0, 2, 4), (true, 4, 1, 2)]),
    ("\u{e9}\u{100}", Source::Utf8, Utf8, 4, &[(false, 0, 1, 4)]),
    ("\u{e9}\u{100}", Source::Utf8, Utf16, 2, &[(false, 0, 2, 8), (true, 8, 2, 4)]),
    ("\u{e9}\u{100}", Source::Utf8, CompactUtf16, TAG | 2, &[(false, 0, 2, 4), (true, 4, 2, 8), (true, 8, 2, 4)]),
    ("\u{e9}\u{100}", Source::Utf16, Utf8, 4, &[(false, 0, 1, 2), (true, 2, 1, 6), (true, 6, 1, 4)]),
    ("\u{e9}\u{100}", Source::Utf16, Utf16, 2, &[(false, 0, 2, 4)]),
    ("\u{e9}\u{100}", Source::Utf16, CompactUtf16, TAG | 2, &[(false, 0, 2, 2), (true, 2, 2, 4)]),
    ("\u{e9}\u{100}", Source::TaggedUtf16, Utf8, 4, &[(false, 0, 1, 2), (true, 2, 1, 6), (true, 6, 1, 4)]),
    ("\u{e9}\u{100}", Source::TaggedUtf16, Utf16, 2, &[(false, 0, 2, 4)]),
    ("\u{e9}\u{100}", Source::TaggedUtf16, CompactUtf16, TAG | 2, &[(false, 0, 2, 4)]),
    ("z\u{1f600}\u{ff}", Source::Utf8, Utf8, 7, &[(false, 0, 1, 7)]),
    ("z\u{1f600}\u{ff}", Source::Utf8, Utf16, 4, &[(false, 0, 2, 14), (true, 14, 2, 8)]),
    ("z\u{1f600}\u{ff}", Source::Utf8, CompactUtf16, TAG | 4, &[(false, 0, 2, 7), (true, 7, 2, 14), (true, 14, 2, 8)]),
    ("z\u{1f600}\u{ff}", Source::Utf16, Utf8, 7, &[(false, 0, 1, 4), (true, 4, 1, 12), (true, 12, 1, 7)]),
    ("z\u{1f600}\u{ff}", Source::Utf16, Utf16, 4, &[(false, 0, 2, 8)]),
    ("z\u{1f600}\u{ff}", Source::Utf16, CompactUtf16, TAG | 4, &[(false, 0, 2, 4), (true, 4, 2, 8)]),
    ("z\u{1f600}\u{ff}", Source::TaggedUtf16, Utf8, 7, &[(false, 0, 1, 4), (true, 4, 1, 12), (true, 12, 1, 7)]),
    ("z\u{1f600}\u{ff}", Source::TaggedUtf16, Utf16, 4, &[(false, 0, 2, 8)]),
    ("z\u{1f600}\u{ff}", Source::TaggedUtf16, CompactUtf16, TAG | 4, &[(false, 0, 2, 8)]),
    ("\u{1f600}", Source::Utf8, Utf8, 4, &[(false, 0, 1, 4)]),
    ("\u{1f600}", Source::Utf8, Utf16, 2, &[(false, 0, 2, 8), (true, 8, 2, 4)]),
    ("\u{1f600}", Source::Utf8, CompactUtf16, TAG | 2, &[(false, 0, 2, 4), (true, 4, 2, 8), (true, 8, 2, 4)]),
    ("\u{1f600}", Source::Utf16, Utf8, 4, &[(false, 0, 1, 2), (true, 2, 1, 6), (true, 6, 1, 4)]),
    ("\u{1f600}", Source::Utf16, Utf16, 2, &[(false, 0, 2, 4)]),
    ("\u{1f600}", Source::Utf16, CompactUtf16, TAG | 2, &[(false, 0, 2, 2), (true, 2, 2, 4)]),
    ("\u{1f600}", Source::TaggedUtf16, Utf8, 4, &[(false, 0, 1, 2), (true, 2, 1, 6), (true, 6, 1, 4)]),
    ("\u{1f600}", Source::TaggedUtf16, Utf16, 2, &[(false, 0, 2, 4)]),
    ("\u{1f600}", Source::TaggedUtf16, CompactUtf16, TAG | 2, &[(false, 0, 2, 4)]),
];

#[test]
fn transcoding_allocates_as_it_is_specified() {
    for (text, source, encoding, len, calls) in CALLS.iter().copied() {
        let what = alloc::format!("{text:?} from {source:?} to {encoding:?}");
        // Out of one guest,
        let (from, bytes, units) = encoded(text, source);
        let mut guest = Guest::new(from);
        guest.memory[2..][..bytes.len()].copy_from_slice(&bytes);
        let lifted = guest.lift(&[2, units.into()], &Type::String).unwrap();
        assert_eq!(lifted, Value::String(Text::new(text.into(), source)), "{what}");
        // into the other.
        let mut guest = Guest::new(encoding);
        let flat = guest.lower(&lifted, &Type::String).unwrap();
        assert_eq!(guest.calls, calls, "{what}");
        assert_eq!(flat.as_slice(), [guest.last.into(), len.into()], "{what}");
        let again = guest.lift(flat.as_slice(), &Type::String).unwrap();
        assert_eq!(String::lift(again).unwrap(), text, "{what}");
    }
}

#[test]
fn a_string_that_is_none_traps() {
    let rows: [(StringEncoding, &[u8], u32, Trap); 12] = [
        (Utf8, &[0xff], 1, Trap::InvalidString),
        (Utf8, &[0xc3], 1, Trap::InvalidString),
        (Utf8, &[0xed, 0xa0, 0x80], 3, Trap::InvalidString),
        (Utf8, &[0xf4, 0x90, 0x80, 0x80], 4, Trap::InvalidString),
        (Utf16, &[0x00, 0xd8], 1, Trap::InvalidString),
        (Utf16, &[0x00, 0xdc, 0x00, 0xd8], 2, Trap::InvalidString),
        (CompactUtf16, &[0x00, 0xd8], TAG | 1, Trap::InvalidString),
        (Utf8, &[], 1 << 28, Trap::TooLarge),
        (Utf16, &[], 1 << 27, Trap::TooLarge),
        (CompactUtf16, &[], TAG - 1, Trap::TooLarge),
        (CompactUtf16, &[], u32::MAX, Trap::TooLarge),
        (Utf8, &[], (1 << 28) - 1, Trap::OutOfBounds),
    ];
    for (encoding, bytes, units, trap) in rows {
        let mut guest = Guest::new(encoding);
        guest.memory[4..][..bytes.len()].copy_from_slice(bytes);
        assert_eq!(guest.lift(&[4, units.into()], &Type::String), Err(trap), "{bytes:?} in {encoding:?}");
    }
    // Every byte is Latin-1.
    let mut guest = Guest::new(CompactUtf16);
    guest.memory[..2].copy_from_slice(&[0xff, 0x80]);
    let lifted = guest.lift(&[0, 2], &Type::String).unwrap();
    assert_eq!(String::lift(lifted).unwrap(), "\u{ff}\u{80}");
}

#[test]
fn pointers_of_strings_are_checked() {
    let end = 1 << 16;
    let rows = [
        (Utf8, end, 0, Ok(())),
        (Utf8, end + 1, 0, Err(Trap::OutOfBounds)),
        (Utf8, end - 2, 3, Err(Trap::OutOfBounds)),
        (Utf8, u32::MAX, 1, Err(Trap::OutOfBounds)),
        (Utf16, end - 2, 1, Err(Trap::OutOfBounds)),
        (Utf16, 1, 0, Err(Trap::Unaligned)),
        (CompactUtf16, 1, 0, Err(Trap::Unaligned)),
        (CompactUtf16, 1, TAG, Err(Trap::Unaligned)),
        // Alignment comes first.
        (CompactUtf16, u32::MAX, 1, Err(Trap::Unaligned)),
    ];
    for (encoding, pointer, units, expected) in rows {
        let mut guest = Guest::new(encoding);
        // All that is there is valid; the last code unit is cut off.
        guest.memory.fill(b'a');
        guest.memory.truncate((1 << 16) - usize::from(encoding == Utf16));
        if encoding == Utf16 && units == 0 {
            guest.memory.push(0);
        }
        let lifted = guest.lift(&[pointer.into(), units.into()], &Type::String).map(|_| ());
        assert_eq!(lifted, expected, "{encoding:?} {pointer:#x} {units:#x}");
    }
}

#[test]
fn the_hosts_strings_are_utf8_and_bounded() {
    for encoding in [Utf8, Utf16, CompactUtf16] {
        let text = "Grüße, Ω, 😀, 漢字";
        let mut guest = Guest::new(encoding);
        let flat = guest.lower(&Value::from(text), &Type::String).unwrap();
        let lifted = guest.lift(flat.as_slice(), &Type::String).unwrap();
        assert_eq!(String::lift(lifted).unwrap(), text);
        let large = Value::from(String::from_utf8(vec![b'a'; 1 << 28]).unwrap());
        assert_eq!(guest.lower(&large, &Type::String).unwrap_err(), Trap::TooLarge);
    }
}
