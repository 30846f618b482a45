//! No path and no link leads out of a directory, however it is put.

use super::*;

pub fn links_out_of_the_directory_are_refused_everywhere(world: &World) {
    world.write("file", b"");
    world.mkdir("dir");
    world.symlink("..", "parent");
    world.symlink("../", "parent-slash");
    world.symlink("dir/../..", "parent-through-dir");
    world.symlink("../..", "dir/grandparent");
    world.symlink("parent", "parent-again");
    world.symlink("dir/grandparent", "grandparent-again");
    world.symlink("./dir/.././../../etc/passwd", "passwd");
    let links = [
        "parent",
        "parent-slash",
        "parent-through-dir",
        "dir/grandparent",
        "parent-again",
        "grandparent-again",
        "passwd",
    ];
    for link in links {
        assert_eq!(
            refusal(world.root.open_at(link, true, NONE, READ)),
            Some(Error::NotPermitted),
            "open {link}"
        );
        assert_eq!(world.root.stat_at(link, true), Err(Error::NotPermitted), "stat {link}");
        let keep = wasi::filesystem::SetTime::Keep;
        assert_eq!(world.root.set_times_at(link, true, keep, keep), Err(Error::NotPermitted), "times {link}");
        assert_eq!(
            world.root.link_at(link, true, &world.root, "new"),
            Err(Error::NotPermitted),
            "link {link}"
        );
        // A slash follows it, whatever the flag says.
        assert_eq!(world.stat(&format!("{link}/")), Err(Error::NotPermitted), "stat {link}/");
        assert_eq!(
            world.root.remove_directory_at(&format!("{link}/")),
            Err(Error::NotPermitted),
            "rmdir {link}/"
        );
        assert_eq!(
            world.root.unlink_file_at(&format!("{link}/")),
            Err(Error::NotPermitted),
            "unlink {link}/"
        );
        for below in [format!("{link}/x"), format!("{link}/./x"), format!("dir/../{link}/..")] {
            let refused = Some(Error::NotPermitted);
            assert_eq!(refusal(world.open(&below, false, OpenFlags::CREATE, WRITE)), refused, "open {below}");
            assert_eq!(refusal(world.stat(&below)), refused, "stat {below}");
            assert_eq!(refusal(world.root.create_directory_at(&below)), refused, "mkdir {below}");
            assert_eq!(refusal(world.root.remove_directory_at(&below)), refused, "rmdir {below}");
            assert_eq!(refusal(world.root.unlink_file_at(&below)), refused, "unlink {below}");
            assert_eq!(refusal(world.root.symlink_at("file", &below)), refused, "symlink {below}");
            assert_eq!(refusal(world.root.readlink_at(&below)), refused, "readlink {below}");
            assert_eq!(
                refusal(world.root.link_at("file", false, &world.root, &below)),
                refused,
                "link {below}"
            );
            assert_eq!(refusal(world.root.rename_at("file", &world.root, &below)), refused, "rename {below}");
            assert_eq!(refusal(world.root.rename_at(&below, &world.root, "new")), refused, "rename {below}");
        }
        // The link itself is the guest's: it can be looked at and removed.
        assert_eq!(world.stat(link).unwrap().kind, Kind::SymbolicLink);
        assert!(world.root.readlink_at(link).is_ok());
    }
    for link in links {
        world.root.unlink_file_at(link).unwrap();
    }
    assert_eq!(names(&world.root), ["dir", "file"]);
}

pub fn a_link_may_go_up_inside(world: &World) {
    world.mkdir("a");
    world.mkdir("a/b");
    world.write("file", b"top");
    world.symlink("../../file", "a/b/up");
    world.symlink("a/b", "down");
    assert_eq!(world.read("a/b/up"), Ok(b"top".to_vec()));
    assert_eq!(world.read("down/up"), Ok(b"top".to_vec()));
    assert_eq!(world.read("down/../b/up"), Ok(b"top".to_vec()));
}

pub fn absolute_targets_are_refused(world: &World) {
    for target in ["/", "/etc/passwd", "//x"] {
        assert_eq!(world.root.symlink_at(target, "link"), Err(Error::NotPermitted));
    }
    assert_eq!(names(&world.root), [""; 0]);
}

pub fn dot_dot_after_a_link_is_the_targets_parent(world: &World) {
    world.mkdir("a");
    world.mkdir("a/b");
    world.write("a/file", b"in a");
    world.write("file", b"at the top");
    world.symlink("a/b", "link");
    assert_eq!(world.read("link/../file"), Ok(b"in a".to_vec()));
    assert_eq!(world.read("link/../../file"), Ok(b"at the top".to_vec()));
    assert_eq!(world.stat("link/../../.."), Err(Error::NotPermitted));
}

pub fn a_moved_directory_leads_nobody_out(world: &World) {
    // What was opened in a directory stays inside of itself, wherever it is moved.
    world.mkdir("outer");
    world.mkdir("outer/inner");
    world.write("secret", b"");
    let inner = world.directory("outer/inner");
    world.root.rename_at("outer/inner", &world.root, "inner").unwrap();
    assert_eq!(inner.stat_at("../secret", true), Err(Error::NotPermitted));
    assert_eq!(inner.stat_at("..", true), Err(Error::NotPermitted));
}

pub fn a_subdirectory_is_a_sandbox_of_its_own(world: &World) {
    world.mkdir("dir");
    world.write("file", b"");
    world.symlink("../file", "dir/link");
    let directory = world.directory("dir");
    assert_eq!(directory.stat_at("link", true), Err(Error::NotPermitted));
    assert_eq!(world.root.stat_at("dir/link", true).unwrap().kind, Kind::File);
    // From one directory to the other, both given, is fine.
    world.root.rename_at("file", &directory, "moved").unwrap();
    assert_eq!(names(&directory), ["link", "moved"]);
}

pub fn forty_links_are_followed_and_no_more(world: &World) {
    world.write("l0", b"end");
    for n in 1..=41 {
        world.symlink(&format!("l{}", n - 1), &format!("l{n}"));
    }
    assert_eq!(world.read("l40"), Ok(b"end".to_vec()));
    assert_eq!(world.read("l41"), Err(Error::Loop));
    world.symlink("self", "self");
    world.symlink("pong", "ping");
    world.symlink("ping", "pong");
    for path in ["self", "ping", "self/x", "self/", "ping/.."] {
        assert_eq!(world.root.stat_at(path, true), Err(Error::Loop), "{path}");
        assert_eq!(refusal(world.open(path, true, OpenFlags::CREATE, WRITE)), Some(Error::Loop), "{path}");
    }
    assert_eq!(refusal(world.open("self", false, NONE, READ)), Some(Error::Loop));
}

pub fn link_expansion_is_bounded(world: &World) {
    // Each link doubles the path: 2^30 components, were it not for the limits.
    world.write("x0", b"");
    world.mkdir("d");
    world.symlink("d", "b0");
    for n in 1..=30 {
        let below = format!("b{}", n - 1);
        world.symlink(&format!("{below}/../{below}"), &format!("b{n}"));
    }
    assert!(matches!(world.root.stat_at("b30", true), Err(Error::Loop | Error::NameTooLong)));
    world.symlink(&"./".repeat(1500), "long");
    assert_eq!(world.root.stat_at("long", true).unwrap().kind, Kind::Directory);
    assert_eq!(world.root.stat_at("long/long", true), Err(Error::NameTooLong));
}
