//! Running out of the host's heap is an error of the guest's, not the host's end: what takes memory for a guest asks first.

use crate::{Error, Result};
use alloc::vec::Vec;

/// What is left for all that cannot fail and would abort: reference counts, nodes of a tree, short texts, of which no call of a
/// guest takes more than 64 KiB; and wasmi's own, which are the frames of nested calls (1.5 MiB for the default depth) and the
/// functions that it translates when they are first called.
const RESERVE: usize = 2 << 20;

/// Makes sure that the heap has still something in reserve. [`Error::NoMemory`] when it has not.
pub(crate) fn check() -> Result<()> {
    check_for(0)
}

/// As [`check`], after `bytes` more have been taken.
pub(crate) fn check_for(bytes: usize) -> Result<()> {
    let mut probe = Vec::<u8>::new();
    probe.try_reserve_exact(bytes.saturating_add(RESERVE)).map_err(|_| Error::NoMemory)?;
    // Else the compiler may take it that the allocation succeeds.
    core::hint::black_box(&mut probe);
    Ok(())
}
