//! What the connections of a server take that nothing happens on: no test, but what `tools/bench` measures (`measure=connections`),
//! beside a server under Linux. The server is the initrd's `guests/idle.wasm`, which says how many clients it has.

use super::{guests, machine};
use crate::{
    arch, executor,
    init::{self, network::MachineNetwork},
    logger, memory,
};
use alloc::{sync::Arc, vec};
use core::{future::poll_fn, str};
use manifest::{Address, Network};
use wasi::{
    Command, Limits, Program,
    io::{InputStream, pipe},
};

/// Reports how much memory the machine has promised whenever the server says how many clients it has, as `taken-CLIENTS BYTES`. Ends the
/// machine with the server.
pub(super) fn measure() -> ! {
    let wasi_machine = guests::wasi_machine();
    let settings =
        Network { address: Address::Dhcp, connect: Some(vec![]), listen: vec![80], authorities: "".into() };
    let network =
        MachineNetwork::open(&settings, &mut machine().devices.lock(), &wasi_machine).expect("a network");
    let server = Program::new(&init::engine(), guests::program("idle")).expect("a program");
    let (said, output) = pipe(64);
    let command = Command::new("idle")
        .arg("1000")
        .network(network.access().clone())
        .stdout(Arc::new(output))
        .limits(Limits::default().with_time(None));
    executor::block_on(async {
        network.configured(&wasi_machine).await.expect("an address");
        executor::spawn(server.start(&wasi_machine, command).expect("it starts")).detach();
        let mut line = [0; 64];
        while let Ok(count @ 1..) = poll_fn(|task| said.poll_read(task, &mut line)).await {
            let stats = memory::stats();
            let clients = str::from_utf8(&line[..count]).expect("a number").trim_end();
            logger::write(format_args!("taken-{clients} {}\n", stats.total - stats.available));
        }
    });
    arch::exit(manifest::debug_exit::ENDED)
}
