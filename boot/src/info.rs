//! What the kernel learns of the machine at boot. Values only: where they come from is `pvh`'s business.

use core::ops::Deref;

/// A range of physical addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PhysicalRange {
    /// The first byte.
    pub start: u64,
    /// The byte after the last one.
    pub end: u64,
}

impl PhysicalRange {
    /// The range of `len` bytes from `start`; it ends early where addresses do.
    pub const fn new(start: u64, len: u64) -> Self {
        Self { start, end: start.saturating_add(len) }
    }

    /// Its length in bytes.
    pub const fn len(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Whether it holds nothing.
    pub const fn is_empty(&self) -> bool {
        self.end <= self.start
    }
}

/// What a range of physical memory is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemoryKind {
    /// RAM that the kernel may use.
    Ram,
    /// Tables of ACPI (reclaimable or not).
    Acpi,
    /// Anything else: not to be touched.
    #[default]
    Reserved,
}

/// An entry of the memory map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryRegion {
    /// Where it is.
    pub range: PhysicalRange,
    /// What it is for.
    pub kind: MemoryKind,
}

/// A file that the machine loaded beside the kernel (QEMU's `-initrd`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Module {
    /// Where its bytes are.
    pub range: PhysicalRange,
}

/// A short list of fixed capacity.
#[derive(Clone, Copy, Debug)]
pub struct List<T, const N: usize> {
    items: [T; N],
    len: usize,
}

impl<T: Copy + Default, const N: usize> Default for List<T, N> {
    fn default() -> Self {
        Self { items: [T::default(); N], len: 0 }
    }
}

impl<T, const N: usize> List<T, N> {
    /// Appends `item`, or says that the list is full by returning it.
    ///
    /// # Errors
    /// The item, when the list has no room.
    pub fn push(&mut self, item: T) -> Result<(), T> {
        match self.items.get_mut(self.len) {
            Some(slot) => {
                *slot = item;
                self.len += 1;
                Ok(())
            }
            None => Err(item),
        }
    }
}

impl<T, const N: usize> Deref for List<T, N> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.items.get(..self.len).unwrap_or_default()
    }
}

/// The kernel's command line, at most 4 KiB of it.
pub type CommandLine = List<u8, 4096>;

/// What the kernel learns of the machine at boot.
#[derive(Clone, Debug, Default)]
pub struct BootInfo {
    /// The machine's memory, as the hypervisor describes it: in no order, overlaps possible.
    pub memory: List<MemoryRegion, 128>,
    /// The files loaded with the kernel, in order. Their memory is inside [`BootInfo::memory`]'s RAM: reserve it.
    pub modules: List<Module, 8>,
    /// ACPI's root pointer, where the machine has one.
    pub rsdp: Option<u64>,
    /// The processor's time stamp counter at the kernel's first instruction.
    pub entered: u64,
    command_line: CommandLine,
}

impl BootInfo {
    pub(crate) fn new(command_line: CommandLine) -> Self {
        Self { command_line, ..Self::default() }
    }

    /// The command line; empty if it is not UTF-8.
    pub fn command_line(&self) -> &str {
        core::str::from_utf8(&self.command_line).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_keeps_what_fits() {
        let mut list = List::<u8, 2>::default();
        assert_eq!((list.push(1), list.push(2), list.push(3)), (Ok(()), Ok(()), Err(3)));
        assert_eq!(&*list, [1, 2]);
    }

    #[test]
    fn a_range_ends_where_addresses_do() {
        assert_eq!(PhysicalRange::new(u64::MAX - 1, 10).len(), 1);
        assert!(PhysicalRange { start: 2, end: 1 }.is_empty());
    }
}
