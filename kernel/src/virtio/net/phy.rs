//! The interface as a device of smoltcp's.

use super::{ETHERNET_HEADER, Features, Link, Net, checksum};
use core::task::Waker;
use wasi::sockets::{
    self,
    smoltcp::{
        phy::{self, Checksum, ChecksumCapabilities, DeviceCapabilities, Medium},
        time::Instant,
    },
};

/// A frame that has come.
pub struct Received<'a>(&'a [u8]);

/// Room for a frame.
pub struct Room<'a> {
    link: &'a Link,
    offload: bool,
}

impl Net {
    fn room(&self) -> Room<'_> {
        Room { link: &self.link, offload: self.features.contains(Features::CSUM) }
    }
}

impl phy::Device for Net {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Room<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, Room<'_>)> {
        let mut guard = self.link.0.lock();
        let state = &mut *guard;
        // The answer to the frame, if it has one, must have room.
        if !state.find_room() {
            return None;
        }
        let len = loop {
            let Some((header, len)) = state.receiver.take(&mut self.frame) else {
                state.receiver.announce(&mut state.transport);
                return None;
            };
            state.receiver.announce_many(&mut state.transport);
            let whole = self.frame.get(..len).unwrap_or_default();
            let sound = !self.features.contains(Features::GUEST_CSUM) || checksum::is_sound(header, whole);
            if len >= ETHERNET_HEADER && sound {
                break len;
            }
        };
        drop(guard);
        Some((Received(self.frame.get(..len)?), self.room()))
    }

    fn transmit(&mut self, _: Instant) -> Option<Room<'_>> {
        let has_room = self.link.0.lock().find_room();
        has_room.then(|| self.room())
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let left = |feature| self.features.contains(feature);
        let transport = || match (left(Features::CSUM), left(Features::GUEST_CSUM)) {
            (false, false) => Checksum::Both,
            (true, false) => Checksum::Rx,
            (false, true) => Checksum::Tx,
            (true, true) => Checksum::None,
        };
        let mut checksum = ChecksumCapabilities::default();
        checksum.tcp = transport();
        checksum.udp = transport();
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = ETHERNET_HEADER + self.mtu;
        capabilities.checksum = checksum;
        capabilities
    }
}

impl phy::RxToken for Received<'_> {
    fn consume<T, F: FnOnce(&[u8]) -> T>(self, read: F) -> T {
        read(self.0)
    }
}

impl phy::TxToken for Room<'_> {
    fn consume<T, F: FnOnce(&mut [u8]) -> T>(self, len: usize, fill: F) -> T {
        let mut state = self.link.0.lock();
        let state = &mut *state;
        state.sender.send(len, self.offload, &mut state.transport, fill)
    }
}

impl sockets::Device for Net {
    fn hardware_address(&self) -> [u8; 6] {
        self.address
    }

    // What is there already is for the stack to find, afterwards.
    fn register(&mut self, waker: &Waker) {
        self.link.0.lock().waiting = Some(waker.clone());
    }

    fn flush(&mut self) {
        let mut state = self.link.0.lock();
        let state = &mut *state;
        state.sender.announce(&mut state.transport);
    }
}
