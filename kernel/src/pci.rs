//! PCI: configuration space through the ports 0xCF8 and 0xCFC, the walk over all buses, MSI-X.
//!
//! Firmware has assigned buses and BARs before the kernel runs; nothing is moved here. What a device is for is known to
//! its driver ([`crate::virtio`]).

use crate::{arch::local_apic, registers::Registers};
use alloc::vec::Vec;
use virtio_drivers::transport::pci::bus::{
    Command, ConfigurationAccess, DeviceFunction, DeviceFunctionInfo, HeaderType, PciRoot,
};
use x86_64::instructions::port::Port;

const CONFIG_ADDRESS: u16 = 0xcf8;
const CONFIG_DATA: u16 = 0xcfc;
/// Set in the address port for an access to configuration space.
const ENABLE: u32 = 1 << 31;

/// Registers of every function's configuration space.
const COMMAND: u8 = 0x04;
/// In a bridge's: the bus behind it, in bits 8 to 15.
const BUS_NUMBERS: u8 = 0x18;

const CAPABILITY_MSI_X: u8 = 0x11;
const MSI_X_ENABLE: u32 = 1 << 31;
const MSI_X_FUNCTION_MASK: u32 = 1 << 30;

/// Configuration space, as `virtio-drivers` gets it: to read.
///
/// The crate writes in order to learn the sizes of BARs, for which it switches the function's memory off and on, twelve
/// times per device. That costs a hypervisor milliseconds, and tells nothing that is needed: without the writes, a BAR
/// seems to reach to the end of its address space, and the offsets in it are the device's own.
pub struct ReadOnly(());

impl ConfigurationAccess for ReadOnly {
    fn read_word(&self, function: DeviceFunction, offset: u8) -> u32 {
        read(function, offset)
    }

    fn write_word(&mut self, _: DeviceFunction, _: u8, _: u32) {}

    unsafe fn unsafe_clone(&self) -> Self {
        Self(())
    }
}

/// The machine's PCI root, if it has one.
pub fn root() -> Option<PciRoot<ReadOnly>> {
    let mut address = Port::<u32>::new(CONFIG_ADDRESS);
    // SAFETY: the port is PCI's on every PC; a machine without PCI ignores the write and reads as all ones.
    let present = unsafe {
        address.write(ENABLE);
        address.read() == ENABLE
    };
    present.then(|| PciRoot::new(ReadOnly(())))
}

/// All functions on all buses that firmware has numbered.
pub fn functions(root: &PciRoot<ReadOnly>) -> Vec<(DeviceFunction, DeviceFunctionInfo)> {
    let mut found = Vec::new();
    let mut buses = Vec::from([0u8]);
    while let Some(bus) = buses.pop() {
        for (function, info) in root.enumerate_bus(bus) {
            if info.header_type == HeaderType::PciPciBridge {
                let behind = (read(function, BUS_NUMBERS) >> 8) as u8;
                // Numbers rise on the way down; anything else would send the walk in circles.
                if behind > bus {
                    buses.push(behind);
                }
            }
            found.push((function, info));
        }
    }
    found
}

/// Reads the word of a function's configuration space that `offset` is in.
pub fn read(function: DeviceFunction, offset: u8) -> u32 {
    // SAFETY: reading configuration space has no side effects on the devices that the kernel drives.
    unsafe { select(function, offset).read() }
}

/// Writes the word of a function's configuration space that `offset` is in.
fn write(function: DeviceFunction, offset: u8, value: u32) {
    // SAFETY: only this module writes, and only to the command register and to MSI-X control.
    unsafe { select(function, offset).write(value) }
}

/// The data port, showing the word that `offset` is in.
fn select(function: DeviceFunction, offset: u8) -> Port<u32> {
    let address = ENABLE
        | u32::from(function.bus) << 16
        | u32::from(function.device) << 11
        | u32::from(function.function) << 8
        | u32::from(offset & !3);
    // SAFETY: the address port only selects what the data port shows; there is one processor, and no interrupt comes
    // between this and the access to the data port.
    unsafe { Port::new(CONFIG_ADDRESS).write(address) };
    Port::new(CONFIG_DATA)
}

/// Lets a function answer to memory accesses and do DMA; its interrupt pin stays silent (MSI-X or polling instead).
pub fn enable(root: &PciRoot<ReadOnly>, function: DeviceFunction) {
    let (_, command) = root.get_status_command(function);
    let command = command | Command::MEMORY_SPACE | Command::BUS_MASTER | Command::INTERRUPT_DISABLE;
    // The upper half is the status register, where writing zeros changes nothing.
    write(function, COMMAND, command.bits().into());
}

/// Sends the function's MSI-X message 0 to `vector` of this processor. `None` if the function has no MSI-X.
pub fn enable_msi_x(function: DeviceFunction, vector: u8) -> Option<()> {
    let mut root = root()?;
    let capability = root.capabilities(function).find(|found| found.id == CAPABILITY_MSI_X)?;
    let table = read(function, capability.offset + 4);
    let entry = map_bar(&mut root, function, (table & 7) as u8, u64::from(table & !7), 16)?;
    // The local APIC's address with this processor's id (physical mode), fixed delivery, edge, not masked.
    let message = [0xfee0_0000 | local_apic::id() << 12, 0, u32::from(vector), 0];
    for (index, word) in message.into_iter().enumerate() {
        entry.write(index * size_of::<u32>(), word);
    }
    let control = read(function, capability.offset);
    write(function, capability.offset, control & !MSI_X_FUNCTION_MASK | MSI_X_ENABLE);
    Some(())
}

/// Maps `len` bytes at `offset` of a memory BAR; `None` if there is no such BAR.
pub fn map_bar(
    root: &mut PciRoot<ReadOnly>,
    function: DeviceFunction,
    bar: u8,
    offset: u64,
    len: usize,
) -> Option<Registers> {
    let (address, _) = root.bar_info(function, bar).ok()??.memory_address_size()?;
    (address != 0).then_some(Registers::map(address.checked_add(offset)?, len))
}
