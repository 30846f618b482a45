//! Who runs commands that are components: Sisal and wasmtime.

use crate::Result;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime_wasi::{
    WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView,
    p2::{self, bindings::sync::CommandPre, pipe::MemoryOutputPipe},
};

/// What is kept of the output, at most.
const CAPACITY: usize = 64 << 10;

/// Sisal.
pub struct Sisal {
    program: wasi::Program,
    machine: wasi::Machine,
}

impl Sisal {
    pub fn new(wasm: &[u8]) -> Result<Self> {
        let program = wasi::Program::new(&wasi::Engine::new(), wasm)?;
        Ok(Self { program, machine: wasi::hosted::machine() })
    }

    pub fn run(&mut self) -> Result<()> {
        let command = wasi::Command::new("component").limits(wasi::Limits::default().with_time(None));
        let output = wasi::hosted::block_on(self.program.output(&self.machine, command))?;
        match output.outcome.success() {
            true => check(&output.stdout),
            false => Err(format!("the component fails in Sisal: {}", output.outcome).into()),
        }
    }
}

fn check(written: &[u8]) -> Result<()> {
    if written.is_empty() { Err("the component has written nothing".into()) } else { Ok(()) }
}

/// wasmtime.
pub struct Wasmtime {
    engine: wasmtime::Engine,
    component: Component,
    ready: CommandPre<Context>,
}

struct Context {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Context {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl Wasmtime {
    pub fn new(wasm: &[u8]) -> Result<Self> {
        let engine = wasmtime::Engine::default();
        let component = Component::new(&engine, wasm)?;
        Self::link(engine, component)
    }

    fn link(engine: wasmtime::Engine, component: Component) -> Result<Self> {
        let mut linker = Linker::new(&engine);
        p2::add_to_linker_sync(&mut linker)?;
        let ready = CommandPre::new(linker.instantiate_pre(&component)?)?;
        Ok(Self { engine, component, ready })
    }

    /// Its compiled code, as it is kept in files.
    pub fn code(&self) -> Result<Vec<u8>> {
        Ok(self.component.serialize()?)
    }

    /// The same again, of compiled code.
    pub fn load(&self, code: &[u8]) -> Result<Self> {
        // SAFETY: the bytes are those that `serialize` has given, in this very process.
        let component = unsafe { Component::deserialize(&self.engine, code) }?;
        Self::link(self.engine.clone(), component)
    }

    pub fn run(&mut self) -> Result<()> {
        let stdout = MemoryOutputPipe::new(CAPACITY);
        let wasi = WasiCtxBuilder::new()
            .arg("component")
            .stdout(stdout.clone())
            .allow_blocking_current_thread(true)
            .build();
        let mut store = wasmtime::Store::new(&self.engine, Context { wasi, table: ResourceTable::new() });
        let command = self.ready.instantiate(&mut store)?;
        match command.wasi_cli_run().call_run(&mut store)? {
            Ok(()) => check(&stdout.contents()),
            Err(()) => Err("the component fails in wasmtime".into()),
        }
    }
}
