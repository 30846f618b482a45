//! What one run may use, what happened when that was not enough, and the hook by which wasmi asks.

use crate::{
    heap,
    memory::{LinearMemories, PAGE, Region},
};
use alloc::{boxed::Box, sync::Arc};
use core::{fmt, time::Duration};
use wasmi::{
    ResourceLimiter,
    errors::{MemoryError, TableError},
};
use wasmi_core::LimiterError;

/// What an element of a table takes of the heap, at most.
const ELEMENT_BYTES: usize = 16;

/// What one run of a program may use. `None` is "without limit".
///
/// The default is closed and the same everywhere: 64 MiB of linear memory, 10 s, 1,000,000 table elements, 1,024
/// descriptors, 16 MiB of captured output per stream; fuel is not limited. The depth of the stack is the
/// [`Engine`](crate::Engine)'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of linear memory. Growing beyond fails in the guest (`memory.grow` gives -1).
    pub memory: Option<u64>,
    /// From the start to the end, on the monotonic clock, waiting included.
    pub time: Option<Duration>,
    /// wasmi's fuel: about one unit for each instruction. The same program with the same input uses the same.
    pub fuel: Option<u64>,
    /// Elements of tables (functions that can be called indirectly, references).
    pub table_elements: Option<u64>,
    /// Descriptors that are open at once.
    pub descriptors: Option<u32>,
    /// Bytes that each of stdout and stderr may hold where the run captures them.
    pub output: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: Some(64 << 20),
            time: Some(Duration::from_secs(10)),
            fuel: None,
            table_elements: Some(1_000_000),
            descriptors: Some(1_024),
            output: Some(16 << 20),
        }
    }
}

impl Limits {
    /// No limit at all: for programs that are trusted like one's own.
    pub const fn unlimited() -> Self {
        Self { memory: None, time: None, fuel: None, table_elements: None, descriptors: None, output: None }
    }

    /// Sets [`memory`](Self::memory).
    pub fn with_memory(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.memory = bytes.into();
        self
    }

    /// Sets [`time`](Self::time).
    pub fn with_time(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.time = time.into();
        self
    }

    /// Sets [`fuel`](Self::fuel).
    pub fn with_fuel(mut self, fuel: impl Into<Option<u64>>) -> Self {
        self.fuel = fuel.into();
        self
    }

    /// Sets [`table_elements`](Self::table_elements).
    pub fn with_table_elements(mut self, elements: impl Into<Option<u64>>) -> Self {
        self.table_elements = elements.into();
        self
    }

    /// Sets [`descriptors`](Self::descriptors).
    pub fn with_descriptors(mut self, descriptors: impl Into<Option<u32>>) -> Self {
        self.descriptors = descriptors.into();
        self
    }

    /// Sets [`output`](Self::output).
    pub fn with_output(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.output = bytes.into();
        self
    }
}

/// A limit that a run came up against, with its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// [`Limits::memory`], in bytes.
    Memory(u64),
    /// The machine has no memory left for what the guest needs, whatever its own limits are.
    MachineMemory(Need),
    /// [`Limits::time`].
    Time(Duration),
    /// [`Limits::fuel`].
    Fuel(u64),
    /// [`Limits::table_elements`].
    TableElements(u64),
    /// [`Limits::descriptors`].
    Descriptors(u32),
    /// The [`Engine`](crate::Engine)'s limits of the stack.
    Stack,
}

/// What memory is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Need {
    /// The program's functions, in the form in which they run.
    Code,
    /// An instance of the program: its globals, the records of its functions and exports.
    Instance,
    /// Linear memory.
    LinearMemory,
    /// Elements of a table.
    Table,
    /// The stack of locals and operands.
    Stack,
    /// Going on: what the host must have in reserve for whatever the guest does next (nested calls, functions that are
    /// called for the first time).
    Reserve,
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Code => "the program's code",
            Self::Instance => "an instance of the program",
            Self::LinearMemory => "linear memory",
            Self::Table => "a table",
            Self::Stack => "the stack of nested calls",
            Self::Reserve => "nested calls and functions called for the first time",
        })
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(bytes) => write!(f, "the limit of linear memory ({})", Bytes(*bytes)),
            Self::MachineMemory(need) => write!(f, "the limit of the machine's memory (needed for {need})"),
            Self::Time(time) => write!(f, "the time limit ({time:?})"),
            Self::Fuel(fuel) => write!(f, "the fuel limit ({fuel})"),
            Self::TableElements(elements) => write!(f, "the limit of table elements ({elements})"),
            Self::Descriptors(descriptors) => write!(f, "the limit of open descriptors ({descriptors})"),
            Self::Stack => f.write_str("the limit of the stack (calls nested too deep)"),
        }
    }
}

/// Bytes as a person reads them.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes != 0 && bytes.is_multiple_of(1 << 30) => write!(f, "{} GiB", bytes >> 30),
            bytes if bytes != 0 && bytes.is_multiple_of(1 << 20) => write!(f, "{} MiB", bytes >> 20),
            bytes if bytes != 0 && bytes.is_multiple_of(1 << 10) => write!(f, "{} KiB", bytes >> 10),
            bytes => write!(f, "{bytes} bytes"),
        }
    }
}

/// How many of each thing a run may have.
#[derive(Clone, Copy)]
struct Counts {
    instances: usize,
    memories: usize,
    tables: usize,
}

/// The program, and the shim of one that uses tail calls. It has one memory and one table as a rule.
const OF_MODULE: Counts = Counts { instances: 2, memories: 16, tables: 256 };
/// Each core module of a component may have a shim, a memory and a table.
const OF_COMPONENT: Counts = Counts { instances: 10_000, memories: 1_024, tables: 4_096 };

/// Answers wasmi when a guest grows a memory or a table, and commits the machine's memory for it.
pub struct Limiter {
    memory: Usage,
    tables: Usage,
    /// The home of the program's memory (of a component, of the first), if the machine has one for it. Part of the store's
    /// data: it lives as long as the store.
    region: Option<Box<dyn Region>>,
    /// Where homes come from.
    memories: Option<Arc<dyn LinearMemories>>,
    /// Memories that began.
    begun: usize,
    counts: Counts,
    refused: Option<Limit>,
    interrupted: bool,
}

/// What is used of a limit, over all memories or all tables.
struct Usage {
    limit: u64,
    used: u64,
    /// What was granted last: wasmi takes it back when the growth fails after all, as it does whenever the
    /// fuel does not suffice for it; then it asks again later.
    last: u64,
}

impl Usage {
    fn new(limit: Option<u64>) -> Self {
        Self { limit: limit.unwrap_or(u64::MAX), used: 0, last: 0 }
    }

    fn grant(&mut self, current: usize, desired: usize) -> bool {
        let more = (desired as u64).saturating_sub(current as u64);
        match self.used.checked_add(more) {
            Some(used) if used <= self.limit => {
                self.used = used;
                self.last = more;
                true
            }
            _ => false,
        }
    }

    fn take_back(&mut self) {
        self.used = self.used.saturating_sub(self.last);
        self.last = 0;
    }
}

impl Limiter {
    /// The hook for these limits and a program that is one module, with its memory on the heap.
    pub fn new(limits: &Limits) -> Self {
        Self {
            memory: Usage::new(limits.memory),
            tables: Usage::new(limits.table_elements),
            region: None,
            memories: None,
            begun: 0,
            counts: OF_MODULE,
            refused: None,
            interrupted: false,
        }
    }

    /// The same for a component.
    #[cfg_attr(not(feature = "components"), expect(dead_code, reason = "components are its users"))]
    pub(crate) fn of_component(self) -> Self {
        Self { counts: OF_COMPONENT, ..self }
    }

    /// With a home of `memories` for the memory, if there are some.
    pub(crate) fn with_memories(self, memories: Option<Arc<dyn LinearMemories>>) -> Self {
        Self { memories, ..self }
    }

    /// A home for a memory of up to `largest` bytes (and no more than the limit), which is never replaced: `None` if there is one
    /// already, or the machine has none.
    pub(crate) fn reserve(&mut self, largest: u64) -> Option<&dyn Region> {
        let largest = usize::try_from(largest.min(self.memory.limit) / PAGE * PAGE).ok()?;
        let memories = self.memories.as_ref().filter(|_| self.region.is_none() && largest > 0)?;
        let region = memories.reserve(largest)?;
        Some(&**self.region.insert(region))
    }

    /// Whether fuel has run out inside of `table.grow` since this was asked last (see [`crate::program::resumable`]).
    pub(crate) fn take_interrupted_growth(&mut self) -> bool {
        core::mem::take(&mut self.interrupted)
    }

    /// The limit that refused the guest something, if one did.
    pub(crate) fn refused(&self) -> Option<Limit> {
        self.refused
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool, LimiterError> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        if !self.memory.grant(current, desired) {
            self.refused = Some(Limit::Memory(self.memory.limit));
            return Ok(false);
        }
        if current == 0 {
            self.begun = self.begun.saturating_add(1);
        }
        // Which memory it is nobody says. So a growth that may be that of the one with a home has its bytes there before it is
        // granted; and one that may be that of another has room on the heap, where wasmi copies it.
        let at_home = self.region.as_mut().filter(|region| desired <= region.size());
        let committed = at_home.map(|region| region.commit(desired));
        let only = self.region.is_some() && self.begun <= 1;
        let on_heap = || !heap::is_bounded() || heap::check_for(desired).is_ok();
        let granted = committed.unwrap_or(!only) && (only || on_heap());
        if !granted {
            self.memory.take_back();
            self.refused = Some(Limit::MachineMemory(Need::LinearMemory));
            return Ok(false);
        }
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: &MemoryError) -> Result<(), LimiterError> {
        self.memory.take_back();
        if matches!(error, MemoryError::OutOfSystemMemory) {
            self.refused = Some(Limit::MachineMemory(Need::LinearMemory));
        }
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool, LimiterError> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        // wasmi asks the heap too, and would take the last of it.
        let bytes = desired.saturating_sub(current).saturating_mul(ELEMENT_BYTES);
        if heap::check_for(bytes).is_err() {
            self.refused = Some(Limit::MachineMemory(Need::Table));
            return Ok(false);
        }
        let granted = self.tables.grant(current, desired);
        if !granted {
            self.refused = Some(Limit::TableElements(self.tables.limit));
        }
        Ok(granted)
    }

    fn table_grow_failed(&mut self, error: &TableError) -> Result<(), LimiterError> {
        self.tables.take_back();
        match error {
            TableError::OutOfFuel { .. } => self.interrupted = true,
            TableError::OutOfSystemMemory => self.refused = Some(Limit::MachineMemory(Need::Table)),
            _ => {}
        }
        Ok(())
    }

    fn instances(&self) -> usize {
        self.counts.instances
    }

    fn tables(&self) -> usize {
        self.counts.tables
    }

    fn memories(&self) -> usize {
        self.counts.memories
    }
}
