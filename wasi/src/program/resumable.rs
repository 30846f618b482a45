//! Instructions that wasmi cannot preempt as they are: each becomes a call of an added function that does the same.
//!
//! - `table.grow`. wasmi 2.0.0 charges fuel for the elements inside of it, and when that does not suffice it does not save its
//!   place, as every other instruction does: it resumes at the place that was saved last in this frame. In a function that was
//!   just called this is its beginning, where its arguments still are. So the added function starts again, with the fuel
//!   that the elements need ([`AGAIN`] is what it needs before), and the growth remains one step: done or not done.
//! - `memory.fill` and `memory.copy` of much, which are done in pieces (see [`bulk`]).

use super::{
    bulk::{self, Index},
    growth,
    rewrite::{VERSION_1, push_section, push_u32},
};
use alloc::{borrow::Cow, vec::Vec};
use wasmparser::{BinaryReaderError, FunctionBody, Operator, Parser, Payload, RefType, TypeRef};

/// The fuel that the function for `table.grow` charges in front of the elements': for the growth itself, its operands and its
/// end. It charges this again when it starts again.
pub(crate) const AGAIN: u64 = growth::COST as u64 + 3;

const FUNCTION_TYPE: u8 = 0x60;
const I32: u8 = 0x7f;
const CALL: u8 = 0x10;
const END: u8 = 0x0b;
/// A body without locals that gets its two parameters, and the prefix of `table.grow`.
const GROW: [u8; 7] = [0, 0x20, 0, 0x20, 1, 0xfc, 0x0f];
const TYPES: u8 = 1;
const FUNCTIONS: u8 = 3;
const CODE: u8 = 10;

/// The bytes that begin these instructions, somewhere in a module.
pub(super) struct Found {
    count: usize,
}

impl Found {
    /// Looks for them, without knowing what is code.
    pub(super) fn new(wasm: &[u8]) -> Self {
        Self { count: prefixes(wasm).count() }
    }

    /// What [`replace`] takes of the heap, at most.
    pub(super) fn copies(&self, wasm: &[u8]) -> usize {
        // The code section, a function's body, and the module; the list of functions where the bodies are short.
        if self.count > 0 { longest(wasm, self.count).saturating_mul(3) } else { 0 }
    }
}

/// The module with these instructions replaced, or as it was: without any, and where validation will refuse it.
pub(super) fn replace<'w>(wasm: &'w [u8], found: &Found) -> Cow<'w, [u8]> {
    if found.count == 0 {
        return Cow::Borrowed(wasm);
    }
    match Module::read(wasm, longest(wasm, found.count)) {
        Ok(Some(module)) => Cow::Owned(module.write(wasm)),
        // What is broken stays as it is, for the validation to explain.
        Ok(None) | Err(_) => Cow::Borrowed(wasm),
    }
}

/// The most bytes that a module, or a part of one, may have when the instructions in it are replaced.
fn longest(bytes: &[u8], instructions: usize) -> usize {
    /// For an instruction: the choice, the call, a local and an added function.
    const MORE: usize = 256;
    bytes.len().saturating_add(instructions.saturating_mul(MORE))
}

/// Where the bytes are that begin these instructions, the opcode in one byte or longer than it need be.
fn prefixes(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let is_opcode = |byte: &u8| matches!(byte, 0x0a | 0x8a | 0x0b | 0x8b | 0x0f | 0x8f);
    memchr::memchr_iter(0xfc, bytes)
        .filter(move |at| at.checked_add(1).and_then(|next| bytes.get(next)).is_some_and(is_opcode))
}

/// An instruction that is replaced, with what it works on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Replaced {
    Grow { table: u32 },
    Fill { memory: u32 },
    Copy { to: u32, from: u32 },
}

impl Replaced {
    fn new(operator: &Operator<'_>) -> Option<Self> {
        match *operator {
            Operator::TableGrow { table } => Some(Self::Grow { table }),
            Operator::MemoryFill { mem } => Some(Self::Fill { memory: mem }),
            Operator::MemoryCopy { dst_mem, src_mem } => Some(Self::Copy { to: dst_mem, from: src_mem }),
            _ => None,
        }
    }
}

/// A function that is added: its type and its body.
struct Added {
    replaced: Replaced,
    ty: Vec<u8>,
    body: Vec<u8>,
    /// The instruction, which stays in its place for lengths (32 bits) up to [`bulk::PIECE`]: a call costs as much as a short
    /// copy.
    short: Option<Vec<u8>>,
}

/// What is known of a module.
struct Module<'w> {
    /// Bytes that it may have in the end.
    longest: usize,
    /// The sections that get entries: their counts and their entries.
    types: (u32, &'w [u8]),
    functions: (u32, &'w [u8]),
    code: (u32, Vec<u8>),
    /// How many parameters a function of each type has, and the types of the functions.
    parameters: Vec<u32>,
    function_types: Vec<u32>,
    /// The tables, by the types of their elements and of their sizes.
    tables: Vec<(u8, Index)>,
    memories: Vec<Index>,
    added: Vec<Added>,
}

impl<'w> Module<'w> {
    /// `None` if nothing is replaced, or the module imports memories or tables, which no program can.
    fn read(wasm: &'w [u8], longest: usize) -> Result<Option<Self>, BinaryReaderError> {
        let mut module = Self {
            longest,
            types: (0, &[]),
            functions: (0, &[]),
            code: (0, Vec::with_capacity(longest)),
            parameters: Vec::new(),
            function_types: Vec::new(),
            tables: Vec::new(),
            memories: Vec::new(),
            added: Vec::new(),
        };
        let mut imported = 0_u32;
        for payload in Parser::new(0).parse_all(wasm) {
            match payload? {
                Payload::TypeSection(reader) => {
                    module.types = (reader.count(), entries(wasm, &reader));
                    for ty in reader.into_iter_err_on_gc_types() {
                        module.parameters.push(ty?.params().len() as u32);
                    }
                }
                Payload::FunctionSection(reader) => {
                    module.functions = (reader.count(), entries(wasm, &reader));
                    module.function_types = reader.into_iter().collect::<Result<_, _>>()?;
                }
                Payload::ImportSection(reader) => {
                    for import in reader {
                        match import?.ty {
                            TypeRef::Func(_) => imported = imported.saturating_add(1),
                            TypeRef::Table(_) | TypeRef::Memory(_) => return Ok(None),
                            _ => {}
                        }
                    }
                }
                Payload::TableSection(reader) => {
                    for table in reader {
                        let table = table?.ty;
                        let element = match table.element_type {
                            RefType::FUNCREF => 0x70,
                            RefType::EXTERNREF => 0x6f,
                            _ => return Ok(None),
                        };
                        module.tables.push((element, Index::of(table.table64)));
                    }
                }
                Payload::MemorySection(reader) => {
                    for memory in reader {
                        let memory = memory?;
                        if memory.page_size_log2.is_some() {
                            return Ok(None);
                        }
                        module.memories.push(Index::of(memory.memory64));
                    }
                }
                Payload::CodeSectionEntry(body) => {
                    let first = imported.saturating_add(module.functions.0);
                    if !module.copy_body(&body, first)? {
                        return Ok(None);
                    }
                }
                _ => {}
            }
        }
        Ok(if module.added.is_empty() { None } else { Some(module) })
    }

    /// Copies a function's body with calls of the functions from `first` on in place of what is replaced; false if it
    /// works on what is not there.
    fn copy_body(&mut self, body: &FunctionBody<'_>, first: u32) -> Result<bool, BinaryReaderError> {
        let bytes = body.as_bytes();
        let mut copied = Vec::new();
        let mut rest = bytes;
        if let Some(last) = prefixes(bytes).last() {
            let start = body.range().start;
            // The length of a fill or a copy is looked at in a local of its own, behind all others.
            let ty = self.function_types.get(self.code.0 as usize);
            let Some(&parameters) = ty.and_then(|ty| self.parameters.get(*ty as usize)) else {
                return Ok(false);
            };
            let mut local = parameters;
            let mut locals = body.get_locals_reader()?;
            let groups_start = locals.original_position().saturating_sub(start);
            let groups = locals.get_count();
            for _ in 0..groups {
                local = local.saturating_add(locals.read()?.0);
            }
            let groups_end = locals.original_position().saturating_sub(start);
            let mut operators = body.get_operators_reader()?;
            // What is behind the last of them need not be decoded.
            while operators.original_position() <= start.saturating_add(last) && !operators.eof() {
                let (operator, at) = operators.read_with_offset()?;
                let Some(replaced) = Replaced::new(&operator) else { continue };
                let index = match self.added.iter().position(|added| added.replaced == replaced) {
                    Some(known) => known,
                    None => {
                        let Some(added) = self.add(replaced) else { return Ok(false) };
                        self.added.push(added);
                        self.added.len().saturating_sub(1)
                    }
                };
                if copied.is_empty() {
                    copied.reserve_exact(longest(bytes, prefixes(bytes).count()));
                    push_u32(&mut copied, groups.saturating_add(1));
                    copied.extend_from_slice(bytes.get(groups_start..groups_end).unwrap_or_default());
                    copied.extend([1, I32]);
                    rest = bytes.get(groups_end..).unwrap_or_default();
                }
                // What is left of the body begins where `rest` does.
                let begun = bytes.len().saturating_sub(rest.len());
                let before = at.saturating_sub(start).saturating_sub(begun);
                let after = operators.original_position().saturating_sub(start).saturating_sub(begun);
                copied.extend_from_slice(rest.get(..before).unwrap_or_default());
                let short = self.added.get(index).and_then(|added| added.short.as_deref());
                if short.is_some() {
                    bulk::if_long(&mut copied, local, self.types.0.saturating_add(index as u32));
                }
                copied.push(CALL);
                push_u32(&mut copied, first.saturating_add(index as u32));
                if let Some(instruction) = short {
                    bulk::otherwise(&mut copied, instruction);
                }
                rest = rest.get(after..).unwrap_or_default();
            }
        }
        self.code.0 = self.code.0.saturating_add(1);
        let code = &mut self.code.1;
        push_u32(code, copied.len().saturating_add(rest.len()) as u32);
        code.extend_from_slice(&copied);
        code.extend_from_slice(rest);
        Ok(true)
    }

    /// The function for an instruction; `None` if it works on what is not there.
    fn add(&self, replaced: Replaced) -> Option<Added> {
        let memory = |index: u32| self.memories.get(index as usize).copied();
        let mut short = None;
        let (ty, body) = match replaced {
            Replaced::Grow { table } => {
                let (element, size) = *self.tables.get(table as usize)?;
                let mut body = Vec::from(GROW);
                push_u32(&mut body, table);
                body.push(END);
                (Vec::from([FUNCTION_TYPE, 2, element, size.ty(), 1, size.ty()]), body)
            }
            Replaced::Fill { memory: filled } => {
                let index = memory(filled)?;
                let ty = [FUNCTION_TYPE, 3, index.ty(), I32, index.ty(), 0];
                short = (index == Index::I32).then(|| bulk::fill_instruction(filled));
                (ty.into(), bulk::fill(filled, index))
            }
            Replaced::Copy { to, from } => {
                let indices = (memory(to)?, memory(from)?);
                let len = bulk::narrower(indices.0, indices.1);
                let ty = [FUNCTION_TYPE, 3, indices.0.ty(), indices.1.ty(), len.ty(), 0];
                short = (len == Index::I32).then(|| bulk::copy_instruction(to, from));
                (ty.into(), bulk::copy((to, indices.0), (from, indices.1)))
            }
        };
        Some(Added { replaced, ty, body, short })
    }

    /// The module's binary: its sections, three of them with the added functions' entries.
    fn write(&self, wasm: &[u8]) -> Vec<u8> {
        let [mut types, mut functions, mut code] = [const { Vec::new() }; 3];
        for (Added { ty, body, .. }, index) in self.added.iter().zip(0_u32..) {
            types.extend_from_slice(ty);
            push_u32(&mut functions, self.types.0.saturating_add(index));
            push_u32(&mut code, body.len() as u32);
            code.extend_from_slice(body);
        }
        let added = self.added.len() as u32;
        let mut output = Vec::with_capacity(self.longest);
        output.extend_from_slice(&VERSION_1);
        for payload in Parser::new(0).parse_all(wasm).flatten() {
            let Some((id, range)) = payload.as_section() else { continue };
            let (count, entries, more) = match id {
                TYPES => (self.types.0, self.types.1, &types),
                FUNCTIONS => (self.functions.0, self.functions.1, &functions),
                CODE => (self.code.0, &*self.code.1, &code),
                _ => {
                    output.push(id);
                    push_u32(&mut output, range.len() as u32);
                    output.extend_from_slice(wasm.get(range).unwrap_or_default());
                    continue;
                }
            };
            push_section(&mut output, id, count.saturating_add(added), entries, more);
        }
        output
    }
}

/// The bytes of a section's entries.
fn entries<'w, T>(wasm: &'w [u8], reader: &wasmparser::SectionLimited<'_, T>) -> &'w [u8] {
    let section = reader.range();
    wasm.get(reader.original_position()..section.end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Command, Limit, Limits, Outcome,
        testing::{machine, program, run},
    };
    use alloc::{format, string::String};
    use wasmi::{Engine, Module};

    /// A program with three tables of its own kind each, whose `_start` is `body`.
    fn command(body: &str) -> String {
        format!(
            r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
                (memory (export "memory") 1)
                (table $functions 1 funcref) (table $few 0 5 externref) (table $wide i64 2 funcref)
                (elem declare func $f) (func $f)
                (func $check (param $good i32) (if (i32.eqz (local.get $good)) (then unreachable)))
                (func (export "_start") {body}))"#
        )
    }

    /// Limits that end what starts again for ever, were [`AGAIN`] too small.
    fn limits() -> Limits {
        Limits::default().with_fuel(200_000)
    }

    /// Runs it in slices of these sizes; all must give the same outcome and use the same fuel.
    fn outcome(body: &str, limits: Limits) -> (Outcome, u64) {
        let (machine, clock) = machine();
        let program = program(&command(body));
        let whole = Command::new("tables").limits(limits);
        let slices = [1, 20, 259, 1_000, 20_000].map(|fuel| whole.clone().slice_fuel(fuel));
        let mut ends = [whole].into_iter().chain(slices).map(|command| {
            let output = run(&clock, program.output(&machine, command)).unwrap();
            (output.outcome, output.fuel_used)
        });
        let first = ends.next().unwrap();
        for end in ends {
            assert_eq!(end, first);
        }
        first
    }

    const GROWTHS: &str = "
        (call $check (i32.eq (table.grow $functions (ref.func $f) (i32.const 10000)) (i32.const 1)))
        (call $check (i32.eq (table.grow $functions (ref.null func) (i32.const 9)) (i32.const 10001)))
        (call $check (i32.eq (table.size $functions) (i32.const 10010)))
        (call $check (ref.is_null (table.get $functions (i32.const 0))))
        (call $check (i32.eqz (ref.is_null (table.get $functions (i32.const 10000)))))
        (call $check (ref.is_null (table.get $functions (i32.const 10001))))
        (call $check (i32.eq (table.grow $few (ref.null extern) (i32.const 6)) (i32.const -1)))
        (call $check (i32.eqz (table.size $few)))
        (call $check (i32.eqz (table.grow $few (ref.null extern) (i32.const 5))))
        (call $check (i64.eq (table.grow $wide (ref.func $f) (i64.const 10000)) (i64.const 2)))
        (call $check (i64.eq (table.grow $wide (ref.func $f) (i64.const -10000)) (i64.const -1)))
        (call $check (i64.eq (table.size $wide) (i64.const 10002)))";

    #[test]
    fn a_growth_is_one_step_however_it_is_preempted() {
        let (outcome, fuel) = self::outcome(GROWTHS, limits());
        assert_eq!(outcome, Outcome::Exited(0));
        let limited = |fuel| self::outcome(GROWTHS, limits().with_fuel(fuel)).0;
        assert_eq!(limited(fuel), Outcome::Exited(0));
        assert_eq!(limited(fuel - 1), Outcome::LimitReached(Limit::Fuel(fuel - 1)));
    }

    #[test]
    fn a_growth_beyond_the_limit_leaves_the_table_as_it_was() {
        let body =
            "(call $check (i32.eq (table.grow $functions (ref.null func) (i32.const 10000)) (i32.const -1)))
            (call $check (i32.eq (table.size $functions) (i32.const 1)))
            (call $check (i32.eq (table.grow $functions (ref.null func) (i32.const 996)) (i32.const 1)))";
        // Each of 3 elements from the start counts.
        assert_eq!(outcome(body, limits().with_table_elements(999)).0, Outcome::Exited(0));
    }

    #[test]
    fn growths_in_a_loop_among_live_values_lose_none() {
        let body = "(local $i i32) (local $sum i64)
            (loop $again
                (local.set $sum (i64.add (local.get $sum) (i64.mul (i64.extend_i32_u (local.get $i)) (i64.extend_i32_u
                    (table.grow $functions (ref.null func) (i32.add (local.get $i) (i32.const 8)))))))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $again (i32.lt_u (local.get $i) (i32.const 100))))
            (call $check (i64.eq (local.get $sum) (i64.const SUM)))";
        let mut size = 1;
        let mut sum = 0;
        for i in 0..100 {
            sum += i * size;
            size += i + 8;
        }
        let body = body.replace("SUM", &format!("{sum}"));
        assert_eq!(outcome(&body, limits()).0, Outcome::Exited(0));
    }

    #[test]
    fn modules_that_grow_no_table_keep_their_bytes() {
        for wat in [
            "(module)",
            "(module (table 1 funcref) (func (drop (table.size 0))))",
            // The opcode's bytes as a number and as data.
            r#"(module (func (drop (i64.const -0x3f884))) (memory 1) (data "\fc\0f"))"#,
            r#"(module (import "a" "t" (table 1 funcref)) (func (drop (table.grow 0 (ref.null func) (i32.const 9)))))"#,
        ] {
            let wasm = wat::parse_str(wat).unwrap();
            assert!(matches!(replace(&wasm, &Found::new(&wasm)), Cow::Borrowed(_)), "{wat}");
        }
        let cut = b"\0asm\x01\0\0\0\x0a\x04\x01\x02\xfc\x0f";
        assert!(matches!(replace(cut, &Found::new(cut)), Cow::Borrowed(_)));
    }

    #[test]
    fn every_growth_is_found_however_it_is_written() {
        // The opcode and the table's index in more bytes than they need; custom sections stay.
        let wasm = wat::parse_str(
            r#"(module (@custom "a" (before first) "x") (table 0 funcref) (table 0 funcref) (@custom "b" (before code) "y")
                (func (result i32) (table.grow 1 (ref.null func) (i32.const 3)))
                (func (result i32) (i32.const 4))
                (func (result i32) (table.grow 0 (ref.null func) (table.grow 1 (ref.null func) (i32.const 4)))))"#,
        )
        .unwrap();
        let at = wasm.windows(3).position(|bytes| bytes == [0xfc, 0x0f, 1]).unwrap();
        let mut longer = Vec::from(&wasm[..at]);
        longer.extend([0xfc, 0x8f, 0, 0x81, 0]);
        longer.extend(&wasm[at + 3..]);
        // The first body's length, and the code section's.
        let body = at - 6;
        assert_eq!(longer[body], 9);
        longer[body] += 2;
        longer[body - 2] += 2;
        for wasm in [wasm, longer] {
            let replaced = replace(&wasm, &Found::new(&wasm)).into_owned();
            Module::new(&Engine::default(), &replaced).unwrap();
            let mut growths = 0;
            for payload in Parser::new(0).parse_all(&replaced) {
                if let Payload::CodeSectionEntry(body) = payload.unwrap() {
                    let operators = body.get_operators_reader().unwrap().into_iter();
                    growths += operators.filter(|op| matches!(op, Ok(Operator::TableGrow { .. }))).count();
                }
            }
            assert_eq!(growths, 2, "one for each table");
            assert!(replaced.windows(2).filter(|pair| pair == b"ax" || pair == b"by").count() == 2);
        }
    }
}
