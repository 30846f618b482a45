//! Servers that fail and servers that lie: an error each time, and nothing else is harmed.

use super::server::{Control, Fault, MESSAGE_SIZE, Server};
use crate::{BOTH, READ, TestClock, WRITE};
use std::{
    ops::ControlFlow,
    sync::{Arc, Mutex},
};
use wasi::{
    Error, Result,
    filesystem::{Name, Node, SetTime, memory::MemoryFileSystem, p9},
};

fn name(text: &str) -> Name<'_> {
    Name::new(text).unwrap()
}

/// A server with an empty tree, and what to tell it.
fn server() -> (Box<Server>, Arc<Mutex<Control>>) {
    let memory = MemoryFileSystem::new(TestClock::new(), 1 << 26, 1).unwrap();
    let control = Arc::new(Mutex::new(Control::default()));
    (Box::new(Server::new(memory.root(), control.clone())), control)
}

fn attach() -> (Arc<dyn Node>, Arc<Mutex<Control>>) {
    let (server, control) = server();
    (p9::attach(server, p9::Options::default()).unwrap(), control)
}

/// Has `fault` happen at the next request but `skip`.
fn next(control: &Mutex<Control>, skip: usize, fault: Fault) {
    let mut control = control.lock().unwrap();
    let number = control.requests + skip;
    control.faults.insert(number, fault);
}

/// Makes every request that there is.
fn everything(server: Box<Server>) -> Result<()> {
    let root = p9::attach(server, p9::Options::default())?;
    root.stat()?;
    root.create_directory(name("directory"))?;
    root.create_symbolic_link(name("link"), "file")?;
    let file = root.create_file(name("file"), BOTH)?;
    let node = root.lookup(name("file"))?;
    let content: Vec<u8> = (0..3 * MESSAGE_SIZE).map(|n| (n % 251) as u8).collect();
    let written = file.write_at(&content, 0)?;
    let mut read = vec![0; content.len()];
    let count = file.read_at(&mut read, 0)?;
    assert!(count <= written, "{count} {written}");
    file.append(b"more")?;
    file.set_size(10)?;
    file.allocate(5, 20)?;
    file.set_times(SetTime::Now, SetTime::To(1))?;
    file.sync(true)?;
    file.stat()?;
    node.set_times(SetTime::To(1), SetTime::Keep)?;
    node.open(READ)?;
    let directory = root.lookup(name("directory"))?;
    directory.link(name("other"), &*node)?;
    root.rename(name("file"), &*directory, name("file"))?;
    root.lookup(name("link"))?.read_link()?;
    for cookie in [0, 1, 2] {
        root.read_directory(cookie, &mut |_| ControlFlow::Continue(()))?;
    }
    root.sync()?;
    root.unlink(name("link"))?;
    directory.unlink(name("file"))?;
    directory.unlink(name("other"))?;
    file.stat()?;
    root.remove_directory(name("directory"))?;
    Ok(())
}

/// How many requests [`everything`] makes.
fn requests() -> usize {
    let (server, control) = server();
    everything(server).unwrap();
    let control = control.lock().unwrap();
    assert_eq!(control.fids, 0, "all fids are forgotten");
    control.requests
}

#[test]
fn an_error_at_any_step_is_an_error_and_no_more() {
    for step in 0..requests() {
        // EMFILE: none that the client knows a way around.
        let (server, control) = server();
        control.lock().unwrap().faults.insert(step, Fault::Errno(24));
        // What fails without a word may be the end of a fid, and the rest of a read or write.
        let result = everything(server);
        assert!(matches!(result, Err(Error::TooManyOpen) | Ok(())), "step {step}: {result:?}");
        assert_eq!(control.lock().unwrap().fids, 0, "step {step}");
    }
}

#[test]
fn a_broken_conversation_is_over() {
    let faults = [
        Fault::Lost,
        Fault::Cut(0),
        Fault::Cut(6),
        Fault::Cut(8),
        Fault::Longer,
        Fault::Byte(0, 0xff),
        Fault::Byte(3, 0xff),
        Fault::Byte(4, 6),
        Fault::Byte(4, 200),
        Fault::Byte(6, 0xfe),
    ];
    for step in 0..requests() {
        for fault in faults.clone() {
            let (server, control) = server();
            control.lock().unwrap().faults.insert(step, fault.clone());
            let result = everything(server);
            let requests = control.lock().unwrap().requests;
            // `Rclunk` has no body to cut, so that this changes nothing there.
            if requests != step + 1 {
                assert!(matches!(fault, Fault::Cut(8)), "step {step}, {fault:?}: it went on to {requests}");
                continue;
            }
            // A conversation may break where nobody is told: at the end of a fid, or in the rest of a write. Whatever comes
            // next is told.
            assert!(matches!(result, Err(Error::Io) | Ok(())), "step {step}, {fault:?}: {result:?}");
        }
    }
}

#[test]
fn random_bytes_harm_nobody() {
    // A generator of its own for each reply, so that a failure can be had again.
    fn change(number: usize, bytes: &mut [u8]) {
        let mut state = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut random = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 16) as usize % below
        };
        // The header is left alone mostly: what it does is known.
        let start = if random(20) == 0 { 0 } else { 7 };
        if bytes.len() > start && random(4) == 0 {
            let at = start + random(bytes.len() - start);
            bytes[at] = random(256) as u8;
        }
    }
    for round in 0..300 {
        let (server, control) = server();
        {
            let mut control = control.lock().unwrap();
            control.requests = round * 1000;
            control.everywhere = Some(change);
        }
        let _ = everything(server);
    }
}

#[test]
fn replies_that_say_too_much() {
    let huge = u32::MAX.to_le_bytes().to_vec();
    let (root, control) = attach();
    let file = root.create_file(name("file"), BOTH).unwrap();
    file.write_at(b"0123456789", 0).unwrap();
    // More read than asked for.
    next(&control, 0, Fault::Body([&6_u32.to_le_bytes()[..], b"012345"].concat()));
    assert_eq!(file.read_at(&mut [0; 5], 0), Err(Error::Io));

    // Data that is not there, written bytes that were not sent.
    for body in [huge.clone(), 3_u32.to_le_bytes().to_vec()] {
        let (root, control) = attach();
        let file = root.create_file(name("file"), BOTH).unwrap();
        next(&control, 0, Fault::Body(body.clone()));
        assert_eq!(file.read_at(&mut [0; 5], 0), Err(Error::Io));
        let (root, control) = attach();
        let file = root.create_file(name("file"), BOTH).unwrap();
        next(&control, 0, Fault::Body(body));
        assert_eq!(file.write_at(b"ab", 0), Err(Error::Io));
    }
}

#[test]
fn directories_that_lie() {
    let entry = |next: u64, kind: u8, name: &[u8]| {
        let length = (name.len() as u16).to_le_bytes();
        [&[0; 5], &7_u64.to_le_bytes()[..], &next.to_le_bytes(), &[kind], &length, name].concat()
    };
    let listing = |entries: Vec<u8>| {
        let (root, control) = attach();
        // The first two requests open the directory.
        next(&control, 2, Fault::Body([&(entries.len() as u32).to_le_bytes()[..], &entries].concat()));
        let mut names = Vec::new();
        let result = root.read_directory(0, &mut |entry| {
            names.push(entry.name.as_str().to_owned());
            ControlFlow::Continue(())
        });
        (result, names)
    };
    let good = entry(5, 8, b"good");
    assert_eq!(listing(good.clone()), (Ok(()), vec!["good".into()]));
    // What no guest could name is left out.
    for name in [&b"."[..], b"..", b"", b"a/b", b"a\0b", b"\xff", &[b'x'; 256]] {
        let entries = [good.clone(), entry(6, 8, name)].concat();
        assert_eq!(listing(entries), (Ok(()), vec!["good".into()]), "{name:?}");
    }
    // Cut off, and leading nowhere but back.
    for length in 1..good.len() {
        let entries = [&good[..], &good[..length]].concat();
        assert_eq!(listing(entries).0, Err(Error::Io), "{length}");
    }
    assert_eq!(listing(entry(0, 8, b"zero")).0, Err(Error::Io));
    assert_eq!(listing([good.clone(), good].concat()).0, Err(Error::Io));
    // One whose kind is not told and that is gone when it is looked for.
    assert_eq!(listing(entry(5, 0, b"gone")), (Ok(()), vec![]));
}

#[test]
fn what_is_not_text() {
    let (root, control) = attach();
    root.create_symbolic_link(name("link"), "x").unwrap();
    let link = root.lookup(name("link")).unwrap();
    next(&control, 0, Fault::Body(b"\x02\x00\xff\xfe".to_vec()));
    assert_eq!(link.read_link(), Err(Error::IllegalSequence));
    assert_eq!(link.read_link(), Ok("x".into()));
}

#[test]
fn versions_and_sizes() {
    let answer = |size: u32, version: &[u8]| {
        let (server, control) = server();
        let body = [&size.to_le_bytes()[..], &(version.len() as u16).to_le_bytes(), version].concat();
        next(&control, 0, Fault::Body(body));
        p9::attach(server, p9::Options::default()).map(drop)
    };
    assert_eq!(answer(MESSAGE_SIZE as u32, b"9P2000.L"), Ok(()));
    assert_eq!(answer(4096, b"9P2000.L"), Ok(()));
    assert_eq!(answer(4095, b"9P2000.L"), Err(Error::NotSupported));
    assert_eq!(answer(MESSAGE_SIZE as u32 + 1, b"9P2000.L"), Err(Error::Io));
    assert_eq!(answer(MESSAGE_SIZE as u32, b"9P2000.u"), Err(Error::NotSupported));
    assert_eq!(answer(MESSAGE_SIZE as u32, b"unknown"), Err(Error::NotSupported));
}

#[test]
fn fids_are_bounded_and_come_back() {
    let (root, control) = attach();
    root.create_file(name("file"), WRITE).unwrap();
    let mut held = Vec::new();
    let error = loop {
        match root.lookup(name("file")) {
            Ok(node) => held.push(node),
            Err(error) => break error,
        }
    };
    assert_eq!((error, held.len()), (Error::TooManyOpen, 65535));
    held.pop();
    held.push(root.lookup(name("file")).unwrap());
    drop(held);
    root.stat().unwrap();
    assert_eq!(control.lock().unwrap().fids, 1);
}

#[test]
fn a_file_that_the_server_loses() {
    // As on a server that asks a path even of an open file: QEMU, for setting attributes.
    let lost = Fault::Errno(2);
    let (root, control) = attach();
    let file = root.create_file(name("file"), BOTH).unwrap();
    file.write_at(&[1; 1000], 0).unwrap();
    // The size is found by reading, here with no idea of it and with a wrong one.
    for size in [0, 1, 5, 999, 1000, 1001, 4097, 100_000] {
        file.set_size(size).unwrap();
        next(&control, 0, lost.clone());
        let stat = file.stat().unwrap();
        assert_eq!((stat.size, stat.links), (size, 0));
    }
    // Growing works without the server's help, cutting does not.
    next(&control, 1, lost.clone());
    file.set_size(200_000).unwrap();
    assert_eq!(file.stat().unwrap().size, 200_000);
    next(&control, 1, lost.clone());
    assert_eq!(file.set_size(1), Err(Error::NotSupported));
    assert_eq!(file.stat().unwrap().size, 200_000);
    next(&control, 1, lost.clone());
    assert_eq!(file.set_times(SetTime::Now, SetTime::Now), Err(Error::NotSupported));
    // Nor does appending need the path.
    next(&control, 0, lost);
    assert_eq!(file.append(b"end"), Ok((3, 200_003)));
}

#[test]
fn two_conversations_are_two_file_systems() {
    let ((one, _), (other, _)) = (attach(), attach());
    one.create_file(name("file"), WRITE).unwrap();
    let node = one.lookup(name("file")).unwrap();
    assert_eq!(other.link(name("link"), &*node), Err(Error::CrossDevice));
    assert_eq!(one.rename(name("file"), &*other, name("file")), Err(Error::CrossDevice));
}
