//! A guest's linear memory, and the addresses it hands to the host.
//!
//! An address from a guest is an allegation: [`GuestPtr`] and [`GuestSlice`] say what the guest claims to have there, and
//! give it only by a checked access through [`GuestMemory`]. All arithmetic is checked, any alignment is accepted, values are
//! little-endian. Nothing here knows what the bytes mean; the faces define their records with the macro `record`.

use crate::{Error, Result};
use core::{fmt, marker::PhantomData, task::Poll};

/// A checked view of a guest's linear memory, for the time of one host call.
pub struct GuestMemory<'a>(&'a mut [u8]);

impl<'a> GuestMemory<'a> {
    /// A view of `bytes`; address 0 is the first.
    pub fn new(bytes: &'a mut [u8]) -> Self {
        Self(bytes)
    }

    fn get(&self, address: u32, len: usize) -> Result<&[u8]> {
        let start = usize::try_from(address).map_err(|_| Error::Fault)?;
        let end = start.checked_add(len).ok_or(Error::Fault)?;
        self.0.get(start..end).ok_or(Error::Fault)
    }

    fn get_mut(&mut self, address: u32, len: usize) -> Result<&mut [u8]> {
        let start = usize::try_from(address).map_err(|_| Error::Fault)?;
        let end = start.checked_add(len).ok_or(Error::Fault)?;
        self.0.get_mut(start..end).ok_or(Error::Fault)
    }
}

/// A value with one fixed little-endian encoding in guest memory.
pub trait Plain: Copy {
    /// Bytes it takes, padding included.
    const SIZE: usize;

    /// Decodes the first [`SIZE`](Self::SIZE) bytes of `bytes`; `None` if there are fewer.
    fn load(bytes: &[u8]) -> Option<Self>;

    /// Encodes into the first [`SIZE`](Self::SIZE) bytes of `bytes`; `None` if there are fewer.
    fn store(self, bytes: &mut [u8]) -> Option<()>;
}

macro_rules! plain_integers {
    ($($integer:ty)*) => {$(
        impl Plain for $integer {
            const SIZE: usize = size_of::<Self>();

            #[inline]
            fn load(bytes: &[u8]) -> Option<Self> {
                bytes.first_chunk().copied().map(Self::from_le_bytes)
            }

            #[inline]
            fn store(self, bytes: &mut [u8]) -> Option<()> {
                *bytes.first_chunk_mut()? = self.to_le_bytes();
                Some(())
            }
        }
    )*};
}
plain_integers!(u8 u16 u32 u64);

/// The address of a `T`, as a guest alleges.
pub struct GuestPtr<T> {
    address: u32,
    pointee: PhantomData<fn() -> T>,
}

impl<T> Clone for GuestPtr<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for GuestPtr<T> {}

impl<T> fmt::Debug for GuestPtr<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.address)
    }
}

impl<T> GuestPtr<T> {
    /// The allegation that there is a `T` at `address`.
    pub const fn new(address: u32) -> Self {
        Self { address, pointee: PhantomData }
    }

    /// `len` of `T` in a row from here.
    pub const fn slice(self, len: u32) -> GuestSlice<T> {
        GuestSlice { start: self, len }
    }
}

impl<T: 'static> Plain for GuestPtr<T> {
    const SIZE: usize = 4;

    fn load(bytes: &[u8]) -> Option<Self> {
        u32::load(bytes).map(Self::new)
    }

    fn store(self, bytes: &mut [u8]) -> Option<()> {
        self.address.store(bytes)
    }
}

impl<T: Plain> GuestPtr<T> {
    /// Reads the value.
    ///
    /// # Errors
    /// [`Error::Fault`] unless all of it is inside of the memory. So for all accesses in this module.
    pub fn read(self, memory: &GuestMemory<'_>) -> Result<T> {
        T::load(memory.get(self.address, T::SIZE)?).ok_or(Error::Fault)
    }

    /// Writes the value.
    pub fn write(self, memory: &mut GuestMemory<'_>, value: T) -> Result<()> {
        value.store(memory.get_mut(self.address, T::SIZE)?).ok_or(Error::Fault)
    }

    /// Makes sure that [`write`](Self::write) will work: for a function that must not act and then find that it cannot
    /// say so.
    pub fn check(self, memory: &GuestMemory<'_>) -> Result<()> {
        memory.get(self.address, T::SIZE).map(|_| ())
    }
}

/// `len` values of type `T` in a row, as a guest alleges.
pub struct GuestSlice<T> {
    start: GuestPtr<T>,
    len: u32,
}

impl<T> Clone for GuestSlice<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for GuestSlice<T> {}

impl<T> fmt::Debug for GuestSlice<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}[{}]", self.start, self.len)
    }
}

impl<T> GuestSlice<T> {
    /// Number of values.
    pub const fn len(self) -> u32 {
        self.len
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Its beginning: at most `len` values.
    pub fn truncated(self, len: u32) -> Self {
        Self { len: self.len.min(len), ..self }
    }
}

impl<T: Plain> GuestSlice<T> {
    /// What is behind the first `count` values; nothing, if there are no more.
    pub fn from(self, count: u32) -> Self {
        let rest = self.len.saturating_sub(count);
        let bytes = u32::try_from(T::SIZE).ok().and_then(|size| size.checked_mul(count));
        // An address that overflows is outside of any memory, and so is what is there.
        let address = bytes.and_then(|bytes| self.start.address.checked_add(bytes)).unwrap_or(u32::MAX);
        GuestPtr::new(address).slice(rest)
    }

    fn byte_len(self) -> Result<usize> {
        let len = usize::try_from(self.len).map_err(|_| Error::Fault)?;
        len.checked_mul(T::SIZE).ok_or(Error::Fault)
    }

    /// Makes sure that all of it is inside of the memory.
    pub fn check(self, memory: &GuestMemory<'_>) -> Result<()> {
        memory.get(self.start.address, self.byte_len()?).map(|_| ())
    }

    /// Reads the values one after the other.
    pub fn values<'m>(self, memory: &'m GuestMemory<'_>) -> Result<impl Iterator<Item = T> + 'm>
    where
        T: 'm,
    {
        Ok(memory.get(self.start.address, self.byte_len()?)?.chunks_exact(T::SIZE).filter_map(T::load))
    }

    /// Where the value at `index` is alleged to be; [`Error::Fault`] outside of the slice.
    pub fn at(self, index: u32) -> Result<GuestPtr<T>> {
        if index >= self.len {
            return Err(Error::Fault);
        }
        let size = u32::try_from(T::SIZE).map_err(|_| Error::Fault)?;
        let offset = index.checked_mul(size).ok_or(Error::Fault)?;
        self.start.address.checked_add(offset).map(GuestPtr::new).ok_or(Error::Fault)
    }
}

impl GuestSlice<u8> {
    /// The bytes.
    pub fn bytes<'m>(self, memory: &'m GuestMemory<'_>) -> Result<&'m [u8]> {
        memory.get(self.start.address, self.byte_len()?)
    }

    /// The bytes, to write.
    pub fn bytes_mut<'m>(self, memory: &'m mut GuestMemory<'_>) -> Result<&'m mut [u8]> {
        memory.get_mut(self.start.address, self.byte_len()?)
    }

    /// The bytes as text.
    ///
    /// # Errors
    /// [`Error::IllegalSequence`] unless they are UTF-8.
    pub fn text<'m>(self, memory: &'m GuestMemory<'_>) -> Result<&'m str> {
        core::str::from_utf8(self.bytes(memory)?).map_err(|_| Error::IllegalSequence)
    }
}

/// One buffer of a vectored read or write (`iovec`, `ciovec`).
#[derive(Clone, Copy, Debug)]
pub struct IoVec(GuestSlice<u8>);

impl IoVec {
    /// The buffer.
    pub const fn buffer(self) -> GuestSlice<u8> {
        self.0
    }
}

impl Plain for IoVec {
    const SIZE: usize = 8;

    #[inline]
    fn load(bytes: &[u8]) -> Option<Self> {
        let address = u32::load(bytes)?;
        let len = u32::load(bytes.get(4..)?)?;
        Some(Self(GuestPtr::new(address).slice(len)))
    }

    #[inline]
    fn store(self, bytes: &mut [u8]) -> Option<()> {
        self.0.start.address.store(bytes)?;
        self.0.len.store(bytes.get_mut(4..)?)
    }
}

/// The most buffers that one vectored call fills or empties; the rest is for the next call, as after any partial read or write.
/// So many that hold nothing are passed over.
pub const IO_VECTORS_MAX: u32 = 1024;

/// The most bytes that one call moves.
pub const IO_BYTES_MAX: u32 = 16 << 20;

/// The most bytes that are moved at once, so that nobody else waits for long.
const PIECE: u32 = 256 << 10;
/// After this many bytes it is asked whether others should have their turn. A vector counts as [`VECTOR_WORK`] of them.
const WORK: u32 = 16 << 10;
const VECTOR_WORK: u32 = 1 << 10;
/// A buffer up to this long is no such work.
const SMALL: u32 = WORK - VECTOR_WORK - 1;

/// The buffers of a vectored read or write, all of them checked.
#[derive(Clone, Copy, Debug)]
pub struct IoVecs {
    vectors: GuestSlice<IoVec>,
    first: Option<IoVec>,
    total: u32,
    from: Progress,
    /// There are vectors behind these.
    more: bool,
}

/// How far a transfer has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Vectors that held nothing, [`IO_VECTORS_MAX`] after [`IO_VECTORS_MAX`].
    pub passed: u32,
    /// Bytes moved from or to those behind them.
    pub moved: u32,
}

impl From<u64> for Progress {
    fn from(both: u64) -> Self {
        Self { passed: (both >> 32) as u32, moved: both as u32 }
    }
}

impl From<Progress> for u64 {
    fn from(progress: Progress) -> Self {
        Self::from(progress.passed) << 32 | Self::from(progress.moved)
    }
}

impl IoVecs {
    /// Checks the first [`IO_VECTORS_MAX`] of `vectors` that are not passed yet, and the buffers they name.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the lengths' sum does not fit 32 bits, [`Error::Fault`] when any is outside of the memory.
    pub fn new(vectors: GuestSlice<IoVec>, from: Progress, memory: &GuestMemory<'_>) -> Result<Self> {
        vectors.check(memory)?;
        let vectors = vectors.from(from.passed);
        let more = vectors.len() > IO_VECTORS_MAX;
        let vectors = vectors.truncated(IO_VECTORS_MAX);
        let mut total = 0u32;
        let mut checked = Ok(());
        let mut first = None;
        for vector in vectors.values(memory)? {
            first = first.or(Some(vector));
            total = total.checked_add(vector.buffer().len()).ok_or(Error::Invalid)?;
            checked = checked.and_then(|()| vector.buffer().check(memory));
        }
        checked.map(|()| Self { vectors, first, total, from, more })
    }

    /// Bytes in all buffers together.
    pub const fn total(self) -> u32 {
        self.total
    }

    /// Where a transfer begins.
    pub const fn progress(self) -> Progress {
        self.from
    }

    /// The same, when so many bytes have been moved already.
    pub fn after(self, moved: u32) -> Self {
        Self { from: Progress { moved, ..self.from }, ..self }
    }

    /// The buffer, if there is just one, of which nothing has been moved, and so small that nobody waits for it: as nearly always.
    fn single(self) -> Option<GuestSlice<u8>> {
        let single = self.vectors.len() == 1 && self.from == Progress::default();
        self.first.map(IoVec::buffer).filter(|buffer| single && (1..=SMALL).contains(&buffer.len()))
    }

    /// Calls `transfer` with each buffer in turn, in pieces, at most [`IO_BYTES_MAX`] bytes in all, until a piece is moved in
    /// part only. An error after the first byte is left for the next call to meet.
    ///
    /// Asks `pause` from time to time; if it says so, the rest is for later: then the same is to be done with the buffers
    /// [from](Self::new) there on. `transfer` gets the memory too, because a read writes into it.
    pub fn transfer(
        self,
        memory: &mut GuestMemory<'_>,
        mut pause: impl FnMut() -> bool,
        mut transfer: impl FnMut(&mut GuestMemory<'_>, GuestSlice<u8>) -> Poll<Result<usize>>,
    ) -> Poll<Result<Moved>> {
        if let Some(buffer) = self.single() {
            return transfer(memory, buffer)
                .map_ok(|count| Moved::All(u32::try_from(count).unwrap_or(u32::MAX).min(buffer.len())));
        }
        let Progress { passed, moved: mut skip } = self.from;
        let (mut moved, mut work) = (skip, 0_u32);
        if self.total == 0 && self.more && moved == 0 {
            // Each time a turn of its own: there may be as many as fit in a memory.
            return Poll::Ready(Ok(Moved::Some(Progress {
                passed: passed.saturating_add(IO_VECTORS_MAX),
                moved,
            })));
        }
        for index in 0..self.vectors.len() {
            // A read may have overwritten the vectors themselves: those after the first are loaded, and checked, anew.
            let loaded = match self.first {
                Some(first) if index == 0 => Ok(first),
                _ => self.vectors.at(index).and_then(|pointer| pointer.read(memory)),
            };
            let vector = match loaded {
                Ok(vector) => vector,
                Err(error) => return Poll::Ready(if moved > 0 { Ok(Moved::All(moved)) } else { Err(error) }),
            };
            let done = skip.min(vector.buffer().len());
            skip = skip.saturating_sub(done);
            let mut buffer = vector.buffer().from(done).truncated(IO_BYTES_MAX.saturating_sub(moved));
            while !buffer.is_empty() {
                if work >= WORK {
                    work = 0;
                    if pause() {
                        return Poll::Ready(Ok(Moved::Some(Progress { passed, moved })));
                    }
                }
                let piece = buffer.truncated(PIECE);
                match transfer(memory, piece) {
                    Poll::Ready(Ok(count)) => {
                        let count = u32::try_from(count).unwrap_or(u32::MAX).min(piece.len());
                        moved = moved.saturating_add(count);
                        if count < piece.len() {
                            return Poll::Ready(Ok(Moved::All(moved)));
                        }
                    }
                    _ if moved > 0 => return Poll::Ready(Ok(Moved::All(moved))),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => return Poll::Pending,
                }
                work = work.saturating_add(piece.len()).saturating_add(VECTOR_WORK);
                buffer = buffer.from(piece.len());
            }
        }
        if work >= WORK {
            // Nothing is left to do, but whoever counts the time should know.
            pause();
        }
        Poll::Ready(Ok(Moved::All(moved)))
    }
}

/// How many bytes a transfer has moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// All that it can.
    All(u32),
    /// So far until now; the rest is for the guest's next turn.
    Some(Progress),
}

/// Defines records as they lie in guest memory: `name: type = offset`, and the size. Padding is written as zeros.
macro_rules! record {
    ($($(#[$meta:meta])* pub struct $name:ident: $size:literal {
        $($(#[$field_meta:meta])* $field:ident: $type:ty = $offset:literal,)*
    })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl $crate::guest::Plain for $name {
            const SIZE: usize = $size;

            fn load(bytes: &[u8]) -> Option<Self> {
                Some(Self { $($field: <$type as $crate::guest::Plain>::load(bytes.get($offset..)?)?,)* })
            }

            fn store(self, bytes: &mut [u8]) -> Option<()> {
                bytes.get_mut(..$size)?.fill(0);
                $(self.$field.store(bytes.get_mut($offset..)?)?;)*
                Some(())
            }
        }
    )*};
}
pub(crate) use record;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;

    #[test]
    fn an_access_is_inside_or_a_fault() {
        let mut bytes = [0u8; 16];
        let mut memory = GuestMemory::new(&mut bytes);
        for (address, inside) in
            [(0, true), (9, true), (12, true), (13, false), (16, false), (u32::MAX, false)]
        {
            let pointer = GuestPtr::<u32>::new(address);
            let expected = if inside { Ok(()) } else { Err(Error::Fault) };
            assert_eq!(pointer.check(&memory), expected, "{address}");
            assert_eq!(pointer.write(&mut memory, 0x0403_0201), expected, "{address}");
            assert_eq!(pointer.read(&memory), expected.map(|()| 0x0403_0201), "{address}");
        }
        assert_eq!(bytes, [1, 2, 3, 4, 0, 0, 0, 0, 0, 1, 2, 3, 1, 2, 3, 4], "little-endian, at any address");
    }

    #[test]
    fn a_slice_is_inside_or_a_fault() {
        let mut bytes = [7u8; 16];
        let memory = GuestMemory::new(&mut bytes);
        let slice = |address, len| GuestPtr::<u64>::new(address).slice(len);
        assert_eq!(slice(0, 2).check(&memory), Ok(()));
        assert_eq!(slice(1, 2).check(&memory), Err(Error::Fault));
        assert_eq!(slice(0, 0x2000_0000).check(&memory), Err(Error::Fault), "its size overflows 32 bits");
        assert_eq!(slice(16, 0).check(&memory), Ok(()), "no bytes at the end");
        assert_eq!(slice(17, 0).check(&memory), Err(Error::Fault), "no bytes outside");
        assert_eq!(slice(0, 2).values(&memory).map(Iterator::count), Ok(2));
        assert!(slice(u32::MAX - 8, 4).at(1).is_ok());
        assert_eq!(slice(u32::MAX - 8, 4).at(2).map(drop), Err(Error::Fault), "its address overflows");
        assert_eq!(slice(0, 4).at(4).map(drop), Err(Error::Fault));
    }

    #[test]
    fn text_is_utf_8() {
        let mut bytes = *b"\xc3\xa4x";
        let memory = GuestMemory::new(&mut bytes);
        let text = |address, len| GuestPtr::new(address).slice(len).text(&memory);
        assert_eq!(text(0, 3), Ok("äx"));
        assert_eq!(text(0, 0), Ok(""));
        assert_eq!(text(1, 2), Err(Error::IllegalSequence));
        assert_eq!(text(0, 4), Err(Error::Fault));
    }

    /// A memory with vectors at its start.
    fn vectors(vectors: &[(u32, u32)]) -> Vec<u8> {
        let mut bytes: Vec<u8> = vectors
            .iter()
            .flat_map(|(address, len)| [address.to_le_bytes(), len.to_le_bytes()])
            .flatten()
            .collect();
        bytes.resize(64, 0);
        bytes
    }

    #[test]
    fn a_transfer_ends_where_less_is_moved() {
        let mut bytes = vectors(&[(32, 4), (36, 0), (40, 8), (50, 2)]);
        let mut memory = GuestMemory::new(&mut bytes);
        let all = IoVecs::new(GuestPtr::new(0).slice(4), Progress::default(), &memory).unwrap();
        assert_eq!(all.total(), 14);
        let run = |memory: &mut GuestMemory<'_>, results: &[Poll<Result<usize>>]| {
            let mut asked = vec![];
            let moved = all.transfer(
                memory,
                || false,
                |_, buffer| {
                    asked.push(buffer.len());
                    results[asked.len() - 1]
                },
            );
            (moved, asked)
        };
        let all_of = |count| Poll::Ready(Ok(Moved::All(count)));
        let ok = |count| Poll::Ready(Ok(count));
        let failed = Poll::Ready(Err(Error::Io));
        assert_eq!(run(&mut memory, &[ok(4), ok(8), ok(2)]), (all_of(14), vec![4, 8, 2]));
        assert_eq!(run(&mut memory, &[ok(4), ok(7)]), (all_of(11), vec![4, 8]));
        assert_eq!(run(&mut memory, &[ok(4), Poll::Pending]), (all_of(4), vec![4, 8]));
        assert_eq!(run(&mut memory, &[ok(4), failed]), (all_of(4), vec![4, 8]));
        assert_eq!(run(&mut memory, &[Poll::Pending]), (Poll::Pending, vec![4]));
        assert_eq!(run(&mut memory, &[failed]), (Poll::Ready(Err(Error::Io)), vec![4]));
    }

    #[test]
    fn vectors_that_are_overwritten_are_checked_again() {
        let mut bytes = vectors(&[(8, 8), (32, 4)]);
        let mut memory = GuestMemory::new(&mut bytes);
        let all = IoVecs::new(GuestPtr::new(0).slice(2), Progress::default(), &memory).unwrap();
        let moved = all.transfer(
            &mut memory,
            || false,
            |memory, buffer| {
                let bytes = buffer.bytes_mut(memory)?;
                bytes.fill(0xff);
                Poll::Ready(Ok(bytes.len()))
            },
        );
        assert_eq!(moved, Poll::Ready(Ok(Moved::All(8))), "the second vector is not what it was");
    }

    #[test]
    fn a_transfer_is_bounded() {
        let len = IO_BYTES_MAX;
        let mut bytes = vectors(&[(16, len), (16, len)]);
        bytes.resize(16 + len as usize, 0);
        let mut memory = GuestMemory::new(&mut bytes);
        let all = IoVecs::new(GuestPtr::new(0).slice(2), Progress::default(), &memory).unwrap();
        let mut pieces = vec![];
        let moved = all.transfer(
            &mut memory,
            || false,
            |_, buffer| {
                pieces.push(buffer.len());
                Poll::Ready(Ok(buffer.len() as usize))
            },
        );
        assert_eq!(moved, Poll::Ready(Ok(Moved::All(IO_BYTES_MAX))));
        assert!(pieces.iter().all(|&piece| piece <= PIECE));
    }

    #[test]
    fn a_transfer_that_pauses_goes_on_where_it_was() {
        // Long ones, short ones and empty ones, of different bytes.
        let lens = [300_000, 0, 7, 5, 20_000, 1, 600_000];
        let places = lens.iter().scan(64, |end, len| {
            *end += len;
            Some((*end - len, *len))
        });
        let mut bytes = vectors(&places.collect::<Vec<_>>());
        bytes.resize(64 + lens.iter().sum::<u32>() as usize, 0);
        (64..bytes.len()).for_each(|at| bytes[at] = ((at * 31) >> 3) as u8);
        let expected = bytes[64..].to_vec();
        let mut memory = GuestMemory::new(&mut bytes);
        let (mut from, mut pauses, mut taken) = (Progress::default(), 0, vec![]);
        loop {
            let all = IoVecs::new(GuestPtr::new(0).slice(lens.len() as u32), from, &memory).unwrap();
            let moved = all.transfer(
                &mut memory,
                || true,
                |memory, buffer| {
                    taken.extend_from_slice(buffer.bytes(memory)?);
                    Poll::Ready(Ok(buffer.len() as usize))
                },
            );
            match moved {
                Poll::Ready(Ok(Moved::Some(moved))) => (from, pauses) = (moved, pauses + 1),
                Poll::Ready(Ok(Moved::All(moved))) => break assert_eq!(moved as usize, expected.len()),
                _ => panic!("{moved:?}"),
            }
        }
        assert!(taken == expected);
        // Never before anything is moved; between the pieces of the long ones, and after 16 short ones at the latest.
        assert_eq!(pauses, 5);
    }
}
