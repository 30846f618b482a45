//! Who waits for a socket, and how they are woken: when the stack is unlocked again, since a waker may be the last to hold a task
//! that holds a socket.

use crate::io::waiting::Waiting;
use alloc::{sync::Arc, task::Wake, vec::Vec};
use core::{
    mem,
    task::{Context, Waker},
};
use spin::Mutex;

/// Those who wait for one socket.
pub(super) struct Notify {
    waiting: Mutex<Waiting>,
    woken: Woken,
}

/// Those that are to be woken.
#[derive(Clone, Default)]
pub(super) struct Woken(Arc<Mutex<Vec<Waiting>>>);

impl Notify {
    pub(super) fn new(woken: &Woken) -> Arc<Self> {
        Arc::new(Self { waiting: Mutex::default(), woken: woken.clone() })
    }

    /// Notes who waits, and gives the waker for the stack to keep.
    pub(super) fn wait(self: &Arc<Self>, task: &Context<'_>) -> Waker {
        let crowd = self.waiting.lock().add(task);
        self.woken.add(crowd);
        self.clone().into()
    }

    /// Has all woken that wait.
    pub(super) fn notify(&self) {
        let waiting = mem::take(&mut *self.waiting.lock());
        self.woken.add(waiting);
    }
}

impl Wake for Notify {
    fn wake(self: Arc<Self>) {
        self.notify();
    }
}

impl Woken {
    fn add(&self, waiting: Waiting) {
        if !waiting.is_empty() {
            self.0.lock().push(waiting);
        }
    }

    /// Wakes them. Not with the stack locked.
    pub(super) fn wake(&self) {
        let woken = mem::take(&mut *self.0.lock());
        woken.into_iter().for_each(Waiting::wake);
    }
}
