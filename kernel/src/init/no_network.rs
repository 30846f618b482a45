//! What a kernel without the feature `full` has in place of a network (see `network`): a type of which there is no value.

use super::{Error, stdio::Stdio};
use crate::virtio::Devices;
use alloc::{string::String, vec::Vec};
use core::{convert::Infallible, marker::PhantomData};
use manifest::Download;
use wasi::{Command, Engine, Machine};

/// The machine's network: there is none.
pub struct MachineNetwork<'a>(Infallible, PhantomData<&'a ()>);

impl MachineNetwork<'_> {
    /// # Errors
    /// That there is none, for a person.
    pub fn open(_: &manifest::Network, _: &mut Devices, _: &Machine) -> Result<Self, String> {
        Err("this kernel is for modules without one; start the machine with the kernel that `sisal image` gives a program with a network".into())
    }

    pub async fn configured(&self, _: &Machine) -> Result<(), String> {
        match self.0 {}
    }

    pub async fn download(&self, _: &Download, _: &Machine) -> Result<Vec<u8>, String> {
        match self.0 {}
    }

    pub fn give(&self, _: Command) -> Command {
        match self.0 {}
    }

    pub fn give_listeners(&self, _: Command) -> Result<Command, String> {
        match self.0 {}
    }

    pub async fn serve(&self, _: &Engine, _: &[u8], _: Command, _: &Machine, _: &Stdio) -> Result<(), Error> {
        match self.0 {}
    }

    pub async fn finish(&self, _: &Machine) {
        match self.0 {}
    }
}
