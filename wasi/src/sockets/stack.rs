//! The stack under its lock: smoltcp's interface and sockets, and what goes around them at every turn. The sockets that
//! programs see are in [`tcp`](super::tcp) and [`udp`](super::udp).

use super::{
    Configuration, Family, Ipv4, Ipv6,
    connections::Connections,
    datagrams::Datagrams,
    device::Link,
    notify::{Notify, Woken},
    packet::Ends,
    ports::{Ports, Protocol},
    sets::{Handle, Sockets},
    slaac::Slaac,
};
use crate::{Error, Result, types::Nanoseconds};
use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::{mem, net::IpAddr, task::Waker};
use smoltcp::{
    iface::{Config, Interface},
    socket::{dhcpv4, dns},
    time::Instant,
    wire::{IpAddress, IpCidr, Ipv4Address, Ipv4Cidr, Ipv6Address, Ipv6Cidr},
};

/// Frames that are taken from the device in a row, before others have their turn.
const FRAMES: usize = 128;
/// The ports of a DHCP server and of who asks it.
const DHCP: (u16, u16) = (67, 68);
/// Name servers that are asked, of each family: what smoltcp has room for.
const NAMESERVERS: usize = 4;

/// The stack.
pub(super) struct Stack {
    pub(super) interface: Interface,
    pub(super) sockets: Sockets,
    pub(super) connections: Connections,
    pub(super) datagrams: Datagrams,
    pub(super) ports: Ports,
    pub(super) woken: Woken,
    /// Whether an address is still awaited.
    pub(super) awaited: bool,
    /// Who waits for it.
    pub(super) configured: Arc<Notify>,
    /// Who drives the stack; taken when there is something to do.
    driver: Option<Waker>,
    kicked: bool,
    link: Box<dyn Link>,
    dhcp: Option<Handle>,
    slaac: Option<Slaac>,
    /// The resolvers of both families, and whether they have somebody to ask.
    dns: [Handle; 2],
    asked: [bool; 2],
    /// Those that are configured, besides what DHCP says.
    nameservers: Vec<IpAddress>,
}

/// When a turn of the stack is over: what comes next.
pub(super) enum Next {
    /// There is more to do at once.
    More,
    /// Nothing, before the device or a program asks for it, or this time has come.
    Wait(Option<Nanoseconds>),
}

impl Stack {
    /// [`Error::Invalid`] for addresses that no machine can have.
    pub(super) fn new(
        mut link: Box<dyn Link>,
        configuration: &Configuration,
        seed: u64,
        now: Nanoseconds,
    ) -> Result<Self> {
        let address = link.address();
        if !address.is_unicast() {
            return Err(Error::Invalid);
        }
        let mut config = Config::new(address.into());
        config.random_seed = seed;
        let interface = link.interface(config, instant(now));
        let mut sockets = Sockets::new();
        let dns = [(); 2].map(|()| sockets.add(dns::Socket::new(&[], Vec::new())));
        let dhcp = matches!(configuration.ipv4, Ipv4::Dhcp).then(|| sockets.add(dhcpv4::Socket::new()));
        let woken = Woken::default();
        let mut stack = Self {
            interface,
            sockets,
            connections: Connections::new(&woken),
            datagrams: Datagrams::default(),
            ports: Ports::default(),
            awaited: dhcp.is_some(),
            configured: Notify::new(&woken),
            woken,
            driver: None,
            kicked: false,
            link,
            dhcp,
            slaac: matches!(configuration.ipv6, Ipv6::Automatic).then(|| Slaac::new(address, now)),
            dns,
            asked: [false; 2],
            nameservers: configuration.nameservers.iter().copied().map(IpAddress::from).collect(),
        };
        stack.add_address(Ipv4Cidr::new(Ipv4Address::LOCALHOST, 8).into())?;
        stack.add_address(Ipv6Cidr::new(Ipv6Address::LOCALHOST, 128).into())?;
        if let Ipv4::Static { address, prefix, gateway } = configuration.ipv4 {
            stack.add_static(address.into(), prefix, gateway.map(Into::into))?;
        }
        if !matches!(configuration.ipv6, Ipv6::None) {
            let own = Slaac::address(address, Ipv6Address::new(0xfe80, 0, 0, 0, 0, 0, 0, 0));
            stack.add_address(Ipv6Cidr::new(own, 64).into())?;
        }
        if let Ipv6::Static { address, prefix, gateway } = configuration.ipv6 {
            stack.add_static(address.into(), prefix, gateway.map(Into::into))?;
        }
        stack.name_servers(&[]);
        Ok(stack)
    }

    fn add_static(&mut self, address: IpAddr, prefix: u8, gateway: Option<IpAddr>) -> Result<()> {
        let most = if address.is_ipv4() { 32 } else { 128 };
        if prefix > most {
            return Err(Error::Invalid);
        }
        self.add_address(IpCidr::new(address.into(), prefix))?;
        if let Some(gateway) = gateway {
            self.set_gateway(gateway.into())?;
        }
        Ok(())
    }

    /// Gives the machine an address. Before those that it has: the loopback addresses are the last to be a packet's source.
    fn add_address(&mut self, address: IpCidr) -> Result<()> {
        if !address.address().is_unicast() {
            return Err(Error::Invalid);
        }
        let mut added = false;
        self.interface.update_ip_addrs(|addresses| added = addresses.insert(0, address).is_ok());
        if added { Ok(()) } else { Err(Error::NoSpace) }
    }

    fn set_gateway(&mut self, gateway: IpAddress) -> Result<()> {
        // smoltcp takes a router's word for it, and panics when it is to be found.
        if !gateway.is_unicast() {
            return Err(Error::Invalid);
        }
        let routes = self.interface.routes_mut();
        let set = match gateway {
            IpAddress::Ipv4(gateway) => routes.add_default_ipv4_route(gateway),
            IpAddress::Ipv6(gateway) => routes.add_default_ipv6_route(gateway),
        };
        set.map(|_| ()).map_err(|_| Error::NoSpace)
    }

    /// Has these name servers asked, after those that are configured.
    fn name_servers(&mut self, more: &[IpAddress]) {
        for ((family, handle), asked) in
            [Family::Ipv4, Family::Ipv6].into_iter().zip(self.dns).zip(&mut self.asked)
        {
            let servers = self.nameservers.iter().chain(more).copied();
            let servers: Vec<_> = servers.filter(|server| family.is_of(server)).take(NAMESERVERS).collect();
            *asked = !servers.is_empty();
            self.sockets.change::<dns::Socket>(handle).update_servers(&servers);
            self.sockets.sends_to(handle, servers);
        }
    }

    /// The resolver that has somebody to ask.
    pub(super) fn resolver(&self) -> Option<Handle> {
        self.dns.into_iter().zip(self.asked).find_map(|(resolver, asked)| asked.then_some(resolver))
    }

    /// Whether a packet to `address` has somewhere to go.
    pub(super) fn has_route(&self, address: IpAddress) -> bool {
        let routes = self.interface.routes();
        let mut own = self.interface.ip_addrs().iter();
        own.any(|own| own.contains_addr(&address))
            || address == IpAddress::Ipv4(Ipv4Address::BROADCAST)
            || match address {
                IpAddress::Ipv4(_) => routes.get_default_ipv4_route().is_some(),
                IpAddress::Ipv6(_) => routes.get_default_ipv6_route().is_some(),
            }
    }

    /// The address that a packet to `remote` comes from. [`Error::NetworkUnreachable`] if it cannot be sent.
    pub(super) fn source(&self, remote: IpAddr) -> Result<IpAddr> {
        let remote = remote.into();
        let source = self.has_route(remote).then(|| self.interface.get_source_address(&remote)).flatten();
        source.map(IpAddr::from).ok_or(Error::NetworkUnreachable)
    }

    /// Whether what nobody holds any more has still something to send.
    pub(super) fn is_sending(&mut self) -> bool {
        self.datagrams.is_sending() || self.connections.is_sending(&self.sockets)
    }

    /// Has the driver take a turn, when the stack is unlocked.
    pub(super) fn kick(&mut self) {
        self.kicked = true;
    }

    /// Who is to be woken for a turn of the stack.
    pub(super) fn kicked(&mut self) -> Option<Waker> {
        if mem::take(&mut self.kicked) { self.driver.take() } else { None }
    }

    /// The driver is woken with this waker until the next turn, by the device too.
    pub(super) fn register(&mut self, waker: &Waker) {
        self.link.register(waker);
        self.driver = Some(waker.clone());
        self.kicked = false;
    }

    /// A turn: takes what has come, and sends what there is to send, up to a bound.
    pub(super) fn turn(&mut self, now: Nanoseconds) -> Next {
        let next = self.exchange(now);
        self.link.flush();
        next
    }

    fn exchange(&mut self, now: Nanoseconds) -> Next {
        let at = instant(now);
        let mut more = true;
        self.link.take_full();
        self.interface.poll_maintenance(at);
        if let Some(slaac) = &mut self.slaac
            && slaac.turn(&mut *self.link, &mut self.interface, at, now)
        {
            self.sockets.touch_all();
        }
        for _ in 0..FRAMES {
            let Some(packet) = self.link.next(at) else {
                more = false;
                break;
            };
            if let (Some(slaac), Some(said)) = (&mut self.slaac, &packet.advertisement) {
                slaac.hear(said, &mut self.interface, now);
            }
            let asked = match packet.ends {
                Some(ends) if packet.syn => {
                    match self.connections.asked(&mut self.sockets, &ends, &self.woken) {
                        Ok(asked) => asked,
                        Err(_) => {
                            self.link.discard();
                            continue;
                        }
                    }
                }
                _ => None,
            };
            if let Some(sent) = &packet.refused {
                self.datagrams.refused(sent);
            }
            let socket = packet.ends.and_then(|ends| self.whose(&ends));
            let taken = self.sockets.ingress(at, &mut *self.link, &mut self.interface, socket);
            if let Some(asked) = asked {
                self.connections.answered(&mut self.sockets, asked);
            }
            if packet.resolves {
                self.sockets.touch_unresolved();
            }
            if !taken {
                break;
            }
        }
        self.sockets.egress(at, &mut *self.link, &mut self.interface);
        self.configure();
        self.datagrams.settle(&mut self.sockets);
        self.connections.settle(&mut self.sockets, &mut self.ports, now);
        // A device without room says when it has.
        let full = self.link.take_full();
        if (more || self.sockets.is_busy() || self.link.is_looping()) && !full {
            return Next::More;
        }
        let pause = if full { FULL } else { 0 };
        let stack = self.sockets.next(at, &mut self.interface);
        let stack = stack.or(self.sockets.is_busy().then_some(at));
        let stack = stack.map(|due| nanoseconds(due).max(now.saturating_add(pause)));
        let slaac = self.slaac.as_ref().and_then(Slaac::next);
        Next::Wait([stack, slaac, self.connections.next(now)].into_iter().flatten().min())
    }

    /// The socket that a packet is for.
    fn whose(&self, ends: &Ends) -> Option<Handle> {
        let [v4, v6] = self.dns;
        let asks = if matches!(ends.to.addr, IpAddress::Ipv4(_)) { v4 } else { v6 };
        match ends.protocol {
            Protocol::Tcp => self.connections.between(ends),
            Protocol::Udp if (ends.from.port, ends.to.port) == DHCP && self.dhcp.is_some() => self.dhcp,
            Protocol::Udp => self.datagrams.find(ends.to).or(Some(asks)),
        }
    }

    /// Takes what DHCP has found.
    fn configure(&mut self) {
        let Some(dhcp) = self.dhcp else { return };
        let (address, router, servers) = match self.sockets.get_mut::<dhcpv4::Socket>(dhcp).poll() {
            None => return,
            Some(dhcpv4::Event::Configured(config)) => {
                let servers: Vec<_> = config.dns_servers.iter().copied().map(IpAddress::from).collect();
                (Some(config.address), config.router, servers)
            }
            Some(dhcpv4::Event::Deconfigured) => (None, None, Vec::new()),
        };
        self.interface.update_ip_addrs(|addresses| {
            addresses.retain(|address| match address {
                IpCidr::Ipv4(address) => address.address().is_loopback(),
                IpCidr::Ipv6(_) => true,
            });
        });
        self.interface.routes_mut().remove_default_ipv4_route();
        if let Some(address) = address {
            let added = self.add_address(address.into());
            let routed = router.map_or(Ok(()), |router| self.set_gateway(router.into()));
            log::debug!(
                "DHCP: {address}, router {router:?}, name servers {servers:?}{}",
                if added.and(routed).is_err() { " (not all taken)" } else { "" }
            );
            self.awaited = false;
            self.configured.notify();
        }
        self.name_servers(&servers);
        // Connections from an address that was ours are over.
        self.sockets.touch_all();
    }
}

/// A pause for what is due and finds no room in the device: that is told when there is room, but what else is due comes to pass, such as the
/// end of a connection in time.
const FULL: Nanoseconds = 100_000_000;

/// smoltcp's time.
pub(super) fn instant(now: Nanoseconds) -> Instant {
    Instant::from_micros(i64::try_from(now / 1_000).unwrap_or(i64::MAX))
}

/// Ours.
fn nanoseconds(at: Instant) -> Nanoseconds {
    u64::try_from(at.total_micros()).unwrap_or(0).saturating_mul(1_000)
}
