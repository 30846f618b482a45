//! The peers: a wasmi host function that does nothing, wasmi_wasi, wasmtime.

use super::{Host, Order};
use crate::Result;
use std::{
    io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};
use wasmtime_wasi::{
    FsPerms,
    p1::{self, WasiP1Ctx},
    p2::pipe::MemoryInputPipe,
};

/// A wasmi host function that does nothing, whatever is asked for; the empty loop is as everybody's.
pub struct Floor {
    store: wasmi::Store<()>,
    instance: wasmi::Instance,
}

impl Floor {
    pub fn new() -> Result<Self> {
        let engine = wasmi::Engine::default();
        let module = wasmi::Module::new(&engine, wat::parse_str(include_str!("floor.wat"))?)?;
        let mut linker = wasmi::Linker::new(&engine);
        linker.func_wrap("host", "nothing", |_: i32, _: i64, _: i32| 0_i32)?;
        let mut store = wasmi::Store::new(&engine, ());
        let instance = linker.instantiate_and_start(&mut store, &module)?;
        Ok(Self { store, instance })
    }
}

impl Host for Floor {
    fn run(&mut self, order: Order) -> Result<()> {
        let name = if order.operation == 0 { "empty" } else { "call" };
        let function = self.instance.get_typed_func::<u32, ()>(&self.store, name)?;
        Ok(function.call(&mut self.store, order.count)?)
    }
}

/// A standard output that keeps up to 64 KiB, and then begins anew: what it costs is one copy.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    fn put(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() + bytes.len() > 64 << 10 {
            kept.clear();
        }
        kept.extend_from_slice(bytes);
    }
}

/// wasmi_wasi.
pub struct WasmiWasi {
    engine: wasmi::Engine,
    module: wasmi::Module,
    linker: wasmi::Linker<wasmi_wasi::WasiCtx>,
    directory: PathBuf,
}

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.put(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl WasmiWasi {
    pub fn new(guest: &[u8], directory: &Path) -> Result<Self> {
        let engine = wasmi::Engine::default();
        let module = wasmi::Module::new(&engine, guest)?;
        let mut linker = wasmi::Linker::new(&engine);
        wasmi_wasi::add_to_linker(&mut linker, |context| context)?;
        Ok(Self { engine, module, linker, directory: directory.into() })
    }
}

impl Host for WasmiWasi {
    fn run(&mut self, order: Order) -> Result<()> {
        use wasmi_wasi::{
            Dir, WasiCtxBuilder, ambient_authority,
            wasi_common::pipe::{ReadPipe, WritePipe},
        };
        let directory = Dir::open_ambient_dir(&self.directory, ambient_authority())?;
        let context = WasiCtxBuilder::new()
            .stdin(Box::new(ReadPipe::from(order.bytes().to_vec())))
            .stdout(Box::new(WritePipe::new(Sink::default())))
            .preopened_dir(directory, "/")?
            .build();
        let mut store = wasmi::Store::new(&self.engine, context);
        let instance = self.linker.instantiate_and_start(&mut store, &self.module)?;
        Ok(instance.get_typed_func::<(), ()>(&store, "_start")?.call(&mut store, ())?)
    }
}

/// wasmtime, compiled by Cranelift.
pub struct Wasmtime {
    engine: wasmtime::Engine,
    module: wasmtime::Module,
    linker: wasmtime::Linker<WasiP1Ctx>,
    directory: PathBuf,
}

impl tokio::io::AsyncWrite for Sink {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.put(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[wasmtime_wasi::async_trait]
impl wasmtime_wasi::p2::Pollable for Sink {
    async fn ready(&mut self) {}
}

impl wasmtime_wasi::p2::OutputStream for Sink {
    fn write(&mut self, bytes: bytes::Bytes) -> wasmtime_wasi::p2::StreamResult<()> {
        self.put(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> wasmtime_wasi::p2::StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> wasmtime_wasi::p2::StreamResult<usize> {
        Ok(64 << 10)
    }
}

impl wasmtime_wasi::cli::IsTerminal for Sink {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl wasmtime_wasi::cli::StdoutStream for Sink {
    fn p2_stream(&self) -> Box<dyn wasmtime_wasi::p2::OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

impl Wasmtime {
    pub fn new(guest: &[u8], directory: &Path) -> Result<Self> {
        let engine = wasmtime::Engine::default();
        let module = wasmtime::Module::new(&engine, guest)?;
        let mut linker = wasmtime::Linker::new(&engine);
        p1::add_to_linker_sync(&mut linker, |context| context)?;
        Ok(Self { engine, module, linker, directory: directory.into() })
    }
}

impl Host for Wasmtime {
    fn run(&mut self, order: Order) -> Result<()> {
        let context = wasmtime_wasi::WasiCtxBuilder::new()
            .stdin(MemoryInputPipe::new(order.bytes().to_vec()))
            .stdout(Sink::default())
            // As its command does: else each call goes to a pool of threads.
            .allow_blocking_current_thread(true)
            .preopened_dir(&self.directory, "/", FsPerms::ReadWrite)?
            .build_p1();
        let mut store = wasmtime::Store::new(&self.engine, context);
        let instance = self.linker.instantiate(&mut store, &self.module)?;
        Ok(instance.get_typed_func::<(), ()>(&mut store, "_start")?.call(&mut store, ())?)
    }
}
