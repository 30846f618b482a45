//! Names: asked of the name servers (RFC 1035), but for what needs no asking.

use super::{Access, notify::Notify, sets::Handle};
use crate::{Error, Result, types::Nanoseconds};
use alloc::{
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    task::{Context, Poll},
};
use smoltcp::{
    socket::dns::{self, GetQueryResultError, QueryHandle},
    wire::DnsQueryType,
};

/// A question for the addresses of a name.
pub struct Lookup {
    access: Access,
    name: String,
    began: Nanoseconds,
    notify: Arc<Notify>,
    resolver: Option<Handle>,
    /// For IPv4 and IPv6 addresses.
    asked: [Option<QueryHandle>; 2],
    /// What is known so far.
    found: Vec<IpAddr>,
    done: bool,
}

/// Without an answer for so long, a name server has none. smoltcp asks the next one, or gives up.
const SILENT: Nanoseconds = 9_500_000_000;

/// Whether something can be the name of a host (RFC 1123, 2.1; with the underscore, which is in use).
pub(super) fn is_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    (1..=253).contains(&name.len()) && name.split('.').all(label)
}

impl Lookup {
    pub(super) fn new(access: Access, name: &str) -> Result<Self> {
        let (began, notify) = (access.network().now(), access.network().notify());
        let mut lookup = Self {
            access,
            name: name.to_string(),
            began,
            notify,
            resolver: None,
            asked: [None; 2],
            found: Vec::new(),
            done: true,
        };
        let plain = name.strip_suffix('.').unwrap_or(name);
        // IPv6's may stand in brackets, as in a URL.
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        let address = match bare {
            Some(bare) => bare.parse().map(IpAddr::V6),
            None => name.parse(),
        };
        if let Ok(address) = address {
            lookup.found.push(address);
            return Ok(lookup);
        }
        if !is_name(name) {
            return Err(Error::Invalid);
        }
        lookup.access.check_name(name)?;
        // Never asked of others (RFC 6761, 6.3).
        if plain.eq_ignore_ascii_case("localhost") || plain.to_ascii_lowercase().ends_with(".localhost") {
            lookup.found.extend([IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]);
            lookup.access.learn(name, &lookup.found);
            return Ok(lookup);
        }
        lookup.done = false;
        Ok(lookup)
    }

    /// Waits for the addresses: IPv4's first, at least one.
    ///
    /// # Errors
    /// - [`Error::NameNotFound`] if there is no such name, or it has no address.
    /// - [`Error::NameTemporary`] if no name server answers, or there is none.
    pub fn poll(&mut self, task: &mut Context<'_>) -> Poll<Result<Vec<IpAddr>>> {
        if self.done {
            return Poll::Ready(Ok(self.found.clone()));
        }
        let network = self.access.network().clone();
        // Who is to be asked may not be known before.
        if self.resolver.is_none() && network.poll_configured(task).is_pending() {
            return Poll::Pending;
        }
        let late = network.now().saturating_sub(self.began) >= SILENT;
        let polled = network.with(|stack| {
            let Some(handle) = self.resolver.or_else(|| stack.resolver()) else {
                return Poll::Ready(Err(Error::NameTemporary));
            };
            if self.resolver.is_none() {
                self.resolver = Some(handle);
                let socket = stack.sockets.change::<dns::Socket>(handle);
                for (asked, kind) in self.asked.iter_mut().zip([DnsQueryType::A, DnsQueryType::Aaaa]) {
                    let query = socket.start_query(stack.interface.context(), &self.name, kind);
                    *asked = Some(query.map_err(|_| Error::Invalid)?);
                }
                stack.kick();
            }
            let socket = stack.sockets.get_mut::<dns::Socket>(handle);
            for asked in &mut self.asked {
                let Some(query) = *asked else { continue };
                match socket.get_query_result(query) {
                    Ok(addresses) => self.found.extend(addresses.into_iter().map(IpAddr::from)),
                    Err(GetQueryResultError::Pending) => {
                        socket.register_query_waker(query, &self.notify.wait(task));
                        continue;
                    }
                    Err(GetQueryResultError::Failed) => {}
                }
                *asked = None;
            }
            if self.asked.iter().any(Option::is_some) { Poll::Pending } else { Poll::Ready(Ok(())) }
        })?;
        if polled.is_pending() {
            return Poll::Pending;
        }
        self.done = true;
        if self.found.is_empty() {
            let error = if late { Error::NameTemporary } else { Error::NameNotFound };
            return Poll::Ready(Err(error));
        }
        self.access.learn(&self.name, &self.found);
        Poll::Ready(Ok(self.found.clone()))
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        let Some(handle) = self.resolver else { return };
        self.access.network().with(|stack| {
            let socket = stack.sockets.get_mut::<dns::Socket>(handle);
            for query in self.asked.into_iter().flatten() {
                socket.cancel_query(query);
            }
        });
    }
}
