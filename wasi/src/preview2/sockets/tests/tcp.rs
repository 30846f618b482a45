//! `tcp`.

use super::*;
use t::*;

const SECOND: u64 = 1_000_000_000;

/// The network's handle, which is as good as any other.
fn network(guest: &mut Guest) -> Borrow<Network> {
    lend(&guest.call(instance, ()))
}

fn create(guest: &mut Guest, family: IpAddressFamily) -> Borrow<TcpSocket> {
    lend(&guest.call(create_tcp_socket, (family,)).unwrap())
}

fn bind(guest: &mut Guest, socket: Borrow<TcpSocket>, address: IpSocketAddress) -> Result<(), ErrorCode> {
    let network = network(guest);
    guest.call(start_bind, (socket, network, address))?;
    until_done(guest, finish_bind, (socket,))
}

fn listen(guest: &mut Guest, socket: Borrow<TcpSocket>) -> Result<(), ErrorCode> {
    guest.call(start_listen, (socket,))?;
    until_done(guest, finish_listen, (socket,))
}

fn bound(guest: &mut Guest, family: IpAddressFamily) -> Borrow<TcpSocket> {
    let socket = create(guest, family);
    bind(guest, socket, loopback(family, 0)).unwrap();
    socket
}

fn listening(guest: &mut Guest, family: IpAddressFamily) -> Borrow<TcpSocket> {
    let socket = bound(guest, family);
    listen(guest, socket).unwrap();
    socket
}

fn connect(
    guest: &mut Guest,
    socket: Borrow<TcpSocket>,
    address: IpSocketAddress,
) -> Result<(Own<Input>, Own<Output>), ErrorCode> {
    let network = network(guest);
    guest.call(start_connect, (socket, network, address))?;
    until_done(guest, finish_connect, (socket,))
}

/// One end of a connection.
struct End {
    socket: Borrow<TcpSocket>,
    input: Borrow<Input>,
    output: Borrow<Output>,
}

/// Both ends of a connection: that which connected, that which was accepted.
fn connected(guest: &mut Guest, family: IpAddressFamily) -> (End, End) {
    let listener = listening(guest, family);
    let address = guest.call(local_address, (listener,)).unwrap();
    connected_to(guest, listener, address, family)
}

fn connected_to(
    guest: &mut Guest,
    listener: Borrow<TcpSocket>,
    address: IpSocketAddress,
    family: IpAddressFamily,
) -> (End, End) {
    let socket = create(guest, family);
    let (input, output) = connect(guest, socket, address).unwrap();
    let client = End { socket, input: lend(&input), output: lend(&output) };
    let (socket, input, output) = until_done(guest, accept, (listener,)).unwrap();
    let server = End { socket: lend(&socket), input: lend(&input), output: lend(&output) };
    (client, server)
}

/// Reads until there is as much, or the stream is closed.
fn read(guest: &mut Guest, input: Borrow<Input>, len: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < len {
        let read = guest.until(|guest| match guest.call(streams::read, (input, (len - all.len()) as u64)) {
            Ok(bytes) if bytes.is_empty() => None,
            Ok(bytes) => Some(bytes),
            Err(streams::StreamError::Closed) => Some(Vec::new()),
            Err(error) => panic!("{error:?}"),
        });
        if read.is_empty() {
            break;
        }
        all.extend(read);
    }
    all
}

fn write(guest: &mut Guest, output: Borrow<Output>, bytes: &[u8]) {
    let permit = guest.call(streams::check_write, (output,)).unwrap();
    assert!(permit >= bytes.len() as u64, "{permit}");
    assert_eq!(guest.call(streams::write, (output, bytes.to_vec())), Ok(()));
}

const CLOSED: streams::StreamError = streams::StreamError::Closed;

/// The options work in every state, and say what was set.
fn options_work(guest: &mut Guest, socket: Borrow<TcpSocket>) {
    assert_eq!(guest.call(set_keep_alive_enabled, (socket, true)), Ok(()));
    assert_eq!(guest.call(keep_alive_enabled, (socket,)), Ok(true));
    assert_eq!(guest.call(set_keep_alive_enabled, (socket, false)), Ok(()));
    assert_eq!(guest.call(keep_alive_enabled, (socket,)), Ok(false));
    assert_eq!(guest.call(set_keep_alive_idle_time, (socket, 41 * SECOND)), Ok(()));
    assert_eq!(guest.call(set_keep_alive_interval, (socket, 42 * SECOND)), Ok(()));
    assert_eq!(guest.call(set_keep_alive_count, (socket, 43)), Ok(()));
    assert_eq!(guest.call(set_hop_limit, (socket, 44)), Ok(()));
    assert_eq!(guest.call(set_receive_buffer_size, (socket, 0x1_0000)), Ok(()));
    assert_eq!(guest.call(set_send_buffer_size, (socket, 0x2_0000)), Ok(()));
    assert_eq!(guest.call(keep_alive_idle_time, (socket,)), Ok(41 * SECOND));
    assert_eq!(guest.call(keep_alive_interval, (socket,)), Ok(42 * SECOND));
    assert_eq!(guest.call(keep_alive_count, (socket,)), Ok(43));
    assert_eq!(guest.call(hop_limit, (socket,)), Ok(44));
    assert_eq!(guest.call(receive_buffer_size, (socket,)), Ok(0x1_0000));
    assert_eq!(guest.call(send_buffer_size, (socket,)), Ok(0x2_0000));
}

/// Nothing was begun that could be finished.
fn nothing_is_in_progress(guest: &mut Guest, socket: Borrow<TcpSocket>) {
    assert_eq!(guest.call(finish_bind, (socket,)), Err(ErrorCode::NotInProgress));
    assert_eq!(guest.call(finish_connect, (socket,)).err(), Some(ErrorCode::NotInProgress));
    assert_eq!(guest.call(finish_listen, (socket,)), Err(ErrorCode::NotInProgress));
}

/// What only a socket can do that does not listen and is not connected.
fn nothing_can_be_begun(guest: &mut Guest, socket: Borrow<TcpSocket>, family: IpAddressFamily) {
    let (network, address) = (network(guest), loopback(family, 1));
    assert_eq!(guest.call(start_bind, (socket, network, address)), Err(ErrorCode::InvalidState));
    assert_eq!(guest.call(start_connect, (socket, network, address)), Err(ErrorCode::InvalidState));
    assert_eq!(guest.call(start_listen, (socket,)), Err(ErrorCode::InvalidState));
}

/// What only a connected socket can do.
fn is_not_connected(guest: &mut Guest, socket: Borrow<TcpSocket>) {
    assert_eq!(guest.call(shutdown, (socket, ShutdownType::Both)), Err(ErrorCode::InvalidState));
    assert_eq!(guest.call(remote_address, (socket,)), Err(ErrorCode::InvalidState));
    assert_eq!(guest.call(set_listen_backlog_size, (socket, 32)), Ok(()));
}

#[test]
fn a_new_socket_can_be_bound_or_connected_and_nothing_else() {
    let mut guest = networked();
    for family in FAMILIES {
        let socket = create(&mut guest, family);
        nothing_is_in_progress(&mut guest, socket);
        // Other than in POSIX.
        assert_eq!(guest.call(start_listen, (socket,)), Err(ErrorCode::InvalidState));
        assert_eq!(guest.call(accept, (socket,)).err(), Some(ErrorCode::InvalidState));
        is_not_connected(&mut guest, socket);
        assert_eq!(guest.call(local_address, (socket,)), Err(ErrorCode::InvalidState));
        assert!(!guest.call(is_listening, (socket,)));
        assert_eq!(guest.call(address_family, (socket,)), family);
        options_work(&mut guest, socket);
    }
}

#[test]
fn a_bound_socket_can_listen_or_connect_and_has_an_address() {
    let mut guest = networked();
    for family in FAMILIES {
        let socket = bound(&mut guest, family);
        let network = network(&mut guest);
        let again = guest.call(start_bind, (socket, network, loopback(family, 0)));
        assert_eq!(again, Err(ErrorCode::InvalidState));
        nothing_is_in_progress(&mut guest, socket);
        assert_eq!(guest.call(accept, (socket,)).err(), Some(ErrorCode::InvalidState));
        is_not_connected(&mut guest, socket);
        let address = guest.call(local_address, (socket,)).unwrap();
        assert_ne!(port(address), 0);
        assert_eq!(address, loopback(family, port(address)));
        assert!(!guest.call(is_listening, (socket,)));
        options_work(&mut guest, socket);
    }
}

#[test]
fn a_listening_socket_accepts_and_nothing_else() {
    let mut guest = networked();
    for family in FAMILIES {
        let socket = listening(&mut guest, family);
        nothing_is_in_progress(&mut guest, socket);
        nothing_can_be_begun(&mut guest, socket, family);
        assert_eq!(guest.call(accept, (socket,)).err(), Some(ErrorCode::WouldBlock));
        is_not_connected(&mut guest, socket);
        assert!(guest.call(local_address, (socket,)).is_ok());
        assert!(guest.call(is_listening, (socket,)));
        assert_eq!(guest.call(address_family, (socket,)), family);
        options_work(&mut guest, socket);
    }
}

#[test]
fn a_connected_socket_has_both_addresses_and_can_be_shut_down() {
    let mut guest = networked();
    for family in FAMILIES {
        let (client, server) = connected(&mut guest, family);
        for End { socket, .. } in [&client, &server] {
            let socket = *socket;
            nothing_is_in_progress(&mut guest, socket);
            nothing_can_be_begun(&mut guest, socket, family);
            assert_eq!(guest.call(accept, (socket,)).err(), Some(ErrorCode::InvalidState));
            assert!(!guest.call(is_listening, (socket,)));
            assert_eq!(guest.call(address_family, (socket,)), family);
            let backlog = guest.call(set_listen_backlog_size, (socket, 32));
            assert_eq!(backlog, Err(ErrorCode::InvalidState));
            options_work(&mut guest, socket);
        }
        let addresses =
            [client.socket, server.socket].map(|socket| guest.call(local_address, (socket,)).unwrap());
        assert_ne!(addresses[0], addresses[1]);
        assert_eq!(guest.call(remote_address, (server.socket,)), Ok(addresses[0]));
        assert_eq!(guest.call(remote_address, (client.socket,)), Ok(addresses[1]));
    }
}

#[test]
fn one_operation_is_in_progress_at_a_time() {
    let mut guest = networked();
    let network = network(&mut guest);
    let family = IpAddressFamily::Ipv4;
    let listener = listening(&mut guest, family);
    let remote = guest.call(local_address, (listener,)).unwrap();
    let (socket, address) = (create(&mut guest, family), loopback(family, 0));
    let conflict = Err(ErrorCode::ConcurrencyConflict);

    assert_eq!(guest.call(start_bind, (socket, network, address)), Ok(()));
    assert_eq!(guest.call(start_bind, (socket, network, address)), conflict);
    assert_eq!(guest.call(start_listen, (socket,)), conflict);
    assert_eq!(guest.call(start_connect, (socket, network, remote)), conflict);
    assert_eq!(guest.call(finish_listen, (socket,)), Err(ErrorCode::NotInProgress));
    assert_eq!(guest.call(finish_connect, (socket,)).err(), Some(ErrorCode::NotInProgress));
    assert_eq!(guest.call(finish_bind, (socket,)), Ok(()));

    assert_eq!(guest.call(start_listen, (socket,)), Ok(()));
    assert_eq!(guest.call(start_listen, (socket,)), conflict);
    assert_eq!(guest.call(start_connect, (socket, network, remote)), conflict);
    assert_eq!(guest.call(finish_bind, (socket,)), Err(ErrorCode::NotInProgress));
    assert_eq!(guest.call(finish_listen, (socket,)), Ok(()));

    let client = create(&mut guest, family);
    assert_eq!(guest.call(start_connect, (client, network, remote)), Ok(()));
    assert_eq!(guest.call(start_connect, (client, network, remote)), conflict);
    assert_eq!(guest.call(start_bind, (client, network, address)), conflict);
    assert_eq!(guest.call(start_listen, (client,)), conflict);
    assert_eq!(guest.call(set_listen_backlog_size, (client, 1)), Err(ErrorCode::InvalidState));
    assert_eq!(guest.call(finish_connect, (client,)).err(), Some(ErrorCode::WouldBlock));
    // It has no streams yet.
    assert_eq!(guest.call(shutdown, (client, ShutdownType::Send)), Err(ErrorCode::InvalidState));
    assert!(until_done(&mut guest, finish_connect, (client,)).is_ok());
    assert_eq!(guest.call(finish_connect, (client,)).err(), Some(ErrorCode::NotInProgress));
}

#[test]
fn what_cannot_be_bound_to_is_refused_and_another_address_may_be_tried() {
    let mut guest = networked();
    for family in FAMILIES {
        let socket = create(&mut guest, family);
        let (broadcast, multicast) = match family {
            IpAddressFamily::Ipv4 => (v4((255, 255, 255, 255), 0), v4((224, 254, 0, 0), 0)),
            IpAddressFamily::Ipv6 => (mapped(0), v6((0xff00, 0, 0, 0, 0, 0, 0, 0), 0)),
        };
        for address in [broadcast, multicast, loopback(other(family), 0)] {
            assert_eq!(bind(&mut guest, socket, address), Err(ErrorCode::InvalidArgument), "{address:?}");
        }
        let refused = bind(&mut guest, socket, elsewhere(family));
        assert_eq!(refused, Err(ErrorCode::AddressNotBindable));
        let taken = listening(&mut guest, family);
        let taken = guest.call(local_address, (taken,)).unwrap();
        assert_eq!(bind(&mut guest, socket, taken), Err(ErrorCode::AddressInUse));
        assert_eq!(bind(&mut guest, socket, unspecified(family, port(taken))), Err(ErrorCode::AddressInUse));

        assert_eq!(bind(&mut guest, socket, unspecified(family, 12_345)), Ok(()));
        assert_eq!(guest.call(local_address, (socket,)), Ok(unspecified(family, 12_345)));
    }
}

#[test]
fn what_cannot_be_connected_to_is_refused() {
    let mut guest = networked();
    let network = network(&mut guest);
    for family in FAMILIES {
        let socket = create(&mut guest, family);
        let (broadcast, multicast) = match family {
            IpAddressFamily::Ipv4 => (v4((255, 255, 255, 255), 47), v4((224, 254, 0, 0), 47)),
            IpAddressFamily::Ipv6 => (mapped(47), v6((0xff00, 0, 0, 0, 0, 0, 0, 0), 47)),
        };
        let (nobody, none) = (unspecified(family, 47), loopback(family, 0));
        for address in [broadcast, multicast, nobody, none, loopback(other(family), 47)] {
            let refused = guest.call(start_connect, (socket, network, address));
            assert_eq!(refused, Err(ErrorCode::InvalidArgument), "{address:?}");
        }
    }
}

#[test]
fn a_socket_that_could_not_connect_is_good_for_nothing() {
    let mut guest = networked();
    let network = network(&mut guest);
    for family in FAMILIES {
        let socket = create(&mut guest, family);
        let nobody = loopback(family, 47);
        assert_eq!(connect(&mut guest, socket, nobody).err(), Some(ErrorCode::ConnectionRefused));
        assert_eq!(guest.call(finish_connect, (socket,)).err(), Some(ErrorCode::NotInProgress));
        assert_eq!(guest.call(start_connect, (socket, network, nobody)), Err(ErrorCode::InvalidState));
        assert_eq!(guest.call(start_listen, (socket,)), Err(ErrorCode::InvalidState));
        assert_eq!(guest.call(start_bind, (socket, network, nobody)), Err(ErrorCode::InvalidState));
        assert_eq!(guest.call(shutdown, (socket, ShutdownType::Both)), Err(ErrorCode::InvalidState));
    }
}

#[test]
fn bytes_go_both_ways_from_an_address_that_was_bound() {
    let mut guest = networked();
    for family in FAMILIES {
        let listener = listening(&mut guest, family);
        let address = guest.call(local_address, (listener,)).unwrap();
        let socket = bound(&mut guest, family);
        let from = guest.call(local_address, (socket,)).unwrap();
        let (input, output) = connect(&mut guest, socket, address).unwrap();
        let (accepted, their_input, their_output) = until_done(&mut guest, accept, (listener,)).unwrap();
        assert_eq!(guest.call(remote_address, (lend(&accepted),)), Ok(from));
        write(&mut guest, lend(&output), b"there");
        write(&mut guest, lend(&their_output), b"and back");
        assert_eq!(read(&mut guest, lend(&their_input), 5), b"there");
        assert_eq!(read(&mut guest, lend(&input), 8), b"and back");

        // The streams go before the socket.
        assert!(matches!(guest.drop::<TcpSocket>(socket.rep), Err(Trap::Host(_))));
        guest.drop::<Input>(input.rep).unwrap();
        assert!(matches!(guest.drop::<TcpSocket>(socket.rep), Err(Trap::Host(_))));
        guest.drop::<Output>(output.rep).unwrap();
        guest.drop::<TcpSocket>(socket.rep).unwrap();
        // With which the connection ends.
        assert_eq!(read(&mut guest, lend(&their_input), 1), b"");
    }
}

#[test]
fn a_socket_is_ready_when_what_is_in_progress_is() {
    let mut guest = networked();
    let network = network(&mut guest);
    for family in FAMILIES {
        let listener = create(&mut guest, family);
        let ready = guest.call(subscribe, (listener,));
        assert_eq!(guest.call(start_bind, (listener, network, loopback(family, 0))), Ok(()));
        assert!(is_ready(&mut guest, &ready));
        assert_eq!(guest.call(finish_bind, (listener,)), Ok(()));
        assert_eq!(guest.call(start_listen, (listener,)), Ok(()));
        assert!(is_ready(&mut guest, &ready));
        assert_eq!(guest.call(finish_listen, (listener,)), Ok(()));
        assert!(!is_ready(&mut guest, &ready));
        let address = guest.call(local_address, (listener,)).unwrap();

        let client = create(&mut guest, family);
        let connected = guest.call(subscribe, (client,));
        assert_eq!(guest.call(start_connect, (client, network, address)), Ok(()));
        assert!(!is_ready(&mut guest, &connected));
        // Both are waited for, and wake.
        let both = vec![lend(&ready), lend(&connected)];
        let polled = guest.until_polled(poll::poll, (both,));
        assert!(!polled.is_empty());
        guest.until(|guest| is_ready(guest, &ready).then_some(()));
        guest.until(|guest| is_ready(guest, &connected).then_some(()));
        assert!(guest.call(finish_connect, (client,)).is_ok());
        assert!(guest.call(accept, (listener,)).is_ok());
        assert!(!is_ready(&mut guest, &ready));
    }
}

#[test]
fn a_stream_that_waits_for_the_other_side_is_woken() {
    let mut guest = networked();
    let (client, server) = connected(&mut guest, IpAddressFamily::Ipv4);
    let readable = guest.call(streams::subscribe_input, (server.input,));
    assert!(!is_ready(&mut guest, &readable));
    // A look at what is not there does not take the waker away.
    assert_eq!(guest.call(streams::read, (server.input, 1)), Ok(vec![]));
    assert!(guest.poll(poll::block, (lend(&readable),)).is_pending());
    write(&mut guest, client.output, b"x");
    guest.settle();
    assert!(guest.wakes() > 0);
    assert!(guest.poll_again(poll::block, (lend(&readable),)).is_ready());
    assert_eq!(guest.call(streams::read, (server.input, 9)), Ok(b"x".to_vec()));
}

#[test]
fn what_is_shut_down_for_sending_is_closed_and_the_other_side_hears_all_before() {
    let mut guest = networked();
    for family in FAMILIES {
        let (client, server) = connected(&mut guest, family);
        let permit = guest.call(streams::check_write, (client.output,)).unwrap();
        let bytes: Vec<u8> = (0..permit).map(|index| (index % 251) as u8).collect();
        assert_eq!(guest.call(streams::write, (client.output, bytes.clone())), Ok(()));
        for _ in 0..2 {
            assert_eq!(guest.call(shutdown, (client.socket, ShutdownType::Send)), Ok(()));
        }
        assert_eq!(guest.call(streams::write, (client.output, vec![])), Err(CLOSED));
        assert_eq!(guest.call(streams::check_write, (client.output,)), Err(CLOSED));
        assert_eq!(guest.call(streams::flush, (client.output,)), Err(CLOSED));
        let writable = guest.call(streams::subscribe_output, (client.output,));
        assert!(is_ready(&mut guest, &writable));
        assert_eq!(read(&mut guest, server.input, bytes.len() + 1), bytes);
        assert_eq!(guest.call(streams::read, (server.input, 1)), Err(CLOSED));
        assert_eq!(guest.call(streams::read, (server.input, 0)), Err(CLOSED));
        // The other way is open.
        write(&mut guest, server.output, b"still");
        assert_eq!(read(&mut guest, client.input, 5), b"still");
    }
}

#[test]
fn what_is_shut_down_for_receiving_is_closed_at_once() {
    let mut guest = networked();
    for family in FAMILIES {
        let (client, server) = connected(&mut guest, family);
        write(&mut guest, server.output, b"nobody reads this");
        let readable = guest.call(streams::subscribe_input, (client.input,));
        guest.until(|guest| is_ready(guest, &readable).then_some(()));
        for _ in 0..2 {
            assert_eq!(guest.call(shutdown, (client.socket, ShutdownType::Receive)), Ok(()));
        }
        assert_eq!(guest.call(streams::read, (client.input, 10)), Err(CLOSED));
        assert_eq!(guest.call(streams::read, (client.input, 0)), Err(CLOSED));
        assert!(is_ready(&mut guest, &readable));
        write(&mut guest, client.output, b"heard");
        assert_eq!(read(&mut guest, server.input, 5), b"heard");
    }
}

#[test]
fn what_is_shut_down_for_both_is_closed_both_ways() {
    let mut guest = networked();
    let (client, server) = connected(&mut guest, IpAddressFamily::Ipv4);
    assert_eq!(guest.call(shutdown, (client.socket, ShutdownType::Both)), Ok(()));
    assert_eq!(guest.call(streams::read, (client.input, 1)), Err(CLOSED));
    assert_eq!(guest.call(streams::check_write, (client.output,)), Err(CLOSED));
    assert_eq!(read(&mut guest, server.input, 1), b"");
}

#[test]
fn a_connection_that_finds_no_room_is_not_lost() {
    let mut guest = networked_with(3);
    let family = IpAddressFamily::Ipv4;
    let listener = listening(&mut guest, family);
    let address = guest.call(local_address, (listener,)).unwrap();
    let client = create(&mut guest, family);
    connect(&mut guest, client, address).unwrap();
    let in_the_way = create(&mut guest, family);
    guest.settle();
    assert_eq!(guest.call(accept, (listener,)).err(), Some(ErrorCode::NewSocketLimit));
    assert_eq!(guest.call(create_tcp_socket, (family,)).err(), Some(ErrorCode::NewSocketLimit));
    guest.drop::<TcpSocket>(in_the_way.rep).unwrap();
    assert!(guest.call(accept, (listener,)).is_ok());
}

#[test]
fn options_have_ranges() {
    let mut guest = networked();
    for family in FAMILIES {
        let socket = create(&mut guest, family);
        assert_eq!(guest.call(set_listen_backlog_size, (socket, 0)), Err(ErrorCode::InvalidArgument));
        assert_eq!(guest.call(set_listen_backlog_size, (socket, 1)), Ok(()));
        assert_eq!(guest.call(set_listen_backlog_size, (socket, u64::MAX)), Ok(()));
        type Wide = (
            fn(&mut crate::preview2::Preview2<'_>, &(Borrow<TcpSocket>,)) -> Polled<Result<u64, ErrorCode>>,
            fn(
                &mut crate::preview2::Preview2<'_>,
                &(Borrow<TcpSocket>, u64),
            ) -> Polled<Result<(), ErrorCode>>,
        );
        let wide: [Wide; 4] = [
            (keep_alive_idle_time, set_keep_alive_idle_time),
            (keep_alive_interval, set_keep_alive_interval),
            (receive_buffer_size, set_receive_buffer_size),
            (send_buffer_size, set_send_buffer_size),
        ];
        for (get, set) in wide {
            let default = guest.call(get, (socket,)).unwrap();
            assert!(default > 0);
            assert_eq!(guest.call(set, (socket, 0)), Err(ErrorCode::InvalidArgument));
            assert_eq!(guest.call(get, (socket,)), Ok(default));
            for value in [1, u64::MAX] {
                assert_eq!(guest.call(set, (socket, value)), Ok(()));
                assert!(guest.call(get, (socket,)).unwrap() > 0);
            }
        }
        for (set, value) in [(set_keep_alive_idle_time as Wide1, 1), (set_keep_alive_interval as Wide1, 1)] {
            assert_eq!(guest.call(set, (socket, value)), Ok(()));
        }
        assert!(guest.call(keep_alive_idle_time, (socket,)).unwrap() <= SECOND);
        assert!(guest.call(keep_alive_interval, (socket,)).unwrap() <= SECOND);
        assert!(guest.call(keep_alive_count, (socket,)).unwrap() > 0);
        assert_eq!(guest.call(set_keep_alive_count, (socket, 0)), Err(ErrorCode::InvalidArgument));
        assert_eq!(guest.call(set_keep_alive_count, (socket, 1)), Ok(()));
        assert_eq!(guest.call(set_keep_alive_count, (socket, u32::MAX)), Ok(()));
        assert!(guest.call(hop_limit, (socket,)).unwrap() > 0);
        assert_eq!(guest.call(set_hop_limit, (socket, 0)), Err(ErrorCode::InvalidArgument));
        assert_eq!(guest.call(set_hop_limit, (socket, u8::MAX)), Ok(()));
        assert_eq!(guest.call(hop_limit, (socket,)), Ok(u8::MAX));
        for size in [0x1_0000, 0x2_0000] {
            assert_eq!(guest.call(set_receive_buffer_size, (socket, size)), Ok(()));
            assert_eq!(guest.call(receive_buffer_size, (socket,)), Ok(size));
            assert_eq!(guest.call(set_send_buffer_size, (socket, size + 0x1_0000)), Ok(()));
            assert_eq!(guest.call(send_buffer_size, (socket,)), Ok(size + 0x1_0000));
        }
    }
}

type Wide1 =
    fn(&mut crate::preview2::Preview2<'_>, &(Borrow<TcpSocket>, u64)) -> Polled<Result<(), ErrorCode>>;

#[test]
fn what_is_accepted_has_the_options_of_its_listener_at_that_time() {
    let mut guest = networked();
    for family in FAMILIES {
        let listener = create(&mut guest, family);
        let keep_alive = guest.call(keep_alive_enabled, (listener,)).unwrap();
        let set = |guest: &mut Guest, on: bool, value: u64| {
            assert_eq!(guest.call(set_keep_alive_enabled, (listener, on)), Ok(()));
            assert_eq!(guest.call(set_keep_alive_idle_time, (listener, value * SECOND)), Ok(()));
            assert_eq!(guest.call(set_keep_alive_interval, (listener, value * SECOND)), Ok(()));
            assert_eq!(guest.call(set_keep_alive_count, (listener, value as u32)), Ok(()));
            assert_eq!(guest.call(set_hop_limit, (listener, value as u8)), Ok(()));
            assert_eq!(guest.call(set_receive_buffer_size, (listener, value << 12)), Ok(()));
            assert_eq!(guest.call(set_send_buffer_size, (listener, value << 12)), Ok(()));
        };
        let check = |guest: &mut Guest, socket: Borrow<TcpSocket>, on: bool, value: u64| {
            assert_eq!(guest.call(keep_alive_enabled, (socket,)), Ok(on));
            assert_eq!(guest.call(keep_alive_idle_time, (socket,)), Ok(value * SECOND));
            assert_eq!(guest.call(keep_alive_interval, (socket,)), Ok(value * SECOND));
            assert_eq!(guest.call(keep_alive_count, (socket,)), Ok(value as u32));
            assert_eq!(guest.call(hop_limit, (socket,)), Ok(value as u8));
            assert_eq!(guest.call(receive_buffer_size, (socket,)), Ok(value << 12));
            assert_eq!(guest.call(send_buffer_size, (socket,)), Ok(value << 12));
        };
        set(&mut guest, !keep_alive, 42);
        bind(&mut guest, listener, loopback(family, 0)).unwrap();
        listen(&mut guest, listener).unwrap();
        let address = guest.call(local_address, (listener,)).unwrap();
        let (_, first) = connected_to(&mut guest, listener, address, family);
        check(&mut guest, first.socket, !keep_alive, 42);
        set(&mut guest, keep_alive, 43);
        check(&mut guest, first.socket, !keep_alive, 42);
        let (_, second) = connected_to(&mut guest, listener, address, family);
        check(&mut guest, second.socket, keep_alive, 43);
        check(&mut guest, first.socket, !keep_alive, 42);
    }
}
