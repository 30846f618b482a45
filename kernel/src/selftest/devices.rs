//! Entropy and the virtio devices that the test's machine has: an entropy device, a 9p share with a file `greeting`, and a
//! console with the four ports.

use super::{machine, selftest};
use crate::entropy::MachineEntropy;
use crate::executor;
use crate::virtio::{p9::P9, rng::Rng};
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::future::poll_fn;
use manifest::Status;
use virtio_drivers::transport::DeviceType;
use wasi::filesystem::{Access, Descriptor, Directory, OpenFlags, Permissions, p9};
use wasi::random::Entropy;

selftest! { the_processor_gives_random_bytes_or_an_error the_entropy_device_gives_random_bytes the_hosts_directory_is_there
the_console_carries_bytes }

/// Whether the bits look like coins: for so many bytes, half of them set, far within what chance allows.
fn looks_random(bytes: &[u8]) -> bool {
    let ones: u32 = bytes.iter().map(|byte| byte.count_ones()).sum();
    let bits = bytes.len() as u32 * 8;
    ones.abs_diff(bits / 2) < bits / 50
}

fn the_processor_gives_random_bytes_or_an_error() {
    let entropy = MachineEntropy::new(Vec::new());
    let mut bytes = vec![0; 100_000];
    let result = entropy.fill(&mut bytes);
    if machine().option("entropy") == Some("none") {
        assert_eq!(result, Err(wasi::Error::NoDevice));
        assert!(bytes.iter().all(|&byte| byte == 0), "no bytes at all");
        return;
    }
    assert_eq!(result, Ok(()));
    assert!(looks_random(&bytes));
    let mut more = vec![0; 100_000];
    assert_eq!(entropy.fill(&mut more), Ok(()));
    assert!(looks_random(&more));
    assert!(bytes.chunks(16).zip(more.chunks(16)).all(|(a, b)| a != b));
    let mut others = vec![0; 100_000];
    assert_eq!(MachineEntropy::new(Vec::new()).fill(&mut others), Ok(()));
    assert!(bytes.chunks(16).zip(others.chunks(16)).all(|(a, b)| a != b), "another seed");
}

fn the_entropy_device_gives_random_bytes() {
    let devices = machine().devices.lock().take(DeviceType::EntropySource);
    if machine().option("entropy") == Some("none") {
        assert!(devices.is_empty());
        return;
    }
    let mut random = Rng::new(devices.into_iter().next().expect("an entropy device"));
    let mut bytes = vec![0; 4_096];
    random.fill(&mut bytes).expect("it gives bytes");
    assert!(bytes.chunks(64).collect::<alloc::collections::BTreeSet<_>>().len() == 64);
    assert!(bytes.iter().map(|byte| byte.count_ones()).sum::<u32>().abs_diff(4_096 * 4) < 2_000);
}

fn the_hosts_directory_is_there() {
    let device = machine().devices.lock().take(DeviceType::_9P).into_iter().next().expect("a 9p device");
    let share = P9::new(device).expect("it starts");
    assert_eq!(share.tag(), "selftest");
    let root = p9::attach(Box::new(share), p9::Options::default()).expect("it is attached");
    let root = Directory::new(root, Permissions::ReadWrite).expect("a directory");
    let open = |path, flags, access| match root.open_at(path, false, flags, access) {
        Ok(Descriptor::File(file)) => file,
        Ok(Descriptor::Directory(_)) => panic!("{path} is a directory"),
        Err(error) => panic!("{path}: {error}"),
    };
    let mut bytes = vec![0; 100];
    let mut greeting = open("greeting", OpenFlags::empty(), Access { read: true, write: false });
    let len = greeting.read(&mut bytes).expect("it can be read");
    assert_eq!(&bytes[..len], b"hello from the host\n");
    let mut answer = open("answer", OpenFlags::CREATE, Access { read: false, write: true });
    assert_eq!(answer.write(b"hello from the kernel\n"), Ok(22));
    assert_eq!(root.stat_at("answer", false).map(|stat| stat.size), Ok(22));
    assert_eq!(root.stat_at("nothing", false), Err(wasi::Error::NoEntry));
}

fn the_console_carries_bytes() {
    let stdio = &machine().stdio;
    executor::block_on(async {
        // What the host sends comes back changed: every byte value, and more than the queues hold.
        let mut buffer = vec![0; 1 << 16];
        let mut total = 0;
        loop {
            let len = poll_fn(|task| stdio.stdin.poll_read(task, &mut buffer)).await.expect("stdin works");
            if len == 0 {
                break;
            }
            total += len;
            let mut rest = &mut buffer[..len];
            rest.iter_mut().for_each(|byte| *byte ^= 0xff);
            while !rest.is_empty() {
                let written =
                    poll_fn(|task| stdio.stdout.poll_write(task, rest)).await.expect("stdout works");
                rest = &mut rest[written..];
            }
        }
        let end = poll_fn(|task| stdio.stdin.poll_read(task, &mut buffer)).await;
        assert_eq!(end, Ok(0), "the end stays the end");
        assert_eq!(poll_fn(|task| stdio.stderr.poll_write(task, b"to stderr")).await, Ok(9));
        stdio.finish(&Status::Exit(u32::try_from(total % 251).unwrap_or_default())).await;
    });
}
