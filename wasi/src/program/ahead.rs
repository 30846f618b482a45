//! Translating all functions of a program before it runs, one by one, with a look at the memory that is left before each.
//!
//! wasmi translates a function when it is first called, and has nothing else to make it. So each is called, with no fuel:
//! it is translated, and ends before its first instruction.

use super::footprint::Footprint;
use crate::{Result, heap};
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::sync::atomic::{AtomicBool, Ordering};
use wasmi::{Instance, Store, Val};

/// The functions of a program whose functions are all exported (see `rewrite`).
pub(super) struct Functions {
    footprint: Footprint,
    /// What their names begin with, before the number.
    names: String,
    sizes: Box<[usize]>,
    translated: AtomicBool,
}

impl Functions {
    /// Those with the names `names` and numbers, and bodies of these sizes.
    pub(super) fn new(footprint: Footprint, names: String, sizes: impl Iterator<Item = usize>) -> Self {
        Self { footprint, names, sizes: sizes.collect(), translated: AtomicBool::new(false) }
    }

    /// Translates them, if that has not been done for another instance.
    ///
    /// # Errors
    /// [`Error::NoMemory`](crate::Error::NoMemory): the program is as good as before, and must not be run.
    pub(super) fn translate<T>(&self, store: &mut Store<T>, instance: &Instance) -> Result<()> {
        if self.translated.load(Ordering::Acquire) {
            return Ok(());
        }
        // An error would mean that it is not metered: then it has fuel, and this would run the program.
        store.set_fuel(0).map_err(|_| crate::Error::NoMemory)?;
        let (mut arguments, mut results) = (Vec::new(), Vec::new());
        for (index, &size) in self.sizes.iter().enumerate() {
            heap::check_for(self.footprint.translation_of(size))?;
            let Some(function) = instance.get_func(&*store, &format!("{}{index}", self.names)) else {
                continue;
            };
            let ty = function.ty(&*store);
            arguments.clear();
            arguments.extend(ty.params().iter().map(|&ty| Val::default_for_ty(ty)));
            results.clear();
            results.extend(ty.results().iter().map(|&ty| Val::default_for_ty(ty)));
            // It is out of fuel, or an error: one that cannot be translated is none that is ever called with success.
            drop(function.call_resumable(&mut *store, &arguments, &mut results));
        }
        self.translated.store(true, Ordering::Release);
        Ok(())
    }
}
