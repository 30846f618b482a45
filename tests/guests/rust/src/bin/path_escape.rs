//! No path leads outside its preopen, and what stays inside resolves.
use guests::*;

fn main() {
    mkdir("d");
    mkdir("d/e");
    create("d/f", "inside");
    for (link, target) in [
        ("up", ".."),
        ("up_file", "../secret"),
        ("d/up_up", "../.."),
        ("d/back", "../d/f"),
        ("in_and_out", "d/e/../../../secret"),
        ("to_up", "up/secret"),
        ("to_dir", "d"),
    ] {
        symlink(target, link);
    }

    for path in
        ["d/f", "./d/f", "d/./f", "d//f", "d/e/../f", "d/../d/e/.././f", "d/back", "to_dir/f", "to_dir/back"]
    {
        opens(path, open(path, 0, RIGHTS_FD_READ, 0));
    }
    for path in [
        "/d/f",
        "/",
        "..",
        "../",
        "../secret",
        "d/../../secret",
        "d/e/../../..",
        "up",
        "up/secret",
        "up_file",
        "d/up_up",
        "d/up_up/secret",
        "in_and_out",
        "to_up",
        "to_dir/../../secret",
        "d/e/../../../d/f",
    ] {
        opens(path, open(path, 0, RIGHTS_FD_READ, 0));
    }
    for path in
        ["d/f/", "d/f/.", "d/f/..", "d/f/../f", "d///", "d/e/", "none/", "", "d\0f", "d/f\0", "d/none/../f"]
    {
        opens(&format!("{path:?}"), open(path, 0, RIGHTS_FD_READ, 0));
    }
    let rights = RIGHTS_FD_READ | RIGHTS_FD_WRITE;
    for path in ["../new", "up/new", "/new", "new/", "d/../../new", ".", "d/.."] {
        opens(&format!("create {path}"), open(path, OFLAGS_CREAT, rights, 0));
    }
    // SAFETY: every path is a live slice.
    unsafe {
        for path in ["../x", "/x", "up/x", "d/../../x"] {
            check(&format!("mkdir {path}"), path_create_directory(ROOT, path));
            check(&format!("rmdir {path}"), path_remove_directory(ROOT, path));
            check(&format!("unlink {path}"), path_unlink_file(ROOT, path));
            check(&format!("stat {path}"), path_filestat_get(ROOT, 0, path));
            check(&format!("rename to {path}"), path_rename(ROOT, "d/f", ROOT, path));
            check(&format!("rename from {path}"), path_rename(ROOT, path, ROOT, "d/g"));
            check(&format!("link to {path}"), path_link(ROOT, 0, "d/f", ROOT, path));
            check(&format!("symlink at {path}"), path_symlink("d", ROOT, path));
            check(&format!("readlink {path}"), path_readlink(ROOT, path, [0; 8].as_mut_ptr(), 8));
        }
        // The way out is closed from a subdirectory's descriptor too.
        let d = must(open_at(ROOT, "d", 0, OFLAGS_DIRECTORY, RIGHTS_PATH_OPEN | RIGHTS_FD_READDIR, 0));
        for path in ["f", "../d/f", "up_up", "back", "e/../f", "e/../../d/f"] {
            check(&format!("from d: {path}"), path_filestat_get(d, LOOKUPFLAGS_SYMLINK_FOLLOW, path));
        }
    }
    // Refused quickly: a path of ten thousand `..`.
    let deep = "d/".to_owned() + &"../".repeat(10_000);
    opens("10,000 levels up", open(&deep, 0, RIGHTS_FD_READ, 0));
    let wide = "d/e/../../".repeat(400) + "d/f";
    opens("800 levels in and out", open(&wide, 0, RIGHTS_FD_READ, 0));

    println!("{}", contents("d/f"));
    for path in ["up", "up_file", "d/up_up", "d/back", "in_and_out", "to_up", "to_dir", "d/f"] {
        unlink(path);
    }
    rmdir("d/e");
    rmdir("d");
}
