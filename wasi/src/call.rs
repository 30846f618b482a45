//! Host calls that can wait: how a guest's call of an imported function reaches a Rust function, and how it is made
//! again when the guest was parked. Knows no WASI function and no scheduler.
//!
//! A host function is written poll-style: `fn(&mut Call<'_, S>, arguments…) -> Poll<R>`. `Ready` returns to the guest at once,
//! at the price of a plain host call. `Pending` notes the function with its arguments in the store's data and unwinds the guest
//! with [`Parked`]; when the waker fires, the driver calls [`poll_parked`] and resumes the guest with what that gives.
//! So a host function does nothing that cannot be repeated, and consumes nothing, before it returns `Ready`.

use crate::{
    Result,
    guest::{GuestMemory, GuestPtr},
    limits::Limiter,
    turn::Turn,
};
use alloc::{boxed::Box, string::ToString};
use core::{
    fmt,
    task::{Context, Poll, Waker},
};
use wasmi::{
    AsContextMut, Caller, Func, FuncType, Memory, Store, Val, WasmRet, WasmTy, WasmTyList, errors::HostError,
};

/// The data of a guest's `wasmi::Store`: the host's state `S`, and what host calls need.
pub struct StoreData<S> {
    /// What the host functions work on.
    pub state: S,
    /// What wasmi asks when the guest grows; home of its linear memory.
    pub(crate) limiter: Limiter,
    /// How long the guest may go on before others have their turn.
    pub(crate) turn: Turn,
    memory: Option<Memory>,
    waker: Waker,
    parked: Option<Repeat<S>>,
}

/// A parked call: the function with its arguments. Gives the values to resume the guest with, or what ends it.
type Repeat<S> =
    Box<dyn FnMut(&mut Call<'_, S>) -> Poll<core::result::Result<Option<Val>, wasmi::Error>> + Send>;

impl<S> StoreData<S> {
    /// Data of a guest whose memory is not known yet (see [`set_memory`](Self::set_memory)).
    pub fn new(state: S, limiter: Limiter) -> Self {
        Self {
            state,
            limiter,
            turn: Turn::default(),
            memory: None,
            waker: Waker::noop().clone(),
            parked: None,
        }
    }

    /// The memory that host calls work on: to be set when the guest is instantiated. Without one, all its pointers are
    /// outside.
    pub fn set_memory(&mut self, memory: Memory) {
        self.memory = Some(memory);
    }

    /// Who is woken when a call that waits can go on.
    #[cfg_attr(not(feature = "components"), expect(dead_code, reason = "components are its users"))]
    pub(crate) fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Who is woken when a call that parks can go on. The driver sets it before it runs the guest.
    pub fn set_waker(&mut self, waker: &Waker) {
        self.waker.clone_from(waker);
    }
}

/// What a host function works with.
pub struct Call<'a, S> {
    /// The host's state for this guest.
    pub state: &'a mut S,
    /// The guest's linear memory.
    pub memory: GuestMemory<'a>,
    /// Whom to wake when the function returns `Pending`.
    pub task: Context<'a>,
    /// Whether this is the same call again, after a `Pending`.
    pub repeated: bool,
    /// When others should have their turn, for a call that takes long.
    pub(crate) turn: &'a mut Turn,
}

/// The host error by which a call unwinds a guest that has to wait. Resumable.
#[derive(Debug)]
pub struct Parked;

impl fmt::Display for Parked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the guest waits in a host call")
    }
}

impl HostError for Parked {}

/// The host error by which a guest ends itself with a status (`proc_exit`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit(pub u32);

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit with status {}", self.0)
    }
}

impl HostError for Exit {}

impl Return for Exit {
    type Wasm = ();

    fn lower(self) -> core::result::Result<(), wasmi::Error> {
        Err(wasmi::Error::host(self))
    }

    fn value((): ()) -> Option<Val> {
        None
    }

    fn refused(error: crate::Error) -> core::result::Result<(), wasmi::Error> {
        Err(wasmi::Error::new(error.to_string()))
    }
}

/// An argument of a host function: decoded from one wasm value.
pub trait Argument: Copy + Send + 'static {
    /// The wasm value.
    type Wasm: WasmTy + Copy + Send;

    /// Decodes it; what fails here is the call's result, and the function is not called.
    fn decode(value: Self::Wasm) -> Result<Self>;
}

macro_rules! plain_arguments {
    ($($integer:ty)*) => {$(
        impl Argument for $integer {
            type Wasm = Self;

            #[inline]
            fn decode(value: Self) -> Result<Self> {
                Ok(value)
            }
        }
    )*};
}
plain_arguments!(u32 u64 i64);

impl<T: 'static> Argument for GuestPtr<T> {
    type Wasm = u32;

    #[inline]
    fn decode(address: u32) -> Result<Self> {
        Ok(Self::new(address))
    }
}

/// What a host function returns, as the guest sees it.
pub trait Return: Sized {
    /// The wasm value, or `()`.
    type Wasm;

    /// The value, or the host error that ends the guest.
    fn lower(self) -> core::result::Result<Self::Wasm, wasmi::Error>;

    /// The value as `wasmi` wants it when a parked guest is resumed.
    fn value(wasm: Self::Wasm) -> Option<Val>;

    /// What the guest gets when an argument could not be decoded.
    fn refused(error: crate::Error) -> core::result::Result<Self::Wasm, wasmi::Error>;
}

/// A poll-style function that a guest can import. `A` is the tuple of its arguments.
pub trait HostFunction<S, A>: Copy + Send + Sync + 'static {
    /// Its form for programs: of what type it is, and how it is made in a store.
    fn import(self) -> HostImport<S>;
}

/// A host function that is not in a store yet. A program finds its imports once, and makes them in the store of every
/// run, with no name looked up again.
pub struct HostImport<S: 'static> {
    /// The type that an import of it must have.
    pub ty: FuncType,
    make: Box<Make<S>>,
}

type Make<S> = dyn Fn(&mut Store<StoreData<S>>) -> Func + Send + Sync;

impl<S> HostImport<S> {
    /// Makes it in `store`.
    pub fn make(&self, store: &mut Store<StoreData<S>>) -> Func {
        (self.make)(store)
    }
}

macro_rules! host_functions {
    ($(($($argument:ident)*))*) => {$(
        impl<S, F, R, $($argument),*> HostFunction<S, (R, $($argument,)*)> for F
        where
            S: 'static,
            F: Fn(&mut Call<'_, S>, $($argument),*) -> Poll<R> + Copy + Send + Sync + 'static,
            R: Return + 'static,
            core::result::Result<R::Wasm, wasmi::Error>: WasmRet,
            $($argument: Argument,)*
        {
            fn import(self) -> HostImport<S> {
                #[allow(non_snake_case)]
                let function = move |caller: Caller<'_, StoreData<S>>, $($argument: $argument::Wasm),*| {
                    $(let $argument = match $argument::decode($argument) {
                        Ok(argument) => argument,
                        Err(error) => return R::refused(error),
                    };)*
                    enter(caller, move |call| self(call, $($argument),*))
                };
                HostImport {
                    ty: FuncType::new(
                        <($($argument::Wasm,)*) as WasmTyList>::types(),
                        <<core::result::Result<R::Wasm, wasmi::Error> as WasmRet>::Ok as WasmTyList>::types(),
                    ),
                    make: Box::new(move |store| Func::wrap(store, function)),
                }
            }
        }
    )*};
}
host_functions! {
    () (A1) (A1 A2) (A1 A2 A3) (A1 A2 A3 A4) (A1 A2 A3 A4 A5) (A1 A2 A3 A4 A5 A6) (A1 A2 A3 A4 A5 A6 A7)
    (A1 A2 A3 A4 A5 A6 A7 A8) (A1 A2 A3 A4 A5 A6 A7 A8 A9)
}

/// The one wrapper of all host functions.
#[inline]
fn enter<S: 'static, R: Return + 'static>(
    mut caller: Caller<'_, StoreData<S>>,
    mut function: impl FnMut(&mut Call<'_, S>) -> Poll<R> + Send + 'static,
) -> core::result::Result<R::Wasm, wasmi::Error> {
    let memory = caller.data().memory;
    let polled = with_call(&mut caller, memory, false, &mut function);
    match polled {
        Poll::Ready(result) => {
            yield_if_over(&mut caller);
            result.lower()
        }
        Poll::Pending => {
            caller.data_mut().parked =
                Some(Box::new(move |call| function(call).map(|result| result.lower().map(R::value))));
            Err(wasmi::Error::host(Parked))
        }
    }
}

/// To be called after each host call: others may be waiting for their turn.
#[inline]
pub(crate) fn yield_if_over<S>(caller: &mut Caller<'_, StoreData<S>>) {
    if caller.data_mut().turn.is_over() {
        end_turn(caller);
    }
}

/// Takes the guest's fuel away, so that it yields soon; the driver gives it back.
#[cold]
fn end_turn<S>(caller: &mut Caller<'_, StoreData<S>>) {
    if let Ok(fuel) = caller.get_fuel()
        && caller.set_fuel(0).is_ok()
    {
        caller.data_mut().turn.withhold(fuel);
    }
}

/// Calls `function` on the memory (an empty one if the guest has none) and the state in `store`.
#[inline]
fn with_call<S: 'static, R>(
    mut store: impl AsContextMut<Data = StoreData<S>>,
    memory: Option<Memory>,
    repeated: bool,
    function: impl FnOnce(&mut Call<'_, S>) -> R,
) -> R {
    let mut store = store.as_context_mut();
    let (bytes, data) = match memory {
        Some(memory) => memory.data_and_store_mut(&mut store),
        None => (&mut [][..], store.data_mut()),
    };
    function(&mut Call {
        state: &mut data.state,
        memory: GuestMemory::new(bytes),
        task: Context::from_waker(&data.waker),
        repeated,
        turn: &mut data.turn,
    })
}

/// Makes the call again that parked the guest of `store`. `Ready` has the values to resume it with, or what ends it.
pub fn poll_parked<S: 'static>(
    mut store: impl AsContextMut<Data = StoreData<S>>,
    task: &mut Context<'_>,
) -> Poll<core::result::Result<Option<Val>, wasmi::Error>> {
    let mut store = store.as_context_mut();
    let data = store.data_mut();
    data.set_waker(task.waker());
    let memory = data.memory;
    let Some(mut parked) = data.parked.take() else {
        return Poll::Ready(Err(wasmi::Error::new("no host call is parked")));
    };
    let polled = with_call(&mut store, memory, true, &mut parked);
    if polled.is_pending() {
        store.data_mut().parked = Some(parked);
    }
    polled
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, Limits};
    use alloc::{sync::Arc, task::Wake};
    use core::sync::atomic::{AtomicUsize, Ordering};
    use wasmi::{Engine, Module, ResumableCall, Store};

    impl Return for core::result::Result<u32, Exit> {
        type Wasm = u32;

        fn lower(self) -> core::result::Result<u32, wasmi::Error> {
            self.map_err(wasmi::Error::host)
        }

        fn value(wasm: u32) -> Option<Val> {
            Some(Val::I32(wasm.cast_signed()))
        }

        fn refused(_: Error) -> core::result::Result<u32, wasmi::Error> {
            Ok(u32::MAX)
        }
    }

    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits `state` times, then writes `a + b` and exits with it if it is 13.
    fn add(
        call: &mut Call<'_, u32>,
        a: u32,
        b: u64,
        out: GuestPtr<u32>,
    ) -> Poll<core::result::Result<u32, Exit>> {
        if *call.state > 0 {
            *call.state -= 1;
            call.task.waker().wake_by_ref();
            return Poll::Pending;
        }
        let sum = a.wrapping_add(b as u32);
        Poll::Ready(match sum {
            13 => Err(Exit(sum)),
            _ => Ok(out.write(&mut call.memory, sum).map_or(1, |()| 0)),
        })
    }

    fn guest(state: u32) -> (Store<StoreData<u32>>, wasmi::Instance) {
        let engine = Engine::default();
        let wasm = wat::parse_str(
            r#"(module (import "host" "add" (func $add (param i32 i64 i32) (result i32))) (memory (export "memory") 1)
                (func (export "run") (param i32) (result i32)
                    (i32.add (call $add (local.get 0) (i64.const 5) (i32.const 16))
                             (i32.mul (i32.const 10) (i32.load (i32.const 16))))))"#,
        )
        .unwrap();
        let mut store = Store::new(&engine, StoreData::new(state, Limiter::new(&Limits::unlimited())));
        let module = Module::new(&engine, &wasm).unwrap();
        let add = HostFunction::import(add).make(&mut store);
        let instance = wasmi::Instance::new(&mut store, &module, &[add.into()]).unwrap();
        let memory = instance.get_memory(&store, "memory").unwrap();
        store.data_mut().set_memory(memory);
        (store, instance)
    }

    #[test]
    fn a_ready_call_returns_at_once() {
        let (mut store, instance) = guest(0);
        let run = instance.get_typed_func::<i32, i32>(&store, "run").unwrap();
        assert_eq!(run.call(&mut store, 4).unwrap(), 90);
    }

    #[test]
    fn a_pending_call_parks_and_is_repeated_with_its_arguments() {
        let (mut store, instance) = guest(3);
        let wakes = Arc::new(Wakes(AtomicUsize::new(0)));
        let waker = Waker::from(wakes.clone());
        store.data_mut().set_waker(&waker);
        let run = instance.get_func(&store, "run").unwrap();
        let mut results = [Val::I32(0)];
        let ResumableCall::HostTrap(parked) =
            run.call_resumable(&mut store, &[Val::I32(4)], &mut results).unwrap()
        else {
            panic!("not parked")
        };
        assert!(parked.host_error().downcast_ref::<Parked>().is_some());
        let mut task = Context::from_waker(&waker);
        assert!(poll_parked(&mut store, &mut task).is_pending());
        assert!(poll_parked(&mut store, &mut task).is_pending());
        assert_eq!(wakes.0.load(Ordering::Relaxed), 3);
        let Poll::Ready(Ok(value)) = poll_parked(&mut store, &mut task) else { panic!("not ready") };
        let ResumableCall::Finished = parked.resume(&mut store, value.as_slice(), &mut results).unwrap()
        else {
            panic!("not finished")
        };
        assert_eq!(results[0].i32(), Some(90));
        assert!(
            matches!(poll_parked(&mut store, &mut task), Poll::Ready(Err(_))),
            "nothing is parked any more"
        );
    }

    #[test]
    fn an_exit_ends_the_guest() {
        let (mut store, instance) = guest(0);
        let run = instance.get_typed_func::<i32, i32>(&store, "run").unwrap();
        assert_eq!(run.call(&mut store, 8).unwrap_err().downcast_ref(), Some(&Exit(13)));
    }
}
