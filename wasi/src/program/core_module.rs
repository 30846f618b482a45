//! A core module, compiled for guests: with the changes of [`rewrite`] and [`resumable`] and within the memory that there is. A
//! program of preview 1 is one; a component has many.

use super::{
    ahead,
    footprint::{self, Footprint},
    growth,
    refusal::{self, Refusal},
    resumable, rewrite, shim,
};
use crate::{Engine, Limit, StartError, call::StoreData, engine::Features, heap, limits::Need, memory};
use alloc::{boxed::Box, string::ToString, vec::Vec};
use wasmi::{Extern, ExternType, ImportType, Instance, Memory, MemoryType, Module, Store};

/// What a module needs to be compiled: an engine with the features that it uses.
pub(super) struct Compiled {
    pub engine: wasmi::Engine,
    pub module: Module,
    pub features: Features,
}

/// Compiles a binary that has been rewritten.
pub(super) type Compile<'a> = dyn Fn(&[u8]) -> Result<Compiled, wasmi::Error> + 'a;

/// Why a module was not compiled.
pub(super) enum Failure {
    /// For a reason of ours.
    Refused(Refusal),
    /// The engine does not take it, which may be for want of a feature.
    Engine(wasmi::Error),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Failure {
    /// What a person is told about `wasm`.
    pub(super) fn explain(self, wasm: &[u8]) -> Refusal {
        match self {
            Self::Refused(refusal) => refusal,
            Self::Engine(error) => refusal::explain(wasm, &error),
        }
    }
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

/// A core module, ready to be instantiated.
pub(super) struct CoreModule {
    engine: wasmi::Engine,
    module: Module,
    /// What stands between the module and the functions that it imports, if it may use tail calls.
    shim: Option<Module>,
    /// Its own memory, the last import of the rewritten module.
    memory: Option<MemoryType>,
    start: Option<Box<str>>,
    /// What an instance takes of the heap, at most.
    instance_bytes: usize,
    translation: Translation,
}

impl CoreModule {
    /// Compiles `wasm`, whose header has been checked.
    pub(super) fn new(engine: &Engine, wasm: &[u8], compile: &Compile<'_>) -> Result<Self, Failure> {
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
        Self::compile(wasm, &resumable, footprint, ahead, compile)
    }

    /// Compiles `resumable`, which is `original` with some instructions replaced (see [`resumable`]). With a footprint only as far as there is
    /// memory for it; with all functions translated before the first run if `ahead`.
    fn compile(
        original: &[u8],
        resumable: &[u8],
        footprint: Option<Footprint>,
        ahead: bool,
        compile: &Compile<'_>,
    ) -> Result<Self, Failure> {
        if let Some(footprint) = &footprint {
            // The rewritten module, and what is made of it.
            let bytes = footprint.module(ahead).saturating_add(resumable.len());
            heap::check_for(bytes).map_err(|_| Refusal::Memory(bytes))?;
        }
        let rewritten =
            rewrite::rewrite(resumable, ahead).map_err(|broken| refusal::explain_broken(original, broken))?;
        let Compiled { engine, module, features } = compile(&rewritten.wasm).map_err(Failure::Engine)?;
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
                None => return Self::compile(original, resumable, Some(footprint), true, compile),
            },
            None => Translation::Lazy { kept: None },
        };
        drop(rewritten.wasm);
        let shim = if features.tail_calls { Some(compile_shim(&engine, &module)?) } else { None };
        let memory = module.imports().last().filter(|_| rewritten.memory_imported);
        let memory = memory.and_then(|import| match import.ty() {
            ExternType::Memory(ty) => Some(*ty),
            _ => None,
        });
        let instance_bytes = footprint.instance(ahead);
        let start = rewritten.start.map(Into::into);
        Ok(Self { engine, module, shim, memory, start, instance_bytes, translation })
    }

    pub(super) fn engine(&self) -> &wasmi::Engine {
        &self.engine
    }

    pub(super) fn module(&self) -> &Module {
        &self.module
    }

    /// The name of the export that is its start function: to be called first.
    pub(super) fn start(&self) -> Option<&str> {
        self.start.as_deref()
    }

    /// What it imports from others: all but its own memory.
    pub(super) fn imports(&self) -> impl Iterator<Item = ImportType<'_>> {
        let own = usize::from(self.memory.is_some());
        let count = self.module.imports().len().saturating_sub(own);
        self.module.imports().take(count)
    }

    /// Makes an instance in `store`. `imports` are for what [`imports`](Self::imports) says, in that order.
    pub(super) fn instantiate<S: 'static>(
        &self,
        store: &mut Store<StoreData<S>>,
        imports: Vec<Extern>,
    ) -> Result<Instance, StartError> {
        self.check_room()?;
        let refused = |store: &Store<StoreData<S>>, error: wasmi::Error| match store.data().limiter.refused()
        {
            Some(limit) => StartError::Limit(limit),
            None => StartError::Instantiation(error.to_string()),
        };
        let imports = self.link(store, imports).map_err(|error| refused(store, error))?;
        // Again: its memory leaves what is kept for turns, and no more.
        self.check_room()?;
        let instance =
            Instance::new(&mut *store, &self.module, &imports).map_err(|error| refused(store, error))?;
        self.translate(store, &instance)?;
        Ok(instance)
    }

    /// Whether the machine has the memory for an instance, which wasmi allocates as what cannot be refused.
    fn check_room(&self) -> Result<(), StartError> {
        if heap::is_bounded() {
            heap::check_for(self.instance_bytes)
                .map_err(|_| StartError::Limit(Limit::MachineMemory(Need::Instance)))?;
        }
        Ok(())
    }

    /// All that an instance imports: `imports`, with what stands between, and its memory.
    fn link<S: 'static>(
        &self,
        store: &mut Store<StoreData<S>>,
        mut imports: Vec<Extern>,
    ) -> Result<Vec<Extern>, wasmi::Error> {
        if let Some(shim) = &self.shim {
            put_between(store, shim, &mut imports)?;
        }
        if let Some(ty) = self.memory {
            imports.push(Extern::Memory(new_memory(store, ty)?));
        }
        Ok(imports)
    }

    fn translate<S>(&self, store: &mut Store<StoreData<S>>, instance: &Instance) -> Result<(), StartError> {
        match &self.translation {
            Translation::Lazy { .. } => Ok(()),
            Translation::Ahead(functions) => functions
                .translate(store, instance)
                .map_err(|_| StartError::Limit(Limit::MachineMemory(Need::Code))),
        }
    }
}

/// Compiles with the features that the module turns out to need, each in an engine of its own.
pub(super) fn compile(engine: &Engine, wasm: &[u8]) -> Result<Compiled, wasmi::Error> {
    let attempt = |features| {
        let engine = engine.instance(features);
        Module::new(&engine, wasm).map(|module| Compiled { engine, module, features })
    };
    let [plain, more @ ..] = Features::TRIED;
    more.into_iter().fold(attempt(plain), |result, features| result.or_else(|_| attempt(features)))
}

fn compile_shim(engine: &wasmi::Engine, module: &Module) -> Result<Module, Refusal> {
    let imports: Vec<_> = module.imports().collect();
    let types: Vec<_> = imports
        .iter()
        .filter_map(|import| match import.ty() {
            ExternType::Func(ty) => Some(ty),
            _ => None,
        })
        .collect();
    Module::new(engine, shim::shim(&types)).map_err(|error| Refusal::TooLarge(error.to_string()))
}

/// Replaces the functions among `imports` by the shim's functions that call them.
fn put_between<S: 'static>(
    store: &mut Store<StoreData<S>>,
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

/// The module's memory, on address space of the machine if it has some.
fn new_memory<S: 'static>(store: &mut Store<StoreData<S>>, ty: MemoryType) -> Result<Memory, wasmi::Error> {
    const ADDRESSES: u64 = 4 << 30;
    let largest = ty.maximum().map_or(u64::MAX, |pages| pages.saturating_mul(memory::PAGE)).min(ADDRESSES);
    let region = if ty.is_64() { None } else { store.data_mut().limiter.reserve(largest) };
    let Some(region) = region else { return Memory::new(store, ty) };
    // SAFETY: this is the only call for the region. It is in the store's data and never taken out or replaced, and the
    // store owns the memory, so they end together; the end of a static memory accesses no bytes.
    // wasmi accesses a memory up to its size, which is never above the region's, and every growth, the first included, asks
    // the limiter, which commits up to that size before it agrees.
    let bytes = unsafe { memory::static_bytes(region) };
    Memory::new_static(store, ty, bytes)
}
