//! The operating system's random bytes, a few of which go a long way: a generator for each thread, as a system call for the 16
//! bytes that a guest asks for costs more than all else about it.
//!
//! A process that forks has two of what was one generator, and they must not give the same bytes twice. So there is a page that the
//! operating system makes zero in the child (`MADV_WIPEONFORK`, since Linux 4.14), and a generator that finds it so is seeded
//! again. Where there is no such page, each call asks the system.

use crate::{
    Error, Result,
    random::{Entropy, Generator, Seed},
};
use core::{cell::RefCell, num::NonZeroUsize};

/// How many bytes a seed serves.
const INTERVAL: NonZeroUsize = NonZeroUsize::new(64 << 10).expect("not 0");

std::thread_local! {
    static GENERATOR: RefCell<Generator> = const { RefCell::new(Generator::new(INTERVAL)) };
}

/// The operating system's random bytes, and what a ChaCha20 generator makes of them.
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) -> Result<()> {
        let Some(forked) = forked() else { return from_system(buffer) };
        let generated = GENERATOR.try_with(|generator| {
            let mut generator = generator.borrow_mut();
            if forked {
                generator.expire();
            }
            generator.fill(buffer, || {
                let mut seed = Seed::default();
                from_system(&mut seed)?;
                Ok(seed)
            })
        });
        // A thread that ends has none any more.
        generated.unwrap_or_else(|_| from_system(buffer))
    }
}

fn from_system(buffer: &mut [u8]) -> Result<()> {
    getrandom::fill(buffer).map_err(|_| Error::NoDevice)
}

/// Whether this process has been forked off since it was last asked. It has one thread then, and one generator. `None`: it cannot
/// be known.
#[cfg(target_os = "linux")]
fn forked() -> Option<bool> {
    use core::{
        ptr,
        sync::atomic::{AtomicBool, Ordering},
    };
    use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous};
    use std::sync::OnceLock;

    const PAGE: usize = 4096;
    static SAME: OnceLock<Option<&'static AtomicBool>> = OnceLock::new();

    let same = (*SAME.get_or_init(|| {
        // SAFETY: a new mapping, where the system likes; nothing else is touched.
        let page = unsafe {
            let access = ProtFlags::READ | ProtFlags::WRITE;
            mmap_anonymous(ptr::null_mut(), PAGE, access, MapFlags::PRIVATE).ok()?
        };
        // SAFETY: the page is our own, and nothing is in it yet.
        unsafe { madvise(page, PAGE, Advice::LinuxWipeOnFork).ok()? };
        // SAFETY: it begins with a byte that is zero, readable and writable, and is never unmapped; only what is made here
        // refers to it.
        let same = unsafe { AtomicBool::from_ptr(page.cast()) };
        same.store(true, Ordering::Relaxed);
        Some(same)
    }))?;
    let forked = !same.load(Ordering::Relaxed);
    if forked {
        same.store(true, Ordering::Relaxed);
    }
    Some(forked)
}

#[cfg(not(target_os = "linux"))]
fn forked() -> Option<bool> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::{
        fs::File,
        io::{Read, Write},
        os::fd::OwnedFd,
    };

    fn bytes() -> [u8; 32] {
        let mut bytes = [0; 32];
        SystemEntropy.fill(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn bytes_do_not_come_again_in_any_thread() {
        let here = [bytes(), bytes()];
        let there = std::thread::spawn(bytes).join().unwrap();
        assert!(here[0] != here[1] && here[0] != there && here[1] != there);
    }

    #[test]
    fn a_process_that_forks_does_not_share_what_comes_next() {
        // From now on there is a generator.
        bytes();
        let (from_child, to_parent): (OwnedFd, OwnedFd) = rustix::pipe::pipe().unwrap();
        // SAFETY: the child has one thread; it takes no lock that another may have held, as it only asks for random bytes, writes
        // to a pipe and ends.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let mut bytes = [0; 32];
            let filled = SystemEntropy.fill(&mut bytes).is_ok();
            let written = File::from(to_parent).write_all(&bytes).is_ok();
            // SAFETY: it ends the child at once.
            unsafe { libc::_exit(i32::from(!(filled && written))) };
        }
        drop(to_parent);
        let mut theirs = [0; 32];
        File::from(from_child).read_exact(&mut theirs).unwrap();
        let mut status = -1;
        // SAFETY: `status` may be written.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        assert_eq!(status, 0);
        assert_ne!(bytes(), theirs);
    }
}
