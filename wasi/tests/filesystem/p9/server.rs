//! A 9P2000.L server over any of our file systems, in this process. It is strict with its client: what the protocol
//! forbids fails the test. And it can be told to fail or to lie.

use std::{
    collections::HashMap,
    ops::ControlFlow,
    sync::{Arc, Mutex},
};
use wasi::{
    Error, Result,
    filesystem::{Access, File, Kind, Name, Node, SetTime, Stat, p9::Transport},
};

/// What a server does to one reply.
#[derive(Clone, Debug)]
pub enum Fault {
    /// None comes.
    Lost,
    /// This error instead, and nothing is done (but a fid's end).
    Errno(u32),
    /// Only so many bytes of it come.
    Cut(usize),
    /// This byte of it is another.
    Byte(usize, u8),
    /// This instead, after the header.
    Body(Vec<u8>),
    /// More bytes than it says.
    Longer,
}

/// What the test sees of a server, and tells it.
#[derive(Default)]
pub struct Control {
    /// How many requests there were.
    pub requests: usize,
    /// How many fids there are.
    pub fids: usize,
    /// The faults: on which request, counted from 0.
    pub faults: HashMap<usize, Fault>,
    /// What to do to all replies, given their number.
    pub everywhere: Option<fn(usize, &mut [u8])>,
}

/// Messages, in bytes: small, so that there are many.
pub const MESSAGE_SIZE: usize = 8192;

struct Handle {
    node: Arc<dyn Node>,
    file: Option<Arc<dyn File>>,
    append: bool,
    directory: bool,
}

pub struct Server {
    root: Arc<dyn Node>,
    handles: HashMap<u32, Handle>,
    last_tag: Option<u16>,
    control: Arc<Mutex<Control>>,
}

impl Server {
    pub fn new(root: Arc<dyn Node>, control: Arc<Mutex<Control>>) -> Self {
        Self { root, handles: HashMap::new(), last_tag: None, control }
    }
}

impl Transport for Server {
    fn max_message(&self) -> usize {
        MESSAGE_SIZE
    }

    fn exchange(&mut self, request: &[&[u8]], reply: &mut [&mut [u8]]) -> Result<usize> {
        assert!(request.iter().all(|part| !part.is_empty()) && reply.iter().all(|part| !part.is_empty()));
        let request = request.concat();
        let room: usize = reply.iter().map(|part| part.len()).sum();
        let number = {
            let mut control = self.control.lock().unwrap();
            control.requests += 1;
            control.requests - 1
        };
        let fault = self.control.lock().unwrap().faults.get(&number).cloned();
        let honest = fault.is_none();
        let mut bytes = match &fault {
            Some(Fault::Errno(errno)) => {
                // A fid's end is its end, error or not.
                if request[4] == 120 {
                    self.answer(&request);
                }
                message(7, tag_of(&request), &errno.to_le_bytes())
            }
            _ => self.answer(&request),
        };
        match fault {
            None | Some(Fault::Errno(_)) => {}
            Some(Fault::Lost) => return Err(Error::Io),
            Some(Fault::Cut(length)) => bytes.truncate(length),
            Some(Fault::Byte(at, value)) => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = value;
                }
            }
            Some(Fault::Body(body)) => bytes = message(bytes[4], tag_of(&request), &body),
            Some(Fault::Longer) => bytes.push(0),
        }
        let mut control = self.control.lock().unwrap();
        control.fids = self.handles.len();
        if let Some(change) = control.everywhere {
            change(number, &mut bytes);
        } else {
            assert!(!honest || bytes.len() <= room, "the client has room for any valid reply");
        }
        let mut rest = &bytes[..bytes.len().min(room)];
        for part in reply {
            let (now, later) = rest.split_at(rest.len().min(part.len()));
            part[..now.len()].copy_from_slice(now);
            rest = later;
        }
        Ok(bytes.len())
    }
}

fn tag_of(request: &[u8]) -> u16 {
    u16::from_le_bytes([request[5], request[6]])
}

fn message(kind: u8, tag: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = ((7 + body.len()) as u32).to_le_bytes().to_vec();
    bytes.push(kind);
    bytes.extend(tag.to_le_bytes());
    bytes.extend(body);
    bytes
}

/// A request's body; what is not there fails the test.
struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(count);
        self.0 = rest;
        bytes
    }

    fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.take(2).try_into().unwrap())
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take(4).try_into().unwrap())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take(8).try_into().unwrap())
    }

    fn string(&mut self) -> &'a str {
        let length = self.u16();
        std::str::from_utf8(self.take(length.into())).unwrap()
    }

    fn name(&mut self) -> Name<'a> {
        Name::new(self.string()).unwrap()
    }

    fn time(&mut self, set: bool, to: bool) -> SetTime {
        let (seconds, nanoseconds) = (self.u64(), self.u64());
        match (set, to) {
            (false, _) => SetTime::Keep,
            (true, false) => SetTime::Now,
            (true, true) => SetTime::To(seconds * 1_000_000_000 + nanoseconds),
        }
    }
}

fn d_type(kind: Kind) -> u32 {
    match kind {
        Kind::Fifo => 1,
        Kind::CharacterDevice => 2,
        Kind::Directory => 4,
        Kind::BlockDevice => 6,
        Kind::File => 8,
        Kind::SymbolicLink => 10,
        Kind::Socket => 12,
    }
}

fn qid(stat: &Stat) -> Vec<u8> {
    let kind = match stat.kind {
        Kind::Directory => 0x80,
        Kind::SymbolicLink => 0x02,
        _ => 0,
    };
    [&[kind, 0, 0, 0, 0][..], &stat.inode.to_le_bytes()].concat()
}

fn errno(error: Error) -> u32 {
    match error {
        Error::NotPermitted => 1,
        Error::NoEntry => 2,
        Error::BadDescriptor => 9,
        Error::Exists => 17,
        Error::CrossDevice => 18,
        Error::NotDirectory => 20,
        Error::IsDirectory => 21,
        Error::Invalid => 22,
        Error::FileTooLarge => 27,
        Error::NoSpace => 28,
        Error::NameTooLong => 36,
        Error::NotEmpty => 39,
        Error::Loop => 40,
        _ => 5,
    }
}

impl Server {
    fn answer(&mut self, request: &[u8]) -> Vec<u8> {
        let mut body = Body(request);
        assert_eq!(body.u32() as usize, request.len(), "a request is as long as it says");
        assert!(request.len() <= MESSAGE_SIZE);
        let kind = body.take(1)[0];
        let tag = body.u16();
        assert_eq!(kind == 100, tag == u16::MAX, "only Tversion has no tag");
        assert_ne!(self.last_tag.replace(tag), Some(tag), "each request has another tag");
        match self.serve(kind, &mut body) {
            Ok(reply) => {
                assert!(body.0.is_empty(), "nothing stands after the body of request {kind}");
                message(kind + 1, tag, &reply)
            }
            Err(error) => message(7, tag, &errno(error).to_le_bytes()),
        }
    }

    fn handle(&self, body: &mut Body<'_>) -> &Handle {
        &self.handles[&body.u32()]
    }

    fn bind(&mut self, fid: u32, node: Arc<dyn Node>) {
        let handle = Handle { node, file: None, append: false, directory: false };
        assert!(self.handles.insert(fid, handle).is_none(), "fid {fid} is not in use");
    }

    fn serve(&mut self, kind: u8, body: &mut Body<'_>) -> Result<Vec<u8>> {
        Ok(match kind {
            // Tversion
            100 => {
                let size = body.u32();
                assert_eq!(body.string(), "9P2000.L");
                [&size.to_le_bytes()[..], b"\x08\x009P2000.L"].concat()
            }
            // Tattach
            104 => {
                let fid = body.u32();
                assert_eq!(
                    (body.u32(), body.string(), body.string(), body.u32()),
                    (u32::MAX, "", "", u32::MAX)
                );
                self.bind(fid, self.root.clone());
                qid(&self.root.stat()?)
            }
            // Twalk
            110 => {
                let handle = self.handle(body);
                assert!(handle.file.is_none() && !handle.directory, "an open fid is not walked from");
                let mut node = handle.node.clone();
                let (new, names) = (body.u32(), body.u16());
                let mut reply = names.to_le_bytes().to_vec();
                for _ in 0..names {
                    node = node.lookup(body.name())?;
                    reply.extend(qid(&node.stat()?));
                }
                self.bind(new, node);
                reply
            }
            // Tlopen
            12 => {
                let fid = body.u32();
                let flags = body.u32();
                let node = self.handles[&fid].node.clone();
                if node.kind() != Kind::Directory {
                    self.handles.get_mut(&fid).unwrap().file = Some(node.open(access(flags))?);
                }
                self.opened(fid, flags)?
            }
            // Tlcreate
            14 => {
                let fid = body.u32();
                let name = body.name();
                let (flags, mode, group) = (body.u32(), body.u32(), body.u32());
                assert_eq!((flags & 0o300, mode, group), (0o300, 0o644, u32::MAX));
                let handle = self.handles.get_mut(&fid).unwrap();
                handle.file = Some(handle.node.create_file(name, access(flags))?);
                handle.node = handle.node.lookup(name)?;
                self.opened(fid, flags)?
            }
            // Tread
            116 => {
                let file = self.handle(body).file.clone().expect("the fid is an open file");
                let (offset, count) = (body.u64(), body.u32());
                assert!(count as usize <= MESSAGE_SIZE - 24);
                let mut bytes = vec![0; count as usize];
                let read = file.read_at(&mut bytes, offset)?;
                bytes.truncate(read);
                [&(bytes.len() as u32).to_le_bytes()[..], &bytes].concat()
            }
            // Twrite
            118 => {
                let handle = self.handle(body);
                let (offset, count) = (body.u64(), body.u32());
                let bytes = body.take(count as usize);
                let file = handle.file.as_ref().expect("the fid is an open file");
                let written = match handle.append {
                    true => file.append(bytes)?.0,
                    false => file.write_at(bytes, offset)?,
                };
                (written as u32).to_le_bytes().to_vec()
            }
            // Treaddir
            40 => {
                let handle = self.handle(body);
                assert!(handle.directory, "the fid is an open directory");
                let (offset, room) = (body.u64(), body.u32() as usize);
                assert!(room <= MESSAGE_SIZE - 24);
                let mut entries = vec![0; 4];
                handle.node.read_directory(offset, &mut |entry| {
                    let name = entry.name.as_str();
                    if entries.len() - 4 + 24 + name.len() > room {
                        return ControlFlow::Break(());
                    }
                    entries.extend([0; 5]);
                    entries.extend(entry.inode.to_le_bytes());
                    entries.extend(entry.next.to_le_bytes());
                    // Every other one is left untold, as some file systems do.
                    let told = if entry.inode % 2 == 0 { d_type(entry.kind) } else { 0 };
                    entries.push(told as u8);
                    entries.extend((name.len() as u16).to_le_bytes());
                    entries.extend(name.bytes());
                    ControlFlow::Continue(())
                })?;
                let length = entries.len() as u32 - 4;
                entries[..4].copy_from_slice(&length.to_le_bytes());
                entries
            }
            // Tgetattr
            24 => {
                let handle = self.handle(body);
                let stat = handle.file.as_ref().map_or_else(|| handle.node.stat(), |file| file.stat())?;
                assert_eq!(body.u64() & !0x7ff, 0);
                let mut reply = 0x7ff_u64.to_le_bytes().to_vec();
                reply.extend(qid(&stat));
                reply.extend((d_type(stat.kind) << 12 | 0o644).to_le_bytes());
                reply.extend([0; 8]);
                for number in [stat.links, 0, stat.size, 4096, 0] {
                    reply.extend(number.to_le_bytes());
                }
                for time in [stat.accessed, stat.modified, stat.changed, 0] {
                    reply.extend((time / 1_000_000_000).to_le_bytes());
                    reply.extend((time % 1_000_000_000).to_le_bytes());
                }
                reply.extend([0; 16]);
                reply
            }
            // Tsetattr
            26 => {
                let handle = self.handle(body);
                let valid = body.u32();
                assert_eq!((valid & !0x1b8, body.u32(), body.u32(), body.u32()), (0, 0, u32::MAX, u32::MAX));
                let size = body.u64();
                let accessed = body.time(valid & 0x10 != 0, valid & 0x80 != 0);
                let modified = body.time(valid & 0x20 != 0, valid & 0x100 != 0);
                if valid & 0x8 != 0 {
                    handle.file.as_ref().expect("the fid is an open file").set_size(size)?;
                }
                match &handle.file {
                    Some(file) => file.set_times(accessed, modified)?,
                    None => handle.node.set_times(accessed, modified)?,
                }
                vec![]
            }
            // Tmkdir
            72 => {
                let directory = self.handle(body).node.clone();
                let name = body.name();
                assert_eq!((body.u32(), body.u32()), (0o755, u32::MAX));
                directory.create_directory(name)?;
                qid(&directory.lookup(name)?.stat()?)
            }
            // Tsymlink
            16 => {
                let directory = self.handle(body).node.clone();
                let (name, target) = (body.name(), body.string());
                assert_eq!(body.u32(), u32::MAX);
                directory.create_symbolic_link(name, target)?;
                qid(&directory.lookup(name)?.stat()?)
            }
            // Tlink
            70 => {
                let directory = self.handle(body).node.clone();
                let node = self.handle(body).node.clone();
                directory.link(body.name(), &*node)?;
                vec![]
            }
            // Trenameat
            74 => {
                let old = self.handle(body).node.clone();
                let name = body.name();
                let new = self.handle(body).node.clone();
                old.rename(name, &*new, body.name())?;
                vec![]
            }
            // Tunlinkat
            76 => {
                let directory = self.handle(body).node.clone();
                let name = body.name();
                match body.u32() {
                    0 => directory.unlink(name)?,
                    0x200 => directory.remove_directory(name)?,
                    flags => panic!("no such flags: {flags:#x}"),
                }
                vec![]
            }
            // Treadlink
            22 => {
                let target = self.handle(body).node.read_link()?;
                [&(target.len() as u16).to_le_bytes()[..], target.as_bytes()].concat()
            }
            // Tfsync
            50 => {
                let handle = self.handle(body);
                let data_only = body.u32() == 1;
                match &handle.file {
                    Some(file) => file.sync(data_only)?,
                    None => handle.node.sync()?,
                }
                vec![]
            }
            // Tclunk
            120 => {
                self.handles.remove(&body.u32()).expect("the fid is in use");
                vec![]
            }
            _ => panic!("no such request: {kind}"),
        })
    }

    fn opened(&mut self, fid: u32, flags: u32) -> Result<Vec<u8>> {
        let handle = self.handles.get_mut(&fid).unwrap();
        handle.append = flags & 0o2000 != 0;
        handle.directory = handle.file.is_none();
        assert!(flags & 0o400_000 != 0, "links are never followed");
        Ok([qid(&handle.node.stat()?), vec![0; 4]].concat())
    }
}

fn access(flags: u32) -> Access {
    Access { read: flags & 3 != 1, write: flags & 3 != 0 }
}
