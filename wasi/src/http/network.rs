//! Connections for requests over a [network](crate::sockets): names are asked for, addresses tried one after the other, and TLS
//! is agreed on for `https`.

use super::{Authority, Connect, Connector, Error, Scheme, Transport};
use crate::sockets::{Access, Family, Lookup, TcpSocket};
use alloc::{
    boxed::Box,
    string::{String, ToString},
    sync::Arc,
    vec,
};
use core::{
    net::{IpAddr, SocketAddr},
    task::{Context, Poll, ready},
};

/// Agrees on TLS.
pub trait Secure: Send + Sync {
    /// A connection to `host`, a name or an address, over another one. It is there when the host has shown who it is.
    ///
    /// # Errors
    /// Why there will be none.
    fn secure(&self, host: &str, transport: Transport) -> Result<Box<dyn Connect>, Error>;
}

/// Connects over a network, as far as a program's access to it goes. Cheap to clone.
#[derive(Clone)]
pub struct NetworkConnector {
    access: Access,
    tls: Option<Arc<dyn Secure>>,
}

impl NetworkConnector {
    /// Connections with this access: for `http`, and with `tls` for `https`.
    pub fn new(access: Access, tls: Option<Arc<dyn Secure>>) -> Self {
        Self { access, tls }
    }
}

impl Connector for NetworkConnector {
    fn connect(&self, scheme: &Scheme, authority: &str) -> Result<Box<dyn Connect>, Error> {
        let Authority { host, port } = Authority::new(authority).ok_or(Error::UriInvalid)?;
        let tls = match (scheme, &self.tls) {
            (Scheme::Https, Some(tls)) => Some((tls.clone(), host.to_string())),
            (Scheme::Https, None) => return Err(Error::TlsProtocol),
            _ => None,
        };
        Ok(Box::new(Connecting {
            access: self.access.clone(),
            port: port.unwrap_or_else(|| scheme.port()),
            stage: Stage::Lookup(self.access.resolve(host)?),
            addresses: Default::default(),
            failed: Error::DestinationNotFound,
            tls,
        }))
    }
}

/// A connection that is being made.
struct Connecting {
    access: Access,
    port: u16,
    stage: Stage,
    /// Those that were not tried yet.
    addresses: vec::IntoIter<IpAddr>,
    /// Why the last one was none.
    failed: Error,
    /// If it is for `https`: how, and to whom.
    tls: Option<(Arc<dyn Secure>, String)>,
}

enum Stage {
    Lookup(Lookup),
    Next,
    Tcp(TcpSocket),
    Tls(Box<dyn Connect>),
}

impl Connect for Connecting {
    fn poll_connect(&mut self, task: &mut Context<'_>) -> Poll<Result<Transport, Error>> {
        loop {
            self.stage = match &mut self.stage {
                Stage::Lookup(lookup) => {
                    self.addresses = ready!(lookup.poll(task))?.into_iter();
                    Stage::Next
                }
                Stage::Next => {
                    let Some(address) = self.addresses.next() else { return Poll::Ready(Err(self.failed)) };
                    let socket = self.access.tcp(Family::of(address))?;
                    match socket.connect(SocketAddr::new(address, self.port)) {
                        Ok(()) => Stage::Tcp(socket),
                        Err(error) => {
                            self.failed = error.into();
                            continue;
                        }
                    }
                }
                Stage::Tcp(socket) => match ready!(socket.poll_connected(task)) {
                    Ok(()) => {
                        let socket = Arc::new(socket.clone());
                        let transport = Transport { input: socket.clone(), output: socket };
                        match &self.tls {
                            Some((tls, host)) => Stage::Tls(tls.secure(host, transport)?),
                            None => return Poll::Ready(Ok(transport)),
                        }
                    }
                    Err(error) => {
                        self.failed = error.into();
                        Stage::Next
                    }
                },
                Stage::Tls(connect) => return connect.poll_connect(task),
            };
        }
    }
}
