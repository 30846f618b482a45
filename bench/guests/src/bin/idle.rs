//! A server on port 80 that greets each client with a byte, and does nothing more with any of them. Says on its standard output how many
//! there are: none, and as many as its argument says.

use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener};

fn main() -> io::Result<()> {
    let wanted = std::env::args().nth(1).and_then(|number| number.parse().ok());
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 80))?;
    println!("0");
    let mut clients = Vec::new();
    loop {
        let (mut client, _) = listener.accept()?;
        client.write_all(b"!")?;
        clients.push(client);
        if Some(clients.len()) == wanted {
            println!("{}", clients.len());
        }
    }
}
