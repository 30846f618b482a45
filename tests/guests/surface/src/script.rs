//! Where a program's choices come from: bytes, which stand for what is likely to matter.

/// Names in the directories, and what is none.
const PATHS: [&str; 20] = [
    "a", "b", "d", "d/a", "d/e", "d/e/f", "l", "l/a", ".", "..", "d/../..", "/a", "a/", "d/", "", "a\0b",
    "d//a", "out", "loop", "\u{e4}",
];
/// Sizes, offsets and times where something changes.
const NUMBERS: [u64; 16] =
    [0, 1, 2, 5, 15, 16, 17, 100, 1_000, 4_096, 4_097, 65_536, 1_000_000, 1 << 32, 1 << 63, u64::MAX];

/// Bytes, and how far they are read. Behind the last there is nothing but 0.
pub struct Script {
    bytes: Vec<u8>,
    at: usize,
}

impl Script {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, at: 0 }
    }

    pub fn is_over(&self) -> bool {
        self.at >= self.bytes.len()
    }

    pub fn byte(&mut self) -> u8 {
        let byte = self.bytes.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        byte
    }

    /// A number below `count`, which is at most 256.
    pub fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count.max(1)
    }

    /// True once in so many times.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == times - 1
    }

    pub fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    pub fn number(&mut self) -> u64 {
        self.of(&NUMBERS)
    }

    /// A number of nanoseconds that passes.
    pub fn moment(&mut self) -> u64 {
        self.of(&[0, 1, 1_000, 1_000_000, 1_000_000_000])
    }

    pub fn path(&mut self) -> &'static str {
        self.of(&PATHS)
    }

    pub fn some<T>(&mut self, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.once_in(2) { Some(value(self)) } else { None }
    }

    /// Up to some thousand bytes.
    pub fn content(&mut self) -> Vec<u8> {
        let len = self.of(&[0, 1, 10, 17, 1_000, 4_096, 5_000, 20_000]);
        vec![self.byte(); len]
    }
}
