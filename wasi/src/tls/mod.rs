//! TLS for outgoing connections (`https`): a client over any pair of streams, which is itself both.
//!
//! The protocol and the verification of certificates are those of rustls and rustls-webpki: TLS 1.3 only; a chain to one of the
//! [`Roots`], within its validity, for this purpose and this name, every signature checked; and whatever does not verify is
//! refused, with no way around it. Cryptography is that of RustCrypto (`provider`). What lives here: who is trusted,
//! what rustls is to use, and its states driven by whoever polls.

mod error;
mod provider;
mod roots;
mod stream;
#[cfg(test)]
mod tests;

pub use error::{Certificate, Error};
pub use roots::{BadRoot, Roots};
pub use stream::Stream;

use crate::{
    clocks::Clock,
    http::{self, Connect, Transport},
    io::{InputStream, OutputStream},
    random::Entropy,
};
use alloc::{
    boxed::Box,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::{
    fmt,
    task::{Context, Poll, ready},
    time::Duration,
};
use rustls::{
    ClientConfig,
    client::{Resumption, UnbufferedClientConnection},
    pki_types::{ServerName, UnixTime},
    time_provider::TimeProvider,
    version::TLS13,
};

/// What connections have in common: who is trusted, the date, and randomness. Cheap to clone, not to make: one for a machine.
#[derive(Clone)]
pub struct Client {
    config: Arc<ClientConfig>,
    entropy: Arc<dyn Entropy>,
}

impl Client {
    /// A client that believes certificates that lead to one of `roots`, and are valid by the wall clock. It says that it speaks
    /// HTTP/1.1 (ALPN), so that a server that speaks several protocols does not choose another.
    pub fn new(roots: Roots, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Result<Self, Error> {
        let mut config =
            ClientConfig::builder_with_details(Arc::new(provider::provider()), Arc::new(Calendar(clock)))
                .with_protocol_versions(&[&TLS13])
                .map_err(Error::from)?
                .with_root_certificates(roots.into_store())
                .with_no_client_auth();
        config.alpn_protocols = Vec::from([Vec::from(b"http/1.1")]);
        // Every connection stands by itself: nothing of one server is kept for the next time.
        config.resumption = Resumption::disabled();
        Ok(Self { config: Arc::new(config), entropy })
    }

    /// Begins a connection over two streams (those of a TCP socket, usually) to the server `name`, a DNS name or an IP address. Nothing has
    /// been sent yet: the handshake is done by whoever polls the result.
    ///
    /// # Errors
    /// [`Error::Name`] if `name` is neither; [`Error::Entropy`] if the machine has no random bytes.
    pub fn connect(
        &self,
        name: &str,
        input: Arc<dyn InputStream>,
        output: Arc<dyn OutputStream>,
    ) -> Result<Stream, Error> {
        let name = ServerName::try_from(name).map_err(|_| Error::Name)?.to_owned();
        provider::stir(&*self.entropy).map_err(|_| Error::Entropy)?;
        let connection = UnbufferedClientConnection::new(self.config.clone(), name)?;
        Ok(Stream::new(connection, input, output))
    }
}

impl http::Secure for Client {
    fn secure(&self, host: &str, transport: Transport) -> Result<Box<dyn Connect>, http::Error> {
        let stream = Arc::new(self.connect(host, transport.input, transport.output)?);
        Ok(Box::new(Securing { host: host.to_string(), stream }))
    }
}

/// A handshake for HTTP.
struct Securing {
    host: String,
    stream: Arc<Stream>,
}

impl Connect for Securing {
    fn poll_connect(&mut self, task: &mut Context<'_>) -> Poll<Result<Transport, http::Error>> {
        let handshake = ready!(self.stream.poll_handshake(task));
        // HTTP has fewer words for it.
        handshake.inspect_err(|error| log::warn!("https://{}: {error}", self.host))?;
        Poll::Ready(Ok(Transport { input: self.stream.clone(), output: self.stream.clone() }))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// The wall clock, as rustls wants it. Where there is none, no certificate can be believed.
struct Calendar(Arc<dyn Clock>);

impl TimeProvider for Calendar {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_nanos(self.0.wall().ok()?)))
    }
}

impl fmt::Debug for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Calendar")
    }
}
