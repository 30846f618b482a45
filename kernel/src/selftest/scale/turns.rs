//! Guests that take all they can get: others have their share all the same, and their timers ring in time.

use super::{command, finish, median, now, parameter, percentile, program, sleep};
use crate::selftest::{guests, machine, selftest};
use crate::{executor, logger};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use async_task::Task;
use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicU64, Ordering};
use core::task::{Context, Poll};
use core::time::Duration;
use wasi::filesystem::memory::MemoryFileSystem;
use wasi::filesystem::{Access, Directory, OpenFlags, Permissions};
use wasi::io::BytesOutput;
use wasi::{Command, Limits, Outcome, Program, Run};

selftest! { busy_guests_have_fair_shares a_thousand_busy_guests_have_fair_shares
greedy_guests_take_no_more_than_their_shares timers_ring_in_time_beside_greedy_guests }

/// All that keep the processor as busy as they can, each with something else.
const GREEDY: [&str; 11] = [
    "count",
    "nesting",
    "growing",
    "fill",
    "move",
    "randomize",
    "files",
    "list",
    "allocate",
    "tables",
    "calls",
];

/// A guest whose time on the processor is known.
struct Watched {
    run: Run,
    seen: Arc<Seen>,
    /// The most that counts of one turn.
    most: u64,
}

/// What a guest has had of the processor.
#[derive(Default)]
struct Seen {
    time: AtomicU64,
    /// How many turns, and how many of them took far longer than they should. Those that were left out do not count.
    turns: AtomicU64,
    long: AtomicU64,
}

impl Future for Watched {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Outcome> {
        let start = now();
        let polled = Pin::new(&mut self.run).poll(task);
        let took = now() - start;
        let had = self.seen.time.fetch_add(took.min(self.most), Ordering::Relaxed);
        // No test takes that long, but if its timers are never served beside this one.
        assert!(had < 60_000_000_000, "a busy guest has had a minute: nobody else is served");
        self.seen.turns.fetch_add(u64::from(took > 100_000), Ordering::Relaxed);
        self.seen.long.fetch_add(u64::from(took > 3_000_000), Ordering::Relaxed);
        polled
    }
}

/// A guest that never ends by itself.
struct Busy {
    name: &'static str,
    task: Task<Outcome>,
    seen: Arc<Seen>,
}

impl Busy {
    fn start(name: &'static str, program: &Program) -> Self {
        let seen = Arc::<Seen>::default();
        let run = program.start(&guests::wasi_machine(), command_of(name)).expect("it starts");
        // A turn is half as long: of one that computes, what is longer has been the host's.
        let most = if name == "count" { 1_000_000 } else { u64::MAX };
        let task = executor::spawn(Watched { run, seen: seen.clone(), most });
        Self { name, task, seen }
    }
}

/// How many files the guest `list` lists at once: for far longer than a turn.
const FILES: usize = 30_000;

fn command_of(name: &'static str) -> Command {
    let limits = Limits::default().with_time(None);
    match name {
        "count" => Command::new(name).limits(limits),
        "list" => {
            let files = MemoryFileSystem::new(machine().clock.clone(), 64 << 20, 1).expect("a file system");
            let root = Directory::new(files.root(), Permissions::ReadWrite).expect("a directory");
            for file in 0..FILES {
                let made = root.open_at(&format!("file {file}"), false, OpenFlags::CREATE, Access::default());
                made.expect("a file");
            }
            Command::new(name).preopen("/t", files.root(), Permissions::ReadWrite).limits(limits)
        }
        _ => command(name, 64 << 20),
    }
}

/// What each of these guests, which run side by side, has of the next second that they have together.
fn shares(guests: &[Busy]) -> Vec<u64> {
    let had = || guests.iter().map(|guest| guest.seen.time.load(Ordering::Relaxed));
    let before: Vec<_> = had().collect();
    let (start, began) = (before.iter().sum::<u64>(), now());
    while had().sum::<u64>() - start < 1_000_000_000 {
        executor::block_on(sleep(Duration::from_millis(10)));
        assert!(now() - began < 60_000_000_000, "a second takes a minute: their turns are far too long");
    }
    assert!(guests.iter().all(|guest| !guest.task.is_finished()));
    had().zip(before).map(|(after, before)| after - before).collect()
}

fn end(guests: Vec<Busy>) {
    executor::block_on(async {
        for guest in guests {
            guest.task.cancel().await;
        }
    });
}

/// Asserts that none of these guests gets less than half of its fair share over a second.
///
/// A host that runs others too takes the processor away for many turns at a time. That is luck, and evens out: so it is
/// enough that all have their shares in one second of some, or each in most of them. Who is treated unfairly, is in all.
fn assert_fair(title: &str, names: &[&'static str]) {
    const SECONDS: usize = 7;
    let mut programs: Vec<(&str, Program)> = Vec::new();
    for &name in names {
        if programs.iter().all(|(known, _)| *known != name) {
            programs.push((name, program(name)));
        }
    }
    let find = |name| &programs.iter().find(|(known, _)| *known == name).expect("compiled above").1;
    let busy: Vec<_> = names.iter().map(|&name| Busy::start(name, find(name))).collect();
    // Until each has found out how much fuel fits a turn.
    executor::block_on(sleep(Duration::from_millis(500)));
    let mut percents = vec![Vec::new(); busy.len()];
    let least = loop {
        let shares = shares(&busy);
        let fair = (shares.iter().sum::<u64>() / shares.len() as u64).max(1);
        for (percents, share) in percents.iter_mut().zip(&shares) {
            percents.push(share * 100 / fair);
        }
        let of_all = |percent: &mut dyn FnMut(&mut Vec<u64>) -> u64| {
            let each = percents.clone().into_iter().zip(&busy);
            each.map(|(mut percents, guest)| (percent(&mut percents), guest.name))
                .min()
                .expect("there is one")
        };
        let least = of_all(&mut |percents| percents[percents.len() - 1]);
        if least.0 >= 50 || percents[0].len() == SECONDS {
            break least.max(of_all(&mut |percents| median(percents)));
        }
    };
    let (percent, name) = least;
    logger::write(format_args!(
        "measured {title}: each has at least {percent} % of its fair share ({name}), in second {}\n",
        percents[0].len()
    ));
    assert!(percent >= 50, "{title}: {name} has {percent} % of its fair share");
    end(busy);
}

fn busy_guests_have_fair_shares() {
    for count in [2, 8, 100] {
        assert_fair(&format!("{count} busy guests"), &vec!["count"; count]);
    }
}

fn a_thousand_busy_guests_have_fair_shares() {
    assert_fair("1000 busy guests", &vec!["count"; 1_000]);
}

fn greedy_guests_take_no_more_than_their_shares() {
    // One of each, and as many that only count.
    let names: Vec<_> = GREEDY.into_iter().chain(["count"; GREEDY.len()]).collect();
    assert_fair("greedy guests", &names);
    // What cannot be cut up is paid for with turns that are left out.
    let names: Vec<_> = ["tables"; 10].into_iter().chain(["count"]).collect();
    assert_fair("one beside ten that fill tables", &names);
}

fn timers_ring_in_time_beside_greedy_guests() {
    const WAKES: u32 = 50;
    const TRIES: usize = 5;
    const ALL_TRIES: u64 = 10_000_000_000;
    // Turns that were too long would delay all wakes that fall into them, each by a part of them that is as likely as any other: at
    // 90 % by nine tenths. The rest may be the host's, which stops the machine now and then; and if it is very busy, more
    // often than that, so there are some tries.
    const LATEST: u64 = 20_000_000 / 10 * 9;
    let punctual = program("punctual");
    for name in GREEDY {
        let busy = Busy::start(name, &program(name));
        executor::block_on(sleep(Duration::from_millis(200)));
        let (mut tries, start) = (0, now());
        let late = loop {
            let output = Arc::new(BytesOutput::new(None));
            let command = Command::new("punctual").input(parameter(WAKES)).stdout(output.clone());
            let command = command.limits(Limits::default().with_time(None));
            let run = punctual.start(&guests::wasi_machine(), command).expect("it starts");
            assert_eq!(finish("punctual", executor::spawn(run)), Outcome::Exited(0));
            let output = output.take();
            let (words, _) = output.as_chunks();
            let mut late: Vec<_> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
            assert_eq!(late.len(), WAKES as usize);
            tries += 1;
            if percentile(&mut late, 90) < LATEST || tries == TRIES || now() - start > ALL_TRIES {
                break late;
            }
        };
        let [half, most, all] = [50, 90, 100].map(|percent| percentile(&mut late.clone(), percent) / 1_000);
        logger::write(format_args!(
            "measured a timer beside {name}: {half} us late in the middle, {most} us at 90 %, {all} us at most\n"
        ));
        assert!(most * 1_000 < LATEST, "beside {name} a timer is {most} us late: turns are too long");
        let [turns, long] = [&busy.seen.turns, &busy.seen.long].map(|count| count.load(Ordering::Relaxed));
        // The host may stop the machine in some turns. That one instruction cannot be cut up is known.
        assert!(name == "tables" || long * 4 < turns, "{long} of {turns} turns of {name} are too long");
        end(vec![busy]);
    }
}
