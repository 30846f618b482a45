//! [`Home`]: the files that a program of WASI finds, and what must hold of them when it is over.

use super::{filesystem::remove_all, machine::StepClock};
use std::{ops::ControlFlow, sync::Arc, time::Duration};
use wasi::{
    Command, Limits,
    filesystem::{Permissions, Stat, memory::MemoryFileSystem},
    io::BytesOutput,
};

/// A small file system, on a clock of its own.
pub struct Home {
    pub clock: Arc<StepClock>,
    files: MemoryFileSystem,
    empty: u64,
    quota: u64,
}

impl Home {
    /// With files, directories and links of all kinds.
    pub fn new() -> Self {
        let clock = StepClock::new();
        let files = MemoryFileSystem::new(clock.clone(), 200_000, 7).expect("room for the root");
        let (empty, quota) = files.usage();
        files.write_file("a", "some content").expect("a file");
        files.create_directory("d/e").expect("a directory");
        files.create_symbolic_link("l", "d").expect("a link");
        files.create_symbolic_link("loop", "d/../loop").expect("a link");
        files.create_symbolic_link("out", "/etc").expect("a link");
        Self { clock, files, empty, quota }
    }

    /// A command that has them twice, once to read alone, so much memory and so much fuel.
    pub fn command(&self, memory: u64, fuel: u64, descriptors: u32) -> Command {
        let limits = Limits::default()
            .with_memory(memory)
            .with_descriptors(descriptors)
            .with_fuel(fuel)
            .with_time(Duration::from_secs(1_000));
        Command::new("fuzz")
            .arg("b")
            .env("N", "v")
            .preopen("/", self.files.root(), Permissions::ReadWrite)
            .preopen("ro", self.files.root(), Permissions::ReadOnly)
            .stdout(Arc::new(BytesOutput::new(Some(1_000))))
            .limits(limits)
    }

    /// Looks at what the run has left.
    ///
    /// # Panics
    /// When the file system is not whole, or something is charged to its quota that is not there.
    pub fn check(self) {
        assert!(self.files.usage().0 <= self.quota);
        let mut visit = |path: &str, stat: &Stat| {
            assert!(stat.links > 0, "{path}");
            ControlFlow::Continue(())
        };
        self.files.walk(&mut visit).expect("a tree that can be walked");
        remove_all(&self.files);
        assert_eq!(self.files.usage().0, self.empty, "something is charged that is not there any more");
    }
}
