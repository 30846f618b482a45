//! fd_readdir: `.` and `..`, inodes, cookies, and buffers of every size.
use guests::*;
use std::collections::BTreeMap;

const HEADER: usize = size_of::<Dirent>();

/// One call: the entries that fit whole, and how many bytes were used.
fn list(fd: Fd, len: usize, cookie: Dircookie) -> (Vec<(Dirent, String)>, usize) {
    let mut buffer = vec![0u8; len];
    // SAFETY: the buffer is live and exclusive.
    let used = must(unsafe { fd_readdir(fd, buffer.as_mut_ptr(), len, cookie) });
    let mut entries = vec![];
    let mut rest = &buffer[..used];
    while rest.len() >= HEADER {
        // SAFETY: `rest` holds a whole header; the struct is plain data.
        let entry = unsafe { rest.as_ptr().cast::<Dirent>().read_unaligned() };
        let Some(name) = rest.get(HEADER..HEADER + entry.d_namlen as usize) else { break };
        entries.push((entry, String::from_utf8(name.to_vec()).expect("utf-8")));
        rest = &rest[HEADER + name.len()..];
    }
    (entries, used)
}

/// Every entry, with a buffer of `len` bytes at a time, resuming by cookie.
fn all(fd: Fd, len: usize) -> Vec<(Dirent, String)> {
    let (mut entries, mut cookie) = (vec![], 0);
    loop {
        let (some, used) = list(fd, len, cookie);
        if let Some((last, _)) = some.last() {
            cookie = last.d_next;
        }
        let none = some.is_empty();
        entries.extend(some);
        // The protocol's end: a buffer that was not filled.
        if used < len {
            return entries;
        }
        assert!(!none, "a buffer of {len} holds no whole entry");
    }
}

fn sorted(entries: &[(Dirent, String)]) -> Vec<&str> {
    let mut names: Vec<&str> = entries.iter().map(|(_, name)| &**name).collect();
    names.sort();
    names
}

fn main() {
    mkdir("dir");
    create("dir/file", "");
    create("dir/another-name", "");
    mkdir("dir/sub");
    symlink("file", "dir/link");
    let rights = RIGHTS_FD_READDIR | RIGHTS_PATH_OPEN;
    let fd = must(open_at(ROOT, "dir", 0, OFLAGS_DIRECTORY, rights, 0));

    let entries = all(fd, 4096);
    println!("{:?}", sorted(&entries));
    let kinds: BTreeMap<_, _> = entries.iter().map(|(entry, name)| (&**name, entry.d_type.name())).collect();
    println!("{kinds:?}");
    for (entry, name) in &entries {
        if name != ".." {
            let stat = must(stat(&format!("dir/{name}"), 0));
            assert_eq!(stat.ino, entry.d_ino, "inode of {name}");
        }
    }
    println!("inodes agree with filestat");

    for len in [25, 30, 36, 37, 50, 64, 100, 1000] {
        // 24 bytes of header and 12 of the longest name.
        if len >= HEADER + 12 {
            println!("in buffers of {len}: {}", sorted(&all(fd, len)) == sorted(&entries));
        } else {
            println!("a buffer of {len} is filled: {}", list(fd, len, 0).1 == len);
        }
    }
    println!("a buffer of 0: {}", list(fd, 0, 0).1);
    println!("a buffer of 10: {}", list(fd, 10, 0).1);

    // Every cookie resumes after its entry, in any order, also after a restart.
    let whole: Vec<String> = entries.iter().map(|(_, name)| name.clone()).collect();
    for (i, (entry, _)) in entries.iter().enumerate().rev() {
        let rest: Vec<String> = list(fd, 4096, entry.d_next).0.into_iter().map(|(_, name)| name).collect();
        assert_eq!(rest, whole[i + 1..], "after entry {i}");
    }
    println!("cookies resume");
    let again: Vec<String> = list(fd, 4096, 0).0.into_iter().map(|(_, name)| name).collect();
    println!("restart at 0 is the same: {}", again == whole);

    create("dir/later", "");
    println!("a new entry is seen after a restart: {}", all(fd, 4096).len() == entries.len() + 1);
    unlink("dir/later");
    println!("and its removal: {}", all(fd, 4096).len() == entries.len());

    // A cookie past the last: the end. One that no entry has given: the end, or entries from somewhere.
    let last = entries.last().expect("entries").0.d_next;
    println!("after the last: {}", list(fd, 256, last).1);
    println!("past it, not one entry too many: {}", list(fd, 4096, last + 1).0.len() <= entries.len());

    // A name of several bytes a character is cut anywhere, and whole when it fits.
    let long = "Ünïcödé-名前-☃☃☃";
    create(&format!("dir/{long}"), "");
    let whole = list(fd, 4096, 0).1;
    let seen = |len| list(fd, len, 0).0.iter().any(|(_, name)| name == long);
    let fitting = (0..=whole).find(|&len| seen(len)).expect("listed");
    println!("from some size on: {}", (0..=whole).all(|len| seen(len) == (len >= fitting)));
    println!("and then to its end: {}", (0..whole).all(|len| list(fd, len, 0).1 == len));
    unlink(&format!("dir/{long}"));

    // SAFETY: a zero-length buffer is not accessed.
    check("of a file", unsafe {
        let file = must(open("dir/file", 0, RIGHTS_FD_READ, 0));
        let result = fd_readdir(file, std::ptr::null_mut(), 0, 0);
        close(file);
        result
    });
    // SAFETY: as above.
    check("of stdin", unsafe { fd_readdir(0, std::ptr::null_mut(), 0, 0) });

    mkdir("empty");
    let empty = must(open_at(ROOT, "empty", 0, OFLAGS_DIRECTORY, rights, 0));
    println!("an empty one: {:?}", sorted(&all(empty, 4096)));
    rmdir("empty");
    // A removed directory is empty, or gone where the file system finds it by its name.
    let mut buffer = [0; 256];
    // SAFETY: the buffer is live and exclusive.
    let after = match unsafe { fd_readdir(empty, buffer.as_mut_ptr(), buffer.len(), 0) } {
        Ok(_) => list(empty, 256, 0).0,
        Err(errno) => {
            assert_eq!(errno, ERRNO_NOENT);
            vec![]
        }
    };
    println!("a removed one has no children: {}", after.iter().all(|(_, name)| name == "." || name == ".."));
    close(empty);
    close(fd);

    for path in ["dir/file", "dir/another-name", "dir/link"] {
        unlink(path);
    }
    rmdir("dir/sub");
    rmdir("dir");
}
