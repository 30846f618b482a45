//! HTTP/1.1 (RFC 9110 and 9112), as a client and as a server, over any pair of byte streams.
//!
//! A connection and the request and response that it carries are one [`Exchange`], shared by all that work with it: who writes a
//! body, who waits for a response, who reads one. No task drives it. Whoever is polled does all that can be done, whoever
//! waits is woken, and what is not polled does not happen: so a reader that does not read holds its peer back, and dropping the exchange
//! closes the connection.
//!
//! What comes from the peer is refused wherever two readers could understand it differently: that is how requests are smuggled. Not here:
//! HTTP/2 and what has to be negotiated, upgrades, proxies, cookies, compressed content, and caches.

mod client;
mod connection;
mod date;
mod decoder;
mod download;
mod error;
mod exchange;
mod fields;
mod head;
mod network;
mod outgoing;
mod target;
#[cfg(test)]
mod tests;
mod url;

pub use client::{Connect, Connector, Timeouts, request};
pub use connection::Transport;
pub use download::{DownloadError, DownloadFailure, download};
pub use error::Error;
pub use exchange::{Exchange, IncomingBody};
pub use fields::{Fields, FieldsError};
pub use head::{RequestHead, ResponseHead};
pub use network::{NetworkConnector, Secure};
pub use outgoing::OutgoingBody;
pub use target::{Authority, Method, Scheme, is_path_with_query};
pub use url::{NotAUrl, Url};

use crate::types::Nanoseconds;

/// What a peer may make this side keep, and how long it may take.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of a head (the first line and the fields), of a trailer section, and of the size lines between two chunks.
    pub head_bytes: usize,
    /// Fields in a head or a trailer section; at most [`Fields::MAX`].
    pub fields: usize,
    /// How long a client may take from the first byte of a head to its last.
    pub head_time: Nanoseconds,
    /// How long a connection stays open without a request.
    pub idle_time: Nanoseconds,
    /// How long a peer may send nothing of a body that is waited for.
    pub read_time: Nanoseconds,
    /// How long a peer may take nothing of what is sent.
    pub write_time: Nanoseconds,
}

const SECOND: Nanoseconds = 1_000_000_000;

impl Default for Limits {
    /// 64 KiB and 128 fields; 30 s for a head, 60 s for all else.
    fn default() -> Self {
        Self {
            head_bytes: 64 << 10,
            fields: Fields::MAX,
            head_time: 30 * SECOND,
            idle_time: 60 * SECOND,
            read_time: 60 * SECOND,
            write_time: 60 * SECOND,
        }
    }
}
