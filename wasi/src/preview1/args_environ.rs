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
