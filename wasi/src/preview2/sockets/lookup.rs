//! `ip-name-lookup`.

use super::{
    Coded, methods,
    network::{ErrorCode, IpAddress, Network},
};
use crate::preview2::{Interfaces, Preview2, interface, io::Pollable, offer};
use alloc::string::String;
use component::{Borrow, Own};
use core::task::Poll;

/// The resource `resolve-address-stream`, of which there is none.
pub enum ResolveAddressStream {}

pub fn register(linker: &mut Interfaces) {
    let mut lookup = interface(linker, "wasi:sockets/ip-name-lookup");
    offer::<Pollable>(&mut lookup);
    offer::<Network>(&mut lookup);
    offer::<ResolveAddressStream>(&mut lookup);
    lookup.func("resolve-addresses", resolve_addresses);
    methods! { lookup, ResolveAddressStream, "resolve-address-stream":
        "resolve-next-address"() -> Option<IpAddress>;
    }
    methods! { infallible lookup, ResolveAddressStream, "resolve-address-stream":
        "subscribe"() -> Own<Pollable>;
    }
}

/// Names cannot be resolved.
pub fn resolve_addresses(
    call: &mut Preview2<'_>,
    (network, _): &(Borrow<Network>, String),
) -> Coded<Own<ResolveAddressStream>> {
    call.data.state.table.get::<Network>(network.rep)?;
    Poll::Ready(Ok(Err(ErrorCode::NotSupported)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preview2::{sockets::network::instance, testing::*};

    #[test]
    fn no_name_is_resolved() {
        let mut guest = guest();
        let network = guest.call(instance, ());
        let resolved = guest.call(resolve_addresses, (Borrow::new(network.rep), "localhost".into()));
        assert_eq!(resolved, Err(ErrorCode::NotSupported));
    }
}
