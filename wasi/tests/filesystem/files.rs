//! What the operations do, and the exact error when they do not.

use super::*;
use wasi::filesystem::{SeekFrom, SetTime};

pub fn open_without_follow_is_loop(world: &World) {
    world.mkdir("dir");
    world.write("file", b"");
    for (target, link) in [("dir", "to-dir"), ("file", "to-file"), ("nothing", "dangling"), ("self", "self")]
    {
        world.symlink(target, link);
        for flags in [NONE, OpenFlags::CREATE, OpenFlags::TRUNCATE, OpenFlags::DIRECTORY] {
            assert_eq!(
                refusal(world.root.open_at(link, false, flags, READ)),
                Some(Error::Loop),
                "{link} {flags:?}"
            );
        }
    }
    assert_eq!(names(&world.root), ["dangling", "dir", "file", "self", "to-dir", "to-file"]);
}

pub fn open_with_follow(world: &World) {
    world.mkdir("dir");
    world.write("file", b"bytes");
    world.symlink("dir", "to-dir");
    world.symlink("file", "to-file");
    world.symlink("nothing", "dangling");
    world.symlink("file/", "to-file-slash");
    assert!(matches!(
        world.root.open_at("to-dir", true, OpenFlags::DIRECTORY, READ),
        Ok(Descriptor::Directory(_))
    ));
    assert_eq!(world.read("to-file"), Ok(b"bytes".to_vec()));
    assert_eq!(
        refusal(world.root.open_at("to-file", true, OpenFlags::DIRECTORY, READ)),
        Some(Error::NotDirectory)
    );
    assert_eq!(refusal(world.open("to-file-slash", true, NONE, READ)), Some(Error::NotDirectory));
    assert_eq!(refusal(world.open("dangling", true, NONE, READ)), Some(Error::NoEntry));
    assert_eq!(refusal(world.open("missing", true, NONE, READ)), Some(Error::NoEntry));
    // A slash follows the link to a directory even without the flag.
    assert!(world.root.open_at("to-dir/", false, OpenFlags::DIRECTORY, READ).is_ok());
}

pub fn creating_through_a_dangling_link(world: &World) {
    world.mkdir("dir");
    world.symlink("dir/new", "link");
    assert_eq!(
        refusal(world.open("link", true, OpenFlags::CREATE | OpenFlags::EXCLUSIVE, WRITE)),
        Some(Error::Exists)
    );
    world.write("link", b"made");
    assert_eq!(world.read("dir/new"), Ok(b"made".to_vec()));
    world.symlink("missing/new", "astray");
    assert_eq!(refusal(world.open("astray", true, OpenFlags::CREATE, WRITE)), Some(Error::NoEntry));
}

pub fn exclusive_creation(world: &World) {
    let exclusive = OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
    world.mkdir("dir");
    assert!(world.open("new", false, exclusive, WRITE).is_ok());
    for path in ["new", "dir", ".", "dir/."] {
        assert_eq!(refusal(world.root.open_at(path, true, exclusive, WRITE)), Some(Error::Exists), "{path}");
    }
    // It means nothing on its own.
    assert!(world.open("new", true, OpenFlags::EXCLUSIVE, READ).is_ok());
    assert_eq!(refusal(world.open("none", true, OpenFlags::EXCLUSIVE, READ)), Some(Error::NoEntry));
}

pub fn opening_directories(world: &World) {
    world.mkdir("dir");
    world.write("file", b"");
    for path in [".", "dir", "dir/."] {
        for access in [READ, NOTHING] {
            assert!(matches!(
                world.root.open_at(path, true, OpenFlags::DIRECTORY, access),
                Ok(Descriptor::Directory(_))
            ));
            assert!(matches!(world.root.open_at(path, true, NONE, access), Ok(Descriptor::Directory(_))));
        }
        let is_directory = Some(Error::IsDirectory);
        assert_eq!(refusal(world.root.open_at(path, true, OpenFlags::DIRECTORY, BOTH)), is_directory);
        assert_eq!(refusal(world.root.open_at(path, true, NONE, WRITE)), is_directory);
        assert_eq!(refusal(world.root.open_at(path, true, OpenFlags::TRUNCATE, READ)), is_directory);
        assert_eq!(refusal(world.root.open_at(path, true, OpenFlags::CREATE, READ)), is_directory);
    }
    assert_eq!(
        refusal(world.root.open_at("file", true, OpenFlags::DIRECTORY, READ)),
        Some(Error::NotDirectory)
    );
    for flags in [OpenFlags::CREATE, OpenFlags::EXCLUSIVE, OpenFlags::TRUNCATE] {
        assert_eq!(
            refusal(world.root.open_at("dir", true, OpenFlags::DIRECTORY | flags, READ)),
            Some(Error::Invalid)
        );
    }
}

pub fn access_is_what_was_asked_for(world: &World) {
    world.write("file", b"bytes");
    let mut buffer = [0; 5];
    let mut file = world.open("file", false, NONE, READ).unwrap();
    assert_eq!(file.access(), READ);
    assert_eq!(file.read(&mut buffer), Ok(5));
    assert_eq!(file.write(b"x"), Err(Error::BadDescriptor));
    assert_eq!(file.pwrite(b"x", 0), Err(Error::BadDescriptor));
    assert_eq!(file.set_size(1), Err(Error::BadDescriptor));
    assert_eq!(file.allocate(0, 1), Err(Error::BadDescriptor));

    let mut file = world.open("file", false, NONE, WRITE).unwrap();
    assert_eq!(file.access(), WRITE);
    assert_eq!(file.read(&mut buffer), Err(Error::BadDescriptor));
    assert_eq!(file.pread(&mut buffer, 0), Err(Error::BadDescriptor));
    assert_eq!(file.write(b"B"), Ok(1));

    let mut file = world.open("file", false, OpenFlags::TRUNCATE, NOTHING).unwrap();
    assert_eq!(file.access(), NOTHING);
    assert_eq!(file.stat().unwrap().size, 0);
    assert_eq!(file.read(&mut buffer), Err(Error::BadDescriptor));
    assert_eq!(file.write(b"x"), Err(Error::BadDescriptor));
}

pub fn truncation(world: &World) {
    world.write("file", b"0123456789");
    let file = world.open("file", false, NONE, BOTH).unwrap();
    file.set_size(4).unwrap();
    assert_eq!(world.read("file"), Ok(b"0123".to_vec()));
    file.set_size(8).unwrap();
    assert_eq!(world.read("file"), Ok(b"0123\0\0\0\0".to_vec()));
    assert_eq!(file.tell(), 0);
    drop(world.open("file", false, OpenFlags::TRUNCATE, READ).unwrap());
    assert_eq!(file.stat().unwrap().size, 0);
    file.set_size(0).unwrap();
    assert_eq!(world.read("file"), Ok(vec![]));
}

pub fn reading_writing_and_positions(world: &World) {
    let mut file = world.open("file", false, OpenFlags::CREATE, BOTH).unwrap();
    assert_eq!(file.tell(), 0);
    assert_eq!(file.write(&[1; 100]), Ok(100));
    assert_eq!(file.tell(), 100);
    assert_eq!(file.seek(SeekFrom::Current(-50)), Ok(50));
    assert_eq!(file.seek(SeekFrom::Start(0)), Ok(0));
    assert_eq!(file.seek(SeekFrom::Current(1000)), Ok(1000));
    let mut buffer = [9; 100];
    assert_eq!(file.read(&mut buffer), Ok(0));
    assert_eq!(file.seek(SeekFrom::Current(-2000)), Err(Error::Invalid));
    assert_eq!(file.seek(SeekFrom::Start(u64::MAX)), Err(Error::Invalid));
    assert_eq!(file.seek(SeekFrom::Start(1 << 63)), Err(Error::Invalid));
    assert_eq!(file.seek(SeekFrom::Current(i64::MIN)), Err(Error::Invalid));
    assert_eq!(file.tell(), 1000);
    assert_eq!(file.seek(SeekFrom::End(-10)), Ok(90));
    assert_eq!(file.read(&mut buffer), Ok(10));
    assert_eq!(file.tell(), 100);
    assert_eq!(buffer[..10], [1; 10]);
    assert_eq!(buffer[10..], [9; 90]);

    assert_eq!(file.pwrite(&[2; 10], 95), Ok(10));
    assert_eq!(file.pread(&mut buffer[..20], 90), Ok(15));
    assert_eq!(buffer[..15], [[1; 5].as_slice(), &[2; 10]].concat());
    assert_eq!(file.tell(), 100);
    assert_eq!(file.pread(&mut buffer, u64::MAX), Err(Error::Invalid));
    assert_eq!(file.pwrite(&buffer, u64::MAX), Err(Error::Invalid));
    assert_eq!(file.pread(&mut buffer, i64::MAX as u64), Ok(0));
    assert_eq!(file.pwrite(b"x", i64::MAX as u64), Err(Error::FileTooLarge));
    assert_eq!(file.pread(&mut [], 0), Ok(0));
    let before = file.stat().unwrap();
    assert_eq!(file.pwrite(&[], 5000), Ok(0));
    assert_eq!(file.write(&[]), Ok(0));
    assert_eq!(file.stat().unwrap().modified, before.modified);
    assert_eq!(file.tell(), 100);
    assert_eq!(file.stat().unwrap().size, 105);
    assert_eq!(file.advise(0, 10), Ok(()));
    assert_eq!(file.advise(u64::MAX, 1), Err(Error::Invalid));
    assert_eq!(file.sync(true), Ok(()));
    assert_eq!(file.sync(false), Ok(()));
    assert_eq!(world.root.sync(), Ok(()));

    // Two descriptors have two positions.
    let mut other = world.open("file", false, NONE, READ).unwrap();
    assert_eq!(other.read(&mut buffer[..1]), Ok(1));
    assert_eq!((other.tell(), file.tell()), (1, 100));
}

pub fn appending(world: &World) {
    let mut file = world.open("file", false, OpenFlags::CREATE, BOTH).unwrap();
    file.write(b"0123").unwrap();
    file.set_append(true);
    assert!(file.append());
    file.seek(SeekFrom::Start(0)).unwrap();
    assert_eq!(file.write(b"45"), Ok(2));
    assert_eq!(file.tell(), 6);
    // Somebody else's bytes are not overwritten.
    let mut other = world.open("file", false, NONE, WRITE).unwrap();
    other.set_append(true);
    assert_eq!(other.write(b"67"), Ok(2));
    assert_eq!(file.write(b"89"), Ok(2));
    assert_eq!(file.tell(), 10);
    assert_eq!(file.pwrite(b"ab", 0), Ok(2));
    assert_eq!(file.tell(), 10);
    file.set_append(false);
    file.seek(SeekFrom::Start(0)).unwrap();
    assert_eq!(file.write(b"X"), Ok(1));
    assert_eq!(world.read("file"), Ok(b"X123456789ab".to_vec()));
}

pub fn holes_read_as_zeros(world: &World) {
    let mut file = world.open("file", false, OpenFlags::CREATE, BOTH).unwrap();
    let far = (1 << 40) + 1234;
    assert_eq!(file.pwrite(b"far", far), Ok(3));
    assert_eq!(file.pwrite(b"near", 4094), Ok(4));
    assert_eq!(file.stat().unwrap().size, far + 3);
    let mut buffer = [7; 10_000];
    assert_eq!(file.read(&mut buffer), Ok(10_000));
    assert!(buffer[..4094].iter().chain(&buffer[4098..]).all(|&byte| byte == 0));
    assert_eq!(&buffer[4094..4098], b"near");
    assert_eq!(file.pread(&mut buffer, far - 6), Ok(9));
    assert_eq!(&buffer[..9], b"\0\0\0\0\0\0far");
    // Cut inside of what was written, and grown again: zeros.
    file.set_size(4096).unwrap();
    file.set_size(4100).unwrap();
    assert_eq!(file.pread(&mut buffer, 4093), Ok(7));
    assert_eq!(&buffer[..7], b"\0ne\0\0\0\0");
}

pub fn allocation_grows_but_never_cuts(world: &World) {
    let file = world.open("file", false, OpenFlags::CREATE, BOTH).unwrap();
    let size = |offset, len| file.allocate(offset, len).map(|()| file.stat().unwrap().size);
    assert_eq!(size(0, 100), Ok(100));
    assert_eq!(size(10, 10), Ok(100));
    assert_eq!(size(90, 20), Ok(110));
    assert_eq!(size(10_000, 1), Ok(10_001));
    assert_eq!(size(0, 0), Err(Error::Invalid));
    assert_eq!(file.pwrite(b"x", 50), Ok(1));
    assert_eq!(size(0, 100), Ok(10_001));
    assert_eq!(world.read("file").unwrap()[48..53], *b"\0\0x\0\0");
}

pub fn symlinks(world: &World) {
    world.symlink("some/where", "link");
    assert_eq!(world.root.readlink_at("link"), Ok("some/where".into()));
    let stat = world.stat("link").unwrap();
    assert_eq!((stat.kind, stat.size, stat.links), (Kind::SymbolicLink, 10, 1));
    assert_eq!(world.root.symlink_at("x", "link"), Err(Error::Exists));
    assert_eq!(world.root.stat_at("link", true), Err(Error::NoEntry));
    assert_eq!(world.root.readlink_at("missing"), Err(Error::NoEntry));
    assert_eq!(world.root.readlink_at("."), Err(Error::Invalid));
    world.write("file", b"");
    assert_eq!(world.root.readlink_at("file"), Err(Error::Invalid));
    assert_eq!(world.root.symlink_at("x", "file"), Err(Error::Exists));
    let long = "t".repeat(4000);
    world.symlink(&long, "long");
    assert_eq!(world.root.readlink_at("long"), Ok(long));
    world.symlink("é/☃", "unicode");
    assert_eq!(world.root.readlink_at("unicode"), Ok("é/☃".into()));
}

pub fn new_names_with_a_trailing_slash(world: &World) {
    world.mkdir("dir");
    world.write("file", b"");
    world.symlink("dir", "link");
    for (path, error) in [
        ("missing/", Error::NoEntry),
        ("dir/", Error::Exists),
        ("file/", Error::Exists),
        ("link/", Error::Exists),
        (".", Error::Exists),
        ("dir/.", Error::Exists),
    ] {
        assert_eq!(world.root.symlink_at("source", path), Err(error), "symlink {path}");
        assert_eq!(world.root.link_at("file", false, &world.root, path), Err(error), "link {path}");
    }
    assert_eq!(names(&world.root), ["dir", "file", "link"]);
}

pub fn hard_links(world: &World) {
    world.write("file", b"bytes");
    world.mkdir("dir");
    let directory = world.directory("dir");
    world.root.link_at("file", false, &directory, "link").unwrap();
    assert_eq!(world.stat("file").unwrap(), world.stat("dir/link").unwrap());
    assert_eq!(world.stat("file").unwrap().links, 2);
    assert_eq!(world.read("dir/link"), Ok(b"bytes".to_vec()));
    world.write("dir/link", b"through the link");
    assert_eq!(world.read("file"), Ok(b"through the link".to_vec()));

    world.symlink("nothing", "dangling");
    for existing in ["file", "dir", "dir/link", "dangling"] {
        assert_eq!(
            world.root.link_at("file", false, &world.root, existing),
            Err(Error::Exists),
            "{existing}"
        );
    }
    for source in ["dir", ".", "dir/"] {
        assert_eq!(
            world.root.link_at(source, false, &world.root, "new"),
            Err(Error::NotPermitted),
            "{source}"
        );
    }
    assert_eq!(world.root.link_at("file/", false, &world.root, "new"), Err(Error::NotDirectory));
    assert_eq!(world.root.link_at("missing", false, &world.root, "new"), Err(Error::NoEntry));
    // The dangling link itself can be linked, what it leads to cannot.
    assert_eq!(world.root.link_at("dangling", true, &world.root, "new"), Err(Error::NoEntry));
    world.root.link_at("dangling", false, &world.root, "new").unwrap();
    assert_eq!(world.stat("new").unwrap(), world.stat("dangling").unwrap());
    assert_eq!(world.root.readlink_at("new"), Ok("nothing".into()));
    world.symlink("file", "to-file");
    world.root.link_at("to-file", true, &world.root, "followed").unwrap();
    assert_eq!(world.stat("followed").unwrap(), world.stat("file").unwrap());
    assert_eq!(world.stat("file").unwrap().links, 3);

    world.root.unlink_file_at("file").unwrap();
    assert_eq!(world.read("dir/link"), Ok(b"through the link".to_vec()));
    assert_eq!(world.stat("dir/link").unwrap().links, 2);
}

pub fn renaming(world: &World) {
    let rename = |old: &str, new: &str| world.root.rename_at(old, &world.root, new);
    let reset = || {
        for (path, directory) in [("d", true), ("e", true), ("full/x", false), ("full", true), ("f", false)] {
            let _ = if directory {
                world.root.remove_directory_at(path)
            } else {
                world.root.unlink_file_at(path)
            };
        }
        for path in ["d", "e", "full"] {
            let _ = world.root.create_directory_at(path);
        }
        world.write("full/x", b"x");
        world.write("f", b"f");
        world.write("g", b"g");
    };
    reset();
    world.symlink("f", "link");

    assert_eq!(rename("d", "e"), Ok(()));
    assert_eq!(world.stat("d"), Err(Error::NoEntry));
    assert_eq!(rename("e", "full"), Err(Error::NotEmpty));
    assert_eq!(rename("e", "f"), Err(Error::NotDirectory));
    assert_eq!(rename("e", "full/x"), Err(Error::NotDirectory));
    assert_eq!(rename("f", "e"), Err(Error::IsDirectory));
    assert_eq!(rename("f", "full"), Err(Error::IsDirectory));
    assert_eq!(rename("f", "g"), Ok(()));
    assert_eq!(world.read("g"), Ok(b"f".to_vec()));
    assert_eq!(rename("f", "g"), Err(Error::NoEntry));
    assert_eq!(rename("missing", "missing"), Err(Error::NoEntry));
    assert_eq!(rename("g", "missing/x"), Err(Error::NoEntry));
    assert_eq!(rename("g", "g"), Ok(()));
    assert_eq!(rename("e", "e"), Ok(()));

    // Two names of one node both stay.
    reset();
    world.root.link_at("f", false, &world.root, "same").unwrap();
    assert_eq!(rename("f", "same"), Ok(()));
    assert_eq!(world.stat("f").unwrap().links, 2);
    world.root.unlink_file_at("same").unwrap();

    // Slashes are fine with directories, and with nothing else.
    for (old, new) in [("d/", "new"), ("new", "d/"), ("d/", "new//"), ("new///", "d"), ("d/", "e/")] {
        assert_eq!(rename(old, new), Ok(()), "{old} {new}");
    }
    for (old, new) in [("f/", "new"), ("f", "new/"), ("f", "e/"), ("link/", "new"), ("link", "new/")] {
        assert_eq!(rename(old, new), Err(Error::NotDirectory), "{old} {new}");
    }
    assert_eq!(rename("missing/", "new"), Err(Error::NoEntry));
    for (old, new) in [(".", "new"), ("e/.", "new"), ("e/..", "new"), ("f", "."), ("e", "full/..")] {
        assert_eq!(rename(old, new), Err(Error::Busy), "{old} {new}");
    }

    // A link is moved and replaced itself.
    assert_eq!(rename("link", "g"), Ok(()));
    assert_eq!(world.root.readlink_at("g"), Ok("f".into()));
    assert_eq!(rename("f", "g"), Ok(()));
    assert_eq!(world.stat("g").unwrap().kind, Kind::File);

    // Across directories.
    let (e, full) = (world.directory("e"), world.directory("full"));
    assert_eq!(full.rename_at("x", &e, "y"), Ok(()));
    assert_eq!((names(&full), names(&e)), (vec![], vec!["y".to_owned()]));
    assert_eq!(world.root.rename_at("full", &e, "sub"), Ok(()));
    assert_eq!(full.stat_at("..", false), Err(Error::NotPermitted));
    assert_eq!(world.stat("e/sub").unwrap(), full.stat().unwrap());
    assert_eq!(world.stat("e/sub/../y").unwrap().kind, Kind::File);
}

pub fn renaming_directories_into_themselves(world: &World) {
    world.mkdir("a");
    world.mkdir("a/b");
    world.mkdir("a/b/c");
    let rename = |old: &str, new: &str| world.root.rename_at(old, &world.root, new);
    assert_eq!(rename("a", "a/x"), Err(Error::Invalid));
    assert_eq!(rename("a", "a/b"), Err(Error::Invalid));
    assert_eq!(rename("a", "a/b/c/x"), Err(Error::Invalid));
    assert_eq!(rename("a/b", "a/b/c"), Err(Error::Invalid));
    assert_eq!(rename("a/b/c", "a"), Err(Error::NotEmpty));
    assert_eq!(rename("a/b", "a"), Err(Error::NotEmpty));
    // Through a descriptor, too.
    let c = world.directory("a/b/c");
    assert_eq!(world.root.rename_at("a", &c, "x"), Err(Error::Invalid));
    assert_eq!(rename("a/b/c", "c"), Ok(()));
    assert_eq!(world.root.rename_at("a", &c, "x"), Ok(()));
    assert_eq!(world.stat("c/x/b").unwrap().kind, Kind::Directory);
    assert_eq!(rename("c", "c/x/b/c"), Err(Error::Invalid));
}

pub fn renaming_keeps_open_files(world: &World) {
    world.write("old", b"old");
    world.write("new", b"new");
    let mut old = world.open("old", false, NONE, READ).unwrap();
    let mut new = world.open("new", false, NONE, READ).unwrap();
    world.root.rename_at("old", &world.root, "new").unwrap();
    assert_eq!(read_all(&mut old), Ok(b"old".to_vec()));
    assert_eq!(read_all(&mut new), Ok(b"new".to_vec()));
    assert_eq!(new.stat().unwrap().links, 0);
    assert_eq!(old.stat().unwrap().inode, world.stat("new").unwrap().inode);
}

pub fn removing(world: &World) {
    world.mkdir("dir");
    world.mkdir("full");
    world.write("full/x", b"");
    world.write("file", b"");
    world.symlink("dir", "link");
    let (unlink, rmdir) =
        (|path: &str| world.root.unlink_file_at(path), |path: &str| world.root.remove_directory_at(path));
    for (path, error) in [
        ("missing", Error::NoEntry),
        ("missing/", Error::NoEntry),
        ("dir", Error::IsDirectory),
        ("dir/", Error::IsDirectory),
        (".", Error::IsDirectory),
        ("dir/.", Error::IsDirectory),
        ("file/", Error::NotDirectory),
        ("link/", Error::NotDirectory),
    ] {
        assert_eq!(unlink(path), Err(error), "unlink {path}");
    }
    for (path, error) in [
        ("missing", Error::NoEntry),
        ("missing/", Error::NoEntry),
        ("full", Error::NotEmpty),
        ("full/", Error::NotEmpty),
        ("file", Error::NotDirectory),
        ("file/", Error::NotDirectory),
        ("link", Error::NotDirectory),
        ("link/", Error::NotDirectory),
        (".", Error::Invalid),
        ("dir/.", Error::Invalid),
        ("dir/..", Error::Invalid),
    ] {
        assert_eq!(rmdir(path), Err(error), "rmdir {path}");
    }
    assert_eq!(rmdir("dir/"), Ok(()));
    assert_eq!(unlink("link"), Ok(()));
    assert_eq!(unlink("full/x"), Ok(()));
    assert_eq!(rmdir("full"), Ok(()));
    assert_eq!(unlink("file"), Ok(()));
    assert_eq!(names(&world.root), [""; 0]);
}

pub fn unlinked_files_stay_usable(world: &World) {
    let mut file = world.open("file", false, OpenFlags::CREATE, BOTH).unwrap();
    file.write(b"bytes").unwrap();
    world.root.unlink_file_at("file").unwrap();
    assert_eq!(world.stat("file"), Err(Error::NoEntry));
    assert_eq!(file.write(b" and more"), Ok(9));
    file.seek(SeekFrom::Start(0)).unwrap();
    assert_eq!(read_all(&mut file), Ok(b"bytes and more".to_vec()));
    let stat = file.stat().unwrap();
    assert_eq!((stat.links, stat.size), (0, 14));
    file.set_size(42).unwrap();
    assert_eq!(file.stat().unwrap().size, 42);
    if world.by_name {
        assert_eq!(file.set_times(SetTime::To(1), SetTime::To(2)), Err(Error::NotSupported));
    } else {
        file.set_times(SetTime::To(1), SetTime::To(2)).unwrap();
        assert_eq!(file.stat().unwrap().modified, 2);
    }
    // A new file of that name is another.
    world.write("file", b"");
    assert_ne!(world.stat("file").unwrap().inode, stat.inode);
}

pub fn removed_directories_stay_usable(world: &World) {
    world.mkdir("dir");
    let directory = world.directory("dir");
    world.root.remove_directory_at("dir").unwrap();
    assert_eq!(directory.create_directory_at("x"), Err(Error::NoEntry));
    assert_eq!(refusal(directory.open_at("x", false, OpenFlags::CREATE, WRITE)), Some(Error::NoEntry));
    assert_eq!(world.root.rename_at("dir", &world.root, "x"), Err(Error::NoEntry));
    world.write("file", b"");
    assert_eq!(world.root.rename_at("file", &directory, "x"), Err(Error::NoEntry));
    if world.by_name {
        assert_eq!(directory.stat(), Err(Error::NoEntry));
        return;
    }
    assert_eq!(directory.stat().unwrap().kind, Kind::Directory);
    assert_eq!(names(&directory), [""; 0]);
    world.mkdir("dir");
    assert_eq!(directory.create_directory_at("x"), Err(Error::NoEntry));
}

pub fn listing(world: &World) {
    let entries = list(&world.root, 0);
    let inode = world.root.stat().unwrap().inode;
    assert_eq!(entries.iter().map(|entry| entry.0.as_str()).collect::<Vec<_>>(), [".", ".."]);
    assert!(entries.iter().all(|entry| entry.1 == inode && entry.2 == Kind::Directory));
    world.write("file", b"");
    world.mkdir("dir");
    world.symlink("x", "link");
    for (name, inode, kind, _) in list(&world.root, 0).into_iter().skip(2) {
        let stat = world.stat(&name).unwrap();
        assert_eq!((inode, kind), (stat.inode, stat.kind), "{name}");
    }
    assert_eq!(names(&world.root), ["dir", "file", "link"]);
}

pub fn listing_can_be_resumed_anywhere(world: &World) {
    for n in 0..500 {
        world.write(&format!("file{n}"), b"");
    }
    let all = list(&world.root, 0);
    assert_eq!(all.len(), 502);
    for at in [0, 1, 2, 3, 63, 64, 65, 66, 250, 499, 500, 501] {
        assert_eq!(list(&world.root, all[at].3), all[at + 1..], "after entry {at}");
    }
    // One entry at a time, as a guest with a small buffer does.
    let mut cookie = 0;
    let mut seen = Vec::new();
    loop {
        let mut last = None;
        world
            .root
            .read_directory(cookie, &mut |entry| {
                last = Some((entry.name.to_owned(), entry.next));
                ControlFlow::Break(())
            })
            .unwrap();
        let Some((name, next)) = last else { break };
        seen.push(name);
        cookie = next;
    }
    assert_eq!(seen, all.iter().map(|entry| entry.0.clone()).collect::<Vec<_>>());
    assert_eq!(list(&world.root, 0), all);
}

pub fn listing_while_entries_come_and_go(world: &World) {
    // `rm -r` as most programs do it: list some, remove them, go on.
    for n in 0..1000 {
        world.write(&format!("file{n}"), b"");
    }
    let mut cookie = 0;
    loop {
        let mut batch = Vec::new();
        world
            .root
            .read_directory(cookie, &mut |entry| {
                batch.push(entry.name.to_owned());
                cookie = entry.next;
                if batch.len() == 7 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .unwrap();
        if batch.is_empty() {
            break;
        }
        for name in batch.iter().filter(|name| !name.starts_with('.')) {
            world.root.unlink_file_at(name).unwrap();
        }
    }
    assert_eq!(names(&world.root), [""; 0]);
}

pub fn times(world: &World) {
    world.write("file", b"");
    world.symlink("file", "link");
    world.mkdir("dir");
    for path in ["file", "dir"] {
        world
            .root
            .set_times_at(path, false, SetTime::To(42_000_000_001), SetTime::To(69_123_456_789))
            .unwrap();
        let stat = world.stat(path).unwrap();
        assert_eq!((stat.accessed, stat.modified), (42_000_000_001, 69_123_456_789), "{path}");
        world.root.set_times_at(path, false, SetTime::Keep, SetTime::To(7)).unwrap();
        let stat = world.stat(path).unwrap();
        assert_eq!((stat.accessed, stat.modified), (42_000_000_001, 7), "{path}");
        world.root.set_times_at(path, false, SetTime::Now, SetTime::Keep).unwrap();
        let stat = world.stat(path).unwrap();
        assert!(stat.accessed > 1_700_000_000_000_000_000 && stat.modified == 7, "{path}");
        world.root.set_times_at(path, false, SetTime::Keep, SetTime::Keep).unwrap();
        assert_eq!(world.stat(path).unwrap().modified, 7);
    }
    // Of the link itself, and of what it leads to.
    let file = world.stat("file").unwrap();
    world.root.set_times_at("link", false, SetTime::To(1), SetTime::To(2)).unwrap();
    let link = world.stat("link").unwrap();
    assert_eq!((link.accessed, link.modified), (1, 2));
    assert_eq!(world.stat("file").unwrap(), file);
    world.root.set_times_at("link", true, SetTime::To(3), SetTime::To(4)).unwrap();
    assert_eq!(world.stat("file").unwrap().modified, 4);
    assert_eq!(world.stat("link").unwrap().modified, 2);

    // Through descriptors, also one that is open for nothing.
    let open = world.open("file", false, NONE, NOTHING).unwrap();
    open.set_times(SetTime::To(5), SetTime::To(6)).unwrap();
    assert_eq!((open.stat().unwrap().accessed, open.stat().unwrap().modified), (5, 6));
    world.root.set_times(SetTime::To(5), SetTime::To(6)).unwrap();
    assert_eq!(world.root.stat().unwrap().modified, 6);

    // Writing and making entries changes times.
    world.write("file", b"new");
    assert!(world.stat("file").unwrap().modified > 1_700_000_000_000_000_000);
    world.write("other", b"");
    assert!(world.root.stat().unwrap().modified > 1_700_000_000_000_000_000);
}

pub fn a_read_only_directory_refuses_every_change(world: &World) {
    world.write("file", b"bytes");
    world.mkdir("dir");
    let ro = &world.read_only;
    let refused = Some(Error::NotPermitted);
    for (flags, access) in
        [(NONE, WRITE), (NONE, BOTH), (OpenFlags::CREATE, READ), (OpenFlags::TRUNCATE, READ)]
    {
        assert_eq!(refusal(ro.open_at("file", true, flags, access)), refused, "{flags:?} {access:?}");
    }
    assert_eq!(refusal(ro.create_directory_at("new")), refused);
    assert_eq!(refusal(ro.remove_directory_at("dir")), refused);
    assert_eq!(refusal(ro.unlink_file_at("file")), refused);
    assert_eq!(refusal(ro.symlink_at("x", "new")), refused);
    assert_eq!(refusal(ro.set_times_at("file", true, SetTime::Now, SetTime::Now)), refused);
    assert_eq!(refusal(ro.set_times(SetTime::Now, SetTime::Now)), refused);
    for (from, to) in [(ro, &world.root), (&world.root, ro), (ro, ro)] {
        assert_eq!(refusal(from.rename_at("file", to, "new")), refused);
        assert_eq!(refusal(from.link_at("file", false, to, "new")), refused);
    }
    // What is opened through it is read-only, too.
    let Ok(Descriptor::Directory(below)) = ro.open_at("dir", true, NONE, READ) else { panic!() };
    assert_eq!(below.permissions(), Permissions::ReadOnly);
    assert_eq!(refusal(below.create_directory_at("new")), refused);
    let mut file = file(ro.open_at("file", true, NONE, READ).unwrap()).unwrap();
    assert_eq!(refusal(file.set_times(SetTime::Now, SetTime::Now)), refused);
    assert_eq!(file.set_size(0), Err(Error::BadDescriptor));
    assert_eq!(read_all(&mut file), Ok(b"bytes".to_vec()));
    assert_eq!(names(ro), ["dir", "file"]);
}
