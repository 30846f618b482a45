//! An open file as a stream: what it reads or writes goes on where the last call ended.

use super::OpenFile;
use crate::{
    Result,
    io::{InputStream, OutputStream, Readiness},
};
use core::task::{Context, Poll};
use spin::Mutex;

/// A file as a stream, with the position (and whether it appends) of the [`OpenFile`] that it is made of. It never waits.
pub struct FileStream(Mutex<OpenFile>);

impl FileStream {
    /// A stream that begins at the file's position.
    pub fn new(file: OpenFile) -> Self {
        Self(Mutex::new(file))
    }
}

impl InputStream for FileStream {
    fn poll_read(&self, _task: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize>> {
        Poll::Ready(self.0.lock().read(buffer))
    }

    fn poll_readable(&self, _task: &mut Context<'_>) -> Poll<Result<Readiness>> {
        Poll::Ready(self.0.lock().readable())
    }
}

impl OutputStream for FileStream {
    fn poll_write(&self, _task: &mut Context<'_>, buffer: &[u8]) -> Poll<Result<usize>> {
        Poll::Ready(self.0.lock().write(buffer))
    }

    fn poll_writable(&self, _task: &mut Context<'_>) -> Poll<Result<Readiness>> {
        Poll::Ready(Ok(self.0.lock().writable()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        filesystem::{
            Access, Descriptor, Directory, OpenFlags, Permissions, SeekFrom, memory::MemoryFileSystem,
        },
        testing::machine,
    };
    use core::task::Waker;

    #[test]
    fn streams_of_one_file_have_their_own_positions() {
        let (machine, _) = machine();
        let files = MemoryFileSystem::new(machine.clock, 1 << 20, 1).unwrap();
        let root = Directory::new(files.root(), Permissions::ReadWrite).unwrap();
        let both = Access { read: true, write: true };
        let Ok(Descriptor::File(file)) = root.open_at("file", false, OpenFlags::CREATE, both) else {
            panic!()
        };
        let task = &mut Context::from_waker(Waker::noop());
        let at = |offset, append| {
            let mut file = file.clone();
            file.seek(SeekFrom::Start(offset)).unwrap();
            file.set_append(append);
            FileStream::new(file)
        };
        let (start, end, middle) = (at(0, false), at(0, true), at(2, false));
        assert_eq!(start.poll_write(task, b"abcd"), Poll::Ready(Ok(4)));
        assert_eq!(end.poll_write(task, b"ef"), Poll::Ready(Ok(2)));
        assert_eq!(start.poll_write(task, b"E"), Poll::Ready(Ok(1)));
        let readiness = Readiness { bytes: 4, hangup: false };
        assert_eq!(middle.poll_readable(task), Poll::Ready(Ok(readiness)));
        let mut buffer = [0; 8];
        assert_eq!(middle.poll_read(task, &mut buffer), Poll::Ready(Ok(4)));
        assert_eq!(&buffer[..4], b"cdEf");
        assert_eq!(middle.poll_readable(task), Poll::Ready(Ok(Readiness { bytes: 0, hangup: true })));
        assert_eq!(middle.poll_read(task, &mut buffer), Poll::Ready(Ok(0)));
        assert_eq!(end.poll_write(task, b"g"), Poll::Ready(Ok(1)));
        assert_eq!(middle.poll_read(task, &mut buffer), Poll::Ready(Ok(1)), "a file that grows has more");
    }
}
