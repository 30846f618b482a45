//! Virtio devices that are mapped into memory: where they are.

use super::{Device, Interrupt};
use crate::{acpi::Tables, memory, pci};
use alloc::vec::Vec;
use core::ptr::NonNull;
use virtio_drivers::transport::mmio::{MmioError, MmioTransport, VirtIOHeader};

/// Where QEMU's microvm has its slots, with ACPI or without (`hw/i386/microvm.c`).
const MICROVM_BASE: u64 = 0xfeb0_0000;
const MICROVM_SLOT: usize = 512;
/// With ACPI: 24 slots on the second I/O APIC, or 8 on the upper lines of the only one.
const MICROVM_SECOND_IO_APIC: (u32, u32) = (24, 24);
const MICROVM_ONE_IO_APIC: (u32, u32) = (16, 8);

/// A place where a device may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    base: u64,
    size: usize,
    line: u32,
}

/// The machine's devices in memory.
pub(super) fn devices(command_line: &str, acpi: Option<&Tables>) -> Vec<Device> {
    let mut slots: Vec<Slot> = command_line_slots(command_line).collect();
    // A machine with ACPI and without PCI is a microvm.
    if slots.is_empty()
        && pci::root().is_none()
        && let Some(tables) = acpi
    {
        let (first_line, count) =
            if tables.io_apics().count() > 1 { MICROVM_SECOND_IO_APIC } else { MICROVM_ONE_IO_APIC };
        slots.extend((0..count).map(|index| Slot {
            base: MICROVM_BASE + u64::from(index) * MICROVM_SLOT as u64,
            size: MICROVM_SLOT,
            line: first_line + index,
        }));
    }
    slots.into_iter().filter_map(open).collect()
}

fn open(slot: Slot) -> Option<Device> {
    let header: NonNull<VirtIOHeader> = memory::map_device(slot.base, slot.size).cast();
    // SAFETY: the machine says that the slot is a virtio device's register block, it is mapped for ever, and each slot
    // is opened once.
    match unsafe { MmioTransport::new(header, slot.size) } {
        Ok(transport) => Some(Device { transport: transport.into(), interrupt: Interrupt::Line(slot.line) }),
        // Device type 0: nothing is plugged in.
        Err(MmioError::InvalidDeviceID(_)) => None,
        Err(error) => {
            log::warn!("virtio device at {:#x}: {error}", slot.base);
            None
        }
    }
}

/// The slots that the command line names, as Linux spells them: `virtio_mmio.device=SIZE@BASE:LINE[:ID]`.
fn command_line_slots(command_line: &str) -> impl Iterator<Item = Slot> {
    command_line.split_ascii_whitespace().filter_map(|word| {
        let text = word.strip_prefix("virtio_mmio.device=")?;
        let slot = parse_slot(text);
        if slot.is_none() {
            log::warn!("{word:?} on the command line is not SIZE@BASE:LINE");
        }
        slot
    })
}

fn parse_slot(text: &str) -> Option<Slot> {
    let (size, rest) = text.split_once('@')?;
    let (base, rest) = rest.split_once(':')?;
    let line = rest.split(':').next()?;
    let (number, unit) = match size.as_bytes().last()?.to_ascii_lowercase() {
        b'k' => (&size[..size.len() - 1], 1 << 10),
        b'm' => (&size[..size.len() - 1], 1 << 20),
        _ => (size, 1),
    };
    Some(Slot {
        base: parse_number(base)?,
        size: usize::try_from(parse_number(number)?.checked_mul(unit)?).ok()?,
        line: u32::try_from(parse_number(line)?).ok()?,
    })
}

fn parse_number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
