//! The controllers of the machine's interrupt lines (82093AA I/O APIC): they turn a line into a vector of the processor.

use super::local_apic;
use crate::registers::Registers;
use alloc::vec::Vec;
use spin::Mutex;

/// Where a PC has its only one, unless ACPI says otherwise.
const DEFAULT_ADDRESS: u64 = 0xfec0_0000;
const REGISTERS_LEN: usize = 0x20;

/// The two registers in memory: which register, and its content.
const SELECT: usize = 0;
const WINDOW: usize = 0x10;

/// Registers behind the window: version with the number of lines, and the first line's entry (two registers each).
const VERSION: u32 = 1;
const ENTRIES: u32 = 0x10;

struct IoApic {
    registers: Registers,
    first_line: u32,
    lines: u32,
}

impl IoApic {
    fn map(address: u64, first_line: u32) -> Self {
        let mut io_apic = Self { registers: Registers::map(address, REGISTERS_LEN), first_line, lines: 0 };
        io_apic.registers.write(SELECT, VERSION);
        io_apic.lines = (io_apic.registers.read::<u32>(WINDOW) >> 16 & 0xff) + 1;
        io_apic
    }

    fn write(&self, register: u32, value: u32) {
        self.registers.write(SELECT, register);
        self.registers.write(WINDOW, value);
    }
}

static IO_APICS: Mutex<Vec<IoApic>> = Mutex::new(Vec::new());

/// Makes a controller known: where its registers are, and which line of the machine is its first (both from ACPI's MADT). A
/// machine that makes none known is taken to have one, at the usual place.
pub fn add(address: u64, first_line: u32) {
    IO_APICS.lock().push(IoApic::map(address, first_line));
}

/// Sends `line`, as an edge, to `vector` of this processor. `None` if there is no such line.
pub fn route(line: u32, vector: u8) -> Option<()> {
    let mut io_apics = IO_APICS.lock();
    if io_apics.is_empty() {
        io_apics.push(IoApic::map(DEFAULT_ADDRESS, 0));
    }
    io_apics.iter().find_map(|io_apic| {
        let pin = line.checked_sub(io_apic.first_line).filter(|&pin| pin < io_apic.lines)?;
        let entry = ENTRIES + 2 * pin;
        // The destination first: the other half unmasks. Edge, active high, fixed delivery, physical destination.
        io_apic.write(entry + 1, local_apic::id() << 24);
        io_apic.write(entry, u32::from(vector));
        Some(())
    })
}
