//! `udp` and `udp-create-socket`.

use super::{
    Coded, coded,
    network::{ErrorCode, IpAddressFamily, IpSocketAddress, Network},
    options,
};
use crate::{
    Error,
    preview2::{
        Interfaces, Polled, Preview2, State, interface,
        io::{Pollable, TRANSFER_MAX, Watch, Watched},
        offer, refused,
    },
    sockets,
};
use alloc::{format, sync::Arc, vec::Vec};
use component::{Borrow, Own, Trap};
use core::{
    mem,
    net::SocketAddr,
    task::{Context, Poll, Waker},
};

/// The resource `udp-socket`.
pub struct UdpSocket {
    socket: sockets::UdpSocket,
    /// It was begun to bind it, and not finished.
    binding: bool,
    /// Shared by the streams that there are: only the last pair would work, so there is one at a time.
    streams: Arc<()>,
    watch: Watch,
}

/// The resource `incoming-datagram-stream`.
pub struct IncomingDatagramStream {
    socket: sockets::UdpSocket,
    _streams: Arc<()>,
    watch: Watch,
}

/// The resource `outgoing-datagram-stream`.
pub struct OutgoingDatagramStream {
    socket: sockets::UdpSocket,
    _streams: Arc<()>,
    /// Datagrams that the guest may send after its last `check-send`.
    permit: u64,
    watch: Watch,
}

component::record! {
    /// A datagram that was received.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct IncomingDatagram {
        /// What it says.
        pub data: Vec<u8>,
        /// Where it came from.
        pub remote_address: IpSocketAddress,
    }
}

component::record! {
    /// A datagram to send.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct OutgoingDatagram {
        /// What it says.
        pub data: Vec<u8>,
        /// Where it goes to, if the socket does not say.
        pub remote_address: Option<IpSocketAddress>,
    }
}

/// The most datagrams of one call, as in wasmtime.
const DATAGRAMS_MAX: u64 = 16;

impl Watched for UdpSocket {
    fn watch(&mut self) -> &mut Watch {
        &mut self.watch
    }

    fn is_closed(&self) -> bool {
        false
    }

    /// Nothing that is done with it waits.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

impl Watched for IncomingDatagramStream {
    fn watch(&mut self) -> &mut Watch {
        &mut self.watch
    }

    fn is_closed(&self) -> bool {
        false
    }

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<()> {
        self.socket.poll_readable(task).map(|_| ())
    }
}

impl Watched for OutgoingDatagramStream {
    fn watch(&mut self) -> &mut Watch {
        &mut self.watch
    }

    fn is_closed(&self) -> bool {
        false
    }

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<()> {
        self.socket.poll_writable(task).map(|_| ())
    }
}

pub fn register(linker: &mut Interfaces) {
    let mut create = interface(linker, "wasi:sockets/udp-create-socket");
    offer::<Network>(&mut create);
    offer::<UdpSocket>(&mut create);
    create.func("create-udp-socket", create_udp_socket);

    let mut udp = interface(linker, "wasi:sockets/udp");
    offer::<Pollable>(&mut udp);
    offer::<Network>(&mut udp);
    offer::<UdpSocket>(&mut udp);
    offer::<IncomingDatagramStream>(&mut udp);
    offer::<OutgoingDatagramStream>(&mut udp);
    udp.func("[method]udp-socket.start-bind", start_bind)
        .func("[method]udp-socket.finish-bind", finish_bind)
        .func("[method]udp-socket.stream", stream)
        .func("[method]incoming-datagram-stream.receive", receive)
        .func("[method]incoming-datagram-stream.subscribe", subscribe_incoming)
        .func("[method]outgoing-datagram-stream.check-send", check_send)
        .func("[method]outgoing-datagram-stream.send", send)
        .func("[method]outgoing-datagram-stream.subscribe", subscribe_outgoing);
    register_options(&mut udp);
}

options! { UdpSocket, "udp-socket":
    hop_limit: u8,
    /// How many routers a packet may pass.
    "unicast-hop-limit" unicast_hop_limit,
    /// Sets how many routers a packet may pass.
    "set-unicast-hop-limit" set_unicast_hop_limit;
    receive_buffer: u64,
    /// Bytes that may wait to be received.
    "receive-buffer-size" receive_buffer_size,
    /// Sets how many bytes may wait to be received.
    "set-receive-buffer-size" set_receive_buffer_size;
    send_buffer: u64,
    /// Bytes that may wait to be sent.
    "send-buffer-size" send_buffer_size,
    /// Sets how many bytes may wait to be sent.
    "set-send-buffer-size" set_send_buffer_size;
}

/// Makes a socket.
pub fn create_udp_socket(call: &mut Preview2<'_>, (family,): &(IpAddressFamily,)) -> Coded<Own<UdpSocket>> {
    let State { network, table, .. } = &mut call.data.state;
    let socket = network.as_ref().ok_or(Error::Access).and_then(|network| network.udp((*family).into()));
    coded(socket.and_then(|socket| {
        let socket = UdpSocket { socket, binding: false, streams: Arc::default(), watch: Watch::default() };
        table.insert(socket).map(Own::new)
    }))
}

/// Begins to bind to a local address.
pub fn start_bind(
    call: &mut Preview2<'_>,
    (socket, network, address): &(Borrow<UdpSocket>, Borrow<Network>, IpSocketAddress),
) -> Coded<()> {
    let table = &mut call.data.state.table;
    table.get::<Network>(network.rep)?;
    let socket = table.get_mut::<UdpSocket>(socket.rep)?;
    if socket.binding {
        return coded(Err(ErrorCode::ConcurrencyConflict));
    }
    let bound = socket.socket.bind((*address).into());
    socket.binding = bound.is_ok();
    coded(bound)
}

/// Finishes binding.
pub fn finish_bind(call: &mut Preview2<'_>, (socket,): &(Borrow<UdpSocket>,)) -> Coded<()> {
    let socket = call.data.state.table.get_mut::<UdpSocket>(socket.rep)?;
    coded(if mem::take(&mut socket.binding) { Ok(()) } else { Err(ErrorCode::NotInProgress) })
}

/// The streams of the socket's datagrams, to and from anybody or one peer. A trap if there are some already, as in wasmtime.
pub fn stream(
    call: &mut Preview2<'_>,
    (socket, peer): &(Borrow<UdpSocket>, Option<IpSocketAddress>),
) -> Coded<(Own<IncomingDatagramStream>, Own<OutgoingDatagramStream>)> {
    let table = &mut call.data.state.table;
    let UdpSocket { socket: udp, streams, .. } = table.get::<UdpSocket>(socket.rep)?;
    if Arc::strong_count(streams) > 1 {
        return Poll::Ready(Err(Trap::Host("udp-socket.stream while there are streams of it".into()).into()));
    }
    if let Err(error) = udp.connect(peer.map(Into::into)) {
        return coded(Err(error));
    }
    let incoming =
        IncomingDatagramStream { socket: udp.clone(), _streams: streams.clone(), watch: Watch::default() };
    let outgoing = OutgoingDatagramStream {
        socket: udp.clone(),
        _streams: streams.clone(),
        permit: 0,
        watch: Watch::default(),
    };
    let incoming = table.insert_child(incoming, socket.rep).map_err(refused)?;
    let outgoing = table.insert_child(outgoing, socket.rep).map_err(refused)?;
    coded(Ok::<_, ErrorCode>((Own::new(incoming), Own::new(outgoing))))
}

/// Receives up to `max` datagrams, as many as are there: perhaps none.
pub fn receive(
    call: &mut Preview2<'_>,
    &(stream, max): &(Borrow<IncomingDatagramStream>, u64),
) -> Coded<Vec<IncomingDatagram>> {
    let socket = &call.data.state.table.get::<IncomingDatagramStream>(stream.rep)?.socket;
    let task = &mut Context::from_waker(Waker::noop());
    let (mut datagrams, mut bytes) = (Vec::new(), 0_usize);
    for _ in 0..max.min(DATAGRAMS_MAX) {
        match socket.poll_receive(task) {
            Poll::Ready(Ok(datagram)) => {
                bytes = bytes.saturating_add(datagram.data.len());
                datagrams
                    .push(IncomingDatagram { data: datagram.data, remote_address: datagram.remote.into() });
            }
            // What has failed behind the first is for the next call to meet.
            Poll::Ready(Err(error)) if datagrams.is_empty() => return coded(Err(error)),
            _ => break,
        }
        if bytes >= TRANSFER_MAX {
            break;
        }
    }
    coded(Ok::<_, ErrorCode>(datagrams))
}

/// A pollable for when there is something to receive.
pub fn subscribe_incoming(
    call: &mut Preview2<'_>,
    (stream,): &(Borrow<IncomingDatagramStream>,),
) -> Polled<Own<Pollable>> {
    Poll::Ready(Ok(call.data.state.subscribe(stream.rep)?))
}

/// How many datagrams may be sent now.
pub fn check_send(call: &mut Preview2<'_>, (stream,): &(Borrow<OutgoingDatagramStream>,)) -> Coded<u64> {
    let stream = call.data.state.table.get_mut::<OutgoingDatagramStream>(stream.rep)?;
    let writable = stream.socket.poll_writable(&mut Context::from_waker(Waker::noop()));
    stream.permit = if let Poll::Ready(Ok(())) = writable { DATAGRAMS_MAX } else { 0 };
    coded(match writable {
        Poll::Ready(Err(error)) => Err(error),
        _ => Ok(stream.permit),
    })
}

/// Sends what was permitted, as much as can leave now; a trap for more.
pub fn send(
    call: &mut Preview2<'_>,
    (stream, datagrams): &(Borrow<OutgoingDatagramStream>, Vec<OutgoingDatagram>),
) -> Coded<u64> {
    let stream = call.data.state.table.get_mut::<OutgoingDatagramStream>(stream.rep)?;
    let (count, permit) = (datagrams.len() as u64, stream.permit);
    if count == 0 {
        return coded(Ok::<_, ErrorCode>(0));
    }
    if count > permit {
        let trap = Trap::Host(format!("send of {count} datagrams where check-send permitted {permit}"));
        return Poll::Ready(Err(trap.into()));
    }
    stream.permit = 0;
    let task = &mut Context::from_waker(Waker::noop());
    let mut sent = 0_u64;
    for OutgoingDatagram { data, remote_address } in datagrams {
        match stream.socket.poll_send(task, data, remote_address.map(SocketAddr::from)) {
            Poll::Ready(Ok(())) => sent = sent.saturating_add(1),
            Poll::Ready(Err(error)) if sent == 0 => return coded(Err(error)),
            _ => break,
        }
    }
    coded(Ok::<_, ErrorCode>(sent))
}

/// A pollable for when something may be sent.
pub fn subscribe_outgoing(
    call: &mut Preview2<'_>,
    (stream,): &(Borrow<OutgoingDatagramStream>,),
) -> Polled<Own<Pollable>> {
    Poll::Ready(Ok(call.data.state.subscribe(stream.rep)?))
}
