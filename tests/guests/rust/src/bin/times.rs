//! File times in nanoseconds, by descriptor and by path.
use guests::*;

fn times(path: &str, lookup: Lookupflags) -> String {
    let stat = must(stat(path, lookup));
    format!("atim {} mtim {}", stat.atim, stat.mtim)
}

const A: Timestamp = 1_000_000_001_123_456_789;
const M: Timestamp = 1_500_000_000_987_654_321;

fn main() {
    create("file", "");
    symlink("file", "link");
    mkdir("dir");
    let begun = now();
    // SAFETY: descriptors, times and flags are numbers, paths live slices.
    unsafe {
        let fd = must(open("file", 0, READ_WRITE | RIGHTS_FD_FILESTAT_SET_TIMES, 0));
        check("both", fd_filestat_set_times(fd, A, M, FSTFLAGS_ATIM | FSTFLAGS_MTIM));
        println!("{}", times("file", 0));
        check("mtim alone", fd_filestat_set_times(fd, 5, 7, FSTFLAGS_MTIM));
        println!("{}", times("file", 0));
        check("atim alone", fd_filestat_set_times(fd, 9, 11, FSTFLAGS_ATIM));
        println!("{}", times("file", 0));
        check("neither", fd_filestat_set_times(fd, 13, 15, 0));
        println!("{}", times("file", 0));
        for (name, flags) in [
            ("ATIM ATIM_NOW", FSTFLAGS_ATIM | FSTFLAGS_ATIM_NOW),
            ("MTIM MTIM_NOW", FSTFLAGS_MTIM | FSTFLAGS_MTIM_NOW),
            ("all four", FSTFLAGS_ATIM | FSTFLAGS_ATIM_NOW | FSTFLAGS_MTIM | FSTFLAGS_MTIM_NOW),
            ("ATIM and both of MTIM", FSTFLAGS_ATIM | FSTFLAGS_MTIM | FSTFLAGS_MTIM_NOW),
        ] {
            check(name, fd_filestat_set_times(fd, 1, 2, flags));
            check(&format!("path {name}"), path_filestat_set_times(ROOT, 0, "file", 1, 2, flags));
        }
        println!("unchanged: {}", times("file", 0));
        check("now", fd_filestat_set_times(fd, 0, 0, FSTFLAGS_ATIM_NOW | FSTFLAGS_MTIM_NOW));
        let stat_now = must(fd_filestat_get(fd));
        let end = now();
        let near =
            |time: Timestamp| (begun.saturating_sub(5_000_000_000)..end + 5_000_000_000).contains(&time);
        println!("is now: {} {}", near(stat_now.atim), near(stat_now.mtim));

        check("by path", path_filestat_set_times(ROOT, 0, "file", A, M, FSTFLAGS_ATIM | FSTFLAGS_MTIM));
        println!("{}", times("file", 0));
        check(
            "the symlink's own",
            path_filestat_set_times(ROOT, 0, "link", 100, 200, FSTFLAGS_ATIM | FSTFLAGS_MTIM),
        );
        println!("file {}", times("file", 0));
        println!("link mtim {}", must(stat("link", 0)).mtim);
        check(
            "through it",
            path_filestat_set_times(
                ROOT,
                LOOKUPFLAGS_SYMLINK_FOLLOW,
                "link",
                300,
                400,
                FSTFLAGS_ATIM | FSTFLAGS_MTIM,
            ),
        );
        println!("file {}", times("file", 0));
        println!("link mtim {}", must(stat("link", 0)).mtim);
        check("of a directory", path_filestat_set_times(ROOT, 0, "dir", A, M, FSTFLAGS_ATIM | FSTFLAGS_MTIM));
        println!("dir {}", times("dir", 0));
        // It takes a descriptor, not one to write with.
        for (name, rights) in [("nothing", 0), ("READ", RIGHTS_FD_READ)] {
            let fd = must(open("file", 0, rights, 0));
            check(&format!("opened for {name}"), fd_filestat_set_times(fd, 0, M + rights, FSTFLAGS_MTIM));
            println!("file {}", times("file", 0));
            check("but its size", fd_filestat_set_size(fd, 1));
            close(fd);
        }
        check("of nothing", path_filestat_set_times(ROOT, 0, "none", A, M, FSTFLAGS_ATIM));
        check("of stdin", fd_filestat_set_times(0, 1, 1, FSTFLAGS_ATIM));
        check("of none", fd_filestat_set_times(1000, 1, 1, FSTFLAGS_ATIM));

        // Writing moves mtim, and a directory's mtim moves when a name is added.
        must(write(fd, b"x"));
        println!(
            "a write is now: {}",
            near(must(fd_filestat_get(fd)).mtim) || must(fd_filestat_get(fd)).mtim >= begun
        );
        create("dir/new", "");
        println!("a new name is now: {}", must(stat("dir", 0)).mtim >= begun.saturating_sub(5_000_000_000));
        close(fd);

        let (a, b) = (must(stat("file", 0)), must(stat("dir/new", 0)));
        println!("same device {}, same inode {}", a.dev == b.dev, a.ino == b.ino);
        println!("file: {} size {} links {}", a.filetype.name(), a.size, a.nlink);
        let dir = must(stat("dir", 0));
        println!("dir: {}", dir.filetype.name());
        let by_fd = must(open_at(ROOT, "dir", 0, OFLAGS_DIRECTORY, RIGHTS_FD_FILESTAT_GET, 0));
        println!("by descriptor the same inode: {}", must(fd_filestat_get(by_fd)).ino == dir.ino);
        close(by_fd);
        for (path, lookup) in
            [("file/", 0), ("none", 0), ("dir/", 0), (".", 0), ("", 0), ("link/", 0), ("link/x", 0)]
        {
            show(&format!("stat {path:?}"), stat(path, lookup).map(|stat| stat.filetype.name()));
        }
        for fd in 0..3 {
            show(
                &format!("filestat of {fd}"),
                fd_filestat_get(fd).map(|stat| format!("links {} size {}", stat.nlink, stat.size)),
            );
        }
        check("filestat of none", fd_filestat_get(1000));
    }
    for path in ["file", "link", "dir/new"] {
        unlink(path);
    }
    rmdir("dir");
}

fn now() -> Timestamp {
    // SAFETY: the clock's id is a number.
    must(unsafe { clock_time_get(CLOCKID_REALTIME, 1) })
}
