//! What the unit tests share: a machine whose time is the test's, and an executor that never sleeps.

use crate::{
    Engine, Machine, Program, Result,
    clocks::{Clock, TimerQueue},
    memory::{LinearMemories, Region},
    random::Entropy,
    sockets::{Access, Network, Policy},
    types::Nanoseconds,
};
use alloc::{boxed::Box, sync::Arc, task::Wake, vec::Vec};
use core::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    ptr::NonNull,
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    task::{Context, Poll},
};

/// A clock that moves when it is told, by `tick` whenever it is looked at, and when all wait for it.
pub(crate) struct TestClock {
    now: AtomicU64,
    pub(crate) tick: AtomicU64,
    timers: Arc<TimerQueue>,
}

impl TestClock {
    /// Moves the clock and wakes who waited for it.
    pub(crate) fn advance(&self, span: Nanoseconds) {
        let now = self.now.fetch_add(span, Ordering::Relaxed) + span;
        self.timers.fire(now);
    }
}

impl Clock for TestClock {
    fn monotonic(&self) -> Nanoseconds {
        self.now.fetch_add(self.tick.load(Ordering::Relaxed), Ordering::Relaxed)
    }

    fn monotonic_resolution(&self) -> Nanoseconds {
        1
    }

    fn wall(&self) -> Result<Nanoseconds> {
        Ok(1_000_000_000_000_000_000)
    }

    fn wall_resolution(&self) -> Nanoseconds {
        1
    }

    fn timers(&self) -> &Arc<TimerQueue> {
        &self.timers
    }
}

/// Bytes that everybody can predict.
struct TestEntropy;

impl Entropy for TestEntropy {
    fn fill(&self, buffer: &mut [u8]) -> Result<()> {
        buffer.fill(4);
        Ok(())
    }
}

/// Homes for memories, full of rubbish, that are counted.
#[derive(Default)]
pub(crate) struct TestMemories {
    pub(crate) live: Arc<AtomicUsize>,
    pub(crate) committed: Arc<AtomicUsize>,
}

struct TestRegion {
    bytes: NonNull<[u8]>,
    live: Arc<AtomicUsize>,
    committed: Arc<AtomicUsize>,
}

impl LinearMemories for TestMemories {
    fn reserve(&self, bytes: usize) -> Option<Box<dyn Region>> {
        let home = alloc::vec![0xaa_u8; bytes].into_boxed_slice();
        self.live.fetch_add(1, Ordering::Relaxed);
        Some(Box::new(TestRegion {
            bytes: NonNull::new(Box::into_raw(home))?,
            live: self.live.clone(),
            committed: self.committed.clone(),
        }))
    }
}

// SAFETY: the bytes are on the heap and belong to the region alone.
unsafe impl Send for TestRegion {}
// SAFETY: as above; shared references give out the address only.
unsafe impl Sync for TestRegion {}

// SAFETY: the bytes are a heap allocation of the region's own, initialised, until it is dropped.
unsafe impl Region for TestRegion {
    fn base(&self) -> NonNull<u8> {
        self.bytes.cast()
    }

    fn size(&self) -> usize {
        self.bytes.len()
    }

    fn commit(&mut self, bytes: usize) -> bool {
        self.committed.fetch_max(bytes, Ordering::Relaxed);
        true
    }
}

impl Drop for TestRegion {
    fn drop(&mut self) {
        self.live.fetch_sub(1, Ordering::Relaxed);
        // SAFETY: it came from `Box::into_raw`, and nobody uses it after the region.
        drop(unsafe { Box::from_raw(self.bytes.as_ptr()) });
    }
}

/// A machine, and its clock.
pub(crate) fn machine() -> (Machine, Arc<TestClock>) {
    let clock = Arc::new(TestClock {
        now: AtomicU64::new(1_000),
        tick: AtomicU64::new(0),
        timers: Arc::new(TimerQueue::new(|_| {})),
    });
    (Machine { clock: clock.clone(), entropy: Arc::new(TestEntropy), memories: None }, clock)
}

/// A network that is the machine's loopback, on which everything is allowed, and which goes on when the test says so.
pub(crate) struct TestNetwork {
    pub(crate) access: Access,
    run: Pin<Box<dyn Future<Output = Infallible> + Send>>,
    woken: Arc<Flag>,
}

impl TestNetwork {
    pub(crate) fn new(machine: &Machine) -> Self {
        let network = Network::loopback(machine).unwrap();
        let run = Box::pin(network.run());
        Self {
            access: Access::new(network, Policy::everything()),
            run,
            woken: Arc::new(Flag(AtomicBool::new(true))),
        }
    }

    /// Lets it do what it can do now.
    pub(crate) fn settle(&mut self) {
        while self.woken.0.swap(false, Ordering::Relaxed) {
            let waker = self.woken.clone().into();
            let Poll::Pending = self.run.as_mut().poll(&mut Context::from_waker(&waker));
        }
    }
}

/// A program from text.
pub(crate) fn program(wat: &str) -> Program {
    match Program::new(&Engine::new(), &wat::parse_str(wat).unwrap()) {
        Ok(program) => program,
        Err(refusal) => panic!("{refusal}\n{wat}"),
    }
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs futures side by side to their ends, one poll at a time in turn. Where all wait, the clock jumps to the next
/// deadline; where there is none, nobody would ever wake, and the test fails.
pub(crate) fn run_all<T>(clock: &TestClock, futures: Vec<Pin<Box<dyn Future<Output = T> + '_>>>) -> Vec<T> {
    let flags: Vec<_> = futures.iter().map(|_| Arc::new(Flag(AtomicBool::new(true)))).collect();
    let mut futures: Vec<_> = futures.into_iter().map(Some).collect();
    let mut results: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    while futures.iter().any(Option::is_some) {
        let mut polled = false;
        for (index, flag) in flags.iter().enumerate() {
            let Some(future) = &mut futures[index] else { continue };
            if flag.0.swap(false, Ordering::Relaxed) {
                polled = true;
                let waker = flag.clone().into();
                if let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                    results[index] = Some(result);
                    futures[index] = None;
                }
            }
        }
        if !polled {
            let next = clock.timers.next_deadline().expect("all wait, and nobody would wake them");
            clock.now.fetch_max(next, Ordering::Relaxed);
            clock.timers.fire(next);
        }
    }
    results.into_iter().map(Option::unwrap).collect()
}

/// Runs one future to its end.
pub(crate) fn run<T>(clock: &TestClock, future: impl Future<Output = T>) -> T {
    run_all(clock, Vec::from([Box::pin(future) as Pin<Box<dyn Future<Output = T>>>])).pop().unwrap()
}
