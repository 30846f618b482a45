//! A server on the socket that it has from the start, as Rust's standard library has it for preview 1: it answers each client in
//! turn with its own words, as many as its argument says.
use std::{
    io::{ErrorKind, Read, Write},
    net::TcpListener,
    os::fd::FromRawFd,
};

fn main() {
    let clients = std::env::args().nth(1).map_or(1, |clients| clients.parse().unwrap());
    // SAFETY: nobody else has it.
    let listener = unsafe { TcpListener::from_raw_fd(3) };
    for client in 1..=clients {
        let (mut stream, _) = listener.accept().unwrap();
        let mut question = Vec::new();
        stream.read_to_end(&mut question).unwrap();
        println!("client {client} says {} bytes", question.len());
        stream.write_all(&question).unwrap();
    }
    listener.set_nonblocking(true).unwrap();
    match listener.accept() {
        Ok(_) => panic!("one more"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
    }
}
