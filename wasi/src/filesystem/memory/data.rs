//! A file's bytes: sparse, in pages, over content that was there from the start.

use super::{
    pages::{Page, Pages},
    quota::Quota,
};
use crate::{Error, Result, heap};
use alloc::sync::Arc;

/// Bytes in a page. What is stored is charged in whole pages.
pub(super) const PAGE: usize = 4096;
const PAGE_U64: u64 = PAGE as u64;

/// The largest file: 16 TiB, as ext4 has it.
pub(super) const SIZE_MAX: u64 = 1 << 44;

/// Content that an embedder gave: read where it is, copied a page at a time when a guest writes.
pub(super) type Content = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// The bytes of a file. Who drops it gives [`stored`](Self::stored) back to the quota.
#[derive(Default)]
pub(super) struct Data {
    size: u64,
    given: Given,
    pages: Pages,
}

/// What is read where there is no page: content as far as it shows, then zeros.
#[derive(Default)]
struct Given {
    content: Option<Content>,
    /// What is behind it was cut off.
    len: u64,
}

impl Given {
    /// The content from `offset` on.
    fn from(&self, offset: u64) -> &[u8] {
        let content = self.content.as_deref().map_or(&[][..], AsRef::as_ref);
        let visible = usize::try_from(self.len).unwrap_or(usize::MAX).min(content.len());
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(visible);
        content.get(from..visible).unwrap_or_default()
    }
}

/// The part of a range that lies in one page: the page, the offset in it, the number of bytes.
fn piece(offset: u64, len: usize) -> (u64, usize, usize) {
    // The remainder is less than PAGE.
    let start = (offset % PAGE_U64) as usize;
    (offset / PAGE_U64, start, len.min(PAGE - start))
}

/// Copies what there is, and zeros behind it.
fn copy_padded(to: &mut [u8], from: &[u8]) {
    let (copied, zeros) = to.split_at_mut(from.len().min(to.len()));
    copied.copy_from_slice(from.get(..copied.len()).unwrap_or_default());
    // As a rule there are none, and to fill nothing is a call too.
    if !zeros.is_empty() {
        zeros.fill(0);
    }
}

/// Makes room for `len` bytes in a page.
fn reserve(page: &mut Page, len: usize) -> Result<()> {
    page.try_reserve_exact(len.saturating_sub(page.len())).map_err(|_| Error::NoMemory)?;
    heap::check()
}

impl Data {
    pub(super) fn new(content: Content) -> Self {
        let len = (*content).as_ref().len() as u64;
        Self { size: len, given: Given { content: Some(content), len }, pages: Pages::default() }
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Bytes charged to the quota.
    pub(super) fn stored(&self) -> u64 {
        self.pages.count().saturating_mul(PAGE_U64)
    }

    pub(super) fn read_at(&self, buffer: &mut [u8], offset: u64) -> usize {
        let available = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let total = buffer.len().min(available);
        let mut rest = buffer.get_mut(..total).unwrap_or_default();
        let mut offset = offset;
        while !rest.is_empty() {
            let (index, start, len) = piece(offset, rest.len());
            let (part, tail) = rest.split_at_mut(len);
            let stored = match self.pages.get(index) {
                Some(page) => page.get(start..).unwrap_or_default(),
                None => self.given.from(offset),
            };
            copy_padded(part, stored);
            offset += len as u64;
            rest = tail;
        }
        total
    }

    /// Writes as much as there is space for; an error only when that is nothing.
    pub(super) fn write_at(&mut self, quota: &Quota, buffer: &[u8], offset: u64) -> Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let room = SIZE_MAX.checked_sub(offset).filter(|&room| room > 0).ok_or(Error::FileTooLarge)?;
        let mut rest = buffer.get(..usize::try_from(room).unwrap_or(usize::MAX)).unwrap_or(buffer);
        let mut written = 0;
        while !rest.is_empty() {
            let at = offset + written as u64;
            let (index, start, len) = piece(at, rest.len());
            let (part, tail) = rest.split_at(len);
            let end = start + len;
            match self.page(quota, index, end) {
                Ok(page) if end < page.len() => {
                    page.get_mut(start..end).ok_or(Error::Io)?.copy_from_slice(part);
                }
                Ok(page) => {
                    page.resize(start, 0);
                    page.extend_from_slice(part);
                }
                Err(_) if written > 0 => break,
                Err(error) => return Err(error),
            }
            written += len;
            rest = tail;
            self.size = self.size.max(at + len as u64);
        }
        Ok(written)
    }

    /// A page to write to, with room for `len` bytes.
    fn page(&mut self, quota: &Quota, index: u64, len: usize) -> Result<&mut Page> {
        let Self { given, pages, .. } = self;
        let page = pages.get_or_insert(index, || {
            let given = given.from(index.saturating_mul(PAGE_U64));
            let given = given.get(..PAGE).unwrap_or(given);
            let mut page = Page::new();
            reserve(&mut page, len.max(given.len()))?;
            quota.charge(PAGE_U64)?;
            page.extend_from_slice(given);
            Ok(page)
        })?;
        if page.capacity() < len {
            reserve(page, PAGE)?;
        }
        Ok(page)
    }

    pub(super) fn set_size(&mut self, quota: &Quota, size: u64) -> Result<()> {
        if size > SIZE_MAX {
            return Err(Error::FileTooLarge);
        }
        if size < self.size {
            // What grows back later must be zeros.
            self.given.len = self.given.len.min(size);
            let cut = self.pages.truncate(size.div_ceil(PAGE_U64));
            quota.release(cut.saturating_mul(PAGE_U64));
            let (index, start, _) = piece(size, PAGE);
            if let Some(page) = self.pages.get_mut(index) {
                page.truncate(start);
            }
        }
        self.size = size;
        Ok(())
    }

    /// Stores every page of a range, so that writing there cannot lack space.
    pub(super) fn allocate(&mut self, quota: &Quota, offset: u64, len: u64) -> Result<()> {
        let end = offset.checked_add(len).filter(|&end| end <= SIZE_MAX).ok_or(Error::FileTooLarge)?;
        let range = offset / PAGE_U64..end.div_ceil(PAGE_U64);
        let missing = (range.end - range.start).saturating_sub(self.pages.count_in(range.clone()));
        // Refused as a whole before anything is stored; the pages are then charged one by one.
        quota.charge(missing.saturating_mul(PAGE_U64))?;
        quota.release(missing.saturating_mul(PAGE_U64));
        for index in range {
            self.page(quota, index, PAGE)?;
        }
        self.size = self.size.max(end);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_written_pages_are_stored() {
        let quota = Quota::new(3 * PAGE_U64);
        let mut data = Data::default();
        assert_eq!(data.write_at(&quota, b"x", 1 << 40), Ok(1));
        assert_eq!((data.size(), data.stored(), quota.used()), ((1 << 40) + 1, PAGE_U64, PAGE_U64));
        // Three pages are touched, two more are free: what fits is written.
        assert_eq!(data.write_at(&quota, &[1; 2 * PAGE], 100), Ok(2 * PAGE - 100));
        assert_eq!(data.write_at(&quota, b"x", 1 << 30), Err(Error::NoSpace));
        let mut buffer = [9; 3];
        assert_eq!(data.read_at(&mut buffer, 2 * PAGE_U64 - 1), 3);
        assert_eq!(buffer, [1, 0, 0]);
        data.set_size(&quota, 1).unwrap();
        assert_eq!((data.stored(), quota.used()), (PAGE_U64, PAGE_U64));
    }

    #[test]
    fn a_page_takes_what_was_written_and_reads_as_zeros_behind() {
        let quota = Quota::new(PAGE_U64);
        let mut data = Data::default();
        assert_eq!(data.write_at(&quota, &[1; 4], 0), Ok(4));
        assert_eq!((data.pages.get(0).unwrap().capacity(), data.stored()), (4, PAGE_U64));
        assert_eq!(data.write_at(&quota, &[2; 2], 1), Ok(2));
        assert_eq!(data.write_at(&quota, &[3; 2], 3), Ok(2));
        assert_eq!(data.write_at(&quota, &[4], 8), Ok(1));
        let mut buffer = [9; 12];
        assert_eq!(data.read_at(&mut buffer, 0), 9);
        assert_eq!(buffer, [1, 2, 2, 3, 3, 0, 0, 0, 4, 9, 9, 9]);
        data.set_size(&quota, 2).unwrap();
        data.set_size(&quota, PAGE_U64 + 2).unwrap();
        assert_eq!(data.read_at(&mut buffer, 0), 12);
        assert_eq!(buffer, [1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(data.write_at(&quota, &[5], PAGE_U64 - 1), Ok(1));
        assert_eq!((data.pages.get(0).unwrap().capacity(), data.stored()), (PAGE, PAGE_U64));
    }

    #[test]
    fn given_content_shows_until_it_is_cut_or_written() {
        let quota = Quota::new(PAGE_U64);
        let mut data = Data::new(Arc::new([7; PAGE + 10]));
        assert_eq!(quota.used(), 0);
        assert_eq!(data.write_at(&quota, &[1], PAGE_U64), Ok(1));
        let mut buffer = [9; 5];
        assert_eq!(data.read_at(&mut buffer, PAGE_U64 - 2), 5);
        assert_eq!(buffer, [7, 7, 1, 7, 7]);
        data.set_size(&quota, 2).unwrap();
        assert_eq!(quota.used(), 0);
        data.set_size(&quota, PAGE_U64).unwrap();
        assert_eq!(data.read_at(&mut buffer, 0), 5);
        assert_eq!(buffer, [7, 7, 0, 0, 0]);
    }

    #[test]
    fn a_range_is_allocated_as_a_whole_or_not() {
        let quota = Quota::new(2 * PAGE_U64);
        let mut data = Data::default();
        assert_eq!(data.allocate(&quota, 0, 3 * PAGE_U64), Err(Error::NoSpace));
        assert_eq!((data.size(), quota.used()), (0, 0));
        assert_eq!(data.allocate(&quota, PAGE_U64 - 1, 2), Ok(()));
        assert_eq!((data.size(), quota.used()), (PAGE_U64 + 1, 2 * PAGE_U64));
        assert_eq!(data.allocate(&quota, 0, 2 * PAGE_U64), Ok(()));
        assert_eq!(data.allocate(&quota, SIZE_MAX, 1), Err(Error::FileTooLarge));
    }
}
