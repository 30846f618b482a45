//! Programs: compiled once, checked for all that can be known before they run. Running them is the
//! [`driver`](crate::driver)'s.

mod refusal;
mod rewrite;
#[cfg(test)]
mod tests;

pub use refusal::Refusal;

use crate::{
    Engine, Error, Limit, Limits, Machine,
    call::{HostImport, StoreData},
    driver::{Guest, Slices},
    limits::Limiter,
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
use wasmi::{Extern, ExternType, Instance, Memory, MemoryType, Module, Store};

/// A WASI command, compiled. Cheap to clone; runs of it share nothing but the code.
#[derive(Clone)]
pub struct Program {
    inner: Arc<Inner>,
}

struct Inner {
    engine: wasmi::Engine,
    module: Module,
    imports: Box<[Import]>,
    entries: Box<[Box<str>]>,
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
        let rewritten = rewrite::rewrite(wasm)?;
        let engine = engine.instance();
        let module = Module::new(&engine, &rewritten.wasm).map_err(|error| refusal::explain(wasm, &error))?;
        drop(rewritten.wasm);
        let imports = resolve_imports(&module, rewritten.memory_imported)?;
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
        Ok(Self { inner: Arc::new(Inner { engine, module, imports, entries: entries.into() }) })
    }
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
        let instance = match Instance::new(&mut store, &inner.module, &imports) {
            Ok(instance) => instance,
            Err(error) => return Err(refused(&store, error)),
        };
        let entries = inner.entries.iter().filter_map(|name| instance.get_func(&store, name)).collect();
        Ok(Guest::new(store, entries, machine.clock.clone(), limits, slices))
    }
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
    let bytes = largest.min(limits.memory.unwrap_or(u64::MAX)).min(ADDRESSES);
    let region = match (&machine.memories, usize::try_from(bytes)) {
        (Some(memories), Ok(bytes)) if !ty.is_64() && bytes > 0 => {
            memories.reserve(bytes - bytes % PAGE as usize)
        }
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
