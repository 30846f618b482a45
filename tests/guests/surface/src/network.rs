//! Sockets and names.

use crate::{
    comes, ignore, one_of,
    pool::{Forge, Pool, forge},
    script::Script,
};
use std::rc::Rc;
use wasip2::sockets::{
    instance_network::instance_network,
    ip_name_lookup::{ResolveAddressStream, resolve_addresses},
    network::{ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress, Network},
    tcp::{ShutdownType, TcpSocket},
    tcp_create_socket::create_tcp_socket,
    udp::{IncomingDatagramStream, OutgoingDatagram, OutgoingDatagramStream, UdpSocket},
    udp_create_socket::create_udp_socket,
};

forge!(IncomingDatagramStream, Network, OutgoingDatagramStream, ResolveAddressStream, TcpSocket, UdpSocket);

/// What the program has of the network.
#[derive(Default)]
pub struct World {
    networks: Pool<Network>,
    tcp: Pool<TcpSocket>,
    udp: Pool<UdpSocket>,
    incoming: Pool<IncomingDatagramStream>,
    outgoing: Pool<OutgoingDatagramStream>,
    lookups: Pool<ResolveAddressStream>,
}

impl World {
    /// A socket that listens.
    pub fn listener(&self, script: &mut Script) -> Option<Rc<TcpSocket>> {
        self.tcp.pick(script).filter(|one| one.is_listening())
    }

    pub fn forget(&mut self) {
        self.networks.forget();
        self.tcp.forget();
        self.udp.forget();
        self.incoming.forget();
        self.outgoing.forget();
        self.lookups.forget();
    }
}

pub fn step(world: &mut crate::World, script: &mut Script) {
    match script.below(8) {
        0 if script.once_in(2) => ignore(connection(world)),
        0 => makes(&mut world.network, script),
        1..=3 => tcp(world, script),
        4 => tcp_options(&world.network, script),
        5 => udp(world, script),
        6 => datagrams(world, script),
        _ => drops(&mut world.network, script),
    }
}

/// Mostly the same family, so that what is bound and who connects meet.
fn family(script: &mut Script) -> IpAddressFamily {
    if script.once_in(4) { IpAddressFamily::Ipv6 } else { IpAddressFamily::Ipv4 }
}

fn address(script: &mut Script) -> IpSocketAddress {
    let port = script.of(&[0, 80, 80, 80, 81, 7]);
    if script.once_in(4) {
        let address =
            script.of(&[(0, 0, 0, 0, 0, 0, 0, 1), (0, 0, 0, 0, 0, 0, 0, 0), (0xfe80, 0, 0, 0, 0, 0, 0, 2)]);
        return IpSocketAddress::Ipv6(Ipv6SocketAddress { port, flow_info: 0, address, scope_id: 0 });
    }
    let address = script.of(&[
        (127, 0, 0, 1),
        (127, 0, 0, 1),
        (127, 0, 0, 1),
        (0, 0, 0, 0),
        (10, 0, 0, 9),
        (255, 255, 255, 255),
    ]);
    IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address })
}

fn makes(world: &mut World, script: &mut Script) {
    one_of!(script;
        world.networks.add(instance_network());
        world.tcp.keep(create_tcp_socket(family(script)));
        world.tcp.keep(create_tcp_socket(family(script)));
        world.udp.keep(create_udp_socket(family(script)));
        if let Some(network) = world.networks.pick(script) {
            let name = script.of(&["localhost", "127.0.0.1", "::1", "a.example", "", "a..b", "a b"]);
            world.lookups.keep(resolve_addresses(&network, name));
        };
    );
}

/// What else would take the right calls in a row: a connection of the program with itself.
fn connection(world: &mut crate::World) -> Result<(), ErrorCode> {
    let network = instance_network();
    let local = IpSocketAddress::Ipv4(Ipv4SocketAddress { port: 0, address: (127, 0, 0, 1) });
    let listener = create_tcp_socket(IpAddressFamily::Ipv4)?;
    listener.start_bind(&network, local)?;
    listener.finish_bind()?;
    listener.start_listen()?;
    listener.finish_listen()?;
    let client = create_tcp_socket(IpAddressFamily::Ipv4)?;
    client.start_connect(&network, listener.local_address()?)?;
    assert!(comes(&client.subscribe()), "a connection to oneself takes no time");
    let (input, output) = client.finish_connect()?;
    world.inputs.add(input);
    world.outputs.add(output);
    assert!(comes(&listener.subscribe()), "who connects is there to be accepted");
    let (accepted, input, output) = listener.accept()?;
    world.inputs.add(input);
    world.outputs.add(output);
    world.network.networks.add(network);
    for socket in [listener, client, accepted] {
        world.network.tcp.add(socket);
    }
    Ok(())
}

fn tcp(world: &mut crate::World, script: &mut Script) {
    let Some(one) = world.network.tcp.pick(script) else { return };
    let network = world.network.networks.pick(script);
    one_of!(script;
        if let Some(network) = &network {
            ignore(one.start_bind(network, address(script)));
        };
        ignore(one.finish_bind());
        if let Some(network) = &network {
            ignore(one.start_connect(network, address(script)));
        };
        if let Ok((input, output)) = one.finish_connect() {
            world.inputs.add(input);
            world.outputs.add(output);
        };
        ignore(one.start_listen());
        ignore(one.finish_listen());
        if let Ok((socket, input, output)) = one.accept() {
            world.network.tcp.add(socket);
            world.inputs.add(input);
            world.outputs.add(output);
        };
        ignore(one.local_address());
        ignore(one.remote_address());
        one.is_listening();
        one.address_family();
        world.pollables.add(one.subscribe());
        ignore(one.shutdown(script.of(&[ShutdownType::Receive, ShutdownType::Send, ShutdownType::Both])));
        // What a program does that waits.
        one.subscribe().block();
    );
}

fn tcp_options(world: &World, script: &mut Script) {
    let Some(one) = world.tcp.pick(script) else { return };
    one_of!(script;
        ignore(one.set_listen_backlog_size(script.number()));
        ignore(one.keep_alive_enabled());
        ignore(one.set_keep_alive_enabled(script.once_in(2)));
        ignore(one.keep_alive_idle_time());
        ignore(one.set_keep_alive_idle_time(script.number()));
        ignore(one.keep_alive_interval());
        ignore(one.set_keep_alive_interval(script.number()));
        ignore(one.keep_alive_count());
        ignore(one.set_keep_alive_count(script.number() as u32));
        ignore(one.hop_limit());
        ignore(one.set_hop_limit(script.byte()));
        ignore(one.receive_buffer_size());
        ignore(one.set_receive_buffer_size(script.number()));
        ignore(one.send_buffer_size());
        ignore(one.set_send_buffer_size(script.number()));
    );
}

fn udp(world: &mut crate::World, script: &mut Script) {
    let Some(one) = world.network.udp.pick(script) else { return };
    let network = world.network.networks.pick(script);
    one_of!(script;
        if let Some(network) = &network {
            ignore(one.start_bind(network, address(script)));
        };
        ignore(one.finish_bind());
        // A second pair beside the first is a trap.
        if let Ok((incoming, outgoing)) = one.stream(script.some(address)) {
            world.network.incoming.add(incoming);
            world.network.outgoing.add(outgoing);
        };
        ignore(one.local_address());
        ignore(one.remote_address());
        one.address_family();
        ignore(one.unicast_hop_limit());
        ignore(one.set_unicast_hop_limit(script.byte()));
        ignore(one.receive_buffer_size());
        ignore(one.set_receive_buffer_size(script.number()));
        ignore(one.send_buffer_size());
        ignore(one.set_send_buffer_size(script.number()));
        world.pollables.add(one.subscribe());
    );
}

fn datagrams(world: &mut crate::World, script: &mut Script) {
    one_of!(script;
        if let Some(one) = world.network.incoming.pick(script) {
            ignore(one.receive(script.number()));
        };
        if let Some(one) = world.network.incoming.pick(script) {
            world.pollables.add(one.subscribe());
        };
        if let Some(one) = world.network.outgoing.pick(script) {
            let permitted = one.check_send().unwrap_or(0);
            let mut datagrams = Vec::new();
            // More than is permitted is a trap.
            let most = if script.once_in(16) { 4 } else { permitted.min(4) };
            for _ in 0..script.below(5).min(most as usize) {
                datagrams.push(OutgoingDatagram { data: script.content(), remote_address: script.some(address) });
            }
            ignore(one.send(&datagrams));
        };
        if let Some(one) = world.network.outgoing.pick(script) {
            world.pollables.add(one.subscribe());
        };
        if let Some(one) = world.network.lookups.pick(script) {
            ignore(one.resolve_next_address());
        };
        if let Some(one) = world.network.lookups.pick(script) {
            world.pollables.add(one.subscribe());
        };
    );
}

fn drops(world: &mut World, script: &mut Script) {
    one_of!(script;
        ignore(world.networks.take(script));
        ignore(world.tcp.take(script));
        ignore(world.udp.take(script));
        ignore(world.incoming.take(script));
        ignore(world.outgoing.take(script));
        ignore(world.lookups.take(script));
    );
}
