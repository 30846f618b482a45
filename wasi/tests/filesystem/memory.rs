//! What is particular to the file system in memory: its quota, its size, and how an embedder fills and reads it.

use super::*;
use std::time::{Duration, Instant};
use wasi::filesystem::{Node, SetTime};

fn with_quota(quota: u64) -> (MemoryFileSystem, World) {
    let memory = MemoryFileSystem::new(TestClock::new(), quota, 7).unwrap();
    let open = |permissions| Directory::new(memory.root(), permissions).unwrap();
    let world = World {
        root: open(Permissions::ReadWrite),
        read_only: open(Permissions::ReadOnly),
        by_name: false,
        _keep: Box::new(()),
    };
    (memory, world)
}

#[test]
fn sizes_beyond_what_a_file_can_be() {
    let world = in_memory();
    let mut file = world.open("file", false, OpenFlags::CREATE, BOTH).unwrap();
    for size in [1 << 62, i64::MAX as u64 - 1, u64::MAX] {
        assert_eq!(file.set_size(size), Err(Error::FileTooLarge));
        assert!(matches!(file.allocate(size, 10), Err(Error::FileTooLarge | Error::Invalid)));
        assert!(matches!(file.pwrite(b"x", size), Err(Error::FileTooLarge | Error::Invalid)));
    }
    assert_eq!(file.allocate(1, u64::MAX), Err(Error::FileTooLarge));
    file.seek(wasi::filesystem::SeekFrom::Start(1 << 62)).unwrap();
    assert_eq!(file.write(b"x"), Err(Error::FileTooLarge));
    assert_eq!(file.read(&mut [0; 10]), Ok(0));
    assert_eq!(file.stat().unwrap().size, 0);
    // The last bytes that there may be.
    assert_eq!(file.pwrite(b"abc", (1 << 44) - 2), Ok(2));
    assert_eq!(file.stat().unwrap().size, 1 << 44);
}

#[test]
fn writing_ends_at_the_quota() {
    let (memory, world) = with_quota(1 << 20);
    let mut file = world.open("file", false, OpenFlags::CREATE, BOTH).unwrap();
    let mut written = 0;
    let error = loop {
        match file.write(&[1; 10_000]) {
            Ok(count) => written += count,
            Err(error) => break error,
        }
    };
    assert_eq!(error, Error::NoSpace);
    assert!(written > 1_000_000 && written < 1 << 20, "{written}");
    assert_eq!(file.stat().unwrap().size, written as u64);
    // What is stored can be written again, what is not there cannot.
    assert_eq!(file.pwrite(&[2; 10_000], 0), Ok(10_000));
    assert_eq!(file.append_one(), Err(Error::NoSpace));
    assert_eq!(file.allocate(0, 1 << 30), Err(Error::NoSpace));
    // Holes are free, up to any size.
    file.set_size(1 << 40).unwrap();
    // Cutting gives the space back, and so does removing: once nobody has it open.
    file.set_size(5000).unwrap();
    assert_eq!(file.allocate(0, 500_000), Ok(()));
    world.root.unlink_file_at("file").unwrap();
    let open = memory.usage().0;
    drop(file);
    assert!(memory.usage().0 < open - 500_000);
}

trait AppendOne {
    fn append_one(&mut self) -> Result<usize>;
}

impl AppendOne for OpenFile {
    /// Writes a page at the end: there is no room for it in the last one.
    fn append_one(&mut self) -> Result<usize> {
        let end = self.stat()?.size.next_multiple_of(4096);
        self.pwrite(&[1], end)
    }
}

#[test]
fn empty_files_and_names_count() {
    let (memory, world) = with_quota(1 << 20);
    let empty = memory.usage().0;
    let mut made = 0;
    let error = loop {
        let path = format!("file{made}");
        match made % 4 {
            0 => match world.open(&path, false, OpenFlags::CREATE, WRITE) {
                Ok(_) => {}
                Err(error) => break error,
            },
            1 => match world.root.create_directory_at(&path) {
                Ok(()) => {}
                Err(error) => break error,
            },
            2 => match world.root.symlink_at(&"x".repeat(1000), &path) {
                Ok(()) => {}
                Err(error) => break error,
            },
            _ => match world.root.link_at("file0", false, &world.root, &path) {
                Ok(()) => {}
                Err(error) => break error,
            },
        }
        made += 1;
    };
    assert_eq!(error, Error::NoSpace);
    assert!((1000..4000).contains(&made), "{made}");
    for n in 0..made {
        let path = format!("file{n}");
        match n % 4 {
            1 => world.root.remove_directory_at(&path).unwrap(),
            _ => world.root.unlink_file_at(&path).unwrap(),
        }
    }
    assert_eq!(memory.usage().0, empty);
}

#[test]
fn every_operation_gives_back_what_it_took() {
    let (memory, world) = with_quota(1 << 30);
    let empty = memory.usage().0;
    model::random_operations_agree_with_a_model(&world);
    assert!(memory.usage().0 > empty);
    // Remove all, deepest first.
    let mut paths = Vec::new();
    memory
        .walk(&mut |path, stat| {
            paths.push((path.to_owned(), stat.kind));
            ControlFlow::Continue(())
        })
        .unwrap();
    paths.sort_by_key(|(path, _)| std::cmp::Reverse(path.matches('/').count()));
    for (path, kind) in paths {
        match kind {
            Kind::Directory => world.root.remove_directory_at(&path).unwrap(),
            _ => world.root.unlink_file_at(&path).unwrap(),
        }
    }
    assert_eq!(memory.usage().0, empty);
}

#[test]
fn a_hundred_thousand_entries() {
    const COUNT: usize = 100_000;
    let world = in_memory();
    let start = Instant::now();
    for n in 0..COUNT {
        world.open(&format!("file{n}"), false, OpenFlags::CREATE, WRITE).unwrap();
    }
    for n in 0..COUNT {
        world.stat(&format!("file{n}")).unwrap();
    }
    // As a guest lists: some at a time.
    let (mut cookie, mut seen) = (0, 0);
    loop {
        let mut batch = 0;
        world
            .root
            .read_directory(cookie, &mut |entry| {
                cookie = entry.next;
                batch += 1;
                if batch == 50 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .unwrap();
        seen += batch;
        if batch == 0 {
            break;
        }
    }
    assert_eq!(seen, COUNT + 2);
    for n in 0..COUNT {
        world.root.unlink_file_at(&format!("file{n}")).unwrap();
    }
    assert_eq!(names(&world.root), [""; 0]);
    // Under three seconds unoptimised, on a busy machine. Anything quadratic takes minutes.
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

#[test]
fn a_very_deep_tree_is_dropped_without_recursion() {
    let (memory, world) = with_quota(1 << 30);
    let mut directory = world.root.clone();
    for _ in 0..200_000 {
        directory.create_directory_at("d").unwrap();
        let Ok(Descriptor::Directory(next)) = directory.open_at("d", false, NONE, READ) else { panic!() };
        directory = next;
    }
    // A rename looks for a cycle upwards, iteratively.
    world.mkdir("x");
    assert_eq!(world.root.rename_at("d", &directory, "x"), Err(Error::Invalid));
    world.root.rename_at("x", &directory, "x").unwrap();
    drop((memory, world));
    assert_eq!(directory.stat().unwrap().links, 3);
    drop(directory);
}

#[test]
fn an_embedder_fills_and_reads_it() {
    let (memory, world) = with_quota(1 << 20);
    static PROGRAM: &[u8] = &[7; 100_000];
    let before = memory.usage().0;
    memory.write_file("bin/program", PROGRAM).unwrap();
    memory.write_file("etc/greeting", b"hello".to_vec()).unwrap();
    let shared: Arc<[u8]> = Arc::from(&b"shared"[..]);
    let node = memory.write_file("/etc/shared/", shared).unwrap();
    node.set_times(SetTime::To(1), SetTime::To(2)).unwrap();
    memory.create_directory("tmp/a/b").unwrap();
    memory.create_symbolic_link("etc/link", "greeting").unwrap();
    // The content is not copied.
    assert!(memory.usage().0 - before < 50_000);

    assert_eq!(world.read("bin/program"), Ok(PROGRAM.to_vec()));
    assert_eq!(world.read("etc/link"), Ok(b"hello".to_vec()));
    assert_eq!(world.stat("etc/shared").unwrap().modified, 2);
    assert_eq!(memory.read_file("etc/link"), Ok(b"hello".to_vec()));
    assert_eq!(memory.read_file("etc"), Err(Error::IsDirectory));
    assert_eq!(memory.read_file("etc/missing"), Err(Error::NoEntry));

    // What is written over it is copied by pages.
    let file = world.open("bin/program", false, NONE, BOTH).unwrap();
    file.pwrite(b"patched", 50_000).unwrap();
    let mut expected = PROGRAM.to_vec();
    expected[50_000..50_007].copy_from_slice(b"patched");
    assert_eq!(memory.read_file("bin/program"), Ok(expected.clone()));
    file.set_size(60_001).unwrap();
    file.set_size(100_000).unwrap();
    expected[60_001..].fill(0);
    assert_eq!(memory.read_file("bin/program"), Ok(expected.clone()));
    file.pwrite(b"x", 70_000).unwrap();
    expected[70_000] = b'x';
    assert_eq!(memory.read_file("bin/program"), Ok(expected));
    assert!(PROGRAM.iter().all(|&byte| byte == 7));

    memory.write_file("etc/greeting", b"replaced").unwrap();
    assert_eq!(world.read("etc/greeting"), Ok(b"replaced".to_vec()));
    for (path, error) in [
        ("", Error::Invalid),
        ("a/../b", Error::Invalid),
        ("etc/greeting/x", Error::NotDirectory),
        ("etc/link/x", Error::NotDirectory),
        ("etc", Error::IsDirectory),
    ] {
        assert_eq!(refusal(memory.write_file(path, b"")), Some(error), "{path}");
    }
    let mut paths = Vec::new();
    memory
        .walk(&mut |path, stat| {
            paths.push((path.to_owned(), stat.kind));
            ControlFlow::Continue(())
        })
        .unwrap();
    paths.sort_by(|a, b| a.0.cmp(&b.0));
    let expected = [
        ("bin", Kind::Directory),
        ("bin/program", Kind::File),
        ("etc", Kind::Directory),
        ("etc/greeting", Kind::File),
        ("etc/link", Kind::SymbolicLink),
        ("etc/shared", Kind::File),
        ("tmp", Kind::Directory),
        ("tmp/a", Kind::Directory),
        ("tmp/a/b", Kind::Directory),
    ];
    assert_eq!(paths, expected.map(|(path, kind)| (path.to_owned(), kind)));
}

#[test]
fn two_file_systems_are_two_devices() {
    let (one, two) = (in_memory(), in_memory());
    one.write("file", b"");
    assert_eq!(one.root.rename_at("file", &two.root, "file"), Err(Error::CrossDevice));
    assert_eq!(one.root.link_at("file", false, &two.root, "file"), Err(Error::CrossDevice));
    assert_eq!(one.stat("file").unwrap().device, 7);
}

#[test]
fn absolute_links_of_the_embedder_lead_nowhere() {
    let (memory, world) = with_quota(1 << 20);
    memory.write_file("target", b"").unwrap();
    memory.create_symbolic_link("link", "/target").unwrap();
    assert_eq!(world.root.stat_at("link", true), Err(Error::NotPermitted));
    assert_eq!(world.root.readlink_at("link"), Err(Error::NotPermitted));
    assert_eq!(world.stat("link").unwrap().kind, Kind::SymbolicLink);
}

#[test]
fn threads_do_not_deadlock() {
    let (memory, _) = with_quota(1 << 30);
    memory.create_directory("a/b").unwrap();
    memory.create_directory("c/d").unwrap();
    std::thread::scope(|scope| {
        for seed in 0..4 {
            let root: Arc<dyn Node> = memory.root();
            scope.spawn(move || {
                let root = Directory::new(root, Permissions::ReadWrite).unwrap();
                for n in 0..5_000 {
                    let (old, new) =
                        [("a/b", "c/b"), ("c/b", "a/b"), ("c/d", "a/b/d"), ("a/b/d", "c/d")][(n + seed) % 4];
                    // Whether it is there is up to the others.
                    let _ = root.rename_at(old, &root, new);
                    let _ = root.open_at("a/b/file", false, OpenFlags::CREATE, WRITE);
                    let _ = root.unlink_file_at("a/b/file");
                    let _ = root.stat_at("a/b/d", true);
                }
            });
        }
    });
    // Nothing was lost, and nothing is there twice.
    let mut found = Vec::new();
    memory
        .walk(&mut |path, _| {
            found.push(path.rsplit('/').next().unwrap().to_owned());
            ControlFlow::Continue(())
        })
        .unwrap();
    found.retain(|name| name != "file");
    found.sort();
    assert_eq!(found, ["a", "b", "c", "d"]);
}
