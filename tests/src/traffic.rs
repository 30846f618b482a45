//! What goes over a connection in the tests of the network, for both of its ends: the guest `traffic` has this file too.
//!
//! Who connects says how much he will send and how much he wants, sends that, is told its checksum, and gets what he wanted.

use std::io::{self, Read, Write};

/// What is sent is the same pattern again and again, each time with its number in front.
const CHUNK: usize = 64 << 10;

/// What one end sends and the other receives, by its length.
pub struct Pattern(Vec<u8>);

impl Default for Pattern {
    fn default() -> Self {
        let words = (0..CHUNK as u64 / 8).map(|index| index.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Self(words.flat_map(u64::to_le_bytes).collect())
    }
}

impl Pattern {
    /// The first `len` bytes of it, in pieces.
    fn pieces(&mut self, len: u64, mut work: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut rest = len;
        for number in 0u64.. {
            let count = rest.min(CHUNK as u64);
            if count == 0 {
                break;
            }
            self.0[..8].copy_from_slice(&number.to_le_bytes());
            work(&self.0[..count as usize])?;
            rest -= count;
        }
        Ok(())
    }

    /// Sends that much.
    pub fn send(&mut self, to: &mut impl Write, len: u64) -> io::Result<()> {
        self.pieces(len, |piece| to.write_all(piece))
    }

    /// The checksum of that much.
    pub fn checksum(&mut self, len: u64) -> u64 {
        let mut sum = 0;
        let _ = self.pieces(len, |piece| {
            sum = add(sum, piece);
            Ok(())
        });
        sum
    }
}

/// Receives that much: its checksum.
pub fn receive(from: &mut impl Read, len: u64) -> io::Result<u64> {
    let mut buffer = vec![0; CHUNK];
    let (mut rest, mut sum) = (len, 0);
    while rest > 0 {
        let piece = &mut buffer[..rest.min(CHUNK as u64) as usize];
        from.read_exact(piece)?;
        sum = add(sum, piece);
        rest -= piece.len() as u64;
    }
    Ok(sum)
}

/// Adds a piece to a checksum, in which every byte and its place count.
fn add(sum: u64, piece: &[u8]) -> u64 {
    let (words, rest) = piece.as_chunks();
    let sum = words.iter().fold(sum, |sum, word| sum.rotate_left(7).wrapping_add(u64::from_le_bytes(*word)));
    rest.iter().fold(sum, |sum, byte| sum.rotate_left(7).wrapping_add(u64::from(*byte)))
}

/// The end that connected asks.
pub fn ask(stream: &mut impl Write, pattern: &mut Pattern, send: u64, want: u64) -> io::Result<()> {
    stream.write_all(&[send.to_le_bytes(), want.to_le_bytes()].concat())?;
    pattern.send(stream, send)
}

/// And hears: the checksums of what it has sent, and of what it has received.
pub fn hear(stream: &mut impl Read, want: u64) -> io::Result<[u64; 2]> {
    let mut found = [0; 8];
    stream.read_exact(&mut found)?;
    Ok([u64::from_le_bytes(found), receive(stream, want)?])
}

/// The end that accepted.
pub fn answer(stream: &mut (impl Read + Write), pattern: &mut Pattern) -> io::Result<()> {
    let mut numbers = [[0; 8]; 2];
    stream.read_exact(numbers.as_flattened_mut())?;
    let [len, wanted] = numbers.map(u64::from_le_bytes);
    let sum = receive(stream, len)?;
    stream.write_all(&sum.to_le_bytes())?;
    pattern.send(stream, wanted)
}
