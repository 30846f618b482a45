//! The peers: wasmi_wasi, and wasmtime.

use super::check;
use crate::{Result, race::Contestant};

/// What a peer keeps of the output, at most.
const CAPACITY: usize = 64 << 10;

pub fn wasmi_wasi(wasm: &[u8]) -> Result<Contestant<'static>> {
    use wasmi_wasi::{WasiCtx, WasiCtxBuilder, wasi_common::pipe::WritePipe};
    let engine = wasmi::Engine::default();
    let module = wasmi::Module::new(&engine, wasm)?;
    let mut linker = wasmi::Linker::<WasiCtx>::new(&engine);
    wasmi_wasi::add_to_linker(&mut linker, |context| context)?;
    Ok(Box::new(move |count| {
        for _ in 0..count {
            let stdout = WritePipe::new_in_memory();
            let context =
                WasiCtxBuilder::new().arg("hello")?.arg("0")?.stdout(Box::new(stdout.clone())).build();
            let mut store = wasmi::Store::new(&engine, context);
            let instance = linker.instantiate_and_start(&mut store, &module)?;
            instance.get_typed_func::<(), ()>(&store, "_start")?.call(&mut store, ())?;
            drop(store);
            let written = stdout.try_into_inner().map_err(|_| "somebody still writes")?;
            check(written.get_ref())?;
        }
        Ok(())
    }))
}

pub fn wasmtime(wasm: &[u8], pooling: bool) -> Result<Contestant<'static>> {
    use wasmtime_wasi::{
        WasiCtxBuilder,
        p1::{WasiP1Ctx, add_to_linker_sync},
        p2::pipe::MemoryOutputPipe,
    };
    let mut config = wasmtime::Config::new();
    if pooling {
        config.allocation_strategy(wasmtime::PoolingAllocationConfig::default());
    }
    let engine = wasmtime::Engine::new(&config)?;
    let module = wasmtime::Module::new(&engine, wasm)?;
    let mut linker = wasmtime::Linker::<WasiP1Ctx>::new(&engine);
    add_to_linker_sync(&mut linker, |context| context)?;
    let ready = linker.instantiate_pre(&module)?;
    Ok(Box::new(move |count| {
        for _ in 0..count {
            let stdout = MemoryOutputPipe::new(CAPACITY);
            let context = WasiCtxBuilder::new().arg("hello").arg("0").stdout(stdout.clone()).build_p1();
            let mut store = wasmtime::Store::new(&engine, context);
            let instance = ready.instantiate(&mut store)?;
            instance.get_typed_func::<(), ()>(&mut store, "_start")?.call(&mut store, ())?;
            check(&stdout.contents())?;
        }
        Ok(())
    }))
}
