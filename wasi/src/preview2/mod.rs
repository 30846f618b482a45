//! WASI 0.2 (0.2.12, and so every 0.2): decodes nothing, since the component model does, calls the core, and spells its
//! errors. What the calls mean is in the core modules.
//!
//! One file or directory for each package. All functions share one form, `fn(&mut Preview2<'_>, &Params) -> Polled<R>`: what the WIT
//! calls an error is a `Result` in `R`, an error of the call itself is a trap.

mod clocks;
mod environment;
mod exit;
mod filesystem;
mod http;
mod io;
mod random;
mod sockets;
mod stdio;
mod table;
mod terminal;
#[cfg(test)]
mod testing;

use crate::{
    Error,
    call::StoreData,
    cli::Grants,
    clocks::Clock,
    filesystem::Directory,
    http::{Connector, NetworkConnector},
    random::Entropy,
    sockets::Access,
};
use alloc::{format, string::String, sync::Arc, vec::Vec};
use component::{Call, Linker, Trap, host::InterfaceBuilder};
use core::task::Poll;
use io::{Input, Origin, Output, Poller};
use table::{Resource, Table};

/// The version of the interfaces: the newest, which serves all that ask for any 0.2.
const VERSION: &str = "0.2.12";

/// What the functions work on: one guest's resources, and what it was handed.
pub struct State {
    args: Vec<String>,
    environment: Vec<(String, String)>,
    stdin: Input,
    stdout: Output,
    stderr: Output,
    preopens: Vec<(String, Directory)>,
    /// What the program may do on the network; none is no network.
    network: Option<Access>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    table: Table,
    poller: Poller,
    /// What makes connections for requests; without it, none is made.
    connector: Option<Arc<dyn Connector>>,
    /// What the component model keeps of the run.
    pub(crate) component: component::State<Data>,
    /// What a parked call has made so far ([`random`]).
    bytes: Vec<u8>,
}

impl State {
    /// The state of a guest that has not run yet.
    pub fn new(grants: Grants) -> Self {
        Self {
            args: grants.args,
            environment: grants.environment,
            stdin: Input::new(grants.stdin, Origin::Stdio),
            stdout: Output::new(grants.stdout, Origin::Stdio),
            stderr: Output::new(grants.stderr, Origin::Stdio),
            preopens: grants.preopens,
            connector: grants
                .network
                .clone()
                .map(|access| Arc::new(NetworkConnector::new(access, grants.tls)) as _),
            network: grants.network,
            clock: grants.clock,
            entropy: grants.entropy,
            table: Table::new(grants.max_descriptors),
            poller: Poller::default(),
            component: component::State::new(),
            bytes: Vec::new(),
        }
    }
}

/// The data of a store that components run in.
pub type Data = StoreData<State>;

/// What a function of 0.2 gets first.
type Preview2<'a> = Call<'a, Data>;

/// What it returns.
type Polled<R> = Poll<core::result::Result<R, wasmi::Error>>;

/// Where the interfaces are offered.
type Interfaces = Linker<Data>;

/// All interfaces.
pub fn linker() -> Linker<Data> {
    let mut linker = Linker::new();
    clocks::register(&mut linker);
    environment::register(&mut linker);
    exit::register(&mut linker);
    filesystem::register(&mut linker);
    http::register(&mut linker);
    io::register(&mut linker);
    random::register(&mut linker);
    sockets::register(&mut linker);
    stdio::register(&mut linker);
    terminal::register(&mut linker);
    linker
}

/// The interface `name`, in our version.
fn interface<'l>(linker: &'l mut Interfaces, name: &str) -> InterfaceBuilder<'l, Data> {
    linker.interface(&format!("{name}@{VERSION}"))
}

/// Offers a resource type: in its own interface, and in all others that use it.
fn offer<R: Resource>(interface: &mut InterfaceBuilder<'_, Data>) {
    interface.resource::<R>(R::NAME, |data, rep| Ok(data.state.table.remove::<R>(rep)?));
}

/// The trap of a call that cannot say in its result that there is no room for a resource, or no memory.
fn refused(error: Error) -> Trap {
    match error {
        Error::TooManyOpen => Trap::Limit("the resources of a program, which its descriptors' limit sets"),
        error => failed(error),
    }
}

/// The trap of a call that cannot say in its result that it failed.
fn failed(error: Error) -> Trap {
    Trap::Host(format!("{error}"))
}
