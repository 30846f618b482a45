//! `memory.fill` and `memory.copy` as functions that do the same in pieces.
//!
//! To wasmi each is one instruction, however many bytes it is for: a guest could keep all others waiting while it fills
//! all the memory that it has. Pieces are done one after the other, as far as the fuel of a turn goes. Still
//! nothing is written where a part would be outside of the memory: the instruction then traps as a whole.

use super::rewrite::push_u32;
use alloc::vec::Vec;

/// A type of addresses and lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Index {
    I32,
    I64,
}

use Index::{I32, I64};

impl Index {
    /// Of a memory or a table.
    pub(super) fn of(wide: bool) -> Self {
        if wide { I64 } else { I32 }
    }

    /// The value type.
    pub(super) fn ty(self) -> u8 {
        match self {
            I32 => 0x7f,
            I64 => 0x7e,
        }
    }

    /// The instruction of two, for 32 and for 64 bits.
    fn pick(self, [narrow, wide]: [u8; 2]) -> u8 {
        match self {
            I32 => narrow,
            I64 => wide,
        }
    }
}

/// The type of a length for two memories.
pub(super) fn narrower(a: Index, b: Index) -> Index {
    Index::of(a == I64 && b == I64)
}

/// 256 KiB, as a signed LEB128: some 0.3 ms on an emulated machine, and 4,096 units of fuel.
const PIECE: [u8; 3] = [0x80, 0x80, 0x10];

const EMPTY: u8 = 0x40;
const LOOP: u8 = 0x03;
const IF: u8 = 0x04;
const ELSE: u8 = 0x05;
const END: u8 = 0x0b;
const BR_IF: u8 = 0x0d;
const LOCAL_GET: u8 = 0x20;
const LOCAL_SET: u8 = 0x21;
const LOCAL_TEE: u8 = 0x22;
const MEMORY_SIZE: u8 = 0x3f;
const CONST: [u8; 2] = [0x41, 0x42];
const GREATER: [u8; 2] = [0x4b, 0x56];
const ADD: [u8; 2] = [0x6a, 0x7c];
const SUBTRACT: [u8; 2] = [0x6b, 0x7d];
const I32_AND: u8 = 0x71;
const I64_AT_MOST: u8 = 0x58;
const I64_SHIFT_LEFT: u8 = 0x86;
const I64_EXTEND: u8 = 0xad;

/// The parameters. All three functions have them in this order.
const TO: u8 = 0;
/// What is filled with, or where is copied from.
const FROM: u8 = 1;
const LEN: u8 = 2;

/// `memory.fill`.
pub(super) fn fill_instruction(memory: u32) -> Vec<u8> {
    let mut fill = Vec::from([0xfc, 0x0b]);
    push_u32(&mut fill, memory);
    fill
}

/// `memory.copy`.
pub(super) fn copy_instruction(to: u32, from: u32) -> Vec<u8> {
    let mut copy = Vec::from([0xfc, 0x0a]);
    push_u32(&mut copy, to);
    push_u32(&mut copy, from);
    copy
}

/// The beginning of a choice by the length, of 32 bits, on top of the stack: what follows is for a long one. `local` gets the
/// length; `ty` is the type of what follows.
pub(super) fn if_long(code: &mut Vec<u8>, local: u32, ty: u32) {
    code.push(LOCAL_TEE);
    push_u32(code, local);
    code.push(LOCAL_GET);
    push_u32(code, local);
    code.push(CONST[0]);
    code.extend(PIECE);
    code.extend([GREATER[0], IF]);
    push_type(code, ty);
}

/// The other choice, and the end of both.
pub(super) fn otherwise(code: &mut Vec<u8>, instruction: &[u8]) {
    code.push(ELSE);
    code.extend_from_slice(instruction);
    code.push(END);
}

/// The index of a type as that of a block: signed, 33 bits.
fn push_type(code: &mut Vec<u8>, ty: u32) {
    let mut rest = ty;
    while rest >= 0x40 {
        code.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    code.push(rest as u8);
}

/// The body of a function `(to, value, len)` that fills `memory`.
pub(super) fn fill(memory: u32, index: Index) -> Vec<u8> {
    let fill = fill_instruction(memory);
    let mut body = Body::new();
    body.while_long(index, &[(memory, TO, index)], |body| {
        body.forward(&[(TO, index)], FROM, index, &fill);
    });
    body.get(&[TO, FROM, LEN]).bytes(&fill);
    body.end()
}

/// The body of a function `(to, from, len)` that copies from a memory to another or the same.
pub(super) fn copy(to: (u32, Index), from: (u32, Index)) -> Vec<u8> {
    let len = narrower(to.1, from.1);
    let copy = copy_instruction(to.0, from.0);
    let mut body = Body::new();
    body.while_long(len, &[(to.0, TO, to.1), (from.0, FROM, from.1)], |body| {
        // What overlaps is copied from its end, if that is the end which is overwritten last.
        if to.0 == from.0 {
            body.get(&[TO, FROM]).op(len, GREATER).bytes(&[IF, EMPTY]);
            body.backward(len, &copy);
            body.bytes(&[ELSE]);
        }
        body.forward(&[(TO, to.1), (FROM, from.1)], FROM, len, &copy);
        if to.0 == from.0 {
            body.bytes(&[END]);
        }
    });
    body.get(&[TO, FROM, LEN]).bytes(&copy);
    body.end()
}

/// A function's body as it is written.
struct Body(Vec<u8>);

impl Body {
    /// Without locals.
    fn new() -> Self {
        Self(Vec::from([0]))
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn get(&mut self, locals: &[u8]) -> &mut Self {
        locals.iter().fold(self, |body, local| body.bytes(&[LOCAL_GET, *local]))
    }

    fn op(&mut self, index: Index, op: [u8; 2]) -> &mut Self {
        self.bytes(&[index.pick(op)])
    }

    fn piece(&mut self, index: Index) -> &mut Self {
        self.op(index, CONST).bytes(&PIECE)
    }

    /// A local as 64 bits.
    fn wide(&mut self, local: u8, index: Index) -> &mut Self {
        self.get(&[local]);
        if index == I32 { self.bytes(&[I64_EXTEND]) } else { self }
    }

    /// The size of a memory in bytes.
    fn size(&mut self, memory: u32, index: Index) -> &mut Self {
        self.0.push(MEMORY_SIZE);
        push_u32(&mut self.0, memory);
        if index == I32 {
            self.0.push(I64_EXTEND);
        }
        // 64 KiB pages.
        self.bytes(&[CONST[1], 16, I64_SHIFT_LEFT])
    }

    /// Does `pieces` if it is for more than a piece, and all of it is inside of these memories: each with the local of the
    /// address in it.
    fn while_long(&mut self, len: Index, memories: &[(u32, u8, Index)], pieces: impl FnOnce(&mut Self)) {
        self.get(&[LEN]).piece(len).op(len, GREATER).bytes(&[IF, EMPTY]);
        for (nth, &(memory, local, index)) in memories.iter().enumerate() {
            self.wide(LEN, len).size(memory, index).bytes(&[I64_AT_MOST]);
            self.wide(local, index).size(memory, index).wide(LEN, len);
            self.op(I64, SUBTRACT).bytes(&[I64_AT_MOST, I32_AND]);
            if nth > 0 {
                self.bytes(&[I32_AND]);
            }
        }
        self.bytes(&[IF, EMPTY]);
        pieces(self);
        self.bytes(&[END, END]);
    }

    /// Pieces from the start on, until no more than one is left. `addresses` move.
    fn forward(&mut self, addresses: &[(u8, Index)], from: u8, len: Index, instruction: &[u8]) {
        self.bytes(&[LOOP, EMPTY]);
        self.get(&[TO, from]).piece(len).bytes(instruction);
        for &(local, index) in addresses {
            self.get(&[local]).piece(index).op(index, ADD).bytes(&[LOCAL_SET, local]);
        }
        self.get(&[LEN]).piece(len).op(len, SUBTRACT).bytes(&[LOCAL_TEE, LEN]);
        self.piece(len).op(len, GREATER).bytes(&[BR_IF, 0, END]);
    }

    /// Pieces from the end on, until no more than one is left.
    fn backward(&mut self, len: Index, instruction: &[u8]) {
        self.bytes(&[LOOP, EMPTY]);
        self.get(&[LEN]).piece(len).op(len, SUBTRACT).bytes(&[LOCAL_SET, LEN]);
        self.get(&[TO, LEN]).op(len, ADD).get(&[FROM, LEN]).op(len, ADD);
        self.piece(len).bytes(instruction);
        self.get(&[LEN]).piece(len).op(len, GREATER).bytes(&[BR_IF, 0, END]);
    }

    fn end(mut self) -> Vec<u8> {
        self.0.push(END);
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::resumable::{Found, replace};
    use alloc::{borrow::Cow, format, vec::Vec};
    use wasmi::{Config, Engine, Func, Instance, Memory, Module, Store, TrapCode, Val};

    const PAGES: u64 = 20;
    const BYTES: u64 = PAGES << 16;
    const PIECE: u64 = 256 << 10;

    /// An instance with two memories of this index type, filled with different bytes.
    struct Machine {
        store: Store<()>,
        instance: Instance,
        memories: [Memory; 2],
    }

    impl Machine {
        fn new(wasm: &[u8]) -> Self {
            let mut config = Config::default();
            let engine = Engine::new(config.wasm_multi_memory(true).wasm_memory64(true));
            let mut store = Store::new(&engine, ());
            let module = Module::new(&engine, wasm).unwrap();
            let instance = Instance::new(&mut store, &module, &[]).unwrap();
            let memories = ["a", "b"].map(|name| instance.get_memory(&store, name).unwrap());
            for (memory, seed) in memories.iter().zip([1_u32, 2]) {
                for (byte, at) in memory.data_mut(&mut store).iter_mut().zip(seed..) {
                    *byte = (at.wrapping_mul(0x9e37_79b9) >> 13) as u8;
                }
            }
            Self { store, instance, memories }
        }

        /// Calls a function; the trap, and what is in the memories then.
        fn call(&mut self, name: &str, arguments: &[Val]) -> (Option<TrapCode>, [Vec<u8>; 2]) {
            let function: Func = self.instance.get_func(&self.store, name).unwrap();
            let result = function.call(&mut self.store, arguments, &mut []);
            let trap = result.err().map(|error| error.as_trap_code().unwrap());
            (trap, self.memories.map(|memory| memory.data(&self.store).to_vec()))
        }
    }

    #[test]
    fn pieces_do_what_the_instructions_do() {
        // The types of the first memory's index and of the second's.
        for (a, b) in [("i32", "i32"), ("i64", "i64"), ("i64", "i32")] {
            let len = if (a, b) == ("i64", "i64") { "i64" } else { "i32" };
            let wasm = wat::parse_str(format!(
                r#"(module (memory (export "a") {a} {PAGES}) (memory (export "b") {b} {PAGES})
                (func (export "fill") (param {a} i32 {a}) (memory.fill 0 (local.get 0) (local.get 1) (local.get 2)))
                (func (export "within") (param {a} {a} {a})
                    (memory.copy 0 0 (local.get 0) (local.get 1) (local.get 2)))
                (func (export "across") (param {b} {a} {len})
                    (memory.copy 1 0 (local.get 0) (local.get 1) (local.get 2))))"#
            ))
            .unwrap();
            let Cow::Owned(replaced) = replace(&wasm, &Found::new(&wasm)) else {
                panic!("nothing is replaced")
            };
            let (mut plain, mut cut) = (Machine::new(&wasm), Machine::new(&replaced));
            let value = |ty, value: u64| match ty {
                "i64" => Val::I64(value.cast_signed()),
                _ => Val::I32((value as u32).cast_signed()),
            };
            let lens =
                [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 3 * PIECE + 7, BYTES, BYTES + 1, 0xffff_ffff];
            let places =
                [(0, 0), (5, 0), (0, 5), (PIECE + 3, 1), (1, PIECE + 3), (BYTES - PIECE - 9, 2), (BYTES, 0)];
            let mut traps = 0;
            for (index, (len_of, (to, from))) in
                lens.iter().flat_map(|len| places.iter().map(move |place| (*len, *place))).enumerate()
            {
                for (name, types) in [("fill", [a, "i32", a]), ("within", [a, a, a]), ("across", [b, a, len])]
                {
                    let from = if name == "fill" { index as u64 } else { from };
                    let arguments = [value(types[0], to), value(types[1], from), value(types[2], len_of)];
                    let ends = [&mut plain, &mut cut].map(|machine| machine.call(name, &arguments));
                    assert!(ends[0] == ends[1], "{name} {arguments:?}: {:?}, {:?}", ends[0].0, ends[1].0);
                    traps += usize::from(ends[0].0.is_some());
                }
            }
            assert!(traps > 50 && traps < 150, "{traps}");
        }
    }
}
