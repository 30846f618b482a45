//! Randomness: `random_get`.

use super::{Polled, Preview1};
use crate::{Error, guest::GuestPtr};
use core::task::Poll;

/// Bytes between two turns of the others: some milliseconds of a good generator.
const PIECE: usize = 1 << 20;

/// Fills a buffer with random bytes: all of it, piece by piece, letting others have their turn in between.
pub fn random_get(call: &mut Preview1<'_>, buffer: GuestPtr<u8>, len: u32) -> Polled {
    let bytes = buffer.slice(len).bytes_mut(&mut call.memory)?;
    let done = if call.repeated { call.state.progress } else { 0 };
    let rest = usize::try_from(done).ok().and_then(|done| bytes.get_mut(done..)).ok_or(Error::Fault)?;
    match rest.split_at_mut_checked(PIECE) {
        Some((piece, rest)) if !rest.is_empty() => {
            call.state.entropy.fill(piece)?;
            call.state.progress = done.saturating_add(PIECE as u64);
            call.task.waker().wake_by_ref();
            Poll::Pending
        }
        _ => Poll::Ready(call.state.entropy.fill(rest)),
    }
}
