//! The heap and memory on demand, on the machine's real memory.

use super::{machine, selftest, touch};
use crate::memory::{self, Reservation, Stats};
use alloc::alloc::{alloc, alloc_zeroed, dealloc, realloc};
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::alloc::Layout;
use core::hint::black_box;
use core::slice;

selftest! { all_of_the_machines_memory_is_there small_allocations_are_apart_and_come_back large_allocations_grow_in_place_to_a_gigabyte zeroed_memory_costs_nothing
zeroing_memory_on_demand_costs_nothing_and_zeroes what_cannot_be_backed_is_refused all_memory_can_be_used_and_comes_back
a_reservation_grows_and_shrinks a_thousand_rounds_end_where_they_began alignments_are_kept
a_growth_that_is_refused_changes_nothing what_one_leaves_the_next_has
the_next_does_not_have_all_that_a_large_one_had as_many_are_kept_as_there_is_room_for what_is_kept_for_the_next_is_anybodys
small_blocks_come_again_and_are_joined small_blocks_are_joined_when_memory_lacks }

const MIB: usize = 1 << 20;

/// Runs `test`, after which as much memory is free as before.
fn balanced(test: impl Fn()) {
    // The first round may leave page tables and allocator structures that stay.
    test();
    let before = memory::stats();
    test();
    let after = memory::stats();
    assert_eq!((before.available, before.heap), (after.available, after.heap));
}

fn pattern(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|index| (index.wrapping_mul(31) ^ seed) as u8).collect()
}

fn all_of_the_machines_memory_is_there() {
    let ram: usize =
        machine().option("ram").and_then(|mib| mib.parse().ok()).expect("ram=MIB on the command line");
    let lost = (ram * MIB).checked_sub(memory::stats().total).expect("no more than there is");
    // The image (below 16 MiB, as a rule 5), what firmware keeps, the initrd, and what describes the rest: below a hundredth.
    assert!(lost < 8 * MIB + ram * MIB / 100, "{lost} bytes of {ram} MiB are not used");
}

fn small_allocations_are_apart_and_come_back() {
    balanced(|| {
        let mut kept: Vec<(usize, Vec<u8>)> = Vec::new();
        for round in 0..2_000 {
            kept.push((round, pattern(round * 7 % 5_000, round)));
            if round % 3 == 0 {
                let (seed, bytes) = kept.swap_remove(round * 13 % kept.len());
                assert_eq!(bytes, pattern(bytes.len(), seed));
            }
        }
        for (seed, bytes) in kept {
            assert_eq!(bytes, pattern(bytes.len(), seed));
        }
    });
}

fn large_allocations_grow_in_place_to_a_gigabyte() {
    balanced(|| {
        let total = memory::stats().available / 2;
        let mut moves = 0;
        let mut layout = Layout::from_size_align(MIB, 16).unwrap();
        // SAFETY: the layout's size is not 0.
        let mut base = unsafe { alloc(layout) };
        assert!(!base.is_null());
        for size in (2 * MIB..total.min(1 << 30)).step_by(64 << 10) {
            // SAFETY: allocated with this layout, and the size is not 0.
            let grown = unsafe { realloc(base, layout, size) };
            assert!(!grown.is_null(), "at {size}");
            moves += usize::from(grown != base);
            (base, layout) = (grown, Layout::from_size_align(size, 16).unwrap());
            if size % (16 * MIB) == 0 {
                // SAFETY: the last byte of the allocation.
                unsafe { base.add(size - 1).write(1) };
            }
        }
        // SAFETY: allocated with this layout.
        unsafe { dealloc(base, layout) };
        assert!(moves <= 6, "{moves} moves: each is to a larger slot, and copies nothing");
    });
}

fn zeroed_memory_costs_nothing() {
    balanced(|| {
        let len = memory::stats().available / 2;
        let layout = Layout::from_size_align(len, 4096).unwrap();
        let before = memory::stats();
        // SAFETY: the size is not 0.
        let base = unsafe { alloc_zeroed(layout) };
        assert!(!base.is_null());
        let Stats { available, free, .. } = memory::stats();
        assert!(before.free - free < MIB, "promised, not taken");
        assert!(before.available - available >= len);
        for offset in [0, len / 3, len - 1] {
            // SAFETY: inside of the allocation.
            assert_eq!(touch(unsafe { base.add(offset) }), 0);
        }
        // SAFETY: allocated with this layout.
        unsafe { dealloc(base, layout) };
    });
}

fn zeroing_memory_on_demand_costs_nothing_and_zeroes() {
    balanced(|| {
        let len = 64 * MIB.min(memory::stats().available / 256);
        let mut memory = Reservation::new(len).expect("address space");
        assert!(memory.commit_leaving(len, 0));
        let free = memory::stats().free;
        // SAFETY: committed, and nobody else has it.
        let bytes = unsafe { slice::from_raw_parts_mut(memory.base().as_ptr(), len) };
        bytes[5] = 5;
        bytes[len / 2] = 6;
        bytes[len - 1] = 7;
        bytes[4..].fill(0);
        assert!(free - memory::stats().free < MIB, "only what was touched");
        assert!([0, 4, 5, len / 2 - 1, len / 2, len - 1].iter().all(|&at| bytes[at] == 0));
        bytes[4] = 9;
        bytes[5..].fill(0);
        assert_eq!(bytes[4], 9, "what is before stays");
    });
}

fn what_cannot_be_backed_is_refused() {
    balanced(|| {
        let total = memory::stats().total;
        assert!(Vec::<u8>::new().try_reserve(total + 1).is_err());
        assert!(Vec::<u8>::new().try_reserve(isize::MAX as usize).is_err());
        let mut memory = Reservation::new(2 * total).expect("address space costs nothing");
        assert!(!memory.commit_leaving(total + 1, 0));
        assert_eq!(memory.len(), 0);
        assert!(!memory.commit_leaving(2 * total + 1, 0));
    });
}

fn all_memory_can_be_used_and_comes_back() {
    balanced(|| {
        // To the end: then every page that was promised can be written.
        let mut memory = Reservation::new(memory::stats().total).expect("address space");
        let mut len = 0;
        for step in [16 * MIB, MIB, 64 << 10] {
            while memory.commit_leaving(len + step, MIB) {
                len += step;
            }
        }
        assert!(len > memory::stats().total / 2, "{len} of {}", memory::stats().total);
        // Every page of up to half a gigabyte, else as many: the host need not have that much free.
        let step = (len >> 17).next_multiple_of(4096).max(4096);
        for offset in (0..len).step_by(step) {
            // SAFETY: committed.
            unsafe { memory.base().add(offset).cast::<usize>().write(offset) };
        }
        for offset in (0..len).step_by(step) {
            // SAFETY: committed and written.
            assert_eq!(unsafe { memory.base().add(offset).cast::<usize>().read() }, offset);
        }
        // The kernel itself still works.
        assert_eq!(*Box::new(7), 7);
    });
}

fn a_reservation_grows_and_shrinks() {
    balanced(|| {
        let mut memory = Reservation::new(6 * MIB).expect("address space");
        let base = memory.base();
        assert!(memory.commit_leaving(3 * MIB, 0));
        // SAFETY: committed.
        unsafe { base.add(MIB).write(1) };
        assert!(memory.commit_leaving(MIB, 0));
        // Most of what a machine of 16 MiB has left.
        assert!(memory.commit_leaving(6 * MIB, 0));
        assert_eq!(memory.base(), base);
        // SAFETY: committed.
        assert_eq!(touch(unsafe { base.add(MIB).as_ptr() }), 0, "given up, and so zero again");
    });
}

fn a_thousand_rounds_end_where_they_began() {
    balanced(|| {
        for round in 0..1_000 {
            let mut memory = Reservation::new(64 * MIB).expect("address space");
            assert!(memory.commit_leaving(2 * MIB, 0));
            // SAFETY: committed.
            unsafe { memory.base().add(round * 1_000).write(1) };
            let large = vec![round as u8; 300_000];
            assert_eq!(touch(&large[299_999]), round as u8);
        }
    });
}

fn alignments_are_kept() {
    balanced(|| {
        for shift in 0..=16 {
            for size in [1, 100, 200_000] {
                let layout = Layout::from_size_align(size, 1 << shift).unwrap();
                // SAFETY: the size is not 0.
                let base = unsafe { alloc(layout) };
                assert!(!base.is_null() && base.addr().is_multiple_of(1 << shift), "{layout:?}");
                // SAFETY: allocated with this layout.
                unsafe { dealloc(base, layout) };
            }
        }
    });
}

fn a_growth_that_is_refused_changes_nothing() {
    balanced(|| {
        let mut bytes = pattern(2 * MIB - 1, 7);
        let place = bytes.as_ptr();
        assert!(bytes.try_reserve_exact(memory::stats().available).is_err());
        assert_eq!(bytes.as_ptr(), place);
        assert!(bytes == pattern(2 * MIB - 1, 7));
    });
}

fn what_one_leaves_the_next_has() {
    balanced(|| {
        // Which frees what guests have left.
        memory::stats();
        let first = |leaving| Reservation::reused(8 * MIB, leaving).expect("address space");
        let mut one = first(0);
        assert_eq!(one.len(), 0, "nobody has left anything");
        assert!(one.commit_leaving(3 * MIB, 0) && one.commit_leaving(2 * MIB, 0));
        let base = one.base();
        // SAFETY: committed.
        unsafe { base.add(MIB).write(7) };
        drop(one);
        // One of another class; one that is for itself; one for which too little would be left.
        let smaller = Reservation::reused(2 * MIB, 0).expect("address space");
        let own = Reservation::new(8 * MIB).expect("address space");
        let modest = first(memory::available());
        for other in [&smaller, &own, &modest] {
            assert!(other.base() != base && other.len() == 0, "{other:?}");
        }
        let next = first(0);
        assert_eq!((next.base(), next.len()), (base, 2 * MIB));
        // Of the smallest class, but with more than it may have.
        let mut more = Reservation::reused(2 * MIB, 0).expect("address space");
        assert!(more.commit_leaving(MIB, 0));
        drop(more);
        assert_eq!(Reservation::reused(64 << 10, 0).expect("address space").len(), 0);
        // SAFETY: committed by who had it before.
        assert_eq!(touch(unsafe { next.base().add(MIB).as_ptr() }), 7, "as it was left");
    });
}

fn the_next_does_not_have_all_that_a_large_one_had() {
    balanced(|| {
        let before = memory::available();
        let (large, small) = (before / 2, 64 << 10);
        let mut one = Reservation::reused(before, 0).expect("address space");
        assert!(one.commit_leaving(large, 0));
        let base = one.base();
        drop(one);
        let mut next = Reservation::reused(before, 0).expect("address space");
        assert!(next.base() == base && (next.len() >= small || next.commit_leaving(small, 0)));
        assert!(next.len() <= 2 * MIB && memory::available() >= before - 3 * MIB);
    });
}

fn as_many_are_kept_as_there_is_room_for() {
    balanced(|| {
        memory::stats();
        let class = 8 * MIB;
        let of = |index: usize| Reservation::reused(class - index * 4096, 0).expect("address space");
        // Each has one page: the last that were dropped stay, and come again from the last on.
        let mut bases: Vec<_> = (0..20).map(of).collect();
        let places: Vec<_> =
            bases.iter_mut().map(|one| (one.commit_leaving(4096, 0), one.base()).1).collect();
        bases.into_iter().for_each(drop);
        let again: Vec<_> = (0..17).map(of).collect();
        for (one, place) in again.iter().take(16).zip(places.iter().rev()) {
            assert!(one.base() == *place && one.len() == 4096);
        }
        assert_eq!(again[16].len(), 0, "no more than 16 were kept");
    });
}

fn what_is_kept_for_the_next_is_anybodys() {
    balanced(|| {
        let before = memory::available();
        let len = (before / 4).min(2 * MIB);
        let mut one = Reservation::reused(len, 0).expect("address space");
        assert!(one.commit_leaving(len, 0));
        // SAFETY: committed.
        unsafe { one.base().add(len / 2).write(1) };
        assert!(memory::available() <= before - len);
        drop(one);
        let kept = memory::available();
        assert!(kept >= before - (64 << 10), "{kept} of {before}");
        // More than there would be if it stayed where it is.
        let mut all = Reservation::new(before).expect("address space");
        // (Page tables take something too.)
        assert!(all.commit_leaving(before - len / 2 - before / 256, 0));
        drop(all);
        // It may be wanted for the heap, too.
        let mut one = Reservation::reused(len, 0).expect("address space");
        assert!(one.commit_leaving(len, 0));
        drop(one);
        let mut bytes = Vec::<u8>::new();
        assert!(bytes.try_reserve_exact(memory::available() - len / 2 - before / 256).is_ok());
        black_box(&mut bytes);
    });
}

fn small_blocks_come_again_and_are_joined() {
    // Not balanced to the byte: how much room the heap keeps at its end depends on what it was before.
    let one = Box::new([1u64; 6]);
    let place = (&raw const *one).addr();
    drop(one);
    // Any size of the same class has it, and no other.
    let other = Box::new([2u64; 8]);
    let same = vec![3u8; 25];
    assert!((&raw const *other).addr() != place && same.as_ptr().addr() == place);
    drop(other);
    // Blocks all over the heap, freed from anywhere: lists keep few of them, and soon those near its beginning only.
    let before = memory::available();
    let count = (before / 512).min(80_000);
    let mut blocks: Vec<Option<Box<[u8; 100]>>> = (0..count).map(|_| Some(Box::new([4; 100]))).collect();
    assert!(memory::available() < before - count * 50);
    for start in (0..16).rev() {
        for block in blocks.iter_mut().skip(start).step_by(16) {
            *block = None;
            assert!(memory::untidy() <= 256 << 10);
        }
    }
    drop(blocks);
    let after = memory::available();
    assert!(after > before - (3 * MIB).min(count * 100), "{after} of {before}");
    // All of it is the machine's again, though one of them was wanted.
    let wanted = Box::new([5u8; 100]);
    drop(same);
    assert!(memory::untidy() > 0);
    memory::tidy();
    assert_eq!(memory::untidy(), 0);
    let after = memory::available();
    assert!(after > before - MIB.min(count * 50), "{after} of {before}");
    drop(wanted);
}

fn small_blocks_are_joined_when_memory_lacks() {
    balanced(|| {
        let layout = Layout::from_size_align(1_000, 16).unwrap();
        let mut taken: Vec<*mut u8> = Vec::with_capacity(16_000);
        let mut blocks: Vec<_> = (0..1_000).map(|_| Box::new([7u8; 100])).collect();
        let mut rest = Reservation::new(memory::available()).expect("address space");
        let mut len = 0;
        for step in [MIB, 64 << 10, 4096] {
            while rest.commit_leaving(len + step, 0) {
                len += step;
            }
        }
        // What the heap has left, for blocks that no list has.
        // SAFETY: the size is not 0.
        let allocate = || Some(unsafe { alloc(layout) }).filter(|block| !block.is_null());
        while let Some(block) = allocate() {
            assert!(taken.len() < taken.capacity());
            taken.push(block);
        }
        // (The vector's own memory would do.)
        blocks.clear();
        let (untidy, joined) = (memory::untidy(), allocate());
        drop(rest);
        assert!(untidy > 0 && joined.is_some(), "{untidy}, {joined:?}");
        // SAFETY: allocated with this layout.
        taken.into_iter().chain(joined).for_each(|block| unsafe { dealloc(block, layout) });
    });
}
