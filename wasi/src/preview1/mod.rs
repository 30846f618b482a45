//! WASI preview 1 (`wasi_snapshot_preview1`, and the older `wasi_unstable`): decodes a guest's bytes, calls the core,
//! spells its errors. What the calls mean is in the core modules.
//!
//! One file for each family of functions. All 46 share one signature, `fn(&mut Call<'_, State>, …) -> Poll<Result<()>>` (but for
//! `proc_exit`), and one wrapper ([`crate::call`]). Each checks in this order: its flags and enumerations, the
//! descriptor, its rights, all pointers; only then does it act, so a call that fails has done nothing.

mod args_environ;
mod clock;
mod descriptors;
mod fd;
#[cfg(test)]
mod hostile;
mod layouts;
#[cfg(test)]
mod needs;
mod path;
mod poll;
mod proc;
mod random;
mod sock;
#[cfg(test)]
mod testing;

mod types;

use crate::{
    Result,
    call::{Call, HostFunction, HostImport},
    cli::Grants,
    clocks::{Clock, Timer},
    random::Entropy,
};
use alloc::{format, string::String, sync::Arc, vec::Vec};
use core::task::Poll;
use descriptors::{Descriptor, Descriptors};
use layouts::{Layouts, Snapshot, Unstable};

/// What the functions work on: one guest's descriptors, and what it was handed.
pub struct State {
    /// The program's name first.
    args: Vec<Vec<u8>>,
    /// Each as `NAME=value`.
    environment: Vec<Vec<u8>>,
    descriptors: Descriptors,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    /// For the one call that waits for a time.
    timer: Timer,
    /// What the parked call has to remember until it is repeated: since when it waits ([`poll`]), how many bytes it has
    /// come ([`random`], [`fd`]).
    progress: u64,
    /// Where the listing goes on ([`fd`]).
    cookie: u64,
}

impl State {
    /// The state of a guest that has not run yet. Its descriptors are stdin, stdout, stderr, and from 3 on the sockets that listen, as in
    /// wasmtime, and the preopened directories.
    ///
    /// # Errors
    /// [`Error::TooManyOpen`](crate::Error::TooManyOpen) when `max_descriptors` does not suffice for what is granted.
    pub fn new(grants: Grants) -> Result<Self> {
        let mut descriptors = Descriptors::new(grants.max_descriptors);
        descriptors.insert(Descriptor::input(grants.stdin))?;
        descriptors.insert(Descriptor::output(grants.stdout))?;
        descriptors.insert(Descriptor::output(grants.stderr))?;
        for listener in grants.listeners {
            descriptors.insert(Descriptor::listener(listener))?;
        }
        for (name, directory) in grants.preopens {
            descriptors.insert(Descriptor::preopen(directory, name))?;
        }
        Ok(Self {
            args: grants.args.into_iter().map(String::into_bytes).collect(),
            environment: grants
                .environment
                .into_iter()
                .map(|(name, value)| format!("{name}={value}").into_bytes())
                .collect(),
            descriptors,
            timer: Timer::new(grants.clock.timers().clone()),
            clock: grants.clock,
            entropy: grants.entropy,
            progress: 0,
            cookie: 0,
        })
    }
}

/// What a function of preview 1 gets first.
type Preview1<'a> = Call<'a, State>;

/// What it returns.
type Polled = Poll<Result<()>>;

impl Preview1<'_> {
    /// How far the call had come when it was [paused](Self::pause).
    fn progress(&self) -> u64 {
        if self.repeated { self.state.progress } else { 0 }
    }

    /// Leaves the rest of a long call for the guest's next turn.
    fn pause(&mut self, progress: u64) -> Polled {
        self.state.progress = progress;
        self.task.waker().wake_by_ref();
        Poll::Pending
    }
}

/// The function that a program imports as `module`.`name`.
pub fn function(module: &str, name: &str) -> Option<HostImport<State>> {
    match (module, name) {
        // The one function that came later.
        ("wasi_unstable", "sock_accept") => None,
        ("wasi_unstable", _) => find::<Unstable>(name),
        ("wasi_snapshot_preview1", _) => find::<Snapshot>(name),
        _ => None,
    }
}

macro_rules! functions {
    ($layouts:ident: $($family:ident { $($name:ident $(<$parameter:ident>)?,)* })*) => {
        fn find<$layouts: Layouts>(name: &str) -> Option<HostImport<State>> {
            Some(match name {
                $($(stringify!($name) => HostFunction::import($family::$name$(::<$parameter>)?),)*)*
                _ => return None,
            })
        }

        /// The names of all functions.
        #[cfg(test)]
        const NAMES: &[&str] = &[$($(stringify!($name),)*)*];
    };
}

functions! { L:
    args_environ { args_get, args_sizes_get, environ_get, environ_sizes_get, }
    clock { clock_res_get, clock_time_get, }
    fd {
        fd_advise, fd_allocate, fd_close, fd_datasync, fd_fdstat_get, fd_fdstat_set_flags, fd_fdstat_set_rights,
        fd_filestat_get<L>, fd_filestat_set_size, fd_filestat_set_times, fd_pread, fd_prestat_dir_name, fd_prestat_get,
        fd_pwrite, fd_read, fd_readdir, fd_renumber, fd_seek<L>, fd_sync, fd_tell, fd_write,
    }
    path {
        path_create_directory, path_filestat_get<L>, path_filestat_set_times, path_link, path_open, path_readlink,
        path_remove_directory, path_rename, path_symlink, path_unlink_file,
    }
    poll { poll_oneoff<L>, }
    proc { proc_exit, proc_raise, sched_yield, }
    random { random_get, }
    sock { sock_accept, sock_recv, sock_send, sock_shutdown, }
}
