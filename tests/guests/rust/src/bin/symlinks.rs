//! path_symlink and path_readlink.
use guests::*;

fn link(target: &str, path: &str) {
    // SAFETY: both are live slices.
    check(&format!("{path:?} -> {target:?}"), unsafe { path_symlink(target, ROOT, path) });
}

fn read_link(path: &str, len: usize) {
    let mut buffer = [b'#'; 12];
    // SAFETY: `len` is at most the buffer's length.
    let result = unsafe { path_readlink(ROOT, path, buffer.as_mut_ptr(), len.min(buffer.len())) };
    let text = String::from_utf8_lossy(&buffer).into_owned();
    show(&format!("readlink {path} into {len}"), result.map(|n| format!("{n} {text}")));
}

fn main() {
    create("file", "x");
    mkdir("dir");
    link("/file", "absolute");
    link("/", "absolute");
    link("", "empty");
    link("file", "");
    link("file", "target/");
    link("file", "dir/");
    link("file", "file/");
    link("file", "file");
    link("file", "dir");
    link("file", "dir/inner");
    link("file", "none/inner");
    link("dir", "to_dir");
    link("dir", "to_dir");
    link("dir", "to_dir/");
    link("file\0x", "nul");
    link("file", "nul\0x");
    link("nowhere", "dangling");
    link("file", "dangling");
    link("file", ".");
    link("file", "..");
    link("grüße", "utf8");

    for len in [12, 7, 3, 1, 0] {
        read_link("dangling", len);
    }
    read_link("to_dir", 12);
    read_link("to_dir/", 12);
    read_link("utf8", 12);
    read_link("file", 12);
    read_link("dir", 12);
    read_link("none", 12);
    read_link("file/x", 12);

    let stat = must(stat("dangling", 0));
    println!("{} of {} bytes, {} link", stat.filetype.name(), stat.size, stat.nlink);
    for path in ["dir/inner", "to_dir", "dangling", "utf8", "file"] {
        unlink(path);
    }
    rmdir("dir");
}
