//! Where something is: absolute addresses of `http` and `https` (RFC 9110, section 4.2), and what is relative to them (RFC 3986,
//! section 5).

use super::{Authority, Scheme, is_path_with_query};
use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::{fmt, str::FromStr};

/// An address of `http` or `https`, without a fragment, which is not for servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// [`Scheme::Http`] or [`Scheme::Https`].
    pub scheme: Scheme,
    /// The host and perhaps the port: an [`Authority`].
    pub authority: String,
    /// The path, which begins with a slash, and perhaps a query.
    pub path_with_query: String,
}

/// Not an address of `http` or `https`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAUrl;

impl FromStr for Url {
    type Err = NotAUrl;

    fn from_str(text: &str) -> Result<Self, NotAUrl> {
        let (scheme, rest) = text.split_once("://").ok_or(NotAUrl)?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(NotAUrl),
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        Self::new(scheme, authority, path)
    }
}

impl Url {
    fn new(scheme: Scheme, authority: &str, path: &str) -> Result<Self, NotAUrl> {
        let path = path.split_once('#').map_or(path, |(path, _fragment)| path);
        let slash = if path.starts_with('/') { "" } else { "/" };
        let path_with_query = format!("{slash}{path}");
        if Authority::new(authority).is_none() || !is_path_with_query(&path_with_query) {
            return Err(NotAUrl);
        }
        Ok(Self { scheme, authority: authority.to_string(), path_with_query })
    }

    /// What `reference` means where this is (the value of a Location field, say).
    ///
    /// # Errors
    /// [`NotAUrl`] if that is no address of `http` or `https`.
    pub fn join(&self, reference: &str) -> Result<Self, NotAUrl> {
        let first = reference.find(['/', '?', '#']).unwrap_or(reference.len());
        if reference.get(..first).is_some_and(|start| start.contains(':')) {
            return reference.parse();
        }
        if let Some(rest) = reference.strip_prefix("//") {
            return format!("{}://{rest}", self.scheme).parse();
        }
        let own = self.path_with_query.split_once('?').map_or(&*self.path_with_query, |(path, _)| path);
        let (path, query) = reference.split_at(reference.find(['?', '#']).unwrap_or(reference.len()));
        let path = match path {
            // A reference to this itself keeps its query.
            "" if !query.starts_with('?') => self.path_with_query.clone(),
            "" => own.to_string(),
            path if path.starts_with('/') => without_dots(path),
            path => {
                let directory = own.rsplit_once('/').map_or("", |(directory, _)| directory);
                without_dots(&format!("{directory}/{path}"))
            }
        };
        Self::new(self.scheme.clone(), &self.authority, &(path + query))
    }
}

/// Resolves `.` and `..` in an absolute path; above the root there is only the root.
fn without_dots(path: &str) -> String {
    let mut segments = Vec::new();
    let mut parts = path.split('/').skip(1).peekable();
    while let Some(part) = parts.next() {
        let is_dots = matches!(part, "." | "..");
        if part == ".." {
            segments.pop();
        }
        if !is_dots {
            segments.push(part);
        } else if parts.peek().is_none() {
            // What ends in dots is a directory.
            segments.push("");
        }
    }
    format!("/{}", segments.join("/"))
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.path_with_query)
    }
}

impl fmt::Display for NotAUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an address of the form http://HOST[:PORT]/PATH or https://HOST[:PORT]/PATH")
    }
}

impl core::error::Error for NotAUrl {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_scheme_an_authority_and_a_path() {
        let cases = [
            ("http://a", "http://a/"),
            ("HTTPS://a.b:8443/c/d.wasm?e=f&g", "https://a.b:8443/c/d.wasm?e=f&g"),
            ("http://[::1]:80?q", "http://[::1]:80/?q"),
            ("http://a/b#c?d", "http://a/b"),
            ("http://a#b", "http://a/"),
            ("http://1.2.3.4//b/../c", "http://1.2.3.4//b/../c"),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<Url>().map(|url| url.to_string()).as_deref(), Ok(expected), "{text}");
        }
        for text in [
            "",
            "a",
            "/a",
            "a.wasm",
            "http:",
            "http:/a",
            "http://",
            "http:///a",
            "ftp://a/",
            "://a",
            "file:///a",
            "http://u@a/",
            "http://u:p@a/",
            "http://a b/",
            "http://a/b c",
            "http://a/\r\nX: y",
            "http://a/ä",
            "http://a:x/",
            "http://a:65536/",
            " http://a/",
        ] {
            assert_eq!(text.parse::<Url>(), Err(NotAUrl), "{text:?}");
        }
    }

    #[test]
    fn a_reference_is_relative_to_where_it_stands() {
        // From RFC 3986, section 5.4, with its base but for the scheme.
        let base: Url = "http://a/b/c/d;p?q".parse().unwrap();
        let cases = [
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g/"),
            ("?y", "http://a/b/c/d;p?y"),
            ("g?y", "http://a/b/c/g?y"),
            ("#s", "http://a/b/c/d;p?q"),
            ("g#s", "http://a/b/c/g"),
            ("g?y#s", "http://a/b/c/g?y"),
            (";x", "http://a/b/c/;x"),
            ("g;x?y#s", "http://a/b/c/g;x?y"),
            ("", "http://a/b/c/d;p?q"),
            (".", "http://a/b/c/"),
            ("./", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../", "http://a/b/"),
            ("../g", "http://a/b/g"),
            ("../..", "http://a/"),
            ("../../g", "http://a/g"),
            ("../../../g", "http://a/g"),
            ("/./g", "http://a/g"),
            ("/../g", "http://a/g"),
            ("g.", "http://a/b/c/g."),
            (".g", "http://a/b/c/.g"),
            ("g..", "http://a/b/c/g.."),
            ("./../g", "http://a/b/g"),
            ("./g/.", "http://a/b/c/g/"),
            ("g/../h", "http://a/b/c/h"),
            ("g;x=1/../y", "http://a/b/c/y"),
            ("g?y/../x", "http://a/b/c/g?y/../x"),
            ("https://h/i", "https://h/i"),
        ];
        for (reference, expected) in cases {
            assert_eq!(
                base.join(reference).map(|url| url.to_string()).as_deref(),
                Ok(expected),
                "{reference:?}"
            );
        }
        for reference in ["ftp://a/", "mailto:a", "javascript:1", "//u@a/", "/a b", "a\r\nb", "//"] {
            assert_eq!(base.join(reference), Err(NotAUrl), "{reference:?}");
        }
    }
}
