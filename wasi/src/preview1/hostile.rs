//! Every function, called by a WebAssembly module as a hostile guest would.

use super::{testing::*, *};
use crate::{
    Error, Limits,
    call::{Exit, Parked, StoreData},
    guest::GuestPtr,
    limits::Limiter,
    preview1::types::{Rights, SUCCESS, errno},
};
use alloc::{format, string::String, vec};
use wasmi::{Engine, Instance, Linker, Module, Store, Val, ValType};

const SNAPSHOT: &str = "wasi_snapshot_preview1";
const UNSTABLE: &str = "wasi_unstable";

/// Where the guest has what it passes.
const VECTOR: i64 = 0x100;
const TEXT: i64 = 0x200;
const SUBSCRIPTION: i64 = 0x300;
const SPACE: i64 = 0x1000;

/// Descriptors that the guest has besides stdio and preopens.
const FILE: i64 = 5;
const OTHER_FILE: i64 = 6;
const DIRECTORY: i64 = ROOT as i64;

/// An argument of a call that works.
#[derive(Clone, Copy)]
enum Arg {
    /// A value.
    V(i64),
    /// A pointer, and how many bytes must be there.
    P(i64, u32),
}
use Arg::{P, V};

/// A call of each function that works, with what it returns.
fn valid_calls() -> Vec<(&'static str, Vec<Arg>, u16)> {
    let out = |len| P(SPACE, len);
    let vectors = [P(VECTOR, 8), V(1)];
    // `TEXT` is `f`, `new`, `link`, `d` and `text` one behind the other.
    let (file, new, link, directory) =
        ([P(TEXT, 1), V(1)], [P(TEXT + 1, 3), V(3)], [P(TEXT + 4, 4), V(4)], [P(TEXT + 8, 1), V(1)]);
    let not_socket = errno(Error::NotSocket);
    let read = V(Rights::FD_READ.bits().cast_signed());
    vec![
        ("args_get", vec![P(SPACE, 12), P(SPACE + 100, 11)], SUCCESS),
        ("args_sizes_get", vec![out(4), P(SPACE + 100, 4)], SUCCESS),
        ("environ_get", vec![P(SPACE, 4), P(SPACE + 100, 4)], SUCCESS),
        ("environ_sizes_get", vec![out(4), P(SPACE + 100, 4)], SUCCESS),
        ("clock_res_get", vec![V(0), out(8)], SUCCESS),
        ("clock_time_get", vec![V(1), V(1), out(8)], SUCCESS),
        ("fd_advise", vec![V(FILE), V(0), V(9), V(1)], SUCCESS),
        ("fd_allocate", vec![V(FILE), V(0), V(9)], SUCCESS),
        ("fd_close", vec![V(FILE)], SUCCESS),
        ("fd_datasync", vec![V(FILE)], SUCCESS),
        ("fd_fdstat_get", vec![V(FILE), out(24)], SUCCESS),
        ("fd_fdstat_set_flags", vec![V(FILE), V(1)], SUCCESS),
        ("fd_fdstat_set_rights", vec![V(FILE), V(0), V(0)], SUCCESS),
        ("fd_filestat_get", vec![V(FILE), out(64)], SUCCESS),
        ("fd_filestat_set_size", vec![V(FILE), V(7)], SUCCESS),
        ("fd_filestat_set_times", vec![V(FILE), V(1), V(1), V(5)], SUCCESS),
        ("fd_pread", [&[V(FILE)], &vectors[..], &[V(0), out(4)]].concat(), SUCCESS),
        ("fd_prestat_dir_name", vec![V(DIRECTORY), out(1), V(1)], SUCCESS),
        ("fd_prestat_get", vec![V(DIRECTORY), out(8)], SUCCESS),
        ("fd_pwrite", [&[V(FILE)], &vectors[..], &[V(0), out(4)]].concat(), SUCCESS),
        ("fd_read", [&[V(FILE)], &vectors[..], &[out(4)]].concat(), SUCCESS),
        ("fd_readdir", vec![V(DIRECTORY), P(SPACE, 100), V(100), V(0), P(SPACE + 200, 4)], SUCCESS),
        ("fd_renumber", vec![V(FILE), V(OTHER_FILE)], SUCCESS),
        ("fd_seek", vec![V(FILE), V(1), V(0), out(8)], SUCCESS),
        ("fd_sync", vec![V(FILE)], SUCCESS),
        ("fd_tell", vec![V(FILE), out(8)], SUCCESS),
        ("fd_write", [&[V(FILE)], &vectors[..], &[out(4)]].concat(), SUCCESS),
        ("path_create_directory", [&[V(DIRECTORY)], &new[..]].concat(), SUCCESS),
        ("path_filestat_get", [&[V(DIRECTORY), V(0)], &file[..], &[out(64)]].concat(), SUCCESS),
        (
            "path_filestat_set_times",
            [&[V(DIRECTORY), V(0)], &file[..], &[V(1), V(1), V(5)]].concat(),
            SUCCESS,
        ),
        ("path_link", [&[V(DIRECTORY), V(0)], &file[..], &[V(DIRECTORY)], &new[..]].concat(), SUCCESS),
        ("path_open", [&[V(DIRECTORY), V(0)], &new[..], &[V(1), read, V(0), V(0), out(4)]].concat(), SUCCESS),
        (
            "path_readlink",
            [&[V(DIRECTORY)], &link[..], &[P(SPACE, 4), V(4), P(SPACE + 8, 4)]].concat(),
            SUCCESS,
        ),
        ("path_remove_directory", [&[V(DIRECTORY)], &directory[..]].concat(), SUCCESS),
        ("path_rename", [&[V(DIRECTORY)], &file[..], &[V(DIRECTORY)], &new[..]].concat(), SUCCESS),
        ("path_symlink", [&file[..], &[V(DIRECTORY)], &new[..]].concat(), SUCCESS),
        ("path_unlink_file", [&[V(DIRECTORY)], &file[..]].concat(), SUCCESS),
        ("poll_oneoff", vec![P(SUBSCRIPTION, 48), P(SPACE, 32), V(1), P(SPACE + 100, 4)], SUCCESS),
        ("proc_exit", vec![V(3)], SUCCESS),
        ("proc_raise", vec![V(6)], errno(Error::NotSupported)),
        ("sched_yield", vec![], SUCCESS),
        ("random_get", vec![P(SPACE, 40), V(40)], SUCCESS),
        // No pointer of these is looked at while there are no sockets.
        ("sock_accept", vec![V(1), V(0), V(SPACE)], not_socket),
        ("sock_recv", vec![V(1), V(VECTOR), V(1), V(0), V(SPACE), V(SPACE + 8)], not_socket),
        ("sock_send", vec![V(1), V(VECTOR), V(1), V(0), V(SPACE)], not_socket),
        ("sock_shutdown", vec![V(1), V(1)], not_socket),
    ]
}

/// A module that does nothing but call the function.
struct Hostile {
    store: Store<StoreData<State>>,
    instance: Instance,
    files: crate::filesystem::memory::MemoryFileSystem,
}

/// How a call ended.
#[derive(Debug, PartialEq)]
enum Ended {
    Returned(u16),
    Exited(u32),
    Waits,
}

fn hostile(module: &str, name: &str) -> Hostile {
    let mut guest = guest();
    assert_eq!(guest.file("f", b"content"), FILE as u32);
    assert_eq!(guest.file("g", b"other"), OTHER_FILE as u32);
    guest.symlink("target", "link").unwrap();
    guest.create_directory("d").unwrap();

    let import = function(module, name).unwrap();
    let kind = |ty: &ValType| match ty {
        ValType::I32 => " i32",
        _ => " i64",
    };
    let params: String = import.ty.params().iter().map(kind).collect();
    let results: String = import.ty.results().iter().map(kind).collect();
    let arguments: String =
        (0..import.ty.params().len()).map(|index| format!("(local.get {index})")).collect();
    let wasm = wat::parse_str(format!(
        r#"(module (import "{module}" "{name}" (func $call (param{params}) (result{results}))) (memory (export "memory") 1)
            (func (export "run") (param{params}) (result{results}) (call $call {arguments})))"#
    ));
    let engine = Engine::default();
    let mut store = Store::new(&engine, StoreData::new(guest.state, Limiter::new(&Limits::default())));
    let mut linker = Linker::new(&engine);
    linker.define(module, name, import.make(&mut store)).unwrap();
    let module = Module::new(&engine, wasm.unwrap()).unwrap();
    let instance = linker.instantiate_and_start(&mut store, &module).unwrap();
    let memory = instance.get_memory(&store, "memory").unwrap();
    store.data_mut().set_memory(memory);

    let mut hostile = Hostile { store, instance, files: guest.files };
    let memory = hostile.memory();
    let mut put =
        |address: i64, bytes: &[u8]| memory[address as usize..][..bytes.len()].copy_from_slice(bytes);
    put(VECTOR, &(SPACE as u32 + 0x100).to_le_bytes());
    put(VECTOR + 4, &4u32.to_le_bytes());
    put(TEXT, b"fnewlinkd");
    // A subscription to write to stdout.
    put(SUBSCRIPTION + 8, &[2]);
    put(SUBSCRIPTION + 16, &[1]);
    hostile
}

impl Hostile {
    fn memory(&mut self) -> &mut [u8] {
        self.instance.get_memory(&self.store, "memory").unwrap().data_mut(&mut self.store)
    }

    fn call(&mut self, arguments: &[i64]) -> Ended {
        let run = self.instance.get_func(&self.store, "run").unwrap();
        let ty = run.ty(&self.store);
        let arguments: Vec<_> = arguments
            .iter()
            .zip(ty.params())
            .map(|(&value, ty)| if *ty == ValType::I32 { Val::I32(value as i32) } else { Val::I64(value) })
            .collect();
        let mut results = vec![Val::I32(-1); ty.results().len()];
        match run.call(&mut self.store, &arguments, &mut results) {
            Ok(()) => Ended::Returned(results[0].i32().unwrap().try_into().unwrap()),
            Err(error) => match (error.downcast_ref::<Exit>(), error.downcast_ref::<Parked>()) {
                (Some(Exit(status)), _) => Ended::Exited(*status),
                (_, Some(Parked)) => Ended::Waits,
                _ => panic!("{error}"),
            },
        }
    }

    /// All that a call could have changed.
    fn world(&mut self) -> impl PartialEq + use<> {
        let memory = self.memory().to_vec();
        let mut files = Vec::new();
        let mut visit = |path: &str, stat: &crate::filesystem::Stat| {
            files.push((String::from(path), *stat));
            core::ops::ControlFlow::Continue(())
        };
        self.files.walk(&mut visit).unwrap();
        let descriptors = &mut self.store.data_mut().state.descriptors;
        let descriptors: Vec<_> = (0..10)
            .map(|fd| {
                let descriptor = descriptors.get_mut(fd).ok()?;
                let position = descriptor.file(Rights::empty()).ok().map(|file| file.tell());
                Some((descriptor.rights(), descriptor.flags(), position))
            })
            .collect();
        (memory, files, descriptors)
    }
}

fn value(arg: &Arg) -> i64 {
    match *arg {
        V(value) | P(value, _) => value,
    }
}

#[test]
fn every_function_is_there_and_works() {
    let calls = valid_calls();
    let mut names: Vec<_> = calls.iter().map(|call| call.0).collect();
    names.sort_unstable();
    let mut known = NAMES.to_vec();
    known.sort_unstable();
    assert_eq!((names.len(), names), (46, known));
    for module in [SNAPSHOT, UNSTABLE] {
        for (name, arguments, returned) in &calls {
            if (module, *name) == (UNSTABLE, "sock_accept") {
                assert!(function(module, name).is_none());
                continue;
            }
            let arguments: Vec<_> = arguments.iter().map(value).collect();
            let ended = hostile(module, name).call(&arguments);
            let expected = match *name {
                "proc_exit" => Ended::Exited(3),
                "sched_yield" => Ended::Waits,
                _ => Ended::Returned(*returned),
            };
            assert_eq!(ended, expected, "{module}.{name}");
        }
    }
    assert!(function(SNAPSHOT, "fd_nothing").is_none());
    assert!(function("env", "fd_read").is_none());
}

#[test]
fn a_bad_pointer_is_a_fault_and_nothing_has_happened() {
    for (name, arguments, _) in valid_calls() {
        for (index, argument) in arguments.iter().enumerate() {
            let P(_, len) = *argument else { continue };
            let mut hostile = hostile(SNAPSHOT, name);
            let before = hostile.world();
            let end = i64::from(MEMORY);
            for bad in
                [end - i64::from(len) + 1, end - 1, end, end + 1, 0x7fff_ffff, 0xffff_fff8, 0xffff_ffff]
            {
                if bad + i64::from(len) <= end {
                    continue;
                }
                let mut arguments: Vec<_> = arguments.iter().map(value).collect();
                arguments[index] = bad;
                let ended = hostile.call(&arguments);
                assert_eq!(ended, Ended::Returned(errno(Error::Fault)), "{name}, argument {index}: {bad:#x}");
                assert!(
                    hostile.world() == before,
                    "{name}, argument {index}: {bad:#x}: something has changed"
                );
            }
        }
    }
}

#[test]
fn a_bad_length_is_an_error() {
    for (name, arguments, _) in valid_calls() {
        for index in 1..arguments.len() {
            let (P(..), V(_)) = (arguments[index - 1], arguments[index]) else { continue };
            // What follows a pointer is a length, except for a size that only bounds what is written.
            if matches!((name, index), ("fd_prestat_dir_name" | "path_readlink", 2 | 4)) {
                continue;
            }
            for bad in [i64::from(MEMORY), 0x7fff_ffff, 0xffff_ffff] {
                let mut arguments: Vec<_> = arguments.iter().map(value).collect();
                arguments[index] = bad;
                let ended = hostile(SNAPSHOT, name).call(&arguments);
                let errors =
                    [Error::Fault, Error::NameTooLong, Error::Invalid].map(errno).map(Ended::Returned);
                let skipped = name == "path_open" && index == 5;
                assert!(skipped || errors.contains(&ended), "{name}, argument {index}: {bad:#x}: {ended:?}");
            }
        }
    }
}

/// Numbers that go wrong somewhere, and some that do not.
const VALUES: [i64; 24] = [
    0,
    1,
    2,
    3,
    4,
    FILE,
    OTHER_FILE,
    8,
    VECTOR,
    TEXT,
    TEXT + 1,
    SUBSCRIPTION,
    SPACE,
    SPACE + 1,
    MEMORY as i64 - 64,
    MEMORY as i64 - 1,
    MEMORY as i64,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_fff0,
    0xffff_ffff,
    i64::MAX,
    i64::MIN,
    -1,
];

#[test]
fn any_arguments_give_some_errno() {
    for module in [SNAPSHOT, UNSTABLE] {
        for (name, arguments, _) in valid_calls() {
            if function(module, name).is_none() {
                continue;
            }
            let mut hostile = hostile(module, name);
            // A fixed sequence (Knuth's MMIX generator): a failure can be repeated.
            let mut seed = 1u64;
            let mut random = |below: usize| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (seed >> 33) as usize % below
            };
            for round in 0..2_000 {
                let some: Vec<_> = arguments
                    .iter()
                    .map(
                        |argument| {
                            if random(3) == 0 { value(argument) } else { VALUES[random(VALUES.len())] }
                        },
                    )
                    .collect();
                match hostile.call(&some) {
                    Ended::Returned(errno) => assert!(errno <= 76, "{name}{some:?}: {errno}, round {round}"),
                    Ended::Exited(_) => assert_eq!(name, "proc_exit"),
                    // A vectored one passes over many vectors in turns.
                    Ended::Waits => assert!(
                        ["poll_oneoff", "sched_yield", "fd_read", "fd_pread", "fd_write", "fd_pwrite"]
                            .contains(&name),
                        "{name}{some:?}"
                    ),
                }
            }
        }
    }
}

#[test]
fn a_guest_without_memory_gets_faults() {
    let mut guest = guest();
    guest.memory.clear();
    assert_eq!(
        guest.call(|call| args_environ::args_get(call, GuestPtr::new(0), GuestPtr::new(0))),
        Err(Error::Fault)
    );
    assert_eq!(guest.call(|call| random::random_get(call, GuestPtr::new(0), 0)), Ok(()));
}
