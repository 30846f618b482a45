//! The table of an instance's handles: what `own` and `borrow` are inside of a guest.

use crate::{Trap, value::Resource};
use alloc::vec::Vec;

/// A resource type at run time: an index into the store's resource types. The host's come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceId(pub u32);

impl ResourceId {
    /// No resource type: that of a value of the host's that leaves it to the type, and of an import that is not bound yet.
    pub const NONE: Self = Self(u32::MAX);
}

/// A handle of a guest.
#[derive(Clone, Debug)]
pub struct Handle {
    /// What it stands for.
    pub resource: Resource,
    /// Owned or borrowed; how often it is lent.
    pub kind: HandleKind,
}

/// Owned or borrowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandleKind {
    /// Owned, and how many calls it is lent to just now.
    Own {
        /// Calls that have borrowed it.
        lends: u32,
    },
    /// Borrowed for the call of this number; and how many calls it is lent to in turn.
    Borrow {
        /// The task that has to drop it before it returns.
        task: u64,
        /// Calls that have borrowed it.
        lends: u32,
    },
}

/// A table of handles. Index 0 is never used; the index freed last is given out first, as the canonical ABI has it.
#[derive(Debug, Default)]
pub struct Handles {
    slots: Vec<Option<Handle>>,
    free: Vec<u32>,
}

/// The most handles that one instance may have: bounded by what the host will allocate.
pub const HANDLES_MAX: usize = 1 << 20;

impl Handles {
    /// Adds a handle; gives its index.
    ///
    /// # Errors
    /// [`Trap::TooManyHandles`].
    pub fn insert(&mut self, handle: Handle) -> Result<u32, Trap> {
        if let Some(index) = self.free.pop() {
            if let Some(slot) = self.slot(index) {
                *slot = Some(handle);
            }
            return Ok(index);
        }
        if self.slots.is_empty() {
            self.slots.push(None);
        }
        if self.slots.len() >= HANDLES_MAX || self.slots.try_reserve(1).is_err() {
            return Err(Trap::TooManyHandles);
        }
        let index = u32::try_from(self.slots.len()).map_err(|_| Trap::TooManyHandles)?;
        self.slots.push(Some(handle));
        Ok(index)
    }

    fn slot(&mut self, index: u32) -> Option<&mut Option<Handle>> {
        usize::try_from(index).ok().and_then(|index| self.slots.get_mut(index))
    }

    /// The handle at `index`, if it is of type `ty`.
    ///
    /// # Errors
    /// [`Trap::UnknownHandle`], [`Trap::HandleType`].
    pub fn get(&mut self, index: u32, ty: ResourceId) -> Result<&mut Handle, Trap> {
        match self.slot(index) {
            Some(Some(handle)) if handle.resource.ty == ty => Ok(handle),
            Some(Some(_)) => Err(Trap::HandleType(index)),
            _ => Err(Trap::UnknownHandle(index)),
        }
    }

    /// Takes the handle at `index` away, if it is of type `ty` and not lent.
    ///
    /// # Errors
    /// As [`get`](Self::get), and [`Trap::Lent`].
    pub fn remove(&mut self, index: u32, ty: ResourceId) -> Result<Handle, Trap> {
        let handle = self.get(index, ty)?;
        let (HandleKind::Own { lends } | HandleKind::Borrow { lends, .. }) = handle.kind;
        if lends > 0 {
            return Err(Trap::Lent(index));
        }
        let taken = self.slot(index).and_then(Option::take).ok_or(Trap::UnknownHandle(index))?;
        self.free.push(index);
        Ok(taken)
    }

    /// Lends the handle at `index` to a call.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn lend(&mut self, index: u32, ty: ResourceId) -> Result<Resource, Trap> {
        let handle = self.get(index, ty)?;
        let (HandleKind::Own { lends } | HandleKind::Borrow { lends, .. }) = &mut handle.kind;
        *lends = lends.saturating_add(1);
        Ok(handle.resource)
    }

    /// Ends what [`lend`](Self::lend) began.
    pub fn give_back(&mut self, index: u32) {
        if let Some(Some(handle)) = self.slot(index) {
            let (HandleKind::Own { lends } | HandleKind::Borrow { lends, .. }) = &mut handle.kind;
            *lends = lends.saturating_sub(1);
        }
    }

    /// All handles that are left: whoever ends the instance drops what they own.
    pub fn drain(&mut self) -> impl Iterator<Item = Handle> + '_ {
        self.free.clear();
        self.slots.drain(..).flatten()
    }
}
