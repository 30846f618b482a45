use super::*;
use crate::{call::Argument, filesystem::Kind, preview1::types::file_type};
use crate::{
    io::OutputStream,
    preview1::{
        Snapshot, fd,
        layouts::{Event, PreStat, Subscription, event_type, preopen_type},
        poll,
        testing::*,
        types::{Advice, FstFlags, SUCCESS, Whence},
    },
    sockets::Family,
    testing::TestNetwork,
};
use alloc::{vec, vec::Vec};
use core::{net::SocketAddr, task::Waker};

/// The socket that the guest has from the start.
const LISTENER: u32 = 3;

/// A guest that serves, and who connects to it.
struct Server {
    guest: Guest,
    network: TestNetwork,
    address: SocketAddr,
}

fn server() -> Server {
    server_with(64)
}

fn server_with(max_descriptors: u32) -> Server {
    let mut served = None;
    let guest = guest_listening(max_descriptors, |machine| {
        let network = TestNetwork::new(machine);
        let listener = network.access.tcp(Family::Ipv4).unwrap();
        listener.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        listener.listen().unwrap();
        served = Some((network, listener.local_address().unwrap()));
        vec![listener]
    });
    let (network, address) = served.unwrap();
    Server { guest, network, address }
}

/// A task that nobody wakes.
fn task() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

impl Server {
    /// Lets the network go on, and its time, until `look` gives something.
    #[track_caller]
    fn until<R>(&mut self, mut look: impl FnMut(&mut Guest) -> Option<R>) -> R {
        for _ in 0..10_000 {
            self.network.settle();
            if let Some(result) = look(&mut self.guest) {
                return result;
            }
            self.guest.clock.advance(1_000_000);
        }
        panic!("that never happens");
    }

    /// Calls a function that waits for the network.
    #[track_caller]
    fn wait(&mut self, function: impl Fn(&mut Preview1<'_>) -> Polled) -> Result<()> {
        let mut polled = self.guest.poll(&function);
        self.until(|guest| {
            if polled.is_pending() {
                polled = guest.poll_again(&function);
            }
            match polled {
                Poll::Ready(result) => Some(result),
                Poll::Pending => None,
            }
        })
    }

    /// Somebody who connects.
    fn connect(&mut self) -> TcpSocket {
        let client = self.network.access.tcp(Family::Ipv4).unwrap();
        client.connect(self.address).unwrap();
        let connected = self.until(|_| match client.poll_connected(&mut task()) {
            Poll::Ready(result) => Some(result),
            Poll::Pending => None,
        });
        assert_eq!(connected, Ok(()));
        client
    }

    fn accept(&mut self, flags: FdFlags) -> Result<u32> {
        self.wait(|call| sock_accept(call, LISTENER, flags, GuestPtr::new(OUT)))?;
        Ok(self.guest.get(OUT))
    }

    /// Somebody who has connected, and the guest's descriptor.
    fn connected(&mut self) -> (TcpSocket, u32) {
        let client = self.connect();
        let fd = self.accept(FdFlags::empty()).unwrap();
        (client, fd)
    }

    /// The client sends.
    fn sends(&mut self, client: &TcpSocket, bytes: &[u8]) {
        assert_eq!(client.poll_write(&mut task(), bytes), Poll::Ready(Ok(bytes.len())));
        self.network.settle();
    }

    /// The client receives so much, or the end.
    fn receives(&mut self, client: &TcpSocket, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        let mut received = 0;
        while received < len {
            let count = self.until(|_| match client.poll_read(&mut task(), &mut bytes[received..]) {
                Poll::Ready(count) => Some(count.unwrap()),
                Poll::Pending => None,
            });
            if count == 0 {
                break;
            }
            received += count;
        }
        bytes.truncate(received);
        bytes
    }

    /// `sock_recv` into two buffers.
    fn recv(&mut self, fd: u32, (first, second): (u32, u32), flags: RiFlags) -> Result<Vec<u8>> {
        for (index, value) in [FREE, first, FREE + 0x100, second].into_iter().enumerate() {
            self.guest.put_record(VECTORS + 4 * index as u32, value);
        }
        self.guest.put_record(FLAGS, u16::MAX);
        self.wait(|call| {
            let (vectors, out, out_flags) =
                (GuestPtr::new(VECTORS), GuestPtr::new(OUT), GuestPtr::new(FLAGS));
            sock_recv(call, fd, vectors, 2, flags, out, out_flags)
        })?;
        assert_eq!(self.guest.get::<u16>(FLAGS), 0);
        let count: u32 = self.guest.get(OUT);
        let piece = |address: u32, len: u32| &self.guest.memory[address as usize..][..len as usize];
        Ok([piece(FREE, count.min(first)), piece(FREE + 0x100, count.saturating_sub(first))].concat())
    }

    /// `poll_oneoff` of one descriptor.
    fn poll(&mut self, event_type: u8, fd: u32) -> Event {
        let subscription = Subscription { user_data: 7, event_type, subject: fd, timeout: 0, flags: 0 };
        self.guest.put_record(FREE, subscription);
        self.wait(|call| {
            let (subscriptions, events) = (GuestPtr::new(FREE), GuestPtr::new(FREE + 0x100));
            poll::poll_oneoff::<Snapshot>(call, subscriptions, events, 1, GuestPtr::new(OUT))
        })
        .unwrap();
        assert_eq!(self.guest.get::<u32>(OUT), 1);
        let event: Event = self.guest.get(FREE + 0x100);
        assert_eq!((event.user_data, event.event_type), (7, event_type));
        event
    }
}

const VECTORS: u32 = 0x4200;
const FLAGS: u32 = 0x4300;

#[test]
fn a_descriptor_is_a_socket_or_not() {
    let mut guest = guest();
    let vector = guest.vector(FREE, 1);
    for (fd, error) in [
        (0, Error::NotSocket),
        (1, Error::NotSocket),
        (ROOT, Error::NotSocket),
        (99, Error::BadDescriptor),
        (u32::MAX, Error::BadDescriptor),
    ] {
        let out = GuestPtr::new(OUT);
        assert_eq!(guest.call(|call| sock_accept(call, fd, FdFlags::empty(), out)), Err(error));
        let flags = RiFlags::empty();
        let received = guest.call(|call| sock_recv(call, fd, vector, 1, flags, out, GuestPtr::new(FLAGS)));
        assert_eq!(received, Err(error));
        assert_eq!(guest.call(|call| sock_send(call, fd, vector, 1, UpTo, out)), Err(error));
        assert_eq!(guest.call(|call| sock_shutdown(call, fd, SdFlags::RD)), Err(error));
    }
}

#[test]
fn a_listener_is_there_before_the_directories_and_says_what_it_is() {
    let mut server = server();
    let guest = &mut server.guest;
    let stat = guest.fdstat(LISTENER).unwrap();
    assert_eq!((stat.file_type, stat.flags), (file_type(Kind::Socket), 0));
    assert_eq!((stat.rights, stat.inheriting), (Rights::LISTENER.bits(), Rights::CONNECTION.bits()));
    assert_eq!(guest.filestat(LISTENER).unwrap().file_type, file_type(Kind::Socket));
    let prestat: PreStat = guest.result(|call, out| fd::fd_prestat_get(call, LISTENER, out)).unwrap();
    assert_eq!(prestat, PreStat { tag: preopen_type::SOCKET, name_len: 0 });
    let named = guest.call(|call| fd::fd_prestat_dir_name(call, LISTENER, GuestPtr::new(FREE), 9));
    assert_eq!(named, Err(Error::NotDirectory));
    let prestat: PreStat = guest.result(|call, out| fd::fd_prestat_get(call, LISTENER + 1, out)).unwrap();
    assert_eq!(prestat, PreStat { tag: preopen_type::DIRECTORY, name_len: 1 });
}

#[test]
fn a_socket_is_no_file_and_a_listener_no_connection() {
    let mut server = server();
    let (_client, connection) = server.connected();
    let vector = server.guest.vector(FREE, 1);
    for fd in [LISTENER, connection] {
        let guest = &mut server.guest;
        let seek: Result<u64> =
            guest.result(|call, out| fd::fd_seek::<Snapshot>(call, fd, 0, Whence::Set, out));
        assert_eq!(seek, Err(Error::NotSeekable));
        let pread: Result<u32> = guest.result(|call, out| fd::fd_pread(call, fd, vector, 1, 0, out));
        assert_eq!(pread, Err(Error::NotSeekable));
        assert_eq!(guest.call(|call| fd::fd_sync(call, fd)), Err(Error::Invalid));
        let advice = Advice::decode(0).unwrap();
        assert_eq!(guest.call(|call| fd::fd_advise(call, fd, 0, 1, advice)), Err(Error::BadDescriptor));
        let times = guest.call(|call| fd::fd_filestat_set_times(call, fd, 1, 1, FstFlags::MTIM));
        assert_eq!(times, Err(Error::BadDescriptor));
        assert_eq!(guest.open_at(fd, "a", Default::default(), READ), Err(Error::BadDescriptor));
    }
    assert_eq!(server.guest.read(LISTENER, 1), Err(Error::NotConnected));
    assert_eq!(server.guest.write(LISTENER, b"x"), Err(Error::NotConnected));
    assert_eq!(server.recv(LISTENER, (1, 1), RiFlags::empty()), Err(Error::NotConnected));
    assert_eq!(server.recv(LISTENER, (1, 1), RiFlags::PEEK), Err(Error::NotConnected));
    let shut_down = server.guest.call(|call| sock_shutdown(call, LISTENER, SdFlags::all()));
    assert_eq!(shut_down, Err(Error::NotConnected));
    // What is no listener accepts nothing: it has not even the right.
    let accepted =
        server.guest.call(|call| sock_accept(call, connection, FdFlags::empty(), GuestPtr::new(OUT)));
    assert_eq!(accepted, Err(Error::NotCapable));
}

#[test]
fn a_connection_is_accepted_when_there_is_one() {
    let mut server = server();
    let accept = |call: &mut Preview1<'_>| sock_accept(call, LISTENER, FdFlags::empty(), GuestPtr::new(OUT));
    assert!(server.guest.poll(accept).is_pending());
    let client = server.connect();
    assert!(server.guest.wakes() > 0);
    assert_eq!(server.guest.poll_again(accept), Poll::Ready(Ok(())));
    // Behind the two directories.
    assert_eq!(server.guest.get::<u32>(OUT), 6);
    let stat = server.guest.fdstat(6).unwrap();
    assert_eq!((stat.file_type, stat.flags), (file_type(Kind::Socket), 0));
    assert_eq!((stat.rights, stat.inheriting), (Rights::CONNECTION.bits(), Rights::CONNECTION.bits()));
    let prestat: Result<PreStat> = server.guest.result(|call, out| fd::fd_prestat_get(call, 6, out));
    assert_eq!(prestat, Err(Error::BadDescriptor));
    server.sends(&client, b"hello");
    assert_eq!(server.guest.read(6, 9), Ok(b"hello".to_vec()));
}

#[test]
fn a_nonblocking_listener_waits_for_nobody() {
    let mut server = server();
    let nonblock = FdFlags::NONBLOCK;
    server.guest.call(|call| fd::fd_fdstat_set_flags(call, LISTENER, nonblock)).unwrap();
    assert_eq!(server.guest.fdstat(LISTENER).unwrap().flags, nonblock.bits());
    let accept = |call: &mut Preview1<'_>| sock_accept(call, LISTENER, nonblock, GuestPtr::new(OUT));
    assert_eq!(server.guest.call(accept), Err(Error::WouldBlock));
    let client = server.connect();
    server.network.settle();
    assert_eq!(server.guest.call(accept), Ok(()));
    let fd = server.guest.get(OUT);
    assert_eq!(server.guest.fdstat(fd).unwrap().flags, nonblock.bits());
    assert_eq!(server.guest.read(fd, 1), Err(Error::WouldBlock));
    assert_eq!(server.recv(fd, (1, 1), RiFlags::empty()), Err(Error::WouldBlock));
    assert_eq!(server.recv(fd, (1, 1), RiFlags::PEEK), Err(Error::WouldBlock));
    assert_eq!(server.recv(fd, (1, 1), RiFlags::WAITALL), Err(Error::WouldBlock));
    // Nor does it wait for the rest of what is there.
    server.sends(&client, b"x");
    assert_eq!(server.recv(fd, (1, 1), RiFlags::WAITALL), Ok(b"x".to_vec()));
    // Whether it waits is each descriptor's own.
    server.guest.call(|call| fd::fd_fdstat_set_flags(call, fd, FdFlags::empty())).unwrap();
    assert_eq!(server.guest.fdstat(LISTENER).unwrap().flags, nonblock.bits());
}

#[test]
fn a_call_that_cannot_say_what_it_accepted_accepts_nothing() {
    // Stdio, the listener, the directories.
    let mut server = server_with(6);
    let _client = server.connect();
    server.network.settle();
    for (flags, out, error) in [
        (FdFlags::APPEND, OUT, Error::Invalid),
        (FdFlags::DSYNC | FdFlags::NONBLOCK, OUT, Error::Invalid),
        (FdFlags::empty(), MEMORY - 3, Error::Fault),
        (FdFlags::empty(), OUT, Error::TooManyOpen),
    ] {
        let accepted = server.guest.call(|call| sock_accept(call, LISTENER, flags, GuestPtr::new(out)));
        assert_eq!(accepted, Err(error));
    }
    server.guest.call(|call| fd::fd_close(call, 0)).unwrap();
    assert_eq!(server.accept(FdFlags::empty()), Ok(0));
}

#[test]
fn a_right_that_was_given_up_is_gone() {
    let mut server = server();
    let (client, fd) = server.connected();
    server.sends(&client, b"x");
    let vector = server.guest.vector(FREE, 1);
    let out = GuestPtr::new(OUT);
    let limit = |server: &mut Server, fd: u32, rights: Rights| {
        server.guest.call(|call| fd::fd_fdstat_set_rights(call, fd, rights, Rights::empty())).unwrap();
    };
    // One after the other, until none is left.
    limit(&mut server, fd, Rights::CONNECTION - Rights::SOCK_SHUTDOWN);
    let shut_down = server.guest.call(|call| sock_shutdown(call, fd, SdFlags::WR));
    assert_eq!(shut_down, Err(Error::NotCapable));
    limit(&mut server, fd, Rights::FD_READ | Rights::FD_WRITE);
    let flags = server.guest.call(|call| fd::fd_fdstat_set_flags(call, fd, FdFlags::NONBLOCK));
    assert_eq!(flags, Err(Error::NotCapable));
    assert_eq!(server.guest.filestat(fd), Err(Error::NotCapable));
    limit(&mut server, fd, Rights::FD_READ);
    assert_eq!(server.guest.write(fd, b"x"), Err(Error::NotCapable));
    let sent = server.guest.call(|call| sock_send(call, fd, vector, 1, UpTo, out));
    assert_eq!(sent, Err(Error::NotCapable));
    assert_eq!(server.recv(fd, (1, 1), RiFlags::PEEK), Ok(b"x".to_vec()));
    limit(&mut server, fd, Rights::empty());
    assert_eq!(server.recv(fd, (1, 1), RiFlags::PEEK), Err(Error::NotCapable));
    assert_eq!(server.guest.read(fd, 1), Err(Error::NotCapable));

    // What is accepted has what the listener's rights let it.
    let less = Rights::FD_READ | Rights::SOCK_SHUTDOWN;
    let limited = |call: &mut Preview1<'_>| fd::fd_fdstat_set_rights(call, LISTENER, Rights::LISTENER, less);
    server.guest.call(limited).unwrap();
    let (_client, fd) = server.connected();
    assert_eq!(server.guest.fdstat(fd).unwrap().rights, less.bits());
    limit(&mut server, LISTENER, Rights::CONNECTION);
    let accepted = server.guest.call(|call| sock_accept(call, LISTENER, FdFlags::empty(), out));
    assert_eq!(accepted, Err(Error::NotCapable));
}

#[test]
fn bytes_are_read_written_received_and_sent() {
    let mut server = server();
    let (client, fd) = server.connected();
    server.sends(&client, b"one two three");
    assert_eq!(server.guest.read(fd, 3), Ok(b"one".to_vec()));
    assert_eq!(server.recv(fd, (2, 3), RiFlags::empty()), Ok(b" two ".to_vec()));
    assert_eq!(server.recv(fd, (2, 200), RiFlags::empty()), Ok(b"three".to_vec()));
    assert_eq!(server.guest.write(fd, b"four "), Ok(5));
    server.guest.put(FREE, b"five");
    let vector = server.guest.vector(FREE, 4);
    let sent: u32 = server.guest.result(|call, out| sock_send(call, fd, vector, 1, UpTo, out)).unwrap();
    assert_eq!(sent, 4);
    assert_eq!(server.receives(&client, 9), b"four five");
}

#[test]
fn a_call_that_cannot_say_what_it_received_receives_nothing() {
    let mut server = server();
    let (client, fd) = server.connected();
    server.sends(&client, b"x");
    let vector = server.guest.vector(FREE, 1);
    let outside = server.guest.vector(MEMORY, 1);
    let (out, flags) = (OUT, FLAGS);
    for (vector, out, out_flags) in
        [(outside, out, flags), (vector, MEMORY - 3, flags), (vector, out, MEMORY - 1)]
    {
        server.guest.vector(if out_flags == FLAGS && out == OUT { MEMORY } else { FREE }, 1);
        for flags in [RiFlags::empty(), RiFlags::PEEK, RiFlags::WAITALL] {
            let received = server.guest.call(|call| {
                sock_recv(call, fd, vector, 1, flags, GuestPtr::new(out), GuestPtr::new(out_flags))
            });
            assert_eq!(received, Err(Error::Fault));
        }
    }
    assert_eq!(server.guest.read(fd, 9), Ok(b"x".to_vec()));
}

#[test]
fn what_is_peeked_at_stays() {
    let mut server = server();
    let (client, fd) = server.connected();
    // It waits for the first byte.
    let vector = server.guest.vector(FREE, 9);
    let peek = |call: &mut Preview1<'_>| {
        let out_flags = GuestPtr::new(FLAGS);
        sock_recv(call, fd, vector, 1, RiFlags::PEEK, GuestPtr::new(OUT), out_flags)
    };
    assert!(server.guest.poll(peek).is_pending());
    server.sends(&client, b"abcdef");
    assert_eq!(server.recv(fd, (2, 2), RiFlags::PEEK), Ok(b"abcd".to_vec()));
    assert_eq!(server.recv(fd, (4, 100), RiFlags::PEEK), Ok(b"abcdef".to_vec()));
    assert_eq!(server.recv(fd, (0, 0), RiFlags::PEEK), Ok(vec![]));
    // As POSIX says: no more than is there.
    assert_eq!(server.recv(fd, (4, 100), RiFlags::PEEK | RiFlags::WAITALL), Ok(b"abcdef".to_vec()));
    assert_eq!(server.guest.read(fd, 9), Ok(b"abcdef".to_vec()));
    drop(client);
    assert_eq!(server.recv(fd, (1, 1), RiFlags::PEEK), Ok(vec![]));
}

#[test]
fn who_waits_for_all_gets_all_or_what_there_is_at_the_end() {
    let mut server = server();
    let (client, fd) = server.connected();
    server.sends(&client, b"abc");
    for (index, value) in [FREE, 2, FREE + 0x100, 4].into_iter().enumerate() {
        server.guest.put_record(VECTORS + 4 * index as u32, value);
    }
    let all = |call: &mut Preview1<'_>| {
        let (out, out_flags) = (GuestPtr::new(OUT), GuestPtr::new(FLAGS));
        sock_recv(call, fd, GuestPtr::new(VECTORS), 2, RiFlags::WAITALL, out, out_flags)
    };
    assert!(server.guest.poll(all).is_pending());
    // Woken for nothing.
    assert!(server.guest.poll_again(all).is_pending());
    server.sends(&client, b"de");
    assert!(server.guest.poll_again(all).is_pending());
    server.sends(&client, b"fgh");
    assert_eq!(server.guest.poll_again(all), Poll::Ready(Ok(())));
    assert_eq!(server.guest.get::<u32>(OUT), 6);
    assert_eq!(&server.guest.memory[FREE as usize..][..2], b"ab");
    assert_eq!(&server.guest.memory[FREE as usize + 0x100..][..4], b"cdef");

    assert!(server.guest.poll(all).is_pending());
    client.shutdown(Shutdown::Send).unwrap();
    server.until(|guest| guest.poll_again(all).is_ready().then_some(()));
    assert_eq!(server.guest.get::<u32>(OUT), 2);
    assert_eq!(&server.guest.memory[FREE as usize..][..2], b"gh");
    assert_eq!(server.recv(fd, (1, 1), RiFlags::WAITALL), Ok(vec![]));
}

#[test]
fn what_overwrites_the_vectors_is_all_that_comes() {
    let mut server = server();
    let (client, fd) = server.connected();
    server.sends(&client, &[0; 8]);
    // The first buffer is the second vector.
    for (index, value) in [VECTORS + 8, 8, FREE, 8].into_iter().enumerate() {
        server.guest.put_record(VECTORS + 4 * index as u32, value);
    }
    let received = server.guest.call(|call| {
        let (out, out_flags) = (GuestPtr::new(OUT), GuestPtr::new(FLAGS));
        sock_recv(call, fd, GuestPtr::new(VECTORS), 2, RiFlags::WAITALL, out, out_flags)
    });
    assert_eq!(received, Ok(()));
    assert_eq!(server.guest.get::<u32>(OUT), 8);
}

#[test]
fn who_waits_for_all_of_much_lets_others_have_their_turns() {
    const LEN: u32 = 0x6000;
    let mut server = server();
    let (client, fd) = server.connected();
    let bytes: Vec<u8> = (0..LEN).map(|index| (index % 251) as u8).collect();
    let vector = server.guest.vector(FREE, LEN);
    let all = |call: &mut Preview1<'_>| {
        let (out, out_flags) = (GuestPtr::new(OUT), GuestPtr::new(FLAGS));
        sock_recv(call, fd, vector, 1, RiFlags::WAITALL, out, out_flags)
    };
    server.guest.end_turns();
    assert!(server.guest.poll(all).is_pending());
    for piece in bytes.chunks(5_000) {
        server.sends(&client, piece);
        server.network.settle();
    }
    server.until(|guest| guest.poll_again(all).is_ready().then_some(()));
    assert_eq!(server.guest.get::<u32>(OUT), LEN);
    assert_eq!(&server.guest.memory[FREE as usize..][..LEN as usize], bytes);
}

#[test]
fn each_direction_is_shut_down_by_itself() {
    let mut server = server();
    let shut_down =
        |server: &mut Server, fd: u32, how: SdFlags| server.guest.call(|call| sock_shutdown(call, fd, how));
    let (client, fd) = server.connected();
    assert_eq!(shut_down(&mut server, fd, SdFlags::empty()), Err(Error::Invalid));
    assert_eq!(server.guest.write(fd, b"last"), Ok(4));
    assert_eq!(shut_down(&mut server, fd, SdFlags::WR), Ok(()));
    assert_eq!(server.guest.write(fd, b"x"), Err(Error::Pipe));
    assert_eq!(server.receives(&client, 9), b"last");
    server.sends(&client, b"more");
    assert_eq!(server.guest.read(fd, 9), Ok(b"more".to_vec()));
    server.sends(&client, b"unread");
    assert_eq!(shut_down(&mut server, fd, SdFlags::RD), Ok(()));
    assert_eq!(server.guest.read(fd, 9), Ok(vec![]));

    let (client, fd) = server.connected();
    assert_eq!(shut_down(&mut server, fd, SdFlags::RD), Ok(()));
    assert_eq!(server.guest.read(fd, 9), Ok(vec![]));
    assert_eq!(server.guest.write(fd, b"still"), Ok(5));
    assert_eq!(server.receives(&client, 5), b"still");

    let (client, fd) = server.connected();
    assert_eq!(shut_down(&mut server, fd, SdFlags::RD | SdFlags::WR), Ok(()));
    assert_eq!(server.guest.read(fd, 9), Ok(vec![]));
    assert_eq!(server.guest.write(fd, b"x"), Err(Error::Pipe));
    assert_eq!(server.receives(&client, 1), b"");
}

#[test]
fn a_poll_tells_what_a_socket_is_ready_for() {
    let mut server = server();
    let subscription = Subscription {
        user_data: 0,
        event_type: event_type::FD_READ,
        subject: LISTENER,
        timeout: 0,
        flags: 0,
    };
    server.guest.put_record(FREE, subscription);
    let poll = |call: &mut Preview1<'_>| {
        let (subscriptions, events) = (GuestPtr::new(FREE), GuestPtr::new(FREE + 0x100));
        poll::poll_oneoff::<Snapshot>(call, subscriptions, events, 1, GuestPtr::new(OUT))
    };
    assert!(server.guest.poll(poll).is_pending());
    let client = server.connect();
    let event = server.poll(event_type::FD_READ, LISTENER);
    assert_eq!((event.error, event.flags), (SUCCESS, 0));
    assert!(event.bytes > 0);
    let fd = server.accept(FdFlags::empty()).unwrap();
    server.guest.put_record(FREE, subscription);
    assert!(server.guest.poll(poll).is_pending());

    let event = server.poll(event_type::FD_WRITE, fd);
    assert_eq!((event.error, event.flags), (SUCCESS, 0));
    assert!(event.bytes > 0);
    server.sends(&client, b"abc");
    let event = server.poll(event_type::FD_READ, fd);
    assert_eq!((event.error, event.bytes, event.flags), (SUCCESS, 3, 0));
    client.shutdown(Shutdown::Send).unwrap();
    assert_eq!(server.guest.read(fd, 9), Ok(b"abc".to_vec()));
    let event = server.poll(event_type::FD_READ, fd);
    assert_eq!((event.error, event.bytes, event.flags), (SUCCESS, 0, 1));
    server.guest.call(|call| sock_shutdown(call, fd, SdFlags::WR)).unwrap();
    assert_eq!(server.poll(event_type::FD_WRITE, fd).flags, 1);
}

#[test]
fn a_connection_ends_with_its_last_descriptor() {
    let mut server = server();
    let (client, fd) = server.connected();
    // It has another number then, and is the same.
    server.guest.call(|call| fd::fd_renumber(call, fd, 0)).unwrap();
    server.guest.assert_closed(fd);
    assert_eq!(server.guest.write(0, b"from 0"), Ok(6));
    server.guest.call(|call| fd::fd_close(call, 0)).unwrap();
    assert_eq!(server.receives(&client, 99), b"from 0");

    // A listener too.
    server.guest.call(|call| fd::fd_close(call, LISTENER)).unwrap();
    server.guest.assert_closed(LISTENER);
    let late = server.network.access.tcp(Family::Ipv4).unwrap();
    late.connect(server.address).unwrap();
    let refused = server.until(|_| match late.poll_connected(&mut task()) {
        Poll::Ready(result) => Some(result),
        Poll::Pending => None,
    });
    assert_eq!(refused, Err(Error::ConnectionRefused));
}
