//! The network as Rust's standard library has it, on the machine's own loopback addresses: for 0.2, since the library has none for
//! preview 1.
use std::{
    io::{ErrorKind, Read, Write},
    net::{
        IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs, UdpSocket,
    },
    time::Duration,
};

fn main() {
    let both = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    match std::env::args().nth(1).as_deref() {
        Some("refused") => return refused(),
        Some("addresses") => return both.into_iter().for_each(addresses),
        _ => {}
    }
    for ip in both {
        println!("{ip}");
        streams(ip);
        amounts(ip);
        nonblocking(ip);
        endings(ip);
        datagrams(ip);
    }
    names();
}

/// What the call fails with.
fn kind<T>(result: std::io::Result<T>) -> ErrorKind {
    match result {
        Ok(_) => panic!("it worked"),
        Err(error) => error.kind(),
    }
}

/// Both ends of a connection: the one that connected, the one that was accepted.
fn pair(ip: IpAddr) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((ip, 0)).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

fn streams(ip: IpAddr) {
    let listener = TcpListener::bind((ip, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    assert!(address.ip() == ip && address.port() != 0);
    let mut client = TcpStream::connect(address).unwrap();
    let (mut server, peer) = listener.accept().unwrap();
    assert_eq!(peer, client.local_addr().unwrap());
    assert_eq!(client.peer_addr().unwrap(), address);
    assert_eq!((server.local_addr().unwrap(), server.peer_addr().unwrap()), (address, peer));
    if ip.is_ipv4() {
        client.set_ttl(7).unwrap();
        assert_eq!(client.ttl().unwrap(), 7);
    }
    client.write_all(b"a question").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut question = String::new();
    server.read_to_string(&mut question).unwrap();
    write!(server, "{question}, and its answer").unwrap();
    drop(server);
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    println!("{answer}");
}

/// More than all buffers hold, both ways at once.
fn amounts(ip: IpAddr) {
    const AMOUNT: usize = 300_000;
    let (client, server) = pair(ip);
    let pattern = |index: usize| (index % 251) as u8;
    let mut ends = [(client, 0, 0), (server, 0, 0)];
    for (end, ..) in &ends {
        end.set_nonblocking(true).unwrap();
    }
    while ends.iter().any(|&(_, sent, received)| sent < AMOUNT || received < AMOUNT) {
        for (end, sent, received) in &mut ends {
            let piece: Vec<u8> = (*sent..AMOUNT.min(*sent + 10_000)).map(pattern).collect();
            match end.write(&piece) {
                Ok(count) => *sent += count,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            let mut buffer = [0; 7_000];
            match end.read(&mut buffer) {
                Ok(0) => panic!("the end, after {received}"),
                Ok(count) => {
                    assert!((*received..).zip(&buffer[..count]).all(|(index, &byte)| byte == pattern(index)));
                    *received += count;
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
    }
    println!("{AMOUNT} bytes both ways");
}

fn nonblocking(ip: IpAddr) {
    let listener = TcpListener::bind((ip, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    println!("accept: {:?}", kind(listener.accept()));
    let (mut client, _server) = pair(ip);
    client.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    println!("read for 20 ms: {:?}", kind(client.read(&mut [0])));
    client.set_nonblocking(true).unwrap();
    println!("read: {:?}", kind(client.read(&mut [0])));
}

fn endings(ip: IpAddr) {
    let nobody = TcpListener::bind((ip, 0)).unwrap().local_addr().unwrap();
    println!("connect to nobody: {:?}", kind(TcpStream::connect(nobody)));

    let (client, mut server) = pair(ip);
    drop(client);
    assert_eq!(server.read(&mut [0]).unwrap(), 0);

    let (mut client, mut server) = pair(ip);
    client.shutdown(Shutdown::Write).unwrap();
    println!("write after shutdown: {:?}", kind(client.write(b"x")));
    assert_eq!(server.read(&mut [0]).unwrap(), 0);
    server.write_all(b"y").unwrap();
    assert_eq!(client.read(&mut [0]).unwrap(), 1);
    client.shutdown(Shutdown::Read).unwrap();
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
}

fn addresses(ip: IpAddr) {
    let listener = TcpListener::bind((ip, 0)).unwrap();
    let taken = listener.local_addr().unwrap();
    println!("bind again: {:?}", kind(TcpListener::bind(taken)));
    let elsewhere: SocketAddr = if ip.is_ipv4() { "192.0.2.1:0" } else { "[2001:db8::1]:0" }.parse().unwrap();
    println!("bind elsewhere: {:?}", kind(TcpListener::bind(elsewhere)));
    drop(listener);
    TcpListener::bind(taken).unwrap();
    let socket = UdpSocket::bind((ip, 0)).unwrap();
    println!("bind again: {:?}", kind(UdpSocket::bind(socket.local_addr().unwrap())));
    println!("bind elsewhere: {:?}", kind(UdpSocket::bind(elsewhere)));
}

fn datagrams(ip: IpAddr) {
    let bind = || UdpSocket::bind((ip, 0)).unwrap();
    let (one, other, third) = (bind(), bind(), bind());
    let address = |socket: &UdpSocket| socket.local_addr().unwrap();
    let mut buffer = [0; 2_000];
    one.send_to(b"", address(&other)).unwrap();
    one.send_to(b"one to other", address(&other)).unwrap();
    assert_eq!(other.recv_from(&mut buffer).unwrap(), (0, address(&one)));
    assert_eq!(other.recv_from(&mut buffer).unwrap(), (12, address(&one)));
    assert_eq!(&buffer[..12], b"one to other");
    // What is cut off is gone.
    one.send_to(b"long", address(&other)).unwrap();
    one.send_to(b"next", address(&other)).unwrap();
    assert_eq!(other.recv(&mut buffer[..2]).unwrap(), 2);
    assert_eq!(other.recv(&mut buffer).unwrap(), 4);
    assert_eq!(&buffer[..4], b"next");
    // Only from the peer.
    other.connect(address(&one)).unwrap();
    assert_eq!(other.peer_addr().unwrap(), address(&one));
    third.send_to(b"third", address(&other)).unwrap();
    one.send_to(b"again", address(&other)).unwrap();
    assert_eq!(other.recv(&mut buffer).unwrap(), 5);
    assert_eq!(&buffer[..5], b"again");
    other.send(b"back").unwrap();
    assert_eq!(one.recv_from(&mut buffer).unwrap(), (4, address(&other)));
    other.set_nonblocking(true).unwrap();
    println!("receive: {:?}", kind(other.recv(&mut buffer)));
    let too_large = one.send_to(&[0; 70_000], address(&other)).unwrap_err();
    println!("send 70,000 bytes: errno {:?}", too_large.raw_os_error());
    println!("datagrams came");
}

fn names() {
    let resolve = |name: &str| match (name, 80).to_socket_addrs() {
        Ok(addresses) => {
            let mut addresses: Vec<String> = addresses.map(|address| address.to_string()).collect();
            addresses.sort();
            println!("{name}: {}", addresses.join(" "));
        }
        Err(_) => println!("{name}: unknown"),
    };
    resolve("localhost");
    resolve("127.0.0.1");
    resolve("::1");
    resolve("no such name");
}

fn refused() {
    println!("bind: {:?}", kind(TcpListener::bind("127.0.0.1:0")));
    println!("connect: {:?}", kind(TcpStream::connect("127.0.0.1:80")));
    println!("bind UDP: {:?}", kind(UdpSocket::bind("127.0.0.1:0")));
    println!("resolve: {}", ("localhost", 80).to_socket_addrs().is_err());
}
