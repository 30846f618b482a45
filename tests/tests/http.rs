//! A component that was built with today's bindings answers requests, and makes some, over the loopback of a hosted machine.

use sisal_tests::guests;
use std::{
    fs,
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};
use wasi::{
    Command, Engine, Limits, hosted, http,
    io::{InputStream, OutputStream, pipe},
    serve::{Handler, Server},
    sockets::{Access, Allowed, Family, Network, Policy, TcpSocket},
};

/// Serves the guest while `client` talks to it, and then ends it.
fn serving<T>(client: impl AsyncFnOnce(&Access) -> T) -> T {
    serving_with(|command| command, client)
}

/// The same, where the guest's instances are handed what `hand` adds.
fn serving_with<T>(hand: impl FnOnce(Command) -> Command, client: impl AsyncFnOnce(&Access) -> T) -> T {
    let wasm = fs::read(guests::http().unwrap()).unwrap();
    let machine = hosted::machine();
    let handler = Handler::new(&Engine::new(), &wasm).unwrap_or_else(|refusal| panic!("{refusal}"));
    let network = Network::loopback(&machine).unwrap();
    let access = Access::new(network.clone(), Policy::everything());
    let listener = access.tcp(Family::Ipv4).unwrap();
    listener.bind("127.0.0.1:80".parse().unwrap()).unwrap();
    listener.listen().unwrap();
    // The guest may reach the server, and nobody else.
    let these = Allowed::These(vec!["127.0.0.1:80".parse().unwrap()]);
    let policy = Policy { connect: these, listen: Allowed::Nothing };
    let limits = Limits::default().with_time(Duration::from_secs(20));
    let command = Command::new("http").network(Access::new(network.clone(), policy)).limits(limits);
    let command = hand(command);
    let server = Server { handler, machine, command, limits: http::Limits::default(), connections: 100 };

    let done = Arc::new(AtomicBool::new(false));
    let stop = poll_fn(|_| if done.load(Ordering::Relaxed) { Poll::Ready(()) } else { Poll::Pending });
    let (mut serving, mut driver) = (pin!(server.serve(listener, stop)), pin!(network.run()));
    let mut client = pin!(client(&access));
    let mut result = None;
    let served = hosted::block_on(poll_fn(|task| {
        let _ = driver.as_mut().poll(task);
        if result.is_none()
            && let Poll::Ready(value) = client.as_mut().poll(task)
        {
            result = Some(value);
            done.store(true, Ordering::Relaxed);
        }
        serving.as_mut().poll(task)
    }));
    served.unwrap();
    result.unwrap()
}

async fn connect(access: &Access) -> TcpSocket {
    let socket = access.tcp(Family::Ipv4).unwrap();
    socket.connect("127.0.0.1:80".parse().unwrap()).unwrap();
    poll_fn(|task| socket.poll_connected(task)).await.unwrap();
    socket
}

async fn send(socket: &TcpSocket, bytes: &str) {
    let mut rest = bytes.as_bytes();
    while !rest.is_empty() {
        let count = poll_fn(|task| socket.poll_write(task, rest)).await.unwrap();
        rest = &rest[count..];
    }
}

/// What comes, until it ends like this, or for good.
async fn receive(from: &dyn InputStream, end: &str) -> String {
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    while end.is_empty() || !all.ends_with(end.as_bytes()) {
        let count = poll_fn(|task| from.poll_read(task, &mut buffer)).await.unwrap();
        if count == 0 {
            break;
        }
        all.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8(all).unwrap()
}

/// Sends a request on a connection of its own, and gives all that comes back until the server closes it.
async fn ask(access: &Access, request: &str) -> String {
    let socket = connect(access).await;
    // A handler that answers as it reads goes on only if both go on.
    let (mut sending, mut receiving) = (pin!(send(&socket, request)), pin!(receive(&socket, "")));
    let mut sent = false;
    poll_fn(|task| {
        sent = sent || sending.as_mut().poll(task).is_ready();
        receiving.as_mut().poll(task)
    })
    .await
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
}

/// The bytes of a body in chunks.
fn unchunked(response: &str) -> String {
    let mut body = String::new();
    let mut rest = response.split_once("\r\n\r\n").unwrap().1;
    while let Some((size, behind)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            break;
        }
        body += &behind[..size];
        rest = &behind[size + 2..];
    }
    body
}

#[test]
fn a_handler_answers_what_it_is_asked() {
    serving(async |access| {
        let plain = ask(access, &get("/x?y")).await;
        assert!(plain.starts_with("HTTP/1.1 200 OK\r\n"), "{plain}");
        assert_eq!(unchunked(&plain), "Method::Get /x Some(\"127.0.0.1\")");
        assert_eq!(unchunked(&ask(access, &get("/headers")).await), "true true true true true");
        // Refused by the policy.
        let refused = unchunked(&ask(access, &get("/refused")).await);
        assert!(refused.contains("HttpRequestDenied"), "{refused}");
        assert!(ask(access, &get("/error")).await.starts_with("HTTP/1.1 503 "));
        for path in ["/panic", "/silent"] {
            assert!(ask(access, &get(path)).await.starts_with("HTTP/1.1 500 "), "{path}");
        }
    });
}

#[test]
fn bodies_and_trailers_go_through_a_handler_that_asks_another() {
    serving(async |access| {
        // Who asks says all before it hears the answer, which comes meanwhile: what is under way has to fit into the buffers of
        // a connection, or neither goes on.
        for (path, tens) in [("/echo", 30_000), ("/ask", 10_000)] {
            let text = "0123456789".repeat(tens);
            let request = format!(
                "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n\
                 {:x}\r\n{text}\r\n0\r\nX-Sum: 5\r\n\r\n",
                text.len()
            );
            let response = ask(access, &request).await;
            assert!(response.ends_with("\r\n0\r\nX-Sum: 5\r\n\r\n"), "{path}");
            let field = if path == "/ask" { "x-asked: yes" } else { "X-A: b" };
            assert!(response.contains(field), "{path}");
            assert!(unchunked(&response) == text, "{path}");
        }
    });
}

#[test]
fn many_requests_at_once_are_all_answered() {
    serving(async |access| {
        let path = get("/many");
        let all = hosted::join_all((0..40).map(|_| ask(access, &path))).await;
        assert!(all.iter().all(|answer| answer.starts_with("HTTP/1.1 200 OK\r\n")));
    });
}

#[test]
fn a_handler_may_read_on_when_it_has_answered() {
    let (stdin, feed) = pipe(16);
    let (output, stdout) = pipe(1 << 10);
    let hand = |command: Command| command.stdin(Arc::new(stdin)).stdout(Arc::new(stdout));
    serving_with(hand, async |access| {
        let socket = connect(access).await;
        send(&socket, "POST /late HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n\r\nab").await;
        let answer = receive(&socket, "\r\n0\r\n\r\n").await;
        assert_eq!(unchunked(&answer), "early");
        // Had the server thrown away the rest, it would have done so when another is answered.
        send(&socket, "cde").await;
        ask(access, &get("/meanwhile")).await;
        poll_fn(|task| feed.poll_write(task, b"\n")).await.unwrap();
        assert_eq!(receive(&output, "\n").await, "late: abcde\n");
        // The connection goes on.
        send(&socket, &get("/next")).await;
        assert_eq!(unchunked(&receive(&socket, "").await), "Method::Get /next Some(\"127.0.0.1\")");
    });
}
