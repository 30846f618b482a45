//! path_rename over every kind of source and destination.
use guests::*;

fn rename(old: &str, new: &str) -> bool {
    // SAFETY: both are live slices.
    let result = unsafe { path_rename(ROOT, old, ROOT, new) };
    check(&format!("{old} to {new}"), result);
    result.is_ok()
}

fn main() {
    create("file", "file");
    create("other", "other");
    mkdir("dir");
    create("dir/inner", "inner");
    mkdir("empty");
    symlink("file", "link");

    rename("file", "dir");
    rename("file", "empty");
    rename("file", "empty/");
    rename("dir", "file");
    rename("dir", "link");
    rename("empty", "dir");
    rename("dir", "dir/sub");
    rename("dir", "dir");
    rename("file", "file");
    rename("none", "new");
    rename("file", "none/new");
    rename("file/", "new");
    rename("file", "new/");
    rename("file", "dir/inner/new");
    rename(".", "new");
    rename("dir/..", "new");
    rename("file", ".");
    rename("", "new");
    rename("file", "");

    rename("dir", "empty");
    println!("{}", contents("empty/inner"));
    rename("empty/", "slashed///");
    println!("{}", contents("slashed/inner"));
    mkdir("empty");
    rename("slashed/", "empty/");
    println!("{}", contents("empty/inner"));

    rename("other", "file");
    println!("{}", contents("file"));
    rename("link", "moved_link");
    println!("{} {}", must(stat("moved_link", 0)).filetype.name(), contents("moved_link"));
    rename("file", "moved_link");
    println!("{} {}", must(stat("moved_link", 0)).filetype.name(), contents("moved_link"));
    check("the old name", stat("file", 0));

    // An open descriptor follows its file; what it replaced lives on until closed.
    create("a", "first");
    create("b", "second");
    let (a, b) = (must(open("a", 0, READ_WRITE, 0)), must(open("b", 0, READ_WRITE, 0)));
    rename("a", "b");
    let mut buffer = [0; 16];
    let n = must(read(a, &mut buffer));
    println!("a's descriptor reads {}", String::from_utf8_lossy(&buffer[..n]));
    let n = must(read(b, &mut buffer));
    println!("b's descriptor reads {}", String::from_utf8_lossy(&buffer[..n]));
    close(a);
    close(b);

    // Two names of one file: renaming one to the other does nothing.
    // SAFETY: both are live slices.
    must(unsafe { path_link(ROOT, 0, "b", ROOT, "c") });
    rename("b", "c");
    check("b", stat("b", 0));
    check("c", stat("c", 0));

    // A directory's descriptor follows it too, and between two directories.
    let moved = must(open_at(ROOT, "empty", 0, OFLAGS_DIRECTORY, RIGHTS_PATH_OPEN, 0));
    mkdir("dest");
    // SAFETY: both are live slices.
    check("between descriptors", unsafe { path_rename(moved, "inner", ROOT, "dest/inner") });
    rename("empty", "dest/empty");
    // SAFETY: as above.
    check("back", unsafe { path_rename(ROOT, "dest/inner", moved, "again") });
    println!("{}", contents("dest/empty/again"));
    close(moved);
    for path in ["dest/empty/again", "moved_link", "b", "c"] {
        unlink(path);
    }
    rmdir("dest/empty");
    rmdir("dest");
}
