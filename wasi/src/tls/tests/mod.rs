//! The client against servers of rustls with other cryptography (ring), over pipes: good ones, and all kinds of bad ones.

mod certificates;
mod hostile;
mod https;

use super::*;
use crate::{Result as StreamResult, clocks::TimerQueue, io::pipe, testing, types::Nanoseconds};
use alloc::vec;
use certificates::{Authority, Identity, NAME, TODAY, only};
use core::{future::poll_fn, pin::Pin};
use rcgen::{BasicConstraints, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType, date_time_ymd};
use rustls::{
    CipherSuite, NamedGroup, RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion,
    crypto::{CryptoProvider, ring},
    server::WebPkiClientVerifier,
    sign::{CertifiedKey, SingleCertAndKey},
    version::TLS12,
};
use std::io::{Read, Write};

/// A clock that says one date.
struct Today(Arc<testing::TestClock>, StreamResult<Nanoseconds>);

impl Clock for Today {
    fn monotonic(&self) -> Nanoseconds {
        self.0.monotonic()
    }

    fn monotonic_resolution(&self) -> Nanoseconds {
        1
    }

    fn wall(&self) -> StreamResult<Nanoseconds> {
        self.1
    }

    fn wall_resolution(&self) -> Nanoseconds {
        1
    }

    fn timers(&self) -> &Arc<TimerQueue> {
        self.0.timers()
    }
}

fn roots(authority: &Authority) -> Roots {
    Roots::none().add_der(authority.der()).unwrap()
}

fn client(roots: Roots) -> Client {
    client_on(roots, Ok(TODAY * 1_000_000_000))
}

fn client_on(roots: Roots, date: StreamResult<Nanoseconds>) -> Client {
    let (machine, clock) = testing::machine();
    Client::new(roots, Arc::new(Today(clock, date)), machine.entropy).unwrap()
}

fn config(
    identity: Identity,
    provider: CryptoProvider,
    versions: &[&'static SupportedProtocolVersion],
) -> ServerConfig {
    let key = provider.key_provider.load_private_key(identity.key).unwrap();
    // Unlike `with_single_cert` this does not ask whether they belong together.
    let resolver = SingleCertAndKey::from(CertifiedKey::new(identity.chain, key));
    ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver))
}

fn plain(identity: Identity) -> ServerConfig {
    config(identity, ring::default_provider(), rustls::ALL_VERSIONS)
}

/// A server at the other ends of two pipes.
struct Server {
    connection: ServerConnection,
    input: Arc<dyn InputStream>,
    output: Arc<dyn OutputStream>,
}

impl Server {
    fn new(config: ServerConfig, input: Arc<dyn InputStream>, output: Arc<dyn OutputStream>) -> Self {
        Self { connection: ServerConnection::new(Arc::new(config)).unwrap(), input, output }
    }

    async fn send(&mut self) {
        let mut bytes = Vec::new();
        while self.connection.wants_write() {
            self.connection.write_tls(&mut bytes).unwrap();
        }
        // The client may have gone.
        let _ = write_all(&*self.output, &bytes).await;
    }

    /// Receives what is there; whether that was all.
    async fn receive(&mut self) -> bool {
        let mut buffer = vec![0; 4096];
        let count = poll_fn(|task| self.input.poll_read(task, &mut buffer)).await.unwrap();
        let mut bytes = &buffer[..count];
        while !bytes.is_empty() {
            self.connection.read_tls(&mut bytes).unwrap();
            if self.connection.process_new_packets().is_err() {
                self.send().await;
                return true;
            }
        }
        count == 0
    }

    async fn handshake(&mut self) -> bool {
        while self.connection.is_handshaking() {
            if self.receive().await {
                return false;
            }
            self.send().await;
        }
        self.send().await;
        true
    }

    async fn read_all(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        loop {
            let mut buffer = [0; 4096];
            match self.connection.reader().read(&mut buffer) {
                Ok(0) => return text,
                Ok(count) => text.extend_from_slice(&buffer[..count]),
                Err(_) => {
                    if self.receive().await {
                        return text;
                    }
                }
            }
        }
    }

    async fn write(&mut self, text: &[u8]) {
        for piece in text.chunks(10_000) {
            self.connection.writer().write_all(piece).unwrap();
            self.send().await;
        }
    }

    async fn goodbye(&mut self) {
        self.connection.send_close_notify();
        self.send().await;
    }
}

async fn write_all(output: &dyn OutputStream, mut bytes: &[u8]) -> StreamResult<()> {
    while !bytes.is_empty() {
        let count = poll_fn(|task| output.poll_write(task, bytes)).await?;
        bytes = &bytes[count..];
    }
    poll_fn(|task| output.poll_flush(task)).await
}

async fn read_all(input: &dyn InputStream) -> StreamResult<Vec<u8>> {
    let mut text = Vec::new();
    loop {
        let mut buffer = vec![0; 5_000];
        match poll_fn(|task| input.poll_read(task, &mut buffer)).await? {
            0 => return Ok(text),
            count => text.extend_from_slice(&buffer[..count]),
        }
    }
}

type Task<'a, T> = Pin<Box<dyn Future<Output = Option<T>> + 'a>>;

/// Runs both sides over pipes of `capacity`, each to its end; what the client's gives.
fn converse<T, C, S>(
    client: &Client,
    name: &str,
    server: ServerConfig,
    capacity: usize,
    ours: impl FnOnce(Arc<Stream>) -> C,
    theirs: impl FnOnce(Server) -> S,
) -> T
where
    C: Future<Output = T>,
    S: Future<Output = ()>,
{
    let (to_client, from_server) = (pipe(capacity), pipe(capacity));
    let stream = client.connect(name, Arc::new(to_client.0), Arc::new(from_server.1)).unwrap();
    let server = Server::new(server, Arc::new(from_server.0), Arc::new(to_client.1));
    let ours = ours(Arc::new(stream));
    let theirs = theirs(server);
    let (_, clock) = testing::machine();
    let both: [Task<'_, T>; 2] = [
        Box::pin(async { Some(ours.await) }),
        Box::pin(async {
            theirs.await;
            None
        }),
    ];
    testing::run_all(&clock, Vec::from(both)).remove(0).unwrap()
}

/// What comes of a handshake with a server; a server that is refused has sent and got nothing.
fn handshake(client: &Client, name: &str, server: ServerConfig) -> Result<(), Error> {
    converse(
        client,
        name,
        server,
        1 << 16,
        |stream| async move {
            let result = poll_fn(|task| stream.poll_handshake(task)).await;
            if let Err(error) = result {
                assert_eq!(stream.error(), Some(error));
                let failed = crate::Error::Http(error.into());
                let written = poll_fn(|task| stream.poll_write(task, b"secret")).await;
                assert_eq!(written, Err(failed));
                assert_eq!(read_all(&*stream).await, Err(failed));
            }
            result
        },
        |mut server| async move {
            if server.handshake().await {
                server.write(b"hello").await;
                assert_eq!(server.read_all().await, b"");
            }
        },
    )
}

/// The client sends `len` bytes and its goodbye, gets them back, and then the server's goodbye.
fn echo(client: &Client, server: ServerConfig, capacity: usize, len: usize) {
    let text: Vec<u8> = (0..len).map(|index| (index % 251) as u8).collect();
    let answer = converse(
        client,
        NAME,
        server,
        capacity,
        |stream| {
            let text = &text;
            async move {
                write_all(&*stream, text).await.unwrap();
                poll_fn(|task| stream.poll_close(task)).await.unwrap();
                assert_eq!(poll_fn(|task| stream.poll_write(task, b"x")).await, Err(crate::Error::Pipe));
                let answer = read_all(&*stream).await;
                assert_eq!(stream.error(), None);
                answer
            }
        },
        |mut server| async move {
            assert!(server.handshake().await);
            assert_eq!(server.connection.alpn_protocol(), None);
            let text = server.read_all().await;
            server.write(&text).await;
            server.goodbye().await;
        },
    );
    assert!(answer.unwrap() == text);
}

fn p256_root() -> Authority {
    Authority::root("Root", &rcgen::PKCS_ECDSA_P256_SHA256)
}

#[test]
fn bytes_arrive_whole_in_both_directions_however_small_the_pieces() {
    let root = p256_root();
    let client = client(roots(&root));
    for (capacity, len) in [(1, 100), (17, 5_000), (4_096, 100_000), (1 << 20, 200_000)] {
        let mut server = plain(root.server(|_| {}));
        // Neither side would read while both write what no pipe holds.
        server.send_tls13_tickets = if capacity < 4_096 { 0 } else { 2 };
        echo(&client, server, capacity, len);
    }
}

#[test]
fn all_suites_and_groups_are_understood() {
    let root = p256_root();
    let client = client(roots(&root));
    let suites = [
        CipherSuite::TLS13_AES_128_GCM_SHA256,
        CipherSuite::TLS13_AES_256_GCM_SHA384,
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
    ];
    for suite in suites {
        // P-256 is not what the client tries first: the server has to ask for it.
        for group in [NamedGroup::X25519, NamedGroup::secp256r1] {
            let mut provider = ring::default_provider();
            provider.cipher_suites.retain(|known| known.suite() == suite);
            provider.kx_groups.retain(|known| known.name() == group);
            assert!(provider.cipher_suites.len() == 1 && provider.kx_groups.len() == 1);
            echo(&client, config(root.server(|_| {}), provider, rustls::ALL_VERSIONS), 4_096, 40_000);
        }
    }
}

#[test]
fn all_kinds_of_keys_sign_certificates_and_handshakes() {
    const RSA: &str = include_str!("rsa.pem");
    let ecdsa = |algorithm| move || KeyPair::generate_for(algorithm).unwrap();
    let rsa = |algorithm| move || KeyPair::from_pem_and_sign_algo(RSA, algorithm).unwrap();
    let keys: [&dyn Fn() -> KeyPair; 5] = [
        &ecdsa(&rcgen::PKCS_ECDSA_P256_SHA256),
        &ecdsa(&rcgen::PKCS_ECDSA_P384_SHA384),
        &rsa(&rcgen::PKCS_RSA_SHA256),
        &rsa(&rcgen::PKCS_RSA_SHA384),
        &rsa(&rcgen::PKCS_RSA_SHA512),
    ];
    for issuer in keys {
        for subject in keys {
            let root = Authority::root_with("Root", issuer());
            let identity = root.server_with(subject(), |_| {});
            assert_eq!(handshake(&client(roots(&root)), NAME, plain(identity)), Ok(()));
        }
    }
}

#[test]
fn a_chain_leads_to_a_root_by_name_or_address() {
    let root = p256_root();
    let client = client(roots(&root));
    let below = root.below("Below", |params| params.name_constraints = only("test"));
    let lowest = below.below("Lowest", |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let server = || plain(lowest.server(|_| {}).with(below.der()).with(lowest.der()));
    for name in [NAME, "SERVER.test", "10.0.2.2"] {
        assert_eq!(handshake(&client, name, server()), Ok(()), "{name}");
    }
    let wildcard = || {
        plain(root.server(|params| {
            params.subject_alt_names = Vec::from([SanType::DnsName("*.server.test".try_into().unwrap())]);
        }))
    };
    assert_eq!(handshake(&client, "a.server.test", wildcard()), Ok(()));
    for name in [NAME, "a.b.server.test", "10.0.2.2"] {
        assert_eq!(
            handshake(&client, name, wildcard()),
            Err(Error::Certificate(Certificate::WrongName)),
            "{name}"
        );
    }
}

#[test]
fn what_does_not_verify_is_refused() {
    use Certificate as Why;
    let root = p256_root();
    let other = Authority::root("Root", &rcgen::PKCS_ECDSA_P256_SHA256);
    let stranger = Authority::root("Stranger", &rcgen::PKCS_ECDSA_P256_SHA256);
    let below = |change: fn(&mut rcgen::CertificateParams)| {
        let below = root.below("Below", change);
        below.server(|_| {}).with(below.der())
    };
    let tampered = |index: usize| {
        let mut identity = root.server(|_| {});
        let mut bytes = identity.chain[0].to_vec();
        let at = if index == 0 { bytes.len() - 1 } else { index };
        bytes[at] ^= 1;
        identity.chain[0] = bytes.into();
        identity
    };
    let name = {
        let der = root.server(|_| {}).chain[0].to_vec();
        der.windows(NAME.len()).position(|window| window == NAME.as_bytes()).unwrap()
    };
    let cases = [
        ("self-signed", Identity::self_signed(), Why::UnknownIssuer),
        ("an unknown root", stranger.server(|_| {}), Why::UnknownIssuer),
        ("an unknown root, shown", stranger.server(|_| {}).with(stranger.der()), Why::UnknownIssuer),
        ("a root of the same name", other.server(|_| {}), Why::BadSignature),
        ("the chain is not whole", root.below("Below", |_| {}).server(|_| {}), Why::UnknownIssuer),
        ("expired", root.server(|params| params.not_after = date_time_ymd(2025, 12, 31)), Why::Expired),
        (
            "not yet valid",
            root.server(|params| params.not_before = date_time_ymd(2026, 1, 2)),
            Why::NotYetValid,
        ),
        ("expired above", below(|params| params.not_after = date_time_ymd(2025, 12, 31)), Why::Expired),
        (
            "another name",
            root.server(|params| {
                params.subject_alt_names = Vec::from([SanType::DnsName("other.test".try_into().unwrap())]);
            }),
            Why::WrongName,
        ),
        (
            "the name as its common name only",
            root.server(|params| {
                params.subject_alt_names = Vec::new();
                params.distinguished_name.push(rcgen::DnType::CommonName, NAME);
            }),
            Why::WrongName,
        ),
        (
            "for clients",
            root.server(|params| {
                params.extended_key_usages = Vec::from([ExtendedKeyUsagePurpose::ClientAuth])
            }),
            Why::WrongPurpose,
        ),
        ("issued by a server", below(|params| params.is_ca = IsCa::NoCa), Why::Misused),
        ("issued for other names", below(|params| params.name_constraints = only("example")), Why::Misused),
        ("a bad signature", tampered(0), Why::BadSignature),
        ("a changed name", tampered(name), Why::BadSignature),
        (
            "the key of somebody else",
            Identity { key: stranger.server(|_| {}).key, ..root.server(|_| {}) },
            Why::BadSignature,
        ),
        (
            "an authority's own",
            Identity { chain: Vec::new(), ..root.server(|_| {}) }.with(root.der()),
            Why::Misused,
        ),
    ];
    for (case, identity, why) in cases {
        let refused = handshake(&client(roots(&root)), NAME, plain(identity));
        assert_eq!(refused, Err(Error::Certificate(why)), "{case}");
    }
    // Roots are all that counts.
    let good = || plain(root.server(|_| {}));
    for nobody in [Roots::none(), Roots::mozilla()] {
        let refused = handshake(&client(nobody), NAME, good());
        assert_eq!(refused, Err(Error::Certificate(Why::UnknownIssuer)));
    }
    for (date, why) in [(0, Why::NotYetValid), (TODAY + 100 * 86_400, Why::Expired)] {
        let refused = handshake(&client_on(roots(&root), Ok(date * 1_000_000_000)), NAME, good());
        assert_eq!(refused, Err(Error::Certificate(why)));
    }
    let nowhen = client_on(roots(&root), Err(crate::Error::NoDevice));
    assert_eq!(handshake(&nowhen, NAME, good()), Err(Error::Date));
    assert_eq!(handshake(&client(roots(&root)), NAME, good()), Ok(()));
}

#[test]
fn names_and_randomness_come_first() {
    struct Nothing;
    impl Entropy for Nothing {
        fn fill(&self, _: &mut [u8]) -> StreamResult<()> {
            Err(crate::Error::NoDevice)
        }
    }
    let connect = |client: &Client, name| {
        let ((input, _), (_, output)) = (pipe(1), pipe(1));
        client.connect(name, Arc::new(input), Arc::new(output)).err()
    };
    let client = client(Roots::mozilla());
    for name in ["", "a b", "a..b", "-a.", "1.2.3.4.5", "[::1]", "a\0"] {
        assert_eq!(connect(&client, name), Some(Error::Name), "{name:?}");
    }
    for name in ["a", "a.b.", "1.2.3.4", "::1"] {
        assert_eq!(connect(&client, name), None, "{name:?}");
    }
    let client = Client { entropy: Arc::new(Nothing), ..client };
    assert_eq!(connect(&client, "a"), Some(Error::Entropy));
}

#[test]
fn old_versions_and_clients_with_names_are_no_common_ground() {
    let root = p256_root();
    let client = client(roots(&root));
    let old = config(root.server(|_| {}), ring::default_provider(), &[&TLS12]);
    // The server says so, or else the client would have.
    assert_eq!(handshake(&client, NAME, old), Err(Error::Alert(70)));

    let mut picky = plain(root.server(|_| {}));
    picky.alpn_protocols = Vec::from([Vec::from(b"h2")]);
    assert_eq!(handshake(&client, NAME, picky), Err(Error::Alert(120)));

    let mut store = RootCertStore::empty();
    store.add(root.der().clone()).unwrap();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(store), Arc::new(ring::default_provider()));
    let identity = root.server(|_| {});
    let curious = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(identity.chain, identity.key)
        .unwrap();
    let (answer, error) = converse(
        &client,
        NAME,
        curious,
        4_096,
        |stream| async move { (read_all(&*stream).await, stream.error()) },
        |mut server| async move { assert!(!server.handshake().await) },
    );
    // In TLS 1.3 the client has finished before it hears of it.
    let failed = crate::Error::Http(crate::http::Error::TlsAlert(116));
    assert_eq!((answer, error), (Err(failed), Some(Error::Alert(116))));
    assert_eq!(
        Error::Alert(116).to_string(),
        "the server ended the connection with the TLS alert CertificateRequired"
    );
}

#[test]
fn http_1_1_is_what_is_asked_for() {
    let root = p256_root();
    let mut server = plain(root.server(|_| {}));
    server.alpn_protocols = [&b"h2"[..], b"http/1.1"].map(Vec::from).into();
    converse(
        &client(roots(&root)),
        NAME,
        server,
        4_096,
        |stream| async move { poll_fn(|task| stream.poll_handshake(task)).await.unwrap() },
        |mut server| async move {
            assert!(server.handshake().await);
            assert_eq!(server.connection.alpn_protocol(), Some(&b"http/1.1"[..]));
            assert_eq!(server.connection.server_name(), Some(NAME));
        },
    );
}

#[test]
fn what_is_written_while_records_wait_to_be_read_arrives() {
    let root = p256_root();
    let (ours, goodbye) = converse(
        &client(roots(&root)),
        NAME,
        plain(root.server(|_| {})),
        64 << 10,
        |stream| async move {
            let mut buffer = [0; 3];
            assert_eq!(poll_fn(|task| stream.poll_read(task, &mut buffer)).await, Ok(3));
            write_all(&*stream, b"heard").await.unwrap();
            let mut text = buffer.to_vec();
            text.extend(read_all(&*stream).await.unwrap());
            (text, stream.error())
        },
        |mut server| async move {
            assert!(server.handshake().await);
            // Three records in one piece.
            for text in [&b"one"[..], b"two", b"three"] {
                server.connection.writer().write_all(text).unwrap();
            }
            server.send().await;
            let mut heard = Vec::new();
            while heard.len() < 5 {
                let mut buffer = [0; 10];
                match server.connection.reader().read(&mut buffer) {
                    Ok(count) => heard.extend_from_slice(&buffer[..count]),
                    Err(_) => assert!(!server.receive().await, "the client said {heard:?}"),
                }
            }
            assert_eq!(heard, b"heard");
            server.goodbye().await;
        },
    );
    assert_eq!((&ours[..], goodbye), (&b"onetwothree"[..], None));
}

#[test]
fn a_stream_that_is_cut_off_is_an_error() {
    let root = p256_root();
    let cut = |goodbye: bool| {
        converse(
            &client(roots(&root)),
            NAME,
            plain(root.server(|_| {})),
            4_096,
            |stream| async move {
                let mut buffer = [0; 100];
                assert_eq!(poll_fn(|task| stream.poll_read(task, &mut buffer)).await, Ok(5));
                let ready = poll_fn(|task| stream.poll_readable(task)).await;
                (ready, read_all(&*stream).await, stream.error())
            },
            |mut server| async move {
                assert!(server.handshake().await);
                server.write(b"hello").await;
                if goodbye {
                    server.goodbye().await;
                }
            },
        )
    };
    let failed = crate::Error::Http(crate::http::Error::ConnectionTerminated);
    assert_eq!(cut(false), (Err(failed), Err(failed), Some(Error::Truncated)));
    let end = crate::io::Readiness { bytes: 0, hangup: true };
    assert_eq!(cut(true), (Ok(end), Ok(Vec::new()), None));
}

#[test]
fn a_stream_that_is_dropped_says_goodbye() {
    let root = p256_root();
    converse(
        &client(roots(&root)),
        NAME,
        plain(root.server(|_| {})),
        4_096,
        |stream| async move { write_all(&*stream, b"all of it").await.unwrap() },
        |mut server| async move {
            assert!(server.handshake().await);
            // Without a goodbye this would be an error (`UnexpectedEof`).
            let mut text = Vec::new();
            while server.connection.reader().read_to_end(&mut text).is_err() {
                assert!(!server.receive().await);
            }
            assert_eq!(text, b"all of it");
        },
    );
}

#[test]
fn roots_are_certificates() {
    let (one, two) = (p256_root(), p256_root());
    let both = one.pem() + "in between\n" + &two.pem();
    let roots = Roots::none().add_pem(both.as_bytes()).unwrap();
    for root in [one, two] {
        assert_eq!(handshake(&client(roots.clone()), NAME, plain(root.server(|_| {}))), Ok(()));
    }
    let wrong = ["", "nothing", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"];
    for wrong in wrong {
        assert_eq!(Roots::none().add_pem(wrong.as_bytes()).err(), Some(BadRoot), "{wrong:?}");
    }
    assert_eq!(Roots::none().add_der(b"").err(), Some(BadRoot));
    assert!(Roots::mozilla().into_store().len() > 100);
}
