//! The executor: runs the kernel's tasks, looks after devices and timers between them, and halts the processor when
//! nobody can go on.
//!
//! One processor, cooperative. Interrupt handlers only call [`interrupted`]; everything else, wakers included, runs
//! outside of them. A task that computes for long yields (guests do, by fuel), and devices are served between its slices.

use crate::{arch::interrupts, memory, time};
use alloc::{collections::VecDeque, sync::Arc, task::Wake, vec::Vec};
use async_task::{Runnable, Task};
use core::{
    future::{Future, poll_fn},
    pin::pin,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    task::{Context, Poll, Waker},
};
use spin::Mutex;

/// Tasks that can go on, in the order in which they became so.
static READY: Mutex<VecDeque<Runnable>> = Mutex::new(VecDeque::new());
/// Devices to serve after an interrupt.
static DEVICES: Mutex<Vec<Arc<dyn Service>>> = Mutex::new(Vec::new());
/// An interrupt has come since the devices were last served.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// When memory was tidied the last time.
static TIDIED: AtomicU64 = AtomicU64::new(0);
/// How long that may be ago while there is something to do, in nanoseconds.
const TIDY: u64 = 100_000_000;

/// A device driver's part outside of the interrupt handler.
pub trait Service: Send + Sync {
    /// Takes what the device has done and wakes those who waited for it. Called after any interrupt, of this device or not.
    fn service(&self);
}

/// Has `device` served after interrupts, for as long as the kernel runs.
pub fn attach(device: Arc<dyn Service>) {
    DEVICES.lock().push(device);
}

/// The interrupt handler of devices.
pub fn interrupted() {
    INTERRUPTED.store(true, Ordering::Release);
}

/// Starts a task. Dropping the handle cancels it; `detach` lets it run on.
#[cfg_attr(not(feature = "full"), expect(dead_code, reason = "networks and servers are its users"))]
pub fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> Task<T> {
    let (runnable, task) = async_task::spawn(future, |runnable| READY.lock().push_back(runnable));
    runnable.schedule();
    task
}

/// Lets all others that can go on have a turn.
pub fn yield_now() -> impl Future<Output = ()> {
    let mut waited = false;
    poll_fn(move |task| {
        if waited {
            return Poll::Ready(());
        }
        waited = true;
        task.waker().wake_by_ref();
        Poll::Pending
    })
}

/// How many tasks can go on.
#[cfg(feature = "selftest")]
pub fn ready() -> usize {
    READY.lock().len()
}

/// Runs `future` to its end, and the other tasks meanwhile.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let woken = Arc::new(Flag(AtomicBool::new(true)));
    let waker = Waker::from(woken.clone());
    loop {
        serve();
        if woken.take()
            && let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker))
        {
            return value;
        }
        let next = READY.lock().pop_front();
        match next {
            Some(runnable) => {
                runnable.run();
            }
            None if woken.is_set() => {}
            None => idle(),
        }
    }
}

/// Lets interrupts in; serves devices if one came, timers, and now and then memory.
fn serve() {
    interrupts::poll();
    if INTERRUPTED.swap(false, Ordering::Acquire) {
        // One by one, unlocked, so that a driver may attach another.
        let device = |index: usize| DEVICES.lock().get(index).cloned();
        for device in (0..).map_while(device) {
            device.service();
        }
    }
    time::fire_timers();
    tidy();
}

/// Tidies memory, if that was not done for a while.
fn tidy() {
    let now = time::monotonic();
    if now.saturating_sub(TIDIED.load(Ordering::Relaxed)) >= TIDY {
        TIDIED.store(now, Ordering::Relaxed);
        memory::tidy();
    }
}

/// Halts until an interrupt comes: a device's, or the timer's for the earliest deadline.
fn idle() {
    // No interrupt comes between the last look at the devices and the wait: they are let in only there and in `serve`.
    if time::arm_timer() {
        interrupts::wait();
    }
}

struct Flag(AtomicBool);

impl Flag {
    fn take(&self) -> bool {
        self.0.swap(false, Ordering::Acquire)
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

/// Tasks that wait for the same thing.
#[derive(Default)]
pub struct Wakers(Vec<Waker>);

impl Wakers {
    /// Wakes `task` too, the next time.
    pub fn register(&mut self, task: &Context<'_>) {
        if !self.0.iter().any(|waker| waker.will_wake(task.waker())) {
            self.0.push(task.waker().clone());
        }
    }

    /// Wakes all, who then wait no more.
    pub fn wake(&mut self) {
        self.0.drain(..).for_each(Waker::wake);
    }
}
