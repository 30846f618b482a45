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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preview1::testing::*;

    #[test]
    fn all_of_the_buffer_is_filled_and_no_more() {
        let mut guest = guest();
        guest.memory.fill(0);
        assert_eq!(guest.call(|call| random_get(call, GuestPtr::new(10), 20)), Ok(()));
        let filled = |(index, byte): (usize, &u8)| (10..30).contains(&index) == (*byte != 0);
        assert!(guest.memory.iter().enumerate().all(filled));
        assert_eq!(guest.call(|call| random_get(call, GuestPtr::new(MEMORY), 0)), Ok(()));
        assert_eq!(guest.call(|call| random_get(call, GuestPtr::new(MEMORY), 1)), Err(Error::Fault));
    }

    #[test]
    fn a_large_buffer_is_filled_in_turns() {
        let mut guest = guest();
        guest.memory = alloc::vec![0; 3 * PIECE + 5];
        let len = guest.memory.len() as u32;
        let get = |call: &mut Preview1<'_>| random_get(call, GuestPtr::new(0), len);
        assert!(guest.poll(get).is_pending());
        assert!(guest.poll_again(get).is_pending());
        assert!(guest.poll_again(get).is_pending());
        assert_eq!(guest.wakes(), 3);
        assert_eq!(guest.memory.iter().rposition(|&byte| byte != 0), Some(3 * PIECE - 1));
        assert_eq!(guest.poll_again(get), Poll::Ready(Ok(())));
        assert!(guest.memory.iter().all(|&byte| byte != 0));
        assert!(guest.poll(get).is_pending(), "the next call begins at the start");
    }
}
