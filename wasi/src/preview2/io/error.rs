//! `wasi:io/error`.

use crate::{
    Error,
    preview2::{Interfaces, Polled, Preview2, interface, offer},
};
use alloc::string::{String, ToString};
use component::Borrow;
use core::task::Poll;

/// The resource `error`: what went wrong with a stream.
pub struct IoError {
    /// What went wrong.
    pub error: Error,
    /// What it went wrong with.
    pub origin: Origin,
}

/// What a stream leads to: the interface whose error codes its errors have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Something that has no error codes: stdio.
    Stdio,
    /// A file.
    File,
    /// A connection.
    Socket,
    /// The body of an HTTP message.
    Http,
}

pub fn register(linker: &mut Interfaces) {
    let mut error = interface(linker, "wasi:io/error");
    offer::<IoError>(&mut error);
    error.func("[method]error.to-debug-string", to_debug_string);
}

/// The error, for a person.
pub fn to_debug_string(call: &mut Preview2<'_>, (error,): &(Borrow<IoError>,)) -> Polled<String> {
    let error = call.data.state.table.get::<IoError>(error.rep)?;
    Poll::Ready(Ok(error.error.to_string()))
}
