//! `wasi:sockets`: what is begun and finished, the children of sockets, and how errors are spelled. What sockets do is in
//! [`crate::sockets`].
//!
//! A program without a network is refused as wasmtime refuses it: `create-tcp-socket` and `create-udp-socket` are `access-denied`,
//! `resolve-addresses` is `permanent-resolver-failure`, and `instance-network` works.

mod lookup;
mod network;
mod tcp;
#[cfg(test)]
mod tests;
mod udp;

pub use lookup::ResolveAddressStream;
pub use network::Network;
pub use tcp::TcpSocket;
pub use udp::{IncomingDatagramStream, OutgoingDatagramStream, UdpSocket};

use super::{Interfaces, Polled};
use crate::Error;
use core::task::Poll;
use network::ErrorCode;

/// What a function of a socket gives.
type Coded<T> = Polled<Result<T, ErrorCode>>;

/// The result as the guest gets it.
fn coded<T>(result: Result<T, impl Into<ErrorCode>>) -> Coded<T> {
    Poll::Ready(Ok(result.map_err(Into::into)))
}

/// What a call gives that never waits.
fn now<T>(polled: Poll<Result<T, Error>>) -> Result<T, ErrorCode> {
    match polled {
        Poll::Ready(result) => result.map_err(Into::into),
        Poll::Pending => Err(ErrorCode::WouldBlock),
    }
}

/// Offers the interfaces.
pub fn register(linker: &mut Interfaces) {
    network::register(linker);
    lookup::register(linker);
    tcp::register(linker);
    udp::register(linker);
}

/// An option's value as 0.2 has it, of a field of the core's.
trait Setting<Field>: Sized {
    /// The value of a field.
    fn of(field: Field) -> Self;

    /// The field, unless the value is one that there cannot be.
    fn field(self) -> Option<Field>;
}

impl Setting<bool> for bool {
    fn of(field: bool) -> Self {
        field
    }

    fn field(self) -> Option<bool> {
        Some(self)
    }
}

macro_rules! numbers {
    ($($value:ty as $field:ty,)*) => {$(
        /// All but 0; what is too large for the field is its largest.
        impl Setting<$field> for $value {
            fn of(field: $field) -> Self {
                field.try_into().unwrap_or(Self::MAX)
            }

            fn field(self) -> Option<$field> {
                (self != 0).then(|| self.try_into().unwrap_or(<$field>::MAX))
            }
        }
    )*};
}
numbers! { u8 as u8, u32 as u32, u64 as u64, u64 as usize, }

/// Defines the functions that sockets of both kinds have, those that get and set an option of a socket, and `register_options`, which
/// offers them all.
macro_rules! options {
    ($socket:ty, $resource:literal: $(
        $field:ident: $value:ty,
        $(#[$get_doc:meta])* $get_name:literal $get:ident,
        $(#[$set_doc:meta])* $set_name:literal $set:ident;
    )*) => {
        /// The address that it is bound to.
        pub fn local_address(
            call: &mut Preview2<'_>,
            (socket,): &(Borrow<$socket>,),
        ) -> Coded<IpSocketAddress> {
            let socket = &call.data.state.table.get::<$socket>(socket.rep)?.socket;
            coded(socket.local_address().map(Into::into).ok_or(ErrorCode::InvalidState))
        }

        /// The address that it is connected to.
        pub fn remote_address(
            call: &mut Preview2<'_>,
            (socket,): &(Borrow<$socket>,),
        ) -> Coded<IpSocketAddress> {
            let socket = &call.data.state.table.get::<$socket>(socket.rep)?.socket;
            coded(socket.remote_address().map(Into::into).ok_or(ErrorCode::InvalidState))
        }

        /// What addresses it has.
        pub fn address_family(
            call: &mut Preview2<'_>,
            (socket,): &(Borrow<$socket>,),
        ) -> Polled<IpAddressFamily> {
            Poll::Ready(Ok(call.data.state.table.get::<$socket>(socket.rep)?.socket.family().into()))
        }

        /// A pollable for when something that it waits for has happened; at once if it waits for nothing.
        pub fn subscribe(
            call: &mut Preview2<'_>,
            (socket,): &(Borrow<$socket>,),
        ) -> Polled<Own<Pollable>> {
            Poll::Ready(Ok(call.data.state.subscribe(socket.rep)?))
        }

        $(
            $(#[$get_doc])*
            pub fn $get(
                call: &mut $crate::preview2::Preview2<'_>,
                (socket,): &(component::Borrow<$socket>,),
            ) -> $crate::preview2::sockets::Coded<$value> {
                let socket = &call.data.state.table.get::<$socket>(socket.rep)?.socket;
                let value = $crate::preview2::sockets::Setting::of(socket.options().$field);
                $crate::preview2::sockets::coded(Ok::<$value, $crate::Error>(value))
            }

            $(#[$set_doc])*
            pub fn $set(
                call: &mut $crate::preview2::Preview2<'_>,
                (socket, value): &(component::Borrow<$socket>, $value),
            ) -> $crate::preview2::sockets::Coded<()> {
                let socket = &call.data.state.table.get::<$socket>(socket.rep)?.socket;
                let field = $crate::preview2::sockets::Setting::field(*value).ok_or($crate::Error::Invalid);
                $crate::preview2::sockets::coded(
                    field.map(|field| socket.set_options(|options| options.$field = field)),
                )
            }
        )*

        fn register_options(interface: &mut component::host::InterfaceBuilder<'_, $crate::preview2::Data>) {
            interface
                .func(concat!("[method]", $resource, ".local-address"), local_address)
                .func(concat!("[method]", $resource, ".remote-address"), remote_address)
                .func(concat!("[method]", $resource, ".address-family"), address_family)
                .func(concat!("[method]", $resource, ".subscribe"), subscribe)$(
                .func(concat!("[method]", $resource, ".", $get_name), $get)
                .func(concat!("[method]", $resource, ".", $set_name), $set)
            )*;
        }
    };
}
use options;
