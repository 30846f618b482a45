//! Components (WASI 0.2): compiled and linked once, and what a run of one does.

use super::{
    Inner, NotStarted, Program,
    core_module::{Compiled, CoreModule, Failure},
    limiter, new_store,
    refusal::{Format, Refusal, format as format_of},
};
use crate::{
    Engine, Limits, Machine, StartError,
    call::{self, StoreData},
    cli::Grants,
    driver::{Guest, Ran, Running, Slices, Work},
    engine::Features,
    heap,
    http::{Exchange, RequestHead},
    preview2::State,
};
use alloc::{boxed::Box, format, string::ToString, sync::Arc, vec::Vec};
use component::{
    Component, Execution, Linked, LoadError, Progress, Value, abi::LIFT_BUDGET, modules::Resolve,
};
use core::task::Context;
use wasmi::{Func, Instance, Module, Store, errors::HostError};

/// What the store of a component has as data.
type Data = StoreData<State>;

/// A component that can be run, as what its entry says.
pub(super) struct ComponentProgram {
    engine: wasmi::Engine,
    linked: Linked<Data>,
    /// The instance that has the entry's function, with its version.
    instance: Box<str>,
    entry: Entry,
}

/// What is called of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// A command's `run`.
    Run,
    /// An HTTP handler's `handle`.
    Handle,
}

impl Entry {
    /// What the name of the instance begins with, and the function's name.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Run => ("wasi:cli/run@0.2.", "run"),
            Self::Handle => ("wasi:http/incoming-handler@0.2.", "handle"),
        }
    }
}

impl ComponentProgram {
    /// Compiles a component and links it.
    pub(super) fn new(engine: &Engine, wasm: &[u8], entry: Entry) -> Result<Self, Refusal> {
        let bytes = wasm.len().saturating_mul(2);
        heap::check_for(bytes).map_err(|_| Refusal::Memory(bytes))?;
        // The fewer features its engine has, the tighter are the bounds on what its modules take.
        let attempt = |features: Features| {
            let modules = Modules { engine, instance: engine.instance(features), features };
            Component::new(&modules, wasm).map(|component| (component, modules.instance))
        };
        let [plain, more @ ..] = Features::TRIED;
        let loaded = more.into_iter().fold(attempt(plain), |loaded, features| match loaded {
            Err(LoadError::Module(error)) if error.downcast_ref::<Refused>().is_none() => attempt(features),
            loaded => loaded,
        });
        let (component, instance) = loaded.map_err(refuse)?;
        let exported = component.exports().find(|export| export.starts_with(entry.names().0));
        let exports = || component.exports().map(ToString::to_string).collect();
        let exported = match (exported, entry) {
            (Some(exported), _) => exported.into(),
            (None, Entry::Run) => return Err(Refusal::NotCommand(exports())),
            (None, Entry::Handle) => return Err(Refusal::NotHandler(exports())),
        };
        let linked = Linked::new(engine.preview2(), &component)
            .map_err(|error| Refusal::ComponentImport(error.to_string()))?;
        Ok(Self { engine: instance, linked, instance: exported, entry })
    }

    /// A run of it in a store of its own, with these arguments of its entry.
    pub(super) fn guest(
        &self,
        machine: &Machine,
        state: State,
        args: Vec<Value>,
        limits: &Limits,
        slices: Slices,
    ) -> Result<Box<dyn Running>, StartError> {
        let mut store = new_store(&self.engine, state, limiter(machine, limits).of_component());
        let work = self.work(&mut store, args)?;
        Ok(Box::new(Guest::new(store, work, machine.clock.clone(), limits, slices)))
    }

    /// What a run of it does, with these arguments of its entry.
    fn work(&self, store: &mut Store<Data>, args: Vec<Value>) -> Result<Execute, StartError> {
        let execution = Execution::instantiate(store, &self.linked)
            .map_err(|error| StartError::Instantiation(error.to_string()))?;
        Ok(Execute { execution, call: Some((self.instance.clone(), self.entry.names().1, args)) })
    }
}

impl Program {
    /// Compiles a component that answers HTTP requests: [`handle`](Self::handle) is what it can do.
    pub(crate) fn handler(engine: &Engine, wasm: &[u8]) -> Result<Self, Refusal> {
        let program = match format_of(wasm)? {
            Format::Module => return Err(Refusal::NotHandler(Vec::new())),
            Format::Component => ComponentProgram::new(engine, wasm, Entry::Handle)?,
        };
        Ok(Self { inner: Arc::new(Inner::Component(program)) })
    }

    /// As [`instantiate`](Self::instantiate), for one request to a handler.
    pub(crate) fn handle(
        &self,
        machine: &Machine,
        grants: Grants,
        limits: &Limits,
        slices: Slices,
        head: RequestHead,
        exchange: &Exchange,
    ) -> Result<Box<dyn Running>, StartError> {
        let Inner::Component(program) = &*self.inner else {
            return Err(StartError::Instantiation("a module has no handler".to_string()));
        };
        let mut state = State::new(grants);
        let args = state.incoming(head, exchange);
        let args = args.map_err(|trap| StartError::Instantiation(trap.to_string()))?;
        program.guest(machine, state, args, limits, slices)
    }
}

fn refuse(error: LoadError) -> Refusal {
    match error {
        LoadError::Module(error) => match error.downcast_ref::<Refused>() {
            Some(Refused(refusal)) => refusal.clone(),
            None => Refusal::TooLarge(error.to_string()),
        },
        LoadError::Truncated => Refusal::Truncated,
        LoadError::Unsupported(what) => Refusal::Feature(what),
        error => Refusal::Invalid(error.to_string()),
    }
}

/// A refusal of a core module, on its way through the component model.
#[derive(Debug)]
struct Refused(Refusal);

impl core::fmt::Display for Refused {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

impl HostError for Refused {}

/// Compiles the core modules of a component, all in one engine.
struct Modules<'a> {
    engine: &'a Engine,
    instance: wasmi::Engine,
    features: Features,
}

impl component::Modules<Data> for Modules<'_> {
    fn compile(&self, wasm: &[u8]) -> Result<Arc<dyn component::CoreModule<Data>>, wasmi::Error> {
        let compile = |wasm: &[u8]| {
            let module = Module::new(&self.instance, wasm)?;
            Ok(Compiled { engine: self.instance.clone(), module, features: self.features })
        };
        match CoreModule::new(self.engine, wasm, &compile) {
            Ok(module) => Ok(Arc::new(module)),
            // It is tried again with more features.
            Err(Failure::Engine(error)) if self.features != Features::ALL => Err(error),
            Err(failure) => Err(wasmi::Error::host(Refused(failure.explain(wasm)))),
        }
    }
}

impl component::CoreModule<Data> for CoreModule {
    fn instantiate(
        &self,
        store: &mut Store<Data>,
        resolve: &Resolve<'_, Data>,
    ) -> Result<(Instance, Option<Func>), wasmi::Error> {
        let imports = component::modules::imports(self.imports(), store, resolve)?;
        let instance = CoreModule::instantiate(self, store, imports)
            .map_err(|error| wasmi::Error::host(NotStarted(error)))?;
        let start = self.start().and_then(|name| instance.get_func(&*store, name));
        Ok((instance, start))
    }
}

/// The work of a component: instantiated, then run.
pub(super) struct Execute {
    execution: Execution<Data>,
    /// What is still to be called: by the name of the instance that has it and its own, and with what.
    call: Option<(Box<str>, &'static str, Vec<Value>)>,
}

impl Work<State> for Execute {
    fn run(&mut self, store: &mut Store<Data>, task: &mut Context<'_>) -> Result<Ran, wasmi::Error> {
        loop {
            match self.execution.run(store, task)? {
                Progress::OutOfFuel(needed) => return Ok(Ran::OutOfFuel(needed)),
                Progress::Waiting => return Ok(Ran::Waits),
                Progress::Done => {}
            }
            let Some((instance, name, args)) = self.call.take() else {
                let failed = matches!(self.execution.take_result(), Some(Value::Result(Err(_))));
                return Ok(Ran::Ended(u32::from(failed)));
            };
            let function = self.execution.function(&[&instance, name]);
            let function =
                function.ok_or_else(|| wasmi::Error::new(format!("{instance} has no function {name:?}")))?;
            self.execution.call(store, &function, args)?;
        }
    }
}

impl component::Host for Data {
    fn state(&self) -> &component::State<Self> {
        &self.state.component
    }

    fn state_mut(&mut self) -> &mut component::State<Self> {
        &mut self.state.component
    }

    fn waker(&self) -> &core::task::Waker {
        StoreData::waker(self)
    }

    fn value_budget(&self) -> usize {
        heap::spare().unwrap_or(LIFT_BUDGET).min(LIFT_BUDGET)
    }

    fn after_call(caller: &mut wasmi::Caller<'_, Self>) {
        call::yield_if_over(caller);
    }
}

#[cfg(test)]
mod tests;
