//! The program's network: the machine's network device with the address and the rights that the manifest asks for.

use crate::{executor, virtio::net::Net};
use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::{
    future::poll_fn,
    mem,
    net::{Ipv4Addr, SocketAddr},
    pin::{Pin, pin},
    task::{Context, Poll},
};
use manifest::{Address, LAST_REQUESTS};
use wasi::{
    Machine,
    clocks::within,
    http::Secure,
    io::{InputStream, pipe},
    serve::Server,
    sockets::{Access, Allowed, Configuration, Family, Ipv4, Network, Policy, TcpSocket},
    tls::{Client, Roots},
    types::Nanoseconds,
};

/// How long DHCP may take.
const PATIENCE: Nanoseconds = 30_000_000_000;
/// How long the machine waits, at its end, for others to take what the program has sent them.
const LAST_PATIENCE: Nanoseconds = 5_000_000_000;

/// The network of the first of `devices`, which runs from now on.
///
/// # Errors
/// Why there is none, for a person.
pub fn open(settings: &manifest::Network, devices: Vec<Net>, machine: &Machine) -> Result<Network, String> {
    let device = devices.into_iter().next();
    let device =
        device.ok_or("the machine has no network device that works (QEMU: -device virtio-net-pci)")?;
    let network = Network::new(device, &configuration(&settings.address), machine);
    let network = network.map_err(|error| error.to_string())?;
    executor::spawn(network.run()).detach();
    Ok(network)
}

/// What the program may do on a network.
///
/// # Errors
/// What is wrong with the settings, for a person.
pub fn access(network: &Network, settings: &manifest::Network) -> Result<Access, String> {
    let connect = match &settings.connect {
        None => Allowed::Everything,
        Some(destinations) => {
            let parse = |text: &String| text.parse().map_err(|error| format!("{text:?}: {error}"));
            Allowed::These(destinations.iter().map(parse).collect::<Result<_, _>>()?)
        }
    };
    let listen = Allowed::These(settings.listen.clone());
    Ok(Access::new(network.clone(), Policy { connect, listen }))
}

/// TLS as the settings ask for it: with the authorities that Mozilla trusts, and those that are given.
///
/// # Errors
/// What is wrong with the settings, for a person.
pub fn tls(settings: &manifest::Network, machine: &Machine) -> Result<Arc<dyn Secure>, String> {
    let mut roots = Roots::mozilla();
    if !settings.authorities.is_empty() {
        roots = roots.add_pem(settings.authorities.as_bytes()).map_err(|error| format!("--ca: {error}"))?;
    }
    let client = Client::new(roots, machine.clock.clone(), machine.entropy.clone());
    Ok(Arc::new(client.map_err(|error| error.to_string())?))
}

fn configuration(address: &Address) -> Configuration {
    match *address {
        Address::Dhcp => Configuration::default(),
        Address::Static { address, prefix, gateway, ref nameservers } => Configuration {
            ipv4: Ipv4::Static { address, prefix, gateway },
            nameservers: nameservers.iter().copied().map(Into::into).collect(),
            ..Configuration::default()
        },
    }
}

/// Waits until the machine has its address.
///
/// # Errors
/// Why it has none, for a person.
pub async fn configured(network: &Network, machine: &Machine) -> Result<(), String> {
    let configured = within(&machine.clock, PATIENCE, |task| network.poll_configured(task)).await;
    log::debug!("network: {:?}", network.addresses());
    configured.ok_or_else(|| {
        let seconds = PATIENCE / 1_000_000_000;
        format!("no DHCP server has answered for {seconds} s; give the machine an address with --ip")
    })
}

/// Waits until others have taken what the program has sent them, or have had time enough.
pub async fn finish(network: &Network, machine: &Machine) {
    if within(&machine.clock, LAST_PATIENCE, |task| network.poll_sent(task)).await.is_none() {
        log::warn!("network: what the program sent last was not acknowledged in time, and is lost");
    }
}

/// Sockets that listen on these ports, for a program that cannot open them itself.
///
/// # Errors
/// Why one cannot, for a person.
pub fn listeners(access: &Access, ports: &[u16]) -> Result<Vec<TcpSocket>, String> {
    let listener = |&port: &u16| {
        let socket = access.tcp(Family::Ipv4)?;
        socket.bind(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port))?;
        socket.listen()?;
        Ok(socket)
    };
    let result =
        ports.iter().map(|port| listener(port).map_err(|error: wasi::Error| format!("port {port}: {error}")));
    result.collect()
}

/// Serves HTTP on these sockets until `stop` is ready; then those requests that are in flight, for [`LAST_REQUESTS`].
///
/// # Errors
/// Why one of them does not listen any more, for a person.
pub async fn serve(
    server: &Server,
    listeners: Vec<TcpSocket>,
    stop: impl Future<Output = ()>,
) -> Result<(), String> {
    // That it is closed is what all of them hear.
    let (stopped, serving) = pipe(1);
    let stopped = Arc::new(stopped);
    let serve = |listener| {
        let stopped = stopped.clone();
        let stop = poll_fn(move |task| stopped.poll_readable(task).map(drop));
        executor::spawn(server.clone().serve(listener, stop))
    };
    let mut tasks: Vec<_> = listeners.into_iter().map(serve).collect();
    let mut poll_all = |task: &mut Context<'_>| {
        let mut result = Ok(());
        tasks.retain_mut(|listener| match Pin::new(listener).poll(task) {
            Poll::Ready(ended) => {
                result = mem::replace(&mut result, Ok(())).and(ended);
                false
            }
            Poll::Pending => true,
        });
        match result {
            Ok(()) if !tasks.is_empty() => Poll::Pending,
            result => Poll::Ready(result.map_err(|error| error.to_string())),
        }
    };
    let mut stop = pin!(stop);
    let ended = poll_fn(|task| match poll_all(task) {
        Poll::Ready(ended) => Poll::Ready(Some(ended)),
        Poll::Pending => stop.as_mut().poll(task).map(|()| None),
    });
    if let Some(ended) = ended.await {
        return ended.and(Err("it has nothing to listen on".into()));
    }
    drop(serving);
    let ended = within(&server.machine.clock, LAST_REQUESTS * 1_000_000_000, poll_all).await;
    ended.unwrap_or_else(|| {
        log::warn!("requests that were in flight {LAST_REQUESTS} s after the end was asked for are given up");
        Ok(())
    })
}
