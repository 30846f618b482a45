//! The socket calls on what is not a socket, and on what is not open.
use guests::*;

fn main() {
    create("file", "x");
    let file = must(open("file", 0, READ_WRITE, 0));
    let mut buffer = [0u8; 4];
    // SAFETY: every iovec covers `buffer`, which outlives the calls.
    unsafe {
        let into = [Iovec { buf: buffer.as_mut_ptr(), buf_len: 4 }];
        let from = [Ciovec { buf: buffer.as_ptr(), buf_len: 4 }];
        for (name, fd) in [
            ("stdin", 0),
            ("stdout", 1),
            ("file", file),
            ("preopen", ROOT),
            ("closed", 1000),
            ("max", u32::MAX),
        ] {
            check(&format!("{name} accept"), sock_accept(fd, 0));
            check(&format!("{name} recv"), sock_recv(fd, &into, 0));
            check(&format!("{name} send"), sock_send(fd, &from, 0));
            check(&format!("{name} shutdown"), sock_shutdown(fd, SDFLAGS_RD | SDFLAGS_WR));
        }
    }
    close(file);
    unlink("file");
}
