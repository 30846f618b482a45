//! Runs components: an explicit stack of activations, so that no Rust call nests in another and a guest can wait or run
//! out of fuel at every depth.
//!
//! The stack alternates between core calls and what has made them: the evaluation of a component, a call of a component function,
//! a host call whose result has to be stored. What a core call returns goes to the frame below it, and that says what is next.
//! A core call that needs something (another component, the host) is unwound, and a new frame is put above it.

pub(crate) mod builtins;
pub(crate) mod call;
pub(crate) mod state;

pub use state::State;

use crate::{
    Trap, Value,
    abi::FlatValues,
    evaluation::{Closure, Evaluated, Evaluation, Function, InstanceValue, Item},
    host::Host,
    link::Linked,
    types::{CoreType, FunctionType, MAX_FLAT},
};
use alloc::{boxed::Box, sync::Arc, vec::Vec};
use call::{Caller, Calling, Destroying, Hosted, core_value};
use core::{fmt, mem, task::Context};
use state::Request;
use wasmi::{
    Func, ResumableCall, ResumableCallHostTrap, ResumableCallOutOfFuel, Store, Val, errors::HostError,
};

/// The host error by which a guest is unwound until what it has asked for is done.
#[derive(Debug)]
pub(crate) struct Suspended;

impl fmt::Display for Suspended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the guest waits for another component or the host")
    }
}

impl HostError for Suspended {}

/// What evaluating some definitions costs: about as much time as so much fuel of instructions.
const EVALUATION_FUEL: u64 = 5_000;

/// How deep calls between components may nest.
const DEPTH_MAX: usize = 10_000;

/// How far an [`Execution`] has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// What was asked for is done.
    Done,
    /// It is out of fuel, and needs at least this much to go on.
    OutOfFuel(u64),
    /// It waits in a host call, whose waker is registered.
    Waiting,
}

/// A component instance, and what runs in it.
pub struct Execution<T: Host> {
    stack: Vec<Frame<T>>,
    /// What was returned to the frame that is now on top.
    input: Input<T>,
    instance: Option<Arc<InstanceValue<T>>>,
}

/// What a frame is advanced with.
pub(crate) enum Input<T> {
    Nothing,
    /// The result of a core call, or for one.
    Core(Option<Val>),
    /// The result of a component function, for the host.
    Value(Option<Value>),
    Instance(Arc<InstanceValue<T>>),
}

enum Frame<T> {
    Evaluation(Box<Evaluation<T>>),
    Calling(Box<Calling<T>>),
    Hosted(Box<Hosted<T>>),
    Destroying(Destroying),
    Core(Core),
}

/// A core call that is not done. The number of results is none or one.
enum Core {
    Suspended(ResumableCallHostTrap, usize),
    OutOfFuel(ResumableCallOutOfFuel, usize),
    /// The function is none of a module's but a lowered one or a built-in, given on by the module: there is nothing to
    /// resume, what it is answered is its result.
    Direct,
}

/// What a frame wants next.
#[expect(clippy::large_enum_variant, reason = "it is taken apart at once, and never kept")]
pub(crate) enum Advance<T> {
    Call {
        function: Func,
        args: [Val; MAX_FLAT],
        len: usize,
    },
    Nested(Box<Evaluation<T>>),
    /// It is done, and this is for the frame below.
    Return(Input<T>),
    Wait,
}

impl<T> Advance<T> {
    pub(crate) fn call(function: Func, values: &[Val]) -> Self {
        let mut args = [const { Val::I32(0) }; MAX_FLAT];
        for (slot, value) in args.iter_mut().zip(values) {
            *slot = value.clone();
        }
        Self::Call { function, args, len: values.len() }
    }

    pub(crate) fn call_flat(function: Func, flat: &FlatValues, types: &[CoreType]) -> Self {
        let mut args = [const { Val::I32(0) }; MAX_FLAT];
        for (slot, (bits, ty)) in args.iter_mut().zip(flat.as_slice().iter().zip(types)) {
            *slot = core_value(*bits, *ty);
        }
        Self::Call { function, args, len: types.len() }
    }
}

impl<T: Host> Execution<T> {
    /// Begins to instantiate a component in `store`; [`run`](Self::run) does it.
    ///
    /// # Errors
    /// A limit of the host.
    pub fn instantiate(store: &mut Store<T>, linked: &Linked<T>) -> Result<Self, wasmi::Error> {
        store.data_mut().state_mut().set_linker(linked.linker().clone());
        let closure = Closure { definition: linked.definition().clone(), outer: None };
        let evaluation = Evaluation::new(store, closure, linked.items().clone(), None)?;
        let stack = alloc::vec![Frame::Evaluation(Box::new(evaluation))];
        Ok(Self { stack, input: Input::Nothing, instance: None })
    }

    /// The function that the instance exports under `path`: the names of instances, then the function's. `None` if there is
    /// none, or it is not instantiated yet.
    pub fn function(&self, path: &[&str]) -> Option<ExportedFunction<T>> {
        let (last, instances) = path.split_last()?;
        let mut exports = &self.instance.as_ref()?.exports;
        for name in instances {
            match exports.get(*name)? {
                Item::Instance(instance) => exports = &instance.exports,
                _ => return None,
            }
        }
        match exports.get(*last)? {
            Item::Function(function) => Some(ExportedFunction(function.clone())),
            _ => None,
        }
    }

    /// Begins a call; [`run`](Self::run) does it, and [`take_result`](Self::take_result) has what it returns.
    ///
    /// # Errors
    /// [`Trap::CannotEnter`] while another call runs or after a trap; what lowering the arguments refuses.
    pub fn call(
        &mut self,
        store: &mut Store<T>,
        function: &ExportedFunction<T>,
        args: Vec<Value>,
    ) -> Result<(), wasmi::Error> {
        if !self.stack.is_empty() {
            return Err(Trap::CannotEnter.into());
        }
        let calling = Calling::new(store, function.0.clone(), Caller::Host, args)?;
        self.input = Input::Nothing;
        self.stack.push(Frame::Calling(Box::new(calling)));
        Ok(())
    }

    /// What the last call has returned.
    pub fn take_result(&mut self) -> Option<Value> {
        match mem::replace(&mut self.input, Input::Nothing) {
            Input::Value(value) => value,
            _ => None,
        }
    }

    /// Runs until it is done, waits, or the store has no fuel left.
    ///
    /// # Errors
    /// What has ended the guest: a trap, a host function's error. It cannot go on after that.
    pub fn run(&mut self, store: &mut Store<T>, task: &mut Context<'_>) -> Result<Progress, wasmi::Error> {
        let ran = self.run_frames(store, task);
        if ran.is_err() {
            // Whatever was going on will not go on; the instances stay entered, so nobody can call them any more.
            self.stack.clear();
            self.input = Input::Nothing;
        }
        ran
    }

    fn run_frames(&mut self, store: &mut Store<T>, task: &mut Context<'_>) -> Result<Progress, wasmi::Error> {
        while let Some(frame) = self.stack.pop() {
            let input = mem::replace(&mut self.input, Input::Nothing);
            if self.stack.len() >= DEPTH_MAX {
                return Err(Trap::Limit("nested calls between components").into());
            }
            let advance = match frame {
                Frame::Core(core) => {
                    if let Some(needed) = self.resume(store, core, input)? {
                        return Ok(Progress::OutOfFuel(needed));
                    }
                    continue;
                }
                Frame::Evaluation(mut evaluation) => {
                    let nested = match input {
                        Input::Instance(instance) => Some(instance),
                        _ => None,
                    };
                    let evaluated = evaluation.advance(store, nested)?;
                    if !matches!(evaluated, Evaluated::Done(_)) {
                        self.stack.push(Frame::Evaluation(evaluation));
                    }
                    match evaluated {
                        Evaluated::Fuel => match store.get_fuel() {
                            Ok(fuel) if fuel < EVALUATION_FUEL => {
                                return Ok(Progress::OutOfFuel(EVALUATION_FUEL));
                            }
                            Ok(fuel) => {
                                store.set_fuel(fuel.saturating_sub(EVALUATION_FUEL))?;
                                continue;
                            }
                            // The store is not metered.
                            Err(_) => continue,
                        },
                        Evaluated::Start(function) => Advance::call(function, &[]),
                        Evaluated::Nested(nested) => Advance::Nested(nested),
                        Evaluated::Done(instance) => Advance::Return(Input::Instance(instance)),
                    }
                }
                Frame::Calling(mut calling) => {
                    let advance = calling.advance(store, core(input))?;
                    if !matches!(advance, Advance::Return(_)) {
                        self.stack.push(Frame::Calling(calling));
                    }
                    advance
                }
                Frame::Hosted(mut hosted) => {
                    let advance = hosted.advance(store, task, core(input))?;
                    if !matches!(advance, Advance::Return(_)) {
                        self.stack.push(Frame::Hosted(hosted));
                    }
                    advance
                }
                Frame::Destroying(mut destroying) => {
                    let advance = destroying.advance(store)?;
                    if !matches!(advance, Advance::Return(_)) {
                        self.stack.push(Frame::Destroying(destroying));
                    }
                    advance
                }
            };
            match advance {
                Advance::Wait => return Ok(Progress::Waiting),
                Advance::Nested(evaluation) => self.stack.push(Frame::Evaluation(evaluation)),
                Advance::Return(output) => self.input = output,
                Advance::Call { function, args, len } => {
                    let args = args.get(..len).unwrap_or(&args);
                    let count = function.ty(&*store).results().len();
                    let mut results = [Val::I32(0)];
                    let results = results.get_mut(..count).ok_or(Trap::OutOfBounds)?;
                    let called = match function.call_resumable(&mut *store, args, results) {
                        Err(error) if error.downcast_ref::<Suspended>().is_some() => {
                            self.stack.push(Frame::Core(Core::Direct));
                            let frame = self.requested(store)?;
                            self.stack.push(frame);
                            continue;
                        }
                        called => called?,
                    };
                    let result = results.first().cloned();
                    if let Some(needed) = self.called(store, called, count, result)? {
                        return Ok(Progress::OutOfFuel(needed));
                    }
                }
            }
        }
        if let Input::Instance(instance) = &self.input {
            self.instance = Some(instance.clone());
            self.input = Input::Nothing;
        }
        Ok(Progress::Done)
    }

    /// Goes on with a core call. Gives the fuel that it needs if that has run out.
    fn resume(
        &mut self,
        store: &mut Store<T>,
        call: Core,
        input: Input<T>,
    ) -> Result<Option<u64>, wasmi::Error> {
        let mut results = [Val::I32(0)];
        let (called, count) = match call {
            Core::Suspended(call, count) => {
                let slots = results.get_mut(..count).ok_or(Trap::OutOfBounds)?;
                (call.resume(&mut *store, core(input).as_slice(), slots)?, count)
            }
            Core::OutOfFuel(call, count) => {
                let slots = results.get_mut(..count).ok_or(Trap::OutOfBounds)?;
                (call.resume(&mut *store, slots)?, count)
            }
            Core::Direct => {
                self.input = input;
                return Ok(None);
            }
        };
        let result = results.into_iter().take(count).next();
        self.called(store, called, count, result)
    }

    /// Looks at what has become of a core call.
    fn called(
        &mut self,
        store: &mut Store<T>,
        called: ResumableCall,
        count: usize,
        result: Option<Val>,
    ) -> Result<Option<u64>, wasmi::Error> {
        match called {
            ResumableCall::Finished => {
                self.input = Input::Core(result);
                Ok(None)
            }
            ResumableCall::OutOfFuel(call) => {
                let needed = call.required_fuel();
                self.stack.push(Frame::Core(Core::OutOfFuel(call, count)));
                Ok(Some(needed))
            }
            ResumableCall::HostTrap(call) => {
                if call.host_error().downcast_ref::<Suspended>().is_none() {
                    return Err(call.into_host_error());
                }
                self.stack.push(Frame::Core(Core::Suspended(call, count)));
                let frame = self.requested(store)?;
                self.stack.push(frame);
                Ok(None)
            }
        }
    }

    /// The frame that does what the guest has asked for.
    fn requested(&self, store: &mut Store<T>) -> Result<Frame<T>, wasmi::Error> {
        let request = store.data_mut().state_mut().request.take().ok_or(Trap::CannotLeave)?;
        Ok(match request {
            Request::Call { lowered, args } => {
                Frame::Calling(Box::new(Calling::from_guest(store, lowered, args)?))
            }
            Request::Wait { lowered, args, lent, repeat } => {
                Frame::Hosted(Box::new(Hosted::waiting(lowered, args, lent, repeat)))
            }
            Request::Return { lowered, args, result } => {
                Frame::Hosted(Box::new(Hosted::returning(lowered, args, result)?))
            }
            Request::Destroy { caller, instance, destructor, rep } => {
                let state = store.data_mut().state_mut();
                Frame::Destroying(Destroying::new(state, caller, instance, destructor, rep)?)
            }
        })
    }
}

/// The core value of an input.
fn core<T>(input: Input<T>) -> Option<Val> {
    match input {
        Input::Core(value) => value,
        _ => None,
    }
}

/// A function that an instance exports.
pub struct ExportedFunction<T>(Arc<Function<T>>);

impl<T> ExportedFunction<T> {
    /// Its type; `None` for a function of the host's that the component only passes on.
    pub fn ty(&self) -> Option<&FunctionType> {
        match &*self.0 {
            Function::Lifted(lifted) => Some(&lifted.ty),
            Function::Host(_) => None,
        }
    }
}
