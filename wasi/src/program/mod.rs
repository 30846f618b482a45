//! Programs: compiled once, checked for all that can be known before they run. Running them is the
//! driver's.

mod ahead;
mod bulk;
#[cfg(feature = "components")]
mod component;
mod core_module;
mod footprint;
pub(crate) mod growth;
mod refusal;
pub(crate) mod resumable;
mod rewrite;
mod shim;
#[cfg(test)]
mod tests;

pub use refusal::Refusal;

#[cfg(feature = "components")]
use crate::preview2;
use crate::{
    Engine, Error, Limit, Limits, Machine,
    call::{HostImport, StoreData},
    cli::Grants,
    driver::{Entries, Guest, Running, Slices},
    limits::Limiter,
    preview1,
};
use alloc::{
    boxed::Box,
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
#[cfg(feature = "components")]
use component::{ComponentProgram, Entry};
use core::fmt;
use core_module::CoreModule;
use refusal::Format;
use wasmi::{Extern, ExternType, ImportType, Module, Store, errors::HostError};

/// A WASI command, compiled. Cheap to clone; runs of it share nothing but the code.
#[derive(Clone)]
pub struct Program {
    inner: Arc<Inner>,
}

enum Inner {
    Module(ModuleProgram),
    #[cfg(feature = "components")]
    Component(ComponentProgram),
}

/// Whether bytes have the header of a module, which is what a program for preview 1 is.
pub fn is_module(wasm: &[u8]) -> bool {
    refusal::format(wasm) == Ok(Format::Module)
}

/// A preview 1 command.
struct ModuleProgram {
    core: CoreModule,
    imports: Box<[HostImport<preview1::State>]>,
    entries: Box<[Box<str>]>,
}

impl Program {
    /// Compiles a WASI command: a module for preview 1 or (with the feature `components`) a component for 0.2, told apart by
    /// the header.
    ///
    /// # Errors
    /// [`Refusal`] says what is wrong, or what is missing here.
    pub fn new(engine: &Engine, wasm: &[u8]) -> Result<Self, Refusal> {
        let inner = match refusal::format(wasm)? {
            Format::Module => Inner::Module(ModuleProgram::new(engine, wasm)?),
            #[cfg(feature = "components")]
            Format::Component => Inner::Component(ComponentProgram::new(engine, wasm, Entry::Run)?),
            #[cfg(not(feature = "components"))]
            Format::Component => return Err(Refusal::Component),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Whether it is a component, and not a module for preview 1.
    pub fn is_component(&self) -> bool {
        !matches!(*self.inner, Inner::Module(_))
    }
}

impl ModuleProgram {
    fn new(engine: &Engine, wasm: &[u8]) -> Result<Self, Refusal> {
        let core = CoreModule::new(engine, wasm, &|wasm| core_module::compile(engine, wasm))
            .map_err(|failure| failure.explain(wasm))?;
        let module = core.module();
        let imports = core.imports().map(|import| resolve(&import)).collect::<Result<_, _>>()?;
        check_memory(module)?;
        let mut entries: Vec<Box<str>> = Vec::new();
        entries.extend(core.start().map(Into::into));
        let main = ["_start", "_initialize"].into_iter().find(|name| module.get_export(name).is_some());
        entries.push(main.ok_or(Refusal::NoStart)?.into());
        for entry in &entries {
            match module.get_export(entry) {
                Some(ExternType::Func(ty)) if ty.params().is_empty() && ty.results().is_empty() => {}
                _ => return Err(Refusal::StartType(entry.to_string())),
            }
        }
        let entries = entries.into();
        Ok(Self { core, imports, entries })
    }
}

/// Finds the host's function for an import, and checks its type.
fn resolve(import: &ImportType<'_>) -> Result<HostImport<preview1::State>, Refusal> {
    let name = || (import.module().to_string(), import.name().to_string());
    let wanted = match import.ty() {
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
    Ok(function)
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

/// A [`StartError`] of a core module of a component, which starts when the component already runs.
#[derive(Debug)]
pub(crate) struct NotStarted(pub(crate) StartError);

impl fmt::Display for NotStarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl HostError for NotStarted {}

impl Program {
    /// Makes an instance in a store of its own: the guest, ready to be polled.
    pub(crate) fn instantiate(
        &self,
        machine: &Machine,
        grants: Grants,
        limits: &Limits,
        slices: Slices,
    ) -> Result<Box<dyn Running>, StartError> {
        Ok(match &*self.inner {
            Inner::Module(program) => {
                let descriptors = Limit::Descriptors(limits.descriptors.unwrap_or(u32::MAX));
                let state = preview1::State::new(grants).map_err(|_| StartError::Limit(descriptors))?;
                let mut store = new_store(program.core.engine(), state, limiter(machine, limits));
                let work = program.work(&mut store)?;
                Box::new(Guest::new(store, work, machine.clock.clone(), limits, slices))
            }
            #[cfg(feature = "components")]
            Inner::Component(program) => {
                program.guest(machine, preview2::State::new(grants), Vec::new(), limits, slices)?
            }
        })
    }
}

fn limiter(machine: &Machine, limits: &Limits) -> Limiter {
    Limiter::new(limits).with_memories(machine.memories.clone())
}

fn new_store<S>(engine: &wasmi::Engine, state: S, limiter: Limiter) -> Store<StoreData<S>> {
    let mut store = Store::new(engine, StoreData::new(state, limiter));
    store.limiter(|data| &mut data.limiter);
    store
}

impl ModuleProgram {
    /// What a run of it does.
    fn work(&self, store: &mut Store<StoreData<preview1::State>>) -> Result<Entries, StartError> {
        let imports = self.imports.iter().map(|function| Extern::Func(function.make(store))).collect();
        let instance = self.core.instantiate(store, imports)?;
        if let Some(memory) = instance.get_memory(&*store, "memory") {
            store.data_mut().set_memory(memory);
        }
        Ok(Entries::new(self.entries.iter().filter_map(|name| instance.get_func(&*store, name)).collect()))
    }
}
