//! A directory's descriptor refuses what is for files; and the other way round.
use guests::*;

fn main() {
    mkdir("dir");
    create("file", "x");
    let dir = must(open_at(ROOT, "dir", 0, OFLAGS_DIRECTORY, RIGHTS_FD_READDIR | RIGHTS_PATH_OPEN, 0));
    let file = must(open("file", 0, READ_WRITE, 0));
    let mut buffer = [0u8; 4];
    // SAFETY: every iovec covers `buffer`, which outlives the calls.
    unsafe {
        let iovec = [Iovec { buf: buffer.as_mut_ptr(), buf_len: 4 }];
        let ciovec = [Ciovec { buf: buffer.as_ptr(), buf_len: 4 }];
        for (name, fd) in [("dir", dir), ("preopen", ROOT), ("closed", 1000), ("max", u32::MAX)] {
            check(&format!("{name} read"), fd_read(fd, &iovec));
            check(&format!("{name} pread"), fd_pread(fd, &iovec, 0));
            check(&format!("{name} write"), fd_write(fd, &ciovec));
            check(&format!("{name} pwrite"), fd_pwrite(fd, &ciovec, 0));
            check(&format!("{name} seek"), fd_seek(fd, 0, WHENCE_SET));
            check(&format!("{name} tell"), fd_tell(fd));
            check(&format!("{name} allocate"), fd_allocate(fd, 0, 1));
            check(&format!("{name} set_size"), fd_filestat_set_size(fd, 0));
            check(&format!("{name} advise"), fd_advise(fd, 0, 0, ADVICE_NORMAL));
            check(&format!("{name} sync"), fd_sync(fd));
            check(&format!("{name} datasync"), fd_datasync(fd));
            check(&format!("{name} set_flags"), fd_fdstat_set_flags(fd, FDFLAGS_APPEND));
            check(&format!("{name} filestat"), fd_filestat_get(fd));
            check(&format!("{name} set_times"), fd_filestat_set_times(fd, 0, 0, 0));
        }
        opens("open . NONBLOCK", open_at(ROOT, ".", 0, 0, 0, FDFLAGS_NONBLOCK));
        opens("open dir APPEND", open_at(ROOT, "dir", 0, OFLAGS_DIRECTORY, 0, FDFLAGS_APPEND));
        for (name, fd) in [("file", file), ("stdout", 1), ("closed", 1000)] {
            opens(&format!("{name} open"), open_at(fd, "x", 0, OFLAGS_CREAT, READ_WRITE, 0));
            check(&format!("{name} readdir"), fd_readdir(fd, buffer.as_mut_ptr(), 4, 0));
            check(&format!("{name} mkdir"), path_create_directory(fd, "x"));
            check(&format!("{name} stat"), path_filestat_get(fd, 0, "x"));
            check(&format!("{name} set_times"), path_filestat_set_times(fd, 0, "x", 0, 0, 0));
            check(&format!("{name} link from"), path_link(fd, 0, "x", ROOT, "y"));
            check(&format!("{name} link to"), path_link(ROOT, 0, "file", fd, "y"));
            check(&format!("{name} readlink"), path_readlink(fd, "x", buffer.as_mut_ptr(), 4));
            check(&format!("{name} rmdir"), path_remove_directory(fd, "x"));
            check(&format!("{name} rename from"), path_rename(fd, "x", ROOT, "y"));
            check(&format!("{name} rename to"), path_rename(ROOT, "file", fd, "y"));
            check(&format!("{name} symlink"), path_symlink("file", fd, "y"));
            check(&format!("{name} unlink"), path_unlink_file(fd, "x"));
        }
        for fd in 0..3 {
            check(&format!("seek {fd}"), fd_seek(fd, 0, WHENCE_CUR));
            check(&format!("tell {fd}"), fd_tell(fd));
            check(&format!("pread {fd}"), fd_pread(fd, &iovec, 0));
            check(&format!("pwrite {fd}"), fd_pwrite(fd, &ciovec, 0));
            check(&format!("set_size {fd}"), fd_filestat_set_size(fd, 0));
            check(&format!("allocate {fd}"), fd_allocate(fd, 0, 1));
        }
        for fd in 0..3 {
            show(&format!("type of {fd}"), fd_fdstat_get(fd).map(|stat| stat.fs_filetype.name()));
        }
        check("write stdin", fd_write(0, &ciovec));
        check("read stdout", fd_read(1, &iovec));
        check("read stderr", fd_read(2, &iovec));
    }
    close(dir);
    close(file);
    unlink("file");
    rmdir("dir");
}
