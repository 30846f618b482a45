//! Reads and writes of no bytes: they move nothing, but what they are asked of is checked.
use guests::*;

/// An iovec of no bytes, wherever it points.
fn nowhere(address: usize) -> (Iovec, Ciovec) {
    (Iovec { buf: address as *mut u8, buf_len: 0 }, Ciovec { buf: address as *const u8, buf_len: 0 })
}

fn main() {
    create("file", "ten bytes.");
    let size = || must(stat("file", 0)).size;
    let (into, from) = nowhere(3);
    // SAFETY: an iovec of no bytes is never accessed; the others are descriptors and numbers.
    unsafe {
        for (name, rights) in
            [("nothing", 0), ("READ", RIGHTS_FD_READ), ("WRITE", RIGHTS_FD_WRITE), ("READ WRITE", READ_WRITE)]
        {
            for flags in [0, FDFLAGS_NONBLOCK] {
                let fd = must(open("file", 0, rights, flags));
                let flags = if flags == 0 { "" } else { " NONBLOCK" };
                show(&format!("{name}{flags}: read"), fd_read(fd, &[into]));
                show(&format!("{name}{flags}: pread"), fd_pread(fd, &[into], 0));
                show(&format!("{name}{flags}: write"), fd_write(fd, &[from]));
                show(&format!("{name}{flags}: pwrite"), fd_pwrite(fd, &[from], 0));
                show(&format!("{name}{flags}: read without iovecs"), fd_read(fd, &[]));
                show(&format!("{name}{flags}: write without iovecs"), fd_write(fd, &[]));
                close(fd);
            }
        }
        let fd = must(open("file", 0, READ_WRITE, 0));
        let before = must(fd_filestat_get(fd));
        show("seek past the end", fd_seek(fd, 100, WHENCE_SET));
        show("write there", fd_write(fd, &[from]));
        show("tell", fd_tell(fd));
        show("pwrite farther", fd_pwrite(fd, &[from], 1000));
        println!("size {}", size());
        let after = must(fd_filestat_get(fd));
        println!("mtim is as it was: {}", before.mtim == after.mtim);
        must(fd_seek(fd, 0, WHENCE_SET));

        // Ten thousand iovecs: a call may look at some only, but then it was no end and no failure.
        let (into, from): (Vec<_>, Vec<_>) = (0..10_000).map(|_| nowhere(8)).unzip();
        show("10,000 read", fd_read(fd, &into));
        show("10,000 pread", fd_pread(fd, &into, 0));
        show("10,000 write", fd_write(fd, &from));
        show("10,000 pwrite", fd_pwrite(fd, &from, 0));
        let mut bytes = [0; 10];
        let each: Vec<_> = bytes.iter_mut().map(|byte| Iovec { buf: byte, buf_len: 1 }).collect();
        show("a byte in each of ten", fd_read(fd, &each));
        println!("{:?}", String::from_utf8_lossy(&bytes));
        close(fd);

        let (into, from) = nowhere(usize::MAX);
        show("outside of memory: read", fd_read(0, &[into]));
        show("outside of memory: write", fd_write(1, &[from]));
        show("stdin", read(0, &mut []));
        show("stdout", write(1, &[]));
        show("write stdin", write(0, &[]));
        show("read stdout", read(1, &mut []));
        show("read a directory", read(ROOT, &mut []));
        show("write a directory", write(ROOT, &[]));
        let path = "hello world".repeat(10_000);
        check("a path of 110,000 bytes", path_create_directory(ROOT, &path));
        check("a link to it", path_symlink(&path, ROOT, "link"));
    }
    println!("size {}", size());
    unlink("file");
}
