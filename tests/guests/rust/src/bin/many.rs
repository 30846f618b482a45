//! The same thing hundreds of times: nothing is used up by it.
use guests::*;

fn main() {
    create("file", "");
    for flags in [0, FDFLAGS_NONBLOCK] {
        for i in 0..300 {
            let fd = must(open("file", 0, READ_WRITE, flags));
            assert_eq!(must(write(fd, &[i as u8])), 1);
            close(fd);
        }
    }
    println!("opened and closed, size {}", must(stat("file", 0)).size);

    // A descriptor that is renumbered over is closed.
    let mut last = must(open("file", 0, READ_WRITE, 0));
    for _ in 0..200 {
        let next = must(open("file", 0, READ_WRITE, 0));
        // SAFETY: both are numbers of descriptors that std does not own.
        must(unsafe { fd_renumber(next, last) });
        last = must(open("file", 0, READ_WRITE, 0));
        assert_eq!(last, next, "the lowest free number");
        // SAFETY: as above.
        must(unsafe { fd_renumber(last, next) });
        last = next - 1;
        close(next);
    }
    println!("renumbered");
    close(last);

    // Many at once, each with its own position.
    let fds: Vec<_> = (0..100).map(|_| must(open("file", 0, RIGHTS_FD_READ, 0))).collect();
    for &fd in &fds {
        assert_eq!(must(read(fd, &mut [1; 2])), 1);
        close(fd);
    }
    println!("a hundred at once");
    unlink("file");

    // A name that is given away while it is open, and taken again.
    for i in 0..20 {
        let fd = must(open("file", OFLAGS_CREAT | OFLAGS_EXCL, READ_WRITE, 0));
        must(write(fd, b"old"));
        unlink("file");
        create("file", "new one");
        // SAFETY: a descriptor is a number.
        let (old, new) = (must(unsafe { fd_filestat_get(fd) }), must(stat("file", 0)));
        assert_eq!((old.size, new.size, old.nlink, new.nlink), (3, 7, 0, 1), "{i}");
        assert_ne!(old.ino, new.ino);
        close(fd);
        unlink("file");
    }
    mkdir("dir");
    let dir = must(open_at(ROOT, "dir", 0, OFLAGS_DIRECTORY, RIGHTS_PATH_OPEN, 0));
    rmdir("dir");
    mkdir("dir");
    // Whether the old descriptor leads to it now is the file system's: QEMU's 9p finds a directory by its name.
    println!("a directory made again: {}", must(stat("dir", 0)).filetype.name());
    close(dir);
    rmdir("dir");

    let clock = SubscriptionClock { id: CLOCKID_MONOTONIC, timeout: 0, precision: 0, flags: 0 };
    let clock = Subscription {
        userdata: 1,
        u: SubscriptionU { tag: EVENTTYPE_CLOCK.raw(), u: SubscriptionUU { clock } },
    };
    for subscriptions in [vec![clock], vec![clock, clock]] {
        let mut events = Vec::<Event>::with_capacity(2);
        for _ in 0..300 {
            // SAFETY: there is room for as many events as subscriptions.
            let happened =
                unsafe { poll_oneoff(subscriptions.as_ptr(), events.as_mut_ptr(), subscriptions.len()) };
            assert_eq!(must(happened), subscriptions.len());
        }
    }
    println!("slept");
}
