//! Getting a file: one request, or some more where it has moved.

use super::{Connector, Error, Fields, Method, RequestHead, SECOND, Scheme, Timeouts, Url, request};
use crate::{
    clocks::{Clock, within},
    heap,
    io::InputStream,
    types::Nanoseconds,
};
use alloc::{sync::Arc, vec::Vec};
use core::{
    fmt,
    future::{Future, poll_fn},
    pin::pin,
};

/// How often a file may have moved.
const REDIRECTS: usize = 10;

/// How long a download may take, wherever it has moved and however slowly it comes.
const TOTAL: Nanoseconds = 600 * SECOND;

/// How long the parts of a download may take, and so how long a server may be silent: a person waits.
const TIMEOUTS: Timeouts =
    Timeouts { connect: 30 * SECOND, first_byte: 60 * SECOND, between_bytes: 60 * SECOND };

/// What is read at once.
const PIECE: usize = 64 << 10;

/// Why a file could not be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DownloadError {
    /// Where it was looked for last.
    pub url: Url,
    /// Why it was not had there.
    pub cause: DownloadFailure,
}

/// What went wrong with a download.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DownloadFailure {
    /// There was no connection, or it failed.
    Http(Error),
    /// The server has another answer than the file: its status.
    Status(u16),
    /// It has moved, but not to where it could be followed: nowhere, or to what is no address.
    Location,
    /// It has moved from `https` to `http`, where anybody could change it.
    Unsafe,
    /// It has moved too often.
    Redirects,
    /// It was not there whole after this time.
    TooSlow(Nanoseconds),
    /// It has more than so many bytes.
    TooLarge(usize),
    /// The machine has too little memory for it.
    Memory,
}

/// Gets the file at `url`, of at most `limit` bytes, in at most ten minutes; a server that is silent for one of them is given up.
///
/// # Errors
/// Why it cannot be had.
pub async fn download(
    connector: &dyn Connector,
    clock: &Arc<dyn Clock>,
    url: &Url,
    limit: usize,
) -> Result<Vec<u8>, DownloadError> {
    let mut url = url.clone();
    let deadline = clock.monotonic().saturating_add(TOTAL);
    for _ in 0..=REDIRECTS {
        let rest = deadline.saturating_sub(clock.monotonic());
        let got = {
            let mut get = pin!(get(connector, clock, &url, limit));
            within(clock, rest, |task| get.as_mut().poll(task)).await
        };
        match got.unwrap_or(Err(DownloadFailure::TooSlow(TOTAL))) {
            Ok(Answer::File(bytes)) => return Ok(bytes),
            Ok(Answer::Elsewhere(there)) => {
                log::debug!("{url} has moved to {there}");
                url = there;
            }
            Err(cause) => return Err(DownloadError { url, cause }),
        }
    }
    Err(DownloadError { url, cause: DownloadFailure::Redirects })
}

enum Answer {
    File(Vec<u8>),
    Elsewhere(Url),
}

async fn get(
    connector: &dyn Connector,
    clock: &Arc<dyn Clock>,
    url: &Url,
    limit: usize,
) -> Result<Answer, DownloadFailure> {
    let connect = connector.connect(&url.scheme, &url.authority)?;
    let mut fields = Fields::new();
    for (name, value) in [("accept", "application/wasm, */*;q=0.5"), ("user-agent", "sisal")] {
        fields.append(name.into(), value.into()).map_err(|_| Error::Internal("the fields of a request"))?;
    }
    let head = RequestHead {
        method: Method::new("GET").ok_or(Error::MethodInvalid)?,
        scheme: url.scheme.clone(),
        authority: Some(url.authority.clone()),
        path_with_query: Some(url.path_with_query.clone()),
        fields,
    };
    let exchange = request(connect, head, None, TIMEOUTS, clock.clone())?;
    let response = poll_fn(|task| exchange.poll_response(task)).await?;
    match response.status {
        200 => {}
        301 | 302 | 303 | 307 | 308 => {
            let location = response.fields.get("location").next();
            let location = location.and_then(|value| core::str::from_utf8(value).ok());
            let there = location.and_then(|location| url.join(location).ok());
            let there = there.ok_or(DownloadFailure::Location)?;
            if url.scheme == Scheme::Https && there.scheme != Scheme::Https {
                return Err(DownloadFailure::Unsafe);
            }
            return Ok(Answer::Elsewhere(there));
        }
        status => return Err(DownloadFailure::Status(status)),
    }
    let length = response.fields.get("content-length").next().and_then(super::fields::content_length);
    if length.is_some_and(|length| length > limit as u64) {
        return Err(DownloadFailure::TooLarge(limit));
    }
    let body = exchange.incoming_body();
    let mut bytes = Vec::new();
    loop {
        let end = bytes.len();
        heap::reserve(&mut bytes, PIECE).map_err(|_| DownloadFailure::Memory)?;
        bytes.resize(end.saturating_add(PIECE), 0);
        let room = bytes.get_mut(end..).unwrap_or_default();
        let count = poll_fn(|task| body.poll_read(task, room)).await.map_err(Error::from)?;
        bytes.truncate(end.saturating_add(count));
        if count == 0 {
            return Ok(Answer::File(bytes));
        }
        if bytes.len() > limit {
            return Err(DownloadFailure::TooLarge(limit));
        }
    }
}

impl From<Error> for DownloadFailure {
    fn from(error: Error) -> Self {
        Self::Http(error)
    }
}

impl fmt::Display for DownloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.url, self.cause)
    }
}

impl fmt::Display for DownloadFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(error) => error.fmt(f),
            Self::Status(404) => f.write_str("the server has nothing there (status 404)"),
            Self::Status(status) => write!(f, "the server does not give it (status {status})"),
            Self::Location => f.write_str("it has moved, but the server does not say where to"),
            Self::Unsafe => f.write_str("it has moved to where anybody could change it (http)"),
            Self::Redirects => write!(f, "it has moved more than {REDIRECTS} times"),
            Self::TooSlow(time) => write!(f, "it did not come whole within {} s", time / SECOND),
            Self::TooLarge(limit) => write!(f, "it has more than {} MiB, the limit", limit >> 20),
            Self::Memory => f.write_str("too little memory is left for it"),
        }
    }
}

impl core::error::Error for DownloadError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        http::{Connect, Transport},
        io::{PipeReader, pipe},
        testing::{machine, run},
    };
    use alloc::{boxed::Box, format, string::String, task::Wake};
    use core::task::{Context, Poll, Waker};
    use spin::Mutex;

    /// Answers the request for each of these addresses with what stands beside it.
    struct Servers(&'static [(&'static str, &'static str)], Mutex<Vec<(String, PipeReader)>>);

    impl Connector for Servers {
        fn connect(&self, scheme: &Scheme, authority: &str) -> Result<Box<dyn Connect>, Error> {
            let host = format!("{scheme}://{authority}");
            let (_, answer) =
                self.0.iter().find(|(known, _)| *known == host).ok_or(Error::ConnectionRefused)?;
            let (input, theirs) = pipe(1 << 20);
            let (requests, output) = pipe(1 << 20);
            let task = &mut Context::from_waker(Waker::noop());
            assert!(crate::io::OutputStream::poll_write(&theirs, task, answer.as_bytes()).is_ready());
            self.1.lock().push((host, requests));
            Ok(Box::new(Transport { input: Arc::new(input), output: Arc::new(output) }))
        }
    }

    fn get(
        url: &str,
        limit: usize,
        answers: &'static [(&'static str, &'static str)],
    ) -> (Result<Vec<u8>, DownloadFailure>, String) {
        let (machine, clock) = machine();
        let servers = Servers(answers, Mutex::default());
        let url = url.parse().unwrap();
        let result = run(&clock, download(&servers, &machine.clock, &url, limit));
        let mut requests = String::new();
        for (host, request) in servers.1.into_inner() {
            let mut bytes = [0; 1_000];
            let task = &mut Context::from_waker(Waker::noop());
            let Poll::Ready(Ok(count)) = request.poll_read(task, &mut bytes) else { panic!("no request") };
            let line = core::str::from_utf8(&bytes[..count]).unwrap().lines().next().unwrap();
            requests += &format!("{host} {line}\n");
        }
        (result.map_err(|error| error.cause), requests)
    }

    #[test]
    fn a_file_is_followed_to_where_it_has_moved() {
        let answers = &[
            ("http://a", "HTTP/1.1 302 Found\r\nLocation: //b/d/e?f\r\nContent-Length: 3\r\n\r\nno!"),
            ("http://b", "HTTP/1.1 308 x\r\nLocation: https://c:1/../g.wasm#h\r\nContent-Length: 0\r\n\r\n"),
            (
                "https://c:1",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nwas\r\n1\r\nm\r\n0\r\n\r\n",
            ),
        ];
        let (file, requests) = get("http://a/x", 4, answers);
        assert_eq!(file, Ok(Vec::from(b"wasm")));
        let expected =
            "http://a GET /x HTTP/1.1\nhttp://b GET /d/e?f HTTP/1.1\nhttps://c:1 GET /../g.wasm HTTP/1.1\n";
        assert_eq!(requests, expected);
    }

    /// Sends the beginning of a file at once, and then as the clock goes on.
    struct Slow {
        clock: Arc<dyn Clock>,
        /// Between two bytes.
        pause: Nanoseconds,
        begins: Mutex<(usize, Nanoseconds)>,
        requests: Mutex<Option<PipeReader>>,
    }

    /// Somebody who waits, and is polled anyway.
    struct Waits;

    impl Wake for Waits {
        fn wake(self: Arc<Self>) {}
    }

    impl InputStream for Slow {
        fn poll_read(&self, task: &mut Context<'_>, buffer: &mut [u8]) -> Poll<crate::Result<usize>> {
            const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
            let (sent, next) = &mut *self.begins.lock();
            if let Some(byte) = HEAD.get(*sent) {
                buffer[0] = *byte;
            } else if self.clock.monotonic() >= *next {
                *next = self.clock.monotonic() + self.pause;
                buffer[0] = b'x';
            } else {
                task.waker().wake_by_ref();
                return Poll::Pending;
            }
            *sent += 1;
            Poll::Ready(Ok(1))
        }

        fn poll_readable(&self, _: &mut Context<'_>) -> Poll<crate::Result<crate::io::Readiness>> {
            Poll::Ready(Ok(crate::io::Readiness { bytes: 1, hangup: false }))
        }
    }

    impl Connector for Arc<Slow> {
        fn connect(&self, _: &Scheme, _: &str) -> Result<Box<dyn Connect>, Error> {
            let (requests, output) = pipe(1 << 10);
            *self.requests.lock() = Some(requests);
            Ok(Box::new(Transport { input: self.clone(), output: Arc::new(output) }))
        }
    }

    #[test]
    fn a_server_is_neither_silent_nor_slow_for_ever() {
        for (pause, cause, message, seconds) in [
            (59 * SECOND, DownloadFailure::TooSlow(TOTAL), "it did not come whole within 600 s", 600),
            (61 * SECOND, Error::ReadTimeout.into(), "the peer sent nothing for too long", 60),
        ] {
            let (machine, clock) = machine();
            let begins = Mutex::new((0, 0));
            let requests = Mutex::default();
            let slow = Arc::new(Slow { clock: machine.clock.clone(), pause, begins, requests });
            let url = "http://a/b".parse().unwrap();
            let start = clock.monotonic();
            let mut got = pin!(download(&slow, &machine.clock, &url, 1 << 20));
            let error = loop {
                match got.as_mut().poll(&mut Context::from_waker(&Arc::new(Waits).into())) {
                    Poll::Ready(got) => break got.unwrap_err(),
                    Poll::Pending => clock.advance(SECOND),
                }
            };
            assert_eq!((error.cause, clock.monotonic() - start), (cause, seconds * SECOND));
            assert_eq!(format!("{error}"), format!("http://a/b: {message}"));
        }
    }

    #[test]
    fn what_is_not_the_file_is_said() {
        use DownloadFailure as Why;
        let cases: [(&'static [(&'static str, &'static str)], Why); 9] = [
            (&[("https://a", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")], Why::Status(404)),
            (&[("https://a", "HTTP/1.1 206 Partial\r\nContent-Length: 0\r\n\r\n")], Why::Status(206)),
            (&[("https://a", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")], Why::TooLarge(4)),
            (
                &[("https://a", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwasm!\r\n")],
                Why::TooLarge(4),
            ),
            (&[("https://a", "HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n\r\n")], Why::Location),
            (
                &[("https://a", "HTTP/1.1 301 Moved\r\nLocation: ftp://b/\r\nContent-Length: 0\r\n\r\n")],
                Why::Location,
            ),
            (
                &[("https://a", "HTTP/1.1 301 Moved\r\nLocation: http://a/\r\nContent-Length: 0\r\n\r\n")],
                Why::Unsafe,
            ),
            (
                &[("https://a", "HTTP/1.1 301 Moved\r\nLocation: /\r\nContent-Length: 0\r\n\r\n")],
                Why::Redirects,
            ),
            (&[], Why::Http(Error::ConnectionRefused)),
        ];
        for (answers, why) in cases {
            assert_eq!(get("https://a/", 4, answers).0, Err(why), "{answers:?}");
        }
        let answers = &[("http://a", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwas")];
        assert_eq!(get("http://a/", 4, answers).0, Err(Why::Http(Error::ResponseIncomplete)));
    }
}
