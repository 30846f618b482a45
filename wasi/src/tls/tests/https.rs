//! HTTP over TLS over a network: what a download from `https` is made of, on one machine's loopback.

use super::*;
use crate::{
    Machine, hosted,
    http::{DownloadFailure, Error as HttpError, NetworkConnector, Secure, download},
    sockets::{Access, Allowed, Family, Network, Policy, TcpSocket},
};
use core::net::{Ipv4Addr, SocketAddr};

const FILE: &[u8] = &[7; 300_000];

/// Serves the file to whoever asks, one after the other.
async fn serve(listener: TcpSocket, config: Arc<ServerConfig>) {
    loop {
        let socket = Arc::new(poll_fn(|task| listener.poll_accept(task)).await.unwrap());
        let mut server = Server::new((*config).clone(), socket.clone(), socket);
        if !server.handshake().await {
            continue;
        }
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut buffer = [0; 1_000];
            match server.connection.reader().read(&mut buffer) {
                Ok(count) => request.extend_from_slice(&buffer[..count]),
                Err(_) => assert!(!server.receive().await),
            }
        }
        assert!(request.starts_with(b"GET /file HTTP/1.1\r\n"));
        let head = alloc::format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", FILE.len());
        server.write(head.as_bytes()).await;
        server.write(FILE).await;
        server.goodbye().await;
    }
}

/// A download from `https://{host}:{port}/file`, and the server with this identity; what the client trusts, and whom it may reach.
fn get(
    host: &str,
    port: u16,
    identity: Identity,
    roots: Roots,
    connect: Allowed<crate::sockets::Destination>,
) -> Result<Vec<u8>, DownloadFailure> {
    let machine: Machine = hosted::machine();
    let network = Network::loopback(&machine).unwrap();
    let listener = Access::new(network.clone(), Policy::everything()).tcp(Family::Ipv4).unwrap();
    listener.bind(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 443)).unwrap();
    listener.listen().unwrap();

    let tls: Arc<dyn Secure> = Arc::new(client(roots));
    let access = Access::new(network.clone(), Policy { connect, listen: Allowed::Nothing });
    let connector = NetworkConnector::new(access, Some(tls));
    let url = alloc::format!("https://{host}:{port}/file").parse().unwrap();
    let mut running = Box::pin(network.run());
    let mut serving = Box::pin(serve(listener, Arc::new(plain(identity))));
    let mut getting = Box::pin(download(&connector, &machine.clock, &url, FILE.len()));
    let file = hosted::block_on(poll_fn(|task| {
        let _ = running.as_mut().poll(task);
        let _ = serving.as_mut().poll(task);
        getting.as_mut().poll(task)
    }));
    file.map_err(|error| error.cause)
}

#[test]
fn a_file_comes_over_https() {
    let root = p256_root();
    let identity = || {
        root.server(|params| {
            params.subject_alt_names = Vec::from([
                SanType::DnsName("localhost".try_into().unwrap()),
                SanType::IpAddress(Ipv4Addr::LOCALHOST.into()),
            ]);
        })
    };
    for host in ["localhost", "127.0.0.1"] {
        let file = get(host, 443, identity(), roots(&root), Allowed::Everything);
        assert!(file.unwrap() == FILE, "{host}");
        let allowed = Allowed::These(Vec::from([alloc::format!("{host}:443").parse().unwrap()]));
        assert!(get(host, 443, identity(), roots(&root), allowed).is_ok(), "{host}");
    }
    let why = |port, identity, roots, allowed| get("localhost", port, identity, roots, allowed).err();
    let http = |error| Some(DownloadFailure::Http(error));
    assert_eq!(
        why(443, root.server(|_| {}), roots(&root), Allowed::Everything),
        http(HttpError::TlsCertificate)
    );
    assert_eq!(why(443, identity(), Roots::mozilla(), Allowed::Everything), http(HttpError::TlsCertificate));
    assert_eq!(why(443, identity(), roots(&root), Allowed::Nothing), http(HttpError::Denied));
    // Both addresses are tried.
    assert_eq!(why(444, identity(), roots(&root), Allowed::Everything), http(HttpError::ConnectionRefused));
}
