//! The 9P client, and a server that is honest for as long as the input lets it be.
//!
//! What must hold: every call returns (an error, or what can be made of the answer), nothing is asked after the
//! conversation has failed, and a name that it gives is one. As long as all answers are honest, errors among them: requests
//! are about fids that the server knows and for what they were opened; all are forgotten in the end; the bytes read are the
//! server's; the bytes that the server took are the caller's, and as many as the caller is told; and a listing is whole.

use super::machine::endless_heap;
use arbitrary::Unstructured;
use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    sync::{Arc, Mutex},
};
use wasi::{
    Error, Result,
    filesystem::{
        Access, Descriptor, Directory, File, Name, OpenFlags, Permissions, SetTime,
        p9::{self, Transport},
    },
};

/// The longest message. Small, so that a file takes several.
const MESSAGE_MAX: usize = 5000;

/// Request types that the server treats specially.
mod request {
    pub(super) const OPEN: u8 = 12;
    pub(super) const CREATE: u8 = 14;
    pub(super) const READ_LINK: u8 = 22;
    pub(super) const GET_ATTRIBUTES: u8 = 24;
    pub(super) const READ_DIRECTORY: u8 = 40;
    pub(super) const SYNC: u8 = 50;
    pub(super) const LINK: u8 = 70;
    pub(super) const VERSION: u8 = 100;
    pub(super) const ATTACH: u8 = 104;
    pub(super) const WALK: u8 = 110;
    pub(super) const READ: u8 = 116;
    pub(super) const WRITE: u8 = 118;
    pub(super) const CLUNK: u8 = 120;
}

/// What the server knows of a fid.
#[derive(Clone, Copy)]
struct Fid {
    node: u64,
    open: bool,
}

/// What the server has seen.
#[derive(Default)]
struct Log {
    /// An answer was not honest: nothing is expected any more.
    lied: bool,
    /// The conversation is over.
    failed: bool,
    /// How often the server has said that something failed.
    errors: u32,
    fids: BTreeMap<u32, Fid>,
    /// What it took of each write, and where.
    written: Vec<(u64, Vec<u8>)>,
    /// The entries of each directory.
    entries: u64,
}

/// The server.
struct Server {
    answers: Vec<u8>,
    at: usize,
    log: Arc<Mutex<Log>>,
}

/// The fields of a request, from its front.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at_checked(count).expect("a request is whole");
        self.0 = rest;
        bytes
    }

    fn number(&mut self, bytes: usize) -> u64 {
        self.bytes(bytes).iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
    }

    fn name(&mut self) -> &'a [u8] {
        let len = self.number(2);
        self.bytes(usize::try_from(len).expect("a short name"))
    }

    fn fid(&mut self) -> u32 {
        u32::try_from(self.number(4)).expect("four bytes")
    }
}

/// The type of a node, as a qid has it: directories, files and links by their numbers.
fn kind(node: u64) -> u8 {
    [0x80, 0, 2, 0][usize::try_from(node % 4).unwrap_or(0)]
}

fn qid(node: u64) -> Vec<u8> {
    [&[kind(node), 0, 0, 0, 0][..], &node.to_le_bytes()].concat()
}

/// The byte of every file at an offset.
fn content(offset: u64) -> u8 {
    (offset.wrapping_mul(0x9e37_79b9) >> 13).to_le_bytes()[0]
}

/// The name of an entry: now and then one that is none.
fn entry_name(at: u64) -> Vec<u8> {
    match at % 16 {
        0 => b".".into(),
        1 => b"..".into(),
        9 => b"\xff\xfe".into(),
        10 => b"a/b".into(),
        _ => format!("entry {at}").into(),
    }
}

impl Server {
    fn take(&mut self) -> u8 {
        let byte = self.answers.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        byte
    }

    fn take_all(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.take()).collect()
    }

    /// The answer: a byte says how honest it is, and chooses what is open to an honest server.
    fn answer(&mut self, request: &[u8]) -> Vec<u8> {
        let kind = request[4];
        let tag = [request[5], request[6]];
        let message = |kind: u8, body: &[u8]| {
            let len = u32::try_from(7 + body.len()).expect("a short message");
            [&len.to_le_bytes()[..], &[kind], &tag, body].concat()
        };
        let log = self.log.clone();
        let log = &mut *log.lock().unwrap();
        match self.take() {
            // Whatever the answer to it is, a fid is forgotten.
            how if how < 0xc0 || how < 0xe0 && kind == request::CLUNK => {
                message(kind + 1, &honest(log, kind, &request[7..], how))
            }
            how @ ..0xe0 => {
                log.errors += 1;
                // What a client takes for an answer, and what is none.
                let errno: u32 = [2, 20, 40, 17, 28, 13, 5, 39][usize::from(how % 8)];
                message(7, &errno.to_le_bytes())
            }
            how => {
                log.lied = true;
                let len = usize::from(self.take());
                match how % 4 {
                    0 => message(kind + 1, &self.take_all(len)),
                    1 => {
                        let mut body = honest(log, kind, &request[7..], how);
                        if let Some(byte) = body.get_mut(len) {
                            *byte = self.take();
                        }
                        message(kind + 1, &body)
                    }
                    2 => {
                        let mut answer = message(kind + 1, &honest(log, kind, &request[7..], how));
                        // One that ends before it says ends the conversation.
                        log.failed |= len < answer.len();
                        answer.truncate(len);
                        answer
                    }
                    _ => self.take_all(len),
                }
            }
        }
    }
}

/// The body of a right answer.
fn honest(log: &mut Log, kind: u8, body: &[u8], how: u8) -> Vec<u8> {
    let mut body = Fields(body);
    if kind == request::VERSION {
        return [&body.number(4).to_le_bytes()[..4], &8_u16.to_le_bytes(), b"9P2000.L"].concat();
    }
    let fid = body.fid();
    if kind == request::ATTACH {
        assert!(log.fids.insert(fid, Fid { node: 0, open: false }).is_none());
        return qid(0);
    }
    let lied = log.lied;
    let known = match log.fids.get_mut(&fid) {
        Some(known) => known,
        None => {
            assert!(lied, "request {kind} about a fid that the server does not know");
            log.fids.entry(fid).or_insert(Fid { node: 0, open: true })
        }
    };
    let node = known.node;
    let needs_open = [request::READ, request::WRITE, request::READ_DIRECTORY, request::SYNC].contains(&kind);
    assert!(known.open || !needs_open || lied, "request {kind} about a fid that is not open");
    match kind {
        request::OPEN => {
            assert!(!known.open || lied, "a fid is opened twice");
            known.open = true;
            [qid(node), vec![0; 4]].concat()
        }
        request::CREATE => {
            *known = Fid { node: 1, open: true };
            [qid(1), vec![0; 4]].concat()
        }
        request::READ_LINK => {
            [&5_u16.to_le_bytes()[..], [b"a/b/c", b"../..", b"/abs/", b"\xff\xffabc"][usize::from(how % 4)]]
                .concat()
        }
        request::GET_ATTRIBUTES => {
            let mode: u32 = [0x4000, 0x8000, 0xa000, 0x8000][usize::try_from(node % 4).unwrap_or(0)];
            // A server that goes by names finds another file now and then.
            let found = if how > 0xb0 { node + 4 } else { node };
            let mut stat = [&u64::MAX.to_le_bytes()[..], &qid(found), &mode.to_le_bytes(), &[0; 8]].concat();
            stat.extend(u64::from(how % 5).to_le_bytes());
            stat.extend([0; 8]);
            stat.extend([0, 1, 5000, 1 << 40, u64::MAX >> 1][usize::from(how % 5)].to_le_bytes());
            stat.resize(153, how);
            stat
        }
        request::READ => {
            let (offset, count) = (body.number(8), body.number(4));
            let count = match how % 16 {
                // The end of the file.
                5 => 0,
                3 => count.min(u64::from(how)),
                _ => count,
            };
            let bytes: Vec<u8> = (offset..offset.saturating_add(count)).map(content).collect();
            [&u32::try_from(bytes.len()).expect("a short message").to_le_bytes()[..], &bytes].concat()
        }
        request::WRITE => {
            let (offset, count) = (body.number(8), body.number(4));
            assert_eq!(count, body.0.len() as u64);
            let taken = if how % 4 == 3 { count.min(u64::from(how % 16)) } else { count };
            log.written.push((offset, body.bytes(usize::try_from(taken).unwrap_or(0)).to_vec()));
            taken.to_le_bytes()[..4].to_vec()
        }
        request::READ_DIRECTORY => {
            let (from, room) = (body.number(8), usize::try_from(body.number(4)).unwrap_or(0));
            let mut entries = Vec::new();
            for at in from..log.entries {
                let name = entry_name(at);
                if entries.len() + 24 + name.len() > if how % 4 == 3 { room.min(200) } else { room } {
                    break;
                }
                entries.extend(qid(at));
                // A liar goes round in a circle now and then.
                entries.extend(if how == 0xfd { from } else { at + 1 }.to_le_bytes());
                entries.push([4, 8, 10, 0][usize::try_from(at % 4).unwrap_or(0)]);
                entries.extend((name.len() as u16).to_le_bytes());
                entries.extend(name);
            }
            [&u32::try_from(entries.len()).expect("a short message").to_le_bytes()[..], &entries].concat()
        }
        request::WALK => {
            let (new, names) = (body.fid(), body.number(2));
            // Each entry is what its name says, or what the server feels like.
            let name = if names == 0 { &[][..] } else { body.name() };
            let found = match name {
                [] => node,
                b"a" if how < 0x80 => 4,
                b"b" if how < 0x80 => 8,
                b"l" if how < 0x80 => 2,
                _ if how < 0x80 => 1,
                _ => u64::from(how % 8),
            };
            assert!(
                log.fids.insert(new, Fid { node: found, open: false }).is_none() || lied,
                "a fid is used twice"
            );
            let mut qids = names.to_le_bytes()[..2].to_vec();
            (0..names).for_each(|_| qids.extend(qid(found)));
            qids
        }
        request::LINK => {
            let linked = body.fid();
            assert!(log.fids.contains_key(&linked) || lied, "a link to a fid that the server does not know");
            vec![]
        }
        request::CLUNK => {
            log.fids.remove(&fid);
            vec![]
        }
        // Tsymlink and Tmkdir.
        16 | 72 => qid(node),
        _ => vec![],
    }
}

impl Transport for Server {
    fn max_message(&self) -> usize {
        MESSAGE_MAX
    }

    fn exchange(&mut self, request: &[&[u8]], reply: &mut [&mut [u8]]) -> Result<usize> {
        assert!(!self.log.lock().unwrap().failed, "a request after the conversation has failed");
        let request = request.concat();
        assert!(request.len() <= MESSAGE_MAX && request.len() >= 7, "a request of {} bytes", request.len());
        assert_eq!(request[..4], u32::try_from(request.len()).unwrap().to_le_bytes());
        let answer = self.answer(&request);
        let mut rest = &answer[..];
        for part in reply {
            let (front, behind) = rest.split_at(rest.len().min(part.len()));
            part[..front.len()].copy_from_slice(front);
            rest = behind;
        }
        let mut log = self.log.lock().unwrap();
        assert!(rest.is_empty() || log.lied, "no room for an honest answer");
        if log.lied && answer.first() == Some(&0xdd) {
            log.failed = true;
            return Err(Error::Io);
        }
        // What does not fit is cut off here, and said to be there now and then.
        Ok(if answer.first() == Some(&0xee) { answer.len() } else { answer.len() - rest.len() })
    }
}

/// Runs the target on `data`: a byte for the size of directories, calls, and what chooses the answers.
pub fn run(data: &[u8]) {
    endless_heap();
    let Some((&entries, data)) = data.split_first() else { return };
    let (calls, answers) = data.split_at(data.len() / 3);
    let log = Arc::new(Mutex::new(Log { entries: entries.into(), ..Log::default() }));
    let server = Server { answers: answers.to_vec(), at: 0, log: log.clone() };
    if let Ok(root) = p9::attach(Box::new(server), p9::Options::default()) {
        use_root(root, &log, &mut Unstructured::new(calls));
    }
    let log = log.lock().unwrap();
    assert!(log.lied || log.fids.is_empty(), "fids that are not forgotten");
}

fn use_root(root: Arc<dyn wasi::filesystem::Node>, log: &Mutex<Log>, calls: &mut Unstructured<'_>) {
    let Ok(root) = Directory::new(root, Permissions::ReadWrite) else { return };
    let mut directory = root.clone();
    for _ in 0..64 {
        if calls.is_empty() {
            break;
        }
        // Whatever it says: that it returns is what is looked for.
        let _ = call(&root, &mut directory, log, calls);
    }
}

fn call(
    root: &Directory,
    directory: &mut Directory,
    log: &Mutex<Log>,
    calls: &mut Unstructured<'_>,
) -> Result<()> {
    let any = |_| Error::Invalid;
    let path = *calls.choose(&["a", "a/b", "c", "a/c", "a/b/c", "l", "a/..", ".", "a/"]).map_err(any)?;
    let follow = calls.arbitrary().map_err(any)?;
    match calls.int_in_range(0..=15).map_err(any)? {
        0 => drop(root.stat_at(path, follow)?),
        1 => drop(root.readlink_at(path)?),
        2 => root.create_directory_at(path)?,
        3 => root.symlink_at("b", path)?,
        4 => root.link_at(path, follow, directory, "n")?,
        5 => root.rename_at(path, directory, "n")?,
        6 => root.unlink_file_at(path)?,
        7 => root.remove_directory_at(path)?,
        8 | 9 => list(directory, *calls.choose(&[0, 1, 2, 3, 7, 100, u64::MAX]).map_err(any)?, log)?,
        10 => root.set_times_at(path, follow, SetTime::Now, SetTime::To(u64::MAX))?,
        11 => {
            if let Descriptor::Directory(opened) =
                root.open_at(path, follow, OpenFlags::empty(), Access::default())?
            {
                *directory = opened;
            }
        }
        _ => {
            let flags = OpenFlags::from_bits_truncate(calls.arbitrary().map_err(any)?);
            let access =
                Access { read: calls.arbitrary().map_err(any)?, write: calls.arbitrary().map_err(any)? };
            if let Descriptor::File(file) = root.open_at(path, follow, flags, access)? {
                for _ in 0..8 {
                    if calls.is_empty() {
                        break;
                    }
                    let _ = use_file(&**file.file(), log, calls);
                }
            }
        }
    }
    Ok(())
}

fn list(directory: &Directory, cookie: u64, log: &Mutex<Log>) -> Result<()> {
    let errors = log.lock().unwrap().errors;
    let mut listed = Vec::new();
    directory.read_directory(cookie, &mut |entry| {
        if !matches!(entry.name, "." | "..") {
            assert!(Name::new(entry.name).is_ok());
            listed.push(entry.name.to_owned());
            assert!(listed.len() < 10_000, "a listing without end");
        }
        ControlFlow::Continue(())
    })?;
    let log = log.lock().unwrap();
    if !log.lied && log.errors == errors {
        let entries = (cookie.saturating_sub(2)..log.entries).map(entry_name);
        let names = entries.filter_map(|name| String::from_utf8(name).ok());
        let names = names.filter(|name| !matches!(&name[..], "." | "..") && !name.contains('/'));
        assert!(listed.iter().cloned().eq(names), "{cookie}: {listed:?}");
    }
    Ok(())
}

fn use_file(file: &dyn File, log: &Mutex<Log>, calls: &mut Unstructured<'_>) -> Result<()> {
    let any = |_| Error::Invalid;
    let len = *calls.choose(&[0, 1, 100, 6000, 20_000]).map_err(any)?;
    let number = *calls.choose(&[0, 1, 4095, 1 << 40, (1 << 63) - 1, 1 << 63, u64::MAX]).map_err(any)?;
    let mut buffer: Vec<u8> = (0..len).map(|at: u32| (at ^ at >> 8).to_le_bytes()[0]).collect();
    log.lock().unwrap().written.clear();
    match calls.int_in_range(0..=9).map_err(any)? {
        0 | 1 => {
            let read = file.read_at(&mut buffer, number)?;
            let expected = (number..).map(content);
            assert!(log.lock().unwrap().lied || buffer[..read].iter().copied().eq(expected.take(read)));
        }
        2 | 3 => {
            let written = file.write_at(&buffer, number);
            written_is(written.map(|count| (count, number)), &buffer, log);
        }
        4 => {
            let written = file.append(&buffer);
            // It tells the end.
            written_is(written.map(|(count, end)| (count, end - count as u64)), &buffer, log);
        }
        5 => drop(file.stat()?),
        6 => file.set_size(number)?,
        7 => file.allocate(number, 5)?,
        8 => file.sync(true)?,
        _ => file.set_times(SetTime::To(number), SetTime::Keep)?,
    }
    Ok(())
}

/// The server took what the caller was told, and nothing if it was told of an error.
fn written_is(told: Result<(usize, u64)>, buffer: &[u8], log: &Mutex<Log>) {
    let log = log.lock().unwrap();
    if log.lied {
        return;
    }
    let (count, mut at) = told.unwrap_or((0, 0));
    let mut taken = Vec::new();
    for (offset, bytes) in log.written.iter().filter(|(_, bytes)| !bytes.is_empty()) {
        assert_eq!(*offset, at, "a write that does not go on where the last one ended");
        at += bytes.len() as u64;
        taken.extend_from_slice(bytes);
    }
    assert!(
        taken == buffer[..count],
        "{count} bytes were written, the caller is told, and {} were",
        taken.len()
    );
}
