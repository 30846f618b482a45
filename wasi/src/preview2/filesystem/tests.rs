use super::{descriptor::*, directory::*, listing::*, types::*, *};
use crate::preview2::{
    clocks::Datetime,
    io::{
        TRANSFER_MAX,
        streams::{self, StreamError},
    },
    testing::*,
};
use alloc::{collections::BTreeSet, format, string::ToString, vec};
use component::Trap;

type Code<T> = core::result::Result<T, ErrorCode>;

const NO_FOLLOW: PathFlags = PathFlags::empty();
const FOLLOW: PathFlags = PathFlags::SYMLINK_FOLLOW;
const OPEN: OpenFlags = OpenFlags::empty();
const CREATE: OpenFlags = OpenFlags::CREATE;
const READ: DescriptorFlags = DescriptorFlags::READ;
const WRITE: DescriptorFlags = DescriptorFlags::WRITE;
const BOTH: DescriptorFlags = READ.union(WRITE);

fn borrow<R>(own: Own<R>) -> Borrow<R> {
    Borrow::new(own.rep)
}

/// The directories that the guest has: one to write, one not.
fn directories(guest: &mut Guest) -> [Borrow<Descriptor>; 2] {
    let directories = guest.call(get_directories, ());
    let names: Vec<_> = directories.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["/", "/ro"]);
    [0, 1].map(|index: usize| borrow(directories[index].0))
}

fn root(guest: &mut Guest) -> Borrow<Descriptor> {
    directories(guest)[0]
}

fn open(
    guest: &mut Guest,
    directory: Borrow<Descriptor>,
    path: &str,
    open: OpenFlags,
    flags: DescriptorFlags,
) -> Code<Borrow<Descriptor>> {
    guest.call(open_at, (directory, NO_FOLLOW, path.to_string(), open, flags)).map(borrow)
}

#[test]
fn bytes_are_read_and_written_at_offsets() {
    let mut guest = guest();
    let root = root(&mut guest);
    let file = open(&mut guest, root, "file", CREATE, BOTH).unwrap();
    assert_eq!(guest.call(write, (file, b"abcd".to_vec(), 2)), Ok(4));
    assert_eq!(guest.call(write, (file, b"".to_vec(), 99)), Ok(0));
    assert_eq!(guest.call(read, (file, 3, 0)), Ok((b"\0\0a".to_vec(), false)));
    assert_eq!(guest.call(read, (file, u64::MAX, 3)), Ok((b"bcd".to_vec(), true)));
    assert_eq!(guest.call(read, (file, 9, 6)), Ok((vec![], true)));
    assert_eq!(guest.call(read, (file, 9, u64::MAX)), Err(ErrorCode::Invalid));
    assert_eq!(guest.call(write, (file, vec![1], u64::MAX)), Err(ErrorCode::Invalid));
    assert_eq!(guest.call(set_size, (file, 3)), Ok(()));
    assert_eq!(guest.call(set_size, (file, u64::MAX)), Err(ErrorCode::FileTooLarge));
    assert_eq!(guest.call(stat, (file,)).unwrap().size, 3);
    let long = vec![7; TRANSFER_MAX + 1];
    assert_eq!(guest.call(write, (file, long, 0)), Ok(TRANSFER_MAX as u64));
    let (bytes, end) = guest.call(read, (file, u64::MAX, 1)).unwrap();
    assert_eq!((bytes.len(), end), (TRANSFER_MAX - 1, true));
}

#[test]
fn a_descriptor_does_what_it_was_opened_for() {
    let mut guest = guest();
    let [root, read_only] = directories(&mut guest);
    guest.file("file", b"text");
    let reader = open(&mut guest, root, "file", OPEN, READ).unwrap();
    let writer = open(&mut guest, root, "file", OPEN, WRITE).unwrap();
    assert_eq!(guest.call(get_flags, (reader,)), Ok(READ));
    assert_eq!(guest.call(get_flags, (writer,)), Ok(WRITE));
    assert_eq!(guest.call(get_flags, (root,)), Ok(READ | DescriptorFlags::MUTATE_DIRECTORY));
    assert_eq!(guest.call(get_flags, (read_only,)), Ok(READ));
    let durable = WRITE | DescriptorFlags::FILE_INTEGRITY_SYNC | DescriptorFlags::REQUESTED_WRITE_SYNC;
    let durable_writer = open(&mut guest, root, "file", OPEN, durable).unwrap();
    assert_eq!(guest.call(get_flags, (durable_writer,)), Ok(durable));
    assert_eq!(guest.call(write, (reader, vec![1], 0)), Err(ErrorCode::BadDescriptor));
    assert_eq!(guest.call(set_size, (reader, 0)), Err(ErrorCode::BadDescriptor));
    assert_eq!(guest.call(write_via_stream, (reader, 0)), Err(ErrorCode::BadDescriptor));
    assert_eq!(guest.call(append_via_stream, (reader,)), Err(ErrorCode::BadDescriptor));
    assert_eq!(guest.call(read, (writer, 1, 0)), Err(ErrorCode::BadDescriptor));
    assert_eq!(guest.call(read_via_stream, (writer, 0)), Err(ErrorCode::BadDescriptor));
    for file in [reader, writer] {
        assert_eq!(guest.call(get_type, (file,)), Ok(DescriptorType::RegularFile));
        assert_eq!(guest.call(sync, (file,)), Ok(()));
        assert_eq!(guest.call(sync_data, (file,)), Ok(()));
        assert_eq!(guest.call(advise, (file, 0, 9, Advice::WillNeed)), Ok(()));
        assert_eq!(guest.call(advise, (file, u64::MAX, 9, Advice::Normal)), Err(ErrorCode::Invalid));
        assert_eq!(guest.call(read_directory, (file,)), Err(ErrorCode::NotDirectory));
        assert_eq!(open(&mut guest, file, "x", OPEN, READ), Err(ErrorCode::NotDirectory));
        assert_eq!(guest.call(unlink_file_at, (file, "x".into())), Err(ErrorCode::NotDirectory));
    }
    assert_eq!(guest.call(get_type, (root,)), Ok(DescriptorType::Directory));
    assert_eq!(guest.call(sync, (root,)), Ok(()));
    assert_eq!(guest.call(read, (root, 1, 0)), Err(ErrorCode::BadDescriptor));
    assert_eq!(guest.call(write, (root, vec![1], 0)), Err(ErrorCode::BadDescriptor));
    assert_eq!(guest.call(set_size, (root, 0)), Err(ErrorCode::BadDescriptor));
    assert_eq!(guest.call(advise, (root, 0, 0, Advice::Normal)), Err(ErrorCode::BadDescriptor));
    assert_eq!(guest.call(write_via_stream, (root, 0)), Err(ErrorCode::BadDescriptor));
    assert_eq!(guest.call(read_via_stream, (root, 0)), Err(ErrorCode::IsDirectory));
}

#[test]
fn opening_does_what_the_flags_say() {
    let mut guest = guest();
    let [root, read_only] = directories(&mut guest);
    let exclusive = CREATE | OpenFlags::EXCLUSIVE;
    guest.file("file", b"text");
    assert_eq!(open(&mut guest, root, "none", OPEN, READ), Err(ErrorCode::NoEntry));
    assert_eq!(open(&mut guest, root, "file", exclusive, WRITE), Err(ErrorCode::Exist));
    assert_eq!(open(&mut guest, root, "file", OpenFlags::DIRECTORY, READ), Err(ErrorCode::NotDirectory));
    assert_eq!(open(&mut guest, root, ".", OPEN, WRITE), Err(ErrorCode::IsDirectory));
    for outside in ["/file", "..", "a/../../x"] {
        guest.call(create_directory_at, (root, "a".into())).ok();
        assert_eq!(open(&mut guest, root, outside, OPEN, READ), Err(ErrorCode::NotPermitted), "{outside}");
    }
    let cut = open(&mut guest, root, "file", OpenFlags::TRUNCATE, WRITE).unwrap();
    assert_eq!(guest.call(stat, (cut,)).unwrap().size, 0);
    assert!(open(&mut guest, root, "new", exclusive, WRITE).is_ok());
    assert_eq!(guest.call(symlink_at, (root, "new".into(), "link".into())), Ok(()));
    assert_eq!(open(&mut guest, root, "link", OPEN, READ), Err(ErrorCode::Loop));
    assert!(guest.call(open_at, (root, FOLLOW, "link".into(), OPEN, READ)).is_ok());
    // Read-only is said before the path is looked at.
    for (flags, access) in [
        (CREATE, READ),
        (OpenFlags::TRUNCATE, READ),
        (OPEN, WRITE),
        (OPEN, READ | DescriptorFlags::MUTATE_DIRECTORY),
    ] {
        assert_eq!(open(&mut guest, read_only, "none", flags, access), Err(ErrorCode::ReadOnly));
    }
    assert!(open(&mut guest, read_only, "new", OPEN, READ).is_ok());
}

#[test]
fn a_read_only_directory_is_not_changed() {
    let mut guest = guest();
    let [root, read_only] = directories(&mut guest);
    guest.file("file", b"text");
    let (now, path) = (NewTimestamp::Now, || "file".to_string());
    let refused = Err(ErrorCode::ReadOnly);
    assert_eq!(guest.call(create_directory_at, (read_only, "new".into())), refused);
    assert_eq!(guest.call(set_times, (read_only, now, now)), refused);
    assert_eq!(guest.call(set_times_at, (read_only, FOLLOW, path(), now, now)), refused);
    assert_eq!(guest.call(link_at, (read_only, NO_FOLLOW, path(), root, "new".into())), refused);
    assert_eq!(guest.call(link_at, (root, NO_FOLLOW, path(), read_only, "new".into())), refused);
    assert_eq!(guest.call(rename_at, (read_only, path(), root, "new".into())), refused);
    assert_eq!(guest.call(rename_at, (root, path(), read_only, "new".into())), refused);
    assert_eq!(guest.call(symlink_at, (read_only, path(), "new".into())), refused);
    assert_eq!(guest.call(unlink_file_at, (read_only, path())), refused);
    assert_eq!(guest.call(remove_directory_at, (read_only, path())), refused);
    assert_eq!(guest.call(stat_at, (read_only, NO_FOLLOW, path())).map(|stat| stat.size), Ok(4));
}

#[test]
fn names_are_made_moved_and_removed() {
    let mut guest = guest();
    let root = root(&mut guest);
    let stat_of = |guest: &mut Guest, path: &str| guest.call(stat_at, (root, NO_FOLLOW, path.to_string()));
    guest.file("file", b"text");
    assert_eq!(guest.call(create_directory_at, (root, "directory".into())), Ok(()));
    assert_eq!(guest.call(create_directory_at, (root, "directory".into())), Err(ErrorCode::Exist));
    let directory = open(&mut guest, root, "directory", OpenFlags::DIRECTORY, READ).unwrap();
    let link = |from: &str| (root, NO_FOLLOW, from.to_string(), directory, "other".to_string());
    assert_eq!(guest.call(link_at, link("file")), Ok(()));
    assert_eq!(guest.call(link_at, link("file")), Err(ErrorCode::Exist));
    assert_eq!(guest.call(link_at, link("none")), Err(ErrorCode::NoEntry));
    assert_eq!(
        guest.call(link_at, (root, NO_FOLLOW, "directory".into(), root, "new".into())),
        Err(ErrorCode::NotPermitted)
    );
    assert_eq!(stat_of(&mut guest, "file").unwrap().link_count, 2);
    assert_eq!(guest.call(remove_directory_at, (root, "directory".into())), Err(ErrorCode::NotEmpty));
    assert_eq!(guest.call(unlink_file_at, (root, "directory".into())), Err(ErrorCode::IsDirectory));
    assert_eq!(guest.call(rename_at, (directory, "other".into(), root, "moved".into())), Ok(()));
    assert_eq!(guest.call(remove_directory_at, (root, "directory/".into())), Ok(()));
    assert_eq!(guest.call(remove_directory_at, (root, "moved".into())), Err(ErrorCode::NotDirectory));
    assert_eq!(guest.call(symlink_at, (root, "moved".into(), "link".into())), Ok(()));
    assert_eq!(guest.call(symlink_at, (root, "/moved".into(), "l".into())), Err(ErrorCode::NotPermitted));
    assert_eq!(guest.call(readlink_at, (root, "link".into())), Ok("moved".into()));
    assert_eq!(guest.call(readlink_at, (root, "moved".into())), Err(ErrorCode::Invalid));
    assert_eq!(stat_of(&mut guest, "link").unwrap().ty, DescriptorType::SymbolicLink);
    let followed = guest.call(stat_at, (root, FOLLOW, "link".into())).unwrap();
    assert_eq!((followed.ty, followed.size), (DescriptorType::RegularFile, 4));
    assert_eq!(guest.call(unlink_file_at, (root, "moved".into())), Ok(()));
    assert_eq!(stat_of(&mut guest, "moved"), Err(ErrorCode::NoEntry));
    assert_eq!(guest.call(stat_at, (root, FOLLOW, "link".into())), Err(ErrorCode::NoEntry));
}

#[test]
fn which_file_it_is_can_be_told() {
    let mut guest = guest();
    let root = root(&mut guest);
    guest.file("one", b"text");
    guest.file("two", b"text");
    let [one, again, two] =
        ["one", "one", "two"].map(|path| open(&mut guest, root, path, OPEN, BOTH).unwrap());
    assert!(guest.call(is_same_object, (one, again)));
    assert!(!guest.call(is_same_object, (one, two)));
    assert!(guest.call(is_same_object, (root, root)));
    let hash = guest.call(metadata_hash, (one,)).unwrap();
    assert_eq!(guest.call(metadata_hash_at, (root, NO_FOLLOW, "one".into())), Ok(hash));
    assert_ne!(guest.call(metadata_hash, (two,)).unwrap().lower, hash.lower);
    guest.call(write, (again, vec![1], 9)).unwrap();
    let changed = guest.call(metadata_hash, (one,)).unwrap();
    assert_eq!(changed.lower, hash.lower);
    assert_ne!(changed.upper, hash.upper);
}

#[test]
fn times_are_set_as_asked() {
    let mut guest = guest();
    let root = root(&mut guest);
    guest.file("file", b"text");
    let file = open(&mut guest, root, "file", OPEN, READ).unwrap();
    let time = Datetime { seconds: 5, nanoseconds: 999_999_999 };
    let before = guest.call(stat, (file,)).unwrap();
    assert_eq!(guest.call(set_times, (file, NewTimestamp::NoChange, NewTimestamp::Timestamp(time))), Ok(()));
    let after = guest.call(stat, (file,)).unwrap();
    assert_eq!(after.data_modification_timestamp, Some(time));
    assert_eq!(after.data_access_timestamp, before.data_access_timestamp);
    let at = |accessed, modified| (root, NO_FOLLOW, "file".to_string(), accessed, modified);
    assert_eq!(guest.call(set_times_at, at(NewTimestamp::Timestamp(time), NewTimestamp::Now)), Ok(()));
    let after = guest.call(stat, (file,)).unwrap();
    assert_eq!(after.data_access_timestamp, Some(time));
    assert_eq!(
        after.data_modification_timestamp, before.data_modification_timestamp,
        "the clock stands still"
    );
    for (wrong, code) in [
        (Datetime { seconds: 0, nanoseconds: 1_000_000_000 }, ErrorCode::Invalid),
        (Datetime { seconds: u64::MAX, nanoseconds: 0 }, ErrorCode::Overflow),
    ] {
        let wrong = NewTimestamp::Timestamp(wrong);
        assert_eq!(guest.call(set_times, (file, NewTimestamp::Now, wrong)), Err(code));
        assert_eq!(guest.call(set_times_at, at(wrong, NewTimestamp::Now)), Err(code));
        assert_eq!(guest.call(set_times, (root, wrong, wrong)), Err(code));
    }
    assert_eq!(guest.call(stat, (file,)), Ok(after));
}

#[test]
fn a_directory_is_listed_once_without_the_dots() {
    let mut guest = guest();
    let root = root(&mut guest);
    let names: BTreeSet<_> = (0..100).map(|index| format!("file-{index}")).collect();
    for name in &names {
        guest.file(name, b"");
    }
    guest.call(create_directory_at, (root, "directory".into())).unwrap();
    let [stream, other] = [(); 2].map(|()| borrow(guest.call(read_directory, (root,)).unwrap()));
    let mut listed = BTreeSet::new();
    while let Some(entry) = guest.call(read_directory_entry, (stream,)).unwrap() {
        match entry.ty {
            DescriptorType::Directory => assert_eq!(entry.name, "directory"),
            ty => {
                assert_eq!(ty, DescriptorType::RegularFile);
                assert!(listed.insert(entry.name), "each once");
            }
        }
    }
    assert_eq!(listed, names);
    assert_eq!(guest.call(read_directory_entry, (stream,)), Ok(None));
    assert!(guest.call(read_directory_entry, (other,)).unwrap().is_some(), "streams have nothing in common");
    assert_eq!(guest.drop::<DirectoryEntryStream>(stream.rep), Ok(()));
    assert_eq!(guest.trap(read_directory_entry, (stream,)), Trap::UnknownHandle(stream.rep));
    let empty = open(&mut guest, root, "directory", OpenFlags::DIRECTORY, READ).unwrap();
    let stream = borrow(guest.call(read_directory, (empty,)).unwrap());
    assert_eq!(guest.call(read_directory_entry, (stream,)), Ok(None));
}

#[test]
fn streams_go_on_where_they_were_and_outlive_their_descriptor() {
    let mut guest = guest();
    let root = root(&mut guest);
    guest.file("file", b"0123456789");
    let file = open(&mut guest, root, "file", OPEN, BOTH).unwrap();
    let reader = borrow(guest.call(read_via_stream, (file, 4)).unwrap());
    let writer = borrow(guest.call(write_via_stream, (file, 2)).unwrap());
    let appender = borrow(guest.call(append_via_stream, (file,)).unwrap());
    assert_eq!(guest.call(read_via_stream, (file, u64::MAX)), Err(ErrorCode::Invalid));
    assert_eq!(guest.drop::<Descriptor>(file.rep), Ok(()));
    assert_eq!(guest.call(streams::read, (reader, 2)), Ok(b"45".to_vec()));
    assert_eq!(guest.call(streams::blocking_write_and_flush, (writer, b"abcd".to_vec())), Ok(()));
    assert_eq!(guest.call(streams::blocking_write_and_flush, (writer, b"ef".to_vec())), Ok(()));
    assert_eq!(guest.call(streams::blocking_write_and_flush, (appender, b"xy".to_vec())), Ok(()));
    assert_eq!(guest.files.read_file("file"), Ok(b"01abcdef89xy".to_vec()));
    assert_eq!(guest.call(streams::blocking_read, (reader, 99)), Ok(b"ef89xy"[..].to_vec()));
    assert_eq!(guest.call(streams::read, (reader, 9)), Err(StreamError::Closed));
    assert_eq!(guest.call(streams::blocking_write_zeroes_and_flush, (appender, 2)), Ok(()));
    assert_eq!(guest.call(streams::read, (reader, 9)), Ok(vec![0, 0]), "the file has grown");
}

#[test]
fn a_full_file_system_is_an_error_of_files() {
    let mut guest = guest();
    let root = root(&mut guest);
    let file = open(&mut guest, root, "file", CREATE, WRITE).unwrap();
    let writer = borrow(guest.call(write_via_stream, (file, 0)).unwrap());
    let failed = loop {
        let permit = guest.call(streams::check_write, (writer,)).unwrap();
        if let Err(error) = guest.call(streams::write, (writer, vec![7; permit as usize])) {
            break error;
        }
    };
    let StreamError::LastOperationFailed(error) = failed else { panic!("{failed:?}") };
    assert_eq!(guest.call(filesystem_error_code, (borrow(error),)), Some(ErrorCode::InsufficientSpace));
    assert_eq!(guest.call(streams::check_write, (writer,)), Err(StreamError::Closed));
}

#[test]
fn there_is_an_end_to_descriptors() {
    let mut guest = guest_with(3);
    let root = root(&mut guest);
    let file = open(&mut guest, root, "file", CREATE, WRITE).unwrap();
    assert_eq!(open(&mut guest, root, "other", CREATE, WRITE), Err(ErrorCode::InsufficientMemory));
    assert_eq!(guest.files.read_file("other").err(), Some(Error::NoEntry), "nothing was made in vain");
    assert_eq!(guest.call(read_directory, (root,)), Err(ErrorCode::InsufficientMemory));
    assert!(matches!(guest.trap(get_directories, ()), Trap::Limit(_)));
    guest.drop::<Descriptor>(file.rep).unwrap();
    assert!(open(&mut guest, root, "other", CREATE, WRITE).is_ok());
}
