//! One end of connections to elsewhere, for `tests/tests/network.rs`. It is no guest for every host, and so has no expectation:
//! somebody must be at the other end.
#[path = "../../../../../src/traffic.rs"]
mod traffic;

use std::{
    env, io,
    io::Write,
    net::{TcpListener, TcpStream, ToSocketAddrs},
};
use traffic::Pattern;

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", port, count] => serve(port.parse().unwrap(), count.parse().unwrap()).unwrap(),
        ["ask", address, send, want] => ask(address, send.parse().unwrap(), want.parse().unwrap()),
        ["connect", ref addresses @ ..] => addresses.iter().for_each(|address| connect(address)),
        _ => panic!("serve, ask or connect, not {args:?}"),
    }
}

/// Answers so many connections: each is greeted with a byte, and all are there before the first is answered.
fn serve(port: u16, count: usize) -> io::Result<()> {
    let listener = listen(port)?;
    println!("listening");
    let greeted = |_| {
        let (mut stream, _) = listener.accept()?;
        stream.write_all(b"!")?;
        Ok(stream)
    };
    let streams = (0..count).map(greeted).collect::<io::Result<Vec<_>>>()?;
    println!("{count} connections");
    let mut pattern = Pattern::default();
    streams.into_iter().try_for_each(|mut stream| traffic::answer(&mut stream, &mut pattern))
}

#[cfg(target_env = "p2")]
fn listen(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind(("0.0.0.0", port))
}

#[cfg(target_env = "p1")]
fn listen(_: u16) -> io::Result<TcpListener> {
    use std::os::fd::FromRawFd;
    // SAFETY: the first descriptor after the standard streams is the listening socket that this program is given.
    Ok(unsafe { TcpListener::from_raw_fd(3) })
}

fn ask(address: &str, send: u64, want: u64) {
    let mut stream = TcpStream::connect(address).unwrap();
    let mut pattern = Pattern::default();
    traffic::ask(&mut stream, &mut pattern, send, want).unwrap();
    let [theirs, ours] = traffic::hear(&mut stream, want).unwrap();
    let mut right = |len| pattern.checksum(len);
    println!("{} {}", theirs == right(send), ours == right(want));
}

/// Says how it goes to connect there.
fn connect(address: &str) {
    let connected =
        address.to_socket_addrs().and_then(|mut addresses| TcpStream::connect(addresses.next().unwrap()));
    match connected {
        Ok(_) => println!("{address}: connected"),
        Err(error) => println!("{address}: {:?}", error.kind()),
    }
}
