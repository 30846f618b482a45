//! Resources that a program has.

use crate::script::Script;
use std::{mem, rc::Rc};

/// As many of one kind as are kept.
const MOST: usize = 12;

/// A resource type of the bindings.
pub trait Forge {
    /// A resource by a handle that may be nobody's, or another's.
    fn forge(handle: u32) -> Self;
}

macro_rules! forge {
    ($($resource:ty),+ $(,)?) => {
        $(impl Forge for $resource {
            fn forge(handle: u32) -> Self {
                // SAFETY: what a wrong handle does is what this program is to find out; it has no memory of its own behind any.
                unsafe { Self::from_handle(handle) }
            }
        })+
    };
}
pub(crate) use forge;

/// Resources of one kind.
pub struct Pool<T>(Vec<Rc<T>>);

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Forge> Pool<T> {
    pub fn add(&mut self, resource: T) {
        if self.0.len() < MOST {
            self.0.push(Rc::new(resource));
        } else {
            // It stays open.
            mem::forget(resource);
        }
    }

    pub fn keep<E>(&mut self, made: Result<T, E>) {
        if let Ok(resource) = made {
            self.add(resource);
        }
    }

    /// One of them; now and then what is none.
    pub fn pick(&self, script: &mut Script) -> Option<Rc<T>> {
        if script.once_in(64) {
            let forged = Rc::new(T::forge(script.below(24) as u32));
            // Whosever it is, it is not dropped.
            mem::forget(forged.clone());
            return Some(forged);
        }
        let at = script.below(self.0.len());
        self.0.get(at).cloned()
    }

    /// Takes one away.
    pub fn take(&mut self, script: &mut Script) -> Option<T> {
        if self.0.is_empty() {
            return None;
        }
        let at = script.below(self.0.len());
        Rc::into_inner(self.0.swap_remove(at))
    }

    /// Leaves all open.
    pub fn forget(&mut self) {
        mem::forget(mem::take(&mut self.0));
    }
}
