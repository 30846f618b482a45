//! A guest for the unit tests: a [`State`], whose functions are called directly.

use super::*;
use crate::{
    Limits, Machine,
    filesystem::{Access, Descriptor, OpenFlags, Permissions, memory::MemoryFileSystem},
    io::{InputStream, OutputStream, PipeReader, PipeWriter, Readiness, pipe},
    limits::Limiter,
    testing::{TestClock, TestNetwork, machine},
};
use alloc::{string::ToString, task::Wake};
use core::{
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Waker},
};

#[derive(Default)]
pub struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The guest.
pub struct Guest {
    pub data: Data,
    pub clock: Arc<TestClock>,
    pub files: MemoryFileSystem,
    /// What the guest reads as stdin.
    pub stdin: Option<PipeWriter>,
    /// What it writes to stdout.
    pub stdout: Option<PipeReader>,
    wakes: Arc<Wakes>,
    machine: Machine,
    network: Option<TestNetwork>,
}

/// A terminal that throws everything away.
struct Terminal;

impl OutputStream for Terminal {
    fn poll_write(&self, _: &mut Context<'_>, buffer: &[u8]) -> Poll<crate::Result<usize>> {
        Poll::Ready(Ok(buffer.len()))
    }

    fn poll_writable(&self, _: &mut Context<'_>) -> Poll<crate::Result<Readiness>> {
        Poll::Ready(Ok(Readiness { bytes: u64::MAX, hangup: false }))
    }

    fn is_terminal(&self) -> bool {
        true
    }
}

/// The bytes that stdin and stdout hold.
pub const PIPE: usize = 16;

/// A guest with arguments, an environment, pipes for stdin and stdout, and one file system as `/` and, read-only, as `/ro`.
pub fn guest() -> Guest {
    guest_with(64)
}

/// The same, with room for this many descriptors.
pub fn guest_with(max_descriptors: u32) -> Guest {
    let (machine, clock) = machine();
    let files = MemoryFileSystem::new(machine.clock.clone(), 1 << 20, 1).unwrap();
    let (stdin, stdin_writer) = pipe(PIPE);
    let (stdout_reader, stdout) = pipe(PIPE);
    let directory = |permissions| Directory::new(files.root(), permissions).unwrap();
    let state = State::new(Grants {
        args: ["program", "ÿ", ""].map(String::from).into(),
        environment: Vec::from([("A".to_string(), "b".to_string())]),
        stdin: Arc::new(stdin),
        stdout: Arc::new(stdout),
        stderr: Arc::new(Terminal),
        preopens: Vec::from([
            ("/".to_string(), directory(Permissions::ReadWrite)),
            ("/ro".to_string(), directory(Permissions::ReadOnly)),
        ]),
        network: None,
        tls: None,
        listeners: Vec::new(),
        max_descriptors,
        clock: machine.clock.clone(),
        entropy: machine.entropy.clone(),
    });
    Guest {
        data: StoreData::new(state, Limiter::new(&Limits::unlimited())),
        clock,
        files,
        stdin: Some(stdin_writer),
        stdout: Some(stdout_reader),
        wakes: Arc::default(),
        machine,
        network: None,
    }
}

/// A guest that may do everything on a network that is its machine's loopback.
pub fn networked() -> Guest {
    networked_with(64)
}

/// The same, with room for this many descriptors.
pub fn networked_with(max_descriptors: u32) -> Guest {
    let mut guest = guest_with(max_descriptors);
    let network = TestNetwork::new(&guest.machine);
    guest.data.state.network = Some(network.access.clone());
    guest.network = Some(network);
    guest
}

impl Guest {
    fn call_as<P, R>(
        &mut self,
        repeated: bool,
        function: impl Fn(&mut Preview2<'_>, &P) -> Polled<R>,
        params: P,
    ) -> Polled<R> {
        let waker = Waker::from(self.wakes.clone());
        function(&mut Call { data: &mut self.data, task: Context::from_waker(&waker), repeated }, &params)
    }

    /// Calls a function for the first time.
    pub fn poll<P, R>(
        &mut self,
        function: impl Fn(&mut Preview2<'_>, &P) -> Polled<R>,
        params: P,
    ) -> Polled<R> {
        self.call_as(false, function, params)
    }

    /// Calls a function again that was not ready.
    pub fn poll_again<P, R>(
        &mut self,
        function: impl Fn(&mut Preview2<'_>, &P) -> Polled<R>,
        params: P,
    ) -> Polled<R> {
        self.call_as(true, function, params)
    }

    /// Calls a function that neither waits nor traps.
    #[track_caller]
    pub fn call<P, R>(&mut self, function: impl Fn(&mut Preview2<'_>, &P) -> Polled<R>, params: P) -> R {
        done(self.poll(function, params))
    }

    /// Calls a function that traps, and says why.
    #[track_caller]
    pub fn trap<P, R>(&mut self, function: impl Fn(&mut Preview2<'_>, &P) -> Polled<R>, params: P) -> Trap {
        match self.poll(function, params) {
            Poll::Ready(Err(error)) => error.downcast_ref::<Trap>().expect("a trap").clone(),
            Poll::Ready(Ok(_)) => panic!("the call worked"),
            Poll::Pending => panic!("the call waits"),
        }
    }

    /// Lets the network do what it can do now.
    pub fn settle(&mut self) {
        if let Some(network) = &mut self.network {
            network.settle();
        }
    }

    /// Lets the network go on, and its time, until `look` gives something.
    #[track_caller]
    pub fn until<R>(&mut self, mut look: impl FnMut(&mut Self) -> Option<R>) -> R {
        for _ in 0..10_000 {
            self.settle();
            if let Some(result) = look(self) {
                return result;
            }
            self.clock.advance(1_000_000);
        }
        panic!("that never happens");
    }

    /// Calls a function that waits for the network.
    #[track_caller]
    pub fn until_polled<P: Clone, R>(
        &mut self,
        function: impl Fn(&mut Preview2<'_>, &P) -> Polled<R>,
        params: P,
    ) -> R {
        let mut polled = self.poll(&function, params.clone());
        self.until(|guest| {
            if polled.is_pending() {
                polled = guest.poll_again(&function, params.clone());
            }
            match core::mem::replace(&mut polled, Poll::Pending) {
                Poll::Ready(result) => Some(done(Poll::Ready(result))),
                Poll::Pending => None,
            }
        })
    }

    /// Drops a resource.
    pub fn drop<R: Resource>(&mut self, rep: u32) -> core::result::Result<(), Trap> {
        self.data.state.table.remove::<R>(rep)
    }

    /// From now on, every turn is over as soon as a call asks.
    pub fn end_turns(&mut self) {
        let clock: Arc<dyn Clock> = self.clock.clone();
        self.data.turn.begin(&clock, 0, 0);
    }

    /// How often the guest has been woken.
    pub fn wakes(&self) -> usize {
        self.wakes.0.load(Ordering::Relaxed)
    }

    /// Writes to the guest's stdin.
    pub fn feed(&self, bytes: &[u8]) {
        let task = &mut Context::from_waker(Waker::noop());
        let stdin = self.stdin.as_ref().unwrap();
        assert_eq!(stdin.poll_write(task, bytes), Poll::Ready(Ok(bytes.len())));
    }

    /// Reads what the guest has written to stdout; nothing if it has not.
    pub fn drain(&self, max: usize) -> Vec<u8> {
        let task = &mut Context::from_waker(Waker::noop());
        let mut buffer = alloc::vec![0; max];
        match self.stdout.as_ref().unwrap().poll_read(task, &mut buffer) {
            Poll::Ready(count) => buffer.truncate(count.unwrap()),
            Poll::Pending => buffer.clear(),
        }
        buffer
    }

    /// Makes a file.
    pub fn file(&self, path: &str, content: &[u8]) {
        let root = Directory::new(self.files.root(), Permissions::ReadWrite).unwrap();
        let access = Access { read: false, write: true };
        let opened = root.open_at(path, false, OpenFlags::CREATE | OpenFlags::TRUNCATE, access);
        let Ok(Descriptor::File(mut file)) = opened else { panic!("{path} is no file") };
        assert_eq!(file.write(content), Ok(content.len()));
    }
}

/// What a call gives that neither waits nor traps.
#[track_caller]
pub fn done<R>(polled: Polled<R>) -> R {
    match polled {
        Poll::Ready(Ok(result)) => result,
        Poll::Ready(Err(error)) => panic!("the call traps: {error}"),
        Poll::Pending => panic!("the call waits"),
    }
}
