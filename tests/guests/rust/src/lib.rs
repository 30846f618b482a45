//! What the guests share: a transcript of what each call gave, and shorthands over the raw preview 1 calls.
//!
//! A guest prints one line per call, `label: OK`, `label: VALUE` or `label: ERRNO`; the expectation beside it
//! holds the transcript. `ROOT` is the first preopen.

pub use wasip1::*;

use std::fmt::Display;

/// The first preopen's descriptor.
pub const ROOT: Fd = 3;
/// What a regular file's descriptor is asked for unless the guest tests rights.
pub const READ_WRITE: Rights = RIGHTS_FD_READ | RIGHTS_FD_WRITE;

/// Prints `label: VALUE` or `label: ERRNO`.
pub fn show<T: Display>(label: &str, result: Result<T, Errno>) {
    match result {
        Ok(value) => println!("{label}: {value}"),
        Err(errno) => println!("{label}: {}", errno.name()),
    }
}

/// Prints `label: OK` or `label: ERRNO`, whatever the value.
pub fn check<T>(label: &str, result: Result<T, Errno>) {
    show(label, result.map(|_| "OK"));
}

/// Prints `label: OK` and closes what was opened, or `label: ERRNO`.
pub fn opens(label: &str, result: Result<Fd, Errno>) {
    if let Ok(fd) = result {
        close(fd);
    }
    check(label, result);
}

/// The value of a call that is not what the guest tests.
#[track_caller]
pub fn must<T>(result: Result<T, Errno>) -> T {
    match result {
        Ok(value) => value,
        Err(errno) => panic!("unexpected {}", errno.name()),
    }
}

/// `path_open` under [`ROOT`] that follows a final symlink.
pub fn open(path: &str, oflags: Oflags, rights: Rights, fdflags: Fdflags) -> Result<Fd, Errno> {
    open_at(ROOT, path, LOOKUPFLAGS_SYMLINK_FOLLOW, oflags, rights, fdflags)
}

/// `path_open` with no inheriting rights.
pub fn open_at(
    dir: Fd,
    path: &str,
    lookup: Lookupflags,
    oflags: Oflags,
    rights: Rights,
    fdflags: Fdflags,
) -> Result<Fd, Errno> {
    // SAFETY: the path is a live slice; every other argument is a number.
    unsafe { path_open(dir, lookup, path, oflags, rights, 0, fdflags) }
}

/// Closes a descriptor that must be open.
#[track_caller]
pub fn close(fd: Fd) {
    // SAFETY: a descriptor is a number; std owns none of those the guests open here.
    must(unsafe { fd_close(fd) });
}

/// Creates `path` under [`ROOT`] with `contents`.
#[track_caller]
pub fn create(path: &str, contents: &str) {
    let fd = must(open(path, OFLAGS_CREAT | OFLAGS_TRUNC, READ_WRITE, 0));
    must(write(fd, contents.as_bytes()));
    close(fd);
}

/// Creates the directory `path` under [`ROOT`].
#[track_caller]
pub fn mkdir(path: &str) {
    // SAFETY: the path is a live slice.
    must(unsafe { path_create_directory(ROOT, path) });
}

/// Removes the file or symlink `path` under [`ROOT`].
#[track_caller]
pub fn unlink(path: &str) {
    // SAFETY: the path is a live slice.
    must(unsafe { path_unlink_file(ROOT, path) });
}

/// Removes the directory `path` under [`ROOT`].
#[track_caller]
pub fn rmdir(path: &str) {
    // SAFETY: the path is a live slice.
    must(unsafe { path_remove_directory(ROOT, path) });
}

/// Makes `path` under [`ROOT`] a symlink to `target`.
#[track_caller]
pub fn symlink(target: &str, path: &str) {
    // SAFETY: both are live slices.
    must(unsafe { path_symlink(target, ROOT, path) });
}

/// One `fd_write` of `bytes`.
pub fn write(fd: Fd, bytes: &[u8]) -> Result<Size, Errno> {
    // SAFETY: the one iovec covers a live slice.
    unsafe { fd_write(fd, &[Ciovec { buf: bytes.as_ptr(), buf_len: bytes.len() }]) }
}

/// One `fd_read` into `buffer`.
pub fn read(fd: Fd, buffer: &mut [u8]) -> Result<Size, Errno> {
    // SAFETY: the one iovec covers a live, exclusive slice.
    unsafe { fd_read(fd, &[Iovec { buf: buffer.as_mut_ptr(), buf_len: buffer.len() }]) }
}

/// `path_filestat_get` under [`ROOT`].
pub fn stat(path: &str, lookup: Lookupflags) -> Result<Filestat, Errno> {
    // SAFETY: the path is a live slice.
    unsafe { path_filestat_get(ROOT, lookup, path) }
}

/// The whole of `path`, as text.
#[track_caller]
pub fn contents(path: &str) -> String {
    let fd = must(open(path, 0, RIGHTS_FD_READ, 0));
    let mut buffer = [0; 256];
    let n = must(read(fd, &mut buffer));
    close(fd);
    String::from_utf8_lossy(&buffer[..n]).into_owned()
}
