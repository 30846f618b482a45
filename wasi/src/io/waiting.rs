//! Who waits for something that several may wait for.

use alloc::vec::Vec;
use core::{
    mem,
    task::{Context, Waker},
};

/// The waker of who only looks. It has one place in memory: what [`Waker::noop`] gives may have several, and then it is not known again.
static NOBODY: &Waker = Waker::noop();

/// A task that looks whether something is ready, and is not to be woken when it becomes so.
#[cfg_attr(not(feature = "components"), expect(dead_code, reason = "components are its users"))]
pub(crate) fn looking() -> Context<'static> {
    Context::from_waker(NOBODY)
}

/// Whether a task only looks.
pub(crate) fn is_looking(task: &Context<'_>) -> bool {
    NOBODY.will_wake(task.waker())
}

/// Who waits, at the end of a pipe or for a socket. They are shared by reference, so it may be more than one; one needs no allocation.
#[derive(Default)]
pub(crate) struct Waiting {
    first: Option<Waker>,
    others: Vec<Waker>,
}

/// The most that wait: far more than there is use for. Those who gave up (a guest that was ended) are still
/// among them.
pub(crate) const WAITING_MAX: usize = 1024;

impl Waiting {
    /// Notes who waits. Gives those that are to be [woken](Self::wake): nobody, or when there are too many, all the others, who
    /// come again if they still wait.
    #[must_use]
    pub(crate) fn add(&mut self, task: &Context<'_>) -> Self {
        self.add_within(task, WAITING_MAX)
    }

    /// The same where no more than `most` wait.
    #[must_use]
    pub(crate) fn add_within(&mut self, task: &Context<'_>, most: usize) -> Self {
        let known = || self.first.iter().chain(&self.others);
        if known().any(|waker| waker.will_wake(task.waker())) {
            return Self::default();
        }
        let crowd = if known().count() < most { Self::default() } else { mem::take(self) };
        match &mut self.first {
            Some(_) => self.others.push(task.waker().clone()),
            none => *none = Some(task.waker().clone()),
        }
        crowd
    }

    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none() && self.others.is_empty()
    }

    /// Wakes all. Not under the lock of what is waited for: a waker may be the last to hold a task that
    /// holds that.
    pub(crate) fn wake(self) {
        self.first.into_iter().chain(self.others).for_each(Waker::wake);
    }
}
