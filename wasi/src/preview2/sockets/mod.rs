//! `wasi:sockets` on a machine without a network: sockets cannot be made and names cannot be resolved, so that all methods are there,
//! with their types, and none is ever called on anything. The programs of today's toolchains import them whether they use
//! them or not.

mod lookup;
mod network;
mod tcp;
mod udp;

pub use lookup::ResolveAddressStream;
pub use network::Network;
pub use tcp::TcpSocket;
pub use udp::{IncomingDatagramStream, OutgoingDatagramStream, UdpSocket};

use super::{Interfaces, Polled, State, table::Resource};
use component::{Borrow, Trap};
use core::task::Poll;
use network::ErrorCode;

/// What a function of a socket gives.
type Coded<T> = Polled<Result<T, ErrorCode>>;

/// Offers the interfaces.
pub fn register(linker: &mut Interfaces) {
    network::register(linker);
    lookup::register(linker);
    tcp::register(linker);
    udp::register(linker);
}

/// Looks a socket up. None is in a state in which anything can be done with it.
fn unusable<R: Resource, T>(state: &State, socket: Borrow<R>) -> Coded<T> {
    state.table.get::<R>(socket.rep)?;
    Poll::Ready(Ok(Err(ErrorCode::InvalidState)))
}

/// Looks a socket up, for a function that cannot say that there is nothing to tell of it.
fn unknown<R: Resource, T>(state: &State, socket: Borrow<R>) -> Polled<T> {
    state.table.get::<R>(socket.rep)?;
    Poll::Ready(Err(Trap::UnknownHandle(socket.rep).into()))
}

/// Defines methods: `name(parameters) -> result`; those marked `infallible` have no error.
macro_rules! methods {
    ($interface:expr, $socket:ty, $resource:literal: $($name:literal ($($parameter:ty),*) -> $result:ty;)*) => {
        $($interface.func(
            concat!("[method]", $resource, ".", $name),
            |call: &mut $crate::preview2::Preview2<'_>, parameters: &(component::Borrow<$socket>, $($parameter,)*)|
                -> $crate::preview2::sockets::Coded<$result> {
                $crate::preview2::sockets::unusable(&call.data.state, parameters.0)
            },
        );)*
    };
    (infallible $interface:expr, $socket:ty, $resource:literal: $($name:literal () -> $result:ty;)*) => {
        $($interface.func(
            concat!("[method]", $resource, ".", $name),
            |call: &mut $crate::preview2::Preview2<'_>, &(socket,): &(component::Borrow<$socket>,)|
                -> $crate::preview2::Polled<$result> {
                $crate::preview2::sockets::unknown(&call.data.state, socket)
            },
        );)*
    };
}
use methods;
