//! The core functions that the component model gives to guests: lowered functions, and those of resources. What can be done at
//! once is done here; for the rest the guest is unwound with a [`Request`].

use super::{
    Suspended,
    call::{Hosted, Lowered, flat_value},
    state::{InstanceIndex, Request, ResourceKind},
};
use crate::{
    Trap,
    abi::{Flat, FlatValues, Lifting, Lowering},
    evaluation::Function,
    handles::{Handle, HandleKind, ResourceId},
    host::{Call, Called, Host, HostFunction, Repeat},
    types::CoreType,
    value::Resource,
};
use alloc::{boxed::Box, sync::Arc, vec::Vec};
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
    let lowered = Arc::new(lowered);
    if let Some(function) = lower_typed(store, &lowered) {
        return function;
    }
    let signature = lowered.ty.lowered();
    let ty = FuncType::new(
        signature.params.as_slice().iter().map(val_type),
        signature.results.as_slice().iter().map(val_type),
    );
    Func::new(store, ty, move |caller: Caller<'_, T>, params: &[Val], results: &mut [Val]| {
        let mut args = FlatValues::new();
        args.extend(params.iter().map(flat_value))?;
        let result = enter(caller, &lowered, &args)?;
        if let (Some(slot), Some(value)) = (results.first_mut(), lowered.core_result(&[result])) {
            *slot = value;
        }
        Ok(())
    })
}

/// The signatures that most lowered functions have, as functions that wasmi knows the types of: it then calls them without a
/// `Val` for each argument, at half the price.
macro_rules! typed {
    ($([$($arg:ident: $rust:ident = $core:ident),*])*) => {
        fn lower_typed<T: Host>(store: &mut Store<T>, lowered: &Arc<Lowered<T>>) -> Option<Func> {
            use CoreType::{I32, I64};
            let signature = lowered.ty.lowered();
            let lowered = lowered.clone();
            match (signature.params.as_slice(), signature.results.as_slice()) {
                $(
                    ([$($core),*], []) => Some(Func::wrap(
                        store,
                        move |caller: Caller<'_, T>, $($arg: $rust),*| -> Result<(), wasmi::Error> {
                            enter(caller, &lowered, &[$(u64::from($arg)),*]).map(|_| ())
                        },
                    )),
                    ([$($core),*], [I32]) => Some(Func::wrap(
                        store,
                        move |caller: Caller<'_, T>, $($arg: $rust),*| -> Result<u32, wasmi::Error> {
                            enter(caller, &lowered, &[$(u64::from($arg)),*]).map(low)
                        },
                    )),
                    ([$($core),*], [I64]) => Some(Func::wrap(
                        store,
                        move |caller: Caller<'_, T>, $($arg: $rust),*| -> Result<u64, wasmi::Error> {
                            enter(caller, &lowered, &[$(u64::from($arg)),*])
                        },
                    )),
                )*
                _ => None,
            }
        }
    };
}

typed! {
    []
    [a: u32 = I32]
    [a: u64 = I64]
    [a: u32 = I32, b: u32 = I32]
    [a: u32 = I32, b: u64 = I64]
    [a: u64 = I64, b: u32 = I32]
    [a: u32 = I32, b: u32 = I32, c: u32 = I32]
    [a: u32 = I32, b: u64 = I64, c: u32 = I32]
    [a: u32 = I32, b: u32 = I32, c: u32 = I32, d: u32 = I32]
    [a: u32 = I32, b: u32 = I32, c: u64 = I64, d: u32 = I32]
    [a: u32 = I32, b: u32 = I32, c: u32 = I32, d: u32 = I32, e: u32 = I32]
    [a: u32 = I32, b: u32 = I32, c: u32 = I32, d: u32 = I32, e: u32 = I32, f: u32 = I32]
}

/// An `i32` of its flat value.
#[expect(clippy::cast_possible_truncation, reason = "the upper half is zero")]
const fn low(bits: Flat) -> u32 {
    bits as u32
}

/// A guest calls a lowered function. Gives the flat result, 0 if there is none.
#[inline(never)]
fn enter<T: Host>(
    mut caller: Caller<'_, T>,
    lowered: &Arc<Lowered<T>>,
    args: &[Flat],
) -> Result<Flat, wasmi::Error> {
    if !caller.data().state().instance(lowered.side.instance)?.may_leave {
        return Err(Trap::CannotLeave.into());
    }
    match &*lowered.function {
        Function::Lifted(_) => {
            if let Some(passing) = lowered.passing {
                passing.enter(caller.data_mut().state_mut(), &lowered.ty, args)?;
                return Err(suspend(&mut caller, Request::Pass(passing)));
            }
            caller.data_mut().state_mut().args.set(args)?;
            Err(suspend(&mut caller, Request::Call(lowered.clone())))
        }
        Function::Host(function) => call_host(&mut caller, lowered, function, args),
    }
}

/// What has come of a host function.
enum Answer<T> {
    /// Its result, lowered.
    Lowered(Flat),
    /// Its result, for which the guest has to allocate.
    Lowering(Lowering),
    Waits(Repeat<T>),
}

#[inline]
fn call_host<T: Host>(
    caller: &mut Caller<'_, T>,
    lowered: &Arc<Lowered<T>>,
    function: &HostFunction<T>,
    args: &[Flat],
) -> Result<Flat, wasmi::Error> {
    let (side, ty) = (&lowered.side, &*lowered.ty);
    let mut lent = Vec::new();
    let answer = side.with_memory(&mut *caller, |memory, data| {
        let mut lifting = Lifting::params(ty, args);
        if !ty.scalar_params() {
            lifting = lifting.with_budget(data.value_budget());
        }
        let mut params = ty.params().iter();
        let waker = match data.state_mut().waker.take() {
            Some(last) if last.will_wake(data.waker()) => last,
            _ => data.waker().clone(),
        };
        let mut next = |data: &mut T| {
            let (_, ty) = params.next().ok_or(Trap::OutOfBounds)?;
            lifting.scalar(ty).unwrap_or_else(|| side.lift(memory, data, &mut lifting, ty, &mut lent))
        };
        let mut call = Call { data, task: Context::from_waker(&waker), repeated: false };
        let called = function.enter(&mut call, &mut next, ty);
        data.state_mut().waker = Some(waker);
        let result = match called? {
            Called::Ready(result) => result,
            Called::Waits(repeat) => return Ok(Answer::Waits(repeat)),
        };
        side.give_back(data, &lent)?;
        if !ty.result_needs_realloc() {
            let flat = side.lower_result(memory, data, &result, ty, args)?;
            return Ok(Answer::Lowered(flat.unwrap_or(0)));
        }
        let lowering = lowered.lower_result(result, args, memory.len())?;
        if lowering.next().is_some() {
            return Ok(Answer::Lowering(lowering));
        }
        let mut flat = FlatValues::new();
        side.finish(memory, data, lowering, 0, &mut flat)?;
        Ok::<_, wasmi::Error>(Answer::Lowered(flat.first().copied().unwrap_or(0)))
    })?;
    let hosted = match answer {
        Answer::Lowered(flat) => {
            T::after_call(caller);
            return Ok(flat);
        }
        Answer::Lowering(lowering) => {
            T::after_call(caller);
            Hosted::returning(lowered.clone(), lowering)
        }
        Answer::Waits(repeat) => {
            let mut flat = FlatValues::new();
            flat.set(args)?;
            Hosted::waiting(lowered.clone(), flat, lent, repeat)
        }
    };
    Err(suspend(caller, Request::Host(Box::new(hosted))))
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
