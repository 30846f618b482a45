//! `ip-name-lookup`.

use super::{
    Coded, coded,
    network::{ErrorCode, IpAddress, Network},
    now,
};
use crate::{
    Error,
    preview2::{
        Interfaces, Polled, Preview2, interface,
        io::{Pollable, Watch, Watched},
        offer,
    },
    sockets::Lookup,
};
use alloc::{string::String, vec};
use component::{Borrow, Own};
use core::{
    net::IpAddr,
    task::{Context, Poll, Waker, ready},
};

/// The resource `resolve-address-stream`.
pub struct ResolveAddressStream {
    answer: Answer,
    watch: Watch,
}

enum Answer {
    Awaited(Lookup),
    Addresses(vec::IntoIter<IpAddr>),
    Failed(Error),
}

impl ResolveAddressStream {
    fn next(&mut self) -> Result<Option<IpAddress>, ErrorCode> {
        now(self.poll_answer(&mut Context::from_waker(Waker::noop())).map(|()| match &mut self.answer {
            Answer::Addresses(addresses) => Ok(addresses.next().map(Into::into)),
            Answer::Failed(error) => Err(*error),
            Answer::Awaited(_) => Err(Error::WouldBlock),
        }))
    }

    fn poll_answer(&mut self, task: &mut Context<'_>) -> Poll<()> {
        if let Answer::Awaited(lookup) = &mut self.answer {
            self.answer = match ready!(lookup.poll(task)) {
                Ok(addresses) => Answer::Addresses(addresses.into_iter()),
                Err(error) => Answer::Failed(error),
            };
        }
        Poll::Ready(())
    }
}

impl Watched for ResolveAddressStream {
    fn watch(&mut self) -> &mut Watch {
        &mut self.watch
    }

    fn is_closed(&self) -> bool {
        !matches!(self.answer, Answer::Awaited(_))
    }

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<()> {
        self.poll_answer(task)
    }
}

pub fn register(linker: &mut Interfaces) {
    let mut lookup = interface(linker, "wasi:sockets/ip-name-lookup");
    offer::<Pollable>(&mut lookup);
    offer::<Network>(&mut lookup);
    offer::<ResolveAddressStream>(&mut lookup);
    lookup
        .func("resolve-addresses", resolve_addresses)
        .func("[method]resolve-address-stream.resolve-next-address", resolve_next_address)
        .func("[method]resolve-address-stream.subscribe", subscribe);
}

/// Begins to resolve a name.
pub fn resolve_addresses(
    call: &mut Preview2<'_>,
    (network, name): &(Borrow<Network>, String),
) -> Coded<Own<ResolveAddressStream>> {
    let state = &mut call.data.state;
    state.table.get::<Network>(network.rep)?;
    let Some(network) = &state.network else {
        return coded(Err(ErrorCode::PermanentResolverFailure));
    };
    coded(network.resolve(name).and_then(|lookup| {
        let stream = ResolveAddressStream { answer: Answer::Awaited(lookup), watch: Watch::default() };
        state.table.insert(stream).map(Own::new)
    }))
}

/// The next address, or that there is no more.
pub fn resolve_next_address(
    call: &mut Preview2<'_>,
    (stream,): &(Borrow<ResolveAddressStream>,),
) -> Coded<Option<IpAddress>> {
    coded(call.data.state.table.get_mut::<ResolveAddressStream>(stream.rep)?.next())
}

/// A pollable for when there is an answer.
pub fn subscribe(
    call: &mut Preview2<'_>,
    (stream,): &(Borrow<ResolveAddressStream>,),
) -> Polled<Own<Pollable>> {
    Poll::Ready(Ok(call.data.state.subscribe(stream.rep)?))
}
