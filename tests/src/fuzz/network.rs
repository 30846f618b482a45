//! [`Neighbours`]: a network for a program, and who else is on it: clients of what it serves, who connect, talk and go away, or
//! a server.

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

/// Where the program serves, or the server does.
const PORT: &str = "127.0.0.1:80";

/// What a server says, whatever it is asked.
const RESPONSES: [&str; 8] = [
    "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: a\r\n\r\n5\r\nhello\r\n0\r\na: b\r\n\r\n",
    "HTTP/1.0 200 OK\r\n\r\nuntil the end",
    "HTTP/1.1 204 No Content\r\na: b\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n",
    // More is promised than comes.
    "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nx\r\n",
    "no response",
];

/// A network, and who is on it.
pub struct Neighbours {
    network: Network,
    access: Access,
    others: Vec<Pin<Box<dyn Future<Output = Result<()>>>>>,
}

impl Neighbours {
    fn new(machine: &Machine) -> Self {
        let network = Network::loopback(machine).expect("a network");
        let access = Access::new(network.clone(), Policy::everything());
        Self { network, access, others: Vec::new() }
    }

    /// These clients, and the socket for whom they want, which the program is to have.
    pub fn clients(machine: &Machine, clients: Vec<Client>) -> (Self, TcpSocket) {
        let mut neighbours = Self::new(machine);
        let listener = listener(&neighbours.access);
        for client in clients {
            neighbours.others.push(Box::pin(client.talk(neighbours.access.clone())));
        }
        (neighbours, listener)
    }

    /// A server, which says one thing and goes on, or ends the connection.
    pub fn server(machine: &Machine, says: u8) -> Self {
        let mut neighbours = Self::new(machine);
        let says = usize::from(says);
        let response = RESPONSES[says % RESPONSES.len()];
        let stays = says / RESPONSES.len() % 2 == 1;
        neighbours.others.push(Box::pin(serve(listener(&neighbours.access), response, stays)));
        neighbours
    }

    /// What the program may do: everything.
    pub fn access(&self) -> Access {
        self.access.clone()
    }

    /// Goes on while `guest` does.
    pub async fn beside<T>(self, guest: impl Future<Output = T>) -> T {
        let Self { network, mut others, .. } = self;
        let (mut drive, mut guest) = (pin!(network.run()), pin!(guest));
        poll_fn(|task| {
            let Poll::Pending = drive.as_mut().poll(task);
            // What they meet is their own.
            others.retain_mut(|other| other.as_mut().poll(task).is_pending());
            guest.as_mut().poll(task)
        })
        .await
    }
}

fn listener(access: &Access) -> TcpSocket {
    let listener = access.tcp(Family::Ipv4).expect("a socket");
    listener.bind(PORT.parse().expect("an address")).expect("an address that is free");
    listener.listen().expect("a socket that listens");
    listener
}

async fn serve(listener: TcpSocket, response: &'static str, stays: bool) -> Result<()> {
    let mut connections = Vec::new();
    loop {
        let socket = poll_fn(|task| listener.poll_accept(task)).await?;
        // Something has to come first; and it may be over by then.
        let mut buffer = [0; 1_000];
        if let Ok(1..) = poll_fn(|task| socket.poll_read(task, &mut buffer)).await {
            // It fits the buffer that a socket has.
            let _ = poll_fn(|task| socket.poll_write(task, response.as_bytes())).await;
            if stays {
                connections.push(socket);
            }
        }
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
        socket.connect(PORT.parse().map_err(|_| wasi::Error::Invalid)?)?;
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
