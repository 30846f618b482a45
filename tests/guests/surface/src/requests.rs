//! HTTP: requests that the program makes, and what is said of them.

use crate::{
    ignore, one_of,
    pool::{Forge, Pool, forge},
    script::Script,
};
use wasip2::http::{
    outgoing_handler::handle,
    types::{
        Fields, FutureIncomingResponse, FutureTrailers, IncomingBody, IncomingResponse, Method, OutgoingBody,
        OutgoingRequest, OutgoingResponse, RequestOptions, Scheme, http_error_code,
    },
};

forge!(
    Fields,
    FutureIncomingResponse,
    FutureTrailers,
    IncomingBody,
    IncomingResponse,
    OutgoingBody,
    OutgoingRequest,
    OutgoingResponse,
    RequestOptions,
);

/// Names of fields, and what is none.
const NAMES: [&str; 10] =
    ["a", "A", "content-length", "transfer-encoding", "host", "trailer", "connection", "", "a b", "a\n"];
/// Their values, and what is none.
const VALUES: [&str; 9] =
    ["", "1", "17", "chunked", "a", " b", "a\r\nb: c", "18446744073709551615", "\u{e4}"];

/// What the program has of HTTP.
#[derive(Default)]
pub struct World {
    fields: Pool<Fields>,
    options: Pool<RequestOptions>,
    requests: Pool<OutgoingRequest>,
    responses: Pool<OutgoingResponse>,
    bodies: Pool<OutgoingBody>,
    futures: Pool<FutureIncomingResponse>,
    answers: Pool<IncomingResponse>,
    incoming: Pool<IncomingBody>,
    trailers: Pool<FutureTrailers>,
}

impl World {
    pub fn forget(&mut self) {
        self.fields.forget();
        self.options.forget();
        self.requests.forget();
        self.responses.forget();
        self.bodies.forget();
        self.futures.forget();
        self.answers.forget();
        self.incoming.forget();
        self.trailers.forget();
    }

    /// Fields for what takes them away.
    fn some_fields(&mut self, script: &mut Script) -> Fields {
        let taken = if script.once_in(2) { self.fields.take(script) } else { None };
        taken.unwrap_or_else(Fields::new)
    }
}

pub fn step(world: &mut crate::World, script: &mut Script) {
    match script.below(8) {
        0 | 1 => fields(&mut world.requests, script),
        2 => request(&mut world.requests, script),
        3 => options(&world.requests, script),
        4 => response(&mut world.requests, script),
        5 | 6 => bodies(world, script),
        _ => drops(&mut world.requests, script),
    }
}

fn fields(world: &mut World, script: &mut Script) {
    if script.once_in(4) {
        let mut entries = Vec::new();
        for _ in 0..script.below(4) {
            entries.push((script.of(&NAMES).to_string(), script.of(&VALUES).into()));
        }
        world.fields.keep(Fields::from_list(&entries));
        return;
    }
    let Some(one) = world.fields.pick(script) else { return world.fields.add(Fields::new()) };
    let name = script.of(&NAMES);
    one_of!(script;
        ignore(one.get(name));
        one.has(name);
        {
            let count = script.below(3);
            ignore(one.set(name, &vec![script.of(&VALUES).into(); count]));
        };
        ignore(one.delete(name));
        ignore(one.append(name, script.of(&VALUES).as_bytes()));
        ignore(one.entries());
        world.fields.add(Fields::clone(&one));
    );
}

fn request(world: &mut World, script: &mut Script) {
    if script.once_in(4) {
        let fields = world.some_fields(script);
        return world.requests.add(OutgoingRequest::new(fields));
    }
    let Some(one) = world.requests.pick(script) else { return };
    one_of!(script;
        world.bodies.keep(one.body());
        ignore(one.method());
        ignore(one.set_method(&method(script)));
        ignore(one.path_with_query());
        ignore(one.set_path_with_query(script.some(|script| script.of(&["/", "/a?b", "", "a b", "*", "/\r\n"]))));
        ignore(one.scheme());
        ignore(one.set_scheme(scheme(script).as_ref()));
        ignore(one.authority());
        ignore(one.set_authority(script.some(|script| {
            script.of(&["127.0.0.1", "127.0.0.1:80", "127.0.0.1", "127.0.0.1:1", "localhost", "a b", "", "a:b:c"])
        })));
        world.fields.add(one.headers());
    );
    drop(one);
    if script.once_in(4)
        && let Some(request) = world.requests.take(script)
    {
        let options = if script.once_in(2) { world.options.take(script) } else { None };
        // As a server is reached.
        if !script.once_in(4) {
            let _ = request.set_scheme(Some(&Scheme::Http));
            let _ = request.set_authority(Some("127.0.0.1"));
            let _ = request.set_path_with_query(Some("/"));
        }
        world.futures.keep(handle(request, options));
    }
}

fn method(script: &mut Script) -> Method {
    match script.below(6) {
        0 => Method::Get,
        1 => Method::Post,
        2 => Method::Head,
        3 => Method::Connect,
        _ => Method::Other(script.of(&["A", "GET", "a b", ""]).into()),
    }
}

fn scheme(script: &mut Script) -> Option<Scheme> {
    match script.below(4) {
        0 => None,
        1 => Some(Scheme::Https),
        2 => Some(Scheme::Other(script.of(&["ftp", "http", "a b", ""]).into())),
        _ => Some(Scheme::Http),
    }
}

fn options(world: &World, script: &mut Script) {
    let Some(one) = world.options.pick(script) else { return };
    let time = script.some(Script::number);
    one_of!(script;
        one.connect_timeout();
        ignore(one.set_connect_timeout(time));
        one.first_byte_timeout();
        ignore(one.set_first_byte_timeout(time));
        one.between_bytes_timeout();
        ignore(one.set_between_bytes_timeout(time));
    );
}

fn response(world: &mut World, script: &mut Script) {
    if script.once_in(4) {
        world.options.add(RequestOptions::new());
        let fields = world.some_fields(script);
        return world.responses.add(OutgoingResponse::new(fields));
    }
    let Some(one) = world.responses.pick(script) else { return };
    one_of!(script;
        one.status_code();
        ignore(one.set_status_code(script.of(&[0, 99, 100, 204, 200, 599, 600, 999, 1_000, u16::MAX])));
        world.fields.add(one.headers());
        world.bodies.keep(one.body());
    );
}

fn bodies(world: &mut crate::World, script: &mut Script) {
    let http = &mut world.requests;
    one_of!(script;
        if let Some(one) = http.bodies.pick(script) {
            world.outputs.keep(one.write());
        };
        if let Some(body) = http.bodies.take(script) {
            let trailers = script.some(|script| http.some_fields(script));
            ignore(OutgoingBody::finish(body, trailers));
        };
        if let Some(one) = http.futures.pick(script) {
            world.pollables.add(one.subscribe());
        };
        if let Some(one) = http.futures.pick(script)
            && let Some(Ok(Ok(answer))) = one.get()
        {
            http.answers.add(answer);
        };
        if let Some(one) = http.futures.pick(script) {
            one.subscribe().block();
            if let Some(Ok(Ok(answer))) = one.get() {
                http.answers.add(answer);
            }
        };
        if let Some(one) = http.answers.pick(script) {
            one.status();
        };
        if let Some(one) = http.answers.pick(script) {
            http.fields.add(one.headers());
        };
        if let Some(one) = http.answers.pick(script) {
            http.incoming.keep(one.consume());
        };
        if let Some(one) = http.incoming.pick(script) {
            world.inputs.keep(one.stream());
        };
        if let Some(body) = http.incoming.take(script) {
            http.trailers.add(IncomingBody::finish(body));
        };
        if let Some(one) = http.trailers.pick(script) {
            world.pollables.add(one.subscribe());
        };
        if let Some(one) = http.trailers.pick(script)
            && let Some(Ok(Ok(Some(fields)))) = one.get()
        {
            http.fields.add(fields);
        };
        if let Some(error) = world.errors.pick(script) {
            http_error_code(&error);
        };
    );
}

fn drops(world: &mut World, script: &mut Script) {
    one_of!(script;
        ignore(world.fields.take(script));
        ignore(world.options.take(script));
        ignore(world.requests.take(script));
        ignore(world.responses.take(script));
        ignore(world.bodies.take(script));
        ignore(world.futures.take(script));
        ignore(world.answers.take(script));
        ignore(world.incoming.take(script));
        ignore(world.trailers.take(script));
    );
}
