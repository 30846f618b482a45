//! A call of a component function: its parameters lowered into the callee, the core call, its result lifted and lowered into the
//! caller, and `post-return`. Each of these may call the guest, so a call is a little machine that is advanced by what
//! comes back.

use super::{
    Advance, Args, Input,
    state::{InstanceIndex, ResourceKind, State},
};
use crate::{
    Trap, Value,
    abi::{self, Flat, FlatValues, LiftContext, Lifting, LowerContext, Lowering, StringEncoding},
    evaluation::Function,
    handles::ResourceId,
    host::{Call, Host, Repeat},
    types::{CoreType, FunctionType, Type},
    value::Scalar,
};
use alloc::{sync::Arc, vec::Vec};
use core::task::{Context, Poll};
use wasmi::{F32, F64, Func, Memory, Store, Val};

/// The options of `canon lift` and `canon lower` at run time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CoreOptions {
    pub encoding: StringEncoding,
    pub memory: Option<Memory>,
    pub realloc: Option<Func>,
    pub post_return: Option<Func>,
}

/// A core function as a component function.
pub(crate) struct Lifted {
    pub function: Func,
    pub ty: Arc<FunctionType>,
    /// Who implements it.
    pub side: Side,
}

/// A component function as a core function.
pub(crate) struct Lowered<T> {
    pub function: Arc<Function<T>>,
    pub ty: Arc<FunctionType>,
    /// Who calls it.
    pub side: Side,
    /// If its calls can be passed on: how.
    pub passing: Option<Passing>,
}

/// One side of a call: the instance whose values are lifted or lowered.
#[derive(Clone, Copy)]
pub(crate) struct Side {
    pub instance: InstanceIndex,
    pub options: CoreOptions,
}

impl<T> Lowered<T> {
    pub(crate) fn new(function: Arc<Function<T>>, ty: Arc<FunctionType>, side: Side) -> Self {
        let passing = Passing::new(&function, &ty, &side);
        Self { function, ty, side, passing }
    }

    /// Begins to lower a result for the caller, who has `memory` bytes of memory and has called with `args`.
    pub(crate) fn lower_result(
        &self,
        result: Option<Value>,
        args: &[Flat],
        memory: usize,
    ) -> Result<Lowering, Trap> {
        Lowering::result(result, &self.ty, self.side.options.encoding, args, memory)
    }

    /// What it returns to the caller, of what its result is lowered to.
    #[inline]
    pub(crate) fn core_result(&self, flat: &[Flat]) -> Option<Val> {
        let (bits, ty) = flat.first().zip(self.ty.lowered().results.as_slice().first())?;
        Some(core_value(*bits, *ty))
    }
}

impl Side {
    /// Calls `work` with the instance's memory and the store's data.
    #[inline]
    pub(crate) fn with_memory<T: Host, R>(
        &self,
        mut store: impl wasmi::AsContextMut<Data = T>,
        work: impl FnOnce(&mut [u8], &mut T) -> R,
    ) -> R {
        let mut store = store.as_context_mut();
        match self.options.memory {
            Some(memory) => {
                let (bytes, data) = memory.data_and_store_mut(&mut store);
                work(bytes, data)
            }
            None => work(&mut [], store.data_mut()),
        }
    }

    /// Lifts the next value.
    #[inline]
    pub(crate) fn lift<T: Host>(
        &self,
        memory: &[u8],
        data: &mut T,
        lifting: &mut Lifting,
        ty: &Type,
        lent: &mut Vec<u32>,
    ) -> Result<Value, Trap> {
        let instance = data.state_mut().instance_mut(self.instance)?;
        let mut context = LiftContext {
            memory,
            encoding: self.options.encoding,
            handles: &mut instance.handles,
            resources: &instance.resources,
            lent,
        };
        lifting.next(&mut context, ty)
    }

    /// Stores what is to be lowered, all of whose memory is allocated.
    #[inline]
    pub(crate) fn finish<T: Host>(
        &self,
        memory: &mut [u8],
        data: &mut T,
        lowering: Lowering,
        task: u64,
        flat: &mut FlatValues,
    ) -> Result<(), Trap> {
        self.lowering(memory, data, task, |context| lowering.finish(context, flat))
    }

    /// Lowers the result of a host function into this instance, which has called it with `args`: a result that needs no
    /// memory to be allocated.
    #[inline]
    pub(crate) fn lower_result<T: Host>(
        &self,
        memory: &mut [u8],
        data: &mut T,
        result: &Option<Value>,
        ty: &FunctionType,
        args: &[Flat],
    ) -> Result<Option<Flat>, Trap> {
        self.lowering(memory, data, 0, |context| abi::lower_result(context, result, ty, args))
    }

    #[inline]
    fn lowering<T: Host, R>(
        &self,
        memory: &mut [u8],
        data: &mut T,
        task: u64,
        lower: impl FnOnce(&mut LowerContext<'_>) -> Result<R, Trap>,
    ) -> Result<R, Trap> {
        let state = data.state_mut();
        let (instance, resources) = state.instance_and_resources(self.instance)?;
        let implements = |id: ResourceId| match resources.get(id.0 as usize) {
            Some(ResourceKind::Guest { instance, .. }) => *instance == self.instance,
            _ => false,
        };
        let mut borrows = 0;
        let mut context = LowerContext {
            memory,
            handles: &mut instance.handles,
            resources: &instance.resources,
            implements: &implements,
            task,
            borrows: &mut borrows,
        };
        let lowered = lower(&mut context);
        if borrows > 0 {
            let count = state.borrows.entry(task).or_insert(0);
            *count = count.saturating_add(borrows);
        }
        lowered
    }

    /// Ends the loan of handles to a call.
    pub(crate) fn give_back<T: Host>(&self, data: &mut T, lent: &[u32]) -> Result<(), Trap> {
        if !lent.is_empty() {
            let handles = &mut data.state_mut().instance_mut(self.instance)?.handles;
            lent.iter().for_each(|index| handles.give_back(*index));
        }
        Ok(())
    }
}

/// Values on their way into a guest, which allocates for them.
pub(crate) struct Storing {
    side: Side,
    task: u64,
    lowering: Option<Lowering>,
    allocating: bool,
}

/// What comes of it.
enum Stored {
    Realloc(Func, [Val; 4]),
    Done(FlatValues),
}

impl Storing {
    fn new(side: Side, task: u64, lowering: Lowering) -> Self {
        Self { side, task, lowering: Some(lowering), allocating: false }
    }

    /// The result of a call, for the guest that has made it with `args`.
    fn result<T: Host>(
        store: &mut Store<T>,
        lowered: &Lowered<T>,
        result: Option<Value>,
        args: &[Flat],
    ) -> Result<Self, Trap> {
        let memory = lowered.side.with_memory(store, |memory, _| memory.len());
        Ok(Self::new(lowered.side, 0, lowered.lower_result(result, args, memory)?))
    }

    fn advance<T: Host>(&mut self, store: &mut Store<T>, input: Option<Val>) -> Result<Stored, Trap> {
        let Some(lowering) = &mut self.lowering else { return Err(Trap::OutOfBounds) };
        if self.allocating {
            self.allocating = false;
            store.data_mut().state_mut().instance_mut(self.side.instance)?.may_leave = true;
            let pointer = input.and_then(|value| value.i32()).unwrap_or(0).cast_unsigned();
            let len = self.side.with_memory(&mut *store, |memory, _| memory.len());
            lowering.allocated(pointer, len)?;
        }
        if let Some(realloc) = lowering.next() {
            let function = self.side.options.realloc.ok_or(Trap::OutOfBounds)?;
            store.data_mut().state_mut().instance_mut(self.side.instance)?.may_leave = false;
            self.allocating = true;
            let args = [realloc.old, realloc.old_size, realloc.alignment, realloc.size];
            return Ok(Stored::Realloc(function, args.map(|arg| Val::I32(arg.cast_signed()))));
        }
        let Some(lowering) = self.lowering.take() else { return Err(Trap::OutOfBounds) };
        let mut flat = FlatValues::default();
        let (side, task) = (self.side, self.task);
        side.with_memory(store, |memory, data| side.finish(memory, data, lowering, task, &mut flat))?;
        Ok(Stored::Done(flat))
    }
}

/// Who calls.
pub(crate) enum Caller<T> {
    /// A guest, with the handles that it lends and its flat arguments, the last of which may say where the result goes.
    Guest { lowered: Arc<Lowered<T>>, args: FlatValues, lent: Vec<u32> },
    /// The host.
    Host,
}

impl<T> Caller<T> {
    fn instance(&self) -> Option<InstanceIndex> {
        match self {
            Self::Guest { lowered, .. } => Some(lowered.side.instance),
            Self::Host => None,
        }
    }
}

/// A call of a lifted function.
pub(crate) struct Calling<T> {
    function: Arc<Function<T>>,
    caller: Caller<T>,
    task: u64,
    stage: Stage,
}

enum Stage {
    Lowering(Storing),
    Running,
    Returning(Storing, Option<Val>),
    /// `post-return` runs, and this is the caller's.
    PostReturn(Option<Value>, Option<Val>),
}

impl<T: Host> Calling<T> {
    /// Begins a call with `args`.
    pub(crate) fn new(
        store: &mut Store<T>,
        function: Arc<Function<T>>,
        caller: Caller<T>,
        args: Vec<Value>,
    ) -> Result<Self, Trap> {
        let Function::Lifted(lifted) = &*function else { return Err(Trap::CannotEnter) };
        let state = store.data_mut().state_mut();
        state.enter_call(lifted.side.instance, caller.instance())?;
        let task = state.new_task();
        let lowering = Lowering::params(args, &lifted.ty, lifted.side.options.encoding)?;
        let stage = Stage::Lowering(Storing::new(lifted.side, task, lowering));
        Ok(Self { function, caller, task, stage })
    }

    /// Begins the call that a guest makes of another component.
    pub(crate) fn from_guest(
        store: &mut Store<T>,
        lowered: Arc<Lowered<T>>,
        args: FlatValues,
    ) -> Result<Self, Trap> {
        let mut lent = Vec::new();
        let mut lifting = Lifting::params(&lowered.ty, &args).with_budget(store.data().value_budget());
        let side = lowered.side;
        let values = side.with_memory(&mut *store, |memory, data| {
            let params = lowered.ty.params.iter();
            params
                .map(|(_, ty)| side.lift(memory, data, &mut lifting, ty, &mut lent))
                .collect::<Result<Vec<_>, _>>()
        })?;
        let function = lowered.function.clone();
        Self::new(store, function, Caller::Guest { lowered, args, lent }, values)
    }

    pub(crate) fn advance(
        &mut self,
        store: &mut Store<T>,
        mut input: Option<Val>,
        args: &mut Args,
    ) -> Result<Advance<T>, Trap> {
        let function = self.function.clone();
        let Function::Lifted(lifted) = &*function else { return Err(Trap::CannotEnter) };
        loop {
            match &mut self.stage {
                Stage::Lowering(storing) => match storing.advance(store, input.take())? {
                    Stored::Realloc(function, given) => return Ok(Advance::call(args, function, given, 1)),
                    Stored::Done(flat) => {
                        self.stage = Stage::Running;
                        return Ok(lifted.call(&flat, args));
                    }
                },
                Stage::Running => {
                    let core = input.take();
                    let result = self.lift_result(store, core.clone())?;
                    match &self.caller {
                        Caller::Guest { lowered, args: flat, .. } => {
                            let storing = Storing::result(store, lowered, result, flat)?;
                            self.stage = Stage::Returning(storing, core);
                        }
                        Caller::Host => {
                            if let Some(call) = self.post_return(store, lifted, result, core, None, args)? {
                                return Ok(call);
                            }
                        }
                    }
                }
                Stage::Returning(storing, core) => match storing.advance(store, input.take())? {
                    Stored::Realloc(function, given) => return Ok(Advance::call(args, function, given, 1)),
                    Stored::Done(flat) => {
                        let core = core.take();
                        let returned = match &self.caller {
                            Caller::Guest { lowered, .. } => lowered.core_result(&flat),
                            Caller::Host => None,
                        };
                        if let Some(call) = self.post_return(store, lifted, None, core, returned, args)? {
                            return Ok(call);
                        }
                    }
                },
                Stage::PostReturn(result, returned) => {
                    let (result, returned) = (result.take(), returned.take());
                    let state = store.data_mut().state_mut();
                    state.instance_mut(lifted.side.instance)?.may_leave = true;
                    state.leave(lifted.side.instance, self.caller.instance())?;
                    return Ok(match &self.caller {
                        Caller::Guest { lowered, lent, .. } => {
                            lowered.side.give_back(store.data_mut(), lent)?;
                            Advance::Return(Input::Core(returned))
                        }
                        Caller::Host => Advance::Return(Input::Value(result)),
                    });
                }
            }
        }
    }

    fn lift_result(&self, store: &mut Store<T>, core: Option<Val>) -> Result<Option<Value>, Trap> {
        let Function::Lifted(lifted) = &*self.function else { return Err(Trap::CannotEnter) };
        let side = lifted.side;
        let result = match &lifted.ty.result {
            Some(ty) => {
                let mut flat = FlatValues::default();
                flat.extend(core.iter().map(flat_value))?;
                let mut lifting = Lifting::result(&lifted.ty, &flat).with_budget(store.data().value_budget());
                let mut lent = Vec::new();
                Some(side.with_memory(&mut *store, |memory, data| {
                    side.lift(memory, data, &mut lifting, ty, &mut lent)
                })?)
            }
            None => None,
        };
        if store.data_mut().state_mut().borrows.remove(&self.task).is_some_and(|borrows| borrows > 0) {
            return Err(Trap::BorrowsRemain);
        }
        Ok(result)
    }

    /// Calls `post-return`, if there is one.
    fn post_return(
        &mut self,
        store: &mut Store<T>,
        lifted: &Lifted,
        result: Option<Value>,
        core: Option<Val>,
        returned: Option<Val>,
        args: &mut Args,
    ) -> Result<Option<Advance<T>>, Trap> {
        self.stage = Stage::PostReturn(result, returned);
        let Some(function) = lifted.side.options.post_return else { return Ok(None) };
        store.data_mut().state_mut().instance_mut(lifted.side.instance)?.may_leave = false;
        Ok(Some(Advance::call(args, function, core, 0)))
    }
}

impl Lifted {
    /// The core call of it.
    fn call<T>(&self, flat: &[Flat], args: &mut Args) -> Advance<T> {
        let signature = self.ty.lifted();
        let given = flat.iter().zip(signature.params.as_slice());
        let given = given.map(|(bits, ty)| core_value(*bits, *ty));
        Advance::call(args, self.function, given, signature.results.len())
    }
}

/// A call of another component with nothing but scalars: no memory, no handles, no `post-return`, so all that there is to do
/// is to pass the flat values on.
#[derive(Clone, Copy)]
pub(crate) struct Passing {
    function: Func,
    caller: InstanceIndex,
    callee: InstanceIndex,
    result: Option<(Scalar, CoreType)>,
}

impl Passing {
    fn new<T>(function: &Function<T>, ty: &Arc<FunctionType>, caller: &Side) -> Option<Self> {
        let Function::Lifted(lifted) = function else { return None };
        let passes = lifted.side.options.post_return.is_none() && lifted.ty == *ty && ty.only_scalars();
        passes.then(|| Self {
            function: lifted.function,
            caller: caller.instance,
            callee: lifted.side.instance,
            result: ty.result().and_then(Type::scalar).zip(ty.lifted().results.as_slice().first().copied()),
        })
    }

    /// Enters the other component, with the arguments that the guest has given for the parameters of `ty`.
    #[inline]
    pub(crate) fn enter<T>(
        &self,
        state: &mut State<T>,
        ty: &FunctionType,
        args: &[Flat],
    ) -> Result<(), Trap> {
        state.passed.clear();
        let types = ty.params().iter().zip(ty.lifted().params.as_slice());
        for (bits, ((_, ty), core)) in args.iter().zip(types) {
            let bits = ty.scalar().and_then(|scalar| scalar.normal(*bits)).ok_or(Trap::InvalidChar)?;
            state.passed.push(core_value(bits, *core));
        }
        state.enter_call(self.callee, Some(self.caller))
    }

    /// The core call.
    #[inline]
    pub(crate) fn call<T>(&self) -> Advance<T> {
        Advance::Call { function: self.function, results: usize::from(self.result.is_some()) }
    }

    /// Ends it with what the core function has returned.
    #[inline]
    pub(crate) fn finish<T>(&self, state: &mut State<T>, returned: Option<Val>) -> Result<Advance<T>, Trap> {
        let result = match (returned, self.result) {
            (Some(value), Some((scalar, core))) => {
                let bits = scalar.normal(flat_value(&value)).ok_or(Trap::InvalidChar)?;
                Some(core_value(bits, core))
            }
            _ => None,
        };
        state.leave(self.callee, Some(self.caller))?;
        Ok(Advance::Return(Input::Core(result)))
    }
}

/// A call of the host that waits, or whose result needs memory of the guest.
pub(crate) struct Hosted<T> {
    lowered: Arc<Lowered<T>>,
    stage: HostStage<T>,
}

enum HostStage<T> {
    /// Called again with these flat arguments, and handles lent to it.
    Waiting(Repeat<T>, FlatValues, Vec<u32>),
    Returning(Storing),
}

impl<T: Host> Hosted<T> {
    pub(crate) fn waiting(
        lowered: Arc<Lowered<T>>,
        args: FlatValues,
        lent: Vec<u32>,
        repeat: Repeat<T>,
    ) -> Self {
        Self { lowered, stage: HostStage::Waiting(repeat, args, lent) }
    }

    pub(crate) fn returning(lowered: Arc<Lowered<T>>, lowering: Lowering) -> Self {
        let stage = HostStage::Returning(Storing::new(lowered.side, 0, lowering));
        Self { lowered, stage }
    }

    pub(crate) fn advance(
        &mut self,
        store: &mut Store<T>,
        task: &mut Context<'_>,
        input: Option<Val>,
        args: &mut Args,
    ) -> Result<Advance<T>, wasmi::Error> {
        if let HostStage::Waiting(repeat, args, lent) = &mut self.stage {
            let mut call =
                Call { data: store.data_mut(), task: Context::from_waker(task.waker()), repeated: true };
            let Poll::Ready(result) = repeat(&mut call) else { return Ok(Advance::Wait) };
            let result = result?;
            self.lowered.side.give_back(store.data_mut(), lent)?;
            let storing = Storing::result(store, &self.lowered, result, args)?;
            self.stage = HostStage::Returning(storing);
        }
        let HostStage::Returning(storing) = &mut self.stage else { return Ok(Advance::Wait) };
        Ok(match storing.advance(store, input)? {
            Stored::Realloc(function, given) => Advance::call(args, function, given, 1),
            Stored::Done(flat) => Advance::Return(Input::Core(self.lowered.core_result(&flat))),
        })
    }
}

/// A destructor that runs.
pub(crate) struct Destroying {
    caller: InstanceIndex,
    instance: InstanceIndex,
    destructor: Option<(Func, u32)>,
}

impl Destroying {
    pub(crate) fn new<T>(
        state: &mut State<T>,
        caller: InstanceIndex,
        instance: InstanceIndex,
        destructor: Func,
        rep: u32,
    ) -> Result<Self, Trap> {
        state.enter(instance, Some(caller))?;
        Ok(Self { caller, instance, destructor: Some((destructor, rep)) })
    }

    pub(crate) fn advance<T: Host>(
        &mut self,
        store: &mut Store<T>,
        args: &mut Args,
    ) -> Result<Advance<T>, Trap> {
        if let Some((destructor, rep)) = self.destructor.take() {
            return Ok(Advance::call(args, destructor, [Val::I32(rep.cast_signed())], 0));
        }
        store.data_mut().state_mut().leave(self.instance, Some(self.caller))?;
        Ok(Advance::Return(Input::Core(None)))
    }
}

/// The bits of a core value.
pub(crate) fn flat_value(value: &Val) -> u64 {
    match value {
        Val::I32(value) => u64::from(value.cast_unsigned()),
        Val::I64(value) => value.cast_unsigned(),
        Val::F32(value) => u64::from(value.to_bits()),
        Val::F64(value) => value.to_bits(),
        // Nothing else is flat.
        _ => 0,
    }
}

/// The core value of these bits.
pub(crate) fn core_value(bits: u64, ty: CoreType) -> Val {
    match ty {
        CoreType::I32 => Val::I32((bits as u32).cast_signed()),
        CoreType::I64 => Val::I64(bits.cast_signed()),
        CoreType::F32 => Val::F32(F32::from_bits(bits as u32)),
        CoreType::F64 => Val::F64(F64::from_bits(bits)),
    }
}
