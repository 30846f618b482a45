//! Integer work of the kinds that CoreMark mixes, written anew: a linked list that is searched and sorted, a matrix product,
//! a scanner of numbers, and a checksum over all of their results. Reports rounds per second.

use std::hint::black_box;
use std::time::Instant;

const ROUNDS: u32 = 400;
/// What all rounds must come to.
const CHECKSUM: u16 = 30_700;

fn main() {
    let start = Instant::now();
    let checksum = (0..ROUNDS).fold(0, |checksum, round| work(black_box(round), checksum));
    guests::report("compute", ROUNDS.into(), start);
    assert_eq!(checksum, CHECKSUM, "the results are wrong");
}

fn work(seed: u32, checksum: u16) -> u16 {
    let mut random = Random(seed.wrapping_mul(2_654_435_761) | 1);
    let checksum = crc16(list(&mut random), checksum);
    let checksum = crc16(matrix(&mut random), checksum);
    crc16(scan(&mut random), checksum)
}

/// Marsaglia's xorshift.
struct Random(u32);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }
}

/// CRC-16/ARC, bit by bit.
fn crc16(value: u32, mut crc: u16) -> u16 {
    for byte in value.to_le_bytes() {
        crc ^= u16::from(byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { 0xa001 } else { 0 };
        }
    }
    crc
}

/// A node of a list in an array; the index `END` ends it.
#[derive(Clone, Copy)]
struct Node {
    value: u32,
    next: usize,
}

const NODES: usize = 256;
const END: usize = usize::MAX;

/// Searches a list for values, reverses it, and sorts it by merging.
fn list(random: &mut Random) -> u32 {
    let mut nodes = [Node { value: 0, next: END }; NODES];
    let mut head = END;
    for (index, node) in nodes.iter_mut().enumerate() {
        *node = Node { value: random.next() % 1000, next: head };
        head = index;
    }
    let mut sum = 0u32;
    for wanted in (0..1000).step_by(25) {
        let mut at = head;
        while at != END && nodes[at].value != wanted {
            sum = sum.wrapping_add(1);
            at = nodes[at].next;
        }
        head = reverse(&mut nodes, head);
    }
    head = sort(&mut nodes, head, NODES);
    let mut at = head;
    while at != END {
        sum = sum.wrapping_mul(31).wrapping_add(nodes[at].value);
        at = nodes[at].next;
    }
    sum
}

fn reverse(nodes: &mut [Node], mut head: usize) -> usize {
    let mut reversed = END;
    while head != END {
        let next = nodes[head].next;
        nodes[head].next = reversed;
        reversed = head;
        head = next;
    }
    reversed
}

/// Sorts the `len` nodes from `head`, which are a whole list.
fn sort(nodes: &mut [Node], head: usize, len: usize) -> usize {
    if len < 2 {
        return head;
    }
    let mut last = head;
    for _ in 1..len / 2 {
        last = nodes[last].next;
    }
    let second = nodes[last].next;
    nodes[last].next = END;
    let mut left = sort(nodes, head, len / 2);
    let mut right = sort(nodes, second, len - len / 2);
    let (mut first, mut tail) = (END, END);
    while left != END || right != END {
        let from_left = right == END || left != END && nodes[left].value <= nodes[right].value;
        let side = if from_left { &mut left } else { &mut right };
        let taken = *side;
        *side = nodes[taken].next;
        nodes[taken].next = END;
        if tail == END {
            first = taken;
        } else {
            nodes[tail].next = taken;
        }
        tail = taken;
    }
    first
}

const SIDE: usize = 24;

/// The product of two matrices of 16-bit numbers, and what its bits come to.
fn matrix(random: &mut Random) -> u32 {
    let mut cell = || std::array::from_fn::<i16, SIDE, _>(|_| random.next() as i16);
    let a: [[i16; SIDE]; SIDE] = std::array::from_fn(|_| cell());
    let b: [[i16; SIDE]; SIDE] = std::array::from_fn(|_| cell());
    let mut sum = 0u32;
    for row in &a {
        for column in 0..SIDE {
            let dot = row.iter().zip(&b).fold(0i32, |dot, (x, line)| {
                dot.wrapping_add(i32::from(*x).wrapping_mul(line[column].into()))
            });
            sum = sum.rotate_left(3) ^ (dot >> 2 & 0xf) as u32 ^ (dot >> 5 & 0x7f) as u32;
        }
    }
    sum
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Start,
    Sign,
    Integer,
    Point,
    Fraction,
    Exponent,
    Invalid,
}

/// Scans text for numbers; counts the states in which the words end.
fn scan(random: &mut Random) -> u32 {
    const ALPHABET: &[u8; 16] = b"0123456789+-.e, ";
    let mut ends = [0u32; 7];
    let mut state = State::Start;
    for _ in 0..2048 {
        let byte = ALPHABET[random.next() as usize % ALPHABET.len()];
        state = match (state, byte) {
            (_, b',' | b' ') => {
                ends[state as usize] += 1;
                State::Start
            }
            (State::Start, b'+' | b'-') => State::Sign,
            (State::Start | State::Sign | State::Integer, b'0'..=b'9') => State::Integer,
            (State::Start | State::Sign | State::Integer, b'.') => State::Point,
            (State::Point | State::Fraction, b'0'..=b'9') => State::Fraction,
            (State::Integer | State::Fraction, b'e') => State::Exponent,
            (State::Exponent, b'0'..=b'9' | b'+' | b'-') => State::Exponent,
            _ => State::Invalid,
        };
    }
    ends.iter().fold(0, |sum, count| sum.wrapping_mul(101).wrapping_add(*count))
}
