//! Scripts: their directives, and the components that they define, instantiate and call.

use crate::{
    expectations,
    host::{self, Data},
    values,
};
use component::{Component, Execution, Linked, Linker, Modules, PlainModules, Progress, Value};
use std::{
    collections::HashMap,
    sync::Arc,
    task::{Context, Waker},
};
use wasmi::{Config, Engine, Store};
use wast::{
    QuoteWat, Wast, WastDirective, WastExecute, WastInvoke, WastRet, Wat,
    parser::{self, ParseBuffer},
};

/// What has come of a directive.
pub enum Outcome {
    Passed,
    /// It needs what is not there.
    Skipped(&'static str),
    Failed(String),
}

/// Why a directive does not do what it should.
enum Error {
    /// Not valid, not to be linked.
    Refused(String),
    Trap(String),
    Skip(&'static str),
    /// The script is wrong, or asks for what this runner does not know.
    Script(String),
}

impl From<Error> for Outcome {
    fn from(error: Error) -> Self {
        match error {
            Error::Skip(reason) => Self::Skipped(reason),
            Error::Refused(why) | Error::Script(why) => Self::Failed(why),
            Error::Trap(why) => Self::Failed(format!("trap: {why}")),
        }
    }
}

/// A component instance with a store of its own.
struct Instance {
    store: Store<Data>,
    execution: Execution<Data>,
}

/// What is defined or instantiated, or why it is not: a directive that uses it is then skipped too.
type Kept<T> = Result<T, &'static str>;

/// A script that runs.
pub struct Script {
    engine: Engine,
    linker: Arc<Linker<Data>>,
    fuel: u64,
    definitions: HashMap<String, Kept<Component<Data>>>,
    instances: HashMap<String, Kept<Instance>>,
    /// The name of the instance that calls go to if they say none.
    current: String,
}

impl Script {
    /// Runs the script `text` in slices of `fuel`; gives what came of each directive, and its line.
    pub fn run(text: &str, fuel: u64) -> Result<Vec<(usize, Outcome)>, wast::Error> {
        let buffer = ParseBuffer::new(text).map_err(|error| with_text(error, text))?;
        let wast = parser::parse::<Wast<'_>>(&buffer).map_err(|error| with_text(error, text))?;
        let mut config = Config::default();
        config.consume_fuel(true).compilation_mode(wasmi::CompilationMode::Eager).wasm_tail_call(false);
        let mut script = Self {
            engine: Engine::new(&config),
            linker: host::linker(),
            fuel,
            definitions: HashMap::new(),
            instances: HashMap::new(),
            current: String::new(),
        };
        let directives = wast.directives.into_iter();
        Ok(directives
            .map(|directive| {
                let (line, _) = directive.span().linecol_in(text);
                (line + 1, script.directive(directive))
            })
            .collect())
    }

    fn directive(&mut self, directive: WastDirective<'_>) -> Outcome {
        let done = match directive {
            WastDirective::Module(mut wat) => {
                let name = name(wat.name());
                let linked = self.load(&mut wat).and_then(|component| self.link(&component));
                self.keep_instance(name, linked)
            }
            WastDirective::ModuleDefinition(mut wat) => {
                let name = name(wat.name());
                let (kept, done) = keep(self.load(&mut wat));
                if let Some(kept) = kept {
                    self.definitions.insert(name, kept);
                }
                done
            }
            WastDirective::ModuleInstance { instance, module, .. } => {
                let linked = match self.definitions.get(&name(module)) {
                    Some(Ok(component)) => self.link(component),
                    Some(Err(reason)) => Err(Error::Skip(reason)),
                    None => Err(Error::Script("there is no such definition".into())),
                };
                self.keep_instance(name(instance), linked)
            }
            WastDirective::AssertInvalid { mut module, message, .. }
            | WastDirective::AssertMalformed { mut module, message, .. } => {
                refused(self.load(&mut module).map(|_| ()), message)
            }
            WastDirective::AssertUnlinkable { module, message, .. } => {
                let component = self.load(&mut QuoteWat::Wat(module));
                refused(component.and_then(|component| self.link(&component)).map(|_| ()), message)
            }
            WastDirective::Invoke(invoke) => self.invoke(&invoke).map(|_| ()),
            WastDirective::AssertReturn { exec: WastExecute::Invoke(invoke), results, .. } => {
                self.invoke(&invoke).and_then(|(result, ty)| returned(&results, result.as_ref(), ty.as_ref()))
            }
            WastDirective::AssertTrap { exec, message, .. } => trapped(self.execute(exec), message),
            other => Err(Error::Script(format!("unknown directive: {other:?}"))),
        };
        done.map_or_else(Outcome::from, |()| Outcome::Passed)
    }

    fn execute(&mut self, execute: WastExecute<'_>) -> Result<(), Error> {
        match execute {
            WastExecute::Invoke(invoke) => self.invoke(&invoke).map(|_| ()),
            WastExecute::Wat(wat) => {
                let linked = self.link(&self.load(&mut QuoteWat::Wat(wat))?)?;
                self.instantiate(&linked).map(|_| ())
            }
            WastExecute::Get { .. } => Err(Error::Script("components export no globals".into())),
        }
    }

    fn load(&self, wat: &mut QuoteWat<'_>) -> Result<Component<Data>, Error> {
        if matches!(wat, QuoteWat::Wat(Wat::Module(_)) | QuoteWat::QuoteModule(..)) {
            return Err(Error::Script("a core module".into()));
        }
        let wasm = wat.encode().map_err(|error| Error::Refused(error.to_string()))?;
        let modules = PlainModules::new(&self.engine);
        Component::new(&modules as &dyn Modules<Data>, &wasm)
            .map_err(|error| Error::Refused(error.to_string()))
    }

    fn link(&self, component: &Component<Data>) -> Result<Linked<Data>, Error> {
        Linked::new(&self.linker, component).map_err(|error| Error::Refused(error.to_string()))
    }

    fn keep_instance(&mut self, name: String, linked: Result<Linked<Data>, Error>) -> Result<(), Error> {
        let (kept, done) = keep(linked.and_then(|linked| self.instantiate(&linked)));
        // What could not be made is not called in place of what was there before.
        self.instances.remove(&name);
        if let Some(kept) = kept {
            self.instances.insert(name.clone(), kept);
        }
        self.current = name;
        done
    }

    fn instantiate(&self, linked: &Linked<Data>) -> Result<Instance, Error> {
        let mut store = Store::new(&self.engine, Data::default());
        let execution = Execution::instantiate(&mut store, linked).map_err(trap)?;
        let mut instance = Instance { store, execution };
        instance.finish(self.fuel).map_err(trap)?;
        Ok(instance)
    }

    /// The result of a call and its type.
    fn invoke(&mut self, invoke: &WastInvoke<'_>) -> Result<(Option<Value>, Option<component::Type>), Error> {
        let name = invoke.module.map_or_else(|| self.current.clone(), |id| id.name().to_owned());
        let instance = match self.instances.get_mut(&name) {
            Some(Ok(instance)) => instance,
            Some(Err(reason)) => return Err(Error::Skip(reason)),
            None => return Err(Error::Script("there is no such instance".into())),
        };
        let function = instance
            .execution
            .function(&[invoke.name])
            .ok_or_else(|| Error::Script(format!("it exports no function {:?}", invoke.name)))?;
        let ty = function.ty().ok_or_else(|| Error::Script("a function of the host's".into()))?;
        if ty.params().len() != invoke.args.len() {
            return Err(Error::Script(format!("it takes {} arguments", ty.params().len())));
        }
        let arguments = invoke.args.iter().zip(ty.params());
        let arguments = arguments
            .map(|(value, (_, ty))| values::argument(value, ty))
            .collect::<Result<Vec<_>, _>>()
            .map_err(Error::Script)?;
        instance.execution.call(&mut instance.store, &function, arguments).map_err(trap)?;
        instance.finish(self.fuel).map_err(trap)?;
        Ok((instance.execution.take_result(), ty.result().cloned()))
    }
}

impl Instance {
    /// Runs what was begun, a slice after the other.
    fn finish(&mut self, fuel: u64) -> Result<(), wasmi::Error> {
        let mut task = Context::from_waker(Waker::noop());
        let mut needed = 0;
        loop {
            self.store.set_fuel(fuel.max(needed))?;
            match self.execution.run(&mut self.store, &mut task)? {
                Progress::Done => return Ok(()),
                Progress::OutOfFuel(more) => needed = more,
                Progress::Waiting => {}
            }
        }
    }
}

/// What to keep of a component or instance, and what came of the directive that made it.
fn keep<T>(made: Result<T, Error>) -> (Option<Kept<T>>, Result<(), Error>) {
    match made {
        Ok(made) => (Some(Ok(made)), Ok(())),
        Err(Error::Refused(why)) => match expectations::skip(&why) {
            Some(reason) => (Some(Err(reason)), Err(Error::Skip(reason))),
            None => (None, Err(Error::Refused(why))),
        },
        Err(Error::Skip(reason)) => (Some(Err(reason)), Err(Error::Skip(reason))),
        Err(error) => (None, Err(error)),
    }
}

fn refused(made: Result<(), Error>, expected: &str) -> Result<(), Error> {
    match made {
        Ok(()) => Err(Error::Script(format!("it is valid, where {expected:?} was expected"))),
        Err(Error::Refused(why)) if expectations::matches(expected, &why) => Ok(()),
        Err(Error::Refused(why)) => match expectations::skip(&why) {
            Some(reason) => Err(Error::Skip(reason)),
            None => {
                Err(Error::Script(format!("it is refused with {why:?}, where {expected:?} was expected")))
            }
        },
        Err(error) => Err(error),
    }
}

fn trapped(done: Result<(), Error>, expected: &str) -> Result<(), Error> {
    match done {
        Ok(()) => Err(Error::Script(format!("it returns, where the trap {expected:?} was expected"))),
        Err(Error::Trap(why)) if expectations::matches(expected, &why) => Ok(()),
        Err(Error::Trap(why)) => {
            Err(Error::Script(format!("it traps with {why:?}, where {expected:?} was expected")))
        }
        Err(Error::Refused(why)) => match expectations::skip(&why) {
            Some(reason) => Err(Error::Skip(reason)),
            None => Err(Error::Refused(why)),
        },
        Err(error) => Err(error),
    }
}

fn returned(
    expected: &[WastRet<'_>],
    result: Option<&Value>,
    ty: Option<&component::Type>,
) -> Result<(), Error> {
    let same = match (expected, result, ty) {
        ([], None, None) => true,
        ([expected], Some(result), Some(ty)) => {
            values::matches(expected, ty, result).map_err(Error::Script)?
        }
        _ => false,
    };
    if same {
        return Ok(());
    }
    Err(Error::Script(format!("it returns {result:?}, where {expected:?} was expected")))
}

fn trap(error: wasmi::Error) -> Error {
    Error::Trap(error.to_string())
}

/// The empty name for what has none.
fn name(id: Option<wast::token::Id<'_>>) -> String {
    id.map_or_else(String::new, |id| id.name().to_owned())
}

fn with_text(mut error: wast::Error, text: &str) -> wast::Error {
    error.set_text(text);
    error
}
