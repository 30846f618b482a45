//! What goes wrong between two HTTP peers.

use core::fmt;

/// What went wrong with a request or a response. The names follow the error types for proxies that IANA keeps (RFC 9209).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Error {
    /// The name of the destination was not resolved in time.
    DnsTimeout,
    /// The name of the destination could not be resolved.
    Dns,
    /// There is no destination of this name.
    DestinationNotFound,
    /// The destination cannot be reached at present.
    DestinationUnavailable,
    /// There is no way to the destination's address.
    DestinationUnroutable,
    /// The destination refused the connection.
    ConnectionRefused,
    /// The connection ended before its time.
    ConnectionTerminated,
    /// The connection took too long to be made.
    ConnectionTimeout,
    /// The peer sent nothing for too long.
    ReadTimeout,
    /// The peer took nothing for too long.
    WriteTimeout,
    /// There are as many connections as there may be.
    ConnectionLimit,
    /// The peers could not agree on TLS.
    TlsProtocol,
    /// The peer's certificate does not verify.
    TlsCertificate,
    /// The peer ended TLS with this alert.
    TlsAlert(u8),
    /// A policy does not allow the request.
    Denied,
    /// The body of a request is not as long as its Content-Length: it is of so many bytes.
    RequestBodySize(u64),
    /// The method is none.
    MethodInvalid,
    /// The target of a request is none.
    UriInvalid,
    /// The target of a request is too long.
    UriTooLong,
    /// The head of a request has more than so many bytes.
    RequestHeadSize(u32),
    /// The trailers of a request have more than so many bytes.
    RequestTrailersSize(u32),
    /// The response ended in its middle.
    ResponseIncomplete,
    /// The head of a response has more than so many bytes.
    ResponseHeadSize(u32),
    /// The body of a response is not as long as its Content-Length: it is of so many bytes.
    ResponseBodySize(u64),
    /// The trailers of a response have more than so many bytes.
    ResponseTrailersSize(u32),
    /// A transfer coding that is not known.
    TransferCoding,
    /// An expectation that is not known.
    Expectation,
    /// Another version of the protocol.
    Version,
    /// Not HTTP, or HTTP that two readers could understand differently: why.
    Protocol(&'static str),
    /// This side cannot: why.
    Internal(&'static str),
}

impl Error {
    /// The status by which a server answers a request that it cannot take for this reason.
    pub fn status(self) -> u16 {
        match self {
            Self::ReadTimeout => 408,
            Self::UriTooLong => 414,
            Self::Expectation => 417,
            Self::RequestHeadSize(_) | Self::RequestTrailersSize(_) => 431,
            Self::TransferCoding | Self::MethodInvalid => 501,
            Self::Version => 505,
            Self::Internal(_) => 500,
            _ => 400,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DnsTimeout => "the name was not resolved in time",
            Self::Dns => "the name cannot be resolved",
            Self::DestinationNotFound => "there is no host of this name",
            Self::DestinationUnavailable => "the destination is unavailable",
            Self::DestinationUnroutable => "there is no route to the destination",
            Self::ConnectionRefused => "the connection was refused",
            Self::ConnectionTerminated => "the connection was closed before its time",
            Self::ConnectionTimeout => "the connection took too long to be made",
            Self::ReadTimeout => "the peer sent nothing for too long",
            Self::WriteTimeout => "the peer took nothing for too long",
            Self::ConnectionLimit => "too many connections",
            Self::TlsProtocol => "TLS failed",
            Self::TlsCertificate => "the certificate does not verify",
            Self::TlsAlert(alert) => return write!(f, "the peer ended TLS with alert {alert}"),
            Self::Denied => "the policy does not allow this request",
            Self::RequestBodySize(size) => {
                return write!(f, "the request's body has {size} bytes, which is not its Content-Length");
            }
            Self::MethodInvalid => "not a method",
            Self::UriInvalid => "not a valid target",
            Self::UriTooLong => "the target is too long",
            Self::RequestHeadSize(limit) => {
                return write!(f, "the request's head is too large (the limit is {limit})");
            }
            Self::RequestTrailersSize(limit) => {
                return write!(f, "the request's trailers are too large (the limit is {limit})");
            }
            Self::ResponseIncomplete => "the response ended in its middle",
            Self::ResponseHeadSize(limit) => {
                return write!(f, "the response's head is too large (the limit is {limit})");
            }
            Self::ResponseBodySize(size) => {
                return write!(f, "the response's body has {size} bytes, which is not its Content-Length");
            }
            Self::ResponseTrailersSize(limit) => {
                return write!(f, "the response's trailers are too large (the limit is {limit})");
            }
            Self::TransferCoding => "an unknown transfer coding",
            Self::Expectation => "an unknown expectation",
            Self::Version => "another version of HTTP than 1.0 and 1.1",
            Self::Protocol(why) => return write!(f, "not valid HTTP: {why}"),
            Self::Internal(why) => why,
        })
    }
}

impl core::error::Error for Error {}

/// What a connection's streams fail with.
impl From<crate::Error> for Error {
    fn from(error: crate::Error) -> Self {
        match error {
            crate::Error::Http(error) => error,
            crate::Error::NoMemory => Self::Internal("out of memory"),
            crate::Error::TooManyOpen | crate::Error::AddressInUse => Self::ConnectionLimit,
            crate::Error::Invalid | crate::Error::AddressFamily => Self::UriInvalid,
            crate::Error::Access | crate::Error::NotCapable | crate::Error::NotPermitted => Self::Denied,
            crate::Error::ConnectionRefused => Self::ConnectionRefused,
            crate::Error::HostUnreachable | crate::Error::NetworkUnreachable => Self::DestinationUnroutable,
            crate::Error::TimedOut => Self::ConnectionTimeout,
            crate::Error::NameNotFound => Self::DestinationNotFound,
            crate::Error::NameTemporary => Self::Dns,
            _ => Self::ConnectionTerminated,
        }
    }
}
