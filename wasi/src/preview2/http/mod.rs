//! `wasi:http`: `types`, `outgoing-handler`, and the host's side of `incoming-handler`. What happens between two peers is in
//! [`http`](crate::http).
//!
//! `headers` are not children of what they are the headers of, though the WIT says so: they are copies that share it, so that what
//! is dropped first makes no difference, and guests that were never told that it does (wasmtime has it like this too) run.

mod error;
mod fields;
mod handler;
mod incoming;
mod outgoing;
#[cfg(test)]
mod tests;

pub use fields::Fields;
pub use handler::{FutureIncomingResponse, ResponseOutparam};
pub use incoming::{FutureTrailers, IncomingBody, IncomingRequest, IncomingResponse};
pub use outgoing::{OutgoingBody, OutgoingRequest, OutgoingResponse, RequestOptions};

use super::{
    Interfaces, State, interface,
    io::{Input, IoError, Output, Pollable},
    offer, refused,
    table::Resource,
};
use crate::http;
use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use component::{Lower, Own, Trap, Value};

component::variant! {
    /// A method.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum Method {
        Get,
        Head,
        Post,
        Put,
        Delete,
        Connect,
        Options,
        Trace,
        Patch,
        Other(String),
    }
}

impl Method {
    fn name(&self) -> &str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
            Self::Options => "OPTIONS",
            Self::Trace => "TRACE",
            Self::Patch => "PATCH",
            Self::Other(name) => name,
        }
    }
}

impl From<&http::Method> for Method {
    fn from(method: &http::Method) -> Self {
        let known = [
            Self::Get,
            Self::Head,
            Self::Post,
            Self::Put,
            Self::Delete,
            Self::Connect,
            Self::Options,
            Self::Trace,
            Self::Patch,
        ];
        let found = known.into_iter().find(|known| known.name() == method.as_str());
        found.unwrap_or_else(|| Self::Other(method.as_str().to_string()))
    }
}

component::variant! {
    /// A scheme.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum Scheme {
        Http as "HTTP",
        Https as "HTTPS",
        Other(String),
    }
}

impl From<&http::Scheme> for Scheme {
    fn from(scheme: &http::Scheme) -> Self {
        match scheme {
            http::Scheme::Http => Self::Http,
            http::Scheme::Https => Self::Https,
            http::Scheme::Other(name) => Self::Other(name.clone()),
        }
    }
}

impl From<Scheme> for http::Scheme {
    fn from(scheme: Scheme) -> Self {
        match scheme {
            Scheme::Http => Self::Http,
            Scheme::Https => Self::Https,
            Scheme::Other(name) => Self::Other(name),
        }
    }
}

/// Offers the interfaces.
pub fn register(linker: &mut Interfaces) {
    let mut types = interface(linker, "wasi:http/types");
    offer::<Input>(&mut types);
    offer::<Output>(&mut types);
    offer::<Pollable>(&mut types);
    // What the WIT calls by another name here.
    types.resource::<IoError>("io-error", |data, rep| Ok(data.state.table.remove::<IoError>(rep)?));
    for name in ["headers", "trailers"] {
        types.resource::<Fields>(name, |data, rep| Ok(data.state.table.remove::<Fields>(rep)?));
    }
    error::register(&mut types);
    fields::register(&mut types);
    incoming::register(&mut types);
    outgoing::register(&mut types);
    handler::register(&mut types);

    let mut outgoing_handler = interface(linker, "wasi:http/outgoing-handler");
    offer::<OutgoingRequest>(&mut outgoing_handler);
    offer::<RequestOptions>(&mut outgoing_handler);
    offer::<FutureIncomingResponse>(&mut outgoing_handler);
    outgoing_handler.func("handle", handler::handle);
}

impl State {
    /// A resource for the guest.
    fn give<R: Resource>(&mut self, resource: R) -> Result<Own<R>, Trap> {
        self.table.insert(resource).map(Own::new).map_err(refused)
    }

    /// A request for this guest to handle, and what it answers by: the arguments of its `handle`.
    ///
    /// # Errors
    /// [`Trap`] when there is no room for them.
    pub(crate) fn incoming(
        &mut self,
        head: http::RequestHead,
        exchange: &http::Exchange,
    ) -> Result<Vec<Value>, Trap> {
        let request = self.give(IncomingRequest::new(head, exchange.incoming_body()))?;
        let out = self.give(ResponseOutparam::new(exchange.clone()))?;
        Ok(Vec::from([request.lower(), out.lower()]))
    }
}
