//! The network of programs in a machine, with this computer at the other end: through ports that are forwarded to it, and as the
//! gateway of QEMU's user networking.

use libtest_mimic::{Failed, Trial};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process_group, setrlimit};
use sisal_tests::{
    guests::{self, Wasi},
    qemu::{Qemu, finish},
    traffic::{self, Pattern},
};
use std::{
    ffi::OsString,
    io::{BufRead, BufReader, Read},
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::ExitCode,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

fn main() -> ExitCode {
    sisal_tests::run(trials)
}

/// The machines, which have their network devices on two kinds of buses.
const MACHINES: [&str; 2] = ["microvm", "q35"];
const MEGABYTE: u64 = 1_000_000;
/// How long a machine may take, on a computer that is busy with others.
const DEADLINE: Duration = Duration::from_secs(300);

/// What the trials share.
struct Setting {
    qemu: Qemu,
    /// The guest `traffic`, as a module and as a component.
    module: OsString,
    component: OsString,
}

fn trials() -> Result<Vec<Trial>, String> {
    let setting = Arc::new(Setting {
        qemu: Qemu::new().with_deadline(DEADLINE),
        module: guests::traffic(Wasi::Preview1)?.into(),
        component: guests::traffic(Wasi::Preview2)?.into(),
    });
    let mut trials = vec![];
    let mut trial = |name: String, test: fn(&Setting, &str) -> Result<(), String>, machine: &'static str| {
        let setting = setting.clone();
        trials.push(Trial::test(name, move || Ok::<_, Failed>(test(&setting, machine)?)));
    };
    for machine in MACHINES {
        trial(format!("{machine}::a_server_is_reached"), a_server_is_reached, machine);
        trial(
            format!("{machine}::a_client_reaches_what_is_allowed"),
            a_client_reaches_what_is_allowed,
            machine,
        );
    }
    let machine = "microvm";
    trial("a_hundred_megabytes_each_way".into(), a_hundred_megabytes_each_way, machine);
    trial("a_thousand_connections_at_once".into(), a_thousand_connections_at_once, machine);
    trial("a_module_is_given_its_listener".into(), a_module_is_given_its_listener, machine);
    trial("an_address_can_be_given".into(), an_address_can_be_given, machine);
    trial("nothing_is_open_by_default".into(), nothing_is_open_by_default, machine);
    Ok(trials)
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

/// A port of this computer that was free a moment ago.
fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(text)?;
    Ok(listener.local_addr().map_err(text)?.port())
}

impl Setting {
    /// Runs a client to its end: what it wrote, and what was said on standard error.
    fn client(&self, machine: &str, options: &[&str], args: &[&str]) -> Result<(String, String), String> {
        let mut line: Vec<OsString> = ["--machine", machine].iter().chain(options).map(Into::into).collect();
        line.push(self.component.clone());
        line.extend(args.iter().map(Into::into));
        let finished = self.qemu.run_command(&line, vec![])?;
        let stderr = String::from_utf8_lossy(&finished.stderr).into_owned();
        if !finished.status.success() {
            return Err(format!("{}: {stderr}", finished.status));
        }
        Ok((String::from_utf8_lossy(&finished.stdout).into_owned(), stderr))
    }

    /// Runs a server for so many connections at the forwarded port, and `work` once it listens.
    fn serve(
        &self,
        program: &OsString,
        options: &[&str],
        port: u16,
        connections: usize,
        work: impl FnOnce() -> Result<(), String>,
    ) -> Result<(), String> {
        let _machine = self.qemu.machine();
        let mut line: Vec<OsString> = options.iter().map(Into::into).collect();
        line.extend(["--listen".into(), format!("{port}:80").into(), program.clone()]);
        line.extend(["serve".into(), "80".into(), connections.to_string().into()]);
        let mut command = self.qemu.command(&line)?;
        let mut child = command.spawn().map_err(text)?;
        let group = Pid::from_child(&child);
        // Whatever hangs, ends with the machine.
        let (done, running) = mpsc::channel::<()>();
        thread::spawn(move || {
            if running.recv_timeout(DEADLINE).is_err_and(|error| error == mpsc::RecvTimeoutError::Timeout) {
                let _ = kill_process_group(group, Signal::KILL);
            }
        });
        let mut stdout = BufReader::new(child.stdout.take().ok_or("no stdout")?);
        let mut first = String::new();
        stdout.read_line(&mut first).map_err(text)?;
        let worked = if first == "listening\n" { work() } else { Err(format!("it says {first:?}")) };
        if worked.is_err() {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let finished = finish(child, vec![], DEADLINE)?;
        drop(done);
        let stderr = String::from_utf8_lossy(&finished.stderr);
        worked.map_err(|error| format!("{error}\n{stderr}"))?;
        let mut rest = String::new();
        stdout.read_to_string(&mut rest).map_err(text)?;
        if finished.status.success() && rest == format!("{connections} connections\n") {
            Ok(())
        } else {
            Err(format!("the server ends with {}: {rest}\n{stderr}", finished.status))
        }
    }
}

/// A connection to a server that has accepted it.
fn connect(port: u16) -> Result<TcpStream, String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).map_err(text)?;
    let mut greeting = [0];
    stream.read_exact(&mut greeting).map_err(|error| format!("the greeting: {error}"))?;
    if greeting == *b"!" { Ok(stream) } else { Err(format!("a greeting of {greeting:?}")) }
}

/// Has a server receive and send that much.
fn exchange(stream: &mut TcpStream, send: u64, want: u64) -> Result<(), String> {
    let mut pattern = Pattern::default();
    traffic::ask(stream, &mut pattern, send, want).map_err(text)?;
    hear(stream, &mut pattern, send, want)
}

/// The server's answer, when it was asked to receive and send that much.
fn hear(stream: &mut TcpStream, pattern: &mut Pattern, send: u64, want: u64) -> Result<(), String> {
    let found = traffic::hear(stream, want).map_err(text)?;
    let right = [send, want].map(|len| pattern.checksum(len));
    if found != right {
        return Err(format!("the checksums are {found:x?}, and should be {right:x?}"));
    }
    let mut rest = vec![];
    stream.read_to_end(&mut rest).map_err(text)?;
    if rest.is_empty() { Ok(()) } else { Err(format!("{} bytes too many", rest.len())) }
}

fn a_server_is_reached(setting: &Setting, machine: &str) -> Result<(), String> {
    let port = free_port()?;
    setting.serve(&setting.component, &["--machine", machine], port, 2, || {
        let mut streams = [connect(port)?, connect(port)?];
        streams.iter_mut().try_for_each(|stream| exchange(stream, MEGABYTE + 1, MEGABYTE + 7))
    })
}

fn a_hundred_megabytes_each_way(setting: &Setting, machine: &str) -> Result<(), String> {
    let port = free_port()?;
    setting.serve(&setting.component, &["--machine", machine], port, 2, || {
        let mut streams = [connect(port)?, connect(port)?];
        for (stream, [send, want]) in streams.iter_mut().zip([[100, 0], [0, 100]]) {
            let start = Instant::now();
            exchange(stream, send * MEGABYTE, want * MEGABYTE)?;
            println!("{send} MB to the machine, {want} MB from it: {:.2?}", start.elapsed());
        }
        Ok(())
    })
}

fn a_thousand_connections_at_once(setting: &Setting, machine: &str) -> Result<(), String> {
    const CONNECTIONS: usize = 1_000;
    let port = free_port()?;
    // Each is a file.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).map_err(text)?;
    setting.serve(&setting.component, &["--machine", machine], port, CONNECTIONS, || {
        // One after the other: QEMU has room for one that it has not accepted yet, and the others would have to try again.
        let mut streams = (0..CONNECTIONS).map(|_| connect(port)).collect::<Result<Vec<_>, _>>()?;
        let mut pattern = Pattern::default();
        for (len, stream) in (10..).zip(&mut streams) {
            traffic::ask(stream, &mut pattern, len, 2_000).map_err(text)?;
        }
        (10..).zip(&mut streams).try_for_each(|(len, stream)| hear(stream, &mut pattern, len, 2_000))
    })
}

fn a_module_is_given_its_listener(setting: &Setting, machine: &str) -> Result<(), String> {
    let port = free_port()?;
    setting.serve(&setting.module, &["--machine", machine], port, 1, || {
        exchange(&mut connect(port)?, MEGABYTE, MEGABYTE)
    })
}

fn an_address_can_be_given(setting: &Setting, machine: &str) -> Result<(), String> {
    let port = free_port()?;
    setting.serve(
        &setting.component,
        &["--machine", machine, "--ip", "10.9.0.77/16,10.9.3.1"],
        port,
        1,
        || exchange(&mut connect(port)?, 1, 1),
    )?;
    let host = Host::new()?;
    let there = format!("10.9.3.1:{}", host.port);
    let options = ["--net", "--ip", "10.9.0.77/16,10.9.3.1"];
    let (stdout, _) = setting.client(machine, &options, &["ask", &there, "3", "4"])?;
    host.finish()?;
    if stdout == "true true\n" { Ok(()) } else { Err(stdout) }
}

/// A server on this computer, for one connection.
struct Host {
    port: u16,
    answered: mpsc::Receiver<Result<(), String>>,
}

impl Host {
    fn new() -> Result<Self, String> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(text)?;
        let port = listener.local_addr().map_err(text)?.port();
        let (sender, answered) = mpsc::channel();
        thread::spawn(move || {
            let accepted = listener.accept().map_err(text);
            let answer = accepted.and_then(|(mut stream, _)| {
                traffic::answer(&mut stream, &mut Pattern::default()).map_err(text)
            });
            // Nobody waits for it any more when the client has failed.
            let _ = sender.send(answer);
        });
        Ok(Self { port, answered })
    }

    /// Whether the connection, which has ended by now, went well.
    fn finish(self) -> Result<(), String> {
        self.answered.recv_timeout(DEADLINE).map_err(|_| "nobody connected".to_owned())?
    }
}

fn a_client_reaches_what_is_allowed(setting: &Setting, machine: &str) -> Result<(), String> {
    let host = Host::new()?;
    let there = format!("10.0.2.2:{}", host.port);
    let (sent, wanted) = ((MEGABYTE + 3).to_string(), (MEGABYTE + 5).to_string());
    let (stdout, stderr) = setting.client(machine, &["--allow", &there], &["ask", &there, &sent, &wanted])?;
    host.finish()?;
    if (&*stdout, &*stderr) != ("true true\n", "") {
        return Err(format!("{stdout}{stderr}"));
    }
    // Nobody listens at the first; the others are not allowed.
    let nobody = format!("10.0.2.2:{}", free_port()?);
    let options = ["--net", "--allow", &nobody];
    let (stdout, stderr) =
        setting.client(machine, &options, &["connect", &nobody, "10.0.2.2:1", "example.org:80"])?;
    let expected = format!(
        "{nobody}: ConnectionRefused\n10.0.2.2:1: PermissionDenied\nexample.org:80: PermissionDenied\n"
    );
    let refusals: Vec<_> = stderr.lines().collect();
    let told = matches!(refusals[..], [first, second]
        if first.starts_with("sisal: refused: 10.0.2.2:1 ") && second.starts_with("sisal: refused: ") && second.contains("\"example.org\""));
    if stdout == expected && told { Ok(()) } else { Err(format!("{stdout}{stderr}")) }
}

fn nothing_is_open_by_default(setting: &Setting, machine: &str) -> Result<(), String> {
    let (stdout, _) = setting.client(machine, &[], &["connect", "10.0.2.2:1"])?;
    if stdout == "10.0.2.2:1: PermissionDenied\n" { Ok(()) } else { Err(stdout) }
}
