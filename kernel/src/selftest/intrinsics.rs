//! The memory functions that compiled code calls: every length around their thresholds, every overlap.

use super::selftest;
use alloc::vec;
use alloc::vec::Vec;
use core::hint::black_box;

selftest! { copies_are_right_however_they_overlap fills_stay_inside comparisons_find_the_first_difference }

fn lengths() -> impl Iterator<Item = usize> {
    (0..40).chain([63, 64, 65, 120, 127, 128, 129, 130, 136, 255, 1000, 4097])
}

fn copies_are_right_however_they_overlap() {
    for len in lengths() {
        for (from, to) in [(0, 1), (1, 0), (3, 11), (11, 3), (0, 128), (129, 0), (7, 7), (5, 300), (300, 5)] {
            let original: Vec<u8> = (0..len + 400).map(|index| (index * 7) as u8).collect();
            let mut bytes = original.clone();
            bytes.copy_within(black_box(from..from + len), black_box(to));
            for (index, &byte) in bytes.iter().enumerate() {
                let source = if (to..to + len).contains(&index) { from + index - to } else { index };
                assert_eq!(byte, original[source], "{len} bytes from {from} to {to}, at {index}");
            }
        }
    }
}

fn fills_stay_inside() {
    for len in lengths() {
        for first in 0..9 {
            let mut bytes = vec![1u8; len + 32];
            black_box(&mut bytes[first..first + len]).fill(black_box(0xa5));
            for (index, &byte) in bytes.iter().enumerate() {
                let expected = if (first..first + len).contains(&index) { 0xa5 } else { 1 };
                assert_eq!(byte, expected, "{len} bytes from {first}, at {index}");
            }
        }
    }
}

fn comparisons_find_the_first_difference() {
    for len in lengths().filter(|&len| len <= 255) {
        let one = vec![0x7fu8; len];
        let mut other = one.clone();
        assert!(one == black_box(&other[..]) && one.cmp(black_box(&other)).is_eq());
        for at in 0..len {
            // The first difference decides, as unsigned bytes, whatever follows.
            other[at] = 0x80;
            other[len - 1] = if at == len - 1 { 0x80 } else { 0 };
            assert!(one.cmp(black_box(&other)).is_lt() && black_box(&other).cmp(&one).is_gt(), "{len}, {at}");
            assert!(one != black_box(&other[..]), "{len}, {at}");
            other.fill(0x7f);
        }
    }
}
