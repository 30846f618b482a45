//! path_link: two names of one file.
use guests::*;

fn link(lookup: Lookupflags, old: &str, new: &str) {
    let follow = if lookup == 0 { "" } else { "follow " };
    // SAFETY: both are live slices.
    check(&format!("{follow}{old} as {new}"), unsafe { path_link(ROOT, lookup, old, ROOT, new) });
}

fn main() {
    create("file", "one");
    mkdir("dir");
    create("dir/other", "");
    symlink("nowhere", "dangling");
    symlink("file", "to_file");
    symlink("loop", "loop");

    link(0, "file", "second");
    let (a, b) = (must(stat("file", 0)), must(stat("second", 0)));
    println!("same inode {}, device {}", a.ino == b.ino, a.dev == b.dev);
    println!("links {} and {}, size {} and {}", a.nlink, b.nlink, a.size, b.size);
    println!("same times {}", (a.atim, a.mtim, a.ctim) == (b.atim, b.mtim, b.ctim));
    create("second", "changed through the second");
    println!("{}", contents("file"));

    link(0, "file", "file");
    link(0, "file", "second");
    link(0, "file", "dir");
    link(0, "file", "dir/other");
    link(0, "file", "dangling");
    link(0, "file", "to_file");
    link(0, "file", "new/");
    link(0, "file", "dangling/");
    link(0, "file", "none/new");
    link(0, "none", "new");
    link(0, "file/", "new");
    link(0, "dir", "new");
    link(0, "dir/", "new");
    link(0, ".", "new");
    link(0, "", "new");
    link(0, "file", "");
    link(LOOKUPFLAGS_SYMLINK_FOLLOW, "dangling", "new");
    link(LOOKUPFLAGS_SYMLINK_FOLLOW, "loop", "new");
    link(LOOKUPFLAGS_SYMLINK_FOLLOW, "to_file", "new");
    println!("{}", must(stat("new", 0)).filetype.name());
    unlink("new");

    link(0, "dangling", "second_dangling");
    let (a, b) = (must(stat("dangling", 0)), must(stat("second_dangling", 0)));
    println!("{} {}, same inode {}", b.filetype.name(), b.nlink, a.ino == b.ino);
    link(0, "to_file", "second_to_file");
    println!("{}", contents("second_to_file"));

    unlink("file");
    println!("{} left: {}", must(stat("second", 0)).nlink, contents("second"));
    for path in ["second", "dangling", "second_dangling", "to_file", "second_to_file", "loop", "dir/other"] {
        unlink(path);
    }
    rmdir("dir");
}
