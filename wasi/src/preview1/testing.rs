//! A guest for the unit tests: a piece of memory and a [`State`], whose functions are called directly.

use super::*;
use crate::{
    Error, Machine,
    clocks::TimerQueue,
    filesystem::{Directory, Permissions, memory::MemoryFileSystem},
    guest::{GuestMemory, GuestPtr, Plain},
    io::{BytesOutput, PipeWriter, pipe},
    sockets::TcpSocket,
    turn::Turn,
    types::Nanoseconds,
};
use alloc::{string::ToString, task::Wake, vec};
use core::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    task::{Context, Waker},
};
use layouts::{FdStat, FileStat};
use types::{FdFlags, LookupFlags, OFlags, Rights};

/// Where the helpers have results put.
pub const OUT: u32 = 0x4000;
/// Where they put what they pass; a test that passes its own stays above [`FREE`].
const PATH: u32 = 0x100;
const NEW_PATH: u32 = 0x2000;
const VECTOR: u32 = 0x4100;
const BUFFER: u32 = 0x5000;
/// From here on, memory is the test's.
pub const FREE: u32 = 0x8000;
/// The size of the memory.
pub const MEMORY: u32 = 0x1_0000;

/// Descriptors of the directories that the guest has: one to write, one not.
pub const ROOT: u32 = 3;
/// See [`ROOT`].
pub const READ_ONLY: u32 = 4;

/// Rights to ask for.
pub const READ: Rights = Rights::FD_READ;
/// See [`READ`].
pub const WRITE: Rights = Rights::FD_WRITE;
/// See [`READ`].
pub const BOTH: Rights = Rights::FD_READ.union(Rights::FD_WRITE);

/// A clock that stands still until it is moved.
pub struct TestClock {
    now: AtomicU64,
    timers: Arc<TimerQueue>,
}

/// The wall clock when the monotonic clock is at 0.
pub const EPOCH: Nanoseconds = 1_700_000_000_000_000_000;

impl TestClock {
    /// Moves the clock and wakes who waited for it.
    pub fn advance(&self, span: Nanoseconds) {
        let now = self.now.fetch_add(span, Ordering::Relaxed) + span;
        self.timers.fire(now);
    }
}

impl Clock for TestClock {
    fn monotonic(&self) -> Nanoseconds {
        self.now.load(Ordering::Relaxed)
    }

    fn monotonic_resolution(&self) -> Nanoseconds {
        7
    }

    fn wall(&self) -> Result<Nanoseconds> {
        Ok(EPOCH + self.monotonic())
    }

    fn wall_resolution(&self) -> Nanoseconds {
        1000
    }

    fn timers(&self) -> &Arc<TimerQueue> {
        &self.timers
    }
}

struct CountingEntropy(AtomicUsize);

impl Entropy for CountingEntropy {
    fn fill(&self, buffer: &mut [u8]) -> Result<()> {
        for byte in buffer {
            *byte = (self.0.fetch_add(1, Ordering::Relaxed) % 255) as u8 + 1;
        }
        Ok(())
    }
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The guest.
pub struct Guest {
    pub state: State,
    pub memory: Vec<u8>,
    pub clock: Arc<TestClock>,
    pub files: MemoryFileSystem,
    pub stdin: Option<PipeWriter>,
    pub stdout: Arc<BytesOutput>,
    wakes: Arc<Wakes>,
    turn: Turn,
}

/// A guest with arguments, an environment, a pipe for stdin, and one file system as `/` and, read-only, as `/ro`.
pub fn guest() -> Guest {
    guest_with(64)
}

/// The same, with room for this many descriptors.
pub fn guest_with(max_descriptors: u32) -> Guest {
    guest_listening(max_descriptors, |_| vec![])
}

/// The same, with sockets that listen on its machine.
pub fn guest_listening(max_descriptors: u32, listeners: impl FnOnce(&Machine) -> Vec<TcpSocket>) -> Guest {
    let clock = Arc::new(TestClock { now: AtomicU64::new(1_000), timers: Arc::new(TimerQueue::new(|_| ())) });
    let entropy = Arc::new(CountingEntropy(AtomicUsize::new(0)));
    let machine = Machine { clock: clock.clone(), entropy, memories: None };
    let files = MemoryFileSystem::new(clock.clone(), 1 << 20, 1).unwrap();
    let (reader, writer) = pipe(16);
    let stdout = Arc::new(BytesOutput::new(None));
    let directory = |permissions| Directory::new(files.root(), permissions).unwrap();
    let state = State::new(Grants {
        args: ["program", "ÿ", ""].map(String::from).into(),
        environment: vec![("A".to_string(), "b".to_string())],
        stdin: Arc::new(reader),
        stdout: stdout.clone(),
        stderr: Arc::new(crate::io::NullOutput),
        preopens: vec![
            ("/".to_string(), directory(Permissions::ReadWrite)),
            ("/ro".to_string(), directory(Permissions::ReadOnly)),
        ],
        network: None,
        tls: None,
        listeners: listeners(&machine),
        max_descriptors,
        clock: machine.clock,
        entropy: machine.entropy,
    })
    .unwrap();
    let memory = vec![0xaa; MEMORY as usize];
    Guest {
        state,
        memory,
        clock,
        files,
        stdin: Some(writer),
        stdout,
        wakes: Arc::default(),
        turn: Turn::default(),
    }
}

impl Guest {
    fn call_as<R>(&mut self, repeated: bool, function: impl FnOnce(&mut Preview1<'_>) -> R) -> R {
        let waker = Waker::from(self.wakes.clone());
        function(&mut Call {
            state: &mut self.state,
            memory: GuestMemory::new(&mut self.memory),
            task: Context::from_waker(&waker),
            repeated,
            turn: &mut self.turn,
        })
    }

    /// Calls a function for the first time.
    pub fn poll<R>(&mut self, function: impl FnOnce(&mut Preview1<'_>) -> R) -> R {
        self.call_as(false, function)
    }

    /// Calls a function again that was not ready.
    pub fn poll_again<R>(&mut self, function: impl FnOnce(&mut Preview1<'_>) -> R) -> R {
        self.call_as(true, function)
    }

    /// Calls a function that does not wait.
    pub fn call(&mut self, function: impl FnOnce(&mut Preview1<'_>) -> Polled) -> Result<()> {
        match self.poll(function) {
            Poll::Ready(result) => result,
            Poll::Pending => panic!("the call waits"),
        }
    }

    /// From now on, every turn is over as soon as a call asks.
    pub fn end_turns(&mut self) {
        let clock: Arc<dyn Clock> = self.clock.clone();
        self.turn.begin(&clock, 0, 0);
    }

    /// Calls a function that takes as many turns as there are pauses, and how many these were.
    pub fn call_in_turns(&mut self, function: impl Fn(&mut Preview1<'_>) -> Polled) -> (Result<()>, usize) {
        let mut polled = self.poll(&function);
        let before = self.wakes();
        let mut pauses = 0;
        while polled.is_pending() {
            pauses += 1;
            assert!(pauses < 1_000, "it never ends");
            polled = self.poll_again(&function);
        }
        assert!(pauses == 0 || self.wakes() + 1 == before + pauses, "who pauses wakes itself");
        match polled {
            Poll::Ready(result) => (result, pauses),
            Poll::Pending => unreachable!(),
        }
    }

    /// How often the guest has been woken.
    pub fn wakes(&self) -> usize {
        self.wakes.0.load(Ordering::Relaxed)
    }

    /// Puts bytes into memory.
    pub fn put(&mut self, address: u32, bytes: &[u8]) -> GuestPtr<u8> {
        self.memory[address as usize..][..bytes.len()].copy_from_slice(bytes);
        GuestPtr::new(address)
    }

    /// Puts a record into memory.
    pub fn put_record<T: Plain>(&mut self, address: u32, value: T) -> GuestPtr<T> {
        value.store(&mut self.memory[address as usize..]).unwrap();
        GuestPtr::new(address)
    }

    /// What is in memory.
    pub fn get<T: Plain>(&self, address: u32) -> T {
        T::load(&self.memory[address as usize..]).unwrap()
    }

    /// Calls a function that writes a `T`.
    pub fn result<T: Plain>(
        &mut self,
        function: impl FnOnce(&mut Preview1<'_>, GuestPtr<T>) -> Polled,
    ) -> Result<T> {
        self.call(|call| function(call, GuestPtr::new(OUT)))?;
        Ok(self.get(OUT))
    }

    /// Calls a function with a path.
    pub fn with_path<T: Plain>(
        &mut self,
        path: &str,
        function: impl FnOnce(&mut Preview1<'_>, GuestPtr<u8>, u32, GuestPtr<T>) -> Polled,
    ) -> Result<T> {
        let pointer = self.put(PATH, path.as_bytes());
        self.result(|call, out| function(call, pointer, path.len() as u32, out))
    }

    /// Calls a function with two paths.
    pub fn with_paths(
        &mut self,
        (path, new_path): (&str, &str),
        function: impl FnOnce(&mut Preview1<'_>, (GuestPtr<u8>, u32), (GuestPtr<u8>, u32)) -> Polled,
    ) -> Result<()> {
        let pointer = self.put(PATH, path.as_bytes());
        let new_pointer = self.put(NEW_PATH, new_path.as_bytes());
        self.call(|call| function(call, (pointer, path.len() as u32), (new_pointer, new_path.len() as u32)))
    }

    /// `path_open` of `path` from `fd`, following no link.
    pub fn open_at(&mut self, fd: u32, path: &str, flags: OFlags, rights: Rights) -> Result<u32> {
        self.open_with(fd, path, LookupFlags::empty(), flags, rights, FdFlags::empty())
    }

    /// `path_open` with all that there is to say.
    pub fn open_with(
        &mut self,
        fd: u32,
        path: &str,
        lookup: LookupFlags,
        open: OFlags,
        rights: Rights,
        flags: FdFlags,
    ) -> Result<u32> {
        self.with_path(path, |call, path, len, out| {
            path::path_open(call, fd, lookup, path, len, open, rights, Rights::empty(), flags, out)
        })
    }

    /// A new file with a content, opened to read and write, at its end.
    pub fn file(&mut self, path: &str, content: &[u8]) -> u32 {
        let fd = self.open_at(ROOT, path, OFlags::CREATE | OFlags::TRUNCATE, BOTH).unwrap();
        assert_eq!(self.write(fd, content), Ok(content.len() as u32));
        fd
    }

    /// One vector, for the functions that take them.
    pub fn vector(&mut self, address: u32, len: u32) -> GuestPtr<crate::guest::IoVec> {
        self.put_record(VECTOR, address);
        self.put_record(VECTOR + 4, len);
        GuestPtr::new(VECTOR)
    }

    /// `fd_write`.
    pub fn write(&mut self, fd: u32, bytes: &[u8]) -> Result<u32> {
        self.put(BUFFER, bytes);
        let vector = self.vector(BUFFER, bytes.len() as u32);
        self.result(|call, out| fd::fd_write(call, fd, vector, 1, out))
    }

    /// `fd_read`.
    pub fn read(&mut self, fd: u32, len: u32) -> Result<Vec<u8>> {
        let vector = self.vector(BUFFER, len);
        let count: u32 = self.result(|call, out| fd::fd_read(call, fd, vector, 1, out))?;
        Ok(self.memory[BUFFER as usize..][..count as usize].to_vec())
    }

    /// `fd_fdstat_get`.
    pub fn fdstat(&mut self, fd: u32) -> Result<FdStat> {
        self.result(|call, out| fd::fd_fdstat_get(call, fd, out))
    }

    /// `fd_filestat_get`.
    pub fn filestat(&mut self, fd: u32) -> Result<FileStat> {
        self.result(|call, out| fd::fd_filestat_get::<Snapshot>(call, fd, out))
    }

    /// `path_filestat_get`, following no link.
    pub fn stat(&mut self, path: &str) -> Result<FileStat> {
        self.with_path(path, |call, path, len, out| {
            path::path_filestat_get::<Snapshot>(call, ROOT, LookupFlags::empty(), path, len, out)
        })
    }

    /// `path_symlink`.
    pub fn symlink(&mut self, target: &str, path: &str) -> Result<()> {
        self.with_paths((target, path), |call, target, path| {
            path::path_symlink(call, target.0, target.1, ROOT, path.0, path.1)
        })
    }

    /// `path_create_directory`.
    pub fn create_directory(&mut self, path: &str) -> Result<()> {
        self.with_path::<u8>(path, |call, path, len, _| path::path_create_directory(call, ROOT, path, len))?;
        Ok(())
    }

    /// Asserts that a call is none of those that work.
    #[track_caller]
    pub fn assert_closed(&mut self, fd: u32) {
        assert_eq!(self.fdstat(fd), Err(Error::BadDescriptor));
    }
}
