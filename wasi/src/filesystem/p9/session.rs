//! A conversation with a server: one request at a time, its reply checked, and the numbers of fids.

use super::{
    super::errno,
    Transport,
    wire::{CONTROL_MAX, DATA_HEADER, IO_HEADER, NO_TAG, RLERROR, Reader, Request, VERSION, Writer},
};
use crate::{Error, Result, heap};
use alloc::{boxed::Box, sync::Arc, vec, vec::Vec};
use spin::Mutex;

/// The smallest message size to agree to: a page, as Linux and QEMU have it.
const MESSAGE_SIZE_MIN: usize = 4096;
/// How many fids there are at most, so that no guest can exhaust the server.
const FIDS_MAX: u32 = 1 << 16;

/// The conversation.
pub(super) struct Session {
    connection: Mutex<Connection>,
    /// The largest read or write, in bytes.
    pub(super) io_max: usize,
    /// What `stat` gives as the device.
    pub(super) device: u64,
}

impl Session {
    /// Agrees with the server on the version and on the message size.
    pub(super) fn new(transport: Box<dyn Transport>, message_size: usize, device: u64) -> Result<Arc<Self>> {
        let offered = message_size.min(transport.max_message());
        let offered = u32::try_from(offered).unwrap_or(u32::MAX);
        let mut connection = Connection {
            transport,
            request: Vec::with_capacity(CONTROL_MAX),
            reply: vec![0; CONTROL_MAX],
            tag: NO_TAG,
            broken: false,
            fids: Fids { free: Vec::new(), unused: 0 },
        };
        let (agreed, known) = connection.call(
            Request::Version,
            Data::None,
            |message: &mut Writer<'_>| {
                message.u32(offered).string(VERSION);
            },
            |reply, _| Some((reply.u32()?, reply.string()? == VERSION.as_bytes())),
        )?;
        if agreed > offered {
            return Err(Error::Io);
        }
        let agreed = usize::try_from(agreed).unwrap_or(usize::MAX);
        if !known || agreed < MESSAGE_SIZE_MIN {
            return Err(Error::NotSupported);
        }
        Ok(Arc::new(Self { connection: Mutex::new(connection), io_max: agreed - IO_HEADER, device }))
    }

    /// Makes a request and reads its reply. `None` from `read` is a reply that is not what it must be.
    pub(super) fn call<T>(
        &self,
        request: Request,
        write: impl FnOnce(&mut Writer<'_>),
        read: impl FnOnce(&mut Reader<'_>) -> Option<T>,
    ) -> Result<T> {
        self.connection.lock().call(request, Data::None, write, |reply, _| read(reply))
    }

    /// Makes a request with as much of `data` as a message takes. `write` is given the length and writes it last; the
    /// result is how many bytes the server took.
    pub(super) fn send(
        &self,
        request: Request,
        data: &[u8],
        write: impl FnOnce(&mut Writer<'_>, u32),
    ) -> Result<usize> {
        let data = data.get(..self.io_max).unwrap_or(data);
        let length = u32::try_from(data.len()).map_err(|_| Error::Invalid)?;
        let taken = |reply: &mut Reader<'_>, _| {
            usize::try_from(reply.u32()?).ok().filter(|taken| *taken <= data.len())
        };
        self.connection.lock().call(request, Data::Out(data), |message| write(message, length), taken)
    }

    /// Makes a request for as much data as fits `buffer` and a message. `write` is given the length; the result is how
    /// many bytes came.
    pub(super) fn receive(
        &self,
        request: Request,
        buffer: &mut [u8],
        write: impl FnOnce(&mut Writer<'_>, u32),
    ) -> Result<usize> {
        let room = buffer.len().min(self.io_max);
        let length = u32::try_from(room).map_err(|_| Error::Invalid)?;
        let Some(buffer) = buffer.get_mut(..room).filter(|buffer| !buffer.is_empty()) else { return Ok(0) };
        let came =
            |reply: &mut Reader<'_>, data| (usize::try_from(reply.u32()?).ok()? == data).then_some(data);
        self.connection.lock().call(request, Data::In(buffer), |message| write(message, length), came)
    }

    /// A number for a new fid, bound to nothing on the server.
    pub(super) fn take_fid(&self) -> Result<u32> {
        self.connection.lock().fids.take()
    }

    /// Gives back the number of a fid that is bound to nothing on the server any more.
    pub(super) fn free_fid(&self, number: u32) {
        self.connection.lock().fids.free.push(number);
    }
}

/// The numbers of fids.
struct Fids {
    /// Those that were used and are free again. Has room for all, so that freeing one cannot fail.
    free: Vec<u32>,
    /// The first that was never used.
    unused: u32,
}

impl Fids {
    fn take(&mut self) -> Result<u32> {
        if let Some(number) = self.free.pop() {
            return Ok(number);
        }
        if self.unused >= FIDS_MAX {
            return Err(Error::TooManyOpen);
        }
        let number = self.unused;
        heap::reserve(&mut self.free, number as usize + 1)?;
        self.unused += 1;
        Ok(number)
    }
}

/// The data that a message ends with.
enum Data<'a> {
    None,
    /// The request's.
    Out(&'a [u8]),
    /// Where the reply's goes.
    In(&'a mut [u8]),
}

/// The state of the conversation.
struct Connection {
    transport: Box<dyn Transport>,
    /// The request but for its data.
    request: Vec<u8>,
    /// The reply but for its data: [`CONTROL_MAX`] bytes.
    reply: Vec<u8>,
    /// The last request's. Each has another, so that a late reply is noticed.
    tag: u16,
    /// The server or the transport has failed. What fids the server has is not known then, and on a stream where the
    /// next message begins is not either: nothing is sent any more.
    broken: bool,
    fids: Fids,
}

impl Connection {
    /// Makes a request and reads its reply; `read` is told how many bytes of data came with it.
    fn call<T>(
        &mut self,
        request: Request,
        data: Data<'_>,
        write: impl FnOnce(&mut Writer<'_>),
        read: impl FnOnce(&mut Reader<'_>, usize) -> Option<T>,
    ) -> Result<T> {
        if self.broken {
            return Err(Error::Io);
        }
        let tag = match request {
            Request::Version => NO_TAG,
            _ => self.tag.wrapping_add(1) % NO_TAG,
        };
        self.tag = tag;
        let mut message = Writer::new(&mut self.request, request, tag);
        write(&mut message);
        let out = if let Data::Out(data) = data { data } else { &[] };
        message.finish(out.len()).ok_or(Error::NameTooLong)?;

        let (control, incoming) = match data {
            Data::In(data) => (self.reply.split_at_mut(DATA_HEADER).0, data),
            Data::None | Data::Out(_) => (self.reply.as_mut_slice(), Default::default()),
        };
        let room = control.len().saturating_add(incoming.len());
        let requests: &[&[u8]] = if out.is_empty() { &[&self.request] } else { &[&self.request, out] };
        let replies: &mut [&mut [u8]] =
            if incoming.is_empty() { &mut [&mut *control] } else { &mut [&mut *control, incoming] };
        let length = self.transport.exchange(requests, replies).ok().filter(|length| *length <= room);
        let reply = length.and_then(|length| {
            let control = control.get(..length).unwrap_or(control);
            parse(control, length - control.len(), request, tag, read)
        });
        reply.unwrap_or_else(|| {
            self.broken = true;
            Err(Error::Io)
        })
    }
}

/// Reads a reply of `control` and `data` bytes. `None` when it is not one to this request.
fn parse<T>(
    control: &[u8],
    data: usize,
    request: Request,
    tag: u16,
    read: impl FnOnce(&mut Reader<'_>, usize) -> Option<T>,
) -> Option<Result<T>> {
    let mut reply = Reader::new(control);
    let length = usize::try_from(reply.u32()?).ok()?;
    let kind = reply.u8()?;
    if length != control.len() + data || reply.u16()? != tag {
        return None;
    }
    let result = match kind {
        RLERROR if data == 0 => Err(errno::error(reply.u32()?)),
        kind if kind == request as u8 + 1 => Ok(read(&mut reply, data)?),
        _ => return None,
    };
    (reply.len() == 0).then_some(result)
}
