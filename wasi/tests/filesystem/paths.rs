//! How paths are read: dots, slashes, lengths.

use super::*;

pub fn absolute_paths_and_too_many_dot_dots_are_refused(world: &World) {
    world.mkdir("dir");
    world.mkdir("dir/nested");
    world.write("dir/nested/file", b"");
    for path in [
        "/",
        "//",
        "/dir/nested/file",
        "..",
        "../",
        "../dir",
        "dir/../..",
        "dir/nested/../../../dir/nested/file",
    ] {
        assert_eq!(refusal(world.open(path, true, NONE, READ)), Some(Error::NotPermitted), "open {path}");
        assert_eq!(world.stat(path), Err(Error::NotPermitted), "stat {path}");
        assert_eq!(world.root.create_directory_at(path), Err(Error::NotPermitted), "mkdir {path}");
        assert_eq!(world.root.unlink_file_at(path), Err(Error::NotPermitted), "unlink {path}");
        assert_eq!(world.root.remove_directory_at(path), Err(Error::NotPermitted), "rmdir {path}");
        assert_eq!(world.root.readlink_at(path), Err(Error::NotPermitted), "readlink {path}");
        assert_eq!(world.root.symlink_at("x", path), Err(Error::NotPermitted), "symlink {path}");
        assert_eq!(world.root.rename_at(path, &world.root, "x"), Err(Error::NotPermitted), "rename {path}");
        assert_eq!(
            world.root.rename_at("dir", &world.root, path),
            Err(Error::NotPermitted),
            "rename to {path}"
        );
        assert_eq!(
            world.root.link_at(path, false, &world.root, "x"),
            Err(Error::NotPermitted),
            "link {path}"
        );
        assert_eq!(
            world.root.link_at("dir/nested/file", false, &world.root, path),
            Err(Error::NotPermitted),
            "link to {path}"
        );
    }
}

pub fn inner_dots_and_slashes_resolve(world: &World) {
    world.mkdir("dir");
    world.mkdir("dir/nested");
    world.write("dir/nested/file", b"here");
    let path = "dir/.//nested/../../dir/nested/../nested///./file";
    assert_eq!(world.read(path), Ok(b"here".to_vec()));
    assert_eq!(world.stat("dir/..").unwrap(), world.root.stat().unwrap());
    assert_eq!(world.stat(".").unwrap(), world.root.stat().unwrap());
    assert_eq!(world.stat("./.").unwrap(), world.root.stat().unwrap());
    // `..` is of the directory walked through: it must be there.
    assert_eq!(world.stat("missing/.."), Err(Error::NoEntry));
}

pub fn embedded_nul_is_invalid(world: &World) {
    world.write("file", b"");
    for path in ["file\0", "\0", "file\0/x", "f\0ile"] {
        assert_eq!(refusal(world.open(path, true, OpenFlags::CREATE, BOTH)), Some(Error::Invalid));
        assert_eq!(world.root.create_directory_at(path), Err(Error::Invalid));
        assert_eq!(world.root.unlink_file_at(path), Err(Error::Invalid));
        assert_eq!(world.root.rename_at("file", &world.root, path), Err(Error::Invalid));
        assert_eq!(world.root.symlink_at("file", path), Err(Error::Invalid));
        assert_eq!(world.root.symlink_at(path, "link"), Err(Error::Invalid));
    }
    assert_eq!(names(&world.root), ["file"]);
}

pub fn trailing_slashes_on_files_and_directories(world: &World) {
    world.mkdir("dir");
    world.write("file", b"");
    for path in ["file/", "file///", "file/.", "file/..", "file/../file"] {
        assert_eq!(refusal(world.open(path, true, NONE, READ)), Some(Error::NotDirectory), "{path}");
        assert_eq!(world.stat(path), Err(Error::NotDirectory), "{path}");
    }
    for path in ["dir/", "dir///", "dir/.", "dir/./"] {
        assert!(world.root.open_at(path, false, NONE, READ).is_ok(), "{path}");
        assert_eq!(world.stat(path).unwrap().kind, Kind::Directory, "{path}");
    }
    // As Linux has it: what is asked to be created is a file, what is asked for by the slash a directory.
    assert_eq!(refusal(world.open("new/", true, OpenFlags::CREATE, WRITE)), Some(Error::IsDirectory));
    assert_eq!(refusal(world.open("file/", true, OpenFlags::CREATE, WRITE)), Some(Error::NotDirectory));
    world.mkdir("made///");
    assert_eq!(world.stat("made").unwrap().kind, Kind::Directory);
    assert_eq!(world.root.create_directory_at("made/"), Err(Error::Exists));
}

pub fn empty_paths_name_nothing(world: &World) {
    world.write("file", b"");
    assert_eq!(refusal(world.open("", true, OpenFlags::CREATE, READ)), Some(Error::NoEntry));
    assert_eq!(world.stat(""), Err(Error::NoEntry));
    assert_eq!(world.root.create_directory_at(""), Err(Error::NoEntry));
    assert_eq!(world.root.remove_directory_at(""), Err(Error::NoEntry));
    assert_eq!(world.root.unlink_file_at(""), Err(Error::NoEntry));
    assert_eq!(world.root.link_at("", false, &world.root, ""), Err(Error::NoEntry));
    assert_eq!(world.root.link_at("file", false, &world.root, ""), Err(Error::NoEntry));
    assert_eq!(world.root.rename_at("file", &world.root, ""), Err(Error::NoEntry));
    assert_eq!(world.root.symlink_at("", "link"), Err(Error::NoEntry));
}

pub fn long_names_and_paths_are_refused(world: &World) {
    let longest = "n".repeat(255);
    world.write(&longest, b"");
    assert_eq!(names(&world.root), [longest.as_str()]);
    for path in ["n".repeat(256), "n".repeat(1 << 20), format!("{longest}n/x"), "x/".repeat(1 << 20)] {
        let expected = Some(Error::NameTooLong);
        assert_eq!(refusal(world.open(&path, true, OpenFlags::CREATE, WRITE)), expected);
        assert_eq!(refusal(world.root.create_directory_at(&path)), expected);
        assert_eq!(refusal(world.root.rename_at(&longest, &world.root, &path)), expected);
        assert_eq!(refusal(world.stat(&path)), expected);
    }
    assert_eq!(world.root.symlink_at(&"t/".repeat(2049), "link"), Err(Error::NameTooLong));
    // 4096 bytes are a path.
    let path = format!("{}{longest}", "./".repeat((4096 - 255) / 2));
    assert_eq!(world.stat(&path).map(|stat| stat.kind), Ok(Kind::File));
    assert_eq!(refusal(world.stat(&format!("./{path}"))), Some(Error::NameTooLong));
}

pub fn ten_thousand_levels_of_dot_dot_are_refused(world: &World) {
    world.mkdir("d");
    for path in ["../".repeat(10_000), "d/../".repeat(10_000), "d/../".repeat(819) + "../"] {
        assert!(matches!(world.stat(&path), Err(Error::NameTooLong | Error::NotPermitted)));
    }
    assert_eq!(world.stat(&"d/../".repeat(819)).unwrap(), world.root.stat().unwrap());
}

pub fn deep_directories_can_be_used(world: &World) {
    // 300 levels, made from directory to directory: deeper than one path can say.
    let mut directory = world.root.clone();
    let name = "d".repeat(50);
    for _ in 0..300 {
        directory.create_directory_at(&name).unwrap();
        directory = match directory.open_at(&name, false, OpenFlags::DIRECTORY, READ).unwrap() {
            Descriptor::Directory(next) => next,
            Descriptor::File(_) => panic!("not a directory"),
        };
    }
    drop(file(directory.open_at("file", false, OpenFlags::CREATE, WRITE).unwrap()).unwrap());
    assert_eq!(names(&directory), ["file"]);
    let deep = format!("{name}/").repeat(80);
    assert_eq!(world.stat(&deep).map(|stat| stat.kind), Ok(Kind::Directory));
    let back = deep + &"../".repeat(5);
    assert_eq!(world.stat(&back).unwrap(), world.stat(&format!("{name}/").repeat(75)).unwrap());
    assert_eq!(world.stat(&format!("{name}/").repeat(81)), Err(Error::NameTooLong));
}

pub fn paths_through_files_are_refused(world: &World) {
    world.write("file", b"");
    for path in ["file/x", "file/../x", "file/x/y"] {
        assert_eq!(world.stat(path), Err(Error::NotDirectory));
        assert_eq!(world.root.create_directory_at(path), Err(Error::NotDirectory));
        assert_eq!(refusal(world.open(path, true, OpenFlags::CREATE, WRITE)), Some(Error::NotDirectory));
        assert_eq!(world.root.rename_at("file", &world.root, path), Err(Error::NotDirectory));
    }
    assert_eq!(world.stat("missing/x"), Err(Error::NoEntry));
    assert_eq!(world.root.create_directory_at("missing/x"), Err(Error::NoEntry));
}
