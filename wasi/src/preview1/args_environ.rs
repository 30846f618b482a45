//! Arguments and environment: `args_get`, `args_sizes_get`, `environ_get`, `environ_sizes_get`.

use super::{Polled, Preview1};
use crate::{
    Error, Result,
    guest::{GuestMemory, GuestPtr},
};
use alloc::vec::Vec;
use core::task::Poll;

/// Writes the arguments to `buffer`, each ended by a NUL, and their addresses to `pointers`.
pub fn args_get(call: &mut Preview1<'_>, pointers: GuestPtr<GuestPtr<u8>>, buffer: GuestPtr<u8>) -> Polled {
    Poll::Ready(write(&call.state.args, &mut call.memory, pointers, buffer))
}

/// Writes how many arguments there are, and how many bytes they take.
pub fn args_sizes_get(call: &mut Preview1<'_>, count: GuestPtr<u32>, bytes: GuestPtr<u32>) -> Polled {
    Poll::Ready(write_sizes(&call.state.args, &mut call.memory, count, bytes))
}

/// Writes the environment as [`args_get`] does the arguments.
pub fn environ_get(
    call: &mut Preview1<'_>,
    pointers: GuestPtr<GuestPtr<u8>>,
    buffer: GuestPtr<u8>,
) -> Polled {
    Poll::Ready(write(&call.state.environment, &mut call.memory, pointers, buffer))
}

/// Writes how many variables there are, and how many bytes they take.
pub fn environ_sizes_get(call: &mut Preview1<'_>, count: GuestPtr<u32>, bytes: GuestPtr<u32>) -> Polled {
    Poll::Ready(write_sizes(&call.state.environment, &mut call.memory, count, bytes))
}

/// How many there are, and how many bytes they take with their NULs.
fn sizes(strings: &[Vec<u8>]) -> Result<(u32, u32)> {
    let count = u32::try_from(strings.len()).ok();
    let bytes = strings.iter().try_fold(0u32, |sum, string| {
        let len = u32::try_from(string.len()).ok()?.checked_add(1)?;
        sum.checked_add(len)
    });
    count.zip(bytes).ok_or(Error::Overflow)
}

fn write_sizes(
    strings: &[Vec<u8>],
    memory: &mut GuestMemory<'_>,
    count: GuestPtr<u32>,
    bytes: GuestPtr<u32>,
) -> Result<()> {
    let sizes = sizes(strings)?;
    count.check(memory)?;
    bytes.check(memory)?;
    count.write(memory, sizes.0)?;
    bytes.write(memory, sizes.1)
}

fn write(
    strings: &[Vec<u8>],
    memory: &mut GuestMemory<'_>,
    pointers: GuestPtr<GuestPtr<u8>>,
    buffer: GuestPtr<u8>,
) -> Result<()> {
    let (count, bytes) = sizes(strings)?;
    let (pointers, buffer) = (pointers.slice(count), buffer.slice(bytes));
    pointers.check(memory)?;
    buffer.check(memory)?;
    let mut offset = 0u32;
    for (index, string) in (0..).zip(strings) {
        let start = buffer.at(offset)?;
        let len = u32::try_from(string.len()).map_err(|_| Error::Overflow)?;
        start.slice(len).bytes_mut(memory)?.copy_from_slice(string);
        offset = offset.checked_add(len).ok_or(Error::Overflow)?;
        buffer.at(offset)?.write(memory, 0)?;
        offset = offset.checked_add(1).ok_or(Error::Overflow)?;
        pointers.at(index)?.write(memory, start)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preview1::testing::*;

    #[test]
    fn arguments_lie_one_behind_the_other() {
        let mut guest = guest();
        let sizes = guest.call(|call| args_sizes_get(call, GuestPtr::new(FREE), GuestPtr::new(FREE + 4)));
        assert_eq!((sizes, guest.get(FREE), guest.get(FREE + 4)), (Ok(()), 3u32, 12u32));
        assert_eq!(guest.call(|call| args_get(call, GuestPtr::new(FREE), GuestPtr::new(FREE + 100))), Ok(()));
        assert_eq!(&guest.memory[FREE as usize + 100..][..13], b"program\0\xc3\xbf\0\0\xaa");
        let pointers = [FREE, FREE + 4, FREE + 8].map(|address| guest.get::<u32>(address));
        assert_eq!(pointers, [FREE + 100, FREE + 108, FREE + 111]);
    }

    #[test]
    fn the_environment_is_what_was_given() {
        let mut guest = guest();
        let sizes = guest.call(|call| environ_sizes_get(call, GuestPtr::new(FREE), GuestPtr::new(FREE + 4)));
        assert_eq!((sizes, guest.get(FREE), guest.get(FREE + 4)), (Ok(()), 1u32, 4u32));
        assert_eq!(
            guest.call(|call| environ_get(call, GuestPtr::new(FREE), GuestPtr::new(FREE + 4))),
            Ok(())
        );
        assert_eq!(&guest.memory[FREE as usize + 4..][..5], b"A=b\0\xaa");
    }

    #[test]
    fn what_does_not_fit_is_not_begun() {
        let mut guest = guest();
        let get = |pointers, buffer| {
            move |call: &mut Preview1<'_>| args_get(call, GuestPtr::new(pointers), GuestPtr::new(buffer))
        };
        assert_eq!(guest.call(get(FREE, MEMORY - 11)), Err(Error::Fault));
        assert_eq!(guest.call(get(MEMORY - 11, FREE)), Err(Error::Fault));
        assert!(guest.memory.iter().all(|&byte| byte == 0xaa));
        assert_eq!(guest.call(get(FREE, MEMORY - 12)), Ok(()));
    }
}
