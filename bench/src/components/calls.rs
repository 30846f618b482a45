//! Who runs the loops of calls: Sisal's component model, wasmtime, and wasmi alone.

use super::Caller;
use crate::Result;
use component::{Call, Component, Execution, HostData, Linked, Linker, PlainModules, Progress, Value};
use std::{
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

/// What wakes nobody, but counts its references as a waker does.
struct Nobody;

impl Wake for Nobody {
    fn wake(self: Arc<Self>) {}
}

/// The engine as `wasi` has it.
fn engine() -> wasmi::Engine {
    let mut config = wasmi::Config::default();
    config.consume_fuel(true).set_max_cached_stacks(0).set_min_stack_height(1 << 10);
    wasmi::Engine::new(&config)
}

/// The data of Sisal's store.
type Data = HostData<Clock>;

struct Clock {
    now: u64,
}

/// Sisal.
pub struct Sisal {
    store: wasmi::Store<Data>,
    execution: Execution<Data>,
}

impl Sisal {
    pub fn new(wasm: &[u8]) -> Result<Self> {
        let mut linker = Linker::new();
        linker
            .interface("bench:host/calls")
            .func("add", |_: &mut Call<'_, Data>, &(a, b): &(u32, u32)| Poll::Ready(Ok(a.wrapping_add(b))))
            .func("now", |call: &mut Call<'_, Data>, (): &()| {
                call.data.now += 1;
                Poll::Ready(Ok(call.data.now))
            });
        let engine = engine();
        let component =
            Component::new(&PlainModules::new(&engine), wasm).map_err(|error| error.to_string())?;
        let linked = Linked::new(&Arc::new(linker), &component).map_err(|error| error.to_string())?;
        let mut data = HostData::new(Clock { now: 0 });
        data.set_waker(&Arc::new(Nobody).into());
        let mut store = wasmi::Store::new(&engine, data);
        store.set_fuel(u64::MAX)?;
        let execution = Execution::instantiate(&mut store, &linked)?;
        let mut sisal = Self { store, execution };
        sisal.finish()?;
        Ok(sisal)
    }

    fn finish(&mut self) -> Result<()> {
        let mut task = Context::from_waker(Waker::noop());
        match self.execution.run(&mut self.store, &mut task)? {
            Progress::Done => Ok(()),
            other => Err(format!("the component is not done but {other:?}").into()),
        }
    }
}

impl Caller for Sisal {
    fn call(&mut self, name: &str, count: u32) -> Result<()> {
        self.store.set_fuel(u64::MAX)?;
        let function = self.execution.function(&[name]).ok_or("the component has no such function")?;
        self.execution.call(&mut self.store, &function, vec![Value::U32(count)])?;
        self.finish()
    }
}

/// wasmtime.
pub struct Wasmtime {
    store: wasmtime::Store<u64>,
    instance: wasmtime::component::Instance,
}

impl Wasmtime {
    pub fn new(wasm: &[u8]) -> Result<Self> {
        let engine = wasmtime::Engine::default();
        let component = wasmtime::component::Component::new(&engine, wasm)?;
        let mut linker = wasmtime::component::Linker::<u64>::new(&engine);
        let mut host = linker.instance("bench:host/calls")?;
        host.func_wrap("add", |_, (a, b): (u32, u32)| Ok((a.wrapping_add(b),)))?;
        host.func_wrap("now", |mut store: wasmtime::StoreContextMut<'_, u64>, (): ()| {
            *store.data_mut() += 1;
            Ok((*store.data(),))
        })?;
        let mut store = wasmtime::Store::new(&engine, 0);
        let instance = linker.instantiate(&mut store, &component)?;
        Ok(Self { store, instance })
    }
}

impl Caller for Wasmtime {
    fn call(&mut self, name: &str, count: u32) -> Result<()> {
        let function = self.instance.get_typed_func::<(u32,), ()>(&mut self.store, name)?;
        Ok(function.call(&mut self.store, (count,))?)
    }
}

/// wasmi without components: a core module, and host functions that it knows the types of.
pub struct Core {
    store: wasmi::Store<u64>,
    instance: wasmi::Instance,
}

impl Core {
    pub fn new(wasm: &[u8]) -> Result<Self> {
        let engine = engine();
        let module = wasmi::Module::new(&engine, wasm)?;
        let mut linker = wasmi::Linker::<u64>::new(&engine);
        linker.func_wrap("host", "add", |a: u32, b: u32| a.wrapping_add(b))?;
        linker.func_wrap("host", "now", |mut caller: wasmi::Caller<'_, u64>| {
            *caller.data_mut() += 1;
            *caller.data()
        })?;
        let mut store = wasmi::Store::new(&engine, 0);
        store.set_fuel(u64::MAX)?;
        let instance = linker.instantiate_and_start(&mut store, &module)?;
        Ok(Self { store, instance })
    }
}

impl Caller for Core {
    fn call(&mut self, name: &str, count: u32) -> Result<()> {
        self.store.set_fuel(u64::MAX)?;
        let function = self.instance.get_typed_func::<u32, ()>(&self.store, name)?;
        Ok(function.call(&mut self.store, count)?)
    }
}
