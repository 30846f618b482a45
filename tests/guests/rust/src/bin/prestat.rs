//! The preopens: contiguous from 3, with their names.
use guests::*;

fn main() {
    // SAFETY: every buffer is live and at least as long as the call is told.
    unsafe {
        let mut fd = 3;
        while let Ok(prestat) = fd_prestat_get(fd) {
            let len = prestat.u.dir.pr_name_len;
            let mut name = vec![b'#'; len + 2];
            must(fd_prestat_dir_name(fd, name.as_mut_ptr(), len));
            println!("{fd}: tag {} {:?}", prestat.tag, String::from_utf8_lossy(&name));
            fd += 1;
        }
        check("the next", fd_prestat_get(fd));
        check("the next's name", fd_prestat_dir_name(fd, [0; 4].as_mut_ptr(), 4));
        check("stdin", fd_prestat_get(0));
        let mut name = *b"########";
        check("a short buffer", fd_prestat_dir_name(3, name.as_mut_ptr(), 1));
        check("no buffer", fd_prestat_dir_name(3, name.as_mut_ptr(), 0));
        check("a long buffer", fd_prestat_dir_name(3, name.as_mut_ptr(), 8));
        println!("{:?}", String::from_utf8_lossy(&name));
        // What is opened below is no preopen.
        let below = must(open_at(ROOT, ".", 0, OFLAGS_DIRECTORY, 0, 0));
        println!("takes the next number: {}", below == fd);
        check("a directory that was opened", fd_prestat_get(below));
    }
}
