//! How programs are compiled: the features that the engine takes, fuel, and the depth of the guest's stack.

use crate::program::growth;
use wasmi::{CompilationMode, Config, CustomFuelCosts, OperatorCost};

/// How programs are compiled. Cheap to clone; every [`Program`](crate::Program) compiled by it stands alone: its code is
/// freed with it.
#[derive(Clone, Debug)]
pub struct Engine {
    config: Config,
}

/// What a stack starts with, in bytes: a guest that waits keeps it.
const FIRST_STACK_BYTES: usize = 1 << 10;

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
            // A program with tail calls is compiled otherwise (see `program::shim`).
            .wasm_tail_call(false)
            // A stack that is kept for the next run would keep the deepest run's memory.
            .set_max_cached_stacks(0);
        config.set_min_stack_height(0);
        config.set_max_stack_height(Self::DEFAULT_STACK_BYTES);
        config.set_min_stack_height(FIRST_STACK_BYTES);
        config.set_max_recursion_depth(Self::DEFAULT_FRAMES);
        Self { config }
    }

    /// The limits of the guest's stack: nested calls, and bytes of locals and operands (at least 1 KiB). A program that
    /// needs more traps, and the outcome names the limit.
    pub fn stack(mut self, frames: usize, bytes: usize) -> Self {
        self.config.set_max_stack_height(bytes.max(FIRST_STACK_BYTES));
        self.config.set_max_recursion_depth(frames);
        self
    }

    /// A wasmi engine of its own for one program: wasmi frees code only with the engine that it was compiled in.
    pub(crate) fn instance(&self) -> wasmi::Engine {
        wasmi::Engine::new(&self.config)
    }

    /// The same for a program with tail calls, whose host calls must go through a shim.
    pub(crate) fn instance_with_tail_calls(&self) -> wasmi::Engine {
        wasmi::Engine::new(self.config.clone().wasm_tail_call(true))
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}
