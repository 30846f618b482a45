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
