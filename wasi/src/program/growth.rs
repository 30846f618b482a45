//! Keeps `memory.grow` and `table.grow` from overflowing the host's stack.
//!
//! wasmi 2.0.0 goes from instruction to instruction by tail calls, but for these two: each takes some 180 bytes of the
//! host's stack, given back only when the guest runs out of fuel, waits or ends. So they cost as much fuel as an
//! instruction can ([`COST`]), a slice has little enough fuel for only so many ([`LARGEST_SLICE`]), and no function has more
//! of them than fit (a function may get more fuel than a slice has, when it needs it all at once).

use super::Refusal;
use alloc::format;
use wasmparser::{FunctionBody, Operator, Parser, Payload};

/// What each of the two costs, in fuel.
pub(crate) const COST: u8 = u8::MAX;
/// The most fuel that a slice may have: fewer than 800 of them, 140 KiB of the host's stack.
pub(crate) const LARGEST_SLICE: u64 = 200_000;
/// How many of the two a function may have. Compilers make one, in the allocator.
const MOST: usize = 255;

/// Refuses a module of which a function has more than [`MOST`] of the two. The module has been validated.
pub(super) fn check(wasm: &[u8]) -> Result<(), Refusal> {
    let malformed = |error: wasmparser::BinaryReaderError| Refusal::Invalid(format!("{error}"));
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::CodeSectionEntry(body) = payload.map_err(malformed)? {
            // Counting the bytes that begin the two is far faster than decoding, and never too few.
            if possible(body.as_bytes()) > MOST && count(&body).map_err(malformed)? > MOST {
                return Err(Refusal::TooLarge(format!(
                    "a function grows memories or tables in more than {MOST} places"
                )));
            }
        }
    }
    Ok(())
}

/// How many bytes may begin one of the two.
fn possible(bytes: &[u8]) -> usize {
    // As many at once as a byte can count: a vector of them then takes one instruction.
    let counts = bytes.chunks(usize::from(u8::MAX)).map(|bytes| {
        let begins = |byte: &u8| u8::from(*byte == 0x40) | u8::from(*byte == 0xfc);
        bytes.iter().map(begins).fold(0_u8, u8::wrapping_add)
    });
    counts.map(usize::from).sum()
}

fn count(body: &FunctionBody<'_>) -> wasmparser::Result<usize> {
    let mut count = 0_usize;
    for operator in body.get_operators_reader()? {
        if matches!(operator?, Operator::MemoryGrow { .. } | Operator::TableGrow { .. }) {
            count = count.saturating_add(1);
        }
    }
    Ok(count)
}
