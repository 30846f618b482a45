//! fd_renumber, fd_close, and what numbers descriptors get.
use guests::*;

fn main() {
    create("a", "A");
    create("b", "B");
    // SAFETY: descriptors are numbers; std's own are moved only at the end.
    unsafe {
        let a = must(open("a", 0, READ_WRITE, 0));
        let b = must(open("b", 0, READ_WRITE, 0));
        println!("distinct and above the preopens: {}", a != b && a > ROOT && b > ROOT);
        check("to one that is not open", fd_renumber(a, 1000));
        check("to u32::MAX", fd_renumber(a, u32::MAX));
        check("from one that is not open", fd_renumber(1000, a));
        check("to itself", fd_renumber(a, a));
        check("a is still open", fd_fdstat_get(a));
        check("a to b", fd_renumber(a, b));
        check("a is closed", fd_fdstat_get(a));
        check("close of a", fd_close(a));
        let mut buffer = [0; 4];
        let n = must(read(b, &mut buffer));
        println!("b reads {}", String::from_utf8_lossy(&buffer[..n]));
        check("close of b", fd_close(b));
        check("twice", fd_close(b));

        // A preopen can be replaced, moved and closed.
        let dir = must(open_at(ROOT, ".", 0, OFLAGS_DIRECTORY, RIGHTS_PATH_OPEN | RIGHTS_FD_READDIR, 0));
        check("a directory over the preopen", fd_renumber(dir, ROOT));
        check("prestat of what replaced it", fd_prestat_get(ROOT));
        check("it still opens files", path_filestat_get(ROOT, 0, "a"));
        check("the source is closed", fd_fdstat_get(dir));
        unlink("a");
        unlink("b");
        check("close the preopen", fd_close(ROOT));
        check("prestat of a closed preopen", fd_prestat_get(ROOT));
        check("open below a closed preopen", path_filestat_get(ROOT, 0, "a"));

        // stdio too: stderr becomes stdout's second name.
        check("close stdin", fd_close(0));
        check("read stdin", read(0, &mut buffer));
        check("stderr over stdout", fd_renumber(2, 1));
        must(write(1, b"this goes to stderr\n"));
        eprintln!("nothing has descriptor 2 any more");
    }
}
