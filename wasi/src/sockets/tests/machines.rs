//! Two machines on a cable.

use super::{
    cable::{Faults, machines},
    *,
};
use crate::{io::InputStream, sockets::smoltcp::wire::TcpControl};

fn accesses(networks: &[Network; 2]) -> [Access; 2] {
    networks.clone().map(|network| Access::new(network, Policy::everything()))
}

/// Sends `bytes` from the second machine to the first, and back.
fn echo(faults: Faults, host: &str, bytes: &[u8]) {
    let networks = machines(faults);
    let [here, there] = accesses(&networks);
    run(&[&networks[0], &networks[1]], async {
        let server = listen(&here, address(host)).unwrap();
        let client = connect(&there, server.local_address().unwrap()).await.unwrap();
        let served = accept(&server).await.unwrap();
        let echo = async {
            loop {
                let piece = read(&served, 5000).await.unwrap();
                if piece.is_empty() {
                    return served.shutdown(Shutdown::Send).unwrap();
                }
                write_all(&served, &piece).await.unwrap();
            }
        };
        let send = async {
            write_all(&client, bytes).await.unwrap();
            client.shutdown(Shutdown::Send).unwrap();
        };
        let ((_, ()), received) = join(join(send, echo), read_all(&client)).await;
        assert!(received.unwrap() == bytes);
    });
}

/// A socket that is bound to the first machine's address and port 7, and one of the second's.
fn datagram_sockets(here: &Access, there: &Access) -> (UdpSocket, UdpSocket) {
    let (one, two) = (here.udp(Family::Ipv4).unwrap(), there.udp(Family::Ipv4).unwrap());
    one.bind(address("10.0.0.1:7")).unwrap();
    two.bind(address("0.0.0.0:0")).unwrap();
    (one, two)
}

#[test]
fn every_byte_arrives_on_a_good_cable() {
    for host in ["10.0.0.1:0", "[fd00::1]:0"] {
        echo(Faults::default(), host, &pattern(3_000_000));
    }
}

#[test]
fn every_byte_arrives_on_a_bad_cable() {
    for host in ["10.0.0.1:0", "[fd00::1]:0"] {
        echo(Faults { lost: 10, damaged: 2, reordered: 20 }, host, &pattern(300_000));
    }
}

#[test]
fn a_cable_that_is_cut_is_noticed() {
    let networks = machines(Faults::default());
    let [here, there] = accesses(&networks);
    let (server, client) = run(&[&networks[0], &networks[1]], async {
        let server = listen(&here, address("10.0.0.1:80")).unwrap();
        let client = connect(&there, address("10.0.0.1:80")).await.unwrap();
        (server, client)
    });
    // The first machine is off: its network is run no more.
    client.set_options(|options| {
        options.keep_alive = true;
        options.keep_alive_idle = 200_000_000;
        options.keep_alive_interval = 100_000_000;
        options.keep_alive_count = 3;
    });
    let read = run(&[&networks[1]], read(&client, 1));
    assert_eq!(read, Err(Error::TimedOut));
    drop(server);
}

#[test]
fn who_falls_silent_times_out_and_who_resets_resets() {
    let networks = machines(Faults::default());
    let [here, there] = accesses(&networks);
    let (server, client, served) = run(&[&networks[0], &networks[1]], async {
        let server = listen(&here, address("10.0.0.1:80")).unwrap();
        let client = connect(&there, address("10.0.0.1:80")).await.unwrap();
        let served = accept(&server).await.unwrap();
        (server, client, served)
    });
    let began = clock().monotonic();
    // The first machine is off, and what is sent to it is not acknowledged.
    run(&[&networks[1]], async {
        // Of silence alone nothing comes.
        pass(500).await;
        write_all(&client, b"hello").await.unwrap();
        assert_eq!(read(&client, 1).await, Err(Error::TimedOut));
        assert_eq!(write_all(&client, b"hello").await, Err(Error::TimedOut));
        let took = (clock().monotonic() - began) / 1_000_000_000;
        assert!((615..=630).contains(&took), "{took}");
        assert_eq!(connect(&there, address("10.0.0.1:80")).await.err(), Some(Error::TimedOut));
    });
    drop(client);
    // It comes back and says what it had to say: the other machine knows nothing of it.
    run(&[&networks[0], &networks[1]], async {
        write_all(&served, b"hello").await.unwrap();
        assert_eq!(read(&served, 1).await, Err(Error::ConnectionReset));
    });
    drop(server);
}

#[test]
fn a_neighbour_that_is_not_there_does_not_keep_others_from_being_found() {
    let networks = machines(Faults::default());
    let [here, there] = accesses(&networks);
    run(&[&networks[0], &networks[1]], async {
        let places = [
            ("10.0.0.1:80", ["10.0.0.8:80", "10.0.0.9:80"]),
            ("[fd00::1]:80", ["[fd00::8]:80", "[fd00::9]:80"]),
        ];
        for (place, nobody) in places {
            let _server = listen(&here, address(place)).unwrap();
            let dead = nobody.map(|nobody| {
                let socket = there.tcp(Family::of(address(nobody).ip())).unwrap();
                socket.connect(address(nobody)).unwrap();
                socket
            });
            let began = clock().monotonic();
            connect(&there, address(place)).await.unwrap();
            let took = (clock().monotonic() - began) / 1_000_000;
            assert!(took < 1_000, "{place}: {took} ms");
            assert!(dead.iter().all(|dead| poll_once(|task| dead.poll_connected(task)).is_pending()));
        }
    });
}

#[test]
fn who_is_idle_costs_nothing() {
    let networks = machines(Faults::default());
    let [here, there] = accesses(&networks);
    run(&[&networks[0], &networks[1]], async {
        let server = listen(&here, address("10.0.0.1:80")).unwrap();
        let datagrams = there.udp(Family::Ipv4).unwrap();
        datagrams.bind(address("10.0.0.2:0")).unwrap();
        let mut idle = Vec::new();
        for _ in 0..50 {
            let client = connect(&there, address("10.0.0.1:80")).await.unwrap();
            let served = accept(&server).await.unwrap();
            write_all(&client, b"hello").await.unwrap();
            assert_eq!(read(&served, 10).await.unwrap(), b"hello");
            idle.push((client, served));
        }
        pass(1).await;
        let waiting = || networks.each_ref().map(|network| network.with(|stack| stack.sockets.waiting()));
        assert_eq!(waiting(), [0, 0]);
        // Those who ask whether something has come neither.
        assert!(idle.iter().all(|(one, _)| poll_once(|task| one.poll_readable(task)).is_pending()));
        assert_eq!(waiting(), [0, 0]);
        write_all(&idle[7].0, b"hello").await.unwrap();
        assert_eq!(waiting(), [0, 1]);
        assert_eq!(read(&idle[7].1, 10).await.unwrap(), b"hello");
    });
}

#[test]
fn what_is_set_before_it_connects_counts() {
    let networks = machines(Faults::default());
    let [here, there] = accesses(&networks);
    let (_server, client) = run(&[&networks[0], &networks[1]], async {
        let server = listen(&here, address("10.0.0.1:80")).unwrap();
        let client = there.tcp(Family::Ipv4).unwrap();
        client.set_options(|options| {
            options.keep_alive = true;
            // Too short to be asked about so often.
            options.keep_alive_idle = 1;
            options.keep_alive_interval = 0;
            options.keep_alive_count = 3;
        });
        client.connect(address("10.0.0.1:80")).unwrap();
        poll_fn(|task| client.poll_connected(task)).await.unwrap();
        // While the other end is there, it answers.
        pass(20).await;
        assert!(poll_once(|task| client.poll_readable(task)).is_pending());
        (server, client)
    });
    assert_eq!(run(&[&networks[1]], read(&client, 1)), Err(Error::TimedOut));
}

#[test]
fn a_datagram_fits_when_it_is_said_to() {
    let networks = machines(Faults::default());
    let [here, there] = accesses(&networks);
    run(&[&networks[0], &networks[1]], async {
        let (one, two) = datagram_sockets(&here, &there);
        for len in [1472, 9_000, 16_000] {
            let sent = pattern(len);
            let mut count = 0;
            // Without a turn of the network.
            while poll_once(|task| two.poll_writable(task)).is_ready() {
                let sent = poll_once(|task| two.poll_send(task, &sent, Some(address("10.0.0.1:7"))));
                assert_eq!(sent, Poll::Ready(Ok(())));
                count += 1;
            }
            assert!(count > 1);
            // Those in fragments too, one behind the other.
            for _ in 0..count.min(4) {
                let received = poll_fn(|task| one.poll_receive(task)).await.unwrap();
                assert!(received.data == sent, "{len}");
            }
            pass(1).await;
            while poll_once(|task| one.poll_receive(task)).is_ready() {}
        }
    });
}

#[test]
fn a_port_scan_leaves_the_listener_alone() {
    let (network, comes, _) = cable::told();
    let access = Access::new(network.clone(), Policy::everything());
    run(&[&network], async {
        let server = access.tcp(Family::Ipv4).unwrap();
        server.bind(address("10.0.0.1:80")).unwrap();
        server.set_backlog(3);
        server.listen().unwrap();
        for port in 1..=20 {
            comes.lock().comes(cable::segment(port, 7, TcpControl::Syn));
            pass(1).await;
            assert_eq!(network.with(|stack| stack.connections.len()), 1, "{port}");
            comes.lock().comes(cable::segment(port, 8, TcpControl::Rst));
            pass(1).await;
            assert_eq!(network.with(|stack| stack.connections.len()), 0, "{port}");
        }
        assert!(poll_once(|task| server.poll_accept(task)).is_pending());
    });
}

#[test]
fn a_way_to_nobody_is_none() {
    for gateway in [[0; 4], [224, 0, 0, 1], [255; 4]] {
        let ipv4 = Ipv4::Static { address: [10, 0, 0, 1].into(), prefix: 24, gateway: Some(gateway.into()) };
        let configuration = Configuration { ipv4, ..Configuration::default() };
        assert_eq!(Network::new(Loopback, &configuration, &machine()).err(), Some(Error::Invalid));
    }
}

#[test]
fn datagrams_larger_than_a_frame_arrive_whole() {
    let networks = machines(Faults::default());
    let [here, there] = accesses(&networks);
    run(&[&networks[0], &networks[1]], async {
        let (one, two) = datagram_sockets(&here, &there);
        for len in [1, 1472, 1473, 9_000, 16_000] {
            let sent = pattern(len);
            poll_fn(|task| two.poll_send(task, &sent, Some(address("10.0.0.1:7")))).await.unwrap();
            let received = poll_fn(|task| one.poll_receive(task)).await.unwrap();
            assert!(received.data == sent, "{len}");
            assert_eq!(received.remote.ip(), address("10.0.0.2:0").ip());
        }
    });
}

#[test]
fn a_datagram_to_nobody_keeps_no_other_from_being_sent_and_is_given_up() {
    let networks = machines(Faults::default());
    let [here, there] = accesses(&networks);
    run(&[&networks[0], &networks[1]], async {
        for (place, nobody) in [("10.0.0.1:7", "10.0.0.9:7"), ("[fd00::1]:7", "[fd00::9]:7")] {
            let family = Family::of(address(place).ip());
            let (one, two) = (here.udp(family).unwrap(), there.udp(family).unwrap());
            one.bind(address(place)).unwrap();
            two.bind(SocketAddr::new(address(nobody).ip(), 0)).unwrap_err();
            two.bind(if family == Family::Ipv4 { address("0.0.0.0:0") } else { address("[::]:0") }).unwrap();
            let send =
                async |data: &[u8], to| poll_fn(|task| two.poll_send(task, data, Some(address(to)))).await;
            let began = clock().monotonic();
            // More than there is room for at once.
            for _ in 0..300 {
                send(&[1; 1000], nobody).await.unwrap();
            }
            send(b"hello", place).await.unwrap();
            assert_eq!(poll_fn(|task| one.poll_receive(task)).await.unwrap().data, b"hello");
            let took = (clock().monotonic() - began) / 1_000_000;
            assert!(took < 100, "{took} ms");
            assert!(poll_once(|task| networks[1].poll_sent(task)).is_pending());
            // One that is connected hears of it.
            two.connect(Some(address(nobody))).unwrap();
            let error = poll_fn(|task| two.poll_receive(task)).await;
            assert_eq!(error, Err(Error::HostUnreachable));
            assert_eq!(networks[1].with(|stack| stack.sockets.waiting()), 0);
            let took = (clock().monotonic() - began) / 1_000_000;
            assert!((3_000..4_000).contains(&took), "{took} ms");
            assert!(poll_once(|task| networks[1].poll_sent(task)).is_ready());
            // Once.
            send(b"again", nobody).await.unwrap();
        }
    });
}

#[test]
fn where_nobody_hears_a_connected_socket_is_refused() {
    let networks = machines(Faults::default());
    let [here, there] = accesses(&networks);
    run(&[&networks[0], &networks[1]], async {
        let local = ["127.0.0.1", "[::1]"].map(|host| (&here, host));
        let remote = ["10.0.0.1", "[fd00::1]"].map(|host| (&there, host));
        for (access, host) in local.into_iter().chain(remote) {
            let nobody = address(&alloc::format!("{host}:9"));
            let [socket, other] = core::array::from_fn(|_| {
                let socket = access.udp(Family::of(nobody.ip())).unwrap();
                let any = if nobody.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                socket.bind(address(any)).unwrap();
                socket
            });
            // One that speaks with all does not hear of it, nor one that speaks with another.
            assert_eq!(poll_once(|task| other.poll_send(task, b"x", Some(nobody))), Poll::Ready(Ok(())));
            pass(1).await;
            assert!(poll_once(|task| other.poll_receive(task)).is_pending());
            socket.connect(Some(nobody)).unwrap();
            assert_eq!(poll_once(|task| socket.poll_send(task, b"x", None)), Poll::Ready(Ok(())));
            other.connect(Some(SocketAddr::new(nobody.ip(), 10))).unwrap();
            poll_fn(|task| socket.poll_readable(task)).await.unwrap();
            assert_eq!(
                poll_once(|task| socket.poll_receive(task)),
                Poll::Ready(Err(Error::ConnectionRefused))
            );
            assert!(poll_once(|task| socket.poll_receive(task)).is_pending());
            assert_eq!(poll_once(|task| socket.poll_send(task, b"x", None)), Poll::Ready(Ok(())));
            pass(1).await;
            let refused = poll_once(|task| socket.poll_send(task, b"x", None));
            assert_eq!(refused, Poll::Ready(Err(Error::ConnectionRefused)), "{host}");
            assert!(poll_once(|task| other.poll_receive(task)).is_pending());
        }
    });
}

#[test]
fn fragments_are_put_together_in_any_order() {
    let networks = machines(Faults { reordered: 60, ..Faults::default() });
    let [here, there] = accesses(&networks);
    run(&[&networks[0], &networks[1]], async {
        let (one, two) = datagram_sockets(&here, &there);
        for _ in 0..20 {
            let sent = pattern(9_000);
            poll_fn(|task| two.poll_send(task, &sent, Some(address("10.0.0.1:7")))).await.unwrap();
            let received = poll_fn(|task| one.poll_receive(task)).await.unwrap();
            assert!(received.data == sent);
        }
    });
}

#[test]
fn loopback_addresses_are_not_reached_from_outside() {
    let networks = machines(Faults::default());
    let [here, there] = accesses(&networks);
    run(&[&networks[0], &networks[1]], async {
        let _server = listen(&here, address("127.0.0.1:80")).unwrap();
        let refused = connect(&there, address("10.0.0.1:80")).await;
        assert_eq!(refused.err(), Some(Error::ConnectionRefused));
        // The machine's own address is reached from within, without the cable.
        let _server = listen(&here, address("10.0.0.1:81")).unwrap();
        connect(&here, address("10.0.0.1:81")).await.unwrap();
    });
}

/// Answers one question after the other with what `answer` says: the bytes of an address, or nothing.
async fn name_server(socket: &UdpSocket, answer: impl Fn(&[u8], u8) -> Option<Vec<u8>>) -> Result<()> {
    loop {
        let question = poll_fn(|task| socket.poll_receive(task)).await?;
        let mut reply = question.data;
        let end = 12 + reply[12..].iter().position(|&byte| byte == 0).unwrap();
        let found = answer(&reply[12..end], reply[end + 2]);
        let kind = reply[end + 2];
        reply.truncate(end + 5);
        // A response; with an answer, or with the error that there is no such name.
        reply[2..4].copy_from_slice(if found.is_some() { &[0x81, 0x80] } else { &[0x81, 0x83] });
        if let Some(found) = found {
            reply[7] = 1;
            reply.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0, found.len() as u8]);
            reply.extend(found);
        }
        poll_fn(|task| socket.poll_send(task, &reply, Some(question.remote))).await?;
    }
}

#[test]
fn names_are_asked_of_the_name_server() {
    let networks = machines(Faults::default());
    let [here, there] = accesses(&networks);
    let policy = Policy {
        connect: Allowed::These(["*.example:80".parse().unwrap()].into()),
        listen: Allowed::Nothing,
    };
    let narrow = Access::new(networks[1].clone(), policy);
    run(&[&networks[0], &networks[1]], async {
        let socket = here.udp(Family::Ipv4).unwrap();
        socket.bind(address("10.0.0.1:53")).unwrap();
        let _server = listen(&here, address("10.0.0.1:80")).unwrap();
        let server = name_server(&socket, |name, kind| match (&name.to_ascii_lowercase()[..], kind) {
            (b"\x03one\x07example", 1) => Some([10, 0, 0, 1].into()),
            (b"\x03one\x07example", 28) => {
                Some(core::net::Ipv6Addr::from([0xfd00, 0, 0, 0, 0, 0, 0, 1]).octets().into())
            }
            _ => None,
        });
        let client = async {
            let mut lookup = there.resolve("one.example").unwrap();
            let found = poll_fn(|task| lookup.poll(task)).await;
            assert_eq!(found, Ok([address("10.0.0.1:0").ip(), address("[fd00::1]:0").ip()].into()));
            let mut lookup = there.resolve("two.example.").unwrap();
            assert_eq!(poll_fn(|task| lookup.poll(task)).await, Err(Error::NameNotFound));
            // One that nobody waits for leaves nothing behind.
            drop(there.resolve("one.example").unwrap());
            let mut dropped = there.resolve("one.example").unwrap();
            assert!(poll_once(|task| dropped.poll(task)).is_pending());
            drop(dropped);
            // What a policy names is reached by the name alone.
            assert_eq!(connect(&narrow, address("10.0.0.1:80")).await.err(), Some(Error::Access));
            assert_eq!(narrow.resolve("example").err(), Some(Error::Access));
            let mut lookup = narrow.resolve("ONE.example").unwrap();
            poll_fn(|task| lookup.poll(task)).await.unwrap();
            connect(&narrow, address("10.0.0.1:80")).await.unwrap();
            assert_eq!(connect(&narrow, address("10.0.0.1:81")).await.err(), Some(Error::Access));
        };
        let mut server = pin!(server);
        let mut client = pin!(client);
        poll_fn(|task| {
            assert!(server.as_mut().poll(task).is_pending());
            client.as_mut().poll(task)
        })
        .await;
    });
}

#[test]
fn what_is_closed_leaves_nothing_behind() {
    let networks = machines(Faults::default());
    let [here, there] = accesses(&networks);
    run(&[&networks[0], &networks[1]], async {
        let server = listen(&here, address("10.0.0.1:80")).unwrap();
        for round in 0..400 {
            let client = connect(&there, address("10.0.0.1:80")).await.unwrap();
            let served = accept(&server).await.unwrap();
            write_all(&client, b"hello").await.unwrap();
            assert_eq!(read(&served, 5).await.unwrap(), b"hello");
            // Whoever ends first waits in TIME-WAIT.
            let (first, second) = if round % 2 == 0 { (client, served) } else { (served, client) };
            drop(first);
            assert_eq!(read(&second, 1).await, Ok(Vec::new()));
            drop(second);
        }
        for network in &networks {
            poll_fn(|task| network.poll_sent(task)).await;
            assert!(network.with(|stack| stack.connections.len()) <= 256);
        }
    });
}

#[test]
fn what_was_sent_before_the_end_is_delivered() {
    let networks = machines(Faults::default());
    let [here, there] = accesses(&networks);
    run(&[&networks[0], &networks[1]], async {
        let server = listen(&here, address("10.0.0.1:80")).unwrap();
        let client = connect(&there, address("10.0.0.1:80")).await.unwrap();
        let served = accept(&server).await.unwrap();
        let bytes = pattern(50_000);
        write_all(&client, &bytes).await.unwrap();
        drop(client);
        let (received, ()) = join(read_all(&served), poll_fn(|task| networks[1].poll_sent(task))).await;
        assert!(received.unwrap() == bytes);
        let readiness = poll_once(|task| served.poll_readable(task));
        assert!(matches!(readiness, Poll::Ready(Ok(crate::io::Readiness { bytes: 0, hangup: true }))));
    });
}

#[test]
fn a_thousand_connections_at_once() {
    let networks = machines(Faults::default());
    let [here, there] = accesses(&networks);
    run(&[&networks[0], &networks[1]], async {
        let server = here.tcp(Family::Ipv4).unwrap();
        server.bind(address("10.0.0.1:80")).unwrap();
        server.set_backlog(1000);
        server.set_options(|options| (options.receive_buffer, options.send_buffer) = (4096, 4096));
        server.listen().unwrap();
        let clients: Vec<_> = (0..1000)
            .map(|_| {
                let client = there.tcp(Family::Ipv4).unwrap();
                client.set_options(|options| (options.receive_buffer, options.send_buffer) = (4096, 4096));
                client.connect(address("10.0.0.1:80")).unwrap();
                client
            })
            .collect();
        for (number, client) in (0_u32..).zip(&clients) {
            poll_fn(|task| client.poll_connected(task)).await.unwrap();
            write_all(client, &number.to_le_bytes()).await.unwrap();
        }
        let mut served = Vec::new();
        for _ in &clients {
            let one = accept(&server).await.unwrap();
            let number = read(&one, 4).await.unwrap();
            write_all(&one, &number).await.unwrap();
            served.push(one);
        }
        for (number, client) in (0_u32..).zip(&clients) {
            assert_eq!(read(client, 4).await.unwrap(), number.to_le_bytes());
        }
    });
}
