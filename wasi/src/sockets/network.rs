//! A machine's network as its programs share it: how it is made, driven and asked.

use super::{
    Device, Loopback,
    device::{Link, Wire},
    notify::{Notify, Woken},
    ports::{Port, Protocol},
    stack::{Next, Stack},
};
use crate::{
    Machine, Result,
    clocks::{Clock, Timer},
    random::Entropy,
    types::Nanoseconds,
};
use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::{
    convert::Infallible,
    future::{Future, poll_fn},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    task::{Context, Poll},
};
use spin::Mutex;

/// A machine's network. Cheap to clone.
#[derive(Clone)]
pub struct Network(Arc<Shared>);

struct Shared {
    stack: Mutex<Stack>,
    woken: Woken,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

/// What a machine's addresses are. By default it asks for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// Those of IPv4.
    pub ipv4: Ipv4,
    /// Those of IPv6.
    pub ipv6: Ipv6,
    /// Whom to ask for the addresses of names, besides what DHCP says.
    pub nameservers: Vec<IpAddr>,
}

/// How a machine comes to its IPv4 address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ipv4 {
    /// It has the loopback's alone.
    None,
    /// It asks (DHCP).
    #[default]
    Dhcp,
    /// It is told.
    Static {
        /// The address.
        address: Ipv4Addr,
        /// How many of its bits are the network's.
        prefix: u8,
        /// The way to other networks.
        gateway: Option<Ipv4Addr>,
    },
}

/// How a machine comes to its IPv6 address. It has one on its link in any case but the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ipv6 {
    /// It has the loopback's alone.
    None,
    /// From what routers say (SLAAC).
    #[default]
    Automatic,
    /// It is told.
    Static {
        /// The address.
        address: Ipv6Addr,
        /// How many of its bits are the network's.
        prefix: u8,
        /// The way to other networks.
        gateway: Option<Ipv6Addr>,
    },
}

impl Network {
    /// The network of a machine with this device. It does nothing until somebody [runs](Self::run) it.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for addresses that no machine can have; what the source of entropy says.
    pub fn new(device: impl Device, configuration: &Configuration, machine: &Machine) -> Result<Self> {
        let mut seed = [0; 8];
        machine.entropy.fill(&mut seed)?;
        let link: Box<dyn Link> = Box::new(Wire::new(device));
        let now = machine.clock.monotonic();
        let stack = Stack::new(link, configuration, u64::from_le_bytes(seed), now)?;
        let woken = stack.woken.clone();
        let (clock, entropy) = (machine.clock.clone(), machine.entropy.clone());
        Ok(Self(Arc::new(Shared { stack: Mutex::new(stack), woken, clock, entropy })))
    }

    /// The network of a machine without a device: it talks to itself alone.
    ///
    /// # Errors
    /// What the source of entropy says.
    pub fn loopback(machine: &Machine) -> Result<Self> {
        let configuration = Configuration { ipv4: Ipv4::None, ipv6: Ipv6::None, nameservers: Vec::new() };
        Self::new(Loopback, &configuration, machine)
    }

    /// Drives the network: takes frames from the device, sends, and keeps the time. One task at a time is to do this, for as long as
    /// the network is to live.
    pub fn run(&self) -> impl Future<Output = Infallible> + Send + use<> {
        let network = self.clone();
        let mut timer = Timer::new(self.0.clock.timers().clone());
        poll_fn(move |task| network.turn(&mut timer, task))
    }

    fn turn(&self, timer: &mut Timer, task: &mut Context<'_>) -> Poll<Infallible> {
        let mut stack = self.0.stack.lock();
        // First, so that nothing that comes meanwhile is missed.
        stack.register(task.waker());
        let next = stack.turn(self.now());
        drop(stack);
        self.0.woken.wake();
        match next {
            Next::More => {
                timer.clear();
                task.waker().wake_by_ref();
            }
            Next::Wait(Some(deadline)) => timer.set(deadline, task.waker().clone()),
            Next::Wait(None) => timer.clear(),
        }
        Poll::Pending
    }

    /// Waits until the machine has its IPv4 address. At once if it does not ask for one.
    pub fn poll_configured(&self, task: &mut Context<'_>) -> Poll<()> {
        self.with(|stack| {
            if stack.awaited {
                stack.configured.wait(task);
                return Poll::Pending;
            }
            Poll::Ready(())
        })
    }

    /// Waits until what programs have sent, and do not hold any more, has been acknowledged: for a machine that ends.
    pub fn poll_sent(&self, task: &mut Context<'_>) -> Poll<()> {
        self.with(|stack| {
            if stack.is_sending() {
                stack.connections.ended.wait(task);
                return Poll::Pending;
            }
            Poll::Ready(())
        })
    }

    /// The machine's addresses, the loopback's last.
    pub fn addresses(&self) -> Vec<IpAddr> {
        self.with(|stack| stack.interface.ip_addrs().iter().map(|address| address.address().into()).collect())
    }

    /// Works on the stack, and wakes who is to be woken then.
    pub(super) fn with<R>(&self, work: impl FnOnce(&mut Stack) -> R) -> R {
        let mut stack = self.0.stack.lock();
        let result = work(&mut stack);
        let driver = stack.kicked();
        drop(stack);
        self.0.woken.wake();
        if let Some(driver) = driver {
            driver.wake();
        }
        result
    }

    pub(super) fn now(&self) -> Nanoseconds {
        self.0.clock.monotonic()
    }

    pub(super) fn notify(&self) -> Arc<Notify> {
        Notify::new(&self.0.woken)
    }

    /// Takes a local address; port 0 stands for any that is free.
    pub(super) fn take_port(&self, protocol: Protocol, local: SocketAddr) -> Result<Port> {
        let mut random = [0; 2];
        self.0.entropy.fill(&mut random)?;
        self.with(|stack| {
            let (connections, family) = (&stack.connections, super::Family::of(local.ip()));
            let busy = |port| protocol == Protocol::Tcp && connections.uses(family, port);
            stack.ports.take(protocol, local, u16::from_le_bytes(random), busy)
        })
    }
}
