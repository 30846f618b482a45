//! One machine, with itself.

use super::*;
use crate::io::{InputStream, OutputStream};

fn local() -> (Network, Access) {
    let network = alone();
    let access = Access::new(network.clone(), Policy::everything());
    (network, access)
}

#[test]
fn a_connection_carries_bytes_both_ways_and_ends() {
    let (network, access) = local();
    for host in ["127.0.0.1:0", "[::1]:0"] {
        run(&[&network], async {
            let server = listen(&access, address(host)).unwrap();
            let at = server.local_address().unwrap();
            assert_ne!(at.port(), 0);
            let client = connect(&access, at).await.unwrap();
            let served = accept(&server).await.unwrap();
            assert_eq!(client.remote_address(), Some(at));
            assert_eq!(served.remote_address(), client.local_address());
            assert_eq!(served.local_address(), Some(at));
            let (ping, pong) = (pattern(300_000), pattern(200_000));
            let (sent, received) = (async { write_all(&client, &ping).await }, async {
                let mut all = Vec::new();
                while all.len() < ping.len() {
                    all.extend(read(&served, 10_000).await.unwrap());
                }
                all
            });
            let (sent, received) = join(sent, received).await;
            sent.unwrap();
            assert!(received == ping);
            client.shutdown(Shutdown::Send).unwrap();
            assert_eq!(read(&served, 10).await, Ok(Vec::new()));
            // The other direction goes on.
            let (sent, received) = join(
                async {
                    write_all(&served, &pong).await.unwrap();
                    drop(served);
                },
                read_all(&client),
            )
            .await;
            let () = sent;
            assert!(received.unwrap() == pong);
            assert_eq!(poll_once(|task| client.poll_write(task, b"x")), Poll::Ready(Err(Error::Pipe)));
        });
    }
}

#[test]
fn nobody_there_is_refused_and_a_port_has_one_owner() {
    let (network, access) = local();
    run(&[&network], async {
        let refused = connect(&access, address("127.0.0.1:9")).await;
        assert_eq!(refused.err(), Some(Error::ConnectionRefused));
        let server = listen(&access, address("127.0.0.1:80")).unwrap();
        for taken in ["127.0.0.1:80", "0.0.0.0:80"] {
            assert_eq!(listen(&access, address(taken)).err(), Some(Error::AddressInUse));
        }
        // The other family has its own.
        listen(&access, address("[::]:80")).unwrap();
        drop(server);
        let refused = connect(&access, address("127.0.0.1:80")).await;
        assert_eq!(refused.err(), Some(Error::ConnectionRefused));
        listen(&access, address("0.0.0.0:80")).unwrap();
    });
}

#[test]
fn what_was_not_accepted_is_reset_and_the_backlog_is_a_bound() {
    let (network, access) = local();
    run(&[&network], async {
        let server = access.tcp(Family::Ipv4).unwrap();
        server.bind(address("127.0.0.1:80")).unwrap();
        server.set_backlog(2);
        server.listen().unwrap();
        let first = connect(&access, address("127.0.0.1:80")).await.unwrap();
        let second = connect(&access, address("127.0.0.1:80")).await.unwrap();
        let third = access.tcp(Family::Ipv4).unwrap();
        third.connect(address("127.0.0.1:80")).unwrap();
        // It is asked again, and again there is no room.
        let served = accept(&server).await.unwrap();
        assert_eq!(served.remote_address(), first.local_address());
        poll_fn(|task| third.poll_connected(task)).await.unwrap();
        drop(server);
        assert_eq!(read(&second, 1).await, Err(Error::ConnectionReset));
        assert_eq!(read(&third, 1).await, Err(Error::ConnectionReset));
        write_all(&served, b"still there").await.unwrap();
        assert_eq!(read(&first, 100).await.unwrap(), b"still there");
    });
}

#[test]
fn states_are_told_apart() {
    let (network, access) = local();
    run(&[&network], async {
        let socket = access.tcp(Family::Ipv4).unwrap();
        assert_eq!(socket.listen(), Err(Error::InvalidState));
        assert_eq!(
            poll_once(|task| socket.poll_accept(task)).map(Result::err),
            Poll::Ready(Some(Error::InvalidState))
        );
        assert_eq!(poll_once(|task| socket.poll_connected(task)), Poll::Ready(Err(Error::InvalidState)));
        assert_eq!(socket.shutdown(Shutdown::Both), Err(Error::NotConnected));
        assert_eq!(poll_once(|task| socket.poll_read(task, &mut [0])), Poll::Ready(Err(Error::NotConnected)));
        assert_eq!(socket.bind(address("[::1]:0")), Err(Error::AddressFamily));
        assert_eq!(socket.bind(address("1.2.3.4:0")), Err(Error::AddressNotAvailable));
        assert_eq!(socket.bind(address("224.0.0.1:0")), Err(Error::Invalid));
        for nowhere in ["0.0.0.0:80", "127.0.0.1:0"] {
            assert_eq!(socket.connect(address(nowhere)), Err(Error::Invalid));
        }
        assert_eq!(socket.connect(address("[::1]:80")), Err(Error::AddressFamily));
        assert_eq!(socket.connect(address("1.2.3.4:80")), Err(Error::NetworkUnreachable));
        socket.bind(address("127.0.0.1:0")).unwrap();
        assert!(socket.is_bound());
        assert_eq!(socket.bind(address("127.0.0.1:0")), Err(Error::InvalidState));
        socket.listen().unwrap();
        assert!(socket.is_listening());
        assert_eq!(socket.connect(address("127.0.0.1:80")), Err(Error::InvalidState));
        let mapped = access.tcp(Family::Ipv6).unwrap();
        assert_eq!(mapped.connect(address("[::ffff:127.0.0.1]:80")), Err(Error::Invalid));
    });
}

#[test]
fn a_policy_is_kept() {
    let network = alone();
    let policy = Policy {
        connect: Allowed::These(
            ["127.0.0.1:80", "localhost:81", "[::1]:*"].map(|one| one.parse().unwrap()).into(),
        ),
        listen: Allowed::These([80, 81].into()),
    };
    let access = Access::new(network.clone(), policy);
    run(&[&network], async {
        let _servers = ["127.0.0.1:80", "127.0.0.1:81"].map(|at| listen(&access, address(at)).unwrap());
        assert_eq!(listen(&access, address("127.0.0.1:82")).err(), Some(Error::Access));
        listen(&access, address("127.0.0.1:0")).unwrap();
        connect(&access, address("127.0.0.1:80")).await.unwrap();
        // By its name alone.
        assert_eq!(connect(&access, address("127.0.0.1:81")).await.err(), Some(Error::Access));
        let mut lookup = access.resolve("LocalHost").unwrap();
        let found = poll_fn(|task| lookup.poll(task)).await.unwrap();
        assert_eq!(found, [address("127.0.0.1:0").ip(), address("[::1]:0").ip()]);
        connect(&access, address("127.0.0.1:81")).await.unwrap();
        assert_eq!(connect(&access, address("127.0.0.1:82")).await.err(), Some(Error::Access));
        assert_eq!(connect(&access, address("[::1]:82")).await.err(), Some(Error::ConnectionRefused));
        assert_eq!(access.resolve("example.org").err(), Some(Error::Access));
        assert_eq!(access.resolve("a b").err(), Some(Error::Invalid));
        let nothing = Access::new(network.clone(), Policy::default());
        assert_eq!(connect(&nothing, address("127.0.0.1:80")).await.err(), Some(Error::Access));
        assert_eq!(nothing.resolve("localhost").err(), Some(Error::Access));
    });
}

#[test]
fn destinations_are_read() {
    for (text, host, port) in [
        ("example.org:443", Host::Name("example.org".into()), Some(443)),
        ("*.Example.org:*", Host::Name("*.example.org".into()), None),
        ("*:80", Host::Any, Some(80)),
        ("10.0.2.2", Host::Network { address: address("10.0.2.2:0").ip(), prefix: 32 }, None),
        ("10.0.0.0/8:1", Host::Network { address: address("10.0.0.0:0").ip(), prefix: 8 }, Some(1)),
        ("[fd00::/8]:443", Host::Network { address: address("[fd00::]:0").ip(), prefix: 8 }, Some(443)),
        ("[::1]", Host::Network { address: address("[::1]:0").ip(), prefix: 128 }, None),
    ] {
        assert_eq!(text.parse(), Ok(Destination { host, port }), "{text}");
    }
    for (text, error) in [
        ("", DestinationError::Host),
        ("a b:80", DestinationError::Host),
        ("[x]:80", DestinationError::Host),
        ("10.0.0.0/33", DestinationError::Prefix),
        ("a:0", DestinationError::Port),
        ("a:65536", DestinationError::Port),
        ("a:", DestinationError::Port),
    ] {
        assert_eq!(text.parse::<Destination>(), Err(error), "{text}");
    }
}

#[test]
fn datagrams_go_to_whom_they_are_for() {
    let (network, access) = local();
    for (here, other) in [("127.0.0.1:0", "127.0.0.1:1"), ("[::1]:0", "[::1]:1")] {
        run(&[&network], async {
            let [one, two, three] = core::array::from_fn(|_| {
                let socket = access.udp(Family::of(address(here).ip())).unwrap();
                socket.bind(address(here)).unwrap();
                socket
            });
            let at = |socket: &UdpSocket| socket.local_address().unwrap();
            let send = |from: &UdpSocket, data: &[u8], to| poll_once(|task| from.poll_send(task, data, to));
            assert_eq!(send(&one, b"to two", Some(at(&two))), Poll::Ready(Ok(())));
            assert_eq!(send(&one, b"", Some(at(&two))), Poll::Ready(Ok(())));
            let receive = async |socket: &UdpSocket| poll_fn(|task| socket.poll_receive(task)).await.unwrap();
            assert_eq!(receive(&two).await, Datagram { data: b"to two".into(), remote: at(&one) });
            assert_eq!(receive(&two).await, Datagram { data: Vec::new(), remote: at(&one) });
            // A connected one hears its other end alone, and sends to no other.
            two.connect(Some(at(&three))).unwrap();
            assert_eq!(send(&one, b"not heard", Some(at(&two))), Poll::Ready(Ok(())));
            assert_eq!(send(&three, b"heard", Some(at(&two))), Poll::Ready(Ok(())));
            assert_eq!(receive(&two).await.data, b"heard");
            assert_eq!(send(&two, b"x", Some(at(&one))), Poll::Ready(Err(Error::Invalid)));
            assert_eq!(send(&two, b"back", None), Poll::Ready(Ok(())));
            assert_eq!(receive(&three).await.data, b"back");
            assert_eq!(send(&one, b"x", None), Poll::Ready(Err(Error::Invalid)));
            assert_eq!(send(&one, &[0; 70_000], Some(at(&two))), Poll::Ready(Err(Error::MessageSize)));
            let unbound = access.udp(Family::of(address(here).ip())).unwrap();
            assert_eq!(send(&unbound, b"x", Some(address(other))), Poll::Ready(Err(Error::InvalidState)));
        });
    }
}
