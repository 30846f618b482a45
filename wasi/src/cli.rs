//! What a command is started with (wasi-cli: arguments, environment, stdio, preopened directories), what it may use, and
//! the machine that it runs on. All closed and deterministic until opened.

use crate::{
    Limits, StartError,
    clocks::Clock,
    driver::Slices,
    filesystem::{Directory, Node, Permissions},
    http::Secure,
    io::{BytesInput, InputStream, NullOutput, OutputStream},
    memory::LinearMemories,
    program::growth::LARGEST_SLICE,
    random::Entropy,
    sockets::{Access, TcpSocket},
};
use alloc::{string::String, sync::Arc, vec::Vec};

/// What programs run on. Cheap to clone.
#[derive(Clone)]
pub struct Machine {
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// The source of random bytes.
    pub entropy: Arc<dyn Entropy>,
    /// Where linear memories live; without one, on the heap.
    pub memories: Option<Arc<dyn LinearMemories>>,
}

/// What one run of a program is started with; a clone is as good for the next. By default: one argument (the name), no environment, an empty stdin,
/// stdout and stderr thrown away, no directories, no
/// network, and the default [`Limits`].
#[derive(Clone)]
pub struct Command {
    /// The arguments; the first is the program's own name.
    pub(crate) args: Vec<String>,
    /// The environment.
    pub(crate) env: Vec<(String, String)>,
    pub(crate) stdin: Stdin,
    pub(crate) stdout: Arc<dyn OutputStream>,
    pub(crate) stderr: Arc<dyn OutputStream>,
    pub(crate) preopens: Vec<Preopen>,
    pub(crate) network: Option<Access>,
    pub(crate) tls: Option<Arc<dyn Secure>>,
    pub(crate) listeners: Vec<TcpSocket>,
    pub(crate) limits: Limits,
    pub(crate) slices: Slices,
}

/// What a program is handed: a [`Command`] on a [`Machine`], checked. Each face makes its state of it.
pub struct Grants {
    /// The arguments, the program's name first. None has a NUL.
    pub args: Vec<String>,
    /// The environment: names and values. None has a NUL, and no name is empty or has a `=`.
    pub environment: Vec<(String, String)>,
    /// Where stdin comes from.
    pub stdin: Arc<dyn InputStream>,
    /// Where stdout goes.
    pub stdout: Arc<dyn OutputStream>,
    /// Where stderr goes.
    pub stderr: Arc<dyn OutputStream>,
    /// The names that the program knows its directories by, and the directories with their permissions.
    pub preopens: Vec<(String, Directory)>,
    /// The network, if it may use one.
    pub network: Option<Access>,
    /// What makes its requests secret, if something does.
    pub tls: Option<Arc<dyn Secure>>,
    /// The sockets that it has from the start, listening.
    pub listeners: Vec<TcpSocket>,
    /// Descriptors that may be open at once, stdio and the directories included.
    pub max_descriptors: u32,
    /// The machine's clocks.
    pub clock: Arc<dyn Clock>,
    /// The machine's randomness.
    pub entropy: Arc<dyn Entropy>,
}

/// Bytes are every run's anew; a stream is shared by the runs of a command.
#[derive(Clone)]
pub(crate) enum Stdin {
    Bytes(Arc<[u8]>),
    Stream(Arc<dyn InputStream>),
}

/// A directory that a program has from the start.
#[derive(Clone)]
pub(crate) struct Preopen {
    /// Its path, as the program sees it.
    pub(crate) path: String,
    pub(crate) node: Arc<dyn Node>,
    pub(crate) permissions: Permissions,
}

impl Command {
    /// A command whose `argv[0]` is `name`.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            args: Vec::from([name.into()]),
            env: Vec::new(),
            stdin: Stdin::Bytes(Arc::default()),
            stdout: Arc::new(NullOutput),
            stderr: Arc::new(NullOutput),
            preopens: Vec::new(),
            network: None,
            tls: None,
            listeners: Vec::new(),
            limits: Limits::default(),
            slices: Slices::default(),
        }
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of the environment; the same name replaces.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let name = name.into();
        self.env.retain(|(known, _)| *known != name);
        self.env.push((name, value.into()));
        self
    }

    /// Bytes for stdin, and then its end. Every run of a clone of this command gets all of them.
    pub fn input(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.stdin = Stdin::Bytes(bytes.as_ref().into());
        self
    }

    /// Where stdin comes from.
    pub fn stdin(mut self, stream: Arc<dyn InputStream>) -> Self {
        self.stdin = Stdin::Stream(stream);
        self
    }

    /// Where stdout goes.
    pub fn stdout(mut self, stream: Arc<dyn OutputStream>) -> Self {
        self.stdout = stream;
        self
    }

    /// Where stderr goes.
    pub fn stderr(mut self, stream: Arc<dyn OutputStream>) -> Self {
        self.stderr = stream;
        self
    }

    /// Gives the program a directory, under `path`.
    pub fn preopen(mut self, path: impl Into<String>, node: Arc<dyn Node>, permissions: Permissions) -> Self {
        self.preopens.push(Preopen { path: path.into(), node, permissions });
        self
    }

    /// What `https` is made with, for a program that makes requests over its [network](Self::network); without it, there is none.
    pub fn tls(mut self, tls: Arc<dyn Secure>) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Gives the program the network, as far as the access goes.
    pub fn network(mut self, access: Access) -> Self {
        self.network = Some(access);
        self
    }

    /// Gives the program a socket, which is to be [listening](TcpSocket::listen). Preview 1 has them as descriptors from 3 on, before the
    /// directories; 0.2 has no word for them.
    pub fn listener(mut self, socket: TcpSocket) -> Self {
        self.listeners.push(socket);
        self
    }

    /// What the run may use.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Preempts the program after every `fuel` units (at most 200,000), in place of every half millisecond or so: for tests that want it preempted in
    /// every possible place, always the same.
    pub fn slice_fuel(mut self, fuel: u64) -> Self {
        self.slices = Slices::Fixed(fuel.min(LARGEST_SLICE));
        self
    }

    /// What the program is handed.
    ///
    /// # Errors
    /// [`StartError`] for what C strings and `NAME=value` cannot carry, and for a preopen that is not a directory.
    pub(crate) fn grants(self, machine: &Machine) -> Result<Grants, StartError> {
        let environment = self.env.into_iter().map(|(name, value)| {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                return Err(StartError::Environment(name));
            }
            Ok((name, value))
        });
        let args = self
            .args
            .into_iter()
            .map(|arg| if arg.contains('\0') { Err(StartError::Argument(arg)) } else { Ok(arg) });
        let preopens = self.preopens.into_iter().map(|Preopen { path, node, permissions }| {
            match Directory::new(node, permissions) {
                Ok(directory) => Ok((path, directory)),
                Err(error) => Err(StartError::Preopen(path, error)),
            }
        });
        Ok(Grants {
            args: args.collect::<Result<_, _>>()?,
            environment: environment.collect::<Result<_, _>>()?,
            stdin: match self.stdin {
                Stdin::Bytes(bytes) => Arc::new(BytesInput::new(bytes)),
                Stdin::Stream(stream) => stream,
            },
            stdout: self.stdout,
            stderr: self.stderr,
            preopens: preopens.collect::<Result<_, _>>()?,
            network: self.network,
            tls: self.tls,
            listeners: self.listeners,
            max_descriptors: self.limits.descriptors.unwrap_or(u32::MAX),
            clock: machine.clock.clone(),
            entropy: machine.entropy.clone(),
        })
    }
}
