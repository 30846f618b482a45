//! [`Clients`]: a network for programs that serve, and who connects to them, talks and goes away.

use arbitrary::Unstructured;
use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::Poll,
};
use wasi::{
    Machine, Result,
    io::{InputStream, OutputStream},
    sockets::{Access, Family, Network, Policy, Shutdown, TcpSocket},
};

/// The clients of a program, and the network on which they are.
pub struct Clients {
    network: Network,
    listener: TcpSocket,
    clients: Vec<Pin<Box<dyn Future<Output = Result<()>>>>>,
}

impl Clients {
    /// These, and a socket for whom they want.
    pub fn new(machine: &Machine, clients: Vec<Client>) -> Self {
        let network = Network::loopback(machine).expect("a network");
        let access = Access::new(network.clone(), Policy::everything());
        let listener = access.tcp(Family::Ipv4).expect("a socket");
        listener.bind("127.0.0.1:80".parse().expect("an address")).expect("an address that is free");
        listener.listen().expect("a socket that listens");
        let clients = clients.into_iter().map(|client| {
            let talk: Pin<Box<dyn Future<Output = Result<()>>>> = Box::pin(client.talk(access.clone()));
            talk
        });
        Self { network, listener, clients: clients.collect() }
    }

    /// What the program is to have.
    pub fn listener(&self) -> TcpSocket {
        self.listener.clone()
    }

    /// Goes on while `guest` does.
    pub async fn beside<T>(self, guest: impl Future<Output = T>) -> T {
        let Self { network, listener, mut clients } = self;
        // It is the program's alone.
        drop(listener);
        let (mut drive, mut guest) = (pin!(network.run()), pin!(guest));
        poll_fn(|task| {
            let Poll::Pending = drive.as_mut().poll(task);
            // What a client meets is its own.
            clients.retain_mut(|client| client.as_mut().poll(task).is_pending());
            guest.as_mut().poll(task)
        })
        .await
    }
}

/// What a client does.
pub struct Client {
    sends: usize,
    ending: u8,
}

impl Client {
    /// As many as the input says, and who do as it says.
    pub fn some(input: &mut Unstructured<'_>) -> Vec<Self> {
        let count = input.int_in_range(0..=3).unwrap_or(0);
        let clients = (0..count).map(|_| Self {
            // As many as fit the buffers, and more.
            sends: [0, 1, 20, 300_000][input.choose_index(4).unwrap_or(0)],
            ending: input.int_in_range(0..=4).unwrap_or(0),
        });
        clients.collect()
    }

    async fn talk(self, access: Access) -> Result<()> {
        let socket = access.tcp(Family::Ipv4)?;
        socket.connect("127.0.0.1:80".parse().map_err(|_| wasi::Error::Invalid)?)?;
        poll_fn(|task| socket.poll_connected(task)).await?;
        let bytes = vec![7; self.sends];
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let count = poll_fn(|task| socket.poll_write(task, rest)).await?;
            rest = &rest[count..];
        }
        match self.ending {
            // It goes.
            0 => return Ok(()),
            1 => socket.shutdown(Shutdown::Send)?,
            2 => socket.shutdown(Shutdown::Receive)?,
            3 => socket.shutdown(Shutdown::Both)?,
            _ => {}
        }
        let mut buffer = [0; 1_000];
        while poll_fn(|task| socket.poll_read(task, &mut buffer)).await? > 0 {}
        // It stays, for as long as the program runs.
        std::future::pending().await
    }
}
