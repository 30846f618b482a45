//! The process: `proc_exit`, `proc_raise`, `sched_yield`.

use super::{Polled, Preview1, types::Signal};
use crate::{Error, call::Exit};
use core::task::Poll;

/// Ends the program with a status.
pub fn proc_exit(_: &mut Preview1<'_>, status: u32) -> Poll<Exit> {
    Poll::Ready(Exit(status))
}

/// There are no signals: `NOTSUP`, as in wasmtime.
pub fn proc_raise(_: &mut Preview1<'_>, _: Signal) -> Polled {
    Poll::Ready(Err(Error::NotSupported))
}

/// Lets all others who can run have a turn.
pub fn sched_yield(call: &mut Preview1<'_>) -> Polled {
    if call.repeated {
        return Poll::Ready(Ok(()));
    }
    call.task.waker().wake_by_ref();
    Poll::Pending
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preview1::{testing::*, types::UpTo};

    #[test]
    fn yielding_gives_one_turn() {
        let mut guest = guest();
        assert!(guest.poll(sched_yield).is_pending());
        assert_eq!(guest.wakes(), 1, "it wants to go on");
        assert_eq!(guest.poll_again(sched_yield), Poll::Ready(Ok(())));
        assert!(guest.poll(sched_yield).is_pending());
    }

    #[test]
    fn exits_and_signals() {
        let mut guest = guest();
        assert_eq!(guest.poll(|call| proc_exit(call, 7)), Poll::Ready(Exit(7)));
        assert_eq!(guest.call(|call| proc_raise(call, UpTo)), Err(Error::NotSupported));
    }
}
