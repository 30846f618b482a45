//! Sockets on one machine's loopback, and between machines whose cable loses, damages and reorders.

mod cable;
mod loopback;
mod machines;
mod routers;

use super::*;
use crate::{
    Error, Machine, Result,
    clocks::{Clock, Timer, TimerQueue},
    hosted::SystemEntropy,
    types::Nanoseconds,
};
use alloc::{boxed::Box, sync::Arc, task::Wake, vec::Vec};
use core::{
    future::{Future, poll_fn},
    net::SocketAddr,
    pin::pin,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    task::{Context, Poll, Waker},
};

/// A clock that stands still while somebody can go on, and then goes on to when the next one can: what takes minutes takes no time,
/// and is the same every time.
struct VirtualClock {
    now: AtomicU64,
    timers: Arc<TimerQueue>,
}

std::thread_local! {
    /// Every test's own.
    static CLOCK: Arc<VirtualClock> =
        Arc::new(VirtualClock { now: AtomicU64::new(1), timers: Arc::new(TimerQueue::new(|_| ())) });
}

impl Clock for VirtualClock {
    fn monotonic(&self) -> Nanoseconds {
        self.now.load(Ordering::Relaxed)
    }

    fn monotonic_resolution(&self) -> Nanoseconds {
        1
    }

    fn wall(&self) -> Result<Nanoseconds> {
        Err(Error::NoDevice)
    }

    fn wall_resolution(&self) -> Nanoseconds {
        1
    }

    fn timers(&self) -> &Arc<TimerQueue> {
        &self.timers
    }
}

fn machine() -> Machine {
    let clock = CLOCK.with(Clone::clone);
    Machine { clock, entropy: Arc::new(SystemEntropy), memories: None }
}

/// A machine that talks to itself alone.
fn alone() -> Network {
    Network::loopback(&machine()).unwrap()
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `test` to its end, and the networks meanwhile.
fn run<T>(networks: &[&Network], test: impl Future<Output = T>) -> T {
    let clock = CLOCK.with(Clone::clone);
    let mut drivers: Vec<_> = networks.iter().map(|network| Box::pin(network.run())).collect();
    let mut test = pin!(test);
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let task = &mut Context::from_waker(&waker);
    loop {
        for driver in &mut drivers {
            assert!(driver.as_mut().poll(task).is_pending());
        }
        if let Poll::Ready(result) = test.as_mut().poll(task) {
            return result;
        }
        if !woken.0.swap(false, Ordering::Relaxed) {
            let next = clock.timers.next_deadline().expect("somebody waits for what never comes");
            clock.now.fetch_max(next, Ordering::Relaxed);
            clock.timers.fire(next);
        }
    }
}

async fn read(socket: &TcpSocket, most: usize) -> Result<Vec<u8>> {
    use crate::io::InputStream;
    let mut buffer = alloc::vec![0; most];
    let count = poll_fn(|task| socket.poll_read(task, &mut buffer)).await?;
    buffer.truncate(count);
    Ok(buffer)
}

async fn read_all(socket: &TcpSocket) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let piece = read(socket, 8192).await?;
        if piece.is_empty() {
            return Ok(all);
        }
        all.extend(piece);
    }
}

async fn write_all(socket: &TcpSocket, mut bytes: &[u8]) -> Result<()> {
    use crate::io::OutputStream;
    while !bytes.is_empty() {
        let count = poll_fn(|task| socket.poll_write(task, bytes)).await?;
        bytes = &bytes[count..];
    }
    Ok(())
}

async fn connect(access: &Access, to: SocketAddr) -> Result<TcpSocket> {
    let socket = access.tcp(Family::of(to.ip()))?;
    socket.connect(to)?;
    poll_fn(|task| socket.poll_connected(task)).await?;
    Ok(socket)
}

fn listen(access: &Access, at: SocketAddr) -> Result<TcpSocket> {
    let socket = access.tcp(Family::of(at.ip()))?;
    socket.bind(at)?;
    socket.listen()?;
    Ok(socket)
}

async fn accept(socket: &TcpSocket) -> Result<TcpSocket> {
    poll_fn(|task| socket.poll_accept(task)).await
}

/// Lets time pass, in seconds.
async fn pass(seconds: u64) {
    let clock = CLOCK.with(Clone::clone);
    let end = clock.monotonic() + seconds * 1_000_000_000;
    let mut timer = Timer::new(clock.timers().clone());
    poll_fn(|task| {
        if clock.monotonic() >= end {
            return Poll::Ready(());
        }
        timer.set(end, task.waker().clone());
        Poll::Pending
    })
    .await;
}

/// Polls once.
fn poll_once<T>(poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
    poll(&mut Context::from_waker(Waker::noop()))
}

/// Both, side by side.
async fn join<A, B>(one: impl Future<Output = A>, two: impl Future<Output = B>) -> (A, B) {
    let (mut one, mut two) = (pin!(one), pin!(two));
    let (mut first, mut second) = (None, None);
    poll_fn(|task| {
        if first.is_none()
            && let Poll::Ready(value) = one.as_mut().poll(task)
        {
            first = Some(value);
        }
        if second.is_none()
            && let Poll::Ready(value) = two.as_mut().poll(task)
        {
            second = Some(value);
        }
        if first.is_some() && second.is_some() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    (first.unwrap(), second.unwrap())
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Bytes that are not alike anywhere.
fn pattern(len: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    (0..len).map(|_| byte()).collect()
}
