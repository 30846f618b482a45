//! The table of a guest's descriptors: numbers, rights and flags. What a descriptor can do is in
//! [`io`](crate::io) and [`filesystem`](crate::filesystem).

use super::types::{FILE_TYPE_UNKNOWN, FdFlags, Rights, file_type};
use crate::{
    Error, Result,
    filesystem::{Directory, Kind, OpenFile},
    heap,
    io::{InputStream, OutputStream},
    sockets::TcpSocket,
};
use alloc::{collections::BinaryHeap, string::String, sync::Arc, vec::Vec};
use core::{cmp::Reverse, mem};

/// What a descriptor stands for.
pub enum Object {
    /// A stream to read (stdin).
    Input(Arc<dyn InputStream>),
    /// A stream to write (stdout, stderr).
    Output(Arc<dyn OutputStream>),
    /// A stream to read and to write, or a listener.
    Socket(TcpSocket),
    /// A file with its position.
    File(OpenFile),
    /// A directory.
    Directory(Directory),
}

impl Object {
    /// The stream to read.
    ///
    /// # Errors
    /// [`Error::BadDescriptor`] if it is none.
    pub fn reader(&self) -> Result<&dyn InputStream> {
        match self {
            Self::Input(stream) => Ok(&**stream),
            Self::Socket(socket) => Ok(socket),
            Self::Output(_) | Self::File(_) | Self::Directory(_) => Err(Error::BadDescriptor),
        }
    }

    /// The stream to write.
    ///
    /// # Errors
    /// As [`reader`](Self::reader).
    pub fn writer(&self) -> Result<&dyn OutputStream> {
        match self {
            Self::Output(stream) => Ok(&**stream),
            Self::Socket(socket) => Ok(socket),
            Self::Input(_) | Self::File(_) | Self::Directory(_) => Err(Error::BadDescriptor),
        }
    }
}

/// A descriptor.
pub struct Descriptor {
    /// What it stands for.
    pub object: Object,
    /// Its flags; `APPEND` of a file is the file's own.
    flags: FdFlags,
    /// What it may do as far as rights go. That a file was not opened for writing is the file's own.
    rights: Rights,
    inheriting: Rights,
    /// What it is, if it was there from the start, beside stdio.
    preopen: Option<Preopen>,
}

/// What was there from the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Preopen {
    /// A directory, and the guest's name for it.
    Directory(String),
    /// A socket that listens.
    Listener,
}

impl Descriptor {
    /// A stream to read.
    pub fn input(stream: Arc<dyn InputStream>) -> Self {
        Self::new(Object::Input(stream), Rights::FD_READ, Rights::FD_READ)
    }

    /// A stream to write.
    pub fn output(stream: Arc<dyn OutputStream>) -> Self {
        Self::new(Object::Output(stream), Rights::FD_WRITE, Rights::FD_WRITE)
    }

    /// A directory that is there from the start, as `name`.
    pub fn preopen(directory: Directory, name: String) -> Self {
        let preopen =
            Self::new(Object::Directory(directory), Rights::DIRECTORY, Rights::DIRECTORY | Rights::FILE);
        Self { preopen: Some(Preopen::Directory(name)), ..preopen }
    }

    /// A socket that is there from the start, and listens.
    pub fn listener(socket: TcpSocket) -> Self {
        let preopen = Self::new(Object::Socket(socket), Rights::LISTENER, Rights::CONNECTION);
        Self { preopen: Some(Preopen::Listener), ..preopen }
    }

    /// What was opened from a directory that has the rights `inheriting` for it.
    pub fn opened(object: Object, inheriting: Rights, flags: FdFlags) -> Self {
        let opened = match object {
            // A directory has no flags.
            Object::Directory(_) => return Self::new(object, Rights::DIRECTORY & inheriting, inheriting),
            Object::File(mut file) => {
                file.set_append(flags.contains(FdFlags::APPEND));
                file.set_integrity(flags.integrity());
                let rights = Rights::FILE & inheriting;
                Self::new(Object::File(file), rights, rights)
            }
            Object::Input(_) | Object::Output(_) | Object::Socket(_) => {
                Self::new(object, inheriting, inheriting)
            }
        };
        Self { flags: flags - FdFlags::APPEND, ..opened }
    }

    const fn new(object: Object, rights: Rights, inheriting: Rights) -> Self {
        Self { object, flags: FdFlags::empty(), rights, inheriting, preopen: None }
    }

    /// What it is, if it was there from the start.
    pub fn preopened(&self) -> Option<&Preopen> {
        self.preopen.as_ref()
    }

    /// Its rights: what was not given up, without what it was not opened for.
    pub fn rights(&self) -> Rights {
        let Object::File(file) = &self.object else { return self.rights };
        let mut rights = self.rights;
        rights.set(Rights::FD_READ, rights.contains(Rights::FD_READ) && file.access().read);
        rights.set(Rights::FD_WRITE, rights.contains(Rights::FD_WRITE) && file.access().write);
        rights
    }

    /// The rights of what is opened from it.
    pub fn inheriting(&self) -> Rights {
        self.inheriting
    }

    /// Makes sure that `right` has not been given up.
    ///
    /// # Errors
    /// [`Error::NotCapable`] if it has.
    pub fn require(&self, right: Rights) -> Result<()> {
        if self.rights.contains(right) { Ok(()) } else { Err(Error::NotCapable) }
    }

    /// Gives up all rights but these.
    ///
    /// # Errors
    /// [`Error::NotCapable`] if it does not have them all.
    pub fn limit_rights(&mut self, rights: Rights, inheriting: Rights) -> Result<()> {
        if !self.rights().contains(rights) || !self.inheriting.contains(inheriting) {
            return Err(Error::NotCapable);
        }
        self.rights = rights;
        self.inheriting = inheriting;
        Ok(())
    }

    /// Its flags.
    pub fn flags(&self) -> FdFlags {
        match &self.object {
            Object::File(file) if file.append() => self.flags | FdFlags::APPEND,
            _ => self.flags,
        }
    }

    /// Sets `APPEND` and `NONBLOCK`.
    ///
    /// # Errors
    /// [`Error::Invalid`] when any other would change; [`Error::BadDescriptor`] for a directory, which has none;
    /// [`Error::NotCapable`] for a file or a socket without the right.
    pub fn set_flags(&mut self, flags: FdFlags) -> Result<()> {
        let settable = FdFlags::APPEND | FdFlags::NONBLOCK;
        if flags - settable != self.flags - settable {
            return Err(Error::Invalid);
        }
        let permitted = self.require(Rights::FD_FDSTAT_SET_FLAGS);
        match &mut self.object {
            Object::File(file) => {
                permitted?;
                file.set_append(flags.contains(FdFlags::APPEND));
            }
            Object::Socket(_) => permitted?,
            Object::Input(_) | Object::Output(_) => {}
            Object::Directory(_) => return Err(Error::BadDescriptor),
        }
        self.flags = flags - FdFlags::APPEND;
        Ok(())
    }

    /// `filetype`.
    pub fn file_type(&self) -> Result<u8> {
        let terminal = match &self.object {
            Object::Input(stream) => stream.is_terminal(),
            Object::Output(stream) => stream.is_terminal(),
            Object::Socket(_) => return Ok(file_type(Kind::Socket)),
            Object::File(file) => return Ok(file_type(file.stat()?.kind)),
            Object::Directory(_) => return Ok(file_type(Kind::Directory)),
        };
        Ok(if terminal { file_type(Kind::CharacterDevice) } else { FILE_TYPE_UNKNOWN })
    }

    /// The file, if it is one and has the right.
    ///
    /// # Errors
    /// [`Error::BadDescriptor`] if it is none, [`Error::NotCapable`].
    pub fn file(&mut self, right: Rights) -> Result<&mut OpenFile> {
        let permitted = self.require(right);
        match &mut self.object {
            Object::File(file) => permitted.map(|()| file),
            Object::Input(_) | Object::Output(_) | Object::Socket(_) | Object::Directory(_) => {
                Err(Error::BadDescriptor)
            }
        }
    }

    /// The file, for what needs a position.
    ///
    /// # Errors
    /// As [`file`](Self::file), but [`Error::NotSeekable`] for a stream.
    pub fn seekable(&mut self, right: Rights) -> Result<&mut OpenFile> {
        match &self.object {
            Object::Input(_) | Object::Output(_) | Object::Socket(_) => Err(Error::NotSeekable),
            Object::File(_) | Object::Directory(_) => self.file(right),
        }
    }

    /// The directory, if it is one and has the right.
    ///
    /// # Errors
    /// [`Error::NotDirectory`] for a file, [`Error::BadDescriptor`] for a stream, [`Error::NotCapable`].
    pub fn directory(&self, right: Rights) -> Result<&Directory> {
        match &self.object {
            Object::Directory(directory) => self.require(right).map(|()| directory),
            Object::File(_) => Err(Error::NotDirectory),
            Object::Input(_) | Object::Output(_) | Object::Socket(_) => Err(Error::BadDescriptor),
        }
    }

    /// The socket, if it is one and has the right.
    ///
    /// # Errors
    /// [`Error::NotSocket`] for any other, [`Error::NotCapable`].
    pub fn socket(&self, right: Rights) -> Result<&TcpSocket> {
        match &self.object {
            Object::Socket(socket) => self.require(right).map(|()| socket),
            Object::Input(_) | Object::Output(_) | Object::File(_) | Object::Directory(_) => {
                Err(Error::NotSocket)
            }
        }
    }
}

/// A guest's descriptors. A new one gets the lowest number that is free.
pub struct Descriptors {
    slots: Vec<Option<Descriptor>>,
    /// The empty slots, each once.
    free: BinaryHeap<Reverse<u32>>,
    max: u32,
}

impl Descriptors {
    /// No descriptors yet, and at most `max` at once.
    pub const fn new(max: u32) -> Self {
        Self { slots: Vec::new(), free: BinaryHeap::new(), max }
    }

    /// The descriptor `fd`.
    ///
    /// # Errors
    /// [`Error::BadDescriptor`] if there is none.
    #[inline]
    pub fn get(&self, fd: u32) -> Result<&Descriptor> {
        let slot = usize::try_from(fd).ok().and_then(|index| self.slots.get(index));
        slot.and_then(Option::as_ref).ok_or(Error::BadDescriptor)
    }

    /// The descriptor `fd`, to change.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    #[inline]
    pub fn get_mut(&mut self, fd: u32) -> Result<&mut Descriptor> {
        self.slot(fd)?.as_mut().ok_or(Error::BadDescriptor)
    }

    fn slot(&mut self, fd: u32) -> Result<&mut Option<Descriptor>> {
        usize::try_from(fd).ok().and_then(|index| self.slots.get_mut(index)).ok_or(Error::BadDescriptor)
    }

    /// Makes sure that [`insert`](Self::insert) will work: for a call that must not act first and then find that it
    /// has no number for the result.
    ///
    /// # Errors
    /// [`Error::TooManyOpen`], [`Error::NoMemory`].
    pub fn reserve(&mut self) -> Result<()> {
        if self.free.is_empty() {
            if u32::try_from(self.slots.len()).map_or(true, |len| len >= self.max) {
                return Err(Error::TooManyOpen);
            }
            heap::reserve(&mut self.slots, 1)?;
            // Room for them all, so that closing one cannot fail. It is empty now.
            let mut free = mem::take(&mut self.free).into_vec();
            let reserved = heap::reserve(&mut free, self.slots.len().saturating_add(1));
            self.free = free.into();
            reserved?;
        }
        Ok(())
    }

    /// Gives a descriptor the lowest free number.
    ///
    /// # Errors
    /// As [`reserve`](Self::reserve).
    pub fn insert(&mut self, descriptor: Descriptor) -> Result<u32> {
        self.reserve()?;
        match self.free.pop() {
            Some(Reverse(fd)) => {
                *self.slot(fd)? = Some(descriptor);
                Ok(fd)
            }
            None => {
                let fd = u32::try_from(self.slots.len()).map_err(|_| Error::TooManyOpen)?;
                self.slots.push(Some(descriptor));
                Ok(fd)
            }
        }
    }

    /// Takes a descriptor out.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn remove(&mut self, fd: u32) -> Result<Descriptor> {
        let descriptor = self.slot(fd)?.take().ok_or(Error::BadDescriptor)?;
        self.free.push(Reverse(fd));
        Ok(descriptor)
    }

    /// Gives the descriptor `from` the number `to`, in place of the one that has it.
    ///
    /// # Errors
    /// [`Error::BadDescriptor`] unless both are open.
    pub fn renumber(&mut self, from: u32, to: u32) -> Result<()> {
        self.get(from)?;
        self.get(to)?;
        if from != to {
            let descriptor = self.remove(from)?;
            *self.slot(to)? = Some(descriptor);
        }
        Ok(())
    }
}
