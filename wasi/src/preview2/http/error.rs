//! `error-code`, and where it comes from.

use super::super::{Data, Polled, Preview2, io::IoError};
use crate::{http, preview2::io::Origin};
use alloc::string::{String, ToString};
use component::{Borrow, host::InterfaceBuilder};
use core::task::Poll;

component::record! {
    /// What a name server said.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct DnsErrorPayload {
        pub rcode: Option<String>,
        pub info_code: Option<u16>,
    }
}

component::record! {
    /// Why the other side ended TLS.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct TlsAlertReceivedPayload {
        pub alert_id: Option<u8>,
        pub alert_message: Option<String>,
    }
}

component::record! {
    /// Which field is too large.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct FieldSizePayload {
        pub field_name: Option<String>,
        pub field_size: Option<u32>,
    }
}

component::variant! {
    /// What went wrong.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum ErrorCode {
        DnsTimeout as "DNS-timeout",
        DnsError as "DNS-error" (DnsErrorPayload),
        DestinationNotFound,
        DestinationUnavailable,
        DestinationIpProhibited as "destination-IP-prohibited",
        DestinationIpUnroutable as "destination-IP-unroutable",
        ConnectionRefused,
        ConnectionTerminated,
        ConnectionTimeout,
        ConnectionReadTimeout,
        ConnectionWriteTimeout,
        ConnectionLimitReached,
        TlsProtocolError as "TLS-protocol-error",
        TlsCertificateError as "TLS-certificate-error",
        TlsAlertReceived as "TLS-alert-received" (TlsAlertReceivedPayload),
        HttpRequestDenied as "HTTP-request-denied",
        HttpRequestLengthRequired as "HTTP-request-length-required",
        HttpRequestBodySize as "HTTP-request-body-size" (Option<u64>),
        HttpRequestMethodInvalid as "HTTP-request-method-invalid",
        HttpRequestUriInvalid as "HTTP-request-URI-invalid",
        HttpRequestUriTooLong as "HTTP-request-URI-too-long",
        HttpRequestHeaderSectionSize as "HTTP-request-header-section-size" (Option<u32>),
        HttpRequestHeaderSize as "HTTP-request-header-size" (Option<FieldSizePayload>),
        HttpRequestTrailerSectionSize as "HTTP-request-trailer-section-size" (Option<u32>),
        HttpRequestTrailerSize as "HTTP-request-trailer-size" (FieldSizePayload),
        HttpResponseIncomplete as "HTTP-response-incomplete",
        HttpResponseHeaderSectionSize as "HTTP-response-header-section-size" (Option<u32>),
        HttpResponseHeaderSize as "HTTP-response-header-size" (FieldSizePayload),
        HttpResponseBodySize as "HTTP-response-body-size" (Option<u64>),
        HttpResponseTrailerSectionSize as "HTTP-response-trailer-section-size" (Option<u32>),
        HttpResponseTrailerSize as "HTTP-response-trailer-size" (FieldSizePayload),
        HttpResponseTransferCoding as "HTTP-response-transfer-coding" (Option<String>),
        HttpResponseContentCoding as "HTTP-response-content-coding" (Option<String>),
        HttpResponseTimeout as "HTTP-response-timeout",
        HttpUpgradeFailed as "HTTP-upgrade-failed",
        HttpProtocolError as "HTTP-protocol-error",
        LoopDetected,
        ConfigurationError,
        InternalError(Option<String>),
    }
}

impl From<http::Error> for ErrorCode {
    fn from(error: http::Error) -> Self {
        use http::Error;
        match error {
            Error::DnsTimeout => Self::DnsTimeout,
            Error::Dns => Self::DnsError(DnsErrorPayload { rcode: None, info_code: None }),
            Error::DestinationNotFound => Self::DestinationNotFound,
            Error::DestinationUnavailable => Self::DestinationUnavailable,
            Error::DestinationUnroutable => Self::DestinationIpUnroutable,
            Error::ConnectionRefused => Self::ConnectionRefused,
            Error::ConnectionTerminated => Self::ConnectionTerminated,
            Error::ConnectionTimeout => Self::ConnectionTimeout,
            Error::ReadTimeout => Self::ConnectionReadTimeout,
            Error::WriteTimeout => Self::ConnectionWriteTimeout,
            Error::ConnectionLimit => Self::ConnectionLimitReached,
            Error::TlsProtocol => Self::TlsProtocolError,
            Error::TlsCertificate => Self::TlsCertificateError,
            Error::TlsAlert(alert) => {
                Self::TlsAlertReceived(TlsAlertReceivedPayload { alert_id: Some(alert), alert_message: None })
            }
            Error::Denied => Self::HttpRequestDenied,
            Error::RequestBodySize(size) => Self::HttpRequestBodySize(Some(size)),
            Error::MethodInvalid => Self::HttpRequestMethodInvalid,
            Error::UriInvalid => Self::HttpRequestUriInvalid,
            Error::UriTooLong => Self::HttpRequestUriTooLong,
            Error::RequestHeadSize(limit) => Self::HttpRequestHeaderSectionSize(Some(limit)),
            Error::RequestTrailersSize(limit) => Self::HttpRequestTrailerSectionSize(Some(limit)),
            Error::ResponseIncomplete => Self::HttpResponseIncomplete,
            Error::ResponseHeadSize(limit) => Self::HttpResponseHeaderSectionSize(Some(limit)),
            Error::ResponseBodySize(size) => Self::HttpResponseBodySize(Some(size)),
            Error::ResponseTrailersSize(limit) => Self::HttpResponseTrailerSectionSize(Some(limit)),
            Error::TransferCoding => Self::HttpResponseTransferCoding(None),
            Error::Expectation | Error::Version | Error::Protocol(_) => Self::HttpProtocolError,
            Error::Internal(why) => Self::InternalError(Some(why.to_string())),
        }
    }
}

impl ErrorCode {
    /// The status by which a handler's error is answered: what RFC 9209 recommends.
    pub(super) fn status(&self) -> u16 {
        match self {
            Self::DnsTimeout
            | Self::ConnectionTimeout
            | Self::ConnectionReadTimeout
            | Self::ConnectionWriteTimeout
            | Self::HttpResponseTimeout => 504,
            Self::DestinationUnavailable | Self::ConnectionLimitReached => 503,
            Self::HttpRequestDenied => 403,
            Self::HttpRequestLengthRequired => 411,
            Self::HttpRequestBodySize(_) => 413,
            Self::HttpRequestUriTooLong => 414,
            Self::HttpRequestMethodInvalid | Self::HttpRequestUriInvalid => 400,
            Self::HttpRequestHeaderSectionSize(_)
            | Self::HttpRequestHeaderSize(_)
            | Self::HttpRequestTrailerSectionSize(_)
            | Self::HttpRequestTrailerSize(_) => 431,
            Self::DestinationNotFound | Self::ConfigurationError | Self::InternalError(_) => 500,
            _ => 502,
        }
    }
}

pub(super) fn register(types: &mut InterfaceBuilder<'_, Data>) {
    types.func("http-error-code", http_error_code);
}

/// What a stream's error says of HTTP, if it is a body's.
pub fn http_error_code(call: &mut Preview2<'_>, &(error,): &(Borrow<IoError>,)) -> Polled<Option<ErrorCode>> {
    let error = call.data.state.table.get::<IoError>(error.rep)?;
    let is_http = error.origin == Origin::Http;
    Poll::Ready(Ok(is_http.then(|| http::Error::from(error.error).into())))
}
