//! Device registers in memory: bounds-checked volatile access. Which register means what is the driver's business.

use crate::memory;
use core::ptr::NonNull;

/// A block of device registers, mapped for as long as the kernel runs.
#[derive(Clone, Copy, Debug)]
pub struct Registers {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: device memory is no processor's own, and every access is one volatile instruction.
unsafe impl Send for Registers {}
// SAFETY: as above.
unsafe impl Sync for Registers {}

/// What a register can hold.
pub trait Value: Copy {}
impl Value for u8 {}
impl Value for u16 {}
impl Value for u32 {}
impl Value for u64 {}

impl Registers {
    /// Maps `len` bytes of registers at a physical address.
    pub fn map(physical: u64, len: usize) -> Self {
        Self { base: memory::map_device(physical, len), len }
    }

    /// Reads the register at `offset`.
    ///
    /// # Panics
    /// If it is not inside the block, or not aligned: drivers name registers by constants.
    pub fn read<T: Value>(&self, offset: usize) -> T {
        // SAFETY: `at` checked that the register is in the block, which is mapped, and any bits are a `T`.
        unsafe { self.at::<T>(offset).read_volatile() }
    }

    /// Writes the register at `offset`.
    ///
    /// # Panics
    /// As [`read`](Self::read).
    pub fn write<T: Value>(&self, offset: usize, value: T) {
        // SAFETY: as in `read`; what the write makes the device do is up to the driver, which owns the device.
        unsafe { self.at::<T>(offset).write_volatile(value) }
    }

    fn at<T>(&self, offset: usize) -> NonNull<T> {
        let end = offset.checked_add(size_of::<T>());
        assert!(end.is_some_and(|end| end <= self.len) && offset.is_multiple_of(size_of::<T>()));
        // SAFETY: the offset is inside of the mapping.
        unsafe { self.base.add(offset).cast() }
    }
}
