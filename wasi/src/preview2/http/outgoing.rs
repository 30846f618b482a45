//! What goes to a peer: `outgoing-request` with its `request-options`, `outgoing-response`, `outgoing-body`.

use super::{
    super::{
        Data, Polled, Preview2,
        io::{Origin, Output},
        offer, refused,
    },
    Fields, Method, Scheme,
    error::ErrorCode,
};
use crate::{
    http::{self, Authority, Timeouts, is_path_with_query},
    types::Nanoseconds,
};
use alloc::{string::String, sync::Arc};
use component::{Borrow, Own, host::InterfaceBuilder};
use core::{mem, task::Poll};

/// The resource `outgoing-request`.
pub struct OutgoingRequest {
    pub(super) method: Method,
    pub(super) scheme: Option<Scheme>,
    pub(super) authority: Option<String>,
    pub(super) path_with_query: Option<String>,
    pub(super) fields: http::Fields,
    pub(super) body: Option<Arc<http::OutgoingBody>>,
}

/// The resource `outgoing-response`.
pub struct OutgoingResponse {
    pub(super) head: http::ResponseHead,
    pub(super) body: Option<Arc<http::OutgoingBody>>,
}

/// The resource `outgoing-body`. Dropped before it is finished, it is given up.
pub struct OutgoingBody {
    body: Arc<http::OutgoingBody>,
    streamed: bool,
}

impl Drop for OutgoingBody {
    fn drop(&mut self) {
        self.body.abort();
    }
}

/// The resource `request-options`.
#[derive(Default)]
pub struct RequestOptions {
    connect_timeout: Option<Nanoseconds>,
    first_byte_timeout: Option<Nanoseconds>,
    between_bytes_timeout: Option<Nanoseconds>,
}

impl RequestOptions {
    pub(super) fn timeouts(&self) -> Timeouts {
        let default = Timeouts::default();
        Timeouts {
            connect: self.connect_timeout.unwrap_or(default.connect),
            first_byte: self.first_byte_timeout.unwrap_or(default.first_byte),
            between_bytes: self.between_bytes_timeout.unwrap_or(default.between_bytes),
        }
    }
}

pub(super) fn register(types: &mut InterfaceBuilder<'_, Data>) {
    offer::<OutgoingRequest>(types);
    offer::<OutgoingResponse>(types);
    offer::<OutgoingBody>(types);
    offer::<RequestOptions>(types);
    types
        .func("[constructor]outgoing-request", new_request)
        .func("[method]outgoing-request.body", request_body)
        .func("[method]outgoing-request.method", method)
        .func("[method]outgoing-request.set-method", set_method)
        .func("[method]outgoing-request.path-with-query", path_with_query)
        .func("[method]outgoing-request.set-path-with-query", set_path_with_query)
        .func("[method]outgoing-request.scheme", scheme)
        .func("[method]outgoing-request.set-scheme", set_scheme)
        .func("[method]outgoing-request.authority", authority)
        .func("[method]outgoing-request.set-authority", set_authority)
        .func("[method]outgoing-request.headers", request_headers)
        .func("[constructor]outgoing-response", new_response)
        .func("[method]outgoing-response.status-code", status_code)
        .func("[method]outgoing-response.set-status-code", set_status_code)
        .func("[method]outgoing-response.headers", response_headers)
        .func("[method]outgoing-response.body", response_body)
        .func("[method]outgoing-body.write", write)
        .func("[static]outgoing-body.finish", finish)
        .func("[constructor]request-options", new_options)
        .func("[method]request-options.connect-timeout", connect_timeout)
        .func("[method]request-options.set-connect-timeout", set_connect_timeout)
        .func("[method]request-options.first-byte-timeout", first_byte_timeout)
        .func("[method]request-options.set-first-byte-timeout", set_first_byte_timeout)
        .func("[method]request-options.between-bytes-timeout", between_bytes_timeout)
        .func("[method]request-options.set-between-bytes-timeout", set_between_bytes_timeout);
}

/// What a function gives that refuses without saying why.
type Checked<T> = Polled<Result<T, ()>>;

/// A request with these headers.
pub fn new_request(call: &mut Preview2<'_>, &(fields,): &(Own<Fields>,)) -> Polled<Own<OutgoingRequest>> {
    let state = &mut call.data.state;
    let fields = state.table.take::<Fields>(fields.rep)?.0.immutable();
    let request = OutgoingRequest {
        method: Method::Get,
        scheme: None,
        authority: None,
        path_with_query: None,
        fields,
        body: None,
    };
    Poll::Ready(Ok(state.give(request)?))
}

/// Its body, once.
pub fn request_body(
    call: &mut Preview2<'_>,
    &(request,): &(Borrow<OutgoingRequest>,),
) -> Checked<Own<OutgoingBody>> {
    let state = &mut call.data.state;
    state.table.reserve::<OutgoingBody>().map_err(refused)?;
    let request = state.table.get_mut::<OutgoingRequest>(request.rep)?;
    if request.body.is_some() {
        return Poll::Ready(Ok(Err(())));
    }
    let body = Arc::new(http::OutgoingBody::of_request(&request.fields));
    request.body = Some(body.clone());
    Poll::Ready(Ok(Ok(state.give(OutgoingBody { body, streamed: false })?)))
}

/// What is to be done.
pub fn method(call: &mut Preview2<'_>, &(request,): &(Borrow<OutgoingRequest>,)) -> Polled<Method> {
    Poll::Ready(Ok(call.data.state.table.get::<OutgoingRequest>(request.rep)?.method.clone()))
}

/// Says what is to be done.
pub fn set_method(
    call: &mut Preview2<'_>,
    (request, method): &(Borrow<OutgoingRequest>, Method),
) -> Checked<()> {
    let request = call.data.state.table.get_mut::<OutgoingRequest>(request.rep)?;
    if http::Method::new(method.name()).is_none() {
        return Poll::Ready(Ok(Err(())));
    }
    request.method = method.clone();
    Poll::Ready(Ok(Ok(())))
}

/// What it is about.
pub fn path_with_query(
    call: &mut Preview2<'_>,
    &(request,): &(Borrow<OutgoingRequest>,),
) -> Polled<Option<String>> {
    Poll::Ready(Ok(call.data.state.table.get::<OutgoingRequest>(request.rep)?.path_with_query.clone()))
}

/// Says what it is about.
pub fn set_path_with_query(
    call: &mut Preview2<'_>,
    (request, path): &(Borrow<OutgoingRequest>, Option<String>),
) -> Checked<()> {
    let request = call.data.state.table.get_mut::<OutgoingRequest>(request.rep)?;
    if path.as_ref().is_some_and(|path| !is_path_with_query(path)) {
        return Poll::Ready(Ok(Err(())));
    }
    request.path_with_query.clone_from(path);
    Poll::Ready(Ok(Ok(())))
}

/// How it goes.
pub fn scheme(call: &mut Preview2<'_>, &(request,): &(Borrow<OutgoingRequest>,)) -> Polled<Option<Scheme>> {
    Poll::Ready(Ok(call.data.state.table.get::<OutgoingRequest>(request.rep)?.scheme.clone()))
}

/// Says how it goes.
pub fn set_scheme(
    call: &mut Preview2<'_>,
    (request, scheme): &(Borrow<OutgoingRequest>, Option<Scheme>),
) -> Checked<()> {
    let request = call.data.state.table.get_mut::<OutgoingRequest>(request.rep)?;
    if matches!(scheme, Some(Scheme::Other(name)) if !http::Scheme::is_valid(name)) {
        return Poll::Ready(Ok(Err(())));
    }
    request.scheme.clone_from(scheme);
    Poll::Ready(Ok(Ok(())))
}

/// Whom it goes to.
pub fn authority(
    call: &mut Preview2<'_>,
    &(request,): &(Borrow<OutgoingRequest>,),
) -> Polled<Option<String>> {
    Poll::Ready(Ok(call.data.state.table.get::<OutgoingRequest>(request.rep)?.authority.clone()))
}

/// Says whom it goes to.
pub fn set_authority(
    call: &mut Preview2<'_>,
    (request, authority): &(Borrow<OutgoingRequest>, Option<String>),
) -> Checked<()> {
    let request = call.data.state.table.get_mut::<OutgoingRequest>(request.rep)?;
    if authority.as_ref().is_some_and(|authority| Authority::new(authority).is_none()) {
        return Poll::Ready(Ok(Err(())));
    }
    request.authority.clone_from(authority);
    Poll::Ready(Ok(Ok(())))
}

/// Its headers.
pub fn request_headers(
    call: &mut Preview2<'_>,
    &(request,): &(Borrow<OutgoingRequest>,),
) -> Polled<Own<Fields>> {
    let state = &mut call.data.state;
    let fields = state.table.get::<OutgoingRequest>(request.rep)?.fields.clone();
    Poll::Ready(Ok(state.give(Fields(fields))?))
}

/// A response with these headers.
pub fn new_response(call: &mut Preview2<'_>, &(fields,): &(Own<Fields>,)) -> Polled<Own<OutgoingResponse>> {
    let state = &mut call.data.state;
    let fields = state.table.take::<Fields>(fields.rep)?.0.immutable();
    let head = http::ResponseHead { status: 200, fields };
    Poll::Ready(Ok(state.give(OutgoingResponse { head, body: None })?))
}

/// The status code.
pub fn status_code(call: &mut Preview2<'_>, &(response,): &(Borrow<OutgoingResponse>,)) -> Polled<u16> {
    Poll::Ready(Ok(call.data.state.table.get::<OutgoingResponse>(response.rep)?.head.status))
}

/// Sets the status code: three digits.
pub fn set_status_code(
    call: &mut Preview2<'_>,
    &(response, status): &(Borrow<OutgoingResponse>, u16),
) -> Checked<()> {
    let response = call.data.state.table.get_mut::<OutgoingResponse>(response.rep)?;
    if !(100..1000).contains(&status) {
        return Poll::Ready(Ok(Err(())));
    }
    response.head.status = status;
    Poll::Ready(Ok(Ok(())))
}

/// Its headers.
pub fn response_headers(
    call: &mut Preview2<'_>,
    &(response,): &(Borrow<OutgoingResponse>,),
) -> Polled<Own<Fields>> {
    let state = &mut call.data.state;
    let fields = state.table.get::<OutgoingResponse>(response.rep)?.head.fields.clone();
    Poll::Ready(Ok(state.give(Fields(fields))?))
}

/// Its body, once.
pub fn response_body(
    call: &mut Preview2<'_>,
    &(response,): &(Borrow<OutgoingResponse>,),
) -> Checked<Own<OutgoingBody>> {
    let state = &mut call.data.state;
    state.table.reserve::<OutgoingBody>().map_err(refused)?;
    let response = state.table.get_mut::<OutgoingResponse>(response.rep)?;
    if response.body.is_some() {
        return Poll::Ready(Ok(Err(())));
    }
    let body = Arc::new(http::OutgoingBody::of_response(&response.head.fields));
    response.body = Some(body.clone());
    Poll::Ready(Ok(Ok(state.give(OutgoingBody { body, streamed: false })?)))
}

/// A body as a stream, once.
pub fn write(call: &mut Preview2<'_>, &(body,): &(Borrow<OutgoingBody>,)) -> Checked<Own<Output>> {
    let state = &mut call.data.state;
    let outgoing = state.table.get_mut::<OutgoingBody>(body.rep)?;
    if mem::replace(&mut outgoing.streamed, true) {
        return Poll::Ready(Ok(Err(())));
    }
    let output = Output::new(outgoing.body.clone(), Origin::Http);
    let output = state.table.insert_child(output, body.rep).map_err(refused)?;
    Poll::Ready(Ok(Ok(Own::new(output))))
}

/// All is written; a trap while its stream is there.
pub fn finish(
    call: &mut Preview2<'_>,
    &(body, trailers): &(Own<OutgoingBody>, Option<Own<Fields>>),
) -> Polled<Result<(), ErrorCode>> {
    let table = &mut call.data.state.table;
    let trailers = match trailers {
        Some(trailers) => Some(table.take::<Fields>(trailers.rep)?.0),
        None => None,
    };
    let body = table.take::<OutgoingBody>(body.rep)?;
    Poll::Ready(Ok(body.body.finish(trailers).map_err(Into::into)))
}

/// Defines the functions of one option.
macro_rules! option {
    ($field:ident, $set:ident, $what:literal) => {
        #[doc = concat!("How long ", $what, " may take.")]
        pub fn $field(
            call: &mut Preview2<'_>,
            &(options,): &(Borrow<RequestOptions>,),
        ) -> Polled<Option<Nanoseconds>> {
            Poll::Ready(Ok(call.data.state.table.get::<RequestOptions>(options.rep)?.$field))
        }

        #[doc = concat!("Says how long ", $what, " may take.")]
        pub fn $set(
            call: &mut Preview2<'_>,
            &(options, time): &(Borrow<RequestOptions>, Option<Nanoseconds>),
        ) -> Checked<()> {
            call.data.state.table.get_mut::<RequestOptions>(options.rep)?.$field = time;
            Poll::Ready(Ok(Ok(())))
        }
    };
}
option!(connect_timeout, set_connect_timeout, "the connection");
option!(first_byte_timeout, set_first_byte_timeout, "the beginning of the response");
option!(between_bytes_timeout, set_between_bytes_timeout, "the next piece of a body");

/// No option set.
pub fn new_options(call: &mut Preview2<'_>, (): &()) -> Polled<Own<RequestOptions>> {
    Poll::Ready(Ok(call.data.state.give(RequestOptions::default())?))
}
