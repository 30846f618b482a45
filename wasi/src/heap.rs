//! The heap's end: a guest comes to it, the host never does.
//!
//! What a guest makes the host allocate is of two kinds. What can be refused (file data, linear memory, tables, output that is
//! kept) asks here first, and leaves [`kept`] bytes. What cannot be, because the allocation aborts when it fails, is wasmi's
//! own (the frames of nested calls, a function's translation when it is first called) and what is small (a waker, a node of
//! a tree); it is bounded, and lives on what the others have left:
//!
//! - A guest's turn begins only when there is enough for the deepest stacks ([`Engine::stack`](crate::Engine::stack)) and for
//!   the translation of all that is not translated ahead; else the guest ends, with the limit
//!   [`MachineMemory`](crate::Limit::MachineMemory). One guest runs at a time, so one turn's worth is enough for all.
//! - What is refused leaves more than that, so that a guest that was refused something still has its turns.
//! - Compiling a program and making an instance of it ask for what their [footprint](crate::program) says.
//!
//! All of this holds on a machine that has said how much is left of its heap ([`set_available`]). On others, hosted
//! ones as a rule, the system hands out more than it has, and only a fixed reserve is left.
//!
//! The state here is global: the heap is global too.

use crate::{Error, Result};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};
use spin::Once;

/// What is left on a machine that does not say how much it has: enough for the frames of the default depth.
const FIXED: usize = 2 << 20;

static AVAILABLE: Once<fn() -> usize> = Once::new();
/// What wasmi's stacks may take in one turn.
static STACKS: AtomicUsize = AtomicUsize::new(0);
/// What functions of all programs may take when they are translated on their first call.
static TRANSLATION: AtomicUsize = AtomicUsize::new(0);

/// Says that the heap is all the memory there is, and how many bytes of it can still be allocated. Once, before the first program
/// is compiled; what is said later is ignored.
pub fn set_available(available: fn() -> usize) {
    AVAILABLE.call_once(|| available);
}

/// How many bytes every allocation that can be refused leaves: the machine's own too, as those for linear memories.
pub fn kept() -> usize {
    if AVAILABLE.get().is_none() {
        return FIXED;
    }
    // Half of it again: what a guest takes of it in one turn is not there for the next. Less than half of what translation may
    // take is all that it takes, but of functions that are made for the purpose.
    let turn = turn();
    turn.saturating_add(turn / 2)
}

/// What a turn may take of what cannot be refused.
fn turn() -> usize {
    STACKS.load(Ordering::Relaxed).saturating_add(TRANSLATION.load(Ordering::Relaxed))
}

/// Whether the machine has said how much is left.
pub(crate) fn is_bounded() -> bool {
    AVAILABLE.get().is_some()
}

/// Keeps what wasmi's stacks may take in one turn: the most that was ever asked for.
pub(crate) fn keep_stacks(bytes: usize) {
    STACKS.fetch_max(bytes, Ordering::Relaxed);
}

/// Makes sure that the heap has still something left for what cannot be refused. [`Error::NoMemory`] when it has not.
#[inline]
pub(crate) fn check() -> Result<()> {
    check_for(0)
}

/// As [`check`], after `bytes` more have been taken.
pub(crate) fn check_for(bytes: usize) -> Result<()> {
    let needed = bytes.saturating_add(kept());
    match AVAILABLE.get() {
        Some(available) if available() >= needed => Ok(()),
        Some(_) => Err(Error::NoMemory),
        None => {
            let mut probe = Vec::<u8>::new();
            probe.try_reserve_exact(needed).map_err(|_| Error::NoMemory)?;
            // Else the compiler may take it that the allocation succeeds.
            core::hint::black_box(&mut probe);
            Ok(())
        }
    }
}

/// How many bytes can be taken before [`check`] fails, as far as that is known.
#[cfg_attr(not(feature = "components"), expect(dead_code, reason = "components are its users"))]
pub(crate) fn spare() -> Option<usize> {
    AVAILABLE.get().map(|available| available().saturating_sub(kept()))
}

/// Makes room for `more` elements in `vec`, as an allocation that can be refused.
#[inline]
pub(crate) fn reserve<T>(vec: &mut Vec<T>, more: usize) -> Result<()> {
    let room = vec.capacity().saturating_sub(vec.len());
    if room < more { grow(vec, more) } else { Ok(()) }
}

/// So many elements, as an allocation that can be refused.
pub(crate) fn filled<T: Clone>(len: usize, value: T) -> Result<Vec<T>> {
    let mut vec = Vec::new();
    reserve(&mut vec, len)?;
    vec.resize(len, value);
    Ok(vec)
}

#[cold]
fn grow<T>(vec: &mut Vec<T>, more: usize) -> Result<()> {
    // Twice the capacity, so that many small growths cost little; the old elements are there until they are copied.
    let len = vec.len().saturating_add(more).max(vec.capacity().saturating_mul(2));
    check_for(len.saturating_mul(size_of::<T>()))?;
    vec.try_reserve(more).map_err(|_| Error::NoMemory)
}

/// Makes sure that there is enough for a turn of any guest.
#[inline]
pub(crate) fn check_turn() -> Result<()> {
    let Some(available) = AVAILABLE.get() else { return Ok(()) };
    if available() >= turn() { Ok(()) } else { Err(Error::NoMemory) }
}

/// Bytes that are kept for the translation of a program's functions, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Translation(usize);

impl Translation {
    /// Keeps `bytes`, if that is a small part of what is left: most of them will not be used.
    pub(crate) fn keep(bytes: usize) -> Option<Self> {
        check_for(bytes.saturating_mul(4)).ok()?;
        TRANSLATION.fetch_add(bytes, Ordering::Relaxed);
        Some(Self(bytes))
    }
}

impl Drop for Translation {
    fn drop(&mut self) {
        TRANSLATION.fetch_sub(self.0, Ordering::Relaxed);
    }
}
