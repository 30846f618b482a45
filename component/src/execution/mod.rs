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
    evaluation::{Closure, Evaluated, Evaluation, Function, InstanceValue, Item},
    host::Host,
    link::Linked,
    types::FunctionType,
};
use alloc::{boxed::Box, sync::Arc, vec::Vec};
use call::{Caller, Calling, Destroying, Hosted, Passing};
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
    args: Args,
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
    Passing(Passing),
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

/// The arguments of the core call that a frame wants: kept from call to call, so that they are copied once.
pub(crate) type Args = Vec<Val>;

/// What a frame wants next.
pub(crate) enum Advance<T> {
    Call {
        /// With the [`Args`] that are kept beside this.
        function: Func,
        /// How many results it has: none or one.
        results: usize,
    },
    Nested(Box<Evaluation<T>>),
    /// It is done, and this is for the frame below.
    Return(Input<T>),
    Wait,
    OutOfFuel(u64),
    /// Nothing but its next turn.
    Again,
}

impl<T> Advance<T> {
    /// A core call with `given`, which becomes `args`.
    #[inline]
    pub(crate) fn call(
        args: &mut Args,
        function: Func,
        given: impl IntoIterator<Item = Val>,
        results: usize,
    ) -> Self {
        args.clear();
        args.extend(given);
        Self::Call { function, results }
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
        Ok(Self { stack, input: Input::Nothing, args: Args::new(), instance: None })
    }

    /// The function that the instance exports under `path`: the names of instances, then the function's. `None` if there is
    /// none, or it is not instantiated yet.
    pub fn function(&self, path: &[&str]) -> Option<ExportedFunction<T>> {
        match self.instance.as_ref()?.export(path)? {
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
        while !self.stack.is_empty() {
            let mut advance = self.advance(store, task)?;
            while let Advance::Call { function, results } = advance {
                advance = self.call_core(store, function, results)?;
            }
            match advance {
                Advance::Call { .. } | Advance::Again => {}
                Advance::Wait => return Ok(Progress::Waiting),
                Advance::OutOfFuel(needed) => return Ok(Progress::OutOfFuel(needed)),
                Advance::Nested(evaluation) => self.push(Frame::Evaluation(evaluation))?,
                Advance::Return(output) => {
                    // In place: no frame is moved for it.
                    self.stack.truncate(self.stack.len().saturating_sub(1));
                    self.input = output;
                }
            }
        }
        if let Input::Instance(instance) = &self.input {
            self.instance = Some(instance.clone());
            self.input = Input::Nothing;
        }
        Ok(Progress::Done)
    }

    #[inline(always)]
    fn push(&mut self, frame: Frame<T>) -> Result<(), Trap> {
        if self.stack.len() >= DEPTH_MAX {
            return Err(Trap::Limit("nested calls between components"));
        }
        self.stack.push(frame);
        Ok(())
    }

    /// Advances the frame on top.
    fn advance(&mut self, store: &mut Store<T>, task: &mut Context<'_>) -> Result<Advance<T>, wasmi::Error> {
        let input = mem::replace(&mut self.input, Input::Nothing);
        let args = &mut self.args;
        Ok(match self.stack.last_mut() {
            Some(Frame::Core(_)) => self.resume(store, input)?,
            Some(Frame::Passing(passing)) => passing.finish(store.data_mut().state_mut(), core(input))?,
            Some(Frame::Calling(calling)) => calling.advance(store, core(input), args)?,
            Some(Frame::Hosted(hosted)) => hosted.advance(store, task, core(input), args)?,
            Some(Frame::Destroying(destroying)) => destroying.advance(store, args)?,
            Some(Frame::Evaluation(evaluation)) => {
                let nested = match input {
                    Input::Instance(instance) => Some(instance),
                    _ => None,
                };
                match evaluation.advance(store, nested)? {
                    Evaluated::Fuel => match store.get_fuel() {
                        Ok(fuel) if fuel < EVALUATION_FUEL => Advance::OutOfFuel(EVALUATION_FUEL),
                        Ok(fuel) => {
                            store.set_fuel(fuel.saturating_sub(EVALUATION_FUEL))?;
                            Advance::Again
                        }
                        // The store is not metered.
                        Err(_) => Advance::Again,
                    },
                    Evaluated::Start(function) => Advance::call(args, function, [], 0),
                    Evaluated::Nested(nested) => Advance::Nested(nested),
                    Evaluated::Done(instance) => Advance::Return(Input::Instance(instance)),
                }
            }
            None => Advance::Again,
        })
    }

    /// Begins a core call.
    #[inline]
    fn call_core(
        &mut self,
        store: &mut Store<T>,
        function: Func,
        count: usize,
    ) -> Result<Advance<T>, wasmi::Error> {
        let mut results = [Val::I32(0)];
        let slots = results.get_mut(..count).ok_or(Trap::OutOfBounds)?;
        match function.call_resumable(&mut *store, &self.args, slots) {
            Err(error) if error.downcast_ref::<Suspended>().is_some() => {
                self.push(Frame::Core(Core::Direct))?;
                self.requested(store)
            }
            called => self.called(store, called?, count, results),
        }
    }

    /// Goes on with the core call on top.
    #[inline]
    fn resume(&mut self, store: &mut Store<T>, input: Input<T>) -> Result<Advance<T>, wasmi::Error> {
        let mut results = [Val::I32(0)];
        let (called, count) = match self.stack.pop() {
            Some(Frame::Core(Core::Suspended(call, count))) => {
                let slots = results.get_mut(..count).ok_or(Trap::OutOfBounds)?;
                (call.resume(&mut *store, core(input).as_slice(), slots)?, count)
            }
            Some(Frame::Core(Core::OutOfFuel(call, count))) => {
                let slots = results.get_mut(..count).ok_or(Trap::OutOfBounds)?;
                (call.resume(&mut *store, slots)?, count)
            }
            _ => {
                self.input = input;
                return Ok(Advance::Again);
            }
        };
        self.called(store, called, count, results)
    }

    /// Looks at what has become of a core call.
    #[inline]
    fn called(
        &mut self,
        store: &mut Store<T>,
        called: ResumableCall,
        count: usize,
        results: [Val; 1],
    ) -> Result<Advance<T>, wasmi::Error> {
        match called {
            ResumableCall::Finished => {
                self.input = Input::Core(results.into_iter().take(count).next());
                Ok(Advance::Again)
            }
            ResumableCall::OutOfFuel(call) => {
                let needed = call.required_fuel();
                self.push(Frame::Core(Core::OutOfFuel(call, count)))?;
                Ok(Advance::OutOfFuel(needed))
            }
            ResumableCall::HostTrap(call) => {
                if call.host_error().downcast_ref::<Suspended>().is_none() {
                    return Err(call.into_host_error());
                }
                self.push(Frame::Core(Core::Suspended(call, count)))?;
                self.requested(store)
            }
        }
    }

    /// Begins to do what the guest has asked for.
    #[inline]
    fn requested(&mut self, store: &mut Store<T>) -> Result<Advance<T>, wasmi::Error> {
        let request = store.data_mut().state_mut().request.take().ok_or(Trap::CannotLeave)?;
        let frame = match request {
            Request::Pass(passing) => {
                mem::swap(&mut self.args, &mut store.data_mut().state_mut().passed);
                self.push(Frame::Passing(passing))?;
                return Ok(passing.call());
            }
            Request::Call(lowered) => {
                let args = store.data().state().args.clone();
                Frame::Calling(Box::new(Calling::from_guest(store, lowered, args)?))
            }
            Request::Host(hosted) => Frame::Hosted(hosted),
            Request::Destroy { caller, instance, destructor, rep } => {
                let state = store.data_mut().state_mut();
                Frame::Destroying(Destroying::new(state, caller, instance, destructor, rep)?)
            }
        };
        self.push(frame)?;
        Ok(Advance::Again)
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
