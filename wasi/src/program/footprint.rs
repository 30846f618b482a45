//! How much of the heap wasmi takes for a module, at most: to compile it, to make an instance of it, and to translate its
//! functions. wasmi 2.0.0 has no answer to the want of memory there but to abort, so [`heap`](crate::heap) is asked before.
//!
//! The bounds are per byte, or per entry, of each section. *Measured* with the worst modules that could be
//! thought of (`tests/heap.rs` has them), and rounded up. Compiled programs are far below: of a byte of code wasmi makes about 4.

use super::Refusal;
use alloc::{format, vec::Vec};
use core::ops::Range;
use wasmparser::{BlockType, FunctionBody, Operator, Parser, Payload};

/// What any module takes: the engine, the module, the store.
const BASE: usize = 64 << 10;
/// Bytes of translated code that a byte of a function's body makes. *Measured*: 13 (`memory.size` `br_if`, with a result).
const CODE_RATIO: usize = 16;
/// What the translation of a function needs while it lasts, and keeps for the next, for each byte of the largest one.
/// *Measured*: 61 (`block` in `block`).
const WORKSPACE_RATIO: usize = 72;
/// The same for validation, *measured*: 13.
const VALIDATION_RATIO: usize = 16;
/// The copy of one value, in translated code.
const COPY: usize = 24;
/// What the export of a function takes, for which [`ahead`](super::ahead) calls it.
const EXPORT: usize = 512;
/// With values on branches a byte of a body may not become more than this; without, it cannot.
const LARGEST_RATIO: usize = 64;
/// Beyond this many bytes: what is small may become anything.
const LARGEST_FREE: usize = 1 << 20;

/// The bounds for one module, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Footprint {
    /// To compile it, and for as long as it is there.
    module: usize,
    /// For an instance, without its memories and tables.
    instance: usize,
    /// How many functions it defines.
    functions: usize,
    /// Of the bodies of all functions that it defines.
    code: usize,
    largest: usize,
    /// Copies of the values that its branches take. None if no branch takes more than one: those are in [`CODE_RATIO`].
    copies: usize,
}

impl Footprint {
    /// The bounds for `wasm`. Of what is no module, those of the part before it goes wrong: nobody looks at the rest.
    pub(super) fn of(wasm: &[u8]) -> Self {
        let mut this = Self { module: BASE, instance: BASE, ..Self::default() };
        for payload in Parser::new(0).parse_all(wasm).map_while(Result::ok) {
            this.add(&payload);
        }
        this.module = this.module.saturating_add(this.largest.saturating_mul(VALIDATION_RATIO));
        this
    }

    /// To compile it, and for as long as it is there; with exports of all functions, to translate them ahead.
    pub(super) fn module(&self, ahead: bool) -> usize {
        let exports = if ahead { self.functions.saturating_mul(EXPORT) } else { 0 };
        self.module.saturating_add(exports)
    }

    /// For an instance, without its memories and tables.
    pub(super) fn instance(&self, ahead: bool) -> usize {
        let exports = if ahead { self.functions.saturating_mul(EXPORT) } else { 0 };
        self.instance.saturating_add(exports)
    }

    fn add(&mut self, payload: &Payload<'_>) {
        let bytes = |range: Range<usize>| range.len();
        let entries = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
        let (module, instance) = match payload {
            Payload::TypeSection(types) => (bytes(types.range()).saturating_mul(96), 0),
            Payload::ImportSection(imports) => {
                (bytes(imports.range()).saturating_mul(128), bytes(imports.range()))
            }
            Payload::FunctionSection(functions) => {
                let count = entries(functions.count());
                self.functions = count;
                (count.saturating_mul(192), count.saturating_mul(96))
            }
            Payload::TableSection(tables) => {
                (bytes(tables.range()).saturating_mul(64), entries(tables.count()) * 256)
            }
            Payload::MemorySection(memories) => (bytes(memories.range()).saturating_mul(64), 4096),
            Payload::GlobalSection(globals) => {
                let bytes = bytes(globals.range());
                (bytes.saturating_mul(64), bytes.saturating_mul(64))
            }
            Payload::ExportSection(exports) => {
                let bytes = bytes(exports.range());
                (bytes.saturating_mul(64), bytes.saturating_mul(64))
            }
            Payload::ElementSection(elements) => {
                let bytes = bytes(elements.range());
                (bytes.saturating_mul(64), bytes.saturating_mul(64))
            }
            Payload::DataSection(data) => {
                let count = entries(data.count());
                (bytes(data.range()).saturating_add(count.saturating_mul(128)), count.saturating_mul(64))
            }
            Payload::CodeSectionEntry(body) => {
                let len = bytes(body.range());
                self.code = self.code.saturating_add(len);
                self.largest = self.largest.max(len);
                (len, 0)
            }
            _ => return,
        };
        self.module = self.module.saturating_add(module);
        self.instance = self.instance.saturating_add(instance);
    }

    /// What the translation of all functions takes.
    pub(super) fn translation(&self) -> usize {
        self.translated(self.code, self.largest)
    }

    /// What the translation of one function with a body of `bytes` takes.
    pub(super) fn translation_of(&self, bytes: usize) -> usize {
        self.translated(bytes, bytes)
    }

    fn translated(&self, code: usize, largest: usize) -> usize {
        let workspace = largest.saturating_mul(WORKSPACE_RATIO).saturating_add(self.copies.saturating_mul(2));
        code.saturating_mul(CODE_RATIO).saturating_add(self.copies).saturating_add(workspace)
    }

    /// Takes into account that branches of the module, which is valid, may take several values: each branch copies them
    /// all, so that a module of some kilobytes could become gigabytes of code. That is refused.
    pub(super) fn add_branches(&mut self, wasm: &[u8]) -> Result<(), Refusal> {
        self.copies = copies(wasm).map_err(|error| Refusal::Invalid(format!("{error}")))?;
        if self.copies > LARGEST_FREE.saturating_add(self.code.saturating_mul(LARGEST_RATIO)) {
            return Err(Refusal::TooLarge(format!(
                "translating its branches with several values would take {} MiB; blocks with fewer results take less",
                self.copies >> 20
            )));
        }
        Ok(())
    }
}

/// The sizes of the bodies of the functions that a module defines, in order.
pub(super) fn body_sizes(wasm: &[u8]) -> impl Iterator<Item = usize> {
    Parser::new(0).parse_all(wasm).map_while(Result::ok).filter_map(|payload| match payload {
        Payload::CodeSectionEntry(body) => Some(body.range().len()),
        _ => None,
    })
}

/// Bytes of translated code for the values that branches take, over all functions where one takes several.
fn copies(wasm: &[u8]) -> wasmparser::Result<usize> {
    let mut copies = 0_usize;
    let mut types = Vec::new();
    // The end of a function is a label too.
    let mut functions = Vec::new().into_iter();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::TypeSection(section) => {
                for ty in section.into_iter_err_on_gc_types() {
                    let ty = ty?;
                    types.push(ty.params().len().max(ty.results().len()));
                }
            }
            Payload::FunctionSection(section) => {
                functions = section.into_iter().collect::<wasmparser::Result<Vec<u32>>>()?.into_iter();
            }
            Payload::CodeSectionEntry(body) => {
                let results = functions.next().map_or(0, |ty| arity(&types, ty));
                let Branches { count, values } = branches(&body, &types, results)?;
                if values > 1 {
                    copies = copies.saturating_add(count.saturating_mul(values).saturating_mul(COPY));
                }
            }
            _ => {}
        }
    }
    Ok(copies)
}

/// How many values a label of a type takes, at most.
fn arity(types: &[usize], index: u32) -> usize {
    usize::try_from(index).ok().and_then(|index| types.get(index)).copied().unwrap_or(0)
}

/// How many branches a function has, and how many values one of them takes at most.
struct Branches {
    count: usize,
    values: usize,
}

fn branches(body: &FunctionBody<'_>, types: &[usize], results: usize) -> wasmparser::Result<Branches> {
    let mut found = Branches { count: 0, values: results };
    for operator in body.get_operators_reader()? {
        let branches = match operator? {
            Operator::Block { blockty } | Operator::Loop { blockty } | Operator::If { blockty } => {
                if let BlockType::FuncType(index) = blockty {
                    found.values = found.values.max(arity(types, index));
                }
                1
            }
            Operator::BrTable { targets } => targets.len().saturating_add(1),
            Operator::Br { .. }
            | Operator::BrIf { .. }
            | Operator::Else
            | Operator::End
            | Operator::Return
            | Operator::ReturnCall { .. }
            | Operator::ReturnCallIndirect { .. } => 1,
            _ => 0,
        };
        found.count = found.count.saturating_add(usize::try_from(branches).unwrap_or(usize::MAX));
    }
    Ok(found)
}
