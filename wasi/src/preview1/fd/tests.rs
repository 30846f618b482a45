use super::*;
use crate::preview1::{
    Snapshot, Unstable,
    testing::*,
    types::{LookupFlags, OFlags, Whence},
};
use alloc::{string::String, vec, vec::Vec};

const EMPTY: OFlags = OFlags::empty();

fn seek(guest: &mut Guest, fd: u32, offset: i64, whence: Whence) -> Result<u64> {
    guest.result(|call, out| fd_seek::<Snapshot>(call, fd, offset, whence, out))
}

fn tell(guest: &mut Guest, fd: u32) -> Result<u64> {
    guest.result(|call, out| fd_tell(call, fd, out))
}

#[test]
fn a_file_is_read_where_its_position_is() {
    let mut guest = guest();
    let fd = guest.file("f", b"hello world");
    assert_eq!(guest.read(fd, 10), Ok(vec![]), "at its end");
    assert_eq!(seek(&mut guest, fd, -5, Whence::End), Ok(6));
    assert_eq!(guest.read(fd, 3), Ok(b"wor".to_vec()));
    assert_eq!(tell(&mut guest, fd), Ok(9));
    assert_eq!(seek(&mut guest, fd, -10, Whence::Current), Err(Error::Invalid));
    assert_eq!(seek(&mut guest, fd, -1, Whence::Set), Err(Error::Invalid));
    assert_eq!(tell(&mut guest, fd), Ok(9), "a seek that fails does not move");
}

#[test]
fn positioned_calls_leave_the_position() {
    let mut guest = guest();
    let fd = guest.file("f", b"0123456789");
    let buffer = guest.put(FREE, b"ab");
    let vector = guest.vector(FREE, 2);
    assert_eq!(guest.result(|call, out| fd_pwrite(call, fd, vector, 1, 4, out)), Ok(2u32));
    assert_eq!(guest.result(|call, out| fd_pread(call, fd, vector, 1, 8, out)), Ok(2u32));
    assert_eq!(guest.get::<u8>(FREE), b'8', "{buffer:?}");
    assert_eq!(tell(&mut guest, fd), Ok(10));
    assert_eq!(guest.files.read_file("f"), Ok(b"0123ab6789".to_vec()));
}

#[test]
fn appending_can_be_turned_off_and_on() {
    let mut guest = guest();
    let open = |guest: &mut Guest| {
        guest.open_with(
            ROOT,
            "f",
            LookupFlags::empty(),
            OFlags::CREATE,
            BOTH,
            FdFlags::APPEND | FdFlags::SYNC,
        )
    };
    let fd = open(&mut guest).unwrap();
    assert_eq!(guest.fdstat(fd).unwrap().flags, (FdFlags::APPEND | FdFlags::SYNC).bits());
    guest.write(fd, b"one").unwrap();
    seek(&mut guest, fd, 0, Whence::Set).unwrap();
    guest.write(fd, b"two").unwrap();
    assert_eq!(tell(&mut guest, fd), Ok(6));
    let set = |guest: &mut Guest, flags| guest.call(|call| fd_fdstat_set_flags(call, fd, flags));
    assert_eq!(set(&mut guest, FdFlags::empty()), Err(Error::Invalid), "SYNC is for ever");
    assert_eq!(set(&mut guest, FdFlags::SYNC), Ok(()));
    assert_eq!(guest.fdstat(fd).unwrap().flags, FdFlags::SYNC.bits());
    seek(&mut guest, fd, 0, Whence::Set).unwrap();
    guest.write(fd, b"1").unwrap();
    assert_eq!(guest.files.read_file("f"), Ok(b"1netwo".to_vec()));
}

#[test]
fn a_file_does_what_it_was_opened_for() {
    let mut guest = guest();
    guest.file("f", b"text");
    let reader = guest.open_at(ROOT, "f", EMPTY, READ).unwrap();
    let writer = guest.open_at(ROOT, "f", EMPTY, WRITE).unwrap();
    let neither = guest.open_at(ROOT, "f", EMPTY, Rights::empty()).unwrap();
    for (fd, may) in [(reader, READ), (writer, WRITE), (neither, Rights::empty())] {
        assert_eq!(guest.fdstat(fd).unwrap().rights & BOTH.bits(), may.bits());
        let read = if may == READ { Ok(b"text".to_vec()) } else { Err(Error::BadDescriptor) };
        assert_eq!(guest.read(fd, 4), read);
        let written = if may == WRITE { Ok(4) } else { Err(Error::BadDescriptor) };
        assert_eq!(guest.write(fd, b"TEXT"), written);
        assert_eq!(guest.filestat(fd).unwrap().size, 4);
    }
}

#[test]
fn rights_can_only_be_given_up() {
    let mut guest = guest();
    let fd = guest.file("f", b"text");
    let all = guest.fdstat(fd).unwrap();
    let (all, inheriting) = (Rights::from_bits_retain(all.rights), Rights::from_bits_retain(all.inheriting));
    let set = |guest: &mut Guest, rights, inheriting| {
        guest.call(|call| fd_fdstat_set_rights(call, fd, rights, inheriting))
    };
    assert_eq!(set(&mut guest, all, inheriting), Ok(()));
    assert_eq!(set(&mut guest, all - BOTH, inheriting), Ok(()));
    assert_eq!(guest.fdstat(fd).unwrap().rights, (all - BOTH).bits());
    assert_eq!(guest.read(fd, 1), Err(Error::NotCapable));
    assert_eq!(guest.write(fd, b"x"), Err(Error::NotCapable));
    assert!(seek(&mut guest, fd, 0, Whence::Set).is_ok());
    assert_eq!(set(&mut guest, all, inheriting), Err(Error::NotCapable));
    assert_eq!(set(&mut guest, all - BOTH, inheriting | Rights::SOCK_ACCEPT), Err(Error::NotCapable));
    assert_eq!(guest.fdstat(fd).unwrap().rights, (all - BOTH).bits());
}

#[test]
fn what_a_directory_has_given_up_its_files_do_not_get() {
    let mut guest = guest();
    guest.file("f", b"text");
    let stat = guest.fdstat(ROOT).unwrap();
    let rights = Rights::from_bits_retain(stat.rights);
    let inheriting = Rights::from_bits_retain(stat.inheriting) - WRITE - Rights::FD_SEEK;
    assert_eq!(guest.call(|call| fd_fdstat_set_rights(call, ROOT, rights, inheriting)), Ok(()));
    assert_eq!(guest.open_at(ROOT, "f", EMPTY, BOTH), Err(Error::NotCapable));
    let fd = guest.open_at(ROOT, "f", EMPTY, READ).unwrap();
    assert_eq!(seek(&mut guest, fd, 0, Whence::Set), Err(Error::NotCapable));
    assert_eq!(guest.read(fd, 4), Ok(b"text".to_vec()));
}

#[test]
fn preopens_are_as_wasmtime_reports_them() {
    let mut guest = guest();
    for fd in [ROOT, READ_ONLY] {
        let stat = guest.fdstat(fd).unwrap();
        assert_eq!((stat.file_type, stat.flags), (3, 0));
        assert_eq!((stat.rights, stat.inheriting), (129_498_624, 267_911_167));
    }
    let prestat = |guest: &mut Guest, fd| guest.result(|call, out| fd_prestat_get(call, fd, out));
    assert_eq!(prestat(&mut guest, READ_ONLY), Ok(PreStat { tag: 0, name_len: 3 }));
    assert_eq!(prestat(&mut guest, 1), Err(Error::BadDescriptor));
    assert_eq!(prestat(&mut guest, 5), Err(Error::BadDescriptor));
    let opened = guest.open_at(ROOT, ".", OFlags::DIRECTORY, Rights::empty()).unwrap();
    assert_eq!(prestat(&mut guest, opened), Err(Error::BadDescriptor));

    let name = |guest: &mut Guest, fd, len| {
        guest.memory[FREE as usize..].fill(b'.');
        guest.call(|call| fd_prestat_dir_name(call, fd, GuestPtr::new(FREE), len))?;
        Ok(String::from_utf8(guest.memory[FREE as usize..][..4].to_vec()).unwrap())
    };
    assert_eq!(name(&mut guest, READ_ONLY, 3), Ok("/ro.".into()));
    assert_eq!(name(&mut guest, READ_ONLY, 100), Ok("/ro.".into()));
    assert_eq!(name(&mut guest, READ_ONLY, 2), Err(Error::NameTooLong));
    assert_eq!(name(&mut guest, opened, 9), Err(Error::NotDirectory));
    assert_eq!(name(&mut guest, 99, 9), Err(Error::BadDescriptor));
}

#[test]
fn a_directory_is_no_file() {
    let mut guest = guest();
    let vector = guest.vector(FREE, 4);
    let bad = Err(Error::BadDescriptor);
    let directory = guest.open_at(ROOT, ".", OFlags::DIRECTORY, READ).unwrap();
    for fd in [ROOT, directory] {
        let stat = guest.fdstat(fd).unwrap();
        assert_eq!(stat.rights & (Rights::FD_SEEK | Rights::FD_FILESTAT_SET_SIZE).bits(), 0);
        assert_eq!(stat.flags, 0);
        assert_eq!(guest.result(|call, out| fd_read(call, fd, vector, 1, out)), Err(Error::BadDescriptor));
        assert_eq!(guest.result(|call, out| fd_write(call, fd, vector, 1, out)), Err(Error::BadDescriptor));
        assert_eq!(
            guest.result(|call, out| fd_pread(call, fd, vector, 1, 0, out)),
            Err(Error::BadDescriptor)
        );
        assert_eq!(
            guest.result(|call, out| fd_pwrite(call, fd, vector, 1, 0, out)),
            Err(Error::BadDescriptor)
        );
        assert_eq!(seek(&mut guest, fd, 0, Whence::Set), Err(Error::BadDescriptor));
        assert_eq!(tell(&mut guest, fd), Err(Error::BadDescriptor));
        assert_eq!(guest.call(|call| fd_allocate(call, fd, 0, 1)), bad);
        assert_eq!(guest.call(|call| fd_filestat_set_size(call, fd, 0)), bad);
        assert_eq!(guest.call(|call| fd_advise(call, fd, 0, 0, crate::preview1::types::UpTo)), bad);
        assert_eq!(guest.call(|call| fd_fdstat_set_flags(call, fd, FdFlags::APPEND)), bad);
        assert_eq!(guest.call(|call| fd_sync(call, fd)), Ok(()));
    }
}

#[test]
fn a_stream_is_no_file() {
    let mut guest = guest();
    let vector = guest.vector(FREE, 4);
    for fd in [0, 1, 2] {
        assert_eq!(seek(&mut guest, fd, 0, Whence::Set), Err(Error::NotSeekable));
        assert_eq!(tell(&mut guest, fd), Err(Error::NotSeekable));
        assert_eq!(guest.result(|call, out| fd_pread(call, fd, vector, 1, 0, out)), Err(Error::NotSeekable));
        assert_eq!(guest.result(|call, out| fd_pwrite(call, fd, vector, 1, 0, out)), Err(Error::NotSeekable));
        assert_eq!(guest.call(|call| fd_allocate(call, fd, 0, 1)), Err(Error::BadDescriptor));
        let stat = guest.filestat(fd).unwrap();
        assert_eq!((stat.file_type, stat.inode, stat.size), (0, 0, 0));
        let times = guest.call(|call| fd_filestat_set_times(call, fd, 1, 1, FstFlags::ATIM));
        assert_eq!(times, Err(Error::BadDescriptor));
    }
    assert_eq!(guest.fdstat(0).unwrap().rights, Rights::FD_READ.bits());
    assert_eq!(guest.fdstat(1).unwrap().rights, Rights::FD_WRITE.bits());
    assert_eq!(guest.read(1, 1), Err(Error::BadDescriptor));
    assert_eq!(guest.write(0, b"x"), Err(Error::BadDescriptor));
}

#[test]
fn a_read_of_an_empty_stream_waits_and_takes_nothing() {
    let mut guest = guest();
    let vector = guest.vector(FREE, 8);
    let read = |call: &mut Preview1<'_>| fd_read(call, 0, vector, 1, GuestPtr::new(FREE + 100));
    assert!(guest.poll(read).is_pending());
    assert!(guest.poll_again(read).is_pending());
    assert_eq!(guest.get::<u32>(FREE + 100), 0xaaaa_aaaa, "nothing is written before it is ready");
    let writer = guest.stdin.take().unwrap();
    let waker = core::task::Waker::noop();
    let mut task = core::task::Context::from_waker(waker);
    assert_eq!(crate::io::OutputStream::poll_write(&writer, &mut task, b"abc"), Poll::Ready(Ok(3)));
    assert!(guest.wakes() > 0);
    assert_eq!(guest.poll_again(read), Poll::Ready(Ok(())));
    assert_eq!((guest.get::<u32>(FREE + 100), guest.get::<u8>(FREE + 2)), (3, b'c'));

    let nonblocking = guest.call(|call| fd_fdstat_set_flags(call, 0, FdFlags::NONBLOCK));
    assert_eq!(nonblocking, Ok(()));
    assert_eq!(guest.poll(read), Poll::Ready(Err(Error::WouldBlock)));
    drop(writer);
    assert_eq!(guest.poll(read), Poll::Ready(Ok(())));
    assert_eq!(guest.get::<u32>(FREE + 100), 0, "the end");
}

#[test]
fn vectors_are_filled_one_after_the_other() {
    let mut guest = guest();
    guest.put(FREE + 0x100, b"abcdefgh");
    // Three vectors, one of them empty, and out of order in memory.
    for (index, (address, len)) in [(0x104u32, 4u32), (0, 0), (0x100, 3)].into_iter().enumerate() {
        guest.put_record(FREE + 8 * index as u32, FREE + address);
        guest.put_record(FREE + 8 * index as u32 + 4, len);
    }
    let vectors = GuestPtr::new(FREE);
    assert_eq!(guest.result(|call, out| fd_write(call, 1, vectors, 3, out)), Ok(7u32));
    assert_eq!(guest.stdout.take(), b"efghabc");
    assert_eq!(guest.result(|call, out| fd_write(call, 1, vectors, 0, out)), Ok(0u32));

    let fd = guest.file("f", b"12345");
    seek(&mut guest, fd, 0, Whence::Set).unwrap();
    assert_eq!(guest.result(|call, out| fd_read(call, fd, vectors, 3, out)), Ok(5u32));
    assert_eq!(&guest.memory[FREE as usize + 0x100..][..8], b"5bcd1234");
}

#[test]
fn positioned_vectors_follow_each_other_in_the_file() {
    let mut guest = guest();
    guest.put(FREE + 0x100, b"abcd");
    for (index, address) in [0x102u32, 0x100].into_iter().enumerate() {
        guest.put_record(FREE + 8 * index as u32, FREE + address);
        guest.put_record(FREE + 8 * index as u32 + 4, 2u32);
    }
    let vectors = GuestPtr::new(FREE);
    let fd = guest.file("f", b"12345678");
    assert_eq!(guest.result(|call, out| fd_pwrite(call, fd, vectors, 2, 1, out)), Ok(4u32));
    assert_eq!(guest.files.read_file("f"), Ok(b"1cdab678".to_vec()));
    assert_eq!(guest.result(|call, out| fd_pread(call, fd, vectors, 2, 3, out)), Ok(4u32));
    assert_eq!(&guest.memory[FREE as usize + 0x100..][..4], b"67ab");
}

/// A file that counts how often it was made durable, and wholly.
#[derive(Default)]
struct Durable(core::sync::atomic::AtomicUsize, core::sync::atomic::AtomicUsize);

impl crate::filesystem::File for Durable {
    fn stat(&self) -> Result<crate::filesystem::Stat> {
        Err(Error::Io)
    }
    fn set_times(&self, _: crate::filesystem::SetTime, _: crate::filesystem::SetTime) -> Result<()> {
        Err(Error::Io)
    }
    fn read_at(&self, _: &mut [u8], _: u64) -> Result<usize> {
        Ok(0)
    }
    fn write_at(&self, buffer: &[u8], _: u64) -> Result<usize> {
        Ok(buffer.len())
    }
    fn append(&self, buffer: &[u8]) -> Result<(usize, u64)> {
        Ok((buffer.len(), 0))
    }
    fn set_size(&self, _: u64) -> Result<()> {
        Ok(())
    }
    fn allocate(&self, _: u64, _: u64) -> Result<()> {
        Ok(())
    }
    fn sync(&self, data_only: bool) -> Result<()> {
        let count = if data_only { &self.0 } else { &self.1 };
        count.fetch_add(1, core::sync::atomic::Ordering::Relaxed);
        Ok(())
    }
}

#[test]
fn a_write_is_durable_when_its_descriptor_says_so() {
    use crate::filesystem::{Access, OpenFile, Permissions};
    use core::sync::atomic::Ordering::Relaxed;
    for (flags, expected) in [
        (FdFlags::empty(), (0, 0)),
        (FdFlags::RSYNC, (0, 0)),
        (FdFlags::DSYNC, (2, 0)),
        (FdFlags::SYNC, (0, 2)),
        (FdFlags::SYNC | FdFlags::DSYNC, (0, 2)),
    ] {
        let mut guest = guest();
        let file = alloc::sync::Arc::new(Durable::default());
        let open = OpenFile::new(file.clone(), Access { read: true, write: true }, Permissions::ReadWrite);
        let descriptor = Descriptor::opened(Object::File(open), Rights::FILE, flags);
        let fd = guest.state.descriptors.insert(descriptor).unwrap();
        assert_eq!(guest.write(fd, b"abc"), Ok(3));
        let vector = guest.vector(FREE, 3);
        assert_eq!(guest.result(|call, out| fd_pwrite(call, fd, vector, 1, 0, out)), Ok(3u32));
        assert_eq!(guest.read(fd, 3), Ok(vec![]));
        assert_eq!((file.0.load(Relaxed), file.1.load(Relaxed)), expected, "{flags:?}");
        assert_eq!(guest.call(|call| fd_datasync(call, fd)), Ok(()));
        assert_eq!((file.0.load(Relaxed), file.1.load(Relaxed)), (expected.0 + 1, expected.1));
        assert_eq!(guest.call(|call| fd_sync(call, fd)), Ok(()));
        assert_eq!((file.0.load(Relaxed), file.1.load(Relaxed)), (expected.0 + 1, expected.1 + 1));
    }
}

#[test]
fn bad_vectors_do_nothing() {
    let mut guest = guest();
    let vectors = GuestPtr::new(FREE);
    let mut write = |fd, first: (u32, u32), second: (u32, u32), len, out| {
        for (offset, value) in [(0, first.0), (4, first.1), (8, second.0), (12, second.1)] {
            guest.put_record(FREE + offset, value);
        }
        let result = guest.call(|call| fd_write(call, fd, vectors, len, GuestPtr::new(out)));
        assert_eq!(guest.stdout.take(), b"", "nothing is written");
        result
    };
    assert_eq!(write(1, (FREE, 1), (MEMORY, 1), 2, 0), Err(Error::Fault));
    assert_eq!(write(1, (FREE, 1), (u32::MAX, 2), 2, 0), Err(Error::Fault));
    assert_eq!(write(1, (FREE, u32::MAX), (FREE, 1), 2, 0), Err(Error::Invalid), "the sum overflows");
    assert_eq!(write(1, (FREE, 1), (FREE, 1), u32::MAX, 0), Err(Error::Fault));
    assert_eq!(write(1, (FREE, 1), (FREE, 1), 2, MEMORY - 3), Err(Error::Fault), "the result's pointer");
    assert_eq!(
        write(99, (u32::MAX, 1), (0, 0), 2, 0),
        Err(Error::BadDescriptor),
        "the descriptor comes first"
    );
}

#[test]
fn a_transfer_is_bounded() {
    let mut guest = guest();
    let count = crate::guest::IO_VECTORS_MAX + 10;
    for index in 0..count {
        guest.put_record(FREE + 8 * index, FREE);
        guest.put_record(FREE + 8 * index + 4, 1u32);
    }
    let written = guest.result(|call, out| fd_write(call, 1, GuestPtr::new(FREE), count, out));
    assert_eq!(written, Ok(crate::guest::IO_VECTORS_MAX));
}

#[test]
fn vectors_that_hold_nothing_are_passed_over_however_many() {
    const BYTES: u32 = MEMORY - 8;
    for empty in [0, 1, 1_023, 1_024, 1_025, 2_048, 3_000] {
        let mut guest = guest();
        let fd = guest.file("f", b"some content");
        let count = empty + 2;
        for index in 0..count {
            guest.put_record(FREE + 8 * index, BYTES);
            guest.put_record(FREE + 8 * index + 4, if index < empty { 0 } else { 3_u32 });
        }
        // Those of one call are 1,024 in a row: what is behind them is for the next.
        let moved = if empty == 1_023 { 3 } else { 6 };
        let vectors = GuestPtr::new(FREE);
        let (read, pauses) =
            guest.call_in_turns(|call| fd_pread(call, fd, vectors, count, 0, GuestPtr::new(OUT)));
        assert_eq!((read, pauses), (Ok(()), empty as usize / 1_024), "{empty}");
        assert_eq!(guest.get::<u32>(OUT), moved, "{empty}");
        assert_eq!(
            [0, 1, 2].map(|at| guest.get::<u8>(BYTES + at)),
            if moved == 3 { *b"som" } else { *b"e c" }
        );
        guest.put(BYTES, b"xyz");
        let (written, _) =
            guest.call_in_turns(|call| fd_pwrite(call, fd, vectors, count, 0, GuestPtr::new(OUT)));
        assert_eq!((written, guest.get::<u32>(OUT)), (Ok(()), moved));
        let content = if moved == 3 { "xyze content" } else { "xyzxyzontent" };
        assert_eq!(guest.files.read_file("f"), Ok(content.into()));
        // Those that hold nothing must be in the memory too.
        guest.put_record(FREE + 8 * empty.saturating_sub(1), MEMORY + 1);
        let (read, _) = guest.call_in_turns(|call| fd_read(call, fd, vectors, count, GuestPtr::new(OUT)));
        assert_eq!(read, Err(Error::Fault), "{empty}");
    }
    let mut guest = guest();
    guest.put(FREE, &[0; 8 * 3_000]);
    let (written, _) =
        guest.call_in_turns(|call| fd_write(call, 1, GuestPtr::new(FREE), 3_000, GuestPtr::new(OUT)));
    assert_eq!((written, guest.get::<u32>(OUT)), (Ok(()), 0), "none that holds anything");
}

#[test]
fn numbers_are_the_lowest_that_are_free() {
    let mut guest = guest();
    let fds: Vec<_> = (0..4).map(|_| guest.file("f", b"")).collect();
    assert_eq!(fds, [5, 6, 7, 8]);
    for fd in [7, 5] {
        assert_eq!(guest.call(|call| fd_close(call, fd)), Ok(()));
        assert_eq!(guest.call(|call| fd_close(call, fd)), Err(Error::BadDescriptor));
    }
    assert_eq!([guest.file("f", b""), guest.file("f", b""), guest.file("f", b"")], [5, 7, 9]);
    assert_eq!(guest.call(|call| fd_close(call, u32::MAX)), Err(Error::BadDescriptor));
}

#[test]
fn renumbering_replaces_an_open_descriptor() {
    let mut guest = guest();
    let a = guest.file("a", b"a");
    let b = guest.file("b", b"bb");
    assert_eq!(guest.call(|call| fd_renumber(call, a, 99)), Err(Error::BadDescriptor));
    assert_eq!(guest.call(|call| fd_renumber(call, 99, a)), Err(Error::BadDescriptor));
    assert_eq!(guest.call(|call| fd_renumber(call, a, a)), Ok(()));
    assert_eq!(guest.call(|call| fd_renumber(call, a, b)), Ok(()));
    guest.assert_closed(a);
    assert_eq!(guest.filestat(b).unwrap().size, 1);
    assert_eq!(guest.file("c", b""), a, "its number is free again");

    // Preopens and stdio, too.
    assert_eq!(guest.call(|call| fd_renumber(call, ROOT, 1)), Ok(()));
    guest.assert_closed(ROOT);
    assert_eq!(guest.fdstat(1).unwrap().file_type, 3);
    assert_eq!(guest.stat("b"), Err(Error::BadDescriptor));
}

#[test]
fn the_number_of_descriptors_is_limited() {
    let mut guest = guest_with(7);
    let (a, b) = (guest.file("a", b""), guest.file("b", b""));
    assert_eq!(guest.open_at(ROOT, "c", OFlags::CREATE, BOTH), Err(Error::TooManyOpen));
    assert_eq!(guest.stat("c"), Err(Error::NoEntry), "and nothing is made");
    assert_eq!(guest.call(|call| fd_close(call, a)), Ok(()));
    assert_eq!(guest.open_at(ROOT, "c", OFlags::CREATE, BOTH), Ok(a));
    assert!(guest.filestat(b).is_ok());
}

#[test]
fn a_hundred_thousand_descriptors_are_quick() {
    let mut guest = guest_with(100_005);
    guest.file("f", b"");
    for fd in 6..100_005 {
        assert_eq!(guest.open_at(ROOT, "f", EMPTY, READ), Ok(fd));
    }
    assert_eq!(guest.open_at(ROOT, "f", EMPTY, READ), Err(Error::TooManyOpen));
    for fd in (5..100_005).rev() {
        assert_eq!(guest.call(|call| fd_close(call, fd)), Ok(()));
    }
    assert_eq!(guest.open_at(ROOT, "f", EMPTY, READ), Ok(5));
}

#[test]
fn times_are_set_one_by_one() {
    let mut guest = guest();
    let fd = guest.file("f", b"text");
    let set = |guest: &mut Guest, accessed, modified, flags| {
        guest.call(|call| fd_filestat_set_times(call, fd, accessed, modified, flags))
    };
    assert_eq!(set(&mut guest, 1_000_000_001, 2_000_000_002, FstFlags::ATIM | FstFlags::MTIM), Ok(()));
    let stat = guest.filestat(fd).unwrap();
    assert_eq!((stat.accessed, stat.modified), (1_000_000_001, 2_000_000_002));
    assert_eq!(set(&mut guest, 5, 6, FstFlags::MTIM), Ok(()));
    let stat = guest.filestat(fd).unwrap();
    assert_eq!((stat.accessed, stat.modified), (1_000_000_001, 6));
    assert_eq!(set(&mut guest, 5, 7, FstFlags::MTIM | FstFlags::MTIM_NOW), Err(Error::Invalid));
    assert_eq!(
        set(&mut guest, 5, 7, FstFlags::ATIM | FstFlags::ATIM_NOW | FstFlags::MTIM),
        Err(Error::Invalid)
    );
    assert_eq!(guest.filestat(fd).unwrap(), stat, "nothing has changed");
    assert_eq!(set(&mut guest, 5, 7, FstFlags::ATIM_NOW), Ok(()));
    assert_eq!(guest.filestat(fd).unwrap().accessed, EPOCH + 1_000);
}

#[test]
fn sizes_are_set_and_space_is_allocated() {
    let mut guest = guest();
    let fd = guest.file("f", b"text");
    assert_eq!(guest.call(|call| fd_filestat_set_size(call, fd, 2)), Ok(()));
    assert_eq!(guest.call(|call| fd_allocate(call, fd, 0, 10)), Ok(()));
    assert_eq!(guest.filestat(fd).unwrap().size, 10);
    assert_eq!(guest.files.read_file("f"), Ok(b"te\0\0\0\0\0\0\0\0".to_vec()));
    assert_eq!(guest.call(|call| fd_allocate(call, fd, u64::MAX, 10)), Err(Error::Invalid));
    assert_eq!(guest.call(|call| fd_allocate(call, fd, 0, 0)), Err(Error::Invalid));
    assert_eq!(guest.call(|call| fd_datasync(call, fd)), Ok(()));
    let reader = guest.open_at(ROOT, "f", EMPTY, READ).unwrap();
    assert_eq!(guest.call(|call| fd_filestat_set_size(call, reader, 0)), Err(Error::BadDescriptor));
}

#[test]
fn the_old_layouts_say_the_same() {
    let mut guest = guest();
    let fd = guest.file("f", b"text");
    let new = guest.filestat(fd).unwrap();
    guest.memory[FREE as usize..].fill(0xaa);
    assert_eq!(guest.call(|call| fd_filestat_get::<Unstable>(call, fd, GuestPtr::new(FREE))), Ok(()));
    assert_eq!((guest.get::<u64>(FREE), guest.get::<u64>(FREE + 8)), (new.device, new.inode));
    assert_eq!((guest.get::<u8>(FREE + 16), guest.get::<u32>(FREE + 20)), (4, 1));
    assert_eq!((guest.get::<u64>(FREE + 24), guest.get::<u64>(FREE + 48)), (4, new.changed));
    assert_eq!(guest.get::<u8>(FREE + 56), 0xaa, "and it is shorter");

    use crate::{call::Argument, preview1::layouts::OldWhence};
    for (whence, offset, position) in [(2, 1, 1), (0, 1, 2), (1, -1, 3)] {
        let whence = OldWhence::decode(whence).unwrap();
        let seek = guest.result(|call, out| fd_seek::<Unstable>(call, fd, offset, whence, out));
        assert_eq!(seek, Ok(position));
    }
}

#[test]
fn a_file_stays_while_it_is_open() {
    let mut guest = guest();
    let fd = guest.file("f", b"text");
    let unlinked = guest.with_path::<u8>("f", |call, path, len, _| {
        super::super::path::path_unlink_file(call, ROOT, path, len)
    });
    assert!(unlinked.is_ok());
    seek(&mut guest, fd, 0, Whence::Set).unwrap();
    assert_eq!(guest.read(fd, 9), Ok(b"text".to_vec()));
    assert_eq!(guest.filestat(fd).unwrap().links, 0);
}

/// One listing through a buffer of `len` bytes: names, and the cookies behind them.
fn list(guest: &mut Guest, fd: u32, len: u32, cookie: u64) -> (u32, Vec<(String, u64, u64, u8)>) {
    let buffer = GuestPtr::new(FREE);
    let used: u32 = guest.result(|call, out| fd_readdir(call, fd, buffer, len, cookie, out)).unwrap();
    let mut entries = Vec::new();
    let mut rest = &guest.memory[FREE as usize..][..used as usize];
    while let Some(head) = DirEntry::load(rest) {
        let Some(name) = rest.get(DirEntry::SIZE..DirEntry::SIZE + head.name_len as usize) else { break };
        entries.push((String::from_utf8(name.to_vec()).unwrap(), head.next, head.inode, head.file_type));
        rest = &rest[DirEntry::SIZE + name.len()..];
    }
    (used, entries)
}

#[test]
fn a_listing_has_all_entries_with_their_nodes() {
    let mut guest = guest();
    guest.create_directory("d").unwrap();
    guest.file("d/file", b"");
    guest.symlink("file", "d/link").unwrap();
    let fd = guest.open_at(ROOT, "d", OFlags::DIRECTORY, READ).unwrap();
    let (used, entries) = list(&mut guest, fd, 1000, 0);
    assert!(used < 1000);
    let inode = |guest: &mut Guest, path| guest.stat(path).unwrap().inode;
    let own = inode(&mut guest, "d");
    assert_eq!((&*entries[0].0, entries[0].2, entries[0].3), (".", own, 3));
    assert_eq!((&*entries[1].0, entries[1].3), ("..", 3));
    let mut rest: Vec<_> = entries[2..].iter().map(|entry| (&*entry.0, entry.2, entry.3)).collect();
    rest.sort();
    assert_eq!(rest, [("file", inode(&mut guest, "d/file"), 4), ("link", inode(&mut guest, "d/link"), 7)]);

    // Every cookie goes on behind its entry, also after going back to the start.
    for (index, entry) in entries.iter().enumerate() {
        assert_eq!(list(&mut guest, fd, 1000, entry.1).1, entries[index + 1..]);
        assert_eq!(list(&mut guest, fd, 1000, 0).1, entries);
    }
    assert_eq!(list(&mut guest, fd, 0, 0), (0, vec![]));
}

#[test]
fn a_listing_fills_its_buffer_whole() {
    let mut guest = guest();
    guest.file("a-file-with-a-name", b"");
    let (whole, entries) = list(&mut guest, ROOT, 1000, 0);
    let last = &entries[entries.len() - 1];
    assert_eq!(whole as usize, entries.len() * DirEntry::SIZE + ".".len() + "..".len() + last.0.len());
    for len in 0..=whole {
        let (used, some) = list(&mut guest, ROOT, len, 0);
        assert_eq!(used, len, "filled whole");
        assert_eq!(some, entries[..some.len()]);
    }
    assert_eq!(
        guest.result(|call, out| fd_readdir(call, 1, GuestPtr::new(FREE), 9, 0, out)),
        Err::<u32, _>(Error::BadDescriptor)
    );
}

#[test]
fn a_long_listing_takes_turns_and_gives_the_same() {
    let mut guest = guest();
    for index in 0..200 {
        let fd = guest.file(&alloc::format!("file-{index}"), b"");
        guest.call(|call| fd_close(call, fd)).unwrap();
    }
    let used = GuestPtr::new(0);
    let list = |guest: &mut Guest, len| {
        guest.memory.fill(0);
        let (result, pauses) =
            guest.call_in_turns(|call| fd_readdir(call, ROOT, GuestPtr::new(FREE), len, 0, used));
        ((result, guest.get::<u32>(0), guest.memory[FREE as usize..].to_vec()), pauses)
    };
    // One that ends before the buffer does, and one that does not.
    let lens = [20_000, 3_000];
    let whole = lens.map(|len| list(&mut guest, len));
    guest.end_turns();
    let cut = lens.map(|len| list(&mut guest, len));
    assert_eq!([whole[0].1, whole[1].1], [0, 0]);
    assert!(cut[0].1 > 5 && cut[1].1 > 1, "{} and {} pauses", cut[0].1, cut[1].1);
    assert!(whole[0].0 == cut[0].0 && whole[1].0 == cut[1].0);
    assert_eq!(whole[1].0.1, 3_000);
}

#[test]
fn long_reads_and_writes_take_turns_and_move_everything() {
    const LEN: u32 = 700_001;
    let mut guest = guest();
    guest.memory.resize((FREE + 2 * LEN) as usize, 0);
    let bytes: Vec<u8> = (0..LEN).map(|at| ((at * 7) >> 4) as u8).collect();
    guest.put(FREE, &bytes);
    guest.end_turns();
    let fd = guest.file("f", b"before");
    let out = GuestPtr::<u32>::new(0);
    let vector = guest.vector(FREE, LEN);
    let all = |(result, pauses): (Result<()>, usize), guest: &Guest| {
        assert_eq!((result, guest.get::<u32>(0)), (Ok(()), LEN));
        assert_eq!(pauses, 2);
    };
    all(guest.call_in_turns(|call| fd_write(call, fd, vector, 1, out)), &guest);
    assert_eq!(guest.filestat(fd).unwrap().size, u64::from(LEN) + 6);
    all(guest.call_in_turns(|call| fd_pwrite(call, fd, vector, 1, 1, out)), &guest);
    let vector = guest.vector(FREE + LEN, LEN);
    let read = |guest: &Guest| guest.memory[(FREE + LEN) as usize..].to_vec();
    all(guest.call_in_turns(|call| fd_pread(call, fd, vector, 1, 1, out)), &guest);
    assert!(read(&guest) == bytes);
    let seek = |call: &mut Preview1<'_>| fd_seek::<Snapshot>(call, fd, 1, Whence::Set, GuestPtr::new(8));
    guest.call(seek).unwrap();
    guest.memory[(FREE + LEN) as usize..].fill(0);
    all(guest.call_in_turns(|call| fd_read(call, fd, vector, 1, out)), &guest);
    assert!(read(&guest) == bytes);
    // To a stream too.
    let vector = guest.vector(FREE, LEN);
    all(guest.call_in_turns(|call| fd_write(call, 1, vector, 1, out)), &guest);
    assert!(guest.stdout.take() == bytes);
}

#[test]
fn space_is_allocated_in_turns() {
    let mut guest = guest();
    guest.end_turns();
    let fd = guest.file("f", b"x");
    let allocate = |call: &mut Preview1<'_>| fd_allocate(call, fd, 1, 600_000);
    assert_eq!(guest.call_in_turns(allocate), (Ok(()), 2));
    assert_eq!(guest.filestat(fd).unwrap().size, 600_001);
    // The file system has room for a mebibyte.
    let (result, _) = guest.call_in_turns(|call| fd_allocate(call, fd, 0, 2 << 20));
    assert_eq!(result, Err(Error::NoSpace));
}
