//! What was measured, kept as JSON (`bench/results`) and shown as Markdown (`docs/performance.md`).

use crate::Result;
use serde::{Deserialize, Serialize};
use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Rows that belong together.
#[derive(Deserialize, Serialize)]
pub struct Section {
    /// The heading.
    pub title: String,
    /// What is measured and how, and who the peers are: Markdown.
    pub about: String,
    /// What was measured.
    pub rows: Vec<Row>,
}

/// One thing that was measured.
#[derive(Deserialize, Serialize)]
pub struct Row {
    /// What.
    pub what: String,
    /// The unit of all its values.
    pub unit: String,
    /// Whether less or more is better.
    pub better: Better,
    /// Sisal's value.
    pub ours: f64,
    /// The peers' values.
    pub peers: Vec<Peer>,
    /// What it is meant to reach.
    pub reach: Vec<Reach>,
}

/// A peer's value.
#[derive(Deserialize, Serialize)]
pub struct Peer {
    /// Who; the same name is the same column.
    pub name: String,
    /// The value.
    pub value: f64,
}

impl Peer {
    /// A peer's value.
    pub fn new(name: &str, value: f64) -> Self {
        Self { name: name.into(), value }
    }
}

/// Which values are good.
#[derive(Clone, Copy, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// Small ones: times, sizes.
    Less,
    /// Large ones: bytes per second.
    More,
}

/// What a row is meant to reach.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// So many times better than a peer.
    Better {
        /// The peer.
        than: String,
        /// How many times: its value by ours, or ours by its, where more is better.
        times: f64,
    },
    /// At most so many times a peer's value.
    Most {
        /// The peer.
        of: String,
        /// How many times.
        times: f64,
    },
    /// Less than so much, whatever the peers have.
    Under {
        /// How much, in the row's unit.
        limit: f64,
    },
    /// At most so much above a peer's value.
    Within {
        /// The peer.
        of: String,
        /// How much, in the row's unit.
        by: f64,
    },
}

impl Reach {
    /// So many times better than a peer.
    pub fn better(than: &str, times: f64) -> Self {
        Self::Better { than: than.into(), times }
    }
}

/// When and on what a section was measured.
#[derive(Deserialize, Serialize)]
struct Circumstances {
    date: String,
    commit: String,
    machine: String,
    load: String,
    versions: Vec<String>,
}

#[derive(Deserialize, Serialize)]
struct Results {
    circumstances: Circumstances,
    section: Section,
}

/// All sections, those of earlier runs as they were kept.
pub struct Report<'n> {
    sections: Vec<(&'n str, Option<Results>)>,
}

/// The package's own place: results and document are part of the sources.
const BENCH: &str = env!("CARGO_MANIFEST_DIR");
/// Whose versions matter.
const PEERS: [&str; 4] = ["wasmi", "wasmi_wasi", "wasmtime", "wasmtime-wasi"];

impl<'n> Report<'n> {
    /// Reads what was kept of the sections with these names.
    ///
    /// # Errors
    /// When there is something that cannot be read.
    pub fn open(names: &[&'n str]) -> Result<Self> {
        let read = |name: &&'n str| match fs::read(kept(name)) {
            Ok(json) => Ok((*name, Some(serde_json::from_slice(&json)?))),
            Err(_) => Ok((*name, None)),
        };
        Ok(Self { sections: names.iter().map(read).collect::<Result<_>>()? })
    }

    /// Keeps what was just measured, and shows it on standard output.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(&mut self, name: &str, section: Section) -> Result<()> {
        let results = Results { circumstances: circumstances(), section };
        fs::create_dir_all(Path::new(BENCH).join("results"))?;
        fs::write(kept(name), serde_json::to_string_pretty(&results)? + "\n")?;
        print!("{}", results.markdown());
        if let Some((_, place)) = self.sections.iter_mut().find(|(known, _)| *known == name) {
            *place = Some(results);
        }
        Ok(())
    }

    /// Writes the document.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self) -> Result<()> {
        let mut document = String::from(
            "# Performance\n\n\
             <!-- Written by `tools/bench` from bench/results; do not edit. -->\n\n\
             Sisal beside its peers, all measured in one run, taking turns; medians. The machines are shared and noisy: what counts \
             are the ratios, which stand in brackets behind a peer's value: how many times better Sisal is. Below 1 it is worse. \
             The last column has what was to be reached, and what was. `tools/bench [SECTION…]` measures anew.\n",
        );
        for (_, results) in &self.sections {
            if let Some(results) = results {
                document += &results.markdown();
            }
        }
        let path = Path::new(BENCH).join("../docs/performance.md");
        fs::create_dir_all(Path::new(BENCH).join("../docs"))?;
        Ok(fs::write(path, document)?)
    }
}

fn kept(name: &str) -> PathBuf {
    Path::new(BENCH).join("results").join(name).with_extension("json")
}

impl Results {
    fn markdown(&self) -> String {
        let Self { circumstances, section } = self;
        let Circumstances { date, commit, machine, load, versions } = circumstances;
        let mut text = format!("\n## {}\n\n{}\n\n", section.title, section.about);
        let _ = writeln!(
            text,
            "Measured {date} at commit {commit} on {machine}; load average {load}; {}.\n",
            versions.join(", ")
        );
        let mut peers: Vec<&str> = Vec::new();
        for peer in section.rows.iter().flat_map(|row| &row.peers) {
            if !peers.contains(&peer.name.as_str()) {
                peers.push(&peer.name);
            }
        }
        let _ = writeln!(text, "| | Sisal | {} | reach |", peers.join(" | "));
        let _ = writeln!(text, "|---|---|{}---|", "---|".repeat(peers.len()));
        for row in &section.rows {
            let _ = write!(text, "| {} | {} {} |", row.what, number(row.ours), row.unit);
            for peer in &peers {
                let _ = match row.peer(peer) {
                    Some(value) => write!(text, " {} ({}×) |", number(value), number(row.advantage(value))),
                    None => write!(text, " – |"),
                };
            }
            let reached: Vec<_> = row.reach.iter().map(|reach| row.reached(reach)).collect();
            let _ = writeln!(text, " {} |", reached.join("; "));
        }
        text
    }
}

impl Row {
    fn peer(&self, name: &str) -> Option<f64> {
        self.peers.iter().find(|peer| peer.name == name).map(|peer| peer.value)
    }

    /// How many times better than `peer` it is.
    fn advantage(&self, peer: f64) -> f64 {
        match self.better {
            Better::Less => peer / self.ours,
            Better::More => self.ours / peer,
        }
    }

    /// What is to be reached, and whether it is. A peer that was not measured is no excuse.
    fn reached(&self, reach: &Reach) -> String {
        let value = |name| self.peer(name).unwrap_or(f64::NAN);
        let (wanted, got, met) = match reach {
            Reach::Better { than, times } => {
                let got = self.advantage(value(than));
                (format!("{} × better than {than}", number(*times)), number(got), got >= *times)
            }
            Reach::Most { of, times } => {
                let got = self.ours / value(of);
                (format!("at most {} × {of}", number(*times)), number(got), got <= *times)
            }
            Reach::Under { limit } => {
                let unit = &self.unit;
                (format!("under {} {unit}", number(*limit)), number(self.ours), self.ours < *limit)
            }
            Reach::Within { of, by } => {
                let got = self.ours - value(of);
                let unit = &self.unit;
                (format!("at most {of} + {} {unit}", number(*by)), format!("+ {}", number(got)), got <= *by)
            }
        };
        let met = if met { "met" } else { "**missed**" };
        format!("{wanted}: {got}, {met}")
    }
}

/// Three digits that count.
fn number(value: f64) -> String {
    let decimals = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        _ => 2,
    };
    let text = format!("{value:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => text,
    }
}

fn circumstances() -> Circumstances {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("an unknown processor", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" ");
    let lock = include_str!("../Cargo.lock");
    let version = |name: &&str| {
        let package = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?.1;
        Some(format!("{name} {}", package.split_once('"')?.0))
    };
    let mut versions: Vec<_> = PEERS.iter().filter_map(version).collect();
    versions.push(said("rustc", &["--version"]));
    Circumstances {
        date: said("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
        commit: said("git", &["-C", BENCH, "describe", "--always", "--dirty"]),
        machine: format!("{model}, {cores} cores"),
        load,
        versions,
    }
}

/// What a command says, or that it does not.
fn said(program: &str, arguments: &[&str]) -> String {
    match Command::new(program).args(arguments).output() {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_string(),
        _ => format!("unknown ({program} failed)"),
    }
}
