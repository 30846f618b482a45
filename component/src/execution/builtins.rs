//! The core functions that the component model gives to guests: lowered functions, and those of resources. What can be done at
//! once is done here; for the rest the guest is unwound with a [`Request`].

use super::{
    Suspended,
    call::{Lowered, core_result, flat_value},
    state::{InstanceIndex, Request, ResourceKind},
};
use crate::{
    Trap,
    abi::{FlatValues, Lifting, Lowering},
    evaluation::Function,
    handles::{Handle, HandleKind, ResourceId},
    host::{Call, Called, Host, HostFunction},
    types::CoreType,
    value::Resource,
};
use alloc::{sync::Arc, vec::Vec};
use core::task::Context;
use wasmi::{Caller, Func, FuncType, Store, Val, ValType};

/// Unwinds the guest, to go on when what it asks for is done.
#[cold]
fn suspend<T: Host>(caller: &mut Caller<'_, T>, request: Request<T>) -> wasmi::Error {
    caller.data_mut().state_mut().request = Some(request);
    wasmi::Error::host(Suspended)
}

fn val_type(ty: &CoreType) -> ValType {
    match ty {
        CoreType::I32 => ValType::I32,
        CoreType::I64 => ValType::I64,
        CoreType::F32 => ValType::F32,
        CoreType::F64 => ValType::F64,
    }
}

/// `canon lower`.
pub(crate) fn lower<T: Host>(store: &mut Store<T>, lowered: Lowered<T>) -> Func {
    let ty = FuncType::new(
        lowered.ty.lowered().params.as_slice().iter().map(val_type),
        lowered.ty.lowered().results.as_slice().iter().map(val_type),
    );
    let lowered = Arc::new(lowered);
    Func::new(store, ty, move |mut caller: Caller<'_, T>, params: &[Val], results: &mut [Val]| {
        let mut args = FlatValues::default();
        args.extend(params.iter().map(flat_value))?;
        if !caller.data().state().instance(lowered.instance)?.may_leave {
            return Err(Trap::CannotLeave.into());
        }
        match &*lowered.function {
            Function::Lifted(_) => {
                Err(suspend(&mut caller, Request::Call { lowered: lowered.clone(), args }))
            }
            Function::Host(function) => call_host(&mut caller, &lowered, function, args, results),
        }
    })
}

fn call_host<T: Host>(
    caller: &mut Caller<'_, T>,
    lowered: &Arc<Lowered<T>>,
    function: &HostFunction<T>,
    args: FlatValues,
    results: &mut [Val],
) -> Result<(), wasmi::Error> {
    let side = lowered.side();
    let mut lent = Vec::new();
    let called = side.with_memory(&mut *caller, |memory, data| {
        let mut lifting = Lifting::params(&lowered.ty, &args).with_budget(data.value_budget());
        let mut params = lowered.ty.params.iter();
        let waker = data.waker().clone();
        let mut next = |data: &mut T| {
            let (_, ty) = params.next().ok_or(Trap::OutOfBounds)?;
            side.lift(memory, data, &mut lifting, ty, &mut lent)
        };
        let mut call = Call { data, task: Context::from_waker(&waker), repeated: false };
        function.enter(&mut call, &mut next, &lowered.ty)
    })?;
    let result = match called {
        Called::Ready(result) => result,
        Called::Waits(repeat) => {
            return Err(suspend(caller, Request::Wait { lowered: lowered.clone(), args, lent, repeat }));
        }
    };
    side.give_back(caller.data_mut(), &lent)?;
    T::after_call(caller);
    let lowering = Lowering::result(result, &lowered.ty, lowered.options.encoding, &args)?;
    if lowering.next().is_some() {
        return Err(suspend(
            caller,
            Request::Return { lowered: lowered.clone(), args, result: lowering.into_result() },
        ));
    }
    let mut flat = FlatValues::default();
    side.with_memory(caller, |memory, data| side.finish(memory, data, lowering, 0, &mut flat))?;
    if let (Some(slot), Some(value)) = (results.first_mut(), core_result(&lowered.ty, &flat)) {
        *slot = value;
    }
    Ok(())
}

/// `canon resource.new`.
pub(crate) fn resource_new<T: Host>(store: &mut Store<T>, instance: InstanceIndex, ty: ResourceId) -> Func {
    Func::wrap(store, move |mut caller: Caller<'_, T>, rep: u32| -> Result<u32, wasmi::Error> {
        let instance = caller.data_mut().state_mut().instance_mut(instance)?;
        if !instance.may_leave {
            return Err(Trap::CannotLeave.into());
        }
        let handle = Handle { resource: Resource { ty, rep }, kind: HandleKind::Own { lends: 0 } };
        Ok(instance.handles.insert(handle)?)
    })
}

/// `canon resource.rep`.
pub(crate) fn resource_rep<T: Host>(store: &mut Store<T>, instance: InstanceIndex, ty: ResourceId) -> Func {
    Func::wrap(store, move |mut caller: Caller<'_, T>, index: u32| -> Result<u32, wasmi::Error> {
        let instance = caller.data_mut().state_mut().instance_mut(instance)?;
        Ok(instance.handles.get(index, ty)?.resource.rep)
    })
}

/// `canon resource.drop`.
pub(crate) fn resource_drop<T: Host>(store: &mut Store<T>, instance: InstanceIndex, ty: ResourceId) -> Func {
    Func::wrap(store, move |mut caller: Caller<'_, T>, index: u32| -> Result<(), wasmi::Error> {
        let state = caller.data_mut().state_mut();
        let owner = state.instance_mut(instance)?;
        if !owner.may_leave {
            return Err(Trap::CannotLeave.into());
        }
        let handle = owner.handles.remove(index, ty)?;
        if let HandleKind::Borrow { task, .. } = handle.kind {
            if let Some(borrows) = state.borrows.get_mut(&task) {
                *borrows = borrows.saturating_sub(1);
            }
            return Ok(());
        }
        let rep = handle.resource.rep;
        match state.resource(ty) {
            Some(ResourceKind::Guest { instance: implementer, destructor: Some(destructor) }) => {
                let request = Request::Destroy { caller: instance, instance: implementer, destructor, rep };
                Err(suspend(&mut caller, request))
            }
            Some(ResourceKind::Guest { instance: implementer, destructor: None }) => {
                state.enter(implementer, Some(instance))?;
                Ok(state.leave(implementer, Some(instance))?)
            }
            Some(ResourceKind::Host) => match state.host_drop(ty) {
                Some(drop) => drop(caller.data_mut(), rep),
                None => Ok(()),
            },
            None => Ok(()),
        }
    })
}
