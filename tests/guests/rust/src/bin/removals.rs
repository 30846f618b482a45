//! path_unlink_file and path_remove_directory.
use guests::*;

fn main() {
    create("file", "");
    mkdir("dir");
    mkdir("dir/sub");
    symlink("file", "to_file");
    symlink("dir", "to_dir");
    symlink("nowhere", "dangling");
    // SAFETY: every path is a live slice.
    unsafe {
        for path in [
            "file",
            "file/",
            "to_file",
            "to_dir",
            "to_dir/",
            "dangling",
            "none",
            "none/",
            "dir",
            "dir/",
            ".",
            "",
            "dir/sub/..",
            "dir/.",
        ] {
            check(&format!("rmdir {path:?}"), path_remove_directory(ROOT, path));
        }
        for path in ["dir", "dir/", "file/", "to_dir/", "none", "none/", "file/x", ".", "", "dir/.."] {
            check(&format!("unlink {path:?}"), path_unlink_file(ROOT, path));
        }
        check("rmdir dir/sub/", path_remove_directory(ROOT, "dir/sub/"));
        check("unlink to_dir", path_unlink_file(ROOT, "to_dir"));
        check("unlink to_file", path_unlink_file(ROOT, "to_file"));
        check("unlink dangling", path_unlink_file(ROOT, "dangling"));
        check("file is still there", stat("file", 0));

        // A directory that is removed while open is empty, and nothing can be made in it.
        let dir = must(open_at(ROOT, "dir", 0, OFLAGS_DIRECTORY, RIGHTS_PATH_OPEN | RIGHTS_FD_READDIR, 0));
        check("rmdir dir", path_remove_directory(ROOT, "dir"));
        check("rmdir dir again", path_remove_directory(ROOT, "dir"));
        opens("create in a removed directory", open_at(dir, "x", 0, OFLAGS_CREAT, READ_WRITE, 0));
        check("mkdir in a removed directory", path_create_directory(dir, "x"));
        close(dir);

        let fd = must(open("file", 0, READ_WRITE, 0));
        check("unlink file", path_unlink_file(ROOT, "file"));
        check("unlink file again", path_unlink_file(ROOT, "file"));
        show("links of the open file", fd_filestat_get(fd).map(|stat| stat.nlink));
        check("write to it", write(fd, b"alive"));
        show("its size", fd_filestat_get(fd).map(|stat| stat.size));
        close(fd);
    }
}
