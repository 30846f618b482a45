//! What a request is for: methods, schemes, authorities, and paths (RFC 9110, section 4, and RFC 3986).

use super::fields::is_token;
use alloc::string::String;
use core::fmt;

/// A method: any token, in capitals as a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method(String);

impl Method {
    /// The method of this name; `None` for what is no token.
    pub fn new(name: impl Into<String>) -> Option<Self> {
        let name = name.into();
        is_token(name.as_bytes()).then_some(Self(name))
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether requests have a body as a rule, so that one without it says so.
    pub(super) fn expects_body(&self) -> bool {
        matches!(self.as_str(), "POST" | "PUT" | "PATCH")
    }
}

/// A scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `http`.
    Http,
    /// `https`.
    Https,
    /// Another one.
    Other(String),
}

impl Scheme {
    /// Whether this can be the name of a scheme.
    pub fn is_valid(name: &str) -> bool {
        name.starts_with(|first: char| first.is_ascii_alphabetic())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    }

    /// The port where no other is said.
    pub fn port(&self) -> u16 {
        if *self == Self::Https { 443 } else { 80 }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Other(name) => name,
        })
    }
}

/// An authority: a host and perhaps a port. No user or password, which HTTP does not have (RFC 9110, section 4.2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority<'a> {
    /// A name or an address; that of IPv6 without its brackets.
    pub host: &'a str,
    /// The port, if it is said.
    pub port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// The parts of an authority; `None` for what is none.
    pub fn new(authority: &'a str) -> Option<Self> {
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']')?;
                host.parse::<core::net::Ipv6Addr>().ok()?;
                (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
            }
            None => {
                let (host, port) =
                    authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
                let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%".contains(&byte);
                if host.is_empty() || !host.bytes().all(valid) {
                    return None;
                }
                (host, port)
            }
        };
        let port = match port {
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => Some(port.parse().ok()?),
            Some(_) => return None,
            None => None,
        };
        Some(Self { host, port })
    }
}

/// Whether this can be a path with a query: no fragment, no space, nothing that is not ASCII.
pub fn is_path_with_query(path: &str) -> bool {
    (path.is_empty() || path.starts_with(['/', '?']) || path == "*")
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_a_token() {
        for method in ["GET", "get", "X-Y", "M!"] {
            assert_eq!(Method::new(method).unwrap().as_str(), method);
        }
        for method in ["", "G T", "GET\r", "\n", "G/T", "Ä"] {
            assert_eq!(Method::new(method), None, "{method:?}");
        }
    }

    #[test]
    fn an_authority_is_a_host_and_perhaps_a_port() {
        let cases = [
            ("example.com", "example.com", None),
            ("example.com:443", "example.com", Some(443)),
            ("127.0.0.1:0", "127.0.0.1", Some(0)),
            ("[::1]", "::1", None),
            ("[2001:db8::1]:8443", "2001:db8::1", Some(8443)),
            ("a_b-c.~:65535", "a_b-c.~", Some(65535)),
        ];
        for (authority, host, port) in cases {
            assert_eq!(Authority::new(authority), Some(Authority { host, port }), "{authority}");
        }
        for none in [
            "",
            ":80",
            "a:",
            "a:b",
            "a:65536",
            "a:+1",
            "a:1:2",
            "user@host",
            "a b",
            "a/b",
            "a\n",
            "[::1",
            "[::1]x",
            "[::1]:",
            "[a]",
            "::1",
            "[]",
            "ä",
            "a?b",
            "a#b",
            "a\\b",
        ] {
            assert_eq!(Authority::new(none), None, "{none:?}");
        }
    }

    #[test]
    fn schemes_and_paths() {
        assert!(["http", "WS", "a+b-c.1"].into_iter().all(Scheme::is_valid));
        assert!(!["", "1a", "a b", "a\n", "a:", "ä"].into_iter().any(Scheme::is_valid));
        assert!(["", "/", "/a?b=c/%20", "?q", "*", "/a;b=\"{c}\"|^"].into_iter().all(is_path_with_query));
        for path in ["a", "/ ", "/a b", "/\n", "/\r", "/\0", "/#a", "/ä", "**", "\u{7f}"] {
            assert!(!is_path_with_query(path), "{path:?}");
        }
    }
}
