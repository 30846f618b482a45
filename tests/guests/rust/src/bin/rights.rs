//! Rights: what a preopen, a directory and a file carry, and how they drop.
use guests::*;

fn rights(label: &str, fd: Fd) {
    // SAFETY: a descriptor is a number.
    let stat = unsafe { fd_fdstat_get(fd) };
    show(
        label,
        stat.map(|stat| {
            let kind = stat.fs_filetype.name();
            format!(
                "{kind} flags {} base {} inheriting {}",
                stat.fs_flags, stat.fs_rights_base, stat.fs_rights_inheriting
            )
        }),
    );
}

fn main() {
    rights("preopen", ROOT);
    mkdir("dir");
    create("file", "0123456789");
    // SAFETY: descriptors and flags are numbers, paths live slices.
    unsafe {
        let all = must(fd_fdstat_get(ROOT));
        let open =
            |path, oflags, base, inheriting, flags| path_open(ROOT, 0, path, oflags, base, inheriting, flags);

        let dir = must(open("dir", OFLAGS_DIRECTORY, all.fs_rights_base, all.fs_rights_inheriting, 0));
        let stat = must(fd_fdstat_get(dir));
        println!(
            "a directory never seeks: {}",
            stat.fs_rights_base & (RIGHTS_FD_SEEK | RIGHTS_FD_FILESTAT_SET_SIZE) == 0
        );
        println!("a directory's flags: {}", stat.fs_flags);
        check("drop to READDIR", fd_fdstat_set_rights(dir, RIGHTS_FD_READDIR, 0));
        check("drop again", fd_fdstat_set_rights(dir, RIGHTS_FD_READDIR, 0));
        check("add PATH_OPEN", fd_fdstat_set_rights(dir, RIGHTS_FD_READDIR | RIGHTS_PATH_OPEN, 0));
        check("add inheriting", fd_fdstat_set_rights(dir, RIGHTS_FD_READDIR, RIGHTS_FD_READ));
        check("of a descriptor that is not open", fd_fdstat_set_rights(1000, 0, 0));
        close(dir);

        let fd = must(open("file", 0, READ_WRITE | RIGHTS_FD_SEEK, 0, 0));
        let stat = must(fd_fdstat_get(fd));
        println!("reads and writes: {}", stat.fs_rights_base & READ_WRITE == READ_WRITE);
        check("drop WRITE", fd_fdstat_set_rights(fd, RIGHTS_FD_READ | RIGHTS_FD_SEEK, 0));
        println!("dropped: {}", must(fd_fdstat_get(fd)).fs_rights_base & RIGHTS_FD_WRITE == 0);
        check("write", write(fd, b"x"));
        check("read", read(fd, &mut [0; 2]));
        check("add WRITE", fd_fdstat_set_rights(fd, READ_WRITE, 0));
        check("drop everything", fd_fdstat_set_rights(fd, 0, 0));
        check("read with nothing", read(fd, &mut [0; 2]));
        check("seek with nothing", fd_seek(fd, 0, WHENCE_SET));
        check("filestat with nothing", fd_filestat_get(fd));
        check("close with nothing", fd_close(fd));

        // Access comes from the rights that were asked for.
        for (name, base) in [
            ("none", 0),
            ("READ", RIGHTS_FD_READ),
            ("WRITE", RIGHTS_FD_WRITE),
            ("READ WRITE", READ_WRITE),
            ("all", u64::MAX),
        ] {
            match open("file", 0, base, 0, 0) {
                Err(errno) => println!("{name}: {}", errno.name()),
                Ok(fd) => {
                    let has = must(fd_fdstat_get(fd)).fs_rights_base;
                    println!(
                        "{name}: read {} write {}",
                        has & RIGHTS_FD_READ != 0,
                        has & RIGHTS_FD_WRITE != 0
                    );
                    check("  read", read(fd, &mut [0; 2]));
                    check("  write", write(fd, b"w"));
                    check("  set size", fd_filestat_set_size(fd, 10));
                    check("  allocate", fd_allocate(fd, 0, 10));
                    check("  seek", fd_seek(fd, 0, WHENCE_SET));
                    check("  tell", fd_tell(fd));
                    check("  filestat", fd_filestat_get(fd));
                    check("  set times", fd_filestat_set_times(fd, 0, 0, 0));
                    close(fd);
                }
            }
        }
        let full = RIGHTS_FD_READ | RIGHTS_FD_WRITE;
        for (name, path, oflags, base) in [
            (". READ", ".", OFLAGS_DIRECTORY, RIGHTS_FD_READ),
            (". WRITE", ".", OFLAGS_DIRECTORY, RIGHTS_FD_WRITE),
            (". READ WRITE", ".", OFLAGS_DIRECTORY, full),
            (". READ WRITE without DIRECTORY", ".", 0, full),
            ("dir READ", "dir", OFLAGS_DIRECTORY, RIGHTS_FD_READ),
            ("dir READ without DIRECTORY", "dir", 0, RIGHTS_FD_READ),
            ("dir WRITE", "dir", 0, RIGHTS_FD_WRITE),
            ("dir nothing", "dir", 0, 0),
            ("dir CREAT", "dir", OFLAGS_CREAT, RIGHTS_FD_READ),
            ("dir CREAT DIRECTORY", "dir", OFLAGS_CREAT | OFLAGS_DIRECTORY, RIGHTS_FD_READ),
            ("new CREAT DIRECTORY", "new", OFLAGS_CREAT | OFLAGS_DIRECTORY, RIGHTS_FD_READ),
            ("dir TRUNC", "dir", OFLAGS_TRUNC, RIGHTS_FD_WRITE),
            ("file DIRECTORY", "file", OFLAGS_DIRECTORY, RIGHTS_FD_READ),
            ("file TRUNC read only", "file", OFLAGS_TRUNC, RIGHTS_FD_READ),
            ("file CREAT EXCL", "file", OFLAGS_CREAT | OFLAGS_EXCL, full),
            ("file EXCL alone", "file", OFLAGS_EXCL, full),
        ] {
            opens(name, open(path, oflags, base, 0, 0));
        }
        show("size after", stat_size("file"));
        // A directory whose inheriting rights lack WRITE gives none.
        let narrow = must(open(
            "dir",
            OFLAGS_DIRECTORY,
            RIGHTS_PATH_OPEN | RIGHTS_PATH_CREATE_FILE,
            RIGHTS_FD_READ,
            0,
        ));
        opens("write below a read-only directory", open_at(narrow, "x", 0, OFLAGS_CREAT, READ_WRITE, 0));
        opens("read below it", open_at(narrow, "y", 0, 0, RIGHTS_FD_READ, 0));
        close(narrow);
        opens("below a file", path_open(1, 0, "x", 0, 0, 0, 0));
        opens("below nothing", path_open(1000, 0, "x", 0, 0, 0, 0));
        let file = must(open("file", 0, RIGHTS_FD_READ, 0, 0));
        opens("below a regular file", path_open(file, 0, "x", 0, 0, 0, 0));
        close(file);
        if guests::stat("dir/x", 0).is_ok() {
            unlink("dir/x");
        }
    }
    unlink("file");
    rmdir("dir");
    for fd in 0..3 {
        rights(&format!("stdio {fd}"), fd);
    }
}

fn stat_size(path: &str) -> Result<Filesize, Errno> {
    stat(path, 0).map(|stat| stat.size)
}
