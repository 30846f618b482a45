//! The table of a guest's resources: what the representation of a handle stands for. That a handle is of the right type,
//! and the guest's to use, is the component model's business; what it stands for is looked up here, and checked all the same.

use super::{
    filesystem::{Descriptor, DirectoryEntryStream},
    http::{
        Fields, FutureIncomingResponse, FutureTrailers, IncomingBody, IncomingRequest, IncomingResponse,
        OutgoingBody, OutgoingRequest, OutgoingResponse, RequestOptions, ResponseOutparam,
    },
    io::{Input, IoError, Output, Pollable, Watched},
    sockets::{
        IncomingDatagramStream, Network, OutgoingDatagramStream, ResolveAddressStream, TcpSocket, UdpSocket,
    },
    terminal::{TerminalInput, TerminalOutput},
};
use crate::{Error, Result, heap};
use alloc::{format, vec::Vec};
use component::Trap;

/// A resource type that guests have handles of.
pub trait Resource: Sized + 'static {
    /// Its name in the WIT.
    const NAME: &'static str;
    /// Whether it counts against the limit of open descriptors, as what preview 1 has numbers for.
    const DESCRIPTOR: bool;

    /// As an entry of the table.
    fn into_entry(self) -> Entry;

    /// The resource itself, if the entry is one of this type.
    fn from_entry(entry: Entry) -> Option<Self>;

    /// The resource, if the entry is one of this type.
    fn of(entry: &Entry) -> Option<&Self>;

    /// As [`of`](Self::of), to change.
    fn of_mut(entry: &mut Entry) -> Option<&mut Self>;
}

macro_rules! resources {
    ($($resource:ident $name:literal $descriptor:literal,)*) => {
        /// An entry of the table.
        pub enum Entry {
            $($resource($resource),)*
        }

        impl Entry {
            fn is_descriptor(&self) -> bool {
                match self {
                    $(Self::$resource(_) => $resource::DESCRIPTOR,)*
                }
            }
        }

        $(impl Resource for $resource {
            const NAME: &'static str = $name;
            const DESCRIPTOR: bool = $descriptor;

            fn into_entry(self) -> Entry {
                Entry::$resource(self)
            }

            fn from_entry(entry: Entry) -> Option<Self> {
                match entry {
                    Entry::$resource(resource) => Some(resource),
                    _ => None,
                }
            }

            fn of(entry: &Entry) -> Option<&Self> {
                match entry {
                    Entry::$resource(resource) => Some(resource),
                    _ => None,
                }
            }

            fn of_mut(entry: &mut Entry) -> Option<&mut Self> {
                match entry {
                    Entry::$resource(resource) => Some(resource),
                    _ => None,
                }
            }
        })*
    };
}

resources! {
    Descriptor "descriptor" true,
    DirectoryEntryStream "directory-entry-stream" true,
    Fields "fields" true,
    FutureIncomingResponse "future-incoming-response" true,
    FutureTrailers "future-trailers" true,
    IncomingBody "incoming-body" true,
    IncomingRequest "incoming-request" true,
    IncomingResponse "incoming-response" true,
    Input "input-stream" false,
    IncomingDatagramStream "incoming-datagram-stream" true,
    IoError "error" false,
    Network "network" false,
    OutgoingDatagramStream "outgoing-datagram-stream" true,
    OutgoingBody "outgoing-body" true,
    OutgoingRequest "outgoing-request" true,
    OutgoingResponse "outgoing-response" true,
    Output "output-stream" false,
    Pollable "pollable" false,
    RequestOptions "request-options" false,
    ResolveAddressStream "resolve-address-stream" true,
    ResponseOutparam "response-outparam" true,
    TcpSocket "tcp-socket" true,
    TerminalInput "terminal-input" false,
    TerminalOutput "terminal-output" false,
    UdpSocket "udp-socket" true,
}

/// What else a guest may have for each descriptor that it may have: streams, pollables, errors.
const OTHERS_PER_DESCRIPTOR: u32 = 16;

/// A guest's resources.
pub struct Table {
    slots: Vec<Slot>,
    free: Vec<u32>,
    descriptors: u32,
    others: u32,
    max_descriptors: u32,
}

#[derive(Default)]
struct Slot {
    entry: Option<Entry>,
    parent: Option<u32>,
    /// Resources that must be dropped before this one.
    children: u32,
}

impl Table {
    /// No resources yet, and at most so many descriptors at once.
    pub const fn new(max_descriptors: u32) -> Self {
        Self { slots: Vec::new(), free: Vec::new(), descriptors: 0, others: 0, max_descriptors }
    }

    /// How many resources there are.
    pub fn len(&self) -> usize {
        self.slots.len().saturating_sub(self.free.len())
    }

    /// Adds a resource; gives its representation.
    ///
    /// # Errors
    /// [`Error::TooManyOpen`], [`Error::NoMemory`].
    pub fn insert<R: Resource>(&mut self, resource: R) -> Result<u32> {
        self.reserve::<R>()?;
        self.add(resource.into_entry(), None)
    }

    /// Makes sure that [`insert`](Self::insert) will work: for a call that must not act first and then find that there is no room for
    /// the result.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn reserve<R: Resource>(&mut self) -> Result<()> {
        let others_max = self.max_descriptors.saturating_mul(OTHERS_PER_DESCRIPTOR);
        let full =
            if R::DESCRIPTOR { self.descriptors >= self.max_descriptors } else { self.others >= others_max };
        if full {
            return Err(Error::TooManyOpen);
        }
        if self.free.is_empty() {
            heap::reserve(&mut self.slots, 1)?;
            // Room for them all, so that dropping one cannot fail.
            heap::reserve(&mut self.free, self.slots.len().saturating_add(1))?;
        }
        Ok(())
    }

    /// Adds a child of `parent`, which can only be dropped after it.
    ///
    /// # Errors
    /// As [`insert`](Self::insert), and [`Error::BadDescriptor`] without a parent.
    pub fn insert_child<R: Resource>(&mut self, resource: R, parent: u32) -> Result<u32> {
        self.reserve::<R>()?;
        let slot = self.slot(parent).filter(|slot| slot.entry.is_some()).ok_or(Error::BadDescriptor)?;
        slot.children = slot.children.saturating_add(1);
        self.add(resource.into_entry(), Some(parent))
    }

    /// Adds an entry for which there is room.
    fn add(&mut self, entry: Entry, parent: Option<u32>) -> Result<u32> {
        let count = if entry.is_descriptor() { &mut self.descriptors } else { &mut self.others };
        *count = count.saturating_add(1);
        let slot = Slot { entry: Some(entry), parent, children: 0 };
        match self.free.pop() {
            Some(rep) => {
                *self.slot(rep).ok_or(Error::BadDescriptor)? = slot;
                Ok(rep)
            }
            None => {
                let rep = u32::try_from(self.slots.len()).map_err(|_| Error::TooManyOpen)?;
                self.slots.push(slot);
                Ok(rep)
            }
        }
    }

    fn slot(&mut self, rep: u32) -> Option<&mut Slot> {
        usize::try_from(rep).ok().and_then(|index| self.slots.get_mut(index))
    }

    /// The resource that `rep` stands for.
    ///
    /// # Errors
    /// [`Trap::UnknownHandle`], if it stands for none of this type.
    pub fn get<R: Resource>(&self, rep: u32) -> core::result::Result<&R, Trap> {
        let slot = usize::try_from(rep).ok().and_then(|index| self.slots.get(index));
        slot.and_then(|slot| slot.entry.as_ref()).and_then(R::of).ok_or(Trap::UnknownHandle(rep))
    }

    /// As [`get`](Self::get), to change.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_mut<R: Resource>(&mut self, rep: u32) -> core::result::Result<&mut R, Trap> {
        let slot = self.slot(rep).and_then(|slot| slot.entry.as_mut());
        slot.and_then(R::of_mut).ok_or(Trap::UnknownHandle(rep))
    }

    /// Looks at what a pollable waits for.
    ///
    /// # Errors
    /// [`Trap::UnknownHandle`], if `rep` stands for nothing that can be waited for.
    pub fn watched<R>(
        &mut self,
        rep: u32,
        look: impl FnOnce(&mut dyn Watched) -> R,
    ) -> core::result::Result<R, Trap> {
        match self.slot(rep).and_then(|slot| slot.entry.as_mut()) {
            Some(Entry::Input(input)) => Ok(look(&mut *input.incoming())),
            Some(Entry::Output(output)) => Ok(look(&mut *output.outgoing())),
            Some(Entry::IncomingDatagramStream(stream)) => Ok(look(stream)),
            Some(Entry::OutgoingDatagramStream(stream)) => Ok(look(stream)),
            Some(Entry::ResolveAddressStream(stream)) => Ok(look(stream)),
            Some(Entry::TcpSocket(socket)) => Ok(look(socket)),
            Some(Entry::UdpSocket(socket)) => Ok(look(socket)),
            Some(Entry::FutureIncomingResponse(future)) => Ok(look(future)),
            Some(Entry::FutureTrailers(future)) => Ok(look(future)),
            _ => Err(Trap::UnknownHandle(rep)),
        }
    }

    /// Drops a resource.
    ///
    /// # Errors
    /// [`Trap::UnknownHandle`] as [`get`](Self::get); [`Trap::Host`] when it still has children.
    pub fn remove<R: Resource>(&mut self, rep: u32) -> core::result::Result<(), Trap> {
        self.take::<R>(rep).map(drop)
    }

    /// Takes a resource out: it is not the guest's any more.
    ///
    /// # Errors
    /// As [`remove`](Self::remove).
    pub fn take<R: Resource>(&mut self, rep: u32) -> core::result::Result<R, Trap> {
        self.get::<R>(rep)?;
        let slot = self.slot(rep).ok_or(Trap::UnknownHandle(rep))?;
        if slot.children > 0 {
            let (name, children) = (R::NAME, slot.children);
            return Err(Trap::Host(format!(
                "{name} dropped before what depends on it ({children} resources)"
            )));
        }
        let Slot { entry, parent, .. } = core::mem::take(slot);
        if let Some(parent) = parent.and_then(|parent| self.slot(parent)) {
            parent.children = parent.children.saturating_sub(1);
        }
        let count = if R::DESCRIPTOR { &mut self.descriptors } else { &mut self.others };
        *count = count.saturating_sub(1);
        self.free.push(rep);
        entry.and_then(R::from_entry).ok_or(Trap::UnknownHandle(rep))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_used_again_and_its_type_is_checked() {
        let mut table = Table::new(2);
        let network = table.insert(Network).unwrap();
        let terminal = table.insert(TerminalInput).unwrap();
        assert!(table.get::<Network>(network).is_ok() && table.get_mut::<TerminalInput>(terminal).is_ok());
        assert_eq!(table.get::<Network>(terminal).err(), Some(Trap::UnknownHandle(terminal)));
        assert_eq!(table.remove::<Network>(terminal), Err(Trap::UnknownHandle(terminal)));
        assert_eq!(table.remove::<Network>(network), Ok(()));
        assert_eq!(table.remove::<Network>(network), Err(Trap::UnknownHandle(network)));
        assert_eq!(table.get::<Network>(99).err(), Some(Trap::UnknownHandle(99)));
        assert_eq!(table.len(), 1);
        assert_eq!(table.insert(TerminalOutput), Ok(network));
    }

    #[test]
    fn a_parent_outlives_its_children() {
        let mut table = Table::new(2);
        let parent = table.insert(Network).unwrap();
        let children = [(); 2].map(|()| table.insert_child(TerminalInput, parent).unwrap());
        assert!(matches!(table.remove::<Network>(parent), Err(Trap::Host(_))));
        table.remove::<TerminalInput>(children[0]).unwrap();
        assert!(matches!(table.remove::<Network>(parent), Err(Trap::Host(_))));
        table.remove::<TerminalInput>(children[1]).unwrap();
        assert_eq!(table.remove::<Network>(parent), Ok(()));
        assert_eq!(table.insert_child(TerminalInput, parent), Err(Error::BadDescriptor));
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn the_table_has_an_end_and_room_again() {
        let mut table = Table::new(1);
        let first = table.insert(Network).unwrap();
        for _ in 1..OTHERS_PER_DESCRIPTOR {
            table.insert(Network).unwrap();
        }
        assert_eq!(table.insert(Network), Err(Error::TooManyOpen));
        table.remove::<Network>(first).unwrap();
        assert_eq!(table.insert(Network), Ok(first));
    }
}
