//! Running out of the host's heap is an error of the guest's, not the host's end: what takes memory for a guest asks first.

use crate::{Error, Result};
use alloc::vec::Vec;

/// What is left for all that cannot fail (reference counts, nodes of a tree, short texts) and would abort: more than any one
/// call of a guest takes of it.
const RESERVE: usize = 64 << 10;

/// Makes sure that the heap has still something in reserve. [`Error::NoMemory`] when it has not.
pub(crate) fn check() -> Result<()> {
    let mut probe = Vec::<u8>::new();
    probe.try_reserve_exact(RESERVE).map_err(|_| Error::NoMemory)?;
    // Else the compiler may take it that the allocation succeeds.
    core::hint::black_box(&mut probe);
    Ok(())
}
