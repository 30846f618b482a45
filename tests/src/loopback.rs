//! [`Loopback`]: the network of a hosted guest, which has nobody on it but the guest, and the clients of its case.

use crate::{
    bytes::Difference,
    case::{Case, Client},
};
use std::{
    future::{Future, poll_fn},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    pin::pin,
    task::Poll,
};
use wasi::{
    Command, Error, Machine, Result,
    io::{InputStream, OutputStream},
    sockets::{Access, Family, Network, Policy, Shutdown, TcpSocket},
};

/// A network of one machine.
pub(crate) struct Loopback {
    access: Access,
    network: Network,
    /// The guest's, and who connects to it.
    served: Option<(TcpSocket, SocketAddr, Vec<Client>)>,
    /// Whether the guest may use it otherwise.
    given: bool,
}

impl Loopback {
    /// What the case asks for; none if it asks for nothing.
    pub(crate) fn new(machine: &Machine, case: &Case) -> Result<Option<Self>> {
        if !case.network && case.clients.is_empty() {
            return Ok(None);
        }
        let network = Network::loopback(machine)?;
        let access = Access::new(network.clone(), Policy::everything());
        let mut served = None;
        if !case.clients.is_empty() {
            let listener = access.tcp(Family::Ipv4)?;
            listener.bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0))?;
            listener.listen()?;
            let address = listener.local_address().ok_or(Error::InvalidState)?;
            served = Some((listener, address, case.clients.clone()));
        }
        Ok(Some(Self { access, network, served, given: case.network }))
    }

    /// Gives the guest what is its.
    pub(crate) fn give(&self, mut command: Command) -> Command {
        if self.given {
            command = command.network(self.access.clone());
        }
        if let Some((listener, ..)) = &self.served {
            command = command.listener(listener.clone());
        }
        command
    }

    /// Drives the network and the clients while `run` goes on. Gives what came of it, and what the clients have to say.
    pub(crate) async fn beside<T>(self, run: impl Future<Output = T>) -> (T, String) {
        let Self { access, network, served, .. } = self;
        let clients = async {
            let mut differences = String::new();
            if let Some((listener, address, clients)) = served {
                // It is the guest's alone: without the guest nobody listens.
                drop(listener);
                for (number, client) in (1..).zip(&clients) {
                    let difference = match talk(&access, address, client).await {
                        Ok(received) => Difference::of(&client.receives.to_vec(), &received)
                            .map(|difference| difference.to_string()),
                        Err(error) => Some(format!("{error}\n")),
                    };
                    if let Some(difference) = difference {
                        differences += &format!("client {number}:\n{difference}");
                    }
                }
            }
            differences
        };
        let (mut drive, mut run, mut clients) = (pin!(network.run()), pin!(run), pin!(clients));
        let (mut ended, mut told) = (None, None);
        poll_fn(|task| {
            let Poll::Pending = drive.as_mut().poll(task);
            if ended.is_none()
                && let Poll::Ready(end) = run.as_mut().poll(task)
            {
                ended = Some(end);
            }
            if told.is_none()
                && let Poll::Ready(differences) = clients.as_mut().poll(task)
            {
                told = Some(differences);
            }
            match (ended.take(), told.take()) {
                (Some(ended), Some(told)) => Poll::Ready((ended, told)),
                (one, other) => {
                    (ended, told) = (one, other);
                    Poll::Pending
                }
            }
        })
        .await
    }
}

/// What a client receives.
async fn talk(access: &Access, address: SocketAddr, client: &Client) -> Result<Vec<u8>> {
    let socket = access.tcp(Family::of(address.ip()))?;
    socket.connect(address)?;
    poll_fn(|task| socket.poll_connected(task)).await?;
    // It sends and receives at once: the guest need not read all before it answers.
    let (sends, mut sent) = (client.sends.to_vec(), 0);
    let (mut received, mut buffer) = (vec![], [0; 4096]);
    poll_fn(|task| {
        while sent <= sends.len() {
            match socket.poll_write(task, &sends[sent..]) {
                _ if sent == sends.len() => {
                    socket.shutdown(Shutdown::Send)?;
                    sent += 1;
                }
                Poll::Ready(Ok(count)) => sent += count,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => break,
            }
        }
        loop {
            match socket.poll_read(task, &mut buffer) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(count)) => received.extend_from_slice(&buffer[..count]),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await?;
    Ok(received)
}
