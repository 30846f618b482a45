//! What a program may do on the network. What is refused is logged (target `audit`), with who was to be reached.

use super::{
    Family, Lookup, Network, TcpSocket, UdpSocket,
    ports::{Port, Protocol},
};
use crate::{Error, Result};
use alloc::{
    collections::VecDeque,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::{
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    str::FromStr,
};
use smoltcp::wire::IpCidr;
use spin::Mutex;

/// What is allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Allowed<T> {
    /// Nothing.
    #[default]
    Nothing,
    /// All there is.
    Everything,
    /// These alone.
    These(Vec<T>),
}

/// What a program may do. By default nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Whom it may connect to, send datagrams to, and ask the addresses of.
    pub connect: Allowed<Destination>,
    /// The ports that it may take. A port that it does not choose itself it may always have.
    pub listen: Allowed<u16>,
}

impl Policy {
    /// All there is to do.
    pub fn everything() -> Self {
        Self { connect: Allowed::Everything, listen: Allowed::Everything }
    }
}

/// Somebody to connect to: written `HOST:PORT`, where `HOST` is a name (`*.example.org` for all below `example.org`), an address, a network
/// (`10.0.0.0/8`) or `*`, IPv6 in brackets (`[fd00::/8]`), and `PORT` a number or `*`. Without `:PORT` it is any port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Who.
    pub host: Host,
    /// At which port; `None` for any.
    pub port: Option<u16>,
}

/// The host of a [`Destination`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// Anyone.
    Any,
    /// The host of a name: the addresses that the program has learned for it. `*.` before it stands for all below it.
    Name(String),
    /// All addresses with this beginning.
    Network {
        /// The beginning.
        address: IpAddr,
        /// Its length in bits.
        prefix: u8,
    },
}

/// Why a [`Destination`] cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DestinationError {
    /// The host is neither a name nor an address.
    Host,
    /// The port is no number from 1 to 65535.
    Port,
    /// The length of a network is more than its address has bits.
    Prefix,
}

impl fmt::Display for DestinationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "the host is to be a name, an address, a network (10.0.0.0/8, [fd00::/8]) or *",
            Self::Port => "the port is to be a number from 1 to 65535 or *",
            Self::Prefix => "the length of the network is more than the address has bits",
        })
    }
}

impl core::error::Error for DestinationError {}

impl FromStr for Destination {
    type Err = DestinationError;

    fn from_str(text: &str) -> core::result::Result<Self, DestinationError> {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port),
            _ => (text, "*"),
        };
        let port = match port {
            "*" => None,
            number => Some(number.parse().ok().filter(|&port| port != 0).ok_or(DestinationError::Port)?),
        };
        Ok(Self { host: host.parse()?, port })
    }
}

impl FromStr for Host {
    type Err = DestinationError;

    fn from_str(text: &str) -> core::result::Result<Self, DestinationError> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let bracketed = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        let (address, prefix) = match bracketed.unwrap_or(text).split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (bracketed.unwrap_or(text), None),
        };
        let address = match bracketed {
            Some(_) => address.parse().map(IpAddr::V6).map_err(|_| DestinationError::Host).map(Some)?,
            None => address.parse().ok().map(IpAddr::V4),
        };
        let Some(address) = address else {
            let name = text.strip_prefix("*.").unwrap_or(text);
            let valid = prefix.is_none() && super::lookup::is_name(name);
            return if valid {
                Ok(Self::Name(text.to_ascii_lowercase()))
            } else {
                Err(DestinationError::Host)
            };
        };
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => most,
            Some(prefix) => {
                prefix.parse().ok().filter(|&prefix| prefix <= most).ok_or(DestinationError::Prefix)?
            }
        };
        Ok(Self::Network { address, prefix })
    }
}

impl Host {
    /// Whether it is the host, or one of the hosts, of a name.
    fn is_named(&self, name: &str) -> bool {
        let name = name.strip_suffix('.').unwrap_or(name);
        match self {
            Self::Any => true,
            Self::Name(own) => match own.strip_prefix('*') {
                Some(domain) => {
                    let host = name.len().checked_sub(domain.len()).filter(|&host| host > 0);
                    host.and_then(|host| name.get(host..)).is_some_and(|end| end.eq_ignore_ascii_case(domain))
                }
                None => own.eq_ignore_ascii_case(name),
            },
            Self::Network { .. } => false,
        }
    }
}

/// A program's access to the network. Cheap to clone.
#[derive(Clone)]
pub struct Access(Arc<Inner>);

struct Inner {
    network: Network,
    policy: Policy,
    /// What the program has learned of the names that it may ask for, the oldest first.
    learned: Mutex<VecDeque<(IpAddr, String)>>,
}

/// Addresses of names that are remembered.
const LEARNED_MAX: usize = 1024;

impl Access {
    /// Access to a network, as far as a policy goes.
    pub fn new(network: Network, policy: Policy) -> Self {
        Self(Arc::new(Inner { network, policy, learned: Mutex::default() }))
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.0.network
    }

    /// A new TCP socket.
    ///
    /// # Errors
    /// None at present; [`Error::NoMemory`] is to be expected.
    pub fn tcp(&self, family: Family) -> Result<TcpSocket> {
        Ok(TcpSocket::new(self.clone(), family))
    }

    /// A new UDP socket.
    ///
    /// # Errors
    /// As for [`tcp`](Self::tcp).
    pub fn udp(&self, family: Family) -> Result<UdpSocket> {
        Ok(UdpSocket::new(self.clone(), family))
    }

    /// Asks for the addresses of a name; an address is its own.
    ///
    /// # Errors
    /// - [`Error::Invalid`] for what is neither.
    /// - [`Error::Access`] if the policy does not allow it.
    pub fn resolve(&self, name: &str) -> Result<Lookup> {
        Lookup::new(self.clone(), name)
    }

    /// Whether the policy lets the program ask for a name.
    pub(super) fn check_name(&self, name: &str) -> Result<()> {
        let allowed = match &self.0.policy.connect {
            Allowed::Nothing => false,
            Allowed::Everything => true,
            Allowed::These(these) => these.iter().any(|destination| destination.host.is_named(name)),
        };
        if allowed {
            return Ok(());
        }
        log::warn!(target: "audit", "refused: the name {name:?} is not among what the program may connect to");
        Err(Error::Access)
    }

    /// Remembers what a name stands for, where the policy asks for it by its name.
    pub(super) fn learn(&self, name: &str, addresses: &[IpAddr]) {
        if !matches!(self.0.policy.connect, Allowed::These(_)) {
            return;
        }
        let mut learned = self.0.learned.lock();
        for &address in addresses {
            if learned.iter().any(|(known, of)| *known == address && of == name) {
                continue;
            }
            if learned.len() >= LEARNED_MAX {
                learned.pop_front();
            }
            learned.push_back((address, name.to_string()));
        }
    }

    /// Whether something may be sent to an address, and can be.
    ///
    /// # Errors
    /// - [`Error::AddressFamily`] for another family's; [`Error::Invalid`] for what is no one's.
    /// - [`Error::Access`] if the policy does not allow it.
    pub(super) fn check_connect(&self, family: Family, remote: SocketAddr) -> Result<()> {
        check_family(family, remote.ip())?;
        if remote.port() == 0 || remote.ip().is_unspecified() {
            return Err(Error::Invalid);
        }
        let of = |destination: &Destination| {
            destination.port.is_none_or(|port| port == remote.port())
                && match &destination.host {
                    Host::Any => true,
                    Host::Network { address, prefix } => {
                        Family::of(*address) == family
                            && IpCidr::new((*address).into(), *prefix).contains_addr(&remote.ip().into())
                    }
                    host @ Host::Name(_) => {
                        let learned = self.0.learned.lock();
                        learned.iter().any(|(address, name)| *address == remote.ip() && host.is_named(name))
                    }
                }
        };
        let allowed = match &self.0.policy.connect {
            Allowed::Nothing => false,
            Allowed::Everything => true,
            Allowed::These(these) => these.iter().any(of),
        };
        if allowed {
            return Ok(());
        }
        log::warn!(target: "audit", "refused: {remote} is not among what the program may connect to");
        Err(Error::Access)
    }

    /// Takes a local address for a program.
    ///
    /// # Errors
    /// As for [`TcpSocket::bind`].
    pub(super) fn bind(&self, protocol: Protocol, family: Family, local: SocketAddr) -> Result<Port> {
        check_family(family, local.ip())?;
        if is_for_many(local.ip()) {
            return Err(Error::Invalid);
        }
        let port = local.port();
        let allowed = match &self.0.policy.listen {
            _ if port == 0 => true,
            Allowed::Nothing => false,
            Allowed::Everything => true,
            Allowed::These(these) => these.contains(&port),
        };
        if !allowed {
            log::warn!(target: "audit", "refused: port {port} is not among those that the program may take");
            return Err(Error::Access);
        }
        let ours = local.ip().is_unspecified() || self.network().addresses().contains(&local.ip());
        if !ours {
            return Err(Error::AddressNotAvailable);
        }
        self.network().take_port(protocol, local)
    }
}

/// [`Error::AddressFamily`], or [`Error::Invalid`] for an IPv4 address in IPv6's clothes.
fn check_family(family: Family, address: IpAddr) -> Result<()> {
    if Family::of(address) != family {
        return Err(Error::AddressFamily);
    }
    match address {
        IpAddr::V6(address) if is_mapped(address) => Err(Error::Invalid),
        _ => Ok(()),
    }
}

fn is_mapped(address: Ipv6Addr) -> bool {
    address.to_ipv4_mapped().is_some()
}

/// Whether an address is that of many hosts.
pub(super) fn is_for_many(address: IpAddr) -> bool {
    address.is_multicast() || matches!(address, IpAddr::V4(address) if address.is_broadcast())
}
