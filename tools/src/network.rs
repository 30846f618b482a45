//! The network: how its options are written, and what they are to the kernel and to QEMU's user networking.

use std::fs;
use std::net::{AddrParseError, Ipv4Addr, SocketAddrV4, TcpListener};
use std::num::ParseIntError;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueHint};
use manifest::Address;
use wasi::sockets::Destination;

use crate::error::Error;

/// What a program's network is to be.
#[derive(Args)]
pub struct NetworkOptions {
    /// The options of which any gives a network.
    #[command(flatten)]
    pub opened: Opened,
    /// The machine's address on its network, and the way out [default: by DHCP]
    ///
    /// QEMU's user networking serves that network; the default gateway is its second address, the name server its third.
    #[arg(long, value_name = "ADDRESS/PREFIX[,GATEWAY]", requires = "Opened")]
    pub ip: Option<StaticAddress>,
    /// Believe the authorities in this file (PEM) too, besides those that Mozilla trusts, for https (repeatable)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub ca: Vec<PathBuf>,
}

/// The options of which any gives a network.
#[derive(Args)]
pub struct Opened {
    /// Let the program connect to wherever this computer can
    #[arg(long)]
    pub net: bool,
    /// Let the program connect to this, and to nothing that is not allowed (repeatable)
    ///
    /// HOST is a name (`*.example.org`: all below it), an address, or a network (`10.0.0.0/8:443`), IPv6 in brackets. PORT
    /// may be `*`.
    #[arg(long, value_name = "HOST:PORT", value_parser = destination)]
    pub allow: Vec<String>,
    /// Forward a TCP port of this computer to the program (repeatable)
    ///
    /// HOST is an IPv4 address of this computer [default: 127.0.0.1]. The program listens on GUESTPORT [default: PORT]; one for preview 1 is
    /// given the listening sockets, from descriptor 3 on.
    #[arg(long, value_name = "[HOST:]PORT[:GUESTPORT]")]
    pub listen: Vec<Listen>,
}

/// The value of `--allow`, which the kernel reads once more.
fn destination(value: &str) -> Result<String, <Destination as FromStr>::Err> {
    value.parse::<Destination>().map(|_| value.to_owned())
}

/// The value of `--listen`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// On this computer.
    pub host: SocketAddrV4,
    /// In the machine.
    pub guest_port: u16,
}

/// Why a value of `--listen` is refused.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Too many colons.
    #[error("it is not [HOST:]PORT[:GUESTPORT]")]
    Form,
    /// No address.
    #[error("`{0}` is not an IPv4 address")]
    Host(String, #[source] AddrParseError),
    /// No port.
    #[error("`{0}` is not a port (1 to 65535)")]
    Port(String),
}

impl FromStr for Listen {
    type Err = ListenError;

    fn from_str(value: &str) -> Result<Self, ListenError> {
        let parts: Vec<_> = value.split(':').collect();
        // Ports have no dots.
        let (host, port, guest) = match parts[..] {
            [port] => (None, port, port),
            [host, port] if host.contains('.') => (Some(host), port, port),
            [port, guest] => (None, port, guest),
            [host, port, guest] => (Some(host), port, guest),
            _ => return Err(ListenError::Form),
        };
        let address = match host {
            Some(host) => host.parse().map_err(|error| ListenError::Host(host.into(), error))?,
            None => Ipv4Addr::LOCALHOST,
        };
        let number = |text: &str| {
            text.parse().ok().filter(|&port| port != 0).ok_or_else(|| ListenError::Port(text.into()))
        };
        Ok(Self { host: SocketAddrV4::new(address, number(port)?), guest_port: number(guest)? })
    }
}

/// The value of `--ip`, and what follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaticAddress {
    /// The machine's.
    pub address: Ipv4Addr,
    /// How many of its leading bits the whole network has.
    pub prefix: u8,
    /// The way out.
    pub gateway: Ipv4Addr,
    /// Where QEMU answers questions about names.
    pub nameserver: Ipv4Addr,
}

/// Why a value of `--ip` is refused.
#[derive(Debug, thiserror::Error)]
pub enum StaticAddressError {
    /// No slash.
    #[error("it is not ADDRESS/PREFIX[,GATEWAY]")]
    Form,
    /// No address.
    #[error("`{0}` is not an IPv4 address")]
    Address(String, #[source] AddrParseError),
    /// No number.
    #[error("`{0}` is not the length of a prefix")]
    Number(String, #[source] ParseIntError),
    /// A number, but of no network that can be.
    #[error("a network has a prefix of 4 to 29 bits")]
    Prefix,
    /// Another network's, or one that no machine can have.
    #[error("{0} is not the address of a machine in this network")]
    Outside(Ipv4Addr),
    /// Two machines cannot have the same.
    #[error("the machine and its gateway cannot have the same address")]
    Same,
}

impl FromStr for StaticAddress {
    type Err = StaticAddressError;

    fn from_str(value: &str) -> Result<Self, StaticAddressError> {
        let parse =
            |text: &str| text.parse().map_err(|error| StaticAddressError::Address(text.into(), error));
        let (own, gateway) = match value.split_once(',') {
            Some((own, gateway)) => (own, Some(parse(gateway)?)),
            None => (value, None),
        };
        let (address, prefix) = own.split_once('/').ok_or(StaticAddressError::Form)?;
        let address = parse(address)?;
        let prefix: u8 = prefix.parse().map_err(|error| StaticAddressError::Number(prefix.into(), error))?;
        // What QEMU takes, with room for the machine, its gateway and its name server.
        if !(4..=29).contains(&prefix) {
            return Err(StaticAddressError::Prefix);
        }
        let host_bits = !0 >> prefix;
        let network = u32::from(address) & !host_bits;
        // QEMU's own choice, and the next that are free.
        let nth = |number| Ipv4Addr::from(network | number);
        let free = |taken: &[Ipv4Addr]| (2..).map(nth).find(|address| !taken.contains(address));
        let gateway = gateway.or_else(|| free(&[address])).unwrap_or(address);
        let nameserver = free(&[nth(2), address, gateway]).unwrap_or(gateway);
        for given in [address, gateway] {
            let own_bits = u32::from(given) & host_bits;
            if u32::from(given) & !host_bits != network || own_bits == 0 || own_bits == host_bits {
                return Err(StaticAddressError::Outside(given));
            }
        }
        if address == gateway {
            return Err(StaticAddressError::Same);
        }
        Ok(Self { address, prefix, gateway, nameserver })
    }
}

/// A network of QEMU's, with this computer as its gateway.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct UserNetwork {
    /// Whether the machine reaches anything but what is forwarded to it.
    pub outgoing: bool,
    /// The network, if it is not QEMU's usual one.
    pub address: Option<StaticAddress>,
    /// What is forwarded to the machine.
    pub forwarded: Vec<Listen>,
}

impl NetworkOptions {
    /// Listens where servers do, unless it is said where.
    pub fn listen_by_default(&mut self) {
        if self.opened.listen.is_empty() {
            let host = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 8080);
            self.opened.listen.push(Listen { host, guest_port: 80 });
        }
    }

    /// Where this computer listens, for a person.
    pub fn addresses(&self) -> String {
        let urls: Vec<_> =
            self.opened.listen.iter().map(|listen| format!("http://{}/", listen.host)).collect();
        format!("serving {}", urls.join(" and "))
    }

    /// What the kernel is told; `None` if there is no network. A machine that is to `download` the program has one in any case.
    ///
    /// # Errors
    ///
    /// A file with authorities cannot be read.
    pub fn manifest(&self, download: bool) -> Result<Option<manifest::Network>, Error> {
        let Opened { net, allow, listen } = &self.opened;
        if !download && !self.is_outgoing() && listen.is_empty() {
            return Ok(None);
        }
        let address = match self.ip {
            None => Address::Dhcp,
            Some(StaticAddress { address, prefix, gateway, nameserver }) => {
                Address::Static { address, prefix, gateway: Some(gateway), nameservers: vec![nameserver] }
            }
        };
        let read = |path: &PathBuf| {
            let text = fs::read_to_string(path);
            // Each begins on a line of its own.
            text.map(|text| text + "\n").map_err(|cause| Error::File {
                action: "read the authorities in",
                path: path.clone(),
                cause,
            })
        };
        Ok(Some(manifest::Network {
            address,
            connect: (!net || !allow.is_empty()).then(|| allow.clone()),
            listen: listen.iter().map(|listen| listen.guest_port).collect(),
            authorities: self.ca.iter().map(read).collect::<Result<_, _>>()?,
        }))
    }

    /// What QEMU is told; `None` if there is no network.
    pub fn user_network(&self, download: bool) -> Option<UserNetwork> {
        let outgoing = download || self.is_outgoing();
        let forwarded = self.opened.listen.clone();
        (outgoing || !forwarded.is_empty()).then_some(UserNetwork { outgoing, address: self.ip, forwarded })
    }

    fn is_outgoing(&self) -> bool {
        self.opened.net || !self.opened.allow.is_empty()
    }
}

impl UserNetwork {
    /// Whether QEMU will be able to listen.
    ///
    /// # Errors
    ///
    /// A port is taken, or not ours to take.
    pub fn check(&self) -> Result<(), Error> {
        // All at a time, so that one that is named twice is found too.
        let listening = |listen: &Listen| {
            TcpListener::bind(listen.host).map_err(|cause| Error::Listen { address: listen.host, cause })
        };
        self.forwarded.iter().map(listening).collect::<Result<Vec<_>, _>>().map(drop)
    }

    /// The value of QEMU's option `-netdev`, for the backend `id`.
    pub fn netdev(&self, id: &str) -> String {
        let mut text = format!("user,id={id},restrict={}", if self.outgoing { "off" } else { "on" });
        let mut guest = String::new();
        if let Some(StaticAddress { address, prefix, gateway, nameserver }) = self.address {
            text += &format!(",net={address}/{prefix},host={gateway},dns={nameserver},dhcpstart={address}");
            guest = address.to_string();
        }
        for Listen { host, guest_port } in &self.forwarded {
            text += &format!(",hostfwd=tcp:{host}-{guest}:{guest_port}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(value: &str) -> Listen {
        value.parse().unwrap_or_else(|error| panic!("{value}: {error}"))
    }

    #[test]
    fn a_port_is_this_computers_own_unless_it_is_said() {
        for (value, host, guest_port) in [
            ("80", "127.0.0.1:80", 80),
            ("8080:80", "127.0.0.1:8080", 80),
            ("0.0.0.0:80", "0.0.0.0:80", 80),
            ("192.168.1.2:65535:1", "192.168.1.2:65535", 1),
        ] {
            assert_eq!(listen(value), Listen { host: host.parse().unwrap(), guest_port }, "{value}");
        }
        for (value, message) in [
            ("", "`` is not a port"),
            ("0", "`0` is not a port"),
            ("65536", "not a port"),
            ("1.2.3:80", "`1.2.3` is not an IPv4 address"),
            ("localhost:80:80", "`localhost` is not an IPv4 address"),
            ("80:", "not a port"),
            ("1:2:3:4", "it is not [HOST:]PORT[:GUESTPORT]"),
            ("[::1]:80", "it is not"),
        ] {
            let error = value.parse::<Listen>().unwrap_err().to_string();
            assert!(error.contains(message), "{value}: {error}");
        }
    }

    #[test]
    fn an_address_has_a_network_with_a_gateway_and_a_name_server() {
        for (value, gateway, nameserver) in [
            ("10.1.2.3/24", "10.1.2.2", "10.1.2.4"),
            ("10.1.2.3/8", "10.0.0.2", "10.0.0.3"),
            ("10.0.0.2/24", "10.0.0.3", "10.0.0.4"),
            ("192.168.7.5/24,192.168.7.1", "192.168.7.1", "192.168.7.3"),
            ("192.168.7.1/29,192.168.7.3", "192.168.7.3", "192.168.7.4"),
        ] {
            let parsed: StaticAddress = value.parse().unwrap_or_else(|error| panic!("{value}: {error}"));
            assert_eq!(parsed.gateway.to_string(), gateway, "{value}");
            assert_eq!(parsed.nameserver.to_string(), nameserver, "{value}");
        }
        for (value, message) in [
            ("10.0.2.15", "it is not ADDRESS/PREFIX[,GATEWAY]"),
            ("10.0.2/24", "`10.0.2` is not an IPv4 address"),
            ("10.0.2.15/x", "`x` is not the length of a prefix"),
            ("10.0.2.15/30", "4 to 29"),
            ("10.0.2.15/0", "4 to 29"),
            ("10.0.2.0/24", "10.0.2.0 is not the address of a machine"),
            ("10.0.2.255/24", "10.0.2.255 is not the address of a machine"),
            ("10.0.2.15/24,10.0.3.1", "10.0.3.1 is not"),
            ("10.0.2.15/24,10.0.2.15", "the same address"),
            ("10.0.2.15/24,", "`` is not an IPv4 address"),
        ] {
            let error = value.parse::<StaticAddress>().unwrap_err().to_string();
            assert!(error.contains(message), "{value}: {error}");
        }
    }

    fn options(net: bool, allow: &[&str], listen_on: &[&str], ip: Option<&str>) -> NetworkOptions {
        NetworkOptions {
            opened: Opened {
                net,
                allow: allow.iter().map(|rule| (*rule).into()).collect(),
                listen: listen_on.iter().map(|value| listen(value)).collect(),
            },
            ip: ip.map(|ip| ip.parse().unwrap()),
            ca: vec![],
        }
    }

    #[test]
    fn what_was_not_asked_for_is_closed() {
        let closed = options(false, &[], &[], None);
        assert_eq!((closed.manifest(false).unwrap(), closed.user_network(false)), (None, None));

        // A server reaches nobody.
        let server = options(false, &[], &["8080:80"], None);
        let network = server.manifest(false).unwrap().unwrap();
        assert_eq!((network.connect, network.listen), (Some(vec![]), vec![80]));
        let line = server.user_network(false).unwrap().netdev("n");
        assert_eq!(line, "user,id=n,restrict=on,hostfwd=tcp:127.0.0.1:8080-:80");

        let all = options(true, &[], &[], None);
        let network = all.manifest(false).unwrap().unwrap();
        assert_eq!((network.connect, network.listen, network.address), (None, vec![], Address::Dhcp));
        assert_eq!(all.user_network(false).unwrap().netdev("n"), "user,id=n,restrict=off");

        // A program that is downloaded reaches nobody for that.
        let network = closed.manifest(true).unwrap().unwrap();
        assert_eq!((network.connect, network.listen), (Some(vec![]), vec![]));
        assert_eq!(closed.user_network(true).unwrap().netdev("n"), "user,id=n,restrict=off");

        for net in [false, true] {
            let narrow = options(net, &["a.example:443"], &[], None);
            assert_eq!(narrow.manifest(false).unwrap().unwrap().connect, Some(vec!["a.example:443".into()]));
            assert!(narrow.user_network(false).unwrap().outgoing);
        }
    }

    #[test]
    fn a_server_listens_where_it_is_said_or_at_8080() {
        let mut server = options(false, &[], &[], None);
        server.listen_by_default();
        assert_eq!(server.addresses(), "serving http://127.0.0.1:8080/");
        assert_eq!(server.manifest(false).unwrap().unwrap().listen, [80]);
        let mut server = options(false, &[], &["0.0.0.0:81", "82:83"], None);
        server.listen_by_default();
        assert_eq!(server.addresses(), "serving http://0.0.0.0:81/ and http://127.0.0.1:82/");
        assert_eq!(server.manifest(false).unwrap().unwrap().listen, [81, 83]);
    }

    #[test]
    fn the_kernel_and_qemu_know_the_same_addresses() {
        let options = options(true, &[], &["80"], Some("10.9.0.5/16,10.9.0.1"));
        assert_eq!(
            options.user_network(false).unwrap().netdev("n"),
            "user,id=n,restrict=off,net=10.9.0.5/16,host=10.9.0.1,dns=10.9.0.3,dhcpstart=10.9.0.5,\
             hostfwd=tcp:127.0.0.1:80-10.9.0.5:80"
        );
        let Address::Static { address, prefix, gateway, nameservers } =
            options.manifest(false).unwrap().unwrap().address
        else {
            panic!("not static");
        };
        assert_eq!((address, prefix), ([10, 9, 0, 5].into(), 16));
        assert_eq!(gateway, Some([10, 9, 0, 1].into()));
        assert_eq!(nameservers, [Ipv4Addr::new(10, 9, 0, 3)]);
    }

    #[test]
    fn authorities_are_read_from_their_files() {
        let dir = tempfile::tempdir().unwrap();
        let ca = ["a", "b"].map(|name| dir.path().join(name));
        ca.iter().for_each(|path| fs::write(path, path.file_name().unwrap().as_encoded_bytes()).unwrap());
        let mut options = NetworkOptions { ca: ca.into(), ..options(true, &[], &[], None) };
        assert_eq!(options.manifest(false).unwrap().unwrap().authorities, "a\nb\n");
        options.ca.push(dir.path().join("c"));
        let error = options.manifest(false).unwrap_err().to_string();
        assert!(error.contains("/c`: No such file"), "{error}");
    }

    #[test]
    fn a_port_that_is_taken_is_named() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let error = options(false, &[], &[&address], None).user_network(false).unwrap().check().unwrap_err();
        assert!(error.to_string().contains(&address), "{error}");
        assert!(options(true, &[], &[], None).user_network(false).unwrap().check().is_ok());
    }
}
