//! Why there is no connection, or no more of it.

use crate::http;
use core::fmt;
use rustls::{AlertDescription, CertificateError, Error as Tls};

/// Why a connection failed. Nothing that was not verified has been sent or read then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The server's name is neither a DNS name nor an IP address.
    Name,
    /// The machine has no random bytes.
    Entropy,
    /// The machine does not know the date, so no certificate can be checked.
    Date,
    /// The server's certificate was refused.
    Certificate(Certificate),
    /// The server ended it, with this alert (RFC 8446, section 6).
    Alert(u8),
    /// The server and this client have no version, cipher suite or group in common.
    Incompatible,
    /// The server broke the protocol, or somebody changed what it sent.
    Protocol,
    /// The streams ended before the server had said goodbye (`close_notify`): somebody may have cut off the rest.
    Truncated,
    /// A stream underneath failed.
    Stream(crate::Error),
}

/// Why a certificate was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Certificate {
    /// It is not valid any more.
    Expired,
    /// It is not valid yet.
    NotYetValid,
    /// It is for other names.
    WrongName,
    /// It does not lead to an authority that is trusted.
    UnknownIssuer,
    /// A signature is wrong.
    BadSignature,
    /// It is not for servers.
    WrongPurpose,
    /// It was revoked.
    Revoked,
    /// Its key or signature is of a kind that is not supported.
    UnsupportedAlgorithm,
    /// It is used for what it does not allow: to issue others, for a name outside of its issuer's, as a server's although it is an
    /// authority's; or it may say so in words that are not understood.
    Misused,
    /// It is malformed, or there was none.
    Malformed,
}

impl From<Tls> for Error {
    fn from(error: Tls) -> Self {
        match error {
            Tls::InvalidCertificate(error) => Self::Certificate(error.into()),
            Tls::NoCertificatesPresented => Self::Certificate(Certificate::Malformed),
            Tls::AlertReceived(alert) => Self::Alert(alert.into()),
            Tls::PeerIncompatible(_) | Tls::NoApplicationProtocol => Self::Incompatible,
            Tls::FailedToGetCurrentTime => Self::Date,
            Tls::FailedToGetRandomBytes => Self::Entropy,
            Tls::UnsupportedNameType => Self::Name,
            _ => Self::Protocol,
        }
    }
}

impl From<CertificateError> for Certificate {
    fn from(error: CertificateError) -> Self {
        use CertificateError as E;
        match error {
            E::Expired | E::ExpiredContext { .. } => Self::Expired,
            E::NotValidYet | E::NotValidYetContext { .. } => Self::NotYetValid,
            E::NotValidForName | E::NotValidForNameContext { .. } => Self::WrongName,
            E::UnknownIssuer => Self::UnknownIssuer,
            E::BadSignature => Self::BadSignature,
            E::InvalidPurpose | E::InvalidPurposeContext { .. } => Self::WrongPurpose,
            E::Revoked => Self::Revoked,
            E::UnsupportedSignatureAlgorithmContext { .. }
            | E::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => Self::UnsupportedAlgorithm,
            E::BadEncoding => Self::Malformed,
            _ => Self::Misused,
        }
    }
}

/// What HTTP says, and so WASI.
impl From<Error> for http::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Certificate(_) | Error::Date => Self::TlsCertificate,
            Error::Alert(alert) => Self::TlsAlert(alert),
            Error::Name | Error::Incompatible | Error::Protocol => Self::TlsProtocol,
            Error::Entropy => Self::Internal("no source of random bytes"),
            Error::Truncated => Self::ConnectionTerminated,
            Error::Stream(error) => error.into(),
        }
    }
}

impl Error {
    /// What a stream fails with.
    pub(super) fn of_stream(self) -> crate::Error {
        match self {
            Self::Stream(error) => error,
            error => crate::Error::Http(error.into()),
        }
    }

    /// The name of an alert in RFC 8446, section 6; `None` if it has none there.
    pub fn alert_name(alert: u8) -> Option<&'static str> {
        AlertDescription::from(alert).as_str()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => f.write_str("the server's name is neither a DNS name nor an IP address"),
            Self::Entropy => f.write_str("the machine has no source of random bytes"),
            Self::Date => f.write_str("the machine does not know the date, so no certificate can be checked"),
            Self::Certificate(why) => write!(f, "the server's certificate was refused: {why}"),
            Self::Alert(alert) => {
                f.write_str("the server ended the connection with the TLS alert ")?;
                match Self::alert_name(*alert) {
                    Some(name) => f.write_str(name),
                    None => alert.fmt(f),
                }
            }
            Self::Incompatible => f.write_str("the server does not speak TLS 1.3 as it is spoken here"),
            Self::Protocol => f.write_str("the server broke the TLS protocol"),
            Self::Truncated => f.write_str("the connection was cut off"),
            Self::Stream(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "it has expired",
            Self::NotYetValid => "it is not valid yet",
            Self::WrongName => "it is for another name",
            Self::UnknownIssuer => "no trusted authority has issued it",
            Self::BadSignature => "a signature is wrong",
            Self::WrongPurpose => "it is not for servers",
            Self::Revoked => "it was revoked",
            Self::UnsupportedAlgorithm => "its kind of key or signature is not supported",
            Self::Misused => "it is used for what it does not allow",
            Self::Malformed => "it is malformed",
        })
    }
}

impl core::error::Error for Error {}
