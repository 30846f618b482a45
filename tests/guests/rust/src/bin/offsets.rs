//! Offsets and file sizes: seek, tell, pread, pwrite, append, truncation, allocation, flags.
use guests::*;

fn pread(fd: Fd, len: usize, offset: u64) -> Result<String, Errno> {
    let mut buffer = vec![0; len];
    // SAFETY: the iovec covers a live, exclusive slice.
    let n = unsafe { fd_pread(fd, &[Iovec { buf: buffer.as_mut_ptr(), buf_len: len }], offset) }?;
    Ok(format!("{n} {:?}", String::from_utf8_lossy(&buffer[..n])))
}

fn pwrite(fd: Fd, bytes: &[u8], offset: u64) -> Result<Size, Errno> {
    // SAFETY: the iovec covers a live slice.
    unsafe { fd_pwrite(fd, &[Ciovec { buf: bytes.as_ptr(), buf_len: bytes.len() }], offset) }
}

fn main() {
    let rights = READ_WRITE
        | RIGHTS_FD_SEEK
        | RIGHTS_FD_TELL
        | RIGHTS_FD_FILESTAT_SET_SIZE
        | RIGHTS_FD_ALLOCATE
        | RIGHTS_FD_FDSTAT_SET_FLAGS
        | RIGHTS_FD_FILESTAT_GET
        | RIGHTS_FD_ADVISE
        | RIGHTS_FD_SYNC
        | RIGHTS_FD_DATASYNC;
    let fd = must(open("file", OFLAGS_CREAT | OFLAGS_EXCL, rights, 0));
    // SAFETY: descriptors, offsets and flags are numbers.
    unsafe {
        show("write", write(fd, b"0123456789"));
        show("tell", fd_tell(fd));
        for (name, offset, whence) in [
            ("set 4", 4, WHENCE_SET),
            ("cur +3", 3, WHENCE_CUR),
            ("cur -8", -8, WHENCE_CUR),
            ("end -2", -2, WHENCE_END),
            ("end +5", 5, WHENCE_END),
            ("end -11", -11, WHENCE_END),
            ("set -1", -1, WHENCE_SET),
            ("set min", i64::MIN, WHENCE_SET),
            ("cur max", i64::MAX, WHENCE_CUR),
            ("cur 0", 0, WHENCE_CUR),
        ] {
            show(&format!("seek {name}"), fd_seek(fd, offset, whence));
        }
        show("pread 4 at 3", pread(fd, 4, 3));
        show("pread 4 at 8", pread(fd, 4, 8));
        show("pread at the end", pread(fd, 4, 10));
        show("pread far past it", pread(fd, 4, 1 << 40));
        show("pread at u64::MAX", pread(fd, 4, u64::MAX));
        show("pread nothing", pread(fd, 0, 0));
        must(fd_seek(fd, 2, WHENCE_SET));
        show("pwrite at 8", pwrite(fd, b"abcd", 8));
        show("pwrite at u64::MAX", pwrite(fd, b"abcd", u64::MAX));
        show("tell is unmoved", fd_tell(fd));
        println!("{:?}", contents("file"));

        // Several iovecs, an empty one among them, are one write and one read.
        let parts = [&b"AB"[..], b"", b"CDE"].map(|part| Ciovec { buf: part.as_ptr(), buf_len: part.len() });
        show("gathered", fd_write(fd, &parts));
        must(fd_seek(fd, 1, WHENCE_SET));
        let (mut x, mut y) = ([0; 2], [0; 3]);
        let scattered = [
            Iovec { buf: x.as_mut_ptr(), buf_len: 2 },
            Iovec { buf: y.as_mut_ptr(), buf_len: 0 },
            Iovec { buf: y.as_mut_ptr(), buf_len: 3 },
        ];
        show("scattered", fd_read(fd, &scattered));
        println!("{:?} {:?}", String::from_utf8_lossy(&x), String::from_utf8_lossy(&y));
        show("no iovecs: write", fd_write(fd, &[]));
        show("no iovecs: read", fd_read(fd, &[]));

        check("shrink", fd_filestat_set_size(fd, 4));
        println!("{:?}", contents("file"));
        check("grow", fd_filestat_set_size(fd, 6));
        println!("{:?}", contents("file"));
        show("tell past a shrink", fd_tell(fd));
        check("to u64::MAX", fd_filestat_set_size(fd, u64::MAX));
        must(fd_seek(fd, 8, WHENCE_SET));
        show("read past the end", read(fd, &mut [0; 4]));
        show("write past the end", write(fd, b"!"));
        println!("{:?}", contents("file"));
        check("allocate within", fd_allocate(fd, 0, 4));
        check("allocate more", fd_allocate(fd, 8, 4));
        show("size", fd_filestat_get(fd).map(|stat| stat.size));
        check("allocate nothing", fd_allocate(fd, 0, 0));
        check("allocate overflow", fd_allocate(fd, u64::MAX, 2));
        for advice in [
            ADVICE_NORMAL,
            ADVICE_SEQUENTIAL,
            ADVICE_RANDOM,
            ADVICE_WILLNEED,
            ADVICE_DONTNEED,
            ADVICE_NOREUSE,
        ] {
            check(&format!("advise {}", advice.name()), fd_advise(fd, 0, 4, advice));
        }
        check("sync", fd_sync(fd));
        check("datasync", fd_datasync(fd));
        show("flags", fd_fdstat_get(fd).map(|stat| stat.fs_flags));
        close(fd);

        let fd = must(open("file", OFLAGS_TRUNC, rights, FDFLAGS_APPEND));
        show("append flags", fd_fdstat_get(fd).map(|stat| stat.fs_flags));
        must(write(fd, b"first"));
        must(fd_seek(fd, 0, WHENCE_SET));
        must(write(fd, b"second"));
        println!("{:?}", contents("file"));
        show("tell after an append", fd_tell(fd));
        check("append off", fd_fdstat_set_flags(fd, 0));
        show("flags", fd_fdstat_get(fd).map(|stat| stat.fs_flags));
        must(fd_seek(fd, 0, WHENCE_SET));
        must(write(fd, b"FIRST"));
        println!("{:?}", contents("file"));
        check("append on", fd_fdstat_set_flags(fd, FDFLAGS_APPEND));
        must(fd_seek(fd, 0, WHENCE_SET));
        must(write(fd, b"#"));
        println!("{:?}", contents("file"));
        check("nonblock", fd_fdstat_set_flags(fd, FDFLAGS_NONBLOCK));
        check("sync flags", fd_fdstat_set_flags(fd, FDFLAGS_SYNC));
        check("flags of none", fd_fdstat_set_flags(1000, 0));
        close(fd);
        // pwrite honours its offset, or appends as POSIX's O_APPEND does on Linux.
        let fd = must(open("file", OFLAGS_TRUNC, rights, FDFLAGS_APPEND));
        must(write(fd, b"abc"));
        show("pwrite to an append descriptor", pwrite(fd, b"X", 0));
        println!("{:?}", contents("file"));
        close(fd);
        for (name, flags) in [
            ("DSYNC", FDFLAGS_DSYNC),
            ("RSYNC", FDFLAGS_RSYNC),
            ("SYNC", FDFLAGS_SYNC),
            ("NONBLOCK", FDFLAGS_NONBLOCK),
        ] {
            opens(name, open("file", 0, rights, flags));
        }
        // Two descriptors of one file have an offset each.
        let (a, b) = (must(open("file", 0, rights, 0)), must(open("file", 0, rights, 0)));
        must(write(a, b"12"));
        show("the other's offset", fd_tell(b));
        close(a);
        close(b);
    }
    unlink("file");
}
