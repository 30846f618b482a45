//! A preopen that is read-only: everything that would change it is refused, and nothing changes.
use guests::*;

fn main() {
    println!("{}", contents("file"));
    opens("read", open("file", 0, RIGHTS_FD_READ, 0));
    opens("write", open("file", 0, RIGHTS_FD_WRITE, 0));
    opens("read and write", open("file", 0, READ_WRITE, 0));
    opens("truncate", open("file", OFLAGS_TRUNC, RIGHTS_FD_READ, 0));
    opens("create", open("new", OFLAGS_CREAT, RIGHTS_FD_READ, 0));
    opens("create to write", open("new", OFLAGS_CREAT, READ_WRITE, 0));
    opens("create what exists", open("file", OFLAGS_CREAT, RIGHTS_FD_READ, 0));
    opens("list", open_at(ROOT, "dir", 0, OFLAGS_DIRECTORY, RIGHTS_FD_READDIR, 0));
    check("stat", stat("file", 0));
    // SAFETY: descriptors and times are numbers, paths live slices.
    unsafe {
        check("mkdir", path_create_directory(ROOT, "new"));
        check("mkdir below", path_create_directory(ROOT, "dir/new"));
        check("rmdir", path_remove_directory(ROOT, "empty"));
        check("unlink", path_unlink_file(ROOT, "file"));
        check("rename", path_rename(ROOT, "file", ROOT, "new"));
        check("link", path_link(ROOT, 0, "file", ROOT, "new"));
        check("symlink", path_symlink("file", ROOT, "new"));
        check("readlink", path_readlink(ROOT, "link", [0; 8].as_mut_ptr(), 8));
        check("set times", path_filestat_set_times(ROOT, 0, "file", 1, 1, FSTFLAGS_MTIM));
        let fd = must(open("file", 0, RIGHTS_FD_READ, 0));
        check("fd write", write(fd, b"x"));
        check("fd set size", fd_filestat_set_size(fd, 0));
        check("fd allocate", fd_allocate(fd, 0, 100));
        check("fd set times", fd_filestat_set_times(fd, 1, 1, FSTFLAGS_MTIM));
        close(fd);
        // Neither a directory below it nor `..` through it changes that.
        let rights = RIGHTS_PATH_OPEN
            | RIGHTS_PATH_CREATE_FILE
            | RIGHTS_PATH_CREATE_DIRECTORY
            | RIGHTS_PATH_UNLINK_FILE;
        let dir = must(path_open(ROOT, 0, "dir", OFLAGS_DIRECTORY, rights, READ_WRITE, 0));
        check("create below", open_at(dir, "new", 0, OFLAGS_CREAT, READ_WRITE, 0));
        check("mkdir by descriptor", path_create_directory(dir, "new"));
        check("unlink by descriptor", path_unlink_file(dir, "inner"));
        // From the writable second preopen into this one, and out of it.
        if fd_prestat_get(4).is_ok() {
            check("rename out", path_rename(ROOT, "file", 4, "stolen"));
            check("link out", path_link(ROOT, 0, "file", 4, "linked"));
            check("rename in", path_rename(4, "mine", ROOT, "new"));
            check("link in", path_link(4, 0, "mine", ROOT, "new"));
        }
    }
}
