//! Opening without SYMLINK_FOLLOW, and symlink loops.
use guests::*;

fn main() {
    create("file", "");
    mkdir("dir");
    for (link, target) in [
        ("to_file", "file"),
        ("to_dir", "dir"),
        ("dangling", "nowhere"),
        ("self", "self"),
        ("ping", "pong"),
        ("pong", "ping"),
        ("dir/up", "../to_file"),
    ] {
        symlink(target, link);
    }
    let lookups = [("nofollow", 0), ("follow", LOOKUPFLAGS_SYMLINK_FOLLOW)];
    let flags = [
        ("", 0),
        (" directory", OFLAGS_DIRECTORY),
        (" create", OFLAGS_CREAT),
        (" create excl", OFLAGS_CREAT | OFLAGS_EXCL),
    ];
    for (lookup_name, lookup) in lookups {
        for (flags_name, oflags) in flags {
            for path in [
                "file",
                "dir",
                "to_file",
                "to_dir",
                "dangling",
                "self",
                "ping",
                "dir/up",
                "to_dir/up",
                "self/x",
                "to_dir/",
            ] {
                let rights =
                    if oflags == 0 || oflags == OFLAGS_DIRECTORY { RIGHTS_FD_READ } else { READ_WRITE };
                let result = open_at(ROOT, path, lookup, oflags, rights, 0);
                opens(&format!("{lookup_name}{flags_name} {path}"), result);
                // What a dangling link's creation made.
                if oflags == OFLAGS_CREAT && result.is_ok() && path == "dangling" {
                    unlink("nowhere");
                }
            }
        }
    }
    for (lookup_name, lookup) in lookups {
        for path in ["to_file", "to_dir", "dangling", "self", "to_dir/", "to_file/"] {
            let kind = stat(path, lookup).map(|stat| stat.filetype.name());
            show(&format!("stat {lookup_name} {path}"), kind);
        }
    }
    // 20 links in a row resolve; 60 are a loop.
    symlink("file", "c0");
    for i in 1..60 {
        symlink(&format!("c{}", i - 1), &format!("c{i}"));
    }
    opens("a chain of 20", open("c19", 0, RIGHTS_FD_READ, 0));
    opens("a chain of 60", open("c59", 0, RIGHTS_FD_READ, 0));
    for i in 0..60 {
        unlink(&format!("c{i}"));
    }
    for path in ["to_file", "to_dir", "dangling", "self", "ping", "pong", "dir/up", "file"] {
        unlink(path);
    }
    rmdir("dir");
}
