//! Linear memories of programs in reserved address space: they grow in place, and what one program leaves the next one has.

use crate::memory::{self, Reservation};
use alloc::boxed::Box;
use core::ptr::NonNull;
use wasi::memory::{LinearMemories, Region};

/// The kernel's address space for linear memories.
pub struct Arena;

struct Reserved(Reservation);

impl LinearMemories for Arena {
    fn reserve(&self, bytes: usize) -> Option<Box<dyn Region>> {
        Some(Box::new(Reserved(Reservation::reused(bytes, wasi::heap::kept())?)))
    }
}

// SAFETY: a `Reservation` owns its addresses until it is dropped and never moves; what it commits is zeros, or what another program left.
unsafe impl Region for Reserved {
    fn base(&self) -> NonNull<u8> {
        self.0.base()
    }

    fn size(&self) -> usize {
        self.0.max()
    }

    fn commit(&mut self, bytes: usize) -> bool {
        // A reservation can also shrink, which a region never does.
        let mut commit = || bytes <= self.0.len() || self.0.commit_leaving(bytes, wasi::heap::kept());
        // If there is too little, the heap may have some that nobody uses.
        commit() || {
            memory::tidy();
            commit()
        }
    }
}
