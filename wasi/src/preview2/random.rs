//! `wasi:random`. The insecure functions give secure bytes too: there is one source.

use super::{Interfaces, Polled, Preview2, failed, interface};
use crate::{heap, random::PIECE};
use alloc::vec::Vec;
use component::Trap;
use core::{mem, task::Poll};

/// The most bytes of one call.
const BYTES_MAX: u64 = 64 << 20;

pub fn register(linker: &mut Interfaces) {
    interface(linker, "wasi:random/random").func("get-random-bytes", bytes).func("get-random-u64", number);
    interface(linker, "wasi:random/insecure")
        .func("get-insecure-random-bytes", bytes)
        .func("get-insecure-random-u64", number);
    interface(linker, "wasi:random/insecure-seed").func("insecure-seed", seed);
}

/// So many random bytes, in as many turns as that takes. A trap for more than 64 MiB, and on a machine without a source.
pub fn bytes(call: &mut Preview2<'_>, &(len,): &(u64,)) -> Polled<Vec<u8>> {
    if len > BYTES_MAX {
        return Poll::Ready(Err(Trap::Limit("random bytes in one call (64 MiB)").into()));
    }
    let len = usize::try_from(len).map_err(|_| Trap::TooLarge)?;
    let state = &mut call.data.state;
    let mut bytes = if call.repeated { mem::take(&mut state.bytes) } else { Vec::new() };
    let rest = len.saturating_sub(bytes.len());
    heap::reserve(&mut bytes, rest).map_err(failed)?;
    loop {
        let start = bytes.len();
        bytes.resize(len.min(start.saturating_add(PIECE)), 0);
        state.entropy.fill(bytes.get_mut(start..).unwrap_or_default()).map_err(failed)?;
        if bytes.len() == len {
            return Poll::Ready(Ok(bytes));
        }
        if call.data.turn.ends_here() {
            state.bytes = bytes;
            call.task.waker().wake_by_ref();
            return Poll::Pending;
        }
    }
}

/// A random number.
pub fn number(call: &mut Preview2<'_>, (): &()) -> Polled<u64> {
    let mut bytes = [0; 8];
    call.data.state.entropy.fill(&mut bytes).map_err(failed)?;
    Poll::Ready(Ok(u64::from_le_bytes(bytes)))
}

/// A seed for hash tables.
pub fn seed(call: &mut Preview2<'_>, (): &()) -> Polled<(u64, u64)> {
    let mut bytes = [0; 16];
    call.data.state.entropy.fill(&mut bytes).map_err(failed)?;
    let seed = u128::from_le_bytes(bytes);
    #[expect(clippy::cast_possible_truncation, reason = "its two halves")]
    Poll::Ready(Ok((seed as u64, (seed >> 64) as u64)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preview2::testing::*;

    #[test]
    fn all_bytes_are_filled_in_as_many_turns_as_that_takes() {
        let mut guest = guest();
        assert_eq!(guest.call(bytes, (0,)), []);
        assert_eq!(guest.call(bytes, (20,)), [4; 20]);
        assert_eq!(guest.call(number, ()), 0x0404_0404_0404_0404);
        assert_eq!(guest.call(seed, ()), (0x0404_0404_0404_0404, 0x0404_0404_0404_0404));
        assert!(matches!(guest.trap(bytes, (BYTES_MAX + 1,)), Trap::Limit(_)));
        guest.end_turns();
        let len = 3 * PIECE as u64 + 5;
        assert!(guest.poll(bytes, (len,)).is_pending());
        assert!(guest.poll_again(bytes, (len,)).is_pending());
        assert!(guest.poll_again(bytes, (len,)).is_pending());
        assert_eq!(guest.wakes(), 3);
        assert_eq!(done(guest.poll_again(bytes, (len,))), alloc::vec![4; 3 * PIECE + 5]);
    }
}
