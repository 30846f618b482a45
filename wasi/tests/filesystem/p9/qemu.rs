//! QEMU's own 9P server with no guest at all: QEMU runs with its processor stopped, and the test plays the machine. It
//! sets up the virtio-9p device by port I/O over qtest's line protocol and shares the machine's memory, a file in
//! `/dev/shm`, with it. (Virtio 1.2, 4.1.4.8 and 2.7: the legacy interface.)

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};
use wasi::{Error, Result, filesystem::p9::Transport};

/// Where things are in the machine's memory.
const QUEUE: u64 = 0x10_0000;
const REQUEST: u64 = 0x20_0000;
const REPLY: u64 = 0x40_0000;
const MESSAGE_MAX: usize = 0x10_0000;
/// Where the device's ports are put.
const PORTS: u32 = 0xc000;
const DEADLINE: Duration = Duration::from_secs(60);

/// A machine with one virtio-9p device.
pub struct Qemu {
    process: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    memory: File,
    memory_path: PathBuf,
    queue_size: u64,
    used: u16,
}

impl Qemu {
    /// Starts QEMU sharing `directory`.
    pub fn start(directory: &Path) -> Self {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let memory_path = PathBuf::from(format!("/dev/shm/sisal-p9-{}-{count}", std::process::id()));
        let mut process = Command::new("qemu-system-x86_64")
            .args([
                "-S",
                "-nodefaults",
                "-no-user-config",
                "-display",
                "none",
                "-m",
                "16M",
                "-qtest",
                "stdio",
            ])
            .args(["-qtest-log", "/dev/null", "-machine", "pc,accel=tcg,memory-backend=memory", "-object"])
            .arg(format!(
                "memory-backend-file,id=memory,size=16M,share=on,mem-path={}",
                memory_path.display()
            ))
            .arg("-fsdev")
            .arg(format!("local,id=shared,security_model=none,multidevs=remap,path={}", directory.display()))
            .args(["-device", "virtio-9p-pci,fsdev=shared,mount_tag=shared,disable-modern=on,addr=4"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("qemu-system-x86_64 starts (Debian: apt-get install qemu-system-x86)");
        let mut commands = process.stdin.take().unwrap();
        let mut answers = BufReader::new(process.stdout.take().unwrap());
        // The memory is there when QEMU answers.
        command(&mut commands, &mut answers, "inl 0xcf8");
        let memory = File::options().read(true).write(true).open(&memory_path).unwrap();
        let mut qemu = Self { process, commands, answers, memory, memory_path, queue_size: 0, used: 0 };
        qemu.set_up();
        qemu
    }

    fn command(&mut self, text: &str) -> u64 {
        command(&mut self.commands, &mut self.answers, text)
    }

    fn out(&mut self, size: char, register: u32, value: u32) {
        self.command(&format!("out{size} {:#x} {value:#x}", PORTS + register));
    }

    fn set_up(&mut self) {
        let mut configure = |register: u32, value: u32| {
            self.command(&format!("outl 0xcf8 {:#x}", 0x8000_0000_u32 | 4 << 11 | register));
            self.command(&format!("outl 0xcfc {value:#x}"));
        };
        configure(0x10, PORTS | 1);
        configure(0x04, 0x7);
        self.out('b', 18, 0);
        self.out('b', 18, 1);
        self.out('b', 18, 3);
        self.out('l', 4, 0);
        self.out('w', 14, 0);
        self.queue_size = self.command(&format!("inw {:#x}", PORTS + 12));
        assert!(self.queue_size.is_power_of_two(), "{}", self.queue_size);
        self.out('l', 8, (QUEUE >> 12) as u32);
        self.out('b', 18, 7);
    }

    fn available(&self) -> u64 {
        QUEUE + 16 * self.queue_size
    }

    fn used(&self) -> u64 {
        (self.available() + 6 + 2 * self.queue_size).next_multiple_of(4096)
    }

    fn describe(&self, index: u64, address: u64, length: usize, flags: u16, next: u16) {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&address.to_le_bytes());
        bytes[8..12].copy_from_slice(&(length as u32).to_le_bytes());
        bytes[12..14].copy_from_slice(&flags.to_le_bytes());
        bytes[14..].copy_from_slice(&next.to_le_bytes());
        self.memory.write_all_at(&bytes, QUEUE + 16 * index).unwrap();
    }

    fn read_u16(&self, address: u64) -> u16 {
        let mut bytes = [0; 2];
        self.memory.read_exact_at(&mut bytes, address).unwrap();
        u16::from_le_bytes(bytes)
    }
}

fn command(commands: &mut ChildStdin, answers: &mut BufReader<ChildStdout>, text: &str) -> u64 {
    writeln!(commands, "{text}").unwrap();
    let mut line = String::new();
    answers.read_line(&mut line).unwrap();
    let value = line.trim_end().strip_prefix("OK").unwrap_or_else(|| panic!("qtest: {text}: {line}")).trim();
    value.strip_prefix("0x").map_or(0, |digits| u64::from_str_radix(digits, 16).unwrap())
}

impl Transport for Qemu {
    fn max_message(&self) -> usize {
        MESSAGE_MAX
    }

    fn exchange(&mut self, request: &[&[u8]], reply: &mut [&mut [u8]]) -> Result<usize> {
        let mut at = REQUEST;
        for part in request {
            self.memory.write_all_at(part, at).unwrap();
            at += part.len() as u64;
        }
        let room: usize = reply.iter().map(|part| part.len()).sum();
        assert!(at <= REQUEST + MESSAGE_MAX as u64 && room <= MESSAGE_MAX, "the transport's limit is kept");
        assert!(request.iter().all(|part| !part.is_empty()) && reply.iter().all(|part| !part.is_empty()));
        self.describe(0, REQUEST, (at - REQUEST) as usize, 1, 1);
        self.describe(1, REPLY, room, 2, 0);
        let next = self.used.wrapping_add(1);
        let slot = u64::from(self.used) % self.queue_size;
        self.memory.write_all_at(&[0, 0], self.available() + 4 + 2 * slot).unwrap();
        self.memory.write_all_at(&next.to_le_bytes(), self.available() + 2).unwrap();
        self.out('w', 16, 0);
        let start = Instant::now();
        while self.read_u16(self.used() + 2) != next {
            if start.elapsed() > DEADLINE {
                return Err(Error::Io);
            }
            std::hint::spin_loop();
        }
        self.used = next;
        let mut length = [0; 4];
        self.memory.read_exact_at(&mut length, self.used() + 4 + 8 * slot + 4).unwrap();
        let length = u32::from_le_bytes(length) as usize;
        let mut done = 0;
        for part in reply {
            let count = part.len().min(length - done);
            self.memory.read_exact_at(&mut part[..count], REPLY + done as u64).unwrap();
            done += count;
        }
        Ok(length)
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_file(&self.memory_path);
    }
}
