//! From the machine's memory map to the direct map and the frame allocator. Runs once, touches little.

use super::frames::{Extents, Frames};
use super::layout::{DIRECT_SIZE, LARGE_PAGE, PAGE, align_down, align_up, virtual_address};
use super::tables::{self, Entry, Level, Table};
use boot::{BootInfo, MemoryKind, PhysicalRange, image};
use core::ptr;

/// Tables for the start of the direct map, before any RAM is mapped that could hold them.
const FIRST_TABLES: usize = 8;

#[repr(C, align(4096))]
struct FirstTables([[u64; 512]; FIRST_TABLES]);

static mut TABLES: FirstTables = FirstTables([[0; 512]; FIRST_TABLES]);

/// Maps all RAM and returns the allocator of what is free of it.
///
/// # Safety
/// Called once, before anything else of memory is used.
pub unsafe fn init(info: &BootInfo) -> Frames {
    let usable = subtract(ram(info), &[image::physical()]);
    let Some(main) =
        usable.iter().copied().max_by_key(|extent| if extent.start < 4 << 30 { extent.len() } else { 0 })
    else {
        panic!("the memory map has no RAM for the kernel");
    };

    // Frames for tables: a few of the image's, then from the start of `main`, which is mapped first.
    let modules = info.modules.iter().map(|module| pages_around(module.range));
    let mut spare = PhysicalRange { start: main.start, end: main.end };
    for module in modules.clone() {
        // A module in the middle would have to be stepped over: begin behind it, if it is not at the end.
        if module.start < spare.end && module.end > spare.start {
            if module.start - spare.start.min(module.start) > spare.end.saturating_sub(module.end) {
                spare.end = module.start;
            } else {
                spare.start = module.end;
            }
        }
    }
    let first_spare = spare.start;
    let mut first = 0;
    let mut take = || {
        if first < FIRST_TABLES {
            first += 1;
            let base = (&raw mut TABLES) as u64 - boot::KERNEL_BASE;
            return Some(base + (first as u64 - 1) * PAGE);
        }
        let frame = spare.start;
        spare.start += PAGE;
        (frame < spare.end).then_some(frame)
    };
    let rest = usable.iter().filter(|extent| **extent != main);
    for extent in core::iter::once(&main).chain(rest) {
        if map(*extent, &mut take).is_none() {
            panic!("no memory for the page tables of {} MiB", extent.len() >> 20);
        }
    }

    let metadata = spare.start;
    let end = usable.last().map_or(0, |extent| extent.end);
    spare.start = align_up(spare.start + Frames::metadata_size(end), PAGE);
    assert!(spare.start <= spare.end, "no memory to describe {} MiB with", end >> 20);

    let mut used = boot::List::<PhysicalRange, 16>::default();
    let taken = PhysicalRange { start: first_spare, end: spare.start };
    // The first frame holds the firmware's tables, and is the one that a null pointer would be.
    for range in modules.chain([taken, PhysicalRange::new(0, PAGE)]) {
        used.push(range).expect("as many as there are modules, and two");
    }
    let free = subtract(usable, &used);
    // SAFETY: what is free is RAM by the machine's map, and neither the image, nor a module, nor taken here; the
    // memory for the metadata was taken here, and is mapped.
    unsafe { Frames::new(free, ptr::with_exposed_provenance_mut(virtual_address(metadata) as usize)) }
}

/// The machine's RAM: whole frames, sorted, disjoint, none that is also something else.
fn ram(info: &BootInfo) -> Extents {
    let mut sorted = Extents::default();
    let mut above = 0;
    // Selection by order of address; overlapping regions merge.
    loop {
        let regions = info.memory.iter().filter(|region| region.kind == MemoryKind::Ram);
        let Some(next) = regions
            .map(|region| PhysicalRange {
                start: align_up(region.range.start, PAGE).max(above),
                end: align_down(region.range.end, PAGE).min(DIRECT_SIZE),
            })
            .filter(|range| !range.is_empty())
            .min_by_key(|range| range.start)
        else {
            break;
        };
        above = next.end;
        if sorted.push(next).is_err() {
            break;
        }
    }
    let mut others = boot::List::<PhysicalRange, 128>::default();
    for region in
        info.memory.iter().filter(|region| region.kind != MemoryKind::Ram && !region.range.is_empty())
    {
        others.push(pages_around(region.range)).expect("no more than there are regions");
    }
    subtract(sorted, &others)
}

fn pages_around(range: PhysicalRange) -> PhysicalRange {
    PhysicalRange { start: align_down(range.start, PAGE), end: align_up(range.end, PAGE) }
}

/// What is left of `extents` without `holes`.
fn subtract(extents: Extents, holes: &[PhysicalRange]) -> Extents {
    let mut left = extents;
    for hole in holes {
        let mut next = Extents::default();
        for extent in left.iter() {
            let below = PhysicalRange { start: extent.start, end: extent.end.min(hole.start) };
            let above = PhysicalRange { start: extent.start.max(hole.end), end: extent.end };
            for part in [below, above].into_iter().filter(|part| !part.is_empty()) {
                // With more pieces than the list holds, the rest of memory is not used.
                let _ = next.push(part);
            }
        }
        left = next;
    }
    left
}

/// Maps an extent in the direct map.
fn map(extent: PhysicalRange, allocate: &mut impl FnMut() -> Option<u64>) -> Option<()> {
    let mut physical = extent.start;
    while physical < extent.end {
        let address = super::layout::DIRECT + physical;
        let directory = tables::directory_or_create(address, allocate)?;
        if physical.is_multiple_of(LARGE_PAGE) && extent.end - physical >= LARGE_PAGE {
            // SAFETY: nothing was mapped there; it is RAM, seen by the memory code only.
            unsafe { directory.set(address, Level::Directory, Entry::large_data(physical)) };
            physical += LARGE_PAGE;
        } else {
            let table: Table = directory.next_or_create(address, Level::Directory, allocate)?;
            // SAFETY: as above.
            unsafe { table.set(address, Level::Leaf, Entry::data(physical)) };
            physical += PAGE;
        }
    }
    Some(())
}
