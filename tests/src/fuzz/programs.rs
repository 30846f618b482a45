//! Programs of which it is known how they end: made from an input, as [`modules`](super::modules) needs them.
//!
//! What is loaded is rewritten first (a memory becomes an import, the start function an export, calls of the host may go
//! through another module), so these have all that a rewrite could get wrong: custom sections anywhere, exports with
//! names of any kind, imports in any order, other memories, a start function, tables, and tail calls.

use arbitrary::{Result, Unstructured};
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, CustomSection, DataSection, ElementSection, Elements, EntityType,
    ExportKind, ExportSection, Function, FunctionSection, GlobalSection, GlobalType, HeapType, ImportSection,
    Instruction as I, MemArg, MemArgTarget, MemorySection, MemoryType, Module, RefType, StartSection,
    TableSection, TableType, TypeSection, ValType,
};

/// What is imported: the name, the parameters, the results.
const IMPORTS: [(&str, &[ValType], &[ValType]); 4] = [
    ("proc_exit", &[ValType::I32], &[]),
    ("sched_yield", &[], &[ValType::I32]),
    ("fd_close", &[ValType::I32], &[ValType::I32]),
    ("clock_res_get", &[ValType::I32, ValType::I32], &[ValType::I32]),
];
/// What preview 1 answers to the call that closes no descriptor.
const BAD_DESCRIPTOR: u32 = 8;
/// Where the data is, and the data.
const DATA_AT: u32 = 65_530;
const DATA: [u8; 4] = [3, 1, 4, 1];
/// What a local keeps, and where bytes are moved.
const KEPT: u32 = 1_000_003;
const MOVED_AT: u32 = 1_024;
const MOVED_TO: u32 = 30_000;

/// How one function changes the number that the program ends with.
#[derive(Clone, Copy)]
enum Step {
    Add(u32),
    /// Adds the byte of the data.
    Load(u32),
    /// Stores and loads.
    Store(u32),
    /// Adds the size of the memory in pages, after growing it by one.
    Grow,
    /// Adds what `sched_yield` returns, by a tail call or by a call.
    Yield {
        tail: bool,
    },
    /// Adds what closing no descriptor returns.
    Close,
    /// Fills so many bytes with a byte, copies them, and adds the last one to the number and what a local has kept.
    Move {
        len: u32,
        byte: u8,
    },
    /// Adds the size of the table before it grows by one.
    GrowTable,
}

/// What the program has, as far as its number depends on it.
struct Sizes {
    pages: u32,
    elements: u32,
}

/// A program and the status that it ends with.
pub(super) fn program(input: &mut Unstructured<'_>) -> Result<(Vec<u8>, u32)> {
    let mut imports = IMPORTS.to_vec();
    for _ in 0..input.int_in_range(0..=3)? {
        let (a, b) = (input.choose_index(imports.len())?, input.choose_index(imports.len())?);
        imports.swap(a, b);
    }
    if input.arbitrary()? {
        imports.push(*input.choose(&IMPORTS)?);
    }
    let count = u32::try_from(imports.len()).unwrap_or(0);
    let index =
        |name: &str| (0..count).zip(&imports).find(|(_, import)| import.0 == name).map_or(0, |(at, _)| at);
    let memories = input.int_in_range(1..=2)?;
    let tails = input.arbitrary()?;
    let mut steps = Vec::new();
    for _ in 0..input.int_in_range(1..=6)? {
        steps.push(match input.int_in_range(0..=8)? {
            0 => Step::Load(input.int_in_range(0..=3)?),
            1 => Step::Store(input.arbitrary()?),
            2 => Step::Grow,
            3 => Step::Yield { tail: tails },
            4 => Step::Close,
            // Short ones, and those that are cut up.
            5 => Step::Move { len: *input.choose(&[1, 100, 5_000, 20_000])?, byte: input.arbitrary()? },
            6 => Step::GrowTable,
            _ => Step::Add(input.arbitrary()?),
        });
    }

    // Types: those of the imports, one for `_start`, one for the steps.
    let mut types = TypeSection::new();
    let mut import_section = ImportSection::new();
    let module = *input.choose(&["wasi_snapshot_preview1", "wasi_unstable"])?;
    for (at, (name, parameters, results)) in (0..).zip(&imports) {
        types.ty().function(parameters.iter().copied(), results.iter().copied());
        import_section.import(module, name, EntityType::Function(at));
    }
    types.ty().function([], []);
    types.ty().function([], [ValType::I32]);
    let (plain, valued) = (count, count + 1);

    // Functions: the steps, then what runs at the start, then `_start`.
    let mut functions = FunctionSection::new();
    let mut code = CodeSection::new();
    for step in &steps {
        functions.function(valued);
        code.function(&step.function(&index));
    }
    let step_count = u32::try_from(steps.len()).unwrap_or(0);
    let (initialise, main) = (count + step_count, count + step_count + 1);
    functions.function(plain).function(plain);
    let (mut status, mut sizes) = (0_u32, Sizes { pages: 1, elements: step_count });
    let start = if input.arbitrary()? { Some(input.choose_index(steps.len())?) } else { None };
    let mut body = Function::new([]);
    if let Some(at) = start {
        call(&mut body, at, false, count, valued);
        status = steps[at].apply(status, &mut sizes);
    }
    code.function(body.instruction(&I::End));
    let mut body = Function::new([]);
    for _ in 0..input.int_in_range(0..=6)? {
        let at = input.choose_index(steps.len())?;
        call(&mut body, at, input.arbitrary()?, count, valued);
        status = steps[at].apply(status, &mut sizes);
    }
    body.instruction(&I::GlobalGet(0)).instruction(&I::Call(index("proc_exit"))).instruction(&I::Unreachable);
    code.function(body.instruction(&I::End));

    let mut tables = TableSection::new();
    tables.table(TableType {
        element_type: RefType::FUNCREF,
        table64: false,
        minimum: u64::from(step_count),
        maximum: None,
        shared: false,
    });
    let mut elements = ElementSection::new();
    let all: Vec<u32> = (count..count + step_count).collect();
    elements.active(None, &ConstExpr::i32_const(0), Elements::Functions(all.into()));
    let mut memory_section = MemorySection::new();
    for _ in 0..memories {
        memory_section.memory(MemoryType {
            minimum: 1,
            maximum: input.arbitrary::<bool>()?.then_some(40),
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
    }
    let mut globals = GlobalSection::new();
    globals.global(
        GlobalType { val_type: ValType::I32, mutable: true, shared: false },
        &ConstExpr::i32_const(0),
    );
    let mut exports = ExportSection::new();
    exports.export("_start", ExportKind::Func, main).export("memory", ExportKind::Memory, 0);
    for at in 0..input.int_in_range(0..=3)? {
        // As the export is called that the start function becomes, or nearly so.
        let name = format!("sisal:start{}", "'".repeat(usize::from(input.arbitrary::<u8>()? % 4) + at * 4));
        exports.export(&name, ExportKind::Global, 0);
    }
    let mut data = DataSection::new();
    data.active(0, &ConstExpr::i32_const(DATA_AT.cast_signed()), DATA);

    let mut wasm = Module::new();
    let mut custom = |wasm: &mut Module| -> Result<()> {
        if input.ratio(1, 4)? {
            let name = *input.choose(&["name", "producers", "", "sisal"])?;
            wasm.section(&CustomSection {
                name: name.into(),
                data: input.arbitrary::<[u8; 3]>()?.to_vec().into(),
            });
        }
        Ok(())
    };
    custom(&mut wasm)?;
    wasm.section(&types);
    custom(&mut wasm)?;
    wasm.section(&import_section);
    custom(&mut wasm)?;
    wasm.section(&functions).section(&tables);
    custom(&mut wasm)?;
    wasm.section(&memory_section);
    custom(&mut wasm)?;
    wasm.section(&globals).section(&exports);
    custom(&mut wasm)?;
    if start.is_some() {
        wasm.section(&StartSection { function_index: initialise });
        custom(&mut wasm)?;
    }
    wasm.section(&elements).section(&code);
    custom(&mut wasm)?;
    wasm.section(&data);
    custom(&mut wasm)?;
    Ok((wasm.finish(), status))
}

/// Calls a step, directly or through the table, and takes its value for the program's number.
fn call(body: &mut Function, at: usize, indirect: bool, imports: u32, ty: u32) {
    let at = u32::try_from(at).unwrap_or(0);
    if indirect {
        body.instruction(&I::I32Const(at.cast_signed()));
        body.instruction(&I::CallIndirect { type_index: ty, table_index: 0 });
    } else {
        body.instruction(&I::Call(imports + at));
    }
    // number * 31 + value
    body.instruction(&I::GlobalGet(0)).instruction(&I::I32Const(31)).instruction(&I::I32Mul);
    body.instruction(&I::I32Add).instruction(&I::GlobalSet(0));
}

impl Step {
    /// What it does to the number.
    fn apply(self, number: u32, sizes: &mut Sizes) -> u32 {
        let value = match self {
            Self::Add(value) | Self::Store(value) => value,
            Self::Load(at) => DATA[at as usize].into(),
            Self::Grow => {
                sizes.pages += 1;
                sizes.pages
            }
            Self::Yield { .. } => 0,
            Self::Close => BAD_DESCRIPTOR,
            Self::Move { byte, .. } => u32::from(byte) + KEPT,
            Self::GrowTable => {
                sizes.elements += 1;
                sizes.elements - 1
            }
        };
        number.wrapping_mul(31).wrapping_add(value)
    }

    fn function(self, index: &dyn Fn(&str) -> u32) -> Function {
        let memory = |align| MemArg { offset: 16, align, target: MemArgTarget::Memory(0), ordering: None };
        let mut body = Function::new([(1, ValType::I32)]);
        match self {
            Self::Add(value) => {
                body.instruction(&I::I32Const(value.cast_signed()));
            }
            Self::Load(at) => {
                body.instruction(&I::I32Const((DATA_AT + at - 16).cast_signed()));
                body.instruction(&I::I32Load8U(memory(0)));
            }
            Self::Store(value) => {
                body.instruction(&I::I32Const(0)).instruction(&I::I32Const(value.cast_signed()));
                body.instruction(&I::I32Store(memory(2)));
                body.instruction(&I::I32Const(0)).instruction(&I::I32Load(memory(2)));
            }
            Self::Grow => {
                // Slices end in loops.
                body.instruction(&I::Loop(BlockType::Empty));
                body.instruction(&I::I32Const(1)).instruction(&I::MemoryGrow(0)).instruction(&I::Drop);
                body.instruction(&I::End);
                body.instruction(&I::MemorySize(0));
            }
            Self::Yield { tail: true } => {
                body.instruction(&I::ReturnCall(index("sched_yield")));
            }
            Self::Yield { tail: false } => {
                body.instruction(&I::Call(index("sched_yield")));
            }
            Self::Close => {
                body.instruction(&I::I32Const(-1)).instruction(&I::Call(index("fd_close")));
            }
            Self::Move { len, byte } => {
                let three = |body: &mut Function, values: [u32; 3]| {
                    for value in values {
                        body.instruction(&I::I32Const(value.cast_signed()));
                    }
                };
                // Cutting it up takes a local of its own, which is not this one.
                body.instruction(&I::I32Const(KEPT.cast_signed())).instruction(&I::LocalSet(0));
                three(&mut body, [MOVED_AT, byte.into(), len]);
                body.instruction(&I::MemoryFill(0));
                three(&mut body, [MOVED_TO, MOVED_AT, len]);
                body.instruction(&I::MemoryCopy { src_mem: 0, dst_mem: 0 });
                body.instruction(&I::I32Const(len.cast_signed()));
                let last = MemArg { offset: u64::from(MOVED_TO - 1), ..memory(0) };
                body.instruction(&I::I32Load8U(last)).instruction(&I::LocalGet(0));
                body.instruction(&I::I32Add);
            }
            Self::GrowTable => {
                body.instruction(&I::RefNull(HeapType::FUNC)).instruction(&I::I32Const(1));
                body.instruction(&I::TableGrow(0));
            }
        }
        body.instruction(&I::End);
        body
    }
}
