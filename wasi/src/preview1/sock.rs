//! Sockets: `sock_accept`, `sock_recv`, `sock_send`, `sock_shutdown`. No descriptor is a socket yet, so all that can be told is
//! `BADF` from `NOTSOCK`.

use super::{
    Polled, Preview1,
    types::{FdFlags, RiFlags, SdFlags, UpTo},
};
use crate::{
    Error,
    guest::{GuestPtr, IoVec},
};
use core::task::Poll;

/// `siflags`: there are none.
type SiFlags = UpTo<0>;

fn socket(call: &Preview1<'_>, fd: u32) -> Polled {
    Poll::Ready(call.state.descriptors.get(fd).and(Err(Error::NotSocket)))
}

/// Accepts a connection.
pub fn sock_accept(call: &mut Preview1<'_>, fd: u32, _: FdFlags, _: GuestPtr<u32>) -> Polled {
    socket(call, fd)
}

/// Receives.
pub fn sock_recv(
    call: &mut Preview1<'_>,
    fd: u32,
    _vectors: GuestPtr<IoVec>,
    _len: u32,
    _flags: RiFlags,
    _received: GuestPtr<u32>,
    _out_flags: GuestPtr<u16>,
) -> Polled {
    socket(call, fd)
}

/// Sends.
pub fn sock_send(
    call: &mut Preview1<'_>,
    fd: u32,
    _vectors: GuestPtr<IoVec>,
    _len: u32,
    _flags: SiFlags,
    _sent: GuestPtr<u32>,
) -> Polled {
    socket(call, fd)
}

/// Shuts one or both directions down.
pub fn sock_shutdown(call: &mut Preview1<'_>, fd: u32, _: SdFlags) -> Polled {
    socket(call, fd)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preview1::testing::*;

    #[test]
    fn nothing_is_a_socket() {
        let mut guest = guest();
        for fd in [0, 1, ROOT] {
            assert_eq!(guest.call(|call| sock_shutdown(call, fd, SdFlags::RD)), Err(Error::NotSocket));
        }
        assert_eq!(guest.call(|call| sock_shutdown(call, 99, SdFlags::RD)), Err(Error::BadDescriptor));
    }
}
