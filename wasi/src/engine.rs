//! How programs are compiled: the features that the engine takes, fuel, and the depth of the guest's stack.

use crate::program::growth;
#[cfg(feature = "components")]
use alloc::sync::Arc;
use wasmi::{CompilationMode, Config, CustomFuelCosts, OperatorCost};

/// How programs are compiled. Cheap to clone; every [`Program`](crate::Program) compiled by it stands alone: its code is
/// freed with it.
#[derive(Clone)]
pub struct Engine {
    config: Config,
    frames: usize,
    stack_bytes: usize,
    /// What components are linked against: made when the first one comes.
    #[cfg(feature = "components")]
    preview2: Preview2,
}

#[cfg(feature = "components")]
type Preview2 = Arc<spin::Once<Arc<component::Linker<crate::preview2::Data>>>>;

/// What a stack starts with, in bytes: a guest that waits keeps it.
const FIRST_STACK_BYTES: usize = 1 << 10;
/// What wasmi 2.0.0 keeps of each nested call.
const FRAME_BYTES: usize = 24;
/// Beside the stacks, what else cannot be refused in one turn: of which no call of a guest takes more than 64 KiB.
const TURN_BYTES: usize = 256 << 10;

/// What WebAssembly may be compiled with. Most programs need neither; the fewer, the tighter are the bounds on what wasmi
/// takes (see `program::footprint`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Features {
    /// Blocks with parameters or several results, functions with several results.
    pub multi_value: bool,
    /// Tail calls: host calls must then go through a shim.
    pub tail_calls: bool,
}

impl Features {
    /// What is tried, one after the other.
    pub(crate) const TRIED: [Self; 3] = [
        Self { multi_value: false, tail_calls: false },
        Self { multi_value: true, tail_calls: false },
        Self::ALL,
    ];

    /// All that there are.
    pub(crate) const ALL: Self = Self { multi_value: true, tail_calls: true };
}

impl Engine {
    /// The deepest nesting of calls, by default. CPython needs some 20,000.
    pub const DEFAULT_FRAMES: usize = 65_536;
    /// The largest stack of locals and operands, by default, in bytes. It grows on demand.
    pub const DEFAULT_STACK_BYTES: usize = 32 << 20;

    /// An engine with the default limits of the stack: 65,536 frames and 32 MiB.
    pub fn new() -> Self {
        let mut config = Config::default();
        config
            // Fuel is what preempts a guest.
            .consume_fuel(true)
            .operator_cost(OperatorCost {
                memory_grow: growth::COST,
                table_grow: growth::COST,
                ..OperatorCost::default()
            })
            // wasmi 2.0.0 loses the activation when fuel runs out while a callee is translated lazily. So
            // translation costs none: then it cannot run out there. Lazy translation halves the start-up of large programs.
            .fuel_cost(CustomFuelCosts {
                bytes_copied_per_fuel: 64,
                fuel_per_bytes_translated: 0,
                fuel_per_bytes_validated: 0,
            })
            .compilation_mode(CompilationMode::LazyTranslation)
            .ignore_custom_sections(true)
            // The `start` function would run inside instantiation, where nothing can be preempted or parked;
            // `program::rewrite` makes it an export.
            .allow_start_fn(false)
            // A stack that is kept for the next run would keep the deepest run's memory.
            .set_max_cached_stacks(0);
        config.set_min_stack_height(0);
        config.set_max_stack_height(Self::DEFAULT_STACK_BYTES);
        config.set_min_stack_height(FIRST_STACK_BYTES);
        config.set_max_recursion_depth(Self::DEFAULT_FRAMES);
        let (frames, stack_bytes) = (Self::DEFAULT_FRAMES, Self::DEFAULT_STACK_BYTES);
        Self {
            config,
            frames,
            stack_bytes,
            #[cfg(feature = "components")]
            preview2: Preview2::default(),
        }
    }

    /// The limits of the guest's stack: nested calls, and bytes of locals and operands (at least 1 KiB). A program that
    /// needs more traps, and the outcome names the limit.
    pub fn stack(mut self, frames: usize, bytes: usize) -> Self {
        let bytes = bytes.max(FIRST_STACK_BYTES);
        self.config.set_max_stack_height(bytes);
        self.config.set_max_recursion_depth(frames);
        Self { frames, stack_bytes: bytes, ..self }
    }

    /// What the stacks of a guest may take, and what else cannot be refused in one turn. wasmi's stacks double when they are
    /// full, that of values beyond its limit, and an allocator may need the old one and the new one at once.
    pub(crate) fn turn_bytes(&self) -> usize {
        let frames =
            self.frames.checked_next_power_of_two().unwrap_or(usize::MAX).saturating_mul(FRAME_BYTES);
        let values = self.stack_bytes.saturating_mul(3);
        frames.saturating_add(frames / 2).saturating_add(values).saturating_add(TURN_BYTES)
    }

    /// What components are linked against.
    #[cfg(feature = "components")]
    pub(crate) fn preview2(&self) -> &Arc<component::Linker<crate::preview2::Data>> {
        self.preview2.call_once(|| Arc::new(crate::preview2::linker()))
    }

    /// A wasmi engine of its own for one program: wasmi frees code only with the engine that it was compiled in.
    pub(crate) fn instance(&self, features: Features) -> wasmi::Engine {
        let mut config = self.config.clone();
        config.wasm_multi_value(features.multi_value).wasm_tail_call(features.tail_calls);
        wasmi::Engine::new(&config)
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}
