//! Randomness: `random_get`.

use super::{Polled, Preview1};
use crate::{Error, guest::GuestPtr, random};
use core::task::Poll;

/// Fills a buffer with random bytes: all of it, piece by piece, in as many turns as that takes.
pub fn random_get(call: &mut Preview1<'_>, buffer: GuestPtr<u8>, len: u32) -> Polled {
    let done = usize::try_from(call.progress()).map_err(|_| Error::Fault)?;
    let bytes = buffer.slice(len).bytes_mut(&mut call.memory)?;
    match random::fill(&*call.state.entropy, bytes, done, || call.turn.ends_here())? {
        Some(done) => call.pause(done as u64),
        None => Poll::Ready(Ok(())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{preview1::testing::*, random::PIECE};

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
        guest.end_turns();
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
