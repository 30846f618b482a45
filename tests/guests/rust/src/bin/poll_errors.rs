//! poll_oneoff with a tag, a clock and a descriptor that do not exist.
use guests::*;

fn main() {
    let clock = |tag, id: u32| {
        // A clock id outside the enumeration can only be written raw.
        let mut raw = [0u64; 6];
        raw[0] = 9;
        raw[1] = tag;
        raw[2] = id.into();
        raw
    };
    for (name, subscription) in [
        ("clock 9", clock(0, 9)),
        ("clock u32::MAX", clock(0, u32::MAX)),
        ("tag 3", clock(3, 0)),
        ("tag 255", clock(255, 0)),
    ] {
        let mut events = [0u64; 4];
        // SAFETY: a subscription is 48 bytes and an event 32, both of alignment 8.
        let result = unsafe { poll_oneoff(subscription.as_ptr().cast(), events.as_mut_ptr().cast(), 1) };
        show(name, result);
        if result.is_ok() {
            println!("  userdata {} error {} type {}", events[0], events[1] & 0xffff, events[1] >> 16 & 0xff);
        }
    }
}
