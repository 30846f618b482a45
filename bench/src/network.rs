//! The network: servers in Sisal's kernel beside servers in wasmtime in Linux, in the same QEMU, asked from this computer.
//!
//! Both machines are up together and asked in turns; who asks is in [`client`].

mod client;

use crate::{
    Result,
    machine::{
        RAM, accel,
        linux::{Linux, NETWORK},
        server::Server,
        sisal::Sisal,
        succeed, target,
    },
    race,
    report::{Better, Peer, Reach, Row, Section},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

const WASMTIME: &str = "Linux, wasmtime";
const NATIVE: &str = "Linux, native";

/// What wasmtime is told of a program that opens a socket.
const IN_LINUX: &str = "--allow-precompiled -S inherit-network";

/// The machine of all of them.
const MACHINE: &str = "q35";
/// Clients that ask at once.
const CLIENTS: usize = 16;
/// How long a turn of asking takes, and how many of them a round has: shared computers double their speed and halve it within
/// seconds, so who is compared comes soon after the other, and often.
const TURN: Duration = Duration::from_millis(500);
const TURNS: usize = 30;
/// How long requests are timed.
const TIMED: Duration = Duration::from_secs(10);
/// Requests per second when it is measured how long each takes: fewer than either of them bears.
const RATE: u32 = 50;
/// Connections on which nothing happens; `idle.rs` is told as many, and so is what measures it in the kernel.
const IDLE: usize = 1_000;
/// Machines take seconds to boot, and turns too.
const MOST_ROUNDS: usize = 3;

/// What is transferred, and who does it, over a port of this computer: MB/s.
type Direction = (&'static str, fn(u16) -> Result<f64>);

/// What to build once, and all that is measured with it.
struct Bench {
    sisal: Sisal,
    linux: Linux,
    guests: PathBuf,
    scratch: tempfile::TempDir,
    rounds: usize,
}

/// Measures the section.
///
/// # Errors
/// When something cannot be built, or a machine does not do what it should.
pub fn measure() -> Result<Section> {
    let target = target();
    let scratch = tempfile::tempdir()?;
    let guests = target.join("bench-guests");
    build(&guests, "guests", &["--bins", "--target=wasm32-wasip2"])?;
    build(&guests, "guests", &["--bin=transfer"])?;
    build(&guests, "handler", &["--target=wasm32-wasip2"])?;
    let bench = Bench {
        sisal: Sisal::build(&target, scratch.path())?,
        linux: Linux::build(&target.join("bench-linux"), scratch.path())?,
        guests,
        scratch,
        rounds: race::rounds()?.min(MOST_ROUNDS),
    };
    let mut rows = bench.requests()?;
    rows.extend(bench.transfers()?);
    rows.push(bench.idle()?);
    Ok(Section {
        title: "Network".into(),
        about: format!(
            "Servers in a machine, asked by clients on its host through a port that QEMU's user networking forwards: Sisal's kernel, \
             booted by `sisal serve` and `sisal run`, beside Linux (Debian's cloud kernel, busybox, wasmtime-cli 48.0.8 in an \
             initramfs), both in the same QEMU ({MACHINE}, `-accel {}`, `-cpu max`, {RAM} MiB, one processor, virtio-net), both up at \
             once and asked in turns, medians of {} rounds. wasmtime runs what it has compiled beforehand (for any x86-64: QEMU's \
             processor is not its host's); Sisal interprets. HTTP is answered by a component of Rust (bench/handler) in `sisal serve` and in `wasmtime serve`, \
             both of which make an instance for each request of 0.2; {CLIENTS} connections are kept and each asks again as soon as it \
             has its answer, in {} pairs of turns of {} ms, the second the first of the next: the ratio is the median of the pairs', and \
             what the other has follows from it; latencies are of {RATE} requests a second in all, each from when it was due. TCP is a \
             program (bench/guests, `transfer`) that receives or sends 100 MB, 64 KiB at a time; natively it is the same source. An idle \
             connection is one of {IDLE} that a program (`idle`) has accepted: what the machine has less memory available than before, for Linux \
             by MemAvailable.",
            accel(),
            bench.rounds,
            TURNS * bench.rounds,
            TURN.as_millis()
        ),
        rows,
    })
}

/// Builds a package of this directory's.
fn build(target: &Path, package: &str, options: &[&str]) -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--quiet", "--locked", "--release"]).args(options);
    cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(package));
    succeed(cargo.arg("--target-dir").arg(target))
}

impl Bench {
    fn component(&self, name: &str) -> PathBuf {
        self.guests.join("wasm32-wasip2/release").join(name).with_extension("wasm")
    }

    /// A server of Sisal's: `command` is one of `sisal`.
    fn sisal(&self, command: &str, component: &str) -> Result<Server> {
        Server::start(|port| {
            let mut sisal = self.sisal.command(command, MACHINE, RAM);
            sisal.args(["--listen", &format!("{port}:80")]).arg(self.component(component));
            sisal
        })
    }

    /// A server in Linux, by a command of its shell, with files.
    fn linux(&self, command: &str, files: &[&Path]) -> Result<Server> {
        let image = self.linux.initrd(command, files, Some(NETWORK))?;
        Server::start(|port| self.linux.with_network(MACHINE, RAM, &image, port))
    }

    /// A component as wasmtime compiles it: a file of its own.
    fn compile(&self, component: &str) -> Result<PathBuf> {
        let compiled = self.scratch.path().join(component).with_extension("cwasm");
        self.linux.compile(&self.component(component), &compiled)?;
        Ok(compiled)
    }

    fn requests(&self) -> Result<Vec<Row>> {
        let servers = [
            self.sisal("serve", "handler")?,
            self.linux(
                "wasmtime serve --allow-precompiled -S cli --addr 0.0.0.0:80 /handler.cwasm",
                &[&self.compile("handler")?],
            )?,
        ];
        for (server, ready) in servers.iter().zip(["serving http://", "Serving HTTP on"]) {
            server.hear(ready)?;
        }
        let mut values = [const { [const { Vec::new() }; 2] }; 3];
        let mut ratios = Vec::new();
        for _ in 0..self.rounds {
            for turn in 0..TURNS {
                // Who is first is second the next time: what gets slower or faster meanwhile helps and hurts both.
                let mut pair = [f64::NAN; 2];
                for index in [turn % 2, 1 - turn % 2] {
                    pair[index] = client::load(servers[index].port, CLIENTS, TURN)?;
                }
                values[0][0].push(pair[0]);
                ratios.push(pair[0] / pair[1]);
            }
            for (index, server) in servers.iter().enumerate() {
                let waited = client::latencies(server.port, CLIENTS, RATE, TIMED)?;
                for (value, percent) in [(1, 50), (2, 99)] {
                    let at = (waited.len() * percent / 100).min(waited.len().saturating_sub(1));
                    values[value][index].push(waited.get(at).copied().unwrap_or(f64::NAN));
                }
            }
        }
        let [[requests, _], half, most] = values.map(|values| values.map(race::median));
        // What pairs say of each other, not what each did at its own times.
        let requests = [requests, requests / race::median(ratios)];
        let row = |what: &str, unit: &str, better, [ours, peer]: [f64; 2], reach| Row {
            what: what.into(),
            unit: unit.into(),
            better,
            ours,
            peers: vec![Peer::new(WASMTIME, peer)],
            reach,
        };
        let latency = |part| format!("latency at {RATE} requests/s, {part}");
        Ok(vec![
            row("HTTP requests", "requests/s", Better::More, requests, vec![Reach::better(WASMTIME, 2.0)]),
            row(&latency("p50"), "ms", Better::Less, half, Vec::new()),
            row(&latency("p99"), "ms", Better::Less, most, Vec::new()),
        ])
    }

    fn transfers(&self) -> Result<Vec<Row>> {
        let servers = [
            self.sisal("run", "transfer")?,
            self.linux(&format!("wasmtime run {IN_LINUX} /transfer.cwasm"), &[&self.compile("transfer")?])?,
            self.linux("/transfer", &[&self.guests.join("release/transfer")])?,
        ];
        for server in &servers {
            server.hear("listening")?;
        }
        let directions: [Direction; 2] = [
            ("TCP into the machine, 100 MB", client::send),
            ("TCP out of the machine, 100 MB", client::receive),
        ];
        let mut rates = [const { [const { Vec::new() }; 3] }; 2];
        for _ in 0..self.rounds {
            for ((_, transfer), rates) in directions.iter().zip(&mut rates) {
                for (server, rates) in servers.iter().zip(rates) {
                    rates.push(transfer(server.port)?);
                }
            }
        }
        let rows = directions.iter().zip(rates).map(|((what, _), rates)| {
            let [ours, wasmtime, native] = rates.map(race::median);
            Row {
                what: (*what).into(),
                unit: "MB/s".into(),
                better: Better::More,
                ours,
                peers: vec![Peer::new(WASMTIME, wasmtime), Peer::new(NATIVE, native)],
                reach: vec![Reach::better(WASMTIME, 1.0)],
            }
        });
        Ok(rows.collect())
    }

    fn idle(&self) -> Result<Row> {
        let root = self.scratch.path().join("idle");
        fs::create_dir_all(root.join("guests"))?;
        fs::copy(self.component("idle"), root.join("guests/idle.wasm"))?;
        let archive = self.scratch.path().join("idle.tar");
        let mut tar = Command::new("tar");
        tar.args(["--create", "--format=ustar", "--file"]).arg(&archive).arg("--directory").arg(&root);
        succeed(tar.arg("guests"))?;
        let compiled = self.compile("idle")?;
        let taken = Path::new(env!("CARGO_MANIFEST_DIR")).join("linux/taken");
        let command =
            format!("ulimit -n {}; wasmtime run {IN_LINUX} /idle.cwasm {IDLE} | sh /taken", 4 * IDLE);
        let mut each = [const { Vec::new() }; 2];
        for _ in 0..self.rounds {
            let ours = self.sisal.selftest_server(MACHINE, "measure=connections", &archive)?;
            each[0].push(each_idle(&ours)?);
            each[1].push(each_idle(&self.linux(&command, &[&compiled, &taken])?)?);
        }
        let [ours, linux] = each.map(race::median);
        Ok(Row {
            what: "memory for an idle connection".into(),
            unit: "KiB".into(),
            better: Better::Less,
            ours,
            peers: vec![Peer::new(WASMTIME, linux)],
            reach: Vec::new(),
        })
    }
}

/// KiB for each idle connection to a server that says how much is taken without any and with all.
fn each_idle(server: &Server) -> Result<f64> {
    let without = server.after("taken-0")?;
    let connections = client::idle(server.port, IDLE)?;
    let with = server.after(&format!("taken-{IDLE}"))?;
    drop(connections);
    Ok((with - without) / 1024.0 / IDLE as f64)
}
