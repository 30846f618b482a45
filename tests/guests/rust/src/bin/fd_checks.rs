//! What is checked first: the descriptor, then the pointers. Lengths that overflow are INVAL.
#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn fd_write(fd: u32, iovs: u32, len: u32, out: u32) -> i32;
    fn fd_read(fd: u32, iovs: u32, len: u32, out: u32) -> i32;
}

fn main() {
    let mut out = 0u32;
    let result = (&raw mut out) as u32;
    let text = *b"text";
    let good = [text.as_ptr() as u32, 4];
    // Two gigabytes and a bit, twice: the sum passes u32::MAX.
    let overflowing = [[0u32, 0x8000_0001], [0, 0x8000_0001]];
    let huge = [[0u32, 0x4000_0000]];
    // SAFETY: the calls are given addresses of live objects, or addresses that the host must refuse.
    unsafe {
        println!("closed fd, bad iovecs: {}", fd_write(1000, u32::MAX, 1, result));
        println!("closed fd, good iovecs: {}", fd_write(1000, good.as_ptr() as u32, 1, result));
        println!("good fd, bad iovecs: {}", fd_write(2, 0xffff_fff0, 1, result));
        println!("good fd, iovecs that wrap: {}", fd_write(2, 0xffff_fff0, 4, result));
        println!("good fd, too many iovecs: {}", fd_write(2, good.as_ptr() as u32, u32::MAX, result));
        println!("the sum overflows: {}", fd_write(2, overflowing.as_ptr() as u32, 2, result));
        println!("a gigabyte past the end: {}", fd_write(2, huge.as_ptr() as u32, 1, result));
        println!("the read's sum overflows: {}", fd_read(0, overflowing.as_ptr() as u32, 2, result));
        println!("a read past the end: {}", fd_read(0, huge.as_ptr() as u32, 1, result));
        println!("the result past the end: {}", fd_write(2, good.as_ptr() as u32, 1, 0xffff_fffc));
    }
}
