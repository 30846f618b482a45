//! What a host offers to components: interfaces of typed functions and resource types.
//!
//! A host function is written in poll style, `fn(&mut Call<'_, T>, &Params) -> Poll<Result<R, wasmi::Error>>`: `Pending` makes the
//! guest wait until the waker fires, then the same call is made again with the same arguments. So it does nothing that
//! cannot be repeated before it returns `Ready`.

mod data;
mod versions;

pub use data::HostData;

use crate::{
    Trap, Value,
    abi::LIFT_BUDGET,
    execution::State,
    handles::ResourceId,
    typed::{LiftParams, LowerResult, Mismatch, TypeCheck},
    types::FunctionType,
};
use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::{
    any::TypeId,
    task::{Context, Poll, Waker},
};
use hashbrown::HashMap;
use wasmi::Caller;

/// The data of a `wasmi::Store` that components run in.
pub trait Host: Sized + Send + 'static {
    /// What the component model keeps of the run.
    fn state(&self) -> &State<Self>;

    /// What the component model keeps of the run, to change.
    fn state_mut(&mut self) -> &mut State<Self>;

    /// Whom a host function that waits is to wake.
    fn waker(&self) -> &Waker;

    /// How many bytes of the host's memory the values of one call may take, at most. A call with more ends the guest.
    fn value_budget(&self) -> usize {
        LIFT_BUDGET
    }

    /// Called after each host call that did not wait, so that the guest can be made to yield.
    fn after_call(caller: &mut Caller<'_, Self>) {
        let _ = caller;
    }
}

/// What a host function works with.
pub struct Call<'a, T> {
    /// The host's data for this guest.
    pub data: &'a mut T,
    /// Whom to wake when the function returns `Pending`.
    pub task: Context<'a>,
    /// Whether this is the same call again, after a `Pending`.
    pub repeated: bool,
}

/// A host call that waits: it is made again until it is ready.
pub(crate) type Repeat<T> =
    Box<dyn FnMut(&mut Call<'_, T>) -> Poll<Result<Option<Value>, wasmi::Error>> + Send>;

/// What comes of a host call at first.
pub(crate) enum Called<T> {
    Ready(Option<Value>),
    Waits(Repeat<T>),
}

/// Gives one argument after the other.
pub(crate) type Next<'a, T> = dyn FnMut(&mut T) -> Result<Value, Trap> + 'a;

type Check = dyn Fn(&FunctionType, &TypeCheck<'_>) -> Result<(), Mismatch> + Send + Sync;
type Enter<T> = dyn Fn(&mut Call<'_, T>, &mut Next<'_, T>, &FunctionType) -> Result<Called<T>, wasmi::Error>
    + Send
    + Sync;

/// A host function, its types erased.
pub(crate) struct HostFunction<T> {
    check: Box<Check>,
    enter: Box<Enter<T>>,
}

impl<T> HostFunction<T> {
    /// Whether a component may call it as a function of type `ty`.
    pub(crate) fn check(&self, ty: &FunctionType, types: &TypeCheck<'_>) -> Result<(), Mismatch> {
        (self.check)(ty, types)
    }

    /// Calls it; `next` gives one argument after the other.
    pub(crate) fn enter(
        &self,
        call: &mut Call<'_, T>,
        next: &mut Next<'_, T>,
        ty: &FunctionType,
    ) -> Result<Called<T>, wasmi::Error> {
        (self.enter)(call, next, ty)
    }
}

/// What happens when a guest drops its last handle to a host's resource.
pub(crate) type Drop<T> = dyn Fn(&mut T, u32) -> Result<(), wasmi::Error> + Send + Sync;

/// A resource type that the host implements.
pub(crate) struct HostResource<T> {
    pub(crate) drop: Arc<Drop<T>>,
}

/// What a host offers under one name: an instance's functions and resource types.
pub struct Interface<T> {
    functions: HashMap<Box<str>, Arc<HostFunction<T>>>,
    resources: HashMap<Box<str>, ResourceId>,
}

/// Host functions and resource types, by the interface that a component imports them from.
pub struct Linker<T> {
    interfaces: HashMap<Box<str>, Interface<T>>,
    resources: Vec<HostResource<T>>,
    markers: HashMap<TypeId, ResourceId>,
}

impl<T> Default for Linker<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Linker<T> {
    /// A host that offers nothing yet.
    pub fn new() -> Self {
        Self { interfaces: HashMap::new(), resources: Vec::new(), markers: HashMap::new() }
    }

    /// Defines (more of) the interface `name`, as `wasi:clocks/monotonic-clock@0.2.12`. The empty name is for what a component
    /// imports by itself, outside of any interface.
    pub fn interface(&mut self, name: &str) -> InterfaceBuilder<'_, T> {
        let interface = self
            .interfaces
            .entry(name.into())
            .or_insert_with(|| Interface { functions: HashMap::new(), resources: HashMap::new() });
        InterfaceBuilder { interface, resources: &mut self.resources, markers: &mut self.markers }
    }

    /// The interface for the import `name`: the very same version if it is there, else the newest that is compatible with
    /// it by semantic versioning (the same major version, or the same minor one below 1.0). An older host serves a newer guest too,
    /// as long as all that the guest uses is there.
    pub fn find(&self, name: &str) -> Option<&Interface<T>> {
        if let Some(exact) = self.interfaces.get(name) {
            return Some(exact);
        }
        let names = self.interfaces.keys().map(|name| &**name);
        versions::newest_compatible(name, names).and_then(|found| self.interfaces.get(found))
    }

    pub(crate) fn resources(&self) -> &[HostResource<T>] {
        &self.resources
    }

    pub(crate) fn markers(&self) -> &HashMap<TypeId, ResourceId> {
        &self.markers
    }
}

impl<T> Interface<T> {
    pub(crate) fn function(&self, name: &str) -> Option<&Arc<HostFunction<T>>> {
        self.functions.get(name)
    }

    pub(crate) fn resource(&self, name: &str) -> Option<ResourceId> {
        self.resources.get(name).copied()
    }
}

/// Calls a host function. Not inlined, or every function would be there twice: for the first call and for those after a wait.
#[inline(never)]
fn attempt<T, P, R: LowerResult>(
    function: &impl Fn(&mut Call<'_, T>, &P) -> Poll<Result<R, wasmi::Error>>,
    call: &mut Call<'_, T>,
    params: &P,
) -> Poll<Result<Option<Value>, wasmi::Error>> {
    function(call, params).map_ok(LowerResult::lower)
}

/// Defines one interface of a [`Linker`].
pub struct InterfaceBuilder<'a, T> {
    interface: &'a mut Interface<T>,
    resources: &'a mut Vec<HostResource<T>>,
    markers: &'a mut HashMap<TypeId, ResourceId>,
}

impl<T: 'static> InterfaceBuilder<'_, T> {
    /// Offers a function. Methods have the names of the component model: `[method]input-stream.read`, `[static]…`,
    /// `[constructor]…`. `P` is the tuple of the parameters' types; a function without result returns `()`.
    ///
    /// An error ends the guest; what the WIT calls an error is a `Result` as the function's result.
    pub fn func<P, R>(
        &mut self,
        name: &str,
        function: impl Fn(&mut Call<'_, T>, &P) -> Poll<Result<R, wasmi::Error>> + Clone + Send + Sync + 'static,
    ) -> &mut Self
    where
        P: LiftParams,
        R: LowerResult,
    {
        let check = |ty: &FunctionType, types: &TypeCheck<'_>| {
            P::check(&ty.params, types)?;
            R::check(ty.result.as_ref(), types)
        };
        let enter = move |call: &mut Call<'_, T>, next: &mut Next<'_, T>, _: &FunctionType| {
            let params = P::lift(&mut || next(call.data))?;
            match attempt(&function, call, &params) {
                Poll::Ready(result) => Ok(Called::Ready(result?)),
                Poll::Pending => {
                    let function = function.clone();
                    Ok(Called::Waits(Box::new(move |call| attempt(&function, call, &params))))
                }
            }
        };
        self.insert(name, HostFunction { check: Box::new(check), enter: Box::new(enter) })
    }

    /// Offers a function of any type: it gets values and returns one of the type that the component expects.
    pub fn func_dynamic(
        &mut self,
        name: &str,
        function: impl Fn(&mut Call<'_, T>, &FunctionType, &[Value]) -> Poll<Result<Option<Value>, wasmi::Error>>
        + Clone
        + Send
        + Sync
        + 'static,
    ) -> &mut Self {
        let enter = move |call: &mut Call<'_, T>, next: &mut Next<'_, T>, ty: &FunctionType| {
            let params = ty.params.iter().map(|_| next(call.data)).collect::<Result<Vec<_>, _>>()?;
            match function(call, ty, &params) {
                Poll::Ready(result) => Ok(Called::Ready(result?)),
                Poll::Pending => {
                    let (function, ty) = (function.clone(), ty.clone());
                    Ok(Called::Waits(Box::new(move |call| function(call, &ty, &params))))
                }
            }
        };
        self.insert(name, HostFunction { check: Box::new(|_, _| Ok(())), enter: Box::new(enter) })
    }

    fn insert(&mut self, name: &str, function: HostFunction<T>) -> &mut Self {
        self.interface.functions.insert(name.into(), Arc::new(function));
        self
    }

    /// Offers a resource type: `R` stands for it in [`Own`](crate::Own) and [`Borrow`](crate::Borrow), and is the same type in every
    /// interface that offers it. `drop` is called with the representation when a guest drops its handle; what that
    /// returns as an error ends the guest.
    pub fn resource<R: 'static>(
        &mut self,
        name: &str,
        drop: impl Fn(&mut T, u32) -> Result<(), wasmi::Error> + Send + Sync + 'static,
    ) -> &mut Self {
        let id = *self.markers.entry(TypeId::of::<R>()).or_insert_with(|| {
            // No host has 2^32 resource types.
            let id = ResourceId(u32::try_from(self.resources.len()).unwrap_or(u32::MAX));
            self.resources.push(HostResource { drop: Arc::new(drop) });
            id
        });
        self.interface.resources.insert(name.into(), id);
        self
    }
}
