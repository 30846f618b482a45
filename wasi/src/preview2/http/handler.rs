//! Requests on their way: `outgoing-handler` with its `future-incoming-response`, and `response-outparam`.

use super::{
    super::{
        Data, Polled, Preview2, State,
        io::{Pollable, Watch, Watched},
        offer, refused,
    },
    Fields, IncomingResponse, OutgoingRequest, OutgoingResponse, RequestOptions,
    error::ErrorCode,
    incoming::Future,
};
use crate::{
    http::{self, Exchange, Scheme, Timeouts},
    io::waiting::looking,
};
use alloc::sync::Arc;
use component::{Borrow, Own, host::InterfaceBuilder};
use core::{
    mem,
    task::{Context, Poll},
};

/// The resource `future-incoming-response`.
pub struct FutureIncomingResponse {
    response: Response,
    watch: Watch,
}

enum Response {
    Awaited(Exchange),
    There(Result<http::ResponseHead, http::Error>, Exchange),
    Taken,
}

/// The resource `response-outparam`.
pub struct ResponseOutparam {
    exchange: Exchange,
}

impl ResponseOutparam {
    pub(super) fn new(exchange: Exchange) -> Self {
        Self { exchange }
    }
}

impl Watched for FutureIncomingResponse {
    fn watch(&mut self) -> &mut Watch {
        &mut self.watch
    }

    fn is_closed(&self) -> bool {
        !matches!(self.response, Response::Awaited(_))
    }

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<()> {
        if let Response::Awaited(exchange) = &self.response {
            let Poll::Ready(response) = exchange.poll_response(task) else { return Poll::Pending };
            self.response = Response::There(response, exchange.clone());
        }
        Poll::Ready(())
    }
}

pub(super) fn register(types: &mut InterfaceBuilder<'_, Data>) {
    offer::<FutureIncomingResponse>(types);
    offer::<ResponseOutparam>(types);
    types
        .func("[method]future-incoming-response.subscribe", subscribe_response)
        .func("[method]future-incoming-response.get", get_response)
        .func("[static]response-outparam.set", set_response)
        .func("[method]response-outparam.send-informational", send_informational);
}

/// Begins a request.
pub fn handle(
    call: &mut Preview2<'_>,
    &(request, options): &(Own<OutgoingRequest>, Option<Own<RequestOptions>>),
) -> Polled<Result<Own<FutureIncomingResponse>, ErrorCode>> {
    let state = &mut call.data.state;
    let request = state.table.take::<OutgoingRequest>(request.rep)?;
    let timeouts = match options {
        Some(options) => state.table.take::<RequestOptions>(options.rep)?.timeouts(),
        None => Timeouts::default(),
    };
    state.table.reserve::<FutureIncomingResponse>().map_err(refused)?;
    let body = request.body.clone();
    let exchange = match begin(state, request, timeouts) {
        Ok(exchange) => exchange,
        Err(error) => {
            refuse(body);
            return Poll::Ready(Ok(Err(error.into())));
        }
    };
    let future = FutureIncomingResponse { response: Response::Awaited(exchange), watch: Watch::default() };
    Poll::Ready(Ok(Ok(state.give(future)?)))
}

/// Nobody will take what the program writes to the body of a message that was refused: it is to hear of it.
fn refuse(body: Option<Arc<http::OutgoingBody>>) {
    if let Some(body) = body {
        body.refuse();
    }
}

fn begin(state: &State, request: OutgoingRequest, timeouts: Timeouts) -> Result<Exchange, http::Error> {
    let scheme = request.scheme.map_or(Scheme::Https, Into::into);
    if matches!(scheme, Scheme::Other(_)) {
        return Err(http::Error::Protocol("a scheme that is neither http nor https"));
    }
    let authority = request.authority.ok_or(http::Error::UriInvalid)?;
    let method = http::Method::new(request.method.name()).ok_or(http::Error::MethodInvalid)?;
    let Some(connector) = &state.connector else {
        log::warn!(target: "audit", "refused: a request to {scheme}://{authority}, since the program has no network");
        return Err(http::Error::Denied);
    };
    let connect = connector.connect(&scheme, &authority)?;
    let head = http::RequestHead {
        method,
        scheme,
        authority: Some(authority),
        path_with_query: request.path_with_query,
        fields: request.fields,
    };
    http::request(connect, head, request.body, timeouts, state.clock.clone())
}

/// A pollable for when the response has begun.
pub fn subscribe_response(
    call: &mut Preview2<'_>,
    &(future,): &(Borrow<FutureIncomingResponse>,),
) -> Polled<Own<Pollable>> {
    let state = &mut call.data.state;
    state.table.get::<FutureIncomingResponse>(future.rep)?;
    Poll::Ready(Ok(state.subscribe(future.rep)?))
}

/// The response, once it has begun.
pub fn get_response(
    call: &mut Preview2<'_>,
    &(future,): &(Borrow<FutureIncomingResponse>,),
) -> Polled<Future<Own<IncomingResponse>>> {
    let state = &mut call.data.state;
    state.table.reserve::<IncomingResponse>().map_err(refused)?;
    let future = state.table.get_mut::<FutureIncomingResponse>(future.rep)?;
    if future.poll_ready(&mut looking()).is_pending() {
        return Poll::Ready(Ok(None));
    }
    let taken = match mem::replace(&mut future.response, Response::Taken) {
        Response::There(Ok(head), exchange) => {
            Ok(Ok(state.give(IncomingResponse::new(head, exchange.incoming_body()))?))
        }
        Response::There(Err(error), _) => Ok(Err(error.into())),
        Response::Taken | Response::Awaited(_) => Err(()),
    };
    Poll::Ready(Ok(Some(taken)))
}

/// Answers a request.
pub fn set_response(
    call: &mut Preview2<'_>,
    (out, response): &(Own<ResponseOutparam>, Result<Own<OutgoingResponse>, ErrorCode>),
) -> Polled<()> {
    let table = &mut call.data.state.table;
    let exchange = table.take::<ResponseOutparam>(out.rep)?.exchange;
    let responded = match response {
        Ok(response) => {
            let OutgoingResponse { head, body } = table.take::<OutgoingResponse>(response.rep)?;
            let responded = exchange.respond(head, body.clone());
            if responded.is_err() {
                refuse(body);
            }
            responded
        }
        Err(code) => {
            log::warn!("the handler answers a request with an error: {code:?}");
            exchange.respond(http::ResponseHead { status: code.status(), fields: http::Fields::new() }, None)
        }
    };
    if let Err(error) = responded {
        log::warn!("a response cannot be sent: {error}");
        // Nobody has sent one before, since there is one of these for each request.
        let _ = exchange.respond(http::ResponseHead { status: 500, fields: http::Fields::new() }, None);
    }
    Poll::Ready(Ok(()))
}

/// Sends something before the response: a status from 100 to 199, but for the one that changes the protocol.
pub fn send_informational(
    call: &mut Preview2<'_>,
    &(out, status, fields): &(Borrow<ResponseOutparam>, u16, Own<Fields>),
) -> Polled<Result<(), ErrorCode>> {
    let table = &mut call.data.state.table;
    let fields = table.take::<Fields>(fields.rep)?.0;
    let informed =
        table.get::<ResponseOutparam>(out.rep)?.exchange.inform(http::ResponseHead { status, fields });
    Poll::Ready(Ok(informed.map_err(Into::into)))
}
