//! `hvm_start_info`, which the hypervisor leaves in memory, read into a [`BootInfo`].
//!
//! The structures are those of Xen's `arch-x86/hvm/start_info.h`, all little-endian. Memory is read through
//! [`PhysicalMemory`], so that the tests can lay out their own.

use crate::info::{BootInfo, CommandLine, MemoryKind, MemoryRegion, Module, PhysicalRange};

/// A way to read physical memory.
pub(crate) trait PhysicalMemory {
    /// Copies the bytes at `address` into `buffer`; what cannot be read is zero.
    fn read(&mut self, address: u64, buffer: &mut [u8]);
}

/// Why there is no [`BootInfo`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Error {
    /// What the loader points at is no `hvm_start_info`.
    Magic,
    /// The structure is older than the memory map (version 1, 2018).
    NoMemoryMap,
}

const MAGIC: u32 = 0x336e_c578;
const RAM: u32 = 1;
const ACPI: u32 = 3;
const ACPI_NVS: u32 = 4;

/// A structure of `N` bytes, read whole.
struct Record<const N: usize>([u8; N]);

impl<const N: usize> Record<N> {
    fn read(memory: &mut impl PhysicalMemory, address: u64) -> Self {
        let mut bytes = [0; N];
        memory.read(address, &mut bytes);
        Self(bytes)
    }

    fn u32(&self, offset: usize) -> u32 {
        self.0.get(offset..).and_then(|b| b.first_chunk()).copied().map_or(0, u32::from_le_bytes)
    }

    fn u64(&self, offset: usize) -> u64 {
        self.0.get(offset..).and_then(|b| b.first_chunk()).copied().map_or(0, u64::from_le_bytes)
    }
}

/// Reads the `hvm_start_info` at `address`.
pub(crate) fn parse(memory: &mut impl PhysicalMemory, address: u64) -> Result<BootInfo, Error> {
    let start = Record::<56>::read(memory, address);
    let (magic, version, module_count) = (start.u32(0), start.u32(4), start.u32(12));
    let (modules, command_line, rsdp) = (start.u64(16), start.u64(24), start.u64(32));
    let (map, map_entries) = (start.u64(40), start.u32(48));
    if magic != MAGIC {
        return Err(Error::Magic);
    }
    if version < 1 || map_entries == 0 {
        return Err(Error::NoMemoryMap);
    }
    let mut info = BootInfo::new(read_string(memory, command_line));
    info.rsdp = (rsdp != 0).then_some(rsdp);
    for index in 0..u64::from(map_entries) {
        let entry = Record::<24>::read(memory, map.saturating_add(index * 24));
        let kind = match entry.u32(16) {
            RAM => MemoryKind::Ram,
            ACPI | ACPI_NVS => MemoryKind::Acpi,
            _ => MemoryKind::Reserved,
        };
        let region = MemoryRegion { range: PhysicalRange::new(entry.u64(0), entry.u64(8)), kind };
        if info.memory.push(region).is_err() {
            break;
        }
    }
    for index in 0..u64::from(module_count) {
        let entry = Record::<32>::read(memory, modules.saturating_add(index * 32));
        let module = Module { range: PhysicalRange::new(entry.u64(0), entry.u64(8)) };
        if info.modules.push(module).is_err() {
            break;
        }
    }
    Ok(info)
}

/// The NUL-terminated string at `address`, as much as fits; none at address 0.
fn read_string(memory: &mut impl PhysicalMemory, address: u64) -> CommandLine {
    let mut string = CommandLine::default();
    if address == 0 {
        return string;
    }
    let mut at = address;
    loop {
        let [byte] = Record::<1>::read(memory, at).0;
        if byte == 0 || string.push(byte).is_err() {
            return string;
        }
        at = at.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    struct Bytes(Vec<u8>);

    impl PhysicalMemory for Bytes {
        fn read(&mut self, address: u64, buffer: &mut [u8]) {
            for (at, byte) in (address as usize..).zip(buffer) {
                *byte = self.0.get(at).copied().unwrap_or(0);
            }
        }
    }

    impl Bytes {
        fn put(&mut self, at: usize, bytes: &[u8]) {
            self.0[at..at + bytes.len()].copy_from_slice(bytes);
        }
    }

    /// Start info at 0x100: two regions at 0x200, one module at 0x300, a command line at 0x400.
    fn machine() -> Bytes {
        let mut memory = Bytes(std::vec![0; 0x500]);
        memory.put(0x100, &MAGIC.to_le_bytes());
        memory.put(0x104, &1u32.to_le_bytes());
        memory.put(0x10c, &1u32.to_le_bytes());
        for (at, value) in [(0x110, 0x300u64), (0x118, 0x400), (0x120, 0xf_5a00), (0x128, 0x200)] {
            memory.put(at, &value.to_le_bytes());
        }
        memory.put(0x130, &2u32.to_le_bytes());
        for (at, start, len, kind) in [(0x200, 0u64, 0x9_f000u64, RAM), (0x218, 0x10_0000, 0x700_0000, ACPI)]
        {
            memory.put(at, &start.to_le_bytes());
            memory.put(at + 8, &len.to_le_bytes());
            memory.put(at + 16, &kind.to_le_bytes());
        }
        memory.put(0x300, &0x40_0000u64.to_le_bytes());
        memory.put(0x308, &0x123u64.to_le_bytes());
        memory.put(0x400, b"loglevel=debug\0rest");
        memory
    }

    #[test]
    fn everything_is_read() {
        let info = parse(&mut machine(), 0x100).unwrap();
        assert_eq!(info.command_line(), "loglevel=debug");
        assert_eq!(info.rsdp, Some(0xf_5a00));
        assert_eq!(&*info.modules, [Module { range: PhysicalRange { start: 0x40_0000, end: 0x40_0123 } }]);
        let kinds: Vec<_> = info.memory.iter().map(|r| (r.range.start, r.range.len(), r.kind)).collect();
        assert_eq!(kinds, [(0, 0x9_f000, MemoryKind::Ram), (0x10_0000, 0x700_0000, MemoryKind::Acpi)]);
    }

    #[test]
    fn what_is_missing_is_missing() {
        let mut memory = machine();
        memory.put(0x110, &[0; 24]);
        memory.put(0x10c, &[0; 4]);
        let info = parse(&mut memory, 0x100).unwrap();
        assert_eq!((info.command_line(), info.rsdp, info.modules.len()), ("", None, 0));
    }

    #[test]
    fn a_stranger_is_refused() {
        assert_eq!(parse(&mut machine(), 0).err(), Some(Error::Magic));
        let mut old = machine();
        old.put(0x104, &0u32.to_le_bytes());
        assert_eq!(parse(&mut old, 0x100).err(), Some(Error::NoMemoryMap));
    }

    #[test]
    fn counts_out_of_all_proportion_are_cut() {
        let mut memory = machine();
        memory.put(0x130, &u32::MAX.to_le_bytes());
        memory.put(0x10c, &u32::MAX.to_le_bytes());
        let info = parse(&mut memory, 0x100).unwrap();
        assert_eq!((info.memory.len(), info.modules.len()), (128, 8));
    }
}
