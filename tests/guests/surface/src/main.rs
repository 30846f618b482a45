//! Calls the functions of WASI 0.2, any of them with anything in any order, as the bytes of standard input say.
//!
//! What is not here: the interfaces' types that are checked where values are lifted (fuzzing has a target of its own for that), and what a
//! handler of requests exports.

mod network;
mod pool;
mod requests;
mod script;

use pool::{Forge, Pool, forge};
use script::Script;
use wasip2::{
    cli::{
        environment, exit, stderr, stdin, stdout, terminal_input::TerminalInput,
        terminal_output::TerminalOutput, terminal_stderr, terminal_stdin, terminal_stdout,
    },
    clocks::{monotonic_clock, wall_clock},
    filesystem::{
        preopens,
        types::{
            Advice, Datetime, Descriptor, DescriptorFlags, DirectoryEntryStream, NewTimestamp, OpenFlags,
            PathFlags, filesystem_error_code,
        },
    },
    io::{
        error::Error,
        poll::{Pollable, poll},
        streams::{InputStream, OutputStream, StreamError},
    },
    random::{insecure, insecure_seed, random},
};

forge!(
    Descriptor,
    DirectoryEntryStream,
    Error,
    InputStream,
    OutputStream,
    Pollable,
    TerminalInput,
    TerminalOutput,
);

/// Does one of the statements.
macro_rules! one_of {
    ($script:expr; $($statement:expr;)+) => {{
        let count = [$(stringify!($statement)),+].len();
        let mut chosen = $script.below(count);
        $(
            if chosen == 0 {
                $statement;
            }
            #[allow(unused_assignments)]
            {
                chosen = chosen.wrapping_sub(1);
            }
        )+
    }};
}
pub(crate) use one_of;

/// What comes of a call is the host's business.
pub(crate) fn ignore<T>(_: T) {}

/// All that the program has; what depends on something is before it, since it has to be dropped first.
#[derive(Default)]
pub(crate) struct World {
    pollables: Pool<Pollable>,
    inputs: Pool<InputStream>,
    outputs: Pool<OutputStream>,
    listings: Pool<DirectoryEntryStream>,
    descriptors: Pool<Descriptor>,
    errors: Pool<Error>,
    terminal_inputs: Pool<TerminalInput>,
    terminal_outputs: Pool<TerminalOutput>,
    network: network::World,
    requests: requests::World,
}

fn main() {
    let mut script = Script::new(everything(&stdin::get_stdin()));
    let mut world = World::default();
    for (directory, _) in preopens::get_directories() {
        world.descriptors.add(directory);
    }
    world.inputs.add(stdin::get_stdin());
    world.outputs.add(stdout::get_stdout());
    world.outputs.add(stderr::get_stderr());
    while !script.is_over() {
        step(&mut world, &mut script);
    }
    if script.once_in(2) {
        world.forget();
    }
}

fn everything(stream: &InputStream) -> Vec<u8> {
    let mut all = Vec::new();
    while let Ok(bytes) = stream.blocking_read(4_096) {
        all.extend(bytes);
    }
    all
}

impl World {
    /// Leaves all open.
    fn forget(&mut self) {
        self.descriptors.forget();
        self.listings.forget();
        self.errors.forget();
        self.inputs.forget();
        self.outputs.forget();
        self.pollables.forget();
        self.network.forget();
        self.requests.forget();
    }

    /// What a stream says, with the error kept.
    fn streamed<T>(&mut self, result: Result<T, StreamError>) {
        if let Err(StreamError::LastOperationFailed(error)) = result {
            self.errors.add(error);
        }
    }
}

fn step(world: &mut World, script: &mut Script) {
    match script.below(16) {
        0..=3 => descriptor(world, script),
        4 | 5 => input(world, script),
        6 | 7 => output(world, script),
        8 => polls(world, script),
        9 => drops(world, script),
        10 => the_rest(world, script),
        11..=13 => network::step(world, script),
        _ => requests::step(world, script),
    }
}

fn path_flags(script: &mut Script) -> PathFlags {
    if script.once_in(2) { PathFlags::SYMLINK_FOLLOW } else { PathFlags::empty() }
}

fn timestamp(script: &mut Script) -> NewTimestamp {
    let datetime =
        Datetime { seconds: script.number(), nanoseconds: script.of(&[0, 1, 999_999_999, 1_000_000_000]) };
    script.of(&[NewTimestamp::NoChange, NewTimestamp::Now, NewTimestamp::Timestamp(datetime)])
}

fn descriptor(world: &mut World, script: &mut Script) {
    let Some(one) = world.descriptors.pick(script) else { return };
    one_of!(script;
        world.inputs.keep(one.read_via_stream(script.number()));
        world.outputs.keep(one.write_via_stream(script.number()));
        world.outputs.keep(one.append_via_stream());
        ignore(one.advise(script.number(), script.number(), script.of(&[
            Advice::Normal, Advice::Sequential, Advice::Random, Advice::WillNeed, Advice::DontNeed, Advice::NoReuse,
        ])));
        ignore(one.sync_data());
        ignore(one.get_flags());
        ignore(one.get_type());
        ignore(one.set_size(script.number()));
        ignore(one.set_times(timestamp(script), timestamp(script)));
        ignore(one.read(script.number(), script.number()));
        ignore(one.write(&script.content(), script.number()));
        world.listings.keep(one.read_directory());
        ignore(one.sync());
        ignore(one.create_directory_at(script.path()));
        ignore(one.stat());
        ignore(one.stat_at(path_flags(script), script.path()));
        ignore(one.set_times_at(path_flags(script), script.path(), timestamp(script), timestamp(script)));
        if let Some(other) = world.descriptors.pick(script) {
            ignore(one.link_at(path_flags(script), script.path(), &other, script.path()));
        };
        open(world, script, &one);
        open(world, script, &one);
        open(world, script, &one);
        ignore(one.readlink_at(script.path()));
        ignore(one.remove_directory_at(script.path()));
        if let Some(other) = world.descriptors.pick(script) {
            ignore(one.rename_at(script.path(), &other, script.path()));
        };
        ignore(one.symlink_at(script.path(), script.path()));
        ignore(one.unlink_file_at(script.path()));
        if let Some(other) = world.descriptors.pick(script) {
            one.is_same_object(&other);
        };
        ignore(one.metadata_hash());
        ignore(one.metadata_hash_at(path_flags(script), script.path()));
        if let Some(listing) = world.listings.pick(script) {
            ignore(listing.read_directory_entry());
        };
    );
}

fn open(world: &mut World, script: &mut Script, at: &Descriptor) {
    // Any that there are; no others can be lifted.
    let open = OpenFlags::from_bits_truncate(script.byte());
    let mode = if script.once_in(2) {
        DescriptorFlags::READ | DescriptorFlags::WRITE
    } else {
        DescriptorFlags::from_bits_truncate(script.byte())
    };
    world.descriptors.keep(at.open_at(path_flags(script), script.path(), open, mode));
}

fn input(world: &mut World, script: &mut Script) {
    let Some(one) = world.inputs.pick(script) else { return };
    one_of!(script;
        world.streamed(one.read(script.number()));
        world.streamed(one.skip(script.number()));
        world.streamed(one.blocking_read(script.number()));
        world.streamed(one.blocking_skip(script.number()));
        world.pollables.add(one.subscribe());
        if let Some(output) = world.outputs.pick(script) {
            world.streamed(output.splice(&one, script.number()));
        };
        if let Some(output) = world.outputs.pick(script) {
            world.streamed(output.blocking_splice(&one, script.number()));
        };
    );
}

fn output(world: &mut World, script: &mut Script) {
    let Some(one) = world.outputs.pick(script) else { return };
    one_of!(script;
        world.streamed(one.check_write());
        // More than may be written is a trap.
        if let Ok(most) = one.check_write() {
            let mut content = script.content();
            if !script.once_in(16) {
                content.truncate(usize::try_from(most).unwrap_or(usize::MAX));
            }
            world.streamed(one.write(&content));
        };
        if let Ok(most) = one.check_write() {
            let len = script.number();
            world.streamed(one.write_zeroes(if script.once_in(16) { len } else { len.min(most) }));
        };
        {
            // More is a trap.
            let most = if script.once_in(64) { usize::MAX } else { 4_096 };
            let content = script.content();
            world.streamed(one.blocking_write_and_flush(&content[..content.len().min(most)]));
            world.streamed(one.blocking_write_zeroes_and_flush(script.number().min(most as u64)));
        };
        world.streamed(one.flush());
        world.streamed(one.blocking_flush());
        world.pollables.add(one.subscribe());
    );
}

fn polls(world: &mut World, script: &mut Script) {
    one_of!(script;
        waits(world, script);
        waits(world, script);
        world.pollables.add(monotonic_clock::subscribe_duration(script.moment()));
        world.pollables.add(monotonic_clock::subscribe_instant(monotonic_clock::now() + script.moment()));
        world.pollables.add(monotonic_clock::subscribe_instant(script.number()));
        if let Some(one) = world.pollables.pick(script) {
            one.ready();
        };
        if let Some(one) = world.pollables.pick(script) {
            one.block();
        };
        {
            let mut some = Vec::new();
            for _ in 0..script.below(6) {
                some.extend(world.pollables.pick(script));
            }
            if !some.is_empty() || script.once_in(16) {
                let ready = poll(&some.iter().map(|one| &**one).collect::<Vec<_>>());
                assert!(!ready.is_empty() && ready.iter().all(|at| some.get(*at as usize).is_some()), "{ready:?}");
            }
        };
    );
}

/// Waits for a stream or a socket that listens, for long: if that is not ready then, there must be nothing to do with it.
fn waits(world: &mut World, script: &mut Script) {
    // Something may have to come then.
    if let Some(one) = world.outputs.pick(script)
        && let Ok(1..) = one.check_write()
    {
        ignore(one.write(b"x"));
    }
    one_of!(script;
        if let Some(one) = world.inputs.pick(script)
            && !comes(&one.subscribe())
        {
            let read = one.read(1);
            assert!(matches!(&read, Ok(bytes) if bytes.is_empty()), "{read:?} of what is not ready");
        };
        if let Some(one) = world.inputs.pick(script)
            && !comes(&one.subscribe())
        {
            let read = one.read(1);
            assert!(matches!(&read, Ok(bytes) if bytes.is_empty()), "{read:?} of what is not ready");
        };
        if let Some(one) = world.outputs.pick(script)
            && !comes(&one.subscribe())
        {
            let permitted = one.check_write();
            assert!(matches!(permitted, Ok(0)), "{permitted:?} of what is not ready");
        };
        if let Some(one) = world.network.listener(script)
            && !comes(&one.subscribe())
        {
            assert!(one.accept().is_err(), "a connection of what is not ready");
        };
    );
}

/// Waits for it, but not for ever: no time at which anything else happens.
pub(crate) fn comes(pollable: &Pollable) -> bool {
    let late = monotonic_clock::subscribe_duration(97_123_456_789);
    poll(&[&late, pollable]).contains(&1)
}

fn drops(world: &mut World, script: &mut Script) {
    one_of!(script;
        ignore(world.descriptors.take(script));
        ignore(world.listings.take(script));
        ignore(world.errors.take(script));
        stream(world, script);
        ignore(world.pollables.take(script));
        ignore(world.pollables.take(script));
        ignore(world.terminal_inputs.take(script));
        ignore(world.terminal_outputs.take(script));
    );
}

/// Drops a stream: mostly with all pollables, of which one may be its.
fn stream(world: &mut World, script: &mut Script) {
    if !script.once_in(8) {
        world.pollables = Pool::default();
    }
    if script.once_in(2) {
        ignore(world.inputs.take(script));
    } else {
        ignore(world.outputs.take(script));
    }
}

fn the_rest(world: &mut World, script: &mut Script) {
    one_of!(script;
        ignore(environment::get_arguments());
        ignore(environment::get_environment());
        ignore(environment::initial_cwd());
        ignore(random::get_random_bytes(script.number().min(100_000)));
        random::get_random_u64();
        ignore(insecure::get_insecure_random_bytes(script.number().min(100_000)));
        insecure::get_insecure_random_u64();
        insecure_seed::insecure_seed();
        assert!(monotonic_clock::resolution() > 0);
        wall_clock::now();
        wall_clock::resolution();
        if let Some(terminal) = terminal_stdin::get_terminal_stdin() {
            world.terminal_inputs.add(terminal);
        };
        if let Some(terminal) = terminal_stdout::get_terminal_stdout() {
            world.terminal_outputs.add(terminal);
        };
        if let Some(terminal) = terminal_stderr::get_terminal_stderr() {
            world.terminal_outputs.add(terminal);
        };
        world.inputs.add(stdin::get_stdin());
        world.outputs.add(stdout::get_stdout());
        for (directory, _) in preopens::get_directories() {
            world.descriptors.add(directory);
        };
        if let Some(error) = world.errors.pick(script) {
            assert!(!error.to_debug_string().is_empty());
        };
        if let Some(error) = world.errors.pick(script) {
            filesystem_error_code(&error);
        };
        if script.once_in(8) {
            exit::exit(if script.once_in(2) { Ok(()) } else { Err(()) });
        };
    );
}
