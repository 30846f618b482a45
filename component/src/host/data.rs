//! The data of a store, ready-made for hosts that need no more than something of their own in it.

use super::Host;
use crate::{abi::LIFT_BUDGET, execution::State};
use core::{
    ops::{Deref, DerefMut},
    task::Waker,
};

/// The data of a `wasmi::Store` that components run in: what the component model keeps of the run, and `D`, which host functions
/// reach through it. A host with a data type of its own implements [`Host`] for that instead.
///
/// ```
/// use component::{Call, Component, Execution, HostData, Linked, Linker, PlainModules, Progress};
/// use core::task::{Context, Poll, Waker};
/// use std::sync::Arc;
///
/// /// What host functions work with.
/// struct Counter {
///     ticks: u32,
/// }
///
/// let wasm = wat::parse_str(
///     r#"(component
///         (import "example:counter/ticks@1.0.0" (instance $ticks (export "tick" (func))))
///         (core func $tick (canon lower (func $ticks "tick")))
///         (core module $m (import "" "tick" (func $tick)) (func (export "run") (call $tick) (call $tick)))
///         (core instance $m (instantiate $m (with "" (instance (export "tick" (func $tick))))))
///         (func (export "run") (canon lift (core func $m "run"))))"#,
/// )?;
/// let mut linker = Linker::new();
/// linker.interface("example:counter/ticks@1.0.0").func(
///     "tick",
///     |call: &mut Call<'_, HostData<Counter>>, (): &()| {
///         call.data.ticks += 1;
///         Poll::Ready(Ok(()))
///     },
/// );
///
/// let engine = wasmi::Engine::default();
/// let component = Component::new(&PlainModules::new(&engine), &wasm)?;
/// let linked = Linked::new(&Arc::new(linker), &component)?;
///
/// let mut store = wasmi::Store::new(&engine, HostData::new(Counter { ticks: 0 }));
/// let mut task = Context::from_waker(Waker::noop());
/// let mut execution = Execution::instantiate(&mut store, &linked)?;
/// assert_eq!(execution.run(&mut store, &mut task)?, Progress::Done);
/// let run = execution.function(&["run"]).ok_or("the component exports no function \"run\"")?;
/// execution.call(&mut store, &run, Vec::new())?;
/// assert_eq!(execution.run(&mut store, &mut task)?, Progress::Done);
/// assert_eq!(store.data().ticks, 2);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub struct HostData<D> {
    state: State<Self>,
    waker: Waker,
    value_budget: usize,
    own: D,
}

impl<D> HostData<D> {
    /// Data for a run that has not begun. Host functions that wait wake nobody until [`set_waker`](Self::set_waker) says whom.
    pub fn new(own: D) -> Self {
        Self { state: State::new(), waker: Waker::noop().clone(), value_budget: LIFT_BUDGET, own }
    }

    /// Whom host functions that wait are to wake from now on.
    pub fn set_waker(&mut self, waker: &Waker) {
        self.waker.clone_from(waker);
    }

    /// Allows the values of one call so many bytes of the host's memory, in place of [`LIFT_BUDGET`].
    #[must_use]
    pub fn with_value_budget(self, value_budget: usize) -> Self {
        Self { value_budget, ..self }
    }

    /// The host's own, when the run is over.
    pub fn into_inner(self) -> D {
        self.own
    }
}

impl<D: Default> Default for HostData<D> {
    fn default() -> Self {
        Self::new(D::default())
    }
}

impl<D> Deref for HostData<D> {
    type Target = D;

    fn deref(&self) -> &D {
        &self.own
    }
}

impl<D> DerefMut for HostData<D> {
    fn deref_mut(&mut self) -> &mut D {
        &mut self.own
    }
}

impl<D: Send + 'static> Host for HostData<D> {
    #[inline]
    fn state(&self) -> &State<Self> {
        &self.state
    }

    #[inline]
    fn state_mut(&mut self) -> &mut State<Self> {
        &mut self.state
    }

    #[inline]
    fn waker(&self) -> &Waker {
        &self.waker
    }

    #[inline]
    fn value_budget(&self) -> usize {
        self.value_budget
    }
}
