//! Who asks the machines: over connections to a port of this computer, one thread for each.

use crate::Result;
use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpStream},
    thread,
    time::{Duration, Instant},
};

/// How long a machine may be silent.
const PATIENCE: Duration = Duration::from_secs(60);
/// What is transferred at once.
const PIECE: usize = 64 << 10;
/// What `bench/guests/src/bin/transfer.rs` receives or sends.
const AMOUNT: usize = 100_000_000;
/// What `bench/handler` answers.
const ANSWER: &[u8] = b"Hello, world!\n";

fn connect(port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn unexpected(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

/// A connection that is kept.
struct Connection(BufReader<TcpStream>);

impl Connection {
    fn new(port: u16) -> io::Result<Self> {
        connect(port).map(BufReader::new).map(Self)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        match line.strip_suffix("\r\n") {
            Some(line) => Ok(line.into()),
            None => Err(unexpected(format!("the response ends with {line:?}"))),
        }
    }

    /// Asks once; anything but the right answer is an error.
    fn ask(&mut self) -> io::Result<()> {
        self.0.get_mut().write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        let status = self.line()?;
        if !status.starts_with("HTTP/1.1 200") {
            return Err(unexpected(status));
        }
        let mut length = None;
        loop {
            let field = self.line()?.to_ascii_lowercase();
            match field.split_once(':') {
                Some(("content-length", value)) => length = value.trim().parse().ok(),
                Some(_) => {}
                None => break,
            }
        }
        let mut body = Vec::new();
        match length {
            Some(length) => {
                (&mut self.0).take(length).read_to_end(&mut body)?;
            }
            None => self.chunks(&mut body)?,
        }
        if body == ANSWER { Ok(()) } else { Err(unexpected(String::from_utf8_lossy(&body))) }
    }

    fn chunks(&mut self, body: &mut Vec<u8>) -> io::Result<()> {
        loop {
            let size = self.line()?;
            let size = u64::from_str_radix(&size, 16).map_err(|_| unexpected(size))?;
            (&mut self.0).take(size).read_to_end(body)?;
            // What ends a chunk, and all of them: there are no trailers.
            self.line()?;
            if size == 0 {
                return Ok(());
            }
        }
    }
}

/// What `each` gives for each connection; all begin at once, at the time that they are told.
fn together<T: Send>(
    connections: usize,
    port: u16,
    each: impl Fn(usize, Connection, Instant) -> io::Result<T> + Sync,
) -> Result<Vec<T>> {
    // One after the other, each until it is served: QEMU has room for one that it has not accepted yet, and this computer tries the
    // others again only after a second, or many.
    let one = |_| {
        let mut connection = Connection::new(port)?;
        connection.ask()?;
        Ok(connection)
    };
    let connections = (0..connections).map(one).collect::<io::Result<Vec<_>>>()?;
    thread::scope(|scope| {
        let (each, start) = (&each, Instant::now());
        let begin = |(index, connection)| scope.spawn(move || each(index, connection, start));
        let all: Vec<_> = connections.into_iter().enumerate().map(begin).collect();
        let joined = all.into_iter().map(|one| Ok(one.join().map_err(|_| "a client has panicked")??));
        joined.collect()
    })
}

/// Requests per second, of connections that each ask again as soon as they have an answer.
///
/// # Errors
/// An answer is not the right one.
pub fn load(port: u16, connections: usize, time: Duration) -> Result<f64> {
    let counts = together(connections, port, |_, mut connection, start| {
        let mut count = 0;
        while start.elapsed() < time {
            connection.ask()?;
            count += 1;
        }
        Ok(f64::from(count) / start.elapsed().as_secs_f64())
    })?;
    Ok(counts.into_iter().sum())
}

/// The milliseconds until the answers to `rate` requests a second, sorted. A request counts from when it was due, also where its connection
/// has still waited for the answer before: what hangs hurts all that comes behind it.
///
/// # Errors
/// An answer is not the right one.
pub fn latencies(port: u16, connections: usize, rate: u32, time: Duration) -> Result<Vec<f64>> {
    let interval = Duration::from_secs(1) / rate;
    let all = together(connections, port, |index, mut connection, start| {
        let mut waited = Vec::new();
        for turn in (index as u32..).step_by(connections) {
            let due = interval * turn;
            if due >= time {
                break;
            }
            thread::sleep(due.saturating_sub(start.elapsed()));
            connection.ask()?;
            waited.push((start.elapsed() - due).as_secs_f64() * 1e3);
        }
        Ok(waited)
    })?;
    let mut all = all.concat();
    all.sort_by(f64::total_cmp);
    Ok(all)
}

/// Sends all to the machine, and waits until it has it: MB/s.
///
/// # Errors
/// The connection fails, or something is lost.
pub fn send(port: u16) -> Result<f64> {
    let mut stream = connect(port)?;
    let start = Instant::now();
    stream.write_all(b"<")?;
    let piece = [b'x'; PIECE];
    let mut left = AMOUNT;
    while left > 0 {
        let len = left.min(PIECE);
        stream.write_all(&piece[..len])?;
        left -= len;
    }
    let mut received = [0; 8];
    stream.read_exact(&mut received)?;
    rate(u64::from_le_bytes(received), start)
}

/// Receives all from the machine: MB/s.
///
/// # Errors
/// The connection fails, or something is lost.
pub fn receive(port: u16) -> Result<f64> {
    let mut stream = connect(port)?;
    let start = Instant::now();
    stream.write_all(b">")?;
    let mut piece = [0; PIECE];
    let mut received = 0;
    loop {
        match stream.read(&mut piece)? {
            0 => return rate(received, start),
            count => received += count as u64,
        }
    }
}

fn rate(transferred: u64, start: Instant) -> Result<f64> {
    if transferred != AMOUNT as u64 {
        return Err(format!("{transferred} of {AMOUNT} bytes were transferred").into());
    }
    Ok(AMOUNT as f64 / 1e6 / start.elapsed().as_secs_f64())
}

/// Connections on which nothing happens, each of which was greeted.
///
/// # Errors
/// One of them fails.
pub fn idle(port: u16, count: usize) -> Result<Vec<TcpStream>> {
    // As in [`together`].
    let one = |_| {
        let mut stream = connect(port)?;
        stream.read_exact(&mut [0])?;
        Ok(stream)
    };
    (0..count).map(one).collect()
}
