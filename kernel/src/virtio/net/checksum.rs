//! Checksums of TCP and UDP that the device completes or has checked (`VIRTIO_NET_F_CSUM`, `VIRTIO_NET_F_GUEST_CSUM`): smoltcp
//! knows whether a device does that always or never, and virtio says it of each frame.

use super::Header;
use core::ops::Range;
use wasi::sockets::smoltcp::wire::{
    EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, Ipv6Packet, checksum,
};

/// The checksum of a frame's TCP or UDP.
struct Checksum {
    /// What it covers besides the pseudo-header.
    covered: Range<usize>,
    /// Where it is, counted from there.
    offset: usize,
    /// The sum of the pseudo-header.
    pseudo_header: u16,
    /// Whether 0 says that there is none.
    optional: bool,
}

impl Checksum {
    /// `None` for a frame that has none, or only a part of what it covers.
    fn find(frame: &[u8]) -> Option<Self> {
        let ethernet = EthernetFrame::new_checked(frame).ok()?;
        let start = EthernetFrame::<&[u8]>::header_len();
        let (protocol, start, len, sum, is_v4) = match ethernet.ethertype() {
            EthernetProtocol::Ipv4 => {
                let packet = Ipv4Packet::new_checked(ethernet.payload()).ok()?;
                if packet.more_frags() || packet.frag_offset() != 0 {
                    return None;
                }
                let header = usize::from(packet.header_len());
                let len = usize::from(packet.total_len()).checked_sub(header)?;
                let protocol = packet.next_header();
                let (source, destination) = (packet.src_addr(), packet.dst_addr());
                let sum = checksum::pseudo_header_v4(&source, &destination, protocol, len as u32);
                (protocol, start + header, len, sum, true)
            }
            EthernetProtocol::Ipv6 => {
                let packet = Ipv6Packet::new_checked(ethernet.payload()).ok()?;
                let len = usize::from(packet.payload_len());
                let protocol = packet.next_header();
                let (source, destination) = (packet.src_addr(), packet.dst_addr());
                let sum = checksum::pseudo_header_v6(&source, &destination, protocol, len as u32);
                (protocol, start + packet.header_len(), len, sum, false)
            }
            _ => return None,
        };
        let offset = match protocol {
            IpProtocol::Tcp => 16,
            IpProtocol::Udp => 6,
            _ => return None,
        };
        let covered = start..start.checked_add(len)?;
        // Whole, with the checksum in it.
        (covered.end <= frame.len() && offset + 2 <= len).then_some(Self {
            covered,
            offset,
            pseudo_header: sum,
            optional: is_v4 && protocol == IpProtocol::Udp,
        })
    }

    fn place(&self) -> Range<usize> {
        let start = self.covered.start + self.offset;
        start..start + 2
    }
}

/// Leaves the checksum of `frame` to the device, if it has one: the frame gets the pseudo-header's sum, the header says where the
/// rest is.
pub(super) fn leave(frame: &mut [u8]) -> Header {
    let Some(found) = Checksum::find(frame) else { return Header::default() };
    if let Some(place) = frame.get_mut(found.place()) {
        place.copy_from_slice(&found.pseudo_header.to_be_bytes());
    }
    Header {
        flags: Header::NEEDS_CHECKSUM,
        checksum_start: found.covered.start as u16,
        checksum_offset: found.offset as u16,
    }
}

/// Whether a received frame may be taken for what was sent: the device says so, or its checksum does. (What is in
/// several fragments is not looked at.)
pub(super) fn is_sound(header: Header, frame: &[u8]) -> bool {
    if header.flags & (Header::NEEDS_CHECKSUM | Header::DATA_VALID) != 0 {
        return true;
    }
    let Some(found) = Checksum::find(frame) else { return true };
    let none = found.optional && frame.get(found.place()) == Some(&[0, 0]);
    let covered = frame.get(found.covered).unwrap_or_default();
    none || checksum::combine(&[found.pseudo_header, checksum::data(covered)]) == !0
}
