//! The program's network: the machine's network device with the address and the rights that the manifest asks for, and what
//! is done over it: to get the program, to serve requests with it. `no_network` stands in its place in a kernel without the feature `full`.

use super::{Error, download::download, start, stdio::Stdio};
use crate::{
    executor, timings,
    virtio::{Devices, net::Net},
};
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
use manifest::{Address, Download, LAST_REQUESTS, Status};
use virtio_drivers::transport::DeviceType;
use wasi::{
    Command, Engine, Machine,
    clocks::within,
    http::{self, Secure},
    io::{InputStream, pipe},
    serve::{Handler, Server},
    sockets::{Access, Allowed, Configuration, Family, Ipv4, Network, Policy, TcpSocket},
    tls::{Client, Roots},
    types::Nanoseconds,
};

/// How long DHCP may take.
const PATIENCE: Nanoseconds = 30_000_000_000;
/// How long the machine waits, at its end, for others to take what the program has sent them.
const LAST_PATIENCE: Nanoseconds = 5_000_000_000;

/// Connections that a server has at once. More wait.
const CONNECTIONS: usize = 1024;

/// The machine's network, with what the program may do there.
pub struct MachineNetwork<'a> {
    settings: &'a manifest::Network,
    access: Access,
    tls: Arc<dyn Secure>,
}

impl<'a> MachineNetwork<'a> {
    /// The network of the first device that works, which runs from now on.
    ///
    /// # Errors
    /// Why there is none, or what is wrong with the settings, for a person.
    pub fn open(
        settings: &'a manifest::Network,
        devices: &mut Devices,
        machine: &Machine,
    ) -> Result<Self, String> {
        let device = start(devices, DeviceType::Network, Net::new).into_iter().next();
        let device =
            device.ok_or("the machine has no network device that works (QEMU: -device virtio-net-pci)")?;
        let network = Network::new(device, &configuration(&settings.address), machine);
        let network = network.map_err(|error| error.to_string())?;
        executor::spawn(network.run()).detach();
        Ok(Self { settings, access: access(network, settings)?, tls: tls(settings, machine)? })
    }

    /// What the program may do there.
    #[cfg(feature = "selftest")]
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// Waits until the machine has its address.
    ///
    /// # Errors
    /// Why it has none, for a person.
    pub async fn configured(&self, machine: &Machine) -> Result<(), String> {
        let network = self.access.network();
        let configured = within(&machine.clock, PATIENCE, |task| network.poll_configured(task)).await;
        log::debug!("network: {:?}", network.addresses());
        configured.ok_or_else(|| {
            let seconds = PATIENCE / 1_000_000_000;
            format!("no DHCP server has answered for {seconds} s; give the machine an address with --ip")
        })
    }

    /// Gets a program.
    ///
    /// # Errors
    /// Why it cannot be had, for a person.
    pub async fn download(&self, what: &Download, machine: &Machine) -> Result<Vec<u8>, String> {
        self.configured(machine).await?;
        let program = download(what, self.access.network(), self.tls.clone(), machine).await;
        timings::reached("program downloaded");
        program
    }

    /// `command` with this network.
    pub fn give(&self, command: Command) -> Command {
        command.network(self.access.clone()).tls(self.tls.clone())
    }

    /// `command` with sockets that listen, for a program that cannot open them itself.
    ///
    /// # Errors
    /// Why one cannot, for a person.
    pub fn give_listeners(&self, command: Command) -> Result<Command, String> {
        Ok(self.listeners()?.into_iter().fold(command, Command::listener))
    }

    fn listeners(&self) -> Result<Vec<TcpSocket>, String> {
        let listener = |&port: &u16| {
            let socket = self.access.tcp(Family::Ipv4)?;
            socket.bind(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port))?;
            socket.listen()?;
            Ok(socket)
        };
        let ports = self.settings.listen.iter();
        ports
            .map(|port| listener(port).map_err(|error: wasi::Error| format!("port {port}: {error}")))
            .collect()
    }

    /// Serves HTTP requests with the component `wasm` until the host asks for the end.
    ///
    /// # Errors
    /// It is no such component, or cannot be reached.
    pub async fn serve(
        &self,
        engine: &Engine,
        wasm: &[u8],
        command: Command,
        machine: &Machine,
        host: &Stdio,
    ) -> Result<(), Error> {
        let handler = Handler::new(engine, wasm).map_err(Error::Program)?;
        self.configured(machine).await.map_err(Error::Network)?;
        let listeners = self.listeners().map_err(Error::Network)?;
        let (command, limits) = (self.give(command), http::Limits::default());
        let server = Server { handler, machine: machine.clone(), command, limits, connections: CONNECTIONS };
        host.report(&Status::Serving).await;
        serve(&server, listeners, host.stopped()).await.map_err(Error::Network)
    }

    /// Waits until others have taken what the program has sent them, or have had time enough.
    pub async fn finish(&self, machine: &Machine) {
        let network = self.access.network();
        if within(&machine.clock, LAST_PATIENCE, |task| network.poll_sent(task)).await.is_none() {
            log::warn!("network: what the program sent last was not acknowledged in time, and is lost");
        }
        timings::reached("network idle");
    }
}

/// What the program may do on a network.
fn access(network: Network, settings: &manifest::Network) -> Result<Access, String> {
    let connect = match &settings.connect {
        None => Allowed::Everything,
        Some(destinations) => {
            let parse = |text: &String| text.parse().map_err(|error| format!("{text:?}: {error}"));
            Allowed::These(destinations.iter().map(parse).collect::<Result<_, _>>()?)
        }
    };
    let listen = Allowed::These(settings.listen.clone());
    Ok(Access::new(network, Policy { connect, listen }))
}

/// TLS as the settings ask for it: with the authorities that Mozilla trusts, and those that are given.
fn tls(settings: &manifest::Network, machine: &Machine) -> Result<Arc<dyn Secure>, String> {
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

/// Serves HTTP on these sockets until `stop` is ready; then those requests that are in flight, for [`LAST_REQUESTS`].
///
/// # Errors
/// Why one of them does not listen any more, for a person.
async fn serve(
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
