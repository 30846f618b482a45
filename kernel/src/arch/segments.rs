//! Segments, and the stacks that vectors switch to.
//!
//! `core` and `alloc` are compiled with the red zone, so nothing may be pushed on an interrupted stack: every
//! vector switches through the interrupt stack table (IST).

use boot::image;
use core::array;
use spin::Once;
use x86_64::VirtAddr;
use x86_64::instructions::segmentation::{CS, DS, ES, SS, Segment};
use x86_64::instructions::tables::load_tss;
use x86_64::structures::gdt::{Descriptor, GlobalDescriptorTable};
use x86_64::structures::tss::TaskStateSegment;

/// Who has which stack: the index in the interrupt stack table. Those that can strike inside one another differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Stack {
    /// Exceptions but for those below.
    Exception = 0,
    /// Interrupts of devices and the timer.
    Interrupt,
    /// Page faults: any other handler may touch memory that is mapped on demand.
    PageFault,
    /// Double faults: the handler's own stack may be what failed.
    DoubleFault,
    /// Non-maskable interrupts.
    Nmi,
    /// Machine checks.
    MachineCheck,
}

const _: () = assert!(Stack::MachineCheck as usize + 1 == boot::INTERRUPT_STACKS);

static TSS: Once<TaskStateSegment> = Once::new();
static GDT: Once<GlobalDescriptorTable> = Once::new();

/// Loads the descriptor table and the task state with the interrupt stacks.
pub fn init() {
    let tss = TSS.call_once(|| {
        let mut tss = TaskStateSegment::new();
        // Assigned whole: the structure is packed. The seventh stack is unused.
        let stacks = image::interrupt_stacks();
        tss.interrupt_stack_table = array::from_fn(|index| {
            stacks.get(index).map_or(VirtAddr::zero(), |stack| VirtAddr::new(stack.end))
        });
        tss
    });
    let mut code = None;
    let mut task = None;
    let gdt = GDT.call_once(|| {
        let mut gdt = GlobalDescriptorTable::new();
        code = Some(gdt.append(Descriptor::kernel_code_segment()));
        task = Some(gdt.append(Descriptor::tss_segment(tss)));
        gdt
    });
    gdt.load();
    if let (Some(code), Some(task)) = (code, task) {
        // SAFETY: both are entries of the table just loaded, of the right kind; data segments are not used in
        // long mode, and a null one is valid for them.
        unsafe {
            CS::set_reg(code);
            SS::set_reg(x86_64::structures::gdt::SegmentSelector::NULL);
            DS::set_reg(x86_64::structures::gdt::SegmentSelector::NULL);
            ES::set_reg(x86_64::structures::gdt::SegmentSelector::NULL);
            load_tss(task);
        }
    }
}
