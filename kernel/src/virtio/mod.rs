//! Virtio: finding the machine's devices over PCI and MMIO, and their drivers.
//!
//! The queues and transports are the crate `virtio-drivers`'; the drivers here are those that it lacks or that would
//! busy-wait for ever. Devices are found in three ways, as machines have them: by walking PCI (q35, pc); from
//! `virtio_mmio.device=SIZE@BASE:IRQ` on the kernel's command line (QEMU's microvm with `acpi=off`, Firecracker); and in the
//! fixed slots of a microvm with ACPI, which lists them only in byte code.

pub mod console;
mod hal;
mod mmio;
mod msi_x;
#[cfg(feature = "full")]
pub mod net;
pub mod p9;
mod request;
pub mod rng;

pub use hal::{DmaBuffer, Hal};

use crate::{acpi::Tables, arch::interrupts, pci};
use alloc::vec::Vec;
use bitflags::bitflags;
use core::fmt::{self, Debug};
use virtio_drivers::transport::{
    DeviceType, SomeTransport, Transport,
    pci::{PciTransport, virtio_device_type},
};

/// A device that has been found and is not driven yet.
pub struct Device {
    /// How the driver talks to it.
    pub transport: SomeTransport<'static>,
    interrupt: Interrupt,
}

/// What a device is called in the log, also once its driver has it.
#[derive(Clone, Copy)]
pub struct Name {
    kind: DeviceType,
    interrupt: Interrupt,
}

/// How a device interrupts.
#[derive(Clone, Copy)]
enum Interrupt {
    /// With the MSI-X messages of a PCI function.
    MsiX(virtio_drivers::transport::pci::bus::DeviceFunction),
    /// On a line of the I/O APIC, edge-triggered: the driver acknowledges in the device before it looks at the queues,
    /// so that what comes after the look raises the line again.
    Line(u32),
}

/// Why a device cannot be driven.
#[derive(Debug)]
pub enum Error {
    /// The device or its queue does not work as the specification says.
    Virtio(virtio_drivers::Error),
    /// It has no way to interrupt this processor.
    NoInterrupt,
    /// Memory for its buffers cannot be had.
    NoMemory,
    /// It did not answer in time.
    Timeout,
}

bitflags! {
    /// Feature bits that all devices share (VIRTIO 1.2, section 6).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct CommonFeatures: u64 {
        /// The device follows version 1 of the specification.
        const VERSION_1 = 1 << 32;
    }
}

impl Device {
    /// Its name.
    pub fn name(&self) -> Name {
        Name { kind: self.transport.device_type(), interrupt: self.interrupt }
    }

    /// Makes `queues` and changes of the configuration interrupt this processor; `handler` runs at each interrupt, with
    /// interrupts off. Call it when the queues are set up and before the device goes live.
    ///
    /// # Errors
    /// [`Error::NoInterrupt`] if the device cannot.
    pub fn enable_interrupts(
        &mut self,
        handler: fn(),
        queues: impl IntoIterator<Item = u16>,
    ) -> Result<(), Error> {
        let enabled = match self.interrupt {
            Interrupt::MsiX(function) => interrupts::allocate_vector(handler)
                .and_then(|vector| pci::enable_msi_x(function, vector))
                .and_then(|()| msi_x::route(function, queues)),
            Interrupt::Line(line) => interrupts::register_line(line, handler),
        };
        enabled.ok_or(Error::NoInterrupt)
    }
}

/// The machine's devices, taken out one by one by their drivers.
pub struct Devices(Vec<Device>);

impl Devices {
    /// Finds them all.
    pub fn find(command_line: &str, acpi: Option<&Tables>) -> Self {
        let mut found = Vec::new();
        if let Some(mut root) = pci::root() {
            for (function, info) in pci::functions(&root) {
                if virtio_device_type(&info).is_none() {
                    continue;
                }
                pci::enable(&root, function);
                match PciTransport::new::<Hal, _>(&mut root, function) {
                    Ok(transport) => found
                        .push(Device { transport: transport.into(), interrupt: Interrupt::MsiX(function) }),
                    Err(error) => log::warn!("virtio device {function}: {error}"),
                }
            }
        }
        found.extend(mmio::devices(command_line, acpi));
        for device in &found {
            log::debug!("{device:?}");
        }
        Self(found)
    }

    /// Takes all devices of a type.
    pub fn take(&mut self, kind: DeviceType) -> Vec<Device> {
        self.0.extract_if(.., |device| device.transport.device_type() == kind).collect()
    }
}

impl Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.name(), f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "virtio {:?} at ", self.kind)?;
        match self.interrupt {
            Interrupt::MsiX(function) => write!(f, "PCI {function}"),
            Interrupt::Line(line) => write!(f, "MMIO, interrupt line {line}"),
        }
    }
}

impl From<virtio_drivers::Error> for Error {
    fn from(error: virtio_drivers::Error) -> Self {
        Self::Virtio(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Virtio(error) => Debug::fmt(error, f),
            Self::NoInterrupt => f.write_str("the device offers no interrupt that the kernel can use"),
            Self::NoMemory => f.write_str("no memory for the device's buffers"),
            Self::Timeout => f.write_str("the device does not answer"),
        }
    }
}

impl core::error::Error for Error {}
