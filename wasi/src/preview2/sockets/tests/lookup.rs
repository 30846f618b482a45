//! `ip-name-lookup`.

use super::*;
use crate::preview2::sockets::lookup::*;

fn resolve(guest: &mut Guest, name: &str) -> Result<Vec<IpAddress>, ErrorCode> {
    let network = guest.call(instance, ());
    let stream = guest.call(resolve_addresses, (lend(&network), String::from(name)))?;
    let mut addresses = Vec::new();
    while let Some(address) = until_done(guest, resolve_next_address, (lend(&stream),))? {
        addresses.push(address);
    }
    // Its end is its end.
    assert_eq!(guest.call(resolve_next_address, (lend(&stream),)), Ok(None));
    guest.drop::<ResolveAddressStream>(stream.rep).unwrap();
    Ok(addresses)
}

#[test]
fn an_address_resolves_to_itself() {
    let mut guest = networked();
    for (name, address) in [
        ("127.0.0.1", IpAddress::Ipv4((127, 0, 0, 1))),
        ("0.0.0.0", IpAddress::Ipv4((0, 0, 0, 0))),
        ("192.0.2.0", IpAddress::Ipv4((192, 0, 2, 0))),
        ("::", IpAddress::Ipv6((0, 0, 0, 0, 0, 0, 0, 0))),
        ("::1", IpAddress::Ipv6((0, 0, 0, 0, 0, 0, 0, 1))),
        ("[::]", IpAddress::Ipv6((0, 0, 0, 0, 0, 0, 0, 0))),
        ("2001:0db8:0:0:0:0:0:0", IpAddress::Ipv6((0x2001, 0xdb8, 0, 0, 0, 0, 0, 0))),
        ("DEAD:beef::0", IpAddress::Ipv6((0xdead, 0xbeef, 0, 0, 0, 0, 0, 0))),
    ] {
        assert_eq!(resolve(&mut guest, name), Ok(vec![address]), "{name}");
    }
}

#[test]
fn localhost_is_this_machine() {
    let mut guest = networked();
    for name in ["localhost", "LOCALHOST."] {
        let addresses = resolve(&mut guest, name).unwrap();
        assert!(addresses.contains(&IpAddress::Ipv4((127, 0, 0, 1))), "{name}: {addresses:?}");
    }
}

#[test]
fn what_is_no_name_is_invalid() {
    let mut guest = networked();
    for name in ["", " ", "a.b<&>", "127.0.0.1:80", "[::]:80", "http://example.com/", "a..b"] {
        assert_eq!(resolve(&mut guest, name), Err(ErrorCode::InvalidArgument), "{name:?}");
    }
}

#[test]
fn without_a_name_server_no_name_is_found_for_now() {
    let mut guest = networked();
    assert_eq!(resolve(&mut guest, "example.com"), Err(ErrorCode::TemporaryResolverFailure));
}

#[test]
fn a_stream_is_ready_when_there_is_an_answer() {
    let mut guest = networked();
    let network = guest.call(instance, ());
    let stream = guest.call(resolve_addresses, (lend(&network), String::from("127.0.0.1"))).unwrap();
    let ready = guest.call(subscribe, (lend(&stream),));
    guest.until(|guest| is_ready(guest, &ready).then_some(()));
    assert_ne!(guest.call(resolve_next_address, (lend(&stream),)), Err(ErrorCode::WouldBlock));
    assert!(is_ready(&mut guest, &ready));
    assert!(matches!(guest.drop::<ResolveAddressStream>(stream.rep), Err(Trap::Host(_))));
}
