//! `udp`.

use super::*;
use crate::preview2::sockets::udp::*;

fn create(guest: &mut Guest, family: IpAddressFamily) -> Borrow<UdpSocket> {
    lend(&guest.call(create_udp_socket, (family,)).unwrap())
}

fn bind(guest: &mut Guest, socket: Borrow<UdpSocket>, address: IpSocketAddress) -> Result<(), ErrorCode> {
    let network = lend(&guest.call(instance, ()));
    guest.call(start_bind, (socket, network, address))?;
    guest.call(finish_bind, (socket,))
}

fn bound(guest: &mut Guest, family: IpAddressFamily) -> (Borrow<UdpSocket>, IpSocketAddress) {
    let socket = create(guest, family);
    bind(guest, socket, loopback(family, 0)).unwrap();
    (socket, guest.call(local_address, (socket,)).unwrap())
}

struct Streams {
    incoming: Borrow<IncomingDatagramStream>,
    outgoing: Borrow<OutgoingDatagramStream>,
}

fn streams(
    guest: &mut Guest,
    socket: Borrow<UdpSocket>,
    peer: Option<IpSocketAddress>,
) -> Result<Streams, ErrorCode> {
    let (incoming, outgoing) = guest.call(stream, (socket, peer))?;
    Ok(Streams { incoming: lend(&incoming), outgoing: lend(&outgoing) })
}

/// Streams of a socket that sends to another, and the other's.
fn pair(guest: &mut Guest) -> (Streams, Streams) {
    let family = IpAddressFamily::Ipv4;
    let ((one, _), (other, address)) = (bound(guest, family), bound(guest, family));
    (streams(guest, one, Some(address)).unwrap(), streams(guest, other, None).unwrap())
}

/// Drops both.
fn drop_streams(guest: &mut Guest, Streams { incoming, outgoing }: Streams) {
    guest.drop::<IncomingDatagramStream>(incoming.rep).unwrap();
    guest.drop::<OutgoingDatagramStream>(outgoing.rep).unwrap();
}

fn datagram(data: &[u8], remote_address: Option<IpSocketAddress>) -> OutgoingDatagram {
    OutgoingDatagram { data: data.to_vec(), remote_address }
}

fn send_all(
    guest: &mut Guest,
    streams: &Streams,
    datagrams: Vec<OutgoingDatagram>,
) -> Result<u64, ErrorCode> {
    assert!(guest.call(check_send, (streams.outgoing,)).unwrap() >= datagrams.len() as u64);
    guest.call(send, (streams.outgoing, datagrams))
}

/// Receives so many, what they say and where they are from.
fn received(guest: &mut Guest, streams: &Streams, count: usize) -> Vec<(Vec<u8>, IpSocketAddress)> {
    let mut all = Vec::new();
    while all.len() < count {
        let some = guest.until(|guest| {
            let some = guest.call(receive, (streams.incoming, (count - all.len()) as u64)).unwrap();
            (!some.is_empty()).then_some(some)
        });
        all.extend(some.into_iter().map(|datagram| (datagram.data, datagram.remote_address)));
    }
    all
}

fn options_work(guest: &mut Guest, socket: Borrow<UdpSocket>) {
    assert_eq!(guest.call(set_unicast_hop_limit, (socket, 42)), Ok(()));
    assert_eq!(guest.call(set_receive_buffer_size, (socket, 0x1_0000)), Ok(()));
    assert_eq!(guest.call(set_send_buffer_size, (socket, 0x2_0000)), Ok(()));
    assert_eq!(guest.call(unicast_hop_limit, (socket,)), Ok(42));
    assert_eq!(guest.call(receive_buffer_size, (socket,)), Ok(0x1_0000));
    assert_eq!(guest.call(send_buffer_size, (socket,)), Ok(0x2_0000));
}

#[test]
fn a_new_socket_can_be_bound_and_nothing_else() {
    let mut guest = networked();
    for family in FAMILIES {
        let socket = create(&mut guest, family);
        assert_eq!(guest.call(finish_bind, (socket,)), Err(ErrorCode::NotInProgress));
        // Other than in POSIX.
        for peer in [None, Some(loopback(family, 47))] {
            assert_eq!(streams(&mut guest, socket, peer).err(), Some(ErrorCode::InvalidState));
        }
        assert_eq!(guest.call(local_address, (socket,)), Err(ErrorCode::InvalidState));
        assert_eq!(guest.call(remote_address, (socket,)), Err(ErrorCode::InvalidState));
        assert_eq!(guest.call(address_family, (socket,)), family);
        options_work(&mut guest, socket);
    }
}

#[test]
fn a_socket_is_bound_once() {
    let mut guest = networked();
    let network = lend(&guest.call(instance, ()));
    for family in FAMILIES {
        let (socket, address) = (create(&mut guest, family), loopback(family, 0));
        assert_eq!(guest.call(start_bind, (socket, network, address)), Ok(()));
        let again = guest.call(start_bind, (socket, network, address));
        assert_eq!(again, Err(ErrorCode::ConcurrencyConflict));
        let ready = guest.call(subscribe, (socket,));
        assert!(is_ready(&mut guest, &ready));
        assert_eq!(guest.call(finish_bind, (socket,)), Ok(()));
        assert_eq!(guest.call(finish_bind, (socket,)), Err(ErrorCode::NotInProgress));
        assert_eq!(guest.call(start_bind, (socket, network, address)), Err(ErrorCode::InvalidState));
        assert_eq!(guest.call(finish_bind, (socket,)), Err(ErrorCode::NotInProgress));
        let bound = guest.call(local_address, (socket,)).unwrap();
        assert_ne!(port(bound), 0);
        assert_eq!(bound, loopback(family, port(bound)));
        assert_eq!(guest.call(remote_address, (socket,)), Err(ErrorCode::InvalidState));
        options_work(&mut guest, socket);
    }
}

#[test]
fn a_peer_that_is_not_there_refuses() {
    let mut guest = networked();
    for family in FAMILIES {
        let (socket, _) = bound(&mut guest, family);
        let streams = streams(&mut guest, socket, Some(loopback(family, 9))).unwrap();
        let outcome = |guest: &mut Guest| {
            guest.until(|guest| match guest.call(receive, (streams.incoming, 16)) {
                Ok(some) if some.is_empty() => None,
                outcome => Some(outcome),
            })
        };
        assert_eq!(send_all(&mut guest, &streams, [datagram(b"x", None)].into()), Ok(1));
        assert_eq!(outcome(&mut guest), Err(ErrorCode::ConnectionRefused));
        // Once, and the next that is sent is refused again.
        assert_eq!(guest.call(receive, (streams.incoming, 16)), Ok([].into()));
        assert_eq!(send_all(&mut guest, &streams, [datagram(b"x", None)].into()), Ok(1));
        assert_eq!(outcome(&mut guest), Err(ErrorCode::ConnectionRefused));
    }
}

#[test]
fn what_cannot_be_bound_to_is_refused_and_another_address_may_be_tried() {
    let mut guest = networked();
    for family in FAMILIES {
        let socket = create(&mut guest, family);
        let wrong = loopback(other(family), 0);
        assert_eq!(bind(&mut guest, socket, wrong), Err(ErrorCode::InvalidArgument));
        if family == IpAddressFamily::Ipv6 {
            assert_eq!(bind(&mut guest, socket, mapped(0)), Err(ErrorCode::InvalidArgument));
        }
        let refused = bind(&mut guest, socket, elsewhere(family));
        assert_eq!(refused, Err(ErrorCode::AddressNotBindable));
        let (_, taken) = bound(&mut guest, family);
        assert_eq!(bind(&mut guest, socket, taken), Err(ErrorCode::AddressInUse));
        assert_eq!(bind(&mut guest, socket, unspecified(family, 12_345)), Ok(()));
        assert_eq!(guest.call(local_address, (socket,)), Ok(unspecified(family, 12_345)));
    }
}

#[test]
fn datagrams_arrive_whole_with_their_senders_address() {
    let mut guest = networked();
    for family in FAMILIES {
        let (one, one_address) = bound(&mut guest, family);
        let (other, other_address) = bound(&mut guest, family);
        let one = streams(&mut guest, one, Some(other_address)).unwrap();
        let other = streams(&mut guest, other, None).unwrap();
        assert_eq!(guest.call(receive, (other.incoming, 9)), Ok(vec![]));
        let datagrams = vec![datagram(b"", None), datagram(b"to the peer", Some(other_address))];
        assert_eq!(send_all(&mut guest, &one, datagrams), Ok(2));
        let expected = [(b"".to_vec(), one_address), (b"to the peer".to_vec(), one_address)];
        assert_eq!(received(&mut guest, &other, 2), expected);
        let back = vec![datagram(b"back", Some(one_address))];
        assert_eq!(send_all(&mut guest, &other, back), Ok(1));
        assert_eq!(received(&mut guest, &one, 1), [(b"back".to_vec(), other_address)]);
        assert_eq!(guest.call(receive, (one.incoming, 0)), Ok(vec![]));
    }
}

#[test]
fn no_more_are_received_than_were_asked_for() {
    let mut guest = networked();
    let (one, other) = pair(&mut guest);
    let datagrams = (0..5).map(|index| datagram(&[index], None)).collect();
    assert_eq!(send_all(&mut guest, &one, datagrams), Ok(5));
    guest.settle();
    assert_eq!(guest.call(receive, (other.incoming, 0)), Ok(vec![]));
    let data = |datagrams: Vec<IncomingDatagram>| -> Vec<u8> {
        datagrams.into_iter().map(|datagram| datagram.data[0]).collect()
    };
    assert_eq!(data(guest.call(receive, (other.incoming, 2)).unwrap()), [0, 1]);
    assert_eq!(data(guest.call(receive, (other.incoming, u64::MAX)).unwrap()), [2, 3, 4]);
}

#[test]
fn a_call_receives_a_bounded_number_and_so_many_bytes() {
    let mut guest = networked();
    let family = IpAddressFamily::Ipv4;
    let (one, _) = bound(&mut guest, family);
    let other = create(&mut guest, family);
    assert_eq!(guest.call(set_receive_buffer_size, (other, 1 << 20)), Ok(()));
    bind(&mut guest, other, loopback(family, 0)).unwrap();
    let address = guest.call(local_address, (other,)).unwrap();
    let one = streams(&mut guest, one, Some(address)).unwrap();
    let other = streams(&mut guest, other, None).unwrap();
    // How many there are, how large, and how many of them come at once.
    for (count, len, first) in [(18, 1, 16), (6, 16_000, 5)] {
        for _ in 0..count {
            assert_eq!(send_all(&mut guest, &one, vec![datagram(&vec![7; len], None)]), Ok(1));
            guest.settle();
        }
        for expected in [first, count - first, 0] {
            let some = guest.call(receive, (other.incoming, u64::MAX)).unwrap();
            assert_eq!(some.len(), expected, "of {count} of {len} bytes");
        }
    }
}

#[test]
fn nothing_is_permitted_while_there_is_no_room() {
    let mut guest = networked();
    let (one, _) = pair(&mut guest);
    let writable = guest.call(subscribe_outgoing, (one.outgoing,));
    // Nothing leaves without a turn of the network.
    let mut sent = 0;
    while guest.call(check_send, (one.outgoing,)).unwrap() > 0 {
        sent += guest.call(send, (one.outgoing, vec![datagram(&[7; 8_000], None)])).unwrap();
        assert!(sent < 1_000);
    }
    assert!(!is_ready(&mut guest, &writable));
    let one_more = (one.outgoing, vec![datagram(b"x", None)]);
    assert!(matches!(guest.trap(send, one_more), Trap::Host(_)));
    guest.settle();
    assert!(is_ready(&mut guest, &writable));
    assert!(guest.call(check_send, (one.outgoing,)).unwrap() > 0);
}

#[test]
fn what_was_not_permitted_is_a_trap() {
    let mut guest = networked();
    let family = IpAddressFamily::Ipv4;
    let (socket, _) = bound(&mut guest, family);
    let peer = streams(&mut guest, socket, Some(loopback(family, 47))).unwrap();
    // Nothing needs no permission.
    assert_eq!(guest.call(send, (peer.outgoing, vec![])), Ok(0));
    let one = vec![datagram(b"x", None)];
    assert!(matches!(guest.trap(send, (peer.outgoing, one.clone())), Trap::Host(_)));
    let permit = guest.call(check_send, (peer.outgoing,)).unwrap();
    let too_many = vec![datagram(b"x", None); usize::try_from(permit).unwrap() + 1];
    assert!(matches!(guest.trap(send, (peer.outgoing, too_many)), Trap::Host(_)));
    // A permission is for one call.
    assert_eq!(guest.call(send, (peer.outgoing, one.clone())), Ok(1));
    assert!(matches!(guest.trap(send, (peer.outgoing, one)), Trap::Host(_)));
}

#[test]
fn there_is_one_pair_of_streams_at_a_time() {
    let mut guest = networked();
    for family in FAMILIES {
        let socket = create(&mut guest, family);
        bind(&mut guest, socket, unspecified(family, 0)).unwrap();
        let one = loopback(family, 4321);
        for peer in [None, Some(one), Some(loopback(family, 4320)), None, None, Some(one), Some(one)] {
            let pair = streams(&mut guest, socket, peer).unwrap();
            assert_eq!(guest.call(remote_address, (socket,)), peer.ok_or(ErrorCode::InvalidState));
            assert!(guest.call(local_address, (socket,)).is_ok());
            assert!(matches!(guest.trap(stream, (socket, None)), Trap::Host(_)));
            guest.drop::<IncomingDatagramStream>(pair.incoming.rep).unwrap();
            assert!(matches!(guest.trap(stream, (socket, None)), Trap::Host(_)));
            assert!(matches!(guest.drop::<UdpSocket>(socket.rep), Err(Trap::Host(_))));
            guest.drop::<OutgoingDatagramStream>(pair.outgoing.rep).unwrap();
        }
        options_work(&mut guest, socket);
        guest.drop::<UdpSocket>(socket.rep).unwrap();
    }
}

#[test]
fn there_are_no_streams_to_what_is_no_peer() {
    let mut guest = networked();
    for family in FAMILIES {
        let (socket, _) = bound(&mut guest, family);
        let mut wrong = vec![unspecified(family, 47), loopback(family, 0), loopback(other(family), 47)];
        if family == IpAddressFamily::Ipv6 {
            wrong.push(mapped(47));
        }
        for peer in wrong {
            let refused = streams(&mut guest, socket, Some(peer)).err();
            assert_eq!(refused, Some(ErrorCode::InvalidArgument), "{peer:?}");
            let pair = streams(&mut guest, socket, None).unwrap();
            let sent = send_all(&mut guest, &pair, vec![datagram(b"x", Some(peer))]);
            assert_eq!(sent, Err(ErrorCode::InvalidArgument), "{peer:?}");
            drop_streams(&mut guest, pair);
        }
        // To nobody, and to another than the peer.
        let pair = streams(&mut guest, socket, None).unwrap();
        let sent = send_all(&mut guest, &pair, vec![datagram(b"x", None)]);
        assert_eq!(sent, Err(ErrorCode::InvalidArgument));
        drop_streams(&mut guest, pair);
        let pair = streams(&mut guest, socket, Some(loopback(family, 47))).unwrap();
        let another = Some(loopback(family, 48));
        let sent = send_all(&mut guest, &pair, vec![datagram(b"x", another)]);
        assert_eq!(sent, Err(ErrorCode::InvalidArgument));
    }
}

#[test]
fn an_error_behind_the_first_datagram_is_left_for_the_next_call() {
    let mut guest = networked();
    let family = IpAddressFamily::Ipv4;
    let (one, _) = bound(&mut guest, family);
    let (_, address) = bound(&mut guest, family);
    let one = streams(&mut guest, one, Some(address)).unwrap();
    let too_large = datagram(&vec![0; 70_000], None);
    let sent =
        send_all(&mut guest, &one, vec![datagram(b"x", None), too_large.clone(), datagram(b"y", None)]);
    assert_eq!(sent, Ok(1));
    assert_eq!(send_all(&mut guest, &one, vec![too_large]), Err(ErrorCode::DatagramTooLarge));
}

#[test]
fn from_a_peer_come_only_its_datagrams_even_of_those_that_were_there() {
    let mut guest = networked();
    for family in FAMILIES {
        let (to, address) = bound(&mut guest, family);
        let senders = [(); 2].map(|()| {
            let (socket, from) = bound(&mut guest, family);
            (streams(&mut guest, socket, Some(address)).unwrap(), from)
        });
        for (index, data) in [(0, b"a"), (1, b"b"), (0, b"c"), (1, b"d")] {
            assert_eq!(send_all(&mut guest, &senders[index].0, vec![datagram(data, None)]), Ok(1));
        }
        guest.settle();
        let pair = streams(&mut guest, to, Some(senders[1].1)).unwrap();
        let expected = [b"b", b"d"].map(|data| (data.to_vec(), senders[1].1));
        assert_eq!(received(&mut guest, &pair, 2), expected);
    }
}

#[test]
fn streams_are_ready_when_there_is_something_to_do() {
    let mut guest = networked();
    let (one, other) = pair(&mut guest);
    let readable = guest.call(subscribe_incoming, (other.incoming,));
    let writable = guest.call(subscribe_outgoing, (one.outgoing,));
    assert!(is_ready(&mut guest, &writable));
    assert!(!is_ready(&mut guest, &readable));
    assert_eq!(guest.call(receive, (other.incoming, 1)), Ok(vec![]));
    assert!(guest.poll(poll::block, (lend(&readable),)).is_pending());
    assert_eq!(send_all(&mut guest, &one, vec![datagram(b"x", None)]), Ok(1));
    guest.settle();
    assert!(guest.poll_again(poll::block, (lend(&readable),)).is_ready());
    assert_eq!(received(&mut guest, &other, 1).len(), 1);
    assert!(!is_ready(&mut guest, &readable));
    // The streams of a pollable go after it.
    assert!(matches!(guest.drop::<IncomingDatagramStream>(other.incoming.rep), Err(Trap::Host(_))));
}

#[test]
fn options_have_ranges() {
    let mut guest = networked();
    for family in FAMILIES {
        let socket = create(&mut guest, family);
        assert!(guest.call(unicast_hop_limit, (socket,)).unwrap() > 0);
        assert_eq!(guest.call(set_unicast_hop_limit, (socket, 0)), Err(ErrorCode::InvalidArgument));
        assert_eq!(guest.call(set_unicast_hop_limit, (socket, 1)), Ok(()));
        assert_eq!(guest.call(set_unicast_hop_limit, (socket, u8::MAX)), Ok(()));
        assert_eq!(guest.call(unicast_hop_limit, (socket,)), Ok(u8::MAX));
        assert!(guest.call(receive_buffer_size, (socket,)).unwrap() > 0);
        assert!(guest.call(send_buffer_size, (socket,)).unwrap() > 0);
        assert_eq!(guest.call(set_receive_buffer_size, (socket, 0)), Err(ErrorCode::InvalidArgument));
        assert_eq!(guest.call(set_send_buffer_size, (socket, 0)), Err(ErrorCode::InvalidArgument));
        for size in [1, u64::MAX] {
            assert_eq!(guest.call(set_receive_buffer_size, (socket, size)), Ok(()));
            assert_eq!(guest.call(set_send_buffer_size, (socket, size)), Ok(()));
            assert!(guest.call(receive_buffer_size, (socket,)).unwrap() > 0);
            assert!(guest.call(send_buffer_size, (socket,)).unwrap() > 0);
        }
    }
}
