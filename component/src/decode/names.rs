//! Names, each kept once.

use crate::definitions::Name;
use hashbrown::HashSet;

#[derive(Default)]
pub(super) struct Names(HashSet<Name>);

impl Names {
    pub(super) fn get(&mut self, name: &str) -> Name {
        self.0.get_or_insert_with(name, |name| name.into()).clone()
    }
}
