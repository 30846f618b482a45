//! Sockets on one machine's loopback, and between machines whose cable loses, damages and reorders.

mod cable;
mod loopback;
mod machines;
mod routers;

use super::*;
use crate::{
    Error, Machine, Result,
    clocks::{Clock, Timer},
    testing::{self, TestClock},
};
use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::{
    future::{Future, poll_fn},
    net::SocketAddr,
    pin::pin,
    task::{Context, Poll, Waker},
};

std::thread_local! {
    /// Every test's own. The clock stands still while somebody can go on, and then goes on to when the next one can: what takes minutes takes
    /// no time, and is the same every time.
    static MACHINE: (Machine, Arc<TestClock>) = testing::machine();
}

fn machine() -> Machine {
    MACHINE.with(|(machine, _)| machine.clone())
}

fn clock() -> Arc<TestClock> {
    MACHINE.with(|(_, clock)| clock.clone())
}

/// A machine that talks to itself alone.
fn alone() -> Network {
    Network::loopback(&machine()).unwrap()
}

/// Runs `test` to its end, and the networks meanwhile.
fn run<T>(networks: &[&Network], test: impl Future<Output = T>) -> T {
    let mut drivers: Vec<_> = networks.iter().map(|network| Box::pin(network.run())).collect();
    let mut test = pin!(test);
    let both = poll_fn(|task| {
        for driver in &mut drivers {
            assert!(driver.as_mut().poll(task).is_pending());
        }
        test.as_mut().poll(task)
    });
    testing::run(&clock(), both)
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
    let clock = clock();
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
