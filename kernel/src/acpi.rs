//! ACPI's static tables: the few facts that the kernel needs, and the one object of the byte code that it needs
//! (`\_S5_`, how to power off).
//!
//! The crate `acpi` asks for some thirty functions of port, memory and PCI access, for an interpreter of byte code that
//! the kernel does without: it looks at fixed offsets of three tables. What a table says is checked to be inside of it.

use crate::{memory, registers::Registers};
use core::iter;

/// What each table begins with.
const HEADER_LEN: usize = 36;
const LENGTH_OFFSET: usize = 4;
/// Longer than any table that the kernel reads.
const MAX_TABLE_LEN: usize = 1 << 20;

/// The machine's tables.
pub struct Tables {
    fadt: Option<Table>,
    hpet: Option<Table>,
    madt: Option<Table>,
    /// Of the byte code, what `\_S5_` says.
    sleep_types: Option<[u8; 2]>,
}

/// How ACPI powers a machine off (sleep state S5).
#[derive(Clone, Copy, Debug)]
pub enum SoftOff {
    /// Through the PM1 control ports; there may be only the first.
    Pm1 {
        /// PM1a and PM1b, with the sleep type that each is to have.
        control: [Option<(u16, u8)>; 2],
        /// What makes the firmware hand the ports over, and the port that takes it.
        enable: Option<(u16, u8)>,
    },
    /// Through the sleep control register of a machine with reduced hardware.
    SleepControl {
        /// The register.
        register: Registers,
        /// The sleep type.
        sleep_type: u8,
    },
}

impl Tables {
    /// Follows the root pointer at a physical address. `None` if it leads nowhere.
    pub fn find(root_pointer: u64) -> Option<Self> {
        const RSDP_LEN: usize = 36;
        const REVISION: usize = 15;
        const RSDT: usize = 16;
        const XSDT: usize = 24;

        let root = Table(map(root_pointer, RSDP_LEN)?);
        if !root.0.starts_with(b"RSD PTR ") {
            return None;
        }
        let extended = root.u64(XSDT).filter(|&address| root.u8(REVISION) >= Some(2) && address != 0);
        let list = Table::open(extended.or_else(|| root.u32(RSDT).map(u64::from))?)?;
        let entries = list.0.get(HEADER_LEN..)?;
        let width = if extended.is_some() { size_of::<u64>() } else { size_of::<u32>() };
        let mut tables = Self { fadt: None, hpet: None, madt: None, sleep_types: None };
        for entry in entries.chunks_exact(width).map(Table) {
            let address = entry.u64(0).or_else(|| entry.u32(0).map(u64::from));
            let Some(table) = address.and_then(Table::open) else { continue };
            match table.signature() {
                b"FACP" => tables.fadt = Some(table),
                b"HPET" => tables.hpet = Some(table),
                b"APIC" => tables.madt = Some(table),
                b"SSDT" => tables.find_sleep_types(&table),
                _ => {}
            }
        }
        if let Some(dsdt) = tables.fadt.as_ref().and_then(Table::dsdt) {
            tables.find_sleep_types(&dsdt);
        }
        Some(tables)
    }

    fn find_sleep_types(&mut self, code: &Table) {
        self.sleep_types = self.sleep_types.or_else(|| code.sleep_types());
    }

    /// The machine's I/O APICs: the physical address and the first line of each.
    pub fn io_apics(&self) -> impl Iterator<Item = (u64, u32)> {
        const FIRST_ENTRY: usize = 44;
        const IO_APIC: u8 = 1;
        const ADDRESS: usize = 4;
        const FIRST_LINE: usize = 8;

        let mut rest = self.madt.as_ref().and_then(|madt| madt.0.get(FIRST_ENTRY..)).unwrap_or_default();
        iter::from_fn(move || {
            while let [kind, len, ..] = *rest {
                let entry = Table(rest);
                rest = rest.get(usize::from(len.max(2))..).unwrap_or_default();
                let controller = entry.u32(ADDRESS).map(u64::from).zip(entry.u32(FIRST_LINE));
                if kind == IO_APIC && controller.is_some() {
                    return controller;
                }
            }
            None
        })
    }

    /// The physical address of the HPET's registers.
    pub fn hpet_address(&self) -> Option<u64> {
        const BASE: usize = 40;
        self.hpet.as_ref()?.memory_address(BASE)
    }

    /// The port of the power management timer.
    pub fn pm_timer_port(&self) -> Option<u16> {
        const PM_TMR_BLK: usize = 76;
        self.fadt.as_ref()?.port(PM_TMR_BLK)
    }

    /// How to power the machine off.
    pub fn soft_off(&self) -> Option<SoftOff> {
        const SMI_CMD: usize = 48;
        const ACPI_ENABLE: usize = 52;
        const PM1A_CNT_BLK: usize = 64;
        const PM1B_CNT_BLK: usize = 68;
        const FLAGS: usize = 112;
        const SLEEP_CONTROL_REG: usize = 244;
        const HARDWARE_REDUCED: u32 = 1 << 20;

        let fadt = self.fadt.as_ref()?;
        let [a, b] = self.sleep_types?;
        if fadt.u32(FLAGS)? & HARDWARE_REDUCED != 0 {
            return Some(SoftOff::SleepControl {
                register: Registers::map(fadt.memory_address(SLEEP_CONTROL_REG)?, 1),
                sleep_type: a,
            });
        }
        let control = [Some((fadt.port(PM1A_CNT_BLK)?, a)), fadt.port(PM1B_CNT_BLK).map(|port| (port, b))];
        let enable = fadt.port(SMI_CMD).zip(fadt.u8(ACPI_ENABLE).filter(|&value| value != 0));
        Some(SoftOff::Pm1 { control, enable })
    }
}

/// The bytes of a table, or of a part of one.
struct Table(&'static [u8]);

impl Table {
    fn open(address: u64) -> Option<Self> {
        let len = Self(map(address, HEADER_LEN)?).u32(LENGTH_OFFSET)? as usize;
        let table = (HEADER_LEN..=MAX_TABLE_LEN).contains(&len).then(|| map(address, len))?.map(Self)?;
        // All bytes of a sound table add up to 0.
        table.0.iter().fold(0u8, |sum, &byte| sum.wrapping_add(byte)).eq(&0).then_some(table)
    }

    fn signature(&self) -> &[u8] {
        self.0.get(..4).unwrap_or_default()
    }

    fn dsdt(&self) -> Option<Self> {
        const DSDT: usize = 40;
        const X_DSDT: usize = 140;
        let address = self.u64(X_DSDT).filter(|&address| address != 0);
        Self::open(address.or_else(|| self.u32(DSDT).map(u64::from))?)
    }

    /// The sleep types of `\_S5_`, the package `Name (_S5, Package () { a, b, … })`.
    fn sleep_types(&self) -> Option<[u8; 2]> {
        const NAME: &[u8] = b"_S5_";
        const PACKAGE_OP: u8 = 0x12;

        let at = self.0.windows(NAME.len()).position(|window| window == NAME)?;
        let [PACKAGE_OP, length, rest @ ..] = self.0.get(at + NAME.len()..)? else { return None };
        // The top bits of the package's length say how many more bytes the length has; then comes the number of elements.
        let elements = rest.get(usize::from(length >> 6) + 1..)?;
        let (a, elements) = integer(elements)?;
        let (b, _) = integer(elements)?;
        Some([a, b])
    }

    /// The address in a generic address structure that is in memory.
    fn memory_address(&self, offset: usize) -> Option<u64> {
        const SYSTEM_MEMORY: u8 = 0;
        const ADDRESS: usize = 4;
        let address = self.u64(offset + ADDRESS)?;
        (self.u8(offset) == Some(SYSTEM_MEMORY) && address != 0).then_some(address)
    }

    /// A port in a 32-bit field; 0 means that there is none.
    fn port(&self, offset: usize) -> Option<u16> {
        u16::try_from(self.u32(offset)?).ok().filter(|&port| port != 0)
    }

    fn u8(&self, offset: usize) -> Option<u8> {
        self.0.get(offset).copied()
    }

    fn u32(&self, offset: usize) -> Option<u32> {
        Some(u32::from_le_bytes(*self.0.get(offset..)?.first_chunk()?))
    }

    fn u64(&self, offset: usize) -> Option<u64> {
        Some(u64::from_le_bytes(*self.0.get(offset..)?.first_chunk()?))
    }
}

/// A small integer of the byte code, and what follows it.
fn integer(code: &[u8]) -> Option<(u8, &[u8])> {
    const BYTE_PREFIX: u8 = 0x0a;
    match code {
        [value @ (0 | 1), rest @ ..] | [BYTE_PREFIX, value, rest @ ..] => Some((*value, rest)),
        _ => None,
    }
}

/// The bytes at a physical address; `None` if there is no such address.
fn map(address: u64, len: usize) -> Option<&'static [u8]> {
    address.checked_add(len as u64).filter(|&end| address != 0 && end <= memory::PHYSICAL_END)?;
    let bytes = memory::map_device(address, len);
    // SAFETY: `len` bytes are mapped there for ever, and nobody writes to firmware's tables.
    Some(unsafe { core::slice::from_raw_parts(bytes.as_ptr(), len) })
}
