//! A server on port 80, for one client after the other: what a connection's first byte says is done with 100 MB, in pieces of
//! 64 KiB. `<`: they are received, and their number is sent back; `>`: they are sent.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

const AMOUNT: usize = 100_000_000;
const PIECE: usize = 64 << 10;

fn main() -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 80))?;
    println!("listening");
    let mut buffer = vec![b'x'; PIECE];
    loop {
        let (mut client, _) = listener.accept()?;
        let mut wanted = [0];
        client.read_exact(&mut wanted)?;
        match &wanted {
            b"<" => receive(&mut client, &mut buffer)?,
            _ => send(&mut client, &buffer)?,
        }
    }
}

fn receive(client: &mut TcpStream, buffer: &mut [u8]) -> io::Result<()> {
    let mut total = 0;
    while total < AMOUNT {
        match client.read(buffer)? {
            0 => break,
            count => total += count,
        }
    }
    client.write_all(&(total as u64).to_le_bytes())
}

fn send(client: &mut TcpStream, buffer: &[u8]) -> io::Result<()> {
    let mut left = AMOUNT;
    while left > 0 {
        let piece = buffer.len().min(left);
        client.write_all(&buffer[..piece])?;
        left -= piece;
    }
    Ok(())
}
