//! What comes from a peer: `incoming-request`, `incoming-response`, `incoming-body`, `future-trailers`.

use super::{
    super::{
        Data, Polled, Preview2,
        io::{Input, Origin, Pollable, Watch, Watched},
        offer, refused,
    },
    Fields, Method, Scheme,
    error::ErrorCode,
};
use crate::{http, io::waiting::looking};
use alloc::{string::String, sync::Arc};
use component::{Borrow, Own, host::InterfaceBuilder};
use core::{
    mem,
    task::{Context, Poll},
};

/// The resource `incoming-request`.
pub struct IncomingRequest {
    head: http::RequestHead,
    body: Option<http::IncomingBody>,
}

/// The resource `incoming-response`.
pub struct IncomingResponse {
    head: http::ResponseHead,
    body: Option<http::IncomingBody>,
}

/// The resource `incoming-body`.
pub struct IncomingBody {
    body: http::IncomingBody,
    streamed: bool,
}

/// The resource `future-trailers`.
pub struct FutureTrailers {
    trailers: Trailers,
    watch: Watch,
}

enum Trailers {
    Awaited(http::IncomingBody),
    There(Result<Option<http::Fields>, http::Error>),
    Taken,
}

impl IncomingRequest {
    pub(super) fn new(head: http::RequestHead, body: http::IncomingBody) -> Self {
        Self { head, body: Some(body) }
    }
}

impl IncomingResponse {
    pub(super) fn new(head: http::ResponseHead, body: http::IncomingBody) -> Self {
        Self { head, body: Some(body) }
    }
}

impl Watched for FutureTrailers {
    fn watch(&mut self) -> &mut Watch {
        &mut self.watch
    }

    fn is_closed(&self) -> bool {
        !matches!(self.trailers, Trailers::Awaited(_))
    }

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<()> {
        if let Trailers::Awaited(body) = &self.trailers {
            let Poll::Ready(trailers) = body.poll_trailers(task) else { return Poll::Pending };
            self.trailers = Trailers::There(trailers);
        }
        Poll::Ready(())
    }
}

pub(super) fn register(types: &mut InterfaceBuilder<'_, Data>) {
    offer::<IncomingRequest>(types);
    offer::<IncomingResponse>(types);
    offer::<IncomingBody>(types);
    offer::<FutureTrailers>(types);
    types
        .func("[method]incoming-request.method", method)
        .func("[method]incoming-request.path-with-query", path_with_query)
        .func("[method]incoming-request.scheme", scheme)
        .func("[method]incoming-request.authority", authority)
        .func("[method]incoming-request.headers", request_headers)
        .func("[method]incoming-request.consume", consume_request)
        .func("[method]incoming-response.status", status)
        .func("[method]incoming-response.headers", response_headers)
        .func("[method]incoming-response.consume", consume_response)
        .func("[method]incoming-body.stream", stream)
        .func("[static]incoming-body.finish", finish)
        .func("[method]future-trailers.subscribe", subscribe_trailers)
        .func("[method]future-trailers.get", get_trailers);
}

/// What is to be done.
pub fn method(call: &mut Preview2<'_>, &(request,): &(Borrow<IncomingRequest>,)) -> Polled<Method> {
    let request = call.data.state.table.get::<IncomingRequest>(request.rep)?;
    Poll::Ready(Ok((&request.head.method).into()))
}

/// What it is about.
pub fn path_with_query(
    call: &mut Preview2<'_>,
    &(request,): &(Borrow<IncomingRequest>,),
) -> Polled<Option<String>> {
    let request = call.data.state.table.get::<IncomingRequest>(request.rep)?;
    Poll::Ready(Ok(request.head.path_with_query.clone()))
}

/// How it came.
pub fn scheme(call: &mut Preview2<'_>, &(request,): &(Borrow<IncomingRequest>,)) -> Polled<Option<Scheme>> {
    let request = call.data.state.table.get::<IncomingRequest>(request.rep)?;
    Poll::Ready(Ok(Some((&request.head.scheme).into())))
}

/// Whom it was sent to.
pub fn authority(
    call: &mut Preview2<'_>,
    &(request,): &(Borrow<IncomingRequest>,),
) -> Polled<Option<String>> {
    let request = call.data.state.table.get::<IncomingRequest>(request.rep)?;
    Poll::Ready(Ok(request.head.authority.clone()))
}

/// Its headers.
pub fn request_headers(
    call: &mut Preview2<'_>,
    &(request,): &(Borrow<IncomingRequest>,),
) -> Polled<Own<Fields>> {
    let state = &mut call.data.state;
    let fields = state.table.get::<IncomingRequest>(request.rep)?.head.fields.clone();
    Poll::Ready(Ok(state.give(Fields(fields))?))
}

/// Its body, once.
pub fn consume_request(
    call: &mut Preview2<'_>,
    &(request,): &(Borrow<IncomingRequest>,),
) -> Polled<Result<Own<IncomingBody>, ()>> {
    let state = &mut call.data.state;
    state.table.reserve::<IncomingBody>().map_err(refused)?;
    let Some(body) = state.table.get_mut::<IncomingRequest>(request.rep)?.body.take() else {
        return Poll::Ready(Ok(Err(())));
    };
    Poll::Ready(Ok(Ok(state.give(IncomingBody { body, streamed: false })?)))
}

/// The status code.
pub fn status(call: &mut Preview2<'_>, &(response,): &(Borrow<IncomingResponse>,)) -> Polled<u16> {
    Poll::Ready(Ok(call.data.state.table.get::<IncomingResponse>(response.rep)?.head.status))
}

/// Its headers.
pub fn response_headers(
    call: &mut Preview2<'_>,
    &(response,): &(Borrow<IncomingResponse>,),
) -> Polled<Own<Fields>> {
    let state = &mut call.data.state;
    let fields = state.table.get::<IncomingResponse>(response.rep)?.head.fields.clone();
    Poll::Ready(Ok(state.give(Fields(fields))?))
}

/// Its body, once.
pub fn consume_response(
    call: &mut Preview2<'_>,
    &(response,): &(Borrow<IncomingResponse>,),
) -> Polled<Result<Own<IncomingBody>, ()>> {
    let state = &mut call.data.state;
    state.table.reserve::<IncomingBody>().map_err(refused)?;
    let Some(body) = state.table.get_mut::<IncomingResponse>(response.rep)?.body.take() else {
        return Poll::Ready(Ok(Err(())));
    };
    Poll::Ready(Ok(Ok(state.give(IncomingBody { body, streamed: false })?)))
}

/// A body as a stream, once.
pub fn stream(call: &mut Preview2<'_>, &(body,): &(Borrow<IncomingBody>,)) -> Polled<Result<Own<Input>, ()>> {
    let state = &mut call.data.state;
    let incoming = state.table.get_mut::<IncomingBody>(body.rep)?;
    if mem::replace(&mut incoming.streamed, true) {
        return Poll::Ready(Ok(Err(())));
    }
    let input = Input::new(Arc::new(incoming.body.clone()), Origin::Http);
    let input = state.table.insert_child(input, body.rep).map_err(refused)?;
    Poll::Ready(Ok(Ok(Own::new(input))))
}

/// What follows a body; a trap while its stream is there.
pub fn finish(call: &mut Preview2<'_>, &(body,): &(Own<IncomingBody>,)) -> Polled<Own<FutureTrailers>> {
    let state = &mut call.data.state;
    let body = state.table.take::<IncomingBody>(body.rep)?.body;
    let trailers = FutureTrailers { trailers: Trailers::Awaited(body), watch: Watch::default() };
    Poll::Ready(Ok(state.give(trailers)?))
}

/// A pollable for when the body is at its end.
pub fn subscribe_trailers(
    call: &mut Preview2<'_>,
    &(trailers,): &(Borrow<FutureTrailers>,),
) -> Polled<Own<Pollable>> {
    let state = &mut call.data.state;
    state.table.get::<FutureTrailers>(trailers.rep)?;
    Poll::Ready(Ok(state.subscribe(trailers.rep)?))
}

/// What a future gives: nothing yet, or what it is once, and then that it was taken.
pub(super) type Future<T> = Option<Result<Result<T, ErrorCode>, ()>>;

/// The trailers, once they are there.
pub fn get_trailers(
    call: &mut Preview2<'_>,
    &(trailers,): &(Borrow<FutureTrailers>,),
) -> Polled<Future<Option<Own<Fields>>>> {
    let state = &mut call.data.state;
    state.table.reserve::<Fields>().map_err(refused)?;
    let future = state.table.get_mut::<FutureTrailers>(trailers.rep)?;
    if future.poll_ready(&mut looking()).is_pending() {
        return Poll::Ready(Ok(None));
    }
    let taken = match mem::replace(&mut future.trailers, Trailers::Taken) {
        Trailers::There(Ok(Some(fields))) => Ok(Ok(Some(state.give(Fields(fields))?))),
        Trailers::There(Ok(None)) => Ok(Ok(None)),
        Trailers::There(Err(error)) => Ok(Err(error.into())),
        Trailers::Taken | Trailers::Awaited(_) => Err(()),
    };
    Poll::Ready(Ok(Some(taken)))
}
