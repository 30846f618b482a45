//! `wasi:cli/exit`.

use super::{Interfaces, Polled, Preview2, interface};
use crate::call::Exit;
use core::task::Poll;

pub fn register(linker: &mut Interfaces) {
    interface(linker, "wasi:cli/exit").func("exit", exit).func("exit-with-code", exit_with_code);
}

/// Ends the program: with status 0 if all went well, else with 1.
pub fn exit(_: &mut Preview2<'_>, (status,): &(Result<(), ()>,)) -> Polled<()> {
    Poll::Ready(Err(wasmi::Error::host(Exit(u32::from(status.is_err())))))
}

/// Ends the program with a status.
pub fn exit_with_code(_: &mut Preview2<'_>, (status,): &(u8,)) -> Polled<()> {
    Poll::Ready(Err(wasmi::Error::host(Exit((*status).into()))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preview2::testing::*;

    #[test]
    fn the_status_is_the_guests() {
        let mut guest = guest();
        let status = |polled: Polled<()>| match polled {
            Poll::Ready(Err(error)) => error.downcast_ref::<Exit>().copied(),
            _ => None,
        };
        assert_eq!(status(guest.poll(exit, (Ok(()),))), Some(Exit(0)));
        assert_eq!(status(guest.poll(exit, (Err(()),))), Some(Exit(1)));
        assert_eq!(status(guest.poll(exit_with_code, (200,))), Some(Exit(200)));
    }
}
