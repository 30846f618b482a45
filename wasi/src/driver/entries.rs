//! The work of a module: its entry functions, called one after the other.

use super::{Ran, Work};
use crate::call::{Parked, StoreData, poll_parked};
use alloc::collections::VecDeque;
use core::{
    mem,
    task::{Context, Poll},
};
use wasmi::{Func, ResumableCall, ResumableCallHostTrap, ResumableCallOutOfFuel, Store};

/// The functions of a guest that are still to be called, and the one that is running.
pub(crate) struct Entries {
    /// In order. They take and return nothing.
    functions: VecDeque<Func>,
    step: Step,
}

/// Where the guest is.
enum Step {
    /// Between two functions.
    Next,
    /// Out of fuel.
    Sliced(ResumableCallOutOfFuel),
    /// In a host call that waits.
    Parked(ResumableCallHostTrap),
}

impl Entries {
    /// Will call `functions`, one after the other.
    pub(crate) fn new(functions: VecDeque<Func>) -> Self {
        Self { functions, step: Step::Next }
    }
}

impl<S: Send + 'static> Work<S> for Entries {
    fn run(&mut self, store: &mut Store<StoreData<S>>, task: &mut Context<'_>) -> Result<Ran, wasmi::Error> {
        loop {
            let called = match mem::replace(&mut self.step, Step::Next) {
                Step::Next => match self.functions.pop_front() {
                    Some(function) => function.call_resumable(&mut *store, &[], &mut [])?,
                    None => return Ok(Ran::Ended(0)),
                },
                Step::Sliced(call) => call.resume(&mut *store, &mut [])?,
                // The call is made again, and until it is ready nothing else happens.
                Step::Parked(call) => match poll_parked(&mut *store, task) {
                    Poll::Ready(results) => call.resume(&mut *store, results?.as_slice(), &mut [])?,
                    Poll::Pending => {
                        self.step = Step::Parked(call);
                        return Ok(Ran::Waits);
                    }
                },
            };
            match called {
                ResumableCall::Finished => {}
                ResumableCall::OutOfFuel(call) => {
                    let needed = call.required_fuel();
                    self.step = Step::Sliced(call);
                    return Ok(Ran::OutOfFuel(needed));
                }
                ResumableCall::HostTrap(call) if call.host_error().downcast_ref::<Parked>().is_some() => {
                    self.step = Step::Parked(call);
                    return Ok(Ran::Waits);
                }
                ResumableCall::HostTrap(call) => return Err(call.into_host_error()),
            }
        }
    }
}
