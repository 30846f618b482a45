//! `tcp` and `tcp-create-socket`.

use super::{
    Coded, Setting, coded,
    network::{ErrorCode, IpAddressFamily, IpSocketAddress, Network},
    now, options,
};
use crate::{
    Error,
    preview2::{
        Interfaces, Polled, Preview2, State, interface,
        io::{Input, Origin, Output, Pollable, Watch, Watched},
        offer, refused,
        table::Table,
    },
    sockets::{self, Shutdown},
    types::Nanoseconds,
};
use alloc::sync::Arc;
use component::{Borrow, Own, Trap};
use core::task::{Context, Poll, Waker};

/// The resource `tcp-socket`.
pub struct TcpSocket {
    socket: sockets::TcpSocket,
    /// What was begun and not finished. Only to connect takes time: the others have happened.
    begun: Option<Operation>,
    /// The output stream of a connection.
    output: Option<Output>,
    watch: Watch,
}

/// What is begun with one function and finished with another.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Bind,
    Connect,
    Listen,
}

component::enumeration! {
    /// Which directions to shut down.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum ShutdownType {
        Receive,
        Send,
        Both,
    }
}

impl From<ShutdownType> for Shutdown {
    fn from(shutdown: ShutdownType) -> Self {
        match shutdown {
            ShutdownType::Receive => Self::Receive,
            ShutdownType::Send => Self::Send,
            ShutdownType::Both => Self::Both,
        }
    }
}

impl TcpSocket {
    fn new(socket: sockets::TcpSocket) -> Self {
        Self { socket, begun: None, output: None, watch: Watch::default() }
    }

    fn begin(
        &mut self,
        operation: Operation,
        begin: impl FnOnce(&sockets::TcpSocket) -> crate::Result<()>,
    ) -> Result<(), ErrorCode> {
        if self.begun.is_some() {
            return Err(ErrorCode::ConcurrencyConflict);
        }
        begin(&self.socket)?;
        self.begun = Some(operation);
        Ok(())
    }

    fn finish(
        &mut self,
        operation: Operation,
        polled: impl FnOnce(&sockets::TcpSocket, &mut Context<'_>) -> Poll<crate::Result<()>>,
    ) -> Result<(), ErrorCode> {
        if self.begun != Some(operation) {
            return Err(ErrorCode::NotInProgress);
        }
        let finished = now(polled(&self.socket, &mut Context::from_waker(Waker::noop())));
        if finished != Err(ErrorCode::WouldBlock) {
            self.begun = None;
        }
        finished
    }

    fn shut_down(&self, directions: ShutdownType) -> Result<(), ErrorCode> {
        let output = self.output.as_ref().ok_or(ErrorCode::InvalidState)?;
        if directions != ShutdownType::Receive {
            // Also for who writes nothing.
            output.outgoing().close();
        }
        Ok(self.socket.shutdown(directions.into())?)
    }
}

impl Watched for TcpSocket {
    fn watch(&mut self) -> &mut Watch {
        &mut self.watch
    }

    fn is_closed(&self) -> bool {
        false
    }

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<()> {
        match self.begun {
            Some(Operation::Bind | Operation::Listen) => Poll::Ready(()),
            Some(Operation::Connect) | None => self.socket.poll_ready(task),
        }
    }
}

pub fn register(linker: &mut Interfaces) {
    let mut create = interface(linker, "wasi:sockets/tcp-create-socket");
    offer::<Network>(&mut create);
    offer::<TcpSocket>(&mut create);
    create.func("create-tcp-socket", create_tcp_socket);

    let mut tcp = interface(linker, "wasi:sockets/tcp");
    offer::<Input>(&mut tcp);
    offer::<Output>(&mut tcp);
    offer::<Pollable>(&mut tcp);
    offer::<Network>(&mut tcp);
    offer::<TcpSocket>(&mut tcp);
    tcp.func("[method]tcp-socket.start-bind", start_bind)
        .func("[method]tcp-socket.finish-bind", finish_bind)
        .func("[method]tcp-socket.start-connect", start_connect)
        .func("[method]tcp-socket.finish-connect", finish_connect)
        .func("[method]tcp-socket.start-listen", start_listen)
        .func("[method]tcp-socket.finish-listen", finish_listen)
        .func("[method]tcp-socket.accept", accept)
        .func("[method]tcp-socket.is-listening", is_listening)
        .func("[method]tcp-socket.set-listen-backlog-size", set_listen_backlog_size)
        .func("[method]tcp-socket.shutdown", shutdown);
    register_options(&mut tcp);
}

options! { TcpSocket, "tcp-socket":
    keep_alive: bool,
    /// Whether an idle connection is probed.
    "keep-alive-enabled" keep_alive_enabled,
    /// Sets whether an idle connection is probed.
    "set-keep-alive-enabled" set_keep_alive_enabled;
    keep_alive_idle: Nanoseconds,
    /// How long a connection is idle before it is probed.
    "keep-alive-idle-time" keep_alive_idle_time,
    /// Sets how long a connection is idle before it is probed.
    "set-keep-alive-idle-time" set_keep_alive_idle_time;
    keep_alive_interval: Nanoseconds,
    /// The time between probes.
    "keep-alive-interval" keep_alive_interval,
    /// Sets the time between probes.
    "set-keep-alive-interval" set_keep_alive_interval;
    keep_alive_count: u32,
    /// How many probes may be lost.
    "keep-alive-count" keep_alive_count,
    /// Sets how many probes may be lost.
    "set-keep-alive-count" set_keep_alive_count;
    hop_limit: u8,
    /// How many routers a packet may pass.
    "hop-limit" hop_limit,
    /// Sets how many routers a packet may pass.
    "set-hop-limit" set_hop_limit;
    receive_buffer: u64,
    /// Bytes that may wait to be read.
    "receive-buffer-size" receive_buffer_size,
    /// Sets how many bytes may wait to be read.
    "set-receive-buffer-size" set_receive_buffer_size;
    send_buffer: u64,
    /// Bytes that may wait to be sent.
    "send-buffer-size" send_buffer_size,
    /// Sets how many bytes may wait to be sent.
    "set-send-buffer-size" set_send_buffer_size;
}

/// Makes a socket.
pub fn create_tcp_socket(call: &mut Preview2<'_>, (family,): &(IpAddressFamily,)) -> Coded<Own<TcpSocket>> {
    let State { network, table, .. } = &mut call.data.state;
    let socket = network.as_ref().ok_or(Error::Access).and_then(|network| network.tcp((*family).into()));
    coded(socket.and_then(|socket| table.insert(TcpSocket::new(socket)).map(Own::new)))
}

/// Begins to bind to a local address.
pub fn start_bind(
    call: &mut Preview2<'_>,
    (socket, network, address): &(Borrow<TcpSocket>, Borrow<Network>, IpSocketAddress),
) -> Coded<()> {
    start(call, *socket, *network, Operation::Bind, |socket| socket.bind((*address).into()))
}

/// Finishes binding.
pub fn finish_bind(call: &mut Preview2<'_>, (socket,): &(Borrow<TcpSocket>,)) -> Coded<()> {
    finish(call, *socket, Operation::Bind)
}

/// Begins to connect.
pub fn start_connect(
    call: &mut Preview2<'_>,
    (socket, network, address): &(Borrow<TcpSocket>, Borrow<Network>, IpSocketAddress),
) -> Coded<()> {
    start(call, *socket, *network, Operation::Connect, |socket| socket.connect((*address).into()))
}

/// Finishes connecting: the connection's streams.
pub fn finish_connect(
    call: &mut Preview2<'_>,
    (socket,): &(Borrow<TcpSocket>,),
) -> Coded<(Own<Input>, Own<Output>)> {
    let table = &mut call.data.state.table;
    let connected = table
        .get_mut::<TcpSocket>(socket.rep)?
        .finish(Operation::Connect, |socket, task| socket.poll_connected(task));
    match connected {
        Ok(()) => coded(Ok::<_, ErrorCode>(streams(table, socket.rep)?)),
        Err(error) => coded(Err(error)),
    }
}

/// Begins to listen.
pub fn start_listen(call: &mut Preview2<'_>, (socket,): &(Borrow<TcpSocket>,)) -> Coded<()> {
    let socket = call.data.state.table.get_mut::<TcpSocket>(socket.rep)?;
    coded(socket.begin(Operation::Listen, sockets::TcpSocket::listen))
}

/// Finishes listening.
pub fn finish_listen(call: &mut Preview2<'_>, (socket,): &(Borrow<TcpSocket>,)) -> Coded<()> {
    finish(call, *socket, Operation::Listen)
}

fn start(
    call: &mut Preview2<'_>,
    socket: Borrow<TcpSocket>,
    network: Borrow<Network>,
    operation: Operation,
    begin: impl FnOnce(&sockets::TcpSocket) -> crate::Result<()>,
) -> Coded<()> {
    let table = &mut call.data.state.table;
    table.get::<Network>(network.rep)?;
    coded(table.get_mut::<TcpSocket>(socket.rep)?.begin(operation, begin))
}

fn finish(call: &mut Preview2<'_>, socket: Borrow<TcpSocket>, operation: Operation) -> Coded<()> {
    let socket = call.data.state.table.get_mut::<TcpSocket>(socket.rep)?;
    coded(socket.finish(operation, |_, _| Poll::Ready(Ok(()))))
}

/// Makes the streams of a connection, as children of its socket.
fn streams(table: &mut Table, socket: u32) -> Result<(Own<Input>, Own<Output>), Trap> {
    let connection = table.get_mut::<TcpSocket>(socket)?;
    let input = Input::new(Arc::new(connection.socket.clone()), Origin::Socket);
    let output = Output::new(Arc::new(connection.socket.clone()), Origin::Socket);
    connection.output = Some(output.another());
    let input = table.insert_child(input, socket).map_err(refused)?;
    let output = table.insert_child(output, socket).map_err(refused)?;
    Ok((Own::new(input), Own::new(output)))
}

/// Accepts a connection: its socket and its streams.
pub fn accept(
    call: &mut Preview2<'_>,
    (socket,): &(Borrow<TcpSocket>,),
) -> Coded<(Own<TcpSocket>, Own<Input>, Own<Output>)> {
    let table = &mut call.data.state.table;
    // Before a connection is accepted, and then lost.
    let reserved = table.reserve::<TcpSocket>();
    let listener = &table.get::<TcpSocket>(socket.rep)?.socket;
    let task = &mut Context::from_waker(Waker::noop());
    let accepted = match reserved {
        Ok(()) => now(listener.poll_accept(task)),
        Err(error) => Err(error.into()),
    };
    match accepted {
        Ok(connection) => {
            let connection = table.insert(TcpSocket::new(connection)).map_err(refused)?;
            let (input, output) = streams(table, connection)?;
            coded(Ok::<_, ErrorCode>((Own::new(connection), input, output)))
        }
        Err(error) => coded(Err(error)),
    }
}

/// Whether it listens.
pub fn is_listening(call: &mut Preview2<'_>, (socket,): &(Borrow<TcpSocket>,)) -> Polled<bool> {
    Poll::Ready(Ok(call.data.state.table.get::<TcpSocket>(socket.rep)?.socket.is_listening()))
}

/// Sets how many connections may wait to be accepted.
pub fn set_listen_backlog_size(
    call: &mut Preview2<'_>,
    (socket, size): &(Borrow<TcpSocket>, u64),
) -> Coded<()> {
    let TcpSocket { socket, begun, .. } = call.data.state.table.get::<TcpSocket>(socket.rep)?;
    let size: Option<usize> = Setting::field(*size);
    coded(match size {
        None => Err(ErrorCode::InvalidArgument),
        Some(_) if *begun == Some(Operation::Connect) || socket.is_connected() => {
            Err(ErrorCode::InvalidState)
        }
        Some(size) => {
            socket.set_backlog(size);
            Ok(())
        }
    })
}

/// Shuts one or both directions of a connection down. Its streams are closed then.
pub fn shutdown(
    call: &mut Preview2<'_>,
    (socket, directions): &(Borrow<TcpSocket>, ShutdownType),
) -> Coded<()> {
    coded(call.data.state.table.get::<TcpSocket>(socket.rep)?.shut_down(*directions))
}
