//! MSI-X for virtio over PCI (VIRTIO 1.2, 4.1.5.1.2): the part of the transport that `virtio-drivers` leaves out.

use crate::{pci, registers::Registers};
use virtio_drivers::transport::pci::{
    VIRTIO_PCI_CAP_COMMON_CFG,
    bus::{DeviceFunction, PCI_CAP_ID_VNDR},
};

/// Fields of `virtio_pci_cap`, by offset.
const CAPABILITY_BAR: u8 = 4;
const CAPABILITY_OFFSET: u8 = 8;
/// Registers of `virtio_pci_common_cfg`, by offset, and their length.
const CONFIG_VECTOR: usize = 16;
const QUEUE_SELECT: usize = 22;
const QUEUE_VECTOR: usize = 26;
const COMMON_CONFIG_LEN: usize = 56;

/// Sends the interrupts of `queues`, and those for changes of the configuration, as the function's message 0.
pub(super) fn route(function: DeviceFunction, queues: impl IntoIterator<Item = u16>) -> Option<()> {
    const MESSAGE: u16 = 0;
    let registers = common_config(function)?;
    // What the device could not allocate, it reads back as something else.
    let set = |register| {
        registers.write(register, MESSAGE);
        (registers.read::<u16>(register) == MESSAGE).then_some(())
    };
    set(CONFIG_VECTOR)?;
    for queue in queues {
        registers.write(QUEUE_SELECT, queue);
        set(QUEUE_VECTOR)?;
    }
    Some(())
}

fn common_config(function: DeviceFunction) -> Option<Registers> {
    let mut root = pci::root()?;
    let capability = root.capabilities(function).find(|found| {
        // The upper byte of a vendor capability's header is virtio's type of structure.
        found.id == PCI_CAP_ID_VNDR && (found.private_header >> 8) as u8 == VIRTIO_PCI_CAP_COMMON_CFG
    })?;
    let bar = pci::read(function, capability.offset + CAPABILITY_BAR) as u8;
    let offset = pci::read(function, capability.offset + CAPABILITY_OFFSET);
    pci::map_bar(&mut root, function, bar, offset.into(), COMMON_CONFIG_LEN)
}
