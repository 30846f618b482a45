//! [`Boot`]: a kernel with its own tests in it, started in a QEMU of its own, and everything that came out of it.
//!
//! [`qemu`] runs programs as people do, through `sisal`; here the test itself is the host.

use crate::qemu;
use manifest::{debug_exit, port};
use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read, Write},
    net::Shutdown,
    os::unix::{
        net::{UnixListener, UnixStream},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, Receiver},
    },
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tempfile::TempDir;

/// How long a boot may take, on a host that is busy with others.
const DEADLINE: Duration = Duration::from_secs(600);
/// How long it may take until what a machine has written is there, once the machine has ended.
const REST: Duration = Duration::from_secs(60);

/// A machine to boot.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its name in the names of tests.
    pub name: String,
    /// QEMU's name for its type.
    pub machine: &'static str,
    /// MiB of memory.
    pub ram: u32,
    /// Whether it has sources of entropy.
    pub entropy: bool,
    /// More words on the kernel's command line.
    pub append: &'static str,
}

/// What came out of a boot.
pub struct Boot {
    /// The tests that began, in this order, and whether they passed.
    pub tests: Vec<(String, bool)>,
    /// How each guest ended.
    pub guests: BTreeMap<String, String>,
    /// The kernel's log, with the reports in it.
    pub log: String,
    /// How it ended: [`ENDED`](debug_exit::ENDED), [`FAILED`](debug_exit::FAILED), or a text that says how else.
    pub end: Result<u16, String>,
    /// Whether the console has carried what was sent.
    pub console: Result<(), String>,
    /// What the kernel has written to `answer` in the shared directory.
    pub answer: Vec<u8>,
}

impl Boot {
    /// Boots `kernel` and waits for its end.
    ///
    /// # Errors
    /// When the host cannot do that.
    pub fn new(settings: &Settings, kernel: &Path, initrd: &[u8]) -> Result<Self, String> {
        let files = Files::new(initrd).map_err(|error| error.to_string())?;
        let console = Console::listen(&files).map_err(|error| error.to_string())?;
        let mut qemu = Command::new("qemu-system-x86_64");
        arguments(&mut qemu, settings, kernel, &files)?;
        qemu.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = qemu.spawn().map_err(|error| format!("qemu-system-x86_64: {error}"))?;
        let finished = qemu::finish(child, vec![], DEADLINE);
        let log = fs::read(files.path("log")).map_err(|error| error.to_string())?;
        let log = String::from_utf8_lossy(&log).into_owned();
        let end = finished.and_then(|finished| {
            let ended = |code: &u16| finished.status.code() == Some(i32::from(*code) << 1 | 1);
            let code = [debug_exit::ENDED, debug_exit::FAILED].into_iter().find(ended);
            code.ok_or_else(|| {
                format!("QEMU: {}\n{}", finished.status, String::from_utf8_lossy(&finished.stderr))
            })
        });
        let mut boot = Self {
            tests: vec![],
            guests: BTreeMap::new(),
            end,
            console: console.result(),
            answer: fs::read(files.path("share/answer")).unwrap_or_default(),
            log: String::new(),
        };
        boot.read(&log);
        boot.log = log;
        Ok(boot)
    }

    /// Reads the reports.
    fn read(&mut self, log: &str) {
        for line in log.lines() {
            let Some((word, rest)) = line.split_once(' ') else { continue };
            match word {
                "selftest" => self.tests.push((rest.into(), false)),
                "ok" => {
                    self.tests
                        .iter_mut()
                        .filter(|(name, _)| name == rest)
                        .for_each(|(_, passed)| *passed = true);
                }
                "guest" => {
                    if let Some((name, end)) = rest.split_once(": ") {
                        self.guests.insert(name.into(), end.into());
                    }
                }
                _ => {}
            }
        }
    }

    /// Whether a test has passed.
    ///
    /// # Errors
    /// What went wrong.
    pub fn passed(&self, test: &str) -> Result<(), String> {
        match self.tests.iter().find(|(name, _)| name == test) {
            Some((_, true)) => Ok(()),
            Some((_, false)) => Err(self.tail()),
            None => {
                let last = self.tests.last().map_or("none", |(name, _)| name);
                Err(format!("not reached: the last test that began is {last}; the end: {:x?}", self.end))
            }
        }
    }

    /// The end, and the last lines of the log.
    pub fn tail(&self) -> String {
        let lines: Vec<_> = self.log.lines().collect();
        let tail = &lines[lines.len().saturating_sub(25)..];
        format!("the machine's end: {:x?}; its log:\n{}", self.end, tail.join("\n"))
    }
}

/// The host's side of a machine, in a directory that goes when this is dropped.
struct Files(TempDir);

impl Files {
    fn new(initrd: &[u8]) -> io::Result<Self> {
        let files = Self(tempfile::tempdir()?);
        fs::write(files.path("initrd"), initrd)?;
        fs::write(files.path("log"), "")?;
        fs::create_dir(files.path("share"))?;
        fs::write(files.path("share/greeting"), "hello from the host\n")?;
        Ok(files)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

fn arguments(qemu: &mut Command, settings: &Settings, kernel: &Path, files: &Files) -> Result<(), String> {
    let Settings { machine, ram, entropy, append, .. } = settings;
    let bus = if machine.starts_with("microvm") { "device" } else { "pci" };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| error.to_string())?;
    let now = now.as_secs();
    let source = if *entropy { "" } else { "entropy=none" };
    let (port, size) = (debug_exit::PORT, debug_exit::SIZE);
    qemu.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-accel", "tcg"])
        .args(["-machine", machine, "-m", &format!("{ram}M")])
        .args(["-cpu", if *entropy { "max" } else { "max,-rdrand,-rdseed" }])
        .args(["-append", &format!("log=warn now={now} ram={ram} {source} {append}")])
        .args(["-device", &format!("isa-debug-exit,iobase={port:#x},iosize={size}")])
        .args(["-device", &format!("virtio-serial-{bus}")])
        .arg("-chardev")
        .arg(format!("file,id=log,path={}", files.path("log").display()))
        .args(["-serial", "chardev:log"])
        .arg("-fsdev")
        .arg(format!("local,id=share,security_model=none,path={}", files.path("share").display()))
        .args(["-device", &format!("virtio-9p-{bus},fsdev=share,mount_tag=selftest")])
        .args(["-netdev", "user,id=net,restrict=on", "-device", &format!("virtio-net-{bus},netdev=net")])
        .arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(files.path("initrd"));
    for name in [port::STDIN, port::STDOUT, port::STDERR, port::STATUS] {
        qemu.arg("-chardev")
            .arg(format!("socket,id={name},path={}", files.path(name).display()))
            .args(["-device", &format!("virtserialport,chardev={name},name={name}")]);
    }
    if *entropy {
        qemu.args(["-device", &format!("virtio-rng-{bus}")]);
    }
    Ok(())
}

/// How many bytes the console carries each way: far more than all buffers between hold, and no multiple of anything.
const CONSOLE: usize = (8 << 20) + 4_321;
/// More than those buffers: QEMU's, the sockets', the queues'.
const BUFFERS: usize = 2 << 20;

/// The host's side of the console's test: [`CONSOLE`] bytes go in, each must come back with its bits flipped, to a
/// reader who takes his time first.
struct Console(Vec<Receiver<Result<(), String>>>);

impl Console {
    fn listen(files: &Files) -> io::Result<Self> {
        let sent = Arc::new(AtomicUsize::new(0));
        let received = sent.clone();
        let at = |name| UnixListener::bind(files.path(name));
        Ok(Self(vec![
            side(at(port::STDIN)?, move |stream| send(stream, &sent)),
            side(at(port::STDOUT)?, move |stream| receive(stream, &received)),
            side(at(port::STDERR)?, |stream| expect(stream, "to stderr")),
            // The input is asked for, and then the end is told.
            side(at(port::STATUS)?, |stream| expect(stream, &format!("stdin\nexit {}\n", CONSOLE % 251))),
        ]))
    }

    /// Whether everything was as it should be, once the machine has ended.
    fn result(self) -> Result<(), String> {
        self.0.into_iter().try_for_each(|side| {
            side.recv_timeout(REST).map_err(|_| "a port was never opened, or never closed".to_owned())?
        })
    }
}

/// Has a thread serve whoever connects.
fn side(
    listener: UnixListener,
    work: impl FnOnce(UnixStream) -> Result<(), String> + Send + 'static,
) -> Receiver<Result<(), String>> {
    let (sender, result) = mpsc::channel();
    thread::spawn(move || {
        let connected = listener.accept().map_err(|error| error.to_string());
        // Nobody waits for it once the host has given up.
        drop(sender.send(connected.and_then(|(stream, _)| work(stream))));
    });
    result
}

/// The byte at `index`: every value, in an order that no piece that is lost, doubled or swapped leaves whole.
fn byte(index: usize) -> u8 {
    (index.wrapping_mul(0x9e37_79b9) >> 13) as u8
}

fn send(mut stream: UnixStream, sent: &AtomicUsize) -> Result<(), String> {
    while sent.load(Ordering::Relaxed) < CONSOLE {
        let start = sent.load(Ordering::Relaxed);
        let bytes: Vec<u8> = (start..CONSOLE.min(start + 10_000)).map(byte).collect();
        stream.write_all(&bytes).map_err(|error| format!("stdin after {start} bytes: {error}"))?;
        sent.fetch_add(bytes.len(), Ordering::Relaxed);
    }
    // QEMU reads what is still in the socket before it sees the end: not so if the socket were closed.
    stream.shutdown(Shutdown::Write).map_err(|error| format!("the end of stdin: {error}"))?;
    expect(stream, "")
}

fn receive(mut stream: impl Read, sent: &AtomicUsize) -> Result<(), String> {
    const SLOW_READS: usize = 50;
    let mut buffer = vec![0; 10_000];
    let mut received = 0;
    for read in 0.. {
        let len = stream.read(&mut buffer).map_err(|error| format!("stdout: {error}"))?;
        if len == 0 {
            break;
        }
        for (index, &came) in (received..).zip(&buffer[..len]) {
            if came != byte(index) ^ 0xff {
                return Err(format!("stdout: byte {index} is {came}"));
            }
        }
        received += len;
        if read < SLOW_READS {
            // Nothing waits for this: it is how a slow reader reads.
            thread::sleep(Duration::from_millis(20));
        }
        let ahead = sent.load(Ordering::Relaxed).saturating_sub(received);
        if ahead > BUFFERS {
            return Err(format!(
                "{ahead} bytes are somewhere between: a slow reader must slow the writer down"
            ));
        }
    }
    if received == CONSOLE { Ok(()) } else { Err(format!("stdout: {received} bytes of {CONSOLE}")) }
}

fn expect(mut stream: impl Read, expected: &str) -> Result<(), String> {
    let mut text = String::new();
    stream.read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text == expected { Ok(()) } else { Err(format!("a port should say {expected:?}, and says {text:?}")) }
}
