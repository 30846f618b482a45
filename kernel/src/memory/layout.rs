//! Where things are in the upper half of the address space, which is all that there is.
//!
//! | from | what |
//! |---|---|
//! | `ffff_8000_0000_0000` | direct map: all RAM but the image's, at its physical address plus this |
//! | `ffff_a000_0000_0000` | device registers, uncached |
//! | `ffff_c000_0000_0000` | arena: what is mapped on demand (heap, large allocations, linear memories) |
//! | `ffff_ffff_8000_0000` | the image, at its physical address plus this (`boot`) |

use boot::{KERNEL_BASE, PhysicalRange, image};

/// The size of a page and of a frame.
pub const PAGE: u64 = 4096;
/// The size of a large page, which one entry of a page directory maps.
pub const LARGE_PAGE: u64 = 2 << 20;
/// How many pages a large page is.
pub const PAGES_PER_LARGE: usize = (LARGE_PAGE / PAGE) as usize;

/// The direct map's first address.
pub const DIRECT: u64 = 0xffff_8000_0000_0000;
/// How much physical memory the direct map has room for.
pub const DIRECT_SIZE: u64 = DEVICES - DIRECT;
/// The first address for device registers.
pub const DEVICES: u64 = 0xffff_a000_0000_0000;
/// The address after the last one for device registers.
pub const DEVICES_END: u64 = DEVICES + (512 << 30);
/// The arena's first address.
pub const ARENA: u64 = 0xffff_c000_0000_0000;

/// The address rounded down to a multiple of `to`, a power of two.
pub const fn align_down(address: u64, to: u64) -> u64 {
    address & !(to - 1)
}

/// The address rounded up to a multiple of `to`, a power of two; saturating.
pub const fn align_up(address: u64, to: u64) -> u64 {
    align_down(address.saturating_add(to - 1), to)
}

/// Where RAM at `physical` is mapped.
pub fn virtual_address(physical: u64) -> u64 {
    let PhysicalRange { start, end } = image::physical();
    if (start..end).contains(&physical) { KERNEL_BASE + physical } else { DIRECT + physical }
}
