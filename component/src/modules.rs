//! Core modules: how the embedder compiles them, and how they are instantiated in the store of a run.
//!
//! An embedder has its own ways to compile (limits, memories of its own, instructions replaced); [`PlainModules`] is wasmi's.

use alloc::{boxed::Box, format, sync::Arc, vec::Vec};
use wasmi::{Extern, Func, ImportType, Instance, Module, Store};

/// Compiles the core modules of components, all for one `wasmi::Engine`.
pub trait Modules<T> {
    /// Compiles a module that is valid.
    ///
    /// # Errors
    /// wasmi's, and whatever the embedder refuses.
    fn compile(&self, wasm: &[u8]) -> Result<Arc<dyn CoreModule<T>>, wasmi::Error>;
}

/// What gives a module its imports: the item of this name in the instance of that name.
pub type Resolve<'a, T> = dyn Fn(&Store<T>, &str, &str) -> Option<Extern> + 'a;

/// A compiled core module.
pub trait CoreModule<T>: Send + Sync {
    /// Makes an instance. Gives its start function too, if it has one, which has not run yet: the caller calls it
    /// so that it can be parked and preempted as any other function.
    ///
    /// # Errors
    /// An import that is missing or of the wrong type; data or elements that do not fit; a limit of the store.
    fn instantiate(
        &self,
        store: &mut Store<T>,
        resolve: &Resolve<'_, T>,
    ) -> Result<(Instance, Option<Func>), wasmi::Error>;
}

/// wasmi's own compilation.
pub struct PlainModules {
    engine: wasmi::Engine,
}

impl PlainModules {
    /// Compiles with `engine`, in whose stores the components then run.
    pub fn new(engine: &wasmi::Engine) -> Self {
        Self { engine: engine.clone() }
    }
}

struct PlainModule {
    module: Module,
    start: Option<Box<str>>,
}

impl<T: 'static> Modules<T> for PlainModules {
    fn compile(&self, wasm: &[u8]) -> Result<Arc<dyn CoreModule<T>>, wasmi::Error> {
        let without_start = crate::start::export(wasm);
        let (wasm, start) = match &without_start {
            Some((wasm, name)) => (&**wasm, Some(name.clone())),
            None => (wasm, None),
        };
        Ok(Arc::new(PlainModule { module: Module::new(&self.engine, wasm)?, start }))
    }
}

impl<T: 'static> CoreModule<T> for PlainModule {
    fn instantiate(
        &self,
        store: &mut Store<T>,
        resolve: &Resolve<'_, T>,
    ) -> Result<(Instance, Option<Func>), wasmi::Error> {
        let imports = imports(self.module.imports(), store, resolve)?;
        let instance = Instance::new(&mut *store, &self.module, &imports)?;
        let start = self.start.as_ref().and_then(|name| instance.get_func(&*store, name));
        Ok((instance, start))
    }
}

/// What `resolve` gives for each of `imports`, in order.
///
/// # Errors
/// Names the import that is missing.
pub fn imports<'m, T>(
    imports: impl Iterator<Item = ImportType<'m>>,
    store: &Store<T>,
    resolve: &Resolve<'_, T>,
) -> Result<Vec<Extern>, wasmi::Error> {
    // Collecting into a `Result` would begin with room for few and grow: it does not know how many come before the first error.
    let mut given = Vec::with_capacity(imports.size_hint().0);
    for import in imports {
        let (module, name) = (import.module(), import.name());
        let missing = || wasmi::Error::new(format!("the core import {module:?} {name:?} is missing"));
        given.push(resolve(store, module, name).ok_or_else(missing)?);
    }
    Ok(given)
}
