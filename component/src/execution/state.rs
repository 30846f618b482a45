//! What the component model keeps of a run, in the data of its store: instances with their handles, resource types, and
//! what the guest has asked for when it was unwound.

use super::{
    Args,
    call::{Hosted, Lowered, Passing},
};
use crate::{
    Trap,
    abi::FlatValues,
    error::InstantiationError,
    handles::{Handles, ResourceId},
    host::{Drop, Linker},
};
use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::task::Waker;
use hashbrown::HashMap;
use wasmi::Func;

/// The most instances of components, and of core modules, that one run may have: a few nested components that are
/// instantiated twice each would make millions of them.
const INSTANCES_MAX: usize = 4096;

/// A component instance of this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InstanceIndex(u32);

/// What is kept of a component instance.
pub(crate) struct InstanceState {
    parent: Option<InstanceIndex>,
    may_enter: bool,
    /// Whether it may call what it imports: not in `realloc` and `post-return`.
    pub may_leave: bool,
    pub handles: Handles,
    /// What the resource types that its component knows are in this run.
    pub resources: Vec<ResourceId>,
}

/// Who implements a resource type.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ResourceKind {
    /// The host: its resource type of this number.
    Host,
    Guest {
        instance: InstanceIndex,
        destructor: Option<Func>,
    },
}

/// Why the guest was unwound, and what is to be done before it goes on.
pub(crate) enum Request<T> {
    /// It calls another component and has entered it; the [arguments](State::passed) are kept beside this.
    Pass(Passing),
    /// It calls another component, with the [arguments](State::args) that are kept beside this.
    Call(Arc<Lowered<T>>),
    /// It calls the host, which is not ready, or gets a result of the host's for which it has to allocate.
    Host(Box<Hosted<T>>),
    /// It drops the last handle of another component's resource.
    Destroy { caller: InstanceIndex, instance: InstanceIndex, destructor: Func, rep: u32 },
}

/// What the component model keeps of a run: part of the store's data (see [`Host`](crate::Host)).
pub struct State<T> {
    instances: Vec<InstanceState>,
    core_instances: usize,
    resources: Vec<ResourceKind>,
    /// How many borrowed handles each call has that has any.
    pub(crate) borrows: HashMap<u64, u32>,
    tasks: u64,
    linker: Option<Arc<Linker<T>>>,
    pub(crate) request: Option<Request<T>>,
    /// The flat arguments of a call of another component: kept here, so that they are copied once.
    pub(crate) args: FlatValues,
    /// The arguments of a call that is passed on.
    pub(crate) passed: Args,
    /// The host's waker as the last host call had it: the next need not count a reference up and down.
    pub(crate) waker: Option<Waker>,
}

impl<T> Default for State<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> State<T> {
    /// The state of a run that has not begun.
    pub fn new() -> Self {
        Self {
            instances: Vec::new(),
            core_instances: 0,
            resources: Vec::new(),
            borrows: HashMap::new(),
            tasks: 0,
            linker: None,
            request: None,
            args: FlatValues::new(),
            passed: Args::new(),
            waker: None,
        }
    }

    /// Makes the host's resource types known, which come first.
    pub(crate) fn set_linker(&mut self, linker: Arc<Linker<T>>) {
        if self.linker.is_none() {
            self.resources.splice(..0, linker.resources().iter().map(|_| ResourceKind::Host));
            self.linker = Some(linker);
        }
    }

    pub(crate) fn add_instance(
        &mut self,
        parent: Option<InstanceIndex>,
        resources: u32,
    ) -> Result<InstanceIndex, InstantiationError> {
        if self.instances.len() >= INSTANCES_MAX {
            return Err(InstantiationError::Limit("component instances"));
        }
        let index = u32::try_from(self.instances.len())
            .map_err(|_| InstantiationError::Limit("component instances"))?;
        // Until they are bound they are no resource at all.
        let resources =
            usize::try_from(resources).map_err(|_| InstantiationError::Limit("resource types"))?;
        self.instances.push(InstanceState {
            parent,
            may_enter: true,
            may_leave: true,
            handles: Handles::default(),
            resources: alloc::vec![ResourceId::NONE; resources],
        });
        Ok(InstanceIndex(index))
    }

    pub(crate) fn count_core_instance(&mut self) -> Result<(), InstantiationError> {
        self.core_instances = self.core_instances.saturating_add(1);
        if self.core_instances > INSTANCES_MAX {
            Err(InstantiationError::Limit("core instances"))
        } else {
            Ok(())
        }
    }

    pub(crate) fn add_resource(&mut self, kind: ResourceKind) -> Result<ResourceId, InstantiationError> {
        let index =
            u32::try_from(self.resources.len()).map_err(|_| InstantiationError::Limit("resource types"))?;
        self.resources.push(kind);
        Ok(ResourceId(index))
    }

    /// An instance.
    #[inline]
    pub(crate) fn instance(&self, index: InstanceIndex) -> Result<&InstanceState, Trap> {
        self.instances.get(index.0 as usize).ok_or(Trap::CannotEnter)
    }

    /// An instance, to change.
    #[inline]
    pub(crate) fn instance_mut(&mut self, index: InstanceIndex) -> Result<&mut InstanceState, Trap> {
        self.instances.get_mut(index.0 as usize).ok_or(Trap::CannotEnter)
    }

    /// An instance to change, with all resource types.
    #[inline]
    pub(crate) fn instance_and_resources(
        &mut self,
        index: InstanceIndex,
    ) -> Result<(&mut InstanceState, &[ResourceKind]), Trap> {
        let instance = self.instances.get_mut(index.0 as usize).ok_or(Trap::CannotEnter)?;
        Ok((instance, &self.resources))
    }

    pub(crate) fn resource(&self, id: ResourceId) -> Option<ResourceKind> {
        self.resources.get(id.0 as usize).copied()
    }

    /// What is to be called when the host's resource type `id` is dropped.
    pub(crate) fn host_drop(&self, id: ResourceId) -> Option<Arc<Drop<T>>> {
        let linker = self.linker.as_ref()?;
        linker.resources().get(id.0 as usize).map(|resource| resource.drop.clone())
    }

    /// A number for a call that is new.
    pub(crate) fn new_task(&mut self) -> u64 {
        self.tasks = self.tasks.wrapping_add(1);
        self.tasks
    }

    /// Enters `instance` from `caller` (the host if none): it and what it is nested in, as far as the caller is not nested
    /// in that too.
    pub(crate) fn enter(
        &mut self,
        instance: InstanceIndex,
        caller: Option<InstanceIndex>,
    ) -> Result<(), Trap> {
        self.set_may_enter(instance, caller, false)
    }

    /// As [`enter`](Self::enter), for a call of a function. Between an instance and what it is nested in there are none: the
    /// canonical ABI's definition would let them through, but its tests and other hosts do not, so nobody relies on it.
    pub(crate) fn enter_call(
        &mut self,
        instance: InstanceIndex,
        caller: Option<InstanceIndex>,
    ) -> Result<(), Trap> {
        if let Some(caller) = caller
            && (self.is_within(Some(caller), instance)? || self.is_within(Some(instance), caller)?)
        {
            return Err(Trap::CannotEnter);
        }
        self.enter(instance, caller)
    }

    /// Ends what [`enter`](Self::enter) began.
    pub(crate) fn leave(
        &mut self,
        instance: InstanceIndex,
        caller: Option<InstanceIndex>,
    ) -> Result<(), Trap> {
        self.set_may_enter(instance, caller, true)
    }

    fn set_may_enter(
        &mut self,
        instance: InstanceIndex,
        caller: Option<InstanceIndex>,
        may: bool,
    ) -> Result<(), Trap> {
        let mut next = Some(instance);
        while let Some(index) = next {
            if self.is_within(caller, index)? {
                return Ok(());
            }
            let instance = self.instance_mut(index)?;
            if instance.may_enter == may {
                return Err(Trap::CannotEnter);
            }
            instance.may_enter = may;
            next = instance.parent;
        }
        Ok(())
    }

    /// Whether `inner` is `outer` or nested in it.
    fn is_within(&self, inner: Option<InstanceIndex>, outer: InstanceIndex) -> Result<bool, Trap> {
        let mut next = inner;
        while let Some(index) = next {
            if index == outer {
                return Ok(true);
            }
            next = self.instance(index)?.parent;
        }
        Ok(false)
    }
}
