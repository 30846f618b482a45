//! The 9P client and a server that answers anything.
//!
//! What must hold: every call returns (an error, or what can be made of the answer), nothing is asked after the
//! conversation has failed, a name that it gives is one, and no answer makes the client take more memory than the messages
//! agreed on.

use arbitrary::Unstructured;
use std::{ops::ControlFlow, sync::Arc, sync::Mutex};
use wasi::{
    Error, Result,
    filesystem::{
        Access, Descriptor, Directory, File, Name, OpenFlags, Permissions, SetTime,
        p9::{self, Transport},
    },
};

/// The longest message. Small, so that a file takes several.
const MESSAGE_MAX: usize = 5000;

/// A server that says what the input says.
struct Liar {
    answers: Vec<u8>,
    at: usize,
    failed: Arc<Mutex<bool>>,
}

impl Liar {
    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let taken = self.answers.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    /// The next answer: a byte says how honest its header is and how long the body.
    fn answer(&mut self, kind: u8, tag: [u8; 2]) -> Option<Vec<u8>> {
        let how = *self.take(1)?.first()?;
        if how == u8::MAX {
            let len = usize::from(*self.take(1)?.first()?);
            return Some(self.take(len)?.to_vec());
        }
        let mut body = match (how >> 6, kind) {
            // The answers that let the conversation begin and go on.
            (0 | 1, 100) => [&5000_u32.to_le_bytes()[..], &8_u16.to_le_bytes(), b"9P2000.L"].concat(),
            // `qid`: what it is comes from the input.
            (0 | 1, 104) => [&[0x80, 0, 0, 0, 0][..], &1_u64.to_le_bytes()].concat(),
            (0 | 1, 110) => {
                [&1_u16.to_le_bytes()[..], &[how << 2 & 0x80 | how & 2, 0, 0, 0, 0], &2_u64.to_le_bytes()]
                    .concat()
            }
            (0, 12 | 14 | 16 | 72) => [&[how & 0x80, 0, 0, 0, 0][..], &2_u64.to_le_bytes(), &[0; 4]].concat(),
            (0, 26 | 50 | 70 | 74 | 76 | 120) => vec![],
            // Data of as many bytes as it says.
            (0, 40 | 116) => {
                let data = self.take(usize::from(how & 63) * 4)?.to_vec();
                [&u32::try_from(data.len()).ok()?.to_le_bytes()[..], &data].concat()
            }
            (0, 24) => {
                let mut stat = u64::MAX.to_le_bytes().to_vec();
                stat.extend_from_slice(self.take(24)?);
                stat.resize(153, 0);
                stat
            }
            _ => self.take(usize::from(how & 63))?.to_vec(),
        };
        let kind = if how >> 6 == 3 && how & 1 == 1 { 7 } else { kind + 1 };
        if kind == 7 {
            body.resize(4, 0);
        }
        let len = u32::try_from(7 + body.len()).ok()?;
        Some([&len.to_le_bytes()[..], &[kind], &tag, &body].concat())
    }
}

impl Transport for Liar {
    fn max_message(&self) -> usize {
        MESSAGE_MAX
    }

    fn exchange(&mut self, request: &[&[u8]], reply: &mut [&mut [u8]]) -> Result<usize> {
        assert!(!*self.failed.lock().unwrap(), "a request after the conversation has failed");
        let request = request.concat();
        assert!(request.len() <= MESSAGE_MAX && request.len() >= 7, "a request of {} bytes", request.len());
        assert_eq!(request[..4], u32::try_from(request.len()).unwrap().to_le_bytes());
        let Some(answer) = self.answer(request[4], [request[5], request[6]]) else {
            *self.failed.lock().unwrap() = true;
            return Err(Error::Io);
        };
        let mut rest = &answer[..];
        for part in reply {
            let (front, behind) = rest.split_at(rest.len().min(part.len()));
            part[..front.len()].copy_from_slice(front);
            rest = behind;
        }
        // What does not fit is cut off here, and said to be there now and then.
        Ok(if answer.first() == Some(&0xee) { answer.len() } else { answer.len() - rest.len() })
    }
}

/// Runs the target on `data`: calls, and what the server answers.
pub fn run(data: &[u8]) {
    let split = data.len() / 4;
    let (calls, answers) = data.split_at(split);
    let failed = Arc::new(Mutex::new(false));
    let liar = Liar { answers: answers.to_vec(), at: 0, failed };
    let Ok(root) = p9::attach(Box::new(liar), p9::Options::default()) else { return };
    let Ok(root) = Directory::new(root, Permissions::ReadWrite) else { return };
    let mut calls = Unstructured::new(calls);
    let mut directory = root.clone();
    for _ in 0..64 {
        if calls.is_empty() {
            break;
        }
        // Whatever it says: that it returns is what is looked for.
        let _ = call(&root, &mut directory, &mut calls);
    }
}

fn call(root: &Directory, directory: &mut Directory, calls: &mut Unstructured<'_>) -> Result<()> {
    let any = |_| Error::Invalid;
    let path = *calls.choose(&["a", "a/b", "a/b/c", "l", "a/..", ".", "a/"]).map_err(any)?;
    let follow = calls.arbitrary().map_err(any)?;
    match calls.int_in_range(0..=12).map_err(any)? {
        0 => drop(root.stat_at(path, follow)?),
        1 => drop(root.readlink_at(path)?),
        2 => root.create_directory_at(path)?,
        3 => root.symlink_at("b", path)?,
        4 => root.link_at(path, follow, directory, "n")?,
        5 => root.rename_at(path, directory, "n")?,
        6 => root.unlink_file_at(path)?,
        7 => root.remove_directory_at(path)?,
        8 => {
            let cookie = *calls.choose(&[0, 1, 2, 3, 7, u64::MAX]).map_err(any)?;
            directory.read_directory(cookie, &mut |entry| {
                assert!(matches!(entry.name, "." | "..") || Name::new(entry.name).is_ok());
                ControlFlow::Continue(())
            })?;
        }
        9 => root.set_times_at(path, follow, SetTime::Now, SetTime::To(u64::MAX))?,
        10 => {
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
                    let _ = use_file(&**file.file(), calls);
                }
            }
        }
    }
    Ok(())
}

fn use_file(file: &dyn File, calls: &mut Unstructured<'_>) -> Result<()> {
    let any = |_| Error::Invalid;
    let mut buffer = vec![0; *calls.choose(&[0, 1, 100, 6000]).map_err(any)?];
    let number = *calls.choose(&[0, 1, 4095, 1 << 40, (1 << 63) - 1, 1 << 63, u64::MAX]).map_err(any)?;
    match calls.int_in_range(0..=7).map_err(any)? {
        0 => assert!(file.read_at(&mut buffer, number)? <= buffer.len()),
        1 => assert!(file.write_at(&buffer, number)? <= buffer.len()),
        2 => assert!(file.append(&buffer)?.0 <= buffer.len()),
        3 => drop(file.stat()?),
        4 => file.set_size(number)?,
        5 => file.allocate(number, 5)?,
        6 => file.sync(true)?,
        _ => file.set_times(SetTime::To(number), SetTime::Keep)?,
    }
    Ok(())
}
