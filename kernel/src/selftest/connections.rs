//! What the connections of a server take that nothing happens on: no test, but what `tools/bench` measures (`measure=connections`),
//! beside a server under Linux. The server is the initrd's `guests/idle.wasm`, which says how many clients it has.

use super::{guests, machine};
use crate::{
    arch, executor,
    init::{self, network},
    logger, memory,
    virtio::net::Net,
};
use alloc::{sync::Arc, vec};
use core::{future::poll_fn, str};
use manifest::{Address, Network};
use virtio_drivers::transport::DeviceType;
use wasi::{
    Command, Limits, Program,
    io::{InputStream, pipe},
};

/// Reports how much memory the machine has promised whenever the server says how many clients it has, as `taken-CLIENTS BYTES`. Ends the
/// machine with the server.
pub(super) fn measure() -> ! {
    let wasi_machine = guests::wasi_machine();
    let devices = machine().devices.lock().take(DeviceType::Network);
    let devices = devices.into_iter().map(|device| Net::new(device).expect("it starts")).collect();
    let settings =
        Network { address: Address::Dhcp, connect: Some(vec![]), listen: vec![80], authorities: "".into() };
    let network = network::open(&settings, devices, &wasi_machine).expect("a network");
    let access = network::access(&network, &settings).expect("sound settings");
    let server = Program::new(&init::engine(), guests::program("idle")).expect("a program");
    let (said, output) = pipe(64);
    let command = Command::new("idle")
        .arg("1000")
        .network(access)
        .stdout(Arc::new(output))
        .limits(Limits::default().with_time(None));
    executor::block_on(async {
        network::configured(&network, &wasi_machine).await.expect("an address");
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
