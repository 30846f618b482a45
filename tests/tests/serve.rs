//! `sisal serve`: one server for all trials, which ask it at the same time.

use libtest_mimic::{Failed, Trial};
use rustix::process::{Pid, Signal, kill_process_group};
use sisal_tests::{
    guests,
    qemu::{Qemu, finish},
};
use std::{
    ffi::OsString,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::process::ExitStatusExt,
    process::{Child, ExitCode},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

/// How long a machine may take, on a computer that is busy with others.
const DEADLINE: Duration = Duration::from_secs(300);

fn main() -> ExitCode {
    sisal_tests::run(trials)
}

fn trials() -> Result<Vec<Trial>, String> {
    let qemu = Arc::new(Qemu::new());
    let handler = guests::handler()?;
    let handler = OsString::from(handler);
    let (again, same) = (qemu.clone(), handler.clone());
    Ok(vec![
        Trial::test("requests_are_answered_and_failures_cost_only_themselves", move || {
            Ok::<_, Failed>(serve(&qemu, handler)?)
        }),
        Trial::test("a_second_interrupt_does_not_wait_for_requests", move || {
            Ok::<_, Failed>(stop_at_once(&again, same)?)
        }),
    ])
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

/// A server that has begun to listen.
struct Server {
    child: Child,
    port: u16,
    /// What it says on standard error, line by line.
    log: mpsc::Receiver<String>,
    heard: Mutex<Vec<String>>,
}

impl Server {
    fn start(qemu: &Qemu, handler: OsString) -> Result<Self, String> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(text)?;
        let port = listener.local_addr().map_err(text)?.port();
        drop(listener);
        let options = ["--listen".into(), port.to_string().into(), "--timeout".into(), "5s".into(), handler];
        let mut child = qemu.subcommand("serve", &options)?.spawn().map_err(text)?;
        let stderr = child.stderr.take().ok_or("no stderr")?;
        let (sender, log) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                // Nobody listens any more once the test has failed.
                let _ = sender.send(line);
            }
        });
        let server = Self { child, port, log, heard: Mutex::default() };
        server.hear(&format!("sisal: serving http://127.0.0.1:{port}/"))?;
        Ok(server)
    }

    /// Waits until it has said something with this in it.
    fn hear(&self, part: &str) -> Result<(), String> {
        let mut heard = self.heard.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        while !heard.iter().any(|line| line.contains(part)) {
            let line = self.log.recv_timeout(DEADLINE);
            match line {
                Ok(line) => heard.push(line),
                Err(_) => return Err(format!("it does not say {part:?}, but\n{}", heard.join("\n"))),
            }
        }
        Ok(())
    }

    fn connect(&self) -> Result<BufReader<TcpStream>, String> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).map_err(text)?;
        stream.set_read_timeout(Some(DEADLINE)).map_err(text)?;
        Ok(BufReader::new(stream))
    }

    /// One request on a connection of its own.
    fn request(&self, method: &str, path: &str, body: &str) -> Result<(u16, String), String> {
        let mut connection = self.connect()?;
        send(&mut connection, method, path, body)?;
        receive(&mut connection)
    }
}

fn send(connection: &mut BufReader<TcpStream>, method: &str, path: &str, body: &str) -> Result<(), String> {
    let len = body.len();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: here\r\nContent-Length: {len}\r\n\r\n{body}");
    connection.get_mut().write_all(request.as_bytes()).map_err(text)
}

/// A response: its status and its body.
fn receive(connection: &mut BufReader<TcpStream>) -> Result<(u16, String), String> {
    let mut line = || {
        let mut line = String::new();
        connection.read_line(&mut line).map_err(text)?;
        line.strip_suffix("\r\n").map(str::to_owned).ok_or(format!("the connection ends with {line:?}"))
    };
    let first = line()?;
    let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or(format!("no response: {first:?}"))?;
    let (mut len, mut chunked) = (0, false);
    loop {
        let field = line()?.to_ascii_lowercase();
        match field.split_once(": ") {
            Some(("content-length", value)) => len = value.parse().map_err(text)?,
            Some(("transfer-encoding", value)) => chunked = value == "chunked",
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![];
    loop {
        if chunked {
            let mut size = String::new();
            connection.read_line(&mut size).map_err(text)?;
            let size = size.strip_suffix("\r\n").ok_or("the body ends in the middle")?;
            len = usize::from_str_radix(size, 16).map_err(text)?;
        }
        let start = body.len();
        body.resize(start + len, 0);
        connection.read_exact(&mut body[start..]).map_err(|error| format!("the body: {error}"))?;
        if !chunked {
            break;
        }
        connection.read_exact(&mut [0; 2]).map_err(text)?;
        if len == 0 {
            break;
        }
    }
    Ok((status, String::from_utf8(body).map_err(text)?))
}

fn expect<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{what}: {found:?} instead of {expected:?}")) }
}

fn serve(qemu: &Qemu, handler: OsString) -> Result<(), String> {
    let _machine = qemu.machine();
    let mut server = Server::start(qemu, handler)?;
    let stdout = server.child.stdout.take().ok_or("no stdout")?;
    let asked = ask(&server).and_then(|()| stop(&server));
    if asked.is_err() {
        // What is not in order need not end in order.
        kill_process_group(Pid::from_child(&server.child), Signal::KILL).map_err(text)?;
    }
    let port = server.port;
    let finished = finish(server.child, vec![], DEADLINE);
    asked?;
    expect("its end", finished?.status.code(), Some(0))?;
    let mut output = String::new();
    BufReader::new(stdout).read_to_string(&mut output).map_err(text)?;
    let mut lines: Vec<_> = output.lines().collect();
    lines.sort_unstable();
    expect("its output", lines, vec!["/meanwhile", "/one", "/three", "/two"])?;
    expect("QEMU", TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok(), false)
}

/// Ctrl-C, while a request is in flight that ends, one that does not, and a connection without any.
fn stop(server: &Server) -> Result<(), String> {
    let (mut slow, mut idle, mut endless) = (server.connect()?, server.connect()?, server.connect()?);
    let head = "POST /echo HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n\r\nab";
    slow.get_mut().write_all(head.as_bytes()).map_err(text)?;
    send(&mut endless, "GET", "/endless", "")?;
    // They have been heard when one that came later is answered.
    expect("/echo", server.request("POST", "/echo", "x")?, (200, "x".into()))?;
    kill_process_group(Pid::from_child(&server.child), Signal::INT).map_err(text)?;
    server.hear("sisal: stopping: requests in flight have 5 s to end; Ctrl-C again ends them now")?;
    let mut nothing = Vec::new();
    idle.read_to_end(&mut nothing).map_err(text)?;
    expect("a connection without a request", nothing, vec![])?;
    slow.get_mut().write_all(b"cde").map_err(text)?;
    expect("a request in flight", receive(&mut slow)?, (200, "abcde".into()))?;
    // Its time is up when theirs is.
    let _ = receive(&mut endless);
    Ok(())
}

/// Ctrl-C twice does not wait for a request that goes on.
fn stop_at_once(qemu: &Qemu, handler: OsString) -> Result<(), String> {
    let _machine = qemu.machine();
    let mut server = Server::start(qemu, handler)?;
    let stdout = server.child.stdout.take();
    let group = Pid::from_child(&server.child);
    let asked = (|| {
        let mut held = server.connect()?;
        let head = "POST /echo HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n\r\nab";
        held.get_mut().write_all(head.as_bytes()).map_err(text)?;
        kill_process_group(group, Signal::INT).map_err(text)?;
        server.hear("sisal: stopping")?;
        kill_process_group(group, Signal::INT).map_err(text)
    })();
    let port = server.port;
    let finished = finish(server.child, vec![], DEADLINE);
    drop(stdout);
    asked?;
    expect("its end", finished?.status.signal(), Some(Signal::INT.as_raw()))?;
    // QEMU goes with `sisal`: soon nobody listens any more.
    let start = Instant::now();
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
        if start.elapsed() > DEADLINE {
            return Err("QEMU goes on".into());
        }
    }
    Ok(())
}

fn ask(server: &Server) -> Result<(), String> {
    let mut connection = server.connect()?;
    for path in ["/one", "/two"] {
        send(&mut connection, "GET", path, "")?;
        expect(path, receive(&mut connection)?, (200, format!("{path} 1")))?;
    }
    // Its time is up only later, and others do not wait for that.
    let mut endless = server.connect()?;
    send(&mut endless, "GET", "/endless", "")?;
    expect("/meanwhile", server.request("GET", "/meanwhile", "")?, (200, "/meanwhile 1".into()))?;

    let shared = Arc::new("0123456789".repeat(2_000));
    let many: Vec<_> = (0..20).map(|_| server.connect()).collect::<Result<_, _>>()?;
    thread::scope(|scope| {
        let one = |mut connection| {
            let body = shared.clone();
            scope.spawn(move || {
                send(&mut connection, "POST", "/echo", &body)?;
                expect("/echo", receive(&mut connection)?, (200, body.to_string()))
            })
        };
        let all: Vec<_> = many.into_iter().map(one).collect();
        all.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a client panicked".to_owned())?)
    })?;

    for (path, why) in
        [("/trap", "the program trapped"), ("/silent", "the handler returned without a response")]
    {
        expect(path, server.request("GET", path, "")?.0, 500)?;
        server.hear(&format!("GET {path}: {why}"))?;
    }
    let half = server.request("GET", "/half", "");
    expect("/half", half, Err("the body ends in the middle".into()))?;
    expect("/endless", receive(&mut endless)?.0, 500)?;
    server.hear("GET /endless: the program was ended: it reached the time limit (5s)")?;

    let mut smuggler = server.connect()?;
    let twice = "POST /echo HTTP/1.1\r\nHost: here\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx";
    smuggler.get_mut().write_all(twice.as_bytes()).map_err(text)?;
    expect("two lengths", receive(&mut smuggler)?.0, 400)?;
    expect("/three", server.request("GET", "/three", "")?, (200, "/three 1".into()))
}
