//! The preview 1 surface: a program that calls any function with any arguments in any order; half of them have a socket that listens, and
//! clients.
//!
//! What must hold: the program compiles and ends within its limits, whatever it calls; the host does not panic;
//! every call returns an errno that there is; a new
//! descriptor has the lowest number that is free, and just what is open can be used and closed; no more is said to be in a buffer
//! than fits; its directory's file system stays whole (every node can be found and read) and within its
//! quota; and when the run is over and all its files are removed, nothing is charged to the quota any more.

use super::{
    home::Home,
    machine::{machine, run as run_guest},
    network::{Client, Neighbours},
};
use arbitrary::{Result, Unstructured};
use std::sync::Arc;
use wasi::{Engine, Program, io::pipe};
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, DataSection, EntityType, ExportKind, ExportSection, Function,
    FunctionSection, GlobalSection, GlobalType, ImportSection, Instruction, MemArg, MemArgTarget,
    MemorySection, MemoryType, Module, TypeSection, ValType,
};

/// What a function takes, as far as making it up goes.
#[derive(Clone, Copy)]
enum Parameter {
    /// A descriptor.
    Fd,
    /// A descriptor, mostly a directory's.
    At,
    /// How a path is looked up: mostly one of the two ways there are.
    Lookup,
    /// Two values: where a path is, and its length.
    Path,
    /// Two values: where vectors are, and how many.
    Vectors,
    /// Two values: where something goes, and how much fits.
    Buffer,
    /// Where something goes.
    Out,
    /// Where subscriptions are.
    Subscriptions,
    /// How something is opened: mostly what there is, or made.
    Flags,
    /// A small number or flags.
    Small,
    /// A size, an offset, a time.
    Wide,
    /// Rights.
    Rights,
}
use Parameter::{At, Buffer, Fd, Flags, Lookup, Out, Path, Rights, Small, Subscriptions, Vectors, Wide};

const FUNCTIONS: [(&str, &[Parameter]); 46] = [
    ("args_get", &[Out, Out]),
    ("args_sizes_get", &[Out, Out]),
    ("environ_get", &[Out, Out]),
    ("environ_sizes_get", &[Out, Out]),
    ("clock_res_get", &[Small, Out]),
    ("clock_time_get", &[Small, Wide, Out]),
    ("fd_advise", &[Fd, Wide, Wide, Small]),
    ("fd_allocate", &[Fd, Wide, Wide]),
    ("fd_close", &[Fd]),
    ("fd_datasync", &[Fd]),
    ("fd_fdstat_get", &[Fd, Out]),
    ("fd_fdstat_set_flags", &[Fd, Small]),
    ("fd_fdstat_set_rights", &[Fd, Rights, Rights]),
    ("fd_filestat_get", &[Fd, Out]),
    ("fd_filestat_set_size", &[Fd, Wide]),
    ("fd_filestat_set_times", &[Fd, Wide, Wide, Small]),
    ("fd_pread", &[Fd, Vectors, Wide, Out]),
    ("fd_prestat_dir_name", &[Fd, Buffer]),
    ("fd_prestat_get", &[Fd, Out]),
    ("fd_pwrite", &[Fd, Vectors, Wide, Out]),
    ("fd_read", &[Fd, Vectors, Out]),
    ("fd_readdir", &[Fd, Buffer, Wide, Out]),
    ("fd_renumber", &[Fd, Fd]),
    ("fd_seek", &[Fd, Wide, Small, Out]),
    ("fd_sync", &[Fd]),
    ("fd_tell", &[Fd, Out]),
    ("fd_write", &[Fd, Vectors, Out]),
    ("path_create_directory", &[At, Path]),
    ("path_filestat_get", &[At, Lookup, Path, Out]),
    ("path_filestat_set_times", &[At, Lookup, Path, Wide, Wide, Small]),
    ("path_link", &[At, Lookup, Path, At, Path]),
    ("path_open", &[At, Lookup, Path, Flags, Rights, Rights, Small, Out]),
    ("path_readlink", &[At, Path, Buffer, Out]),
    ("path_remove_directory", &[At, Path]),
    ("path_rename", &[At, Path, At, Path]),
    ("path_symlink", &[Path, At, Path]),
    ("path_unlink_file", &[At, Path]),
    ("poll_oneoff", &[Subscriptions, Out, Small, Out]),
    ("proc_exit", &[Small]),
    ("proc_raise", &[Small]),
    ("random_get", &[Buffer]),
    ("sched_yield", &[]),
    ("sock_accept", &[Fd, Small, Out]),
    ("sock_recv", &[Fd, Vectors, Small, Out, Out]),
    ("sock_send", &[Fd, Vectors, Small, Out]),
    ("sock_shutdown", &[Fd, Small]),
];

/// The functions that make and use what the others need: half of all calls.
const FREQUENT: [&str; 22] = [
    "path_open",
    "path_open",
    "path_open",
    "fd_write",
    "fd_write",
    "fd_read",
    "fd_pwrite",
    "fd_pread",
    "fd_seek",
    "fd_readdir",
    "fd_readdir",
    "fd_renumber",
    "fd_renumber",
    "fd_close",
    "fd_close",
    "fd_filestat_set_size",
    "path_create_directory",
    "path_link",
    "path_rename",
    "path_symlink",
    "path_unlink_file",
    "poll_oneoff",
];

/// The same for a program with sockets.
const FREQUENT_OF_SOCKETS: [&str; 16] = [
    "sock_accept",
    "sock_accept",
    "sock_accept",
    "sock_recv",
    "sock_recv",
    "sock_send",
    "sock_shutdown",
    "fd_read",
    "fd_write",
    "fd_close",
    "fd_renumber",
    "fd_fdstat_set_flags",
    "fd_fdstat_set_rights",
    "path_open",
    "poll_oneoff",
    "poll_oneoff",
];

/// The largest errno (`notcapable`).
const ERRNO_MAX: i32 = 76;

/// How many descriptors the program may have.
const DESCRIPTORS: u32 = 9;

/// What a program has from the start.
#[derive(Clone, Copy)]
struct Start {
    /// It has a socket that listens, before its two directories.
    listens: bool,
}

impl Start {
    /// The descriptors that are open, as bits.
    fn open(self) -> i64 {
        if self.listens { 0b11_1111 } else { 0b1_1111 }
    }

    /// The first directory.
    fn directory(self) -> u32 {
        if self.listens { 4 } else { 3 }
    }

    /// How many of the subscriptions it has use for, but one.
    fn subscriptions(self) -> u32 {
        if self.listens { 12 } else { 8 }
    }

    /// What it calls half of the time.
    fn frequent(self) -> &'static [&'static str] {
        if self.listens { &FREQUENT_OF_SOCKETS } else { &FREQUENT }
    }
}

/// The program's global that has a bit for each open descriptor; its locals for the errno and for a new descriptor.
const OPEN: u32 = 0;
const ERRNO: u32 = 0;
const NEW: u32 = 1;

/// Bytes of the program's memory at the start.
const MEMORY: u32 = 65_536;
/// Where vectors, subscriptions and paths are.
const VECTORS: u32 = 0x100;
const SUBSCRIPTIONS: u32 = 0x200;
const PATHS: u32 = 0x600;
/// Where space begins.
const SPACE: u32 = 0x1000;

const VECTOR_LIST: [(u32, u32); 8] = [
    (SPACE, 16),
    (SPACE + 8, 4096),
    (PATHS, 64),
    (VECTORS, 8),
    (MEMORY - 1, 1),
    (SPACE, 0),
    (0, MEMORY),
    (MEMORY - 1, u32::MAX),
];

const PATH_LIST: [&str; 24] = [
    "a", "b", "d", "d/a", "d/e", "d/e/f", "l", "l/a", ".", "..", "d/..", "d/../..", "../a", "/a", "a/", "d/",
    "l/", "", "a\0b", "//", "d//a", "./l", "\u{e4}", "loop",
];

/// Runs the target on `data`, from which a program is made.
pub fn run(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let start = Start { listens: input.ratio(1, 2).unwrap_or(false) };
    // Before the program, which takes what there is.
    let clients = start.listens.then(|| Client::some(&mut input));
    let wasm = program(&mut input, start).expect("what the input does not say is 0");
    let program = match Program::new(&Engine::new(), &wasm) {
        Ok(program) => program,
        Err(refusal) => panic!("{refusal}"),
    };
    let home = Home::new();
    let (reader, writer) = pipe(16);
    let mut command = home.command(u64::from(MEMORY) * 3, 200_000, DESCRIPTORS);
    // Stdin and stderr: bytes and their end, or a pipe from the program to itself, which may make it wait for its deadline.
    if input.arbitrary().unwrap_or(false) {
        command = command.stdin(Arc::new(reader)).stderr(Arc::new(writer));
    } else {
        command = command.input("input\n");
    }
    if input.arbitrary().unwrap_or(false) {
        command = command.slice_fuel(100);
    }
    let machine = machine(home.clock.clone());
    let mut neighbours = None;
    if let Some(clients) = clients {
        let (others, listener) = Neighbours::clients(&machine, clients);
        command = command.listener(listener);
        neighbours = Some(others);
    }
    let guest = program.start(&machine, command).expect("the program starts");
    let outcome = match neighbours {
        Some(neighbours) => run_guest(&home.clock, neighbours.beside(guest)),
        None => run_guest(&home.clock, guest),
    };
    let outcome = outcome.to_string();
    assert!(
        !outcome.is_empty() && !outcome.contains("unreachable"),
        "a call returned what is no errno: {outcome}"
    );
    home.check();
}

/// The binary of a program.
fn program(input: &mut Unstructured<'_>, start: Start) -> Result<Vec<u8>> {
    let old = input.ratio(1, 8)?;
    let module = if old { "wasi_unstable" } else { "wasi_snapshot_preview1" };
    // The old one has no `sock_accept`.
    let functions: Vec<_> = FUNCTIONS.iter().filter(|(name, _)| !(old && *name == "sock_accept")).collect();
    let (mut types, mut imports) = (TypeSection::new(), ImportSection::new());
    for (index, (name, parameters)) in (0..).zip(&functions) {
        let results: &[ValType] = if *name == "proc_exit" { &[] } else { &[ValType::I32] };
        let values: Vec<_> = parameters.iter().flat_map(values).copied().collect();
        types.ty().function(values, results.iter().copied());
        imports.import(module, name, EntityType::Function(index));
    }
    let count = u32::try_from(functions.len()).unwrap_or(u32::MAX);
    types.ty().function([], []);

    let mut body = Function::new([(2, ValType::I32)]);
    for _ in 0..200 {
        if input.len() < 3 {
            break;
        }
        statement(&mut body, &functions, start, input)?;
    }
    if input.ratio(1, 16)? {
        body.instruction(&Instruction::I32Const(1)).instruction(&Instruction::I32Const(0));
        body.instruction(&Instruction::I32DivU).instruction(&Instruction::Drop);
    }
    body.instruction(&Instruction::End);

    let mut function_section = FunctionSection::new();
    function_section.function(count);
    let mut memories = MemorySection::new();
    let pages = u64::from(MEMORY / 65_536);
    memories.memory(MemoryType {
        minimum: pages,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut globals = GlobalSection::new();
    globals.global(
        GlobalType { val_type: ValType::I64, mutable: true, shared: false },
        &ConstExpr::i64_const(start.open()),
    );
    let mut exports = ExportSection::new();
    exports.export("memory", ExportKind::Memory, 0).export("_start", ExportKind::Func, count);
    let mut code = CodeSection::new();
    code.function(&body);
    let mut data = DataSection::new();
    for (at, bytes) in
        [(VECTORS, vectors()), (SUBSCRIPTIONS, subscriptions()), (PATHS, PATH_LIST.concat().into())]
    {
        data.active(0, &ConstExpr::i32_const(at.cast_signed()), bytes);
    }
    let mut wasm = Module::new();
    wasm.section(&types).section(&imports).section(&function_section).section(&memories);
    wasm.section(&globals).section(&exports).section(&code).section(&data);
    Ok(wasm.finish())
}

fn vectors() -> Vec<u8> {
    VECTOR_LIST.iter().flat_map(|(at, len)| [at.to_le_bytes(), len.to_le_bytes()].concat()).collect()
}

/// Clocks, a little later or far away, and descriptors.
fn subscriptions() -> Vec<u8> {
    let subscription = |tag: u8, subject: u32, timeout: u64, flags: u8| {
        let mut bytes = [0; 48];
        bytes[0] = tag + 1;
        bytes[8] = tag;
        bytes[16..20].copy_from_slice(&subject.to_le_bytes());
        bytes[24..32].copy_from_slice(&timeout.to_le_bytes());
        bytes[40] = flags;
        bytes
    };
    [
        subscription(1, 0, 0, 0),
        subscription(0, 1, 1_000_000, 0),
        subscription(2, 1, 0, 0),
        subscription(2, 2, 0, 0),
        subscription(1, 5, 0, 0),
        subscription(0, 0, 5_000, 0),
        subscription(0, 1, u64::MAX, 1),
        subscription(0, 0, u64::MAX, 0),
        subscription(2, 5, 0, 0),
        // Of what has sockets.
        subscription(1, 3, 0, 0),
        subscription(1, 6, 0, 0),
        subscription(2, 6, 0, 0),
        subscription(2, 3, 0, 0),
    ]
    .concat()
}

fn values(parameter: &Parameter) -> &'static [ValType] {
    match parameter {
        Fd | At | Flags | Lookup | Out | Subscriptions | Small => &[ValType::I32],
        Path | Vectors | Buffer => &[ValType::I32, ValType::I32],
        Wide | Rights => &[ValType::I64],
    }
}

/// A call, or now and then something else.
fn statement(
    body: &mut Function,
    functions: &[&(&str, &[Parameter])],
    start: Start,
    input: &mut Unstructured<'_>,
) -> Result<()> {
    match input.int_in_range(0..=31)? {
        0 => {
            body.instruction(&Instruction::I32Const(input.int_in_range(0..=2)?));
            body.instruction(&Instruction::MemoryGrow(0)).instruction(&Instruction::Drop);
        }
        1 | 2 => {
            // Changes what calls find in memory.
            let at = i32::from(input.arbitrary::<u16>()?) & 0x7ff;
            body.instruction(&Instruction::I32Const(at));
            body.instruction(&Instruction::I32Const(number(input)?.cast_signed()));
            let memory = MemArg { offset: 0, align: 0, target: MemArgTarget::Memory(0), ordering: None };
            body.instruction(&Instruction::I32Store(memory));
        }
        _ => {
            let frequent = if input.arbitrary()? { Some(*input.choose(start.frequent())?) } else { None };
            let index = match functions.iter().position(|(name, _)| Some(*name) == frequent) {
                Some(index) => index,
                None => input.choose_index(functions.len())?,
            };
            let (name, parameters) = functions[index];
            // Else nearly every program would be over after a few calls.
            if *name == "proc_exit" && !input.ratio(1, 8)? {
                return Ok(());
            }
            let mut arguments = Vec::new();
            for parameter in *parameters {
                arguments.push((*parameter, argument(body, *parameter, start, input)?));
            }
            body.instruction(&Instruction::Call(index.try_into().unwrap_or(u32::MAX)));
            if *name != "proc_exit" {
                body.instruction(&Instruction::LocalTee(ERRNO));
                body.instruction(&Instruction::I32Const(ERRNO_MAX)).instruction(&Instruction::I32GtU);
                unreachable_if(body);
                check(body, name, &arguments);
            }
        }
    }
    Ok(())
}

/// Traps if what is on the stack is true.
fn unreachable_if(body: &mut Function) {
    body.instruction(&Instruction::If(BlockType::Empty)).instruction(&Instruction::Unreachable);
    body.instruction(&Instruction::End);
}

/// Puts on the stack whether `fd` is open.
fn is_open(body: &mut Function, fd: u32) {
    if fd >= DESCRIPTORS {
        body.instruction(&Instruction::I32Const(0));
        return;
    }
    body.instruction(&Instruction::GlobalGet(OPEN)).instruction(&Instruction::I64Const(fd.into()));
    body.instruction(&Instruction::I64ShrU).instruction(&Instruction::I32WrapI64);
    body.instruction(&Instruction::I32Const(1)).instruction(&Instruction::I32And);
}

/// Traps if a call has worked on what is not open, or has not closed what is; keeps account of what is open.
fn check(body: &mut Function, name: &str, arguments: &[(Parameter, (u32, u32))]) {
    let fds: Vec<u32> =
        arguments.iter().filter(|(kind, _)| matches!(kind, Fd | At)).map(|(_, (fd, _))| *fd).collect();
    let out = arguments.iter().rev().find(|(kind, _)| matches!(kind, Out)).map_or(0, |(_, (at, _))| *at);
    let load = |body: &mut Function| {
        let memory = MemArg { offset: 0, align: 0, target: MemArgTarget::Memory(0), ordering: None };
        body.instruction(&Instruction::I32Const(out.cast_signed()));
        body.instruction(&Instruction::I32Load(memory));
    };
    if matches!(name, "fd_close" | "fd_renumber") {
        // These fail for nothing else.
        body.instruction(&Instruction::I32Const(1));
        for &fd in &fds {
            is_open(body, fd);
            body.instruction(&Instruction::I32And);
        }
        body.instruction(&Instruction::LocalGet(ERRNO)).instruction(&Instruction::I32Eqz);
        body.instruction(&Instruction::I32Ne);
        unreachable_if(body);
    }
    body.instruction(&Instruction::LocalGet(ERRNO)).instruction(&Instruction::I32Eqz);
    body.instruction(&Instruction::If(BlockType::Empty));
    for &fd in &fds {
        is_open(body, fd);
        body.instruction(&Instruction::I32Eqz);
        unreachable_if(body);
    }
    let closed = match (name, &fds[..]) {
        ("fd_close", &[fd]) => Some(fd),
        ("fd_renumber", &[from, to]) if from != to => Some(from),
        _ => None,
    };
    if let Some(fd) = closed {
        // A larger one was not open.
        let others = !1_u64.checked_shl(fd).unwrap_or(0);
        body.instruction(&Instruction::GlobalGet(OPEN));
        body.instruction(&Instruction::I64Const(others.cast_signed())).instruction(&Instruction::I64And);
        body.instruction(&Instruction::GlobalSet(OPEN));
    }
    if matches!(name, "path_open" | "sock_accept") {
        // The lowest that is free, and there must be one.
        load(body);
        body.instruction(&Instruction::LocalTee(NEW)).instruction(&Instruction::GlobalGet(OPEN));
        body.instruction(&Instruction::I64Const(-1)).instruction(&Instruction::I64Xor);
        body.instruction(&Instruction::I64Ctz).instruction(&Instruction::I32WrapI64);
        body.instruction(&Instruction::I32Ne);
        unreachable_if(body);
        body.instruction(&Instruction::LocalGet(NEW));
        body.instruction(&Instruction::I32Const(DESCRIPTORS.cast_signed()));
        body.instruction(&Instruction::I32GeU);
        unreachable_if(body);
        body.instruction(&Instruction::GlobalGet(OPEN)).instruction(&Instruction::I64Const(1));
        body.instruction(&Instruction::LocalGet(NEW)).instruction(&Instruction::I64ExtendI32U);
        body.instruction(&Instruction::I64Shl).instruction(&Instruction::I64Or);
        body.instruction(&Instruction::GlobalSet(OPEN));
    }
    let room = arguments.iter().find(|(kind, _)| matches!(kind, Buffer)).map(|(_, (_, len))| *len);
    if let ("fd_readdir" | "path_readlink", Some(room)) = (name, room) {
        load(body);
        body.instruction(&Instruction::I32Const(room.cast_signed())).instruction(&Instruction::I32GtU);
        unreachable_if(body);
    }
    body.instruction(&Instruction::End);
}

/// A number that is at an edge of something, or any.
fn number(input: &mut Unstructured<'_>) -> Result<u32> {
    const EDGES: [u32; 20] = [
        0,
        1,
        2,
        3,
        4,
        7,
        8,
        24,
        64,
        255,
        256,
        4_096,
        4_097,
        MEMORY - 8,
        MEMORY - 1,
        MEMORY,
        MEMORY + 1,
        0x7fff_ffff,
        0x8000_0000,
        u32::MAX,
    ];
    if input.ratio(1, 8)? { input.arbitrary() } else { Ok(*input.choose(&EDGES)?) }
}

/// Puts an argument on the stack; the numbers that it is, if they have 32 bits.
fn argument(
    body: &mut Function,
    parameter: Parameter,
    start: Start,
    input: &mut Unstructured<'_>,
) -> Result<(u32, u32)> {
    let wild = input.ratio(1, 24)?;
    let (first, second) = match parameter {
        Fd | At if wild => (number(input)?, None),
        At if input.arbitrary()? => (start.directory(), None),
        Fd | At => (input.int_in_range(0..=8)?, None),
        Lookup if !wild => (input.int_in_range(0..=1)?, None),
        Flags if input.arbitrary()? => (input.int_in_range(0..=1)?, None),
        Small | Flags | Lookup if wild => (number(input)?, None),
        Small | Flags | Lookup => (input.int_in_range(0..=9)?, None),
        Out if wild => (number(input)?, None),
        Out => (SPACE + u32::from(input.arbitrary::<u8>()?), None),
        Subscriptions if wild => (number(input)?, None),
        Subscriptions => (SUBSCRIPTIONS + 48 * input.int_in_range(0..=start.subscriptions())?, None),
        Path | Vectors | Buffer if wild => (number(input)?, Some(number(input)?)),
        Path => {
            let index = input.choose_index(PATH_LIST.len())?;
            let before: usize = PATH_LIST.iter().take(index).map(|path| path.len()).sum();
            let len = PATH_LIST[index].len() + usize::from(input.ratio(1, 10)?);
            let narrow = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
            (PATHS + narrow(before), Some(narrow(len)))
        }
        Vectors => (VECTORS + 8 * input.int_in_range(0..=7)?, Some(input.int_in_range(0..=3)?)),
        Buffer => (SPACE + u32::from(input.arbitrary::<u8>()?), Some(number(input)? & 0x1fff)),
        Wide => {
            const EDGES: [u64; 12] = [
                0,
                1,
                2,
                100,
                4_095,
                4_096,
                100_000,
                1 << 44,
                (1 << 63) - 1,
                1 << 63,
                u64::MAX - 1,
                u64::MAX,
            ];
            let value = if wild { input.arbitrary()? } else { *input.choose(&EDGES)? };
            body.instruction(&Instruction::I64Const(value.cast_signed()));
            return Ok((0, 0));
        }
        Rights => {
            let value: u64 = match input.int_in_range(0..=3)? {
                0 => input.arbitrary()?,
                1 => 2,
                2 => 64,
                _ => u64::MAX,
            };
            body.instruction(&Instruction::I64Const(value.cast_signed()));
            return Ok((0, 0));
        }
    };
    body.instruction(&Instruction::I32Const(first.cast_signed()));
    if let Some(second) = second {
        body.instruction(&Instruction::I32Const(second.cast_signed()));
    }
    Ok((first, second.unwrap_or(0)))
}
