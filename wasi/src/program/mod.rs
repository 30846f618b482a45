//! Programs: compiled once, checked for all that can be known before they run. Running them is the
//! driver's.

mod ahead;
mod bulk;
mod footprint;
pub(crate) mod growth;
mod refusal;
pub(crate) mod resumable;
mod rewrite;
mod shim;
#[cfg(test)]
mod tests;

pub use refusal::Refusal;

use crate::{
    Engine, Error, Limit, Limits, Machine,
    call::{HostImport, StoreData},
    driver::{Guest, Slices},
    engine::Features,
    heap,
    limits::{Limiter, Need},
    memory,
    preview1::{self, State},
};
use alloc::{
    boxed::Box,
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::fmt;
use footprint::Footprint;
use wasmi::{Extern, ExternType, Instance, Memory, MemoryType, Module, Store};

/// A WASI command, compiled. Cheap to clone; runs of it share nothing but the code.
#[derive(Clone)]
pub struct Program {
    inner: Arc<Inner>,
}

struct Inner {
    engine: wasmi::Engine,
    module: Module,
    /// What stands between the program and the host, if the program uses tail calls.
    shim: Option<Module>,
    imports: Box<[Import]>,
    entries: Box<[Box<str>]>,
    /// What an instance takes of the heap, at most.
    instance_bytes: usize,
    translation: Translation,
}

/// When the functions are translated.
enum Translation {
    /// Each when it is first called.
    Lazy {
        #[expect(dead_code, reason = "held until the program is gone")]
        kept: Option<heap::Translation>,
    },
    /// All before the first run, because there is too little memory to keep the most that they may take.
    Ahead(ahead::Functions),
}

/// What an import of the rewritten module is given.
enum Import {
    Function(HostImport<State>),
    Memory(MemoryType),
}

impl Program {
    /// Compiles a WASI preview 1 command.
    ///
    /// # Errors
    /// [`Refusal`] says what is wrong, or what is missing here.
    pub fn new(engine: &Engine, wasm: &[u8]) -> Result<Self, Refusal> {
        refusal::check_header(wasm)?;
        let bounded = heap::is_bounded();
        let found = resumable::Found::new(wasm);
        if bounded {
            heap::keep_stacks(engine.turn_bytes());
            let bytes = found.copies(wasm);
            heap::check_for(bytes).map_err(|_| Refusal::Memory(bytes))?;
        }
        let resumable = resumable::replace(wasm, &found);
        let footprint = bounded.then(|| Footprint::of(&resumable));
        let lazily = |footprint: &Footprint| heap::Translation::keep(footprint.translation()).is_some();
        let ahead = !footprint.as_ref().is_none_or(lazily);
        Self::compile(engine, wasm, &resumable, footprint, ahead)
    }

    /// Compiles `resumable`, which is `original` with some instructions replaced (see [`resumable`]). With a footprint only as far as there is
    /// memory for it; with all functions translated before the first run if `ahead`.
    fn compile(
        engine: &Engine,
        original: &[u8],
        resumable: &[u8],
        footprint: Option<Footprint>,
        ahead: bool,
    ) -> Result<Self, Refusal> {
        if let Some(footprint) = &footprint {
            // The rewritten module, and what is made of it.
            let bytes = footprint.module(ahead).saturating_add(resumable.len());
            heap::check_for(bytes).map_err(|_| Refusal::Memory(bytes))?;
        }
        let rewritten =
            rewrite::rewrite(resumable, ahead).map_err(|broken| refusal::explain_broken(original, broken))?;
        let Compiled { engine: instance, module, features } =
            compile(engine, &rewritten.wasm).map_err(|error| refusal::explain(original, &error))?;
        growth::check(&rewritten.wasm)?;
        let bounded = footprint.is_some();
        let mut footprint = footprint.unwrap_or_default();
        if features.multi_value {
            if !bounded {
                footprint = Footprint::of(&rewritten.wasm);
            }
            footprint.add_branches(&rewritten.wasm)?;
        }
        let translation = match rewritten.functions {
            Some(names) => {
                let sizes = footprint::body_sizes(&rewritten.wasm);
                Translation::Ahead(ahead::Functions::new(footprint.clone(), names, sizes))
            }
            None if bounded => match heap::Translation::keep(footprint.translation()) {
                Some(kept) => Translation::Lazy { kept: Some(kept) },
                None => return Self::compile(engine, original, resumable, Some(footprint), true),
            },
            None => Translation::Lazy { kept: None },
        };
        let (engine, tail_calls) = (instance, features.tail_calls);
        drop(rewritten.wasm);
        let imports = resolve_imports(&module, rewritten.memory_imported)?;
        let shim = if tail_calls { Some(compile_shim(&engine, &imports)?) } else { None };
        check_memory(&module)?;
        let mut entries: Vec<Box<str>> = Vec::new();
        entries.extend(rewritten.start.map(Into::into));
        let main = ["_start", "_initialize"].into_iter().find(|name| module.get_export(name).is_some());
        entries.push(main.ok_or(Refusal::NoStart)?.into());
        for entry in &entries {
            match module.get_export(entry) {
                Some(ExternType::Func(ty)) if ty.params().is_empty() && ty.results().is_empty() => {}
                _ => return Err(Refusal::StartType(entry.to_string())),
            }
        }
        let instance_bytes = footprint.instance(ahead);
        let entries = entries.into();
        let inner = Inner { engine, module, shim, imports, entries, instance_bytes, translation };
        Ok(Self { inner: Arc::new(inner) })
    }
}

struct Compiled {
    engine: wasmi::Engine,
    module: Module,
    features: Features,
}

fn compile(engine: &Engine, wasm: &[u8]) -> Result<Compiled, wasmi::Error> {
    let attempt = |features| {
        let engine = engine.instance(features);
        Module::new(&engine, wasm).map(|module| Compiled { engine, module, features })
    };
    let [plain, more @ ..] = Features::TRIED;
    more.into_iter().fold(attempt(plain), |result, features| result.or_else(|_| attempt(features)))
}

fn compile_shim(engine: &wasmi::Engine, imports: &[Import]) -> Result<Module, Refusal> {
    let types: Vec<_> = imports
        .iter()
        .filter_map(|import| match import {
            Import::Function(function) => Some(&function.ty),
            Import::Memory(_) => None,
        })
        .collect();
    Module::new(engine, shim::shim(&types)).map_err(|error| Refusal::TooLarge(error.to_string()))
}

/// Finds the host's function for every import, and checks its type. With `memory_last`, the last import is the program's
/// own memory.
fn resolve_imports(module: &Module, memory_last: bool) -> Result<Box<[Import]>, Refusal> {
    let count = module.imports().len();
    let resolve = |(index, import): (usize, wasmi::ImportType<'_>)| {
        let name = || (import.module().to_string(), import.name().to_string());
        let wanted = match import.ty() {
            ExternType::Memory(ty) if memory_last && index.saturating_add(1) == count => {
                return Ok(Import::Memory(*ty));
            }
            ExternType::Func(wanted) => Some(wanted),
            _ => None,
        };
        let found = wanted.zip(preview1::function(import.module(), import.name()));
        let Some((wanted, function)) = found else {
            let (module, name) = name();
            return Err(Refusal::UnknownImport { module, name });
        };
        if function.ty != *wanted {
            let (module, name) = name();
            let types = format!("{wanted:?} instead of {:?}", function.ty);
            return Err(Refusal::ImportType { module, name, types });
        }
        Ok(Import::Function(function))
    };
    module.imports().enumerate().map(resolve).collect()
}

/// The functions that need no memory.
const WITHOUT_MEMORY: [&str; 2] = ["proc_exit", "sched_yield"];

/// Refuses a program that calls WASI functions without the memory that these work on.
fn check_memory(module: &Module) -> Result<(), Refusal> {
    let usable = matches!(module.get_export("memory"), Some(ExternType::Memory(ty)) if !ty.is_64());
    let needed = module
        .imports()
        .any(|import| matches!(import.ty(), ExternType::Func(_)) && !WITHOUT_MEMORY.contains(&import.name()));
    if needed && !usable { Err(Refusal::NoMemory) } else { Ok(()) }
}

/// Why a program did not start.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartError {
    /// It needs more than a limit allows before its first instruction.
    Limit(Limit),
    /// Its data or its tables do not fit where it puts them.
    Instantiation(String),
    /// An argument with a NUL in it.
    Argument(String),
    /// A variable of the environment whose name is empty or has `=` in it, or with a NUL.
    Environment(String),
    /// What was to be preopened under this path is not a directory, or cannot be looked at.
    Preopen(String, Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit(limit) => {
                write!(f, "the program cannot start: what it needs from the start exceeds {limit}")
            }
            Self::Instantiation(why) => write!(f, "the program cannot start: {why}"),
            Self::Argument(argument) => {
                write!(f, "the argument {argument:?} has a NUL in it, which a program cannot be given")
            }
            Self::Environment(name) => {
                write!(f, "the variable {name:?}: no name may be empty or have a = in it, and no value a NUL")
            }
            Self::Preopen(path, error) => write!(f, "the directory for {path:?} cannot be given: {error}"),
        }
    }
}

impl core::error::Error for StartError {}

impl Program {
    /// Makes an instance in a store of its own: the guest, ready to be polled.
    pub(crate) fn instantiate(
        &self,
        machine: &Machine,
        state: State,
        limits: &Limits,
        slices: Slices,
    ) -> Result<Guest<State>, StartError> {
        let inner = &*self.inner;
        if heap::is_bounded() {
            heap::check_for(inner.instance_bytes)
                .map_err(|_| StartError::Limit(Limit::MachineMemory(Need::Instance)))?;
        }
        let data = StoreData::new(state, Limiter::new(limits));
        let mut store = Store::new(&inner.engine, data);
        store.limiter(|data| &mut data.limiter);
        let refused =
            |store: &Store<StoreData<State>>, error: wasmi::Error| match store.data().limiter.refused() {
                Some(limit) => StartError::Limit(limit),
                None => StartError::Instantiation(error.to_string()),
            };
        let mut imports = Vec::with_capacity(inner.imports.len());
        for import in &inner.imports {
            imports.push(match import {
                Import::Function(function) => Extern::Func(function.make(&mut store)),
                Import::Memory(ty) => match new_memory(&mut store, *ty, machine, limits) {
                    Ok(memory) => Extern::Memory(memory),
                    Err(error) => return Err(refused(&store, error)),
                },
            });
        }
        if let Some(shim) = &inner.shim {
            put_between(&mut store, shim, &mut imports)
                .map_err(|error| StartError::Instantiation(error.to_string()))?;
        }
        let instance = match Instance::new(&mut store, &inner.module, &imports) {
            Ok(instance) => instance,
            Err(error) => return Err(refused(&store, error)),
        };
        if let Some(memory) = instance.get_memory(&store, "memory") {
            store.data_mut().set_memory(memory);
        }
        if let Translation::Ahead(functions) = &inner.translation {
            functions
                .translate(&mut store, &instance)
                .map_err(|_| StartError::Limit(Limit::MachineMemory(Need::Code)))?;
        }
        let entries = inner.entries.iter().filter_map(|name| instance.get_func(&store, name)).collect();
        Ok(Guest::new(store, entries, machine.clock.clone(), limits, slices))
    }
}

/// Replaces the functions among `imports` by the shim's functions that call them.
fn put_between(
    store: &mut Store<StoreData<State>>,
    shim: &Module,
    imports: &mut [Extern],
) -> Result<(), wasmi::Error> {
    let functions = || imports.iter().filter(|import| import.into_func().is_some()).copied();
    let instance = Instance::new(&mut *store, shim, &functions().collect::<Vec<_>>())?;
    let functions = imports.iter_mut().filter(|import| import.into_func().is_some());
    for (index, function) in functions.enumerate() {
        if let Some(between) = instance.get_func(&*store, &shim::export_name(index)) {
            *function = Extern::Func(between);
        }
    }
    Ok(())
}

/// The program's memory, on address space of the machine if it has some.
fn new_memory(
    store: &mut Store<StoreData<State>>,
    ty: MemoryType,
    machine: &Machine,
    limits: &Limits,
) -> Result<Memory, wasmi::Error> {
    const PAGE: u64 = 64 << 10;
    const ADDRESSES: u64 = 4 << 30;
    let largest = ty.maximum().map_or(u64::MAX, |pages| pages.saturating_mul(PAGE));
    let pages = largest.min(limits.memory.unwrap_or(u64::MAX)).min(ADDRESSES) / PAGE;
    let region = match (&machine.memories, usize::try_from(pages * PAGE)) {
        (Some(memories), Ok(bytes)) if !ty.is_64() && bytes > 0 => memories.reserve(bytes),
        _ => None,
    };
    let Some(region) = region.and_then(|region| store.data_mut().limiter.set_region(region)) else {
        return Memory::new(store, ty);
    };
    // SAFETY: this is the only call for the region. It is in the store's data and never taken out or replaced, and the
    // store owns the memory, so they end together; the end of a static memory accesses no bytes.
    // wasmi accesses a memory up to its size, and every growth, the first included, asks the limiter, which
    // commits up to that size before it agrees.
    let bytes = unsafe { memory::static_bytes(region) };
    Memory::new_static(store, ty, bytes)
}
