//! Fields: what headers and trailers are made of (RFC 9110, section 5). None is there that is not valid, so that what is sent
//! is what was meant.

use crate::heap;
use alloc::{string::String, sync::Arc, vec::Vec};

/// Names and values, in order, in their own spelling. A clone shares them until one of both changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    entries: Arc<Vec<(String, Vec<u8>)>>,
    size: usize,
    immutable: bool,
}

/// Why fields did not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldsError {
    /// Not a name, or not a value.
    Syntax,
    /// A name that is the connection's business.
    Forbidden,
    /// These fields are what they are.
    Immutable,
    /// There is no room for more.
    Size,
}

/// What each field counts beside its name and value.
const OVERHEAD: usize = 32;

/// The most that all fields count together.
const SIZE_MAX: usize = 128 << 10;

/// The fields that say how a message is delivered, which is not for programs to say.
const FORBIDDEN: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
    "host",
    "http2-settings",
];

impl Fields {
    /// The most fields that a message from a peer may have.
    pub const MAX: usize = 128;

    /// No fields yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// These fields, as they are from now on.
    #[must_use]
    pub fn immutable(self) -> Self {
        Self { immutable: true, ..self }
    }

    /// A copy that can be changed.
    #[must_use]
    pub fn mutable(&self) -> Self {
        Self { immutable: false, ..self.clone() }
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.entries.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The values of a name.
    pub fn get(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Whether the name is there.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).next().is_some()
    }

    /// Adds a field.
    ///
    /// # Errors
    /// [`FieldsError`].
    pub fn append(&mut self, name: String, value: Vec<u8>) -> Result<(), FieldsError> {
        self.check_change(&name)?;
        self.push(name, value)
    }

    /// Replaces all values of a name.
    ///
    /// # Errors
    /// [`FieldsError`]; nothing has changed then.
    pub fn set(&mut self, name: &str, values: Vec<Vec<u8>>) -> Result<(), FieldsError> {
        self.check_change(name)?;
        let mut changed = self.clone();
        changed.remove(name);
        for value in values {
            changed.push(name.into(), value)?;
        }
        *self = changed;
        Ok(())
    }

    /// Removes all values of a name.
    ///
    /// # Errors
    /// [`FieldsError`].
    pub fn delete(&mut self, name: &str) -> Result<(), FieldsError> {
        self.check_change(name)?;
        self.remove(name);
        Ok(())
    }

    fn check_change(&self, name: &str) -> Result<(), FieldsError> {
        if !is_token(name.as_bytes()) {
            return Err(FieldsError::Syntax);
        }
        if is_forbidden(name) {
            return Err(FieldsError::Forbidden);
        }
        if self.immutable { Err(FieldsError::Immutable) } else { Ok(()) }
    }

    /// Adds a field of any name.
    pub(super) fn push(&mut self, name: String, value: Vec<u8>) -> Result<(), FieldsError> {
        if !is_token(name.as_bytes()) || !is_value(&name, &value) {
            return Err(FieldsError::Syntax);
        }
        let size = self.size.saturating_add(name.len()).saturating_add(value.len()).saturating_add(OVERHEAD);
        if size > SIZE_MAX || heap::check_for(size).is_err() {
            return Err(FieldsError::Size);
        }
        Arc::make_mut(&mut self.entries).push((name, value));
        self.size = size;
        Ok(())
    }

    fn remove(&mut self, name: &str) {
        self.retain(|known| !known.eq_ignore_ascii_case(name));
    }

    /// Keeps the fields whose names `keep` likes.
    pub(super) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        if self.iter().any(|(name, _)| !keep(name)) {
            Arc::make_mut(&mut self.entries).retain(|(name, _)| keep(name));
            self.size = self.iter().map(|(name, value)| name.len() + value.len() + OVERHEAD).sum();
        }
    }

    /// The same, without what is the connection's business.
    #[must_use]
    pub(super) fn for_program(mut self) -> Self {
        self.retain(|name| !is_forbidden(name));
        self.immutable()
    }
}

fn is_forbidden(name: &str) -> bool {
    FORBIDDEN.iter().any(|forbidden| forbidden.eq_ignore_ascii_case(name))
}

/// Whether these bytes are a token (RFC 9110, section 5.6.2), as names and methods are.
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

/// Whether these bytes are a value of this field.
fn is_value(name: &str, value: &[u8]) -> bool {
    let plain = value.iter().all(|&byte| byte == b'\t' || byte >= b' ' && byte != 0x7f);
    plain && (!name.eq_ignore_ascii_case("content-length") || content_length(value).is_some())
}

/// A value of Content-Length: digits, and nothing else.
pub(super) fn content_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    core::str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(entries: &[(&str, &str)]) -> Fields {
        let mut fields = Fields::new();
        for (name, value) in entries {
            fields.append((*name).into(), value.as_bytes().into()).unwrap();
        }
        fields
    }

    #[test]
    fn names_have_no_case_and_keep_their_spelling_and_order() {
        let mut fields = fields(&[("Accept", "a"), ("x-y", ""), ("ACCEPT", "b")]);
        assert_eq!(fields.get("accept").collect::<Vec<_>>(), [b"a", b"b"]);
        assert!(fields.has("X-Y") && !fields.has("x"));
        assert_eq!(fields.get("X-Y").collect::<Vec<_>>(), [b""]);
        fields.set("aCCept", Vec::from([b"c".to_vec(), b"d".to_vec()])).unwrap();
        let entries: Vec<_> = fields.iter().collect();
        assert_eq!(entries, [("x-y", &b""[..]), ("aCCept", b"c"), ("aCCept", b"d")]);
        fields.delete("X-y").unwrap();
        fields.delete("none").unwrap();
        fields.set("accept", Vec::new()).unwrap();
        assert_eq!(fields, Fields::new());
    }

    #[test]
    fn what_could_be_read_as_something_else_is_no_field() {
        for name in ["", "a b", "a:", "a\r", "a\n", "a\0", "ä", "a\t", "(a)", "a,b", "\"a\"", "a@b"] {
            assert_eq!(Fields::new().append(name.into(), Vec::new()), Err(FieldsError::Syntax), "{name:?}");
            assert_eq!(Fields::new().set(name, Vec::new()), Err(FieldsError::Syntax), "{name:?}");
            assert_eq!(Fields::new().delete(name), Err(FieldsError::Syntax), "{name:?}");
        }
        for value in ["a\r\nb: c", "a\nb", "a\rb", "\0", "\x7f", "\x1b"] {
            assert_eq!(Fields::new().append("a".into(), value.into()), Err(FieldsError::Syntax), "{value:?}");
            let mut unchanged = fields(&[("a", "b")]);
            let values = Vec::from([b"fine".to_vec(), value.into()]);
            assert_eq!(unchanged.set("a", values), Err(FieldsError::Syntax), "{value:?}");
            assert_eq!(unchanged, fields(&[("a", "b")]));
        }
        for value in ["", " a ", "a\tb", "ä", "\u{80}"] {
            assert_eq!(Fields::new().append("a".into(), value.into()), Ok(()), "{value:?}");
        }
        for length in ["", "-1", "+1", " 1", "1 ", "0x1", "1,1", "18446744073709551616"] {
            let appended = Fields::new().append("Content-Length".into(), length.into());
            assert_eq!(appended, Err(FieldsError::Syntax), "{length:?}");
        }
        fields(&[("content-length", "18446744073709551615"), ("content-length", "007")]);
    }

    #[test]
    fn the_connections_business_is_forbidden() {
        for name in FORBIDDEN.into_iter().chain(["Host", "Transfer-Encoding", "CONNECTION"]) {
            for mut fields in [Fields::new(), Fields::new().immutable()] {
                assert_eq!(fields.append(name.into(), Vec::new()), Err(FieldsError::Forbidden));
                assert_eq!(fields.set(name, Vec::new()), Err(FieldsError::Forbidden));
                assert_eq!(fields.delete(name), Err(FieldsError::Forbidden));
            }
        }
        let mut received = Fields::new();
        for name in ["a", "Host", "b", "keep-alive", "Upgrade"] {
            received.push(name.into(), Vec::new()).unwrap();
        }
        let mut received = received.for_program();
        assert_eq!(received.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(received.delete("a"), Err(FieldsError::Immutable));
    }

    #[test]
    fn immutable_fields_stay_and_their_copies_do_not() {
        let mut fields = fields(&[("a", "b")]).immutable();
        assert_eq!(fields.append("a".into(), Vec::new()), Err(FieldsError::Immutable));
        assert_eq!(fields.set("a", Vec::new()), Err(FieldsError::Immutable));
        assert_eq!(fields.delete("a"), Err(FieldsError::Immutable));
        let mut copy = fields.mutable();
        copy.delete("a").unwrap();
        assert!(fields.has("a") && !copy.has("a"));
    }

    #[test]
    fn there_is_an_end_to_them_and_room_again() {
        let mut fields = Fields::new();
        let full = (0..).find(|_| fields.append("a".into(), Vec::new()).is_err());
        assert_eq!(full, Some(SIZE_MAX / (OVERHEAD + 1)));
        assert_eq!(fields.append("a".into(), Vec::new()), Err(FieldsError::Size));
        fields.delete("a").unwrap();
        let value = Vec::from([b'x'; SIZE_MAX - OVERHEAD - 1]);
        assert_eq!(fields.set("b", Vec::from([value.clone()])), Ok(()));
        assert_eq!(fields.set("b", Vec::from([value.clone(), Vec::new()])), Err(FieldsError::Size));
        assert_eq!(fields.get("b").collect::<Vec<_>>(), [value]);
    }
}
