//! Heads of messages: found, read and written (RFC 9112, sections 2 to 6). The crate httparse takes the lines apart; what they mean
//! together, and which of what it lets pass is refused, is here.

use super::{
    Authority, Error, Fields, FieldsError, Limits, Method, Scheme, decoder::Framing, fields::content_length,
    is_path_with_query,
};
use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use httparse::{Header, ParserConfig, Status};

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    /// What is to be done.
    pub method: Method,
    /// How.
    pub scheme: Scheme,
    /// Whom it is sent to.
    pub authority: Option<String>,
    /// What it is about; none for the empty path.
    pub path_with_query: Option<String>,
    /// The fields, without those that are the connection's business.
    pub fields: Fields,
}

/// What a response says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// The status code: 100 to 999.
    pub status: u16,
    /// The fields, without those that are the connection's business.
    pub fields: Fields,
}

/// What a head says about the message's delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Delivery {
    /// How the body is delimited.
    pub framing: Framing,
    /// Whether the connection may be used again.
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue`.
    pub expects_continue: bool,
    /// Whether the peer speaks HTTP/1.1, or only 1.0.
    pub is_1_1: bool,
}

/// Finds the end of a head, or of trailers, in bytes that come in pieces: an empty line. Lines end with CR LF, and with nothing
/// less.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Scanner {
    /// How far it has looked.
    position: usize,
    /// Where the current line begins.
    line: usize,
    /// Whether there may be empty lines in front.
    skips: bool,
}

impl Scanner {
    /// Of a request: empty lines in front are skipped (RFC 9112, section 2.2).
    pub(super) fn of_request() -> Self {
        Self { skips: true, ..Self::default() }
    }

    /// Of a response.
    pub(super) fn of_response() -> Self {
        Self::default()
    }

    /// Of trailers, which may be none.
    pub(super) fn of_trailers() -> Self {
        Self::default()
    }

    /// Whether anything is there but empty lines.
    pub(super) fn has_begun(&self, received: &[u8]) -> bool {
        received.get(self.line..).is_some_and(|rest| !matches!(rest, [] | [b'\r']))
    }

    /// The length of the head, up to behind the empty line; `None` as long as that is not there. `received` are all bytes so far.
    pub(super) fn scan(&mut self, received: &[u8]) -> Result<Option<usize>, Error> {
        while let Some(rest) = received.get(self.position..).filter(|rest| !rest.is_empty()) {
            let Some(found) = memchr::memchr(b'\n', rest) else {
                self.position = received.len();
                return Ok(None);
            };
            let newline = self.position.saturating_add(found);
            let line = received.get(self.line..newline).unwrap_or_default();
            if line.last() != Some(&b'\r') {
                return Err(Error::Protocol("a line that does not end with CR LF"));
            }
            self.position = newline.saturating_add(1);
            self.line = self.position;
            match line {
                [_] if !self.skips => return Ok(Some(self.position)),
                [_] => {}
                _ => self.skips = false,
            }
        }
        Ok(None)
    }
}

/// Where headers are put before they are looked at.
type Headers<'b> = [Header<'b>; Fields::MAX];

/// Reads the head of a request.
pub(super) fn request(head: &[u8], limits: &Limits) -> Result<(RequestHead, Delivery), Error> {
    let mut headers: Headers<'_> = [httparse::EMPTY_HEADER; Fields::MAX];
    let too_large = Error::RequestHeadSize(limit(limits));
    let mut request = httparse::Request::new(&mut headers);
    match ParserConfig::default().parse_request(&mut request, head) {
        Ok(Status::Complete(_)) => {}
        Ok(Status::Partial) => return Err(Error::Protocol("a head that ends too early")),
        Err(error) => return Err(refusal(error, too_large)),
    }
    let is_1_1 = request.version == Some(1);
    let method = request.method.and_then(Method::new).ok_or(Error::MethodInvalid)?;
    let target = request.path.ok_or(Error::UriInvalid)?;
    let fields = fields(request.headers, limits, too_large)?;

    let host = host(&fields, is_1_1)?;
    let (scheme, authority, path) = split(&method, target)?;
    let authority = authority.or(host);
    if authority.is_some_and(|authority| Authority::new(authority).is_none()) {
        return Err(HOST);
    }
    let authority = authority.map(ToString::to_string);
    let path_with_query = path.map(ToString::to_string);

    let expects_continue = match fields.get("expect").next() {
        None => false,
        Some(value) if value.eq_ignore_ascii_case(b"100-continue") => is_1_1,
        Some(_) => return Err(Error::Expectation),
    };
    let framing = match declared(&fields, is_1_1)? {
        Declared::Nothing => Framing::Length(0),
        Declared::Length(length) => Framing::Length(length),
        Declared::Chunked => Framing::Chunked,
    };
    let expects_continue = expects_continue && framing != Framing::Length(0);
    // What follows a CONNECT that is granted is not HTTP.
    let keep_alive = method.as_str() != "CONNECT" && keep_alive(&fields, is_1_1);
    let fields = fields.for_program();
    let head = RequestHead { method, scheme, authority, path_with_query, fields };
    Ok((head, Delivery { framing, keep_alive, expects_continue, is_1_1 }))
}

/// The one Host there must be (RFC 9112, section 3.2); it may be empty.
fn host(fields: &Fields, is_1_1: bool) -> Result<Option<&str>, Error> {
    let mut hosts = fields.get("host");
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => {
            let host = core::str::from_utf8(host).map_err(|_| HOST)?;
            Ok(Some(host).filter(|host| !host.is_empty()))
        }
        (None, _) if !is_1_1 => Ok(None),
        _ => Err(HOST),
    }
}

const HOST: Error = Error::Protocol("no Host, more than one, or one that is none");

/// A request's target taken apart (RFC 9112, section 3.2): scheme, authority, path with query.
fn split<'t>(method: &Method, target: &'t str) -> Result<(Scheme, Option<&'t str>, Option<&'t str>), Error> {
    if method.as_str() == "CONNECT" {
        let whole = Authority::new(target).filter(|authority| authority.port.is_some());
        whole.ok_or(Error::UriInvalid)?;
        return Ok((Scheme::Http, Some(target), None));
    }
    let (scheme, authority, path) = match target.split_once("://") {
        Some((scheme, rest)) if Scheme::is_valid(scheme) => {
            let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
            let scheme = match scheme {
                scheme if scheme.eq_ignore_ascii_case("http") => Scheme::Http,
                scheme if scheme.eq_ignore_ascii_case("https") => Scheme::Https,
                _ => return Err(Error::UriInvalid),
            };
            (scheme, Some(authority), path)
        }
        _ if target == "*" && method.as_str() != "OPTIONS" => return Err(Error::UriInvalid),
        _ => (Scheme::Http, None, target),
    };
    let valid = is_path_with_query(path) && (authority.is_some() || path.starts_with('/') || path == "*");
    if !valid {
        return Err(Error::UriInvalid);
    }
    Ok((scheme, authority, Some(if path.is_empty() { "/" } else { path })))
}

/// Reads the head of a response to a request with this method.
pub(super) fn response(
    head: &[u8],
    method: &Method,
    limits: &Limits,
) -> Result<(ResponseHead, Delivery), Error> {
    let mut headers: Headers<'_> = [httparse::EMPTY_HEADER; Fields::MAX];
    let too_large = Error::ResponseHeadSize(limit(limits));
    let mut response = httparse::Response::new(&mut headers);
    match ParserConfig::default().parse_response(&mut response, head) {
        Ok(Status::Complete(_)) => {}
        Ok(Status::Partial) => return Err(Error::Protocol("a head that ends too early")),
        Err(error) => return Err(refusal(error, too_large)),
    }
    let is_1_1 = response.version == Some(1);
    let status = response.code.filter(|code| *code >= 100).ok_or(Error::Protocol("no status"))?;
    let fields = fields(response.headers, limits, too_large)?;
    let declared = declared(&fields, is_1_1)?;
    let framing = match declared {
        _ if bodiless(status, method).is_some() => Framing::Length(0),
        Declared::Nothing => Framing::Close,
        Declared::Length(length) => Framing::Length(length),
        Declared::Chunked => Framing::Chunked,
    };
    let keep_alive = keep_alive(&fields, is_1_1);
    let head = ResponseHead { status, fields: fields.for_program() };
    Ok((head, Delivery { framing, keep_alive, expects_continue: false, is_1_1 }))
}

/// How a response with this status to a request with this method says that it has no body; `None` if it may have one.
pub(super) fn bodiless(status: u16, method: &Method) -> Option<Coding> {
    match (status, method.as_str()) {
        // What follows the answer to CONNECT is a tunnel.
        (100..200 | 204, _) | (200..300, "CONNECT") => Some(Coding::Nothing),
        (304, _) | (_, "HEAD") => Some(Coding::Unsent),
        _ => None,
    }
}

/// Reads trailers, up to and with the empty line: `None` if there are none.
pub(super) fn trailers(section: &[u8], limits: &Limits, response: bool) -> Result<Option<Fields>, Error> {
    let mut headers: Headers<'_> = [httparse::EMPTY_HEADER; Fields::MAX];
    let limit = limit(limits);
    let too_large =
        if response { Error::ResponseTrailersSize(limit) } else { Error::RequestTrailersSize(limit) };
    let parsed = match httparse::parse_headers(section, &mut headers) {
        Ok(Status::Complete((_, parsed))) => parsed,
        Ok(Status::Partial) => return Err(Error::Protocol("trailers that end too early")),
        Err(error) => return Err(refusal(error, too_large)),
    };
    let mut fields = fields(parsed, limits, too_large)?;
    // Behind the body it is too late to say how it is delimited (RFC 9110, section 6.5.1).
    fields.retain(|name| !name.eq_ignore_ascii_case("content-length"));
    let fields = fields.for_program();
    Ok((!parsed.is_empty()).then_some(fields))
}

fn limit(limits: &Limits) -> u32 {
    u32::try_from(limits.head_bytes).unwrap_or(u32::MAX)
}

fn refusal(error: httparse::Error, too_large: Error) -> Error {
    match error {
        httparse::Error::HeaderName => Error::Protocol("a field's name is none"),
        httparse::Error::HeaderValue => Error::Protocol("a field's value is none"),
        httparse::Error::NewLine => Error::Protocol("a line that does not end with CR LF"),
        httparse::Error::Status => Error::Protocol("no status"),
        httparse::Error::Token => Error::Protocol("the first line is none"),
        httparse::Error::TooManyHeaders => too_large,
        httparse::Error::Version => Error::Version,
    }
}

fn fields(headers: &[Header<'_>], limits: &Limits, too_large: Error) -> Result<Fields, Error> {
    if headers.len() > limits.fields {
        return Err(too_large);
    }
    let mut fields = Fields::new();
    for header in headers {
        fields.push(header.name.into(), header.value.into()).map_err(|error| match error {
            FieldsError::Size => too_large,
            _ => Error::Protocol("a field's value is none"),
        })?;
    }
    Ok(fields)
}

/// What the fields say of the body's length.
enum Declared {
    Nothing,
    Length(u64),
    Chunked,
}

/// RFC 9112, section 6.3, without what is left to the reader's mind there: a length that is said twice is refused even if it is the same, and so is
/// one beside a transfer coding.
fn declared(fields: &Fields, is_1_1: bool) -> Result<Declared, Error> {
    let mut codings = fields.get("transfer-encoding");
    let mut lengths = fields.get("content-length");
    match (codings.next(), lengths.next()) {
        (None, None) => Ok(Declared::Nothing),
        (None, Some(length)) => {
            if lengths.next().is_some() {
                return Err(Error::Protocol("more than one Content-Length"));
            }
            content_length(length)
                .map(Declared::Length)
                .ok_or(Error::Protocol("a Content-Length that is none"))
        }
        (Some(_), Some(_)) => Err(Error::Protocol("a Content-Length beside a Transfer-Encoding")),
        (Some(_), None) if !is_1_1 => Err(Error::Protocol("a Transfer-Encoding in HTTP/1.0")),
        (Some(coding), None) => {
            if codings.next().is_some() || !coding.eq_ignore_ascii_case(b"chunked") {
                return Err(Error::TransferCoding);
            }
            Ok(Declared::Chunked)
        }
    }
}

/// Whether the connection may be used again (RFC 9112, section 9.3).
fn keep_alive(fields: &Fields, is_1_1: bool) -> bool {
    let said = |option: &str| {
        let mut values = fields.get("connection");
        values.any(|value| {
            value
                .split(|byte| *byte == b',')
                .any(|said| said.trim_ascii().eq_ignore_ascii_case(option.as_bytes()))
        })
    };
    !said("close") && (is_1_1 || said("keep-alive"))
}

/// How a body that is sent is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// There is none, and nobody may think that there is one (RFC 9110, section 8.6).
    Nothing,
    /// It stays here, but the fields may say how long it is.
    Unsent,
    /// It has so many bytes; `true` if the fields say so already.
    Length(u64, bool),
    /// In chunks.
    Chunked,
    /// Until the end of the connection.
    Close,
}

/// Writes the head of a request.
pub(super) fn write_request(out: &mut Vec<u8>, head: &RequestHead, coding: Coding) {
    let path = match head.path_with_query.as_deref() {
        None | Some("") => "/".to_string(),
        Some(query) if query.starts_with('?') => format!("/{query}"),
        Some(path) => path.to_string(),
    };
    let authority = head.authority.as_deref().unwrap_or_default();
    line(out, &[head.method.as_str(), " ", &path, " HTTP/1.1"]);
    line(out, &["Host: ", authority]);
    // Connections are not kept for another request.
    line(out, &["Connection: close"]);
    rest(out, &head.fields, coding);
}

/// Writes the head of a response.
pub(super) fn write_response(
    out: &mut Vec<u8>,
    head: &ResponseHead,
    coding: Coding,
    connection: Option<&str>,
    date: Option<&str>,
) {
    line(out, &["HTTP/1.1 ", &head.status.to_string(), " ", reason(head.status)]);
    if let Some(connection) = connection {
        line(out, &["Connection: ", connection]);
    }
    if let Some(date) = date.filter(|_| !head.fields.has("date")) {
        line(out, &["Date: ", date]);
    }
    rest(out, &head.fields, coding);
}

/// Fields, what delimits the body, and the empty line.
fn rest(out: &mut Vec<u8>, fields: &Fields, coding: Coding) {
    match coding {
        Coding::Length(length, false) => line(out, &["Content-Length: ", &length.to_string()]),
        Coding::Chunked => line(out, &["Transfer-Encoding: chunked"]),
        Coding::Nothing | Coding::Unsent | Coding::Length(_, true) | Coding::Close => {}
    }
    write_fields(out, fields, coding != Coding::Nothing);
}

/// Writes fields, with or without a length, and the empty line.
pub(super) fn write_fields(out: &mut Vec<u8>, fields: &Fields, with_length: bool) {
    let said = |name: &str| with_length || !name.eq_ignore_ascii_case("content-length");
    for (name, value) in fields.iter().filter(|(name, _)| said(name)) {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
    line(out, &[]);
}

fn line(out: &mut Vec<u8>, parts: &[&str]) {
    parts.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
    out.extend_from_slice(b"\r\n");
}

/// What a person reads beside the status; nobody else does.
fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Content Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}
