//! Whether KVM really works here.
//!
//! A `/dev/kvm` that opens proves little: without nested virtualisation it may be missing or refuse to make a
//! virtual machine, and some sandboxes offer one that interprets a few instructions and gives up at the rest. So a
//! few instructions of the kind that the kernel is made of are run, which takes some milliseconds.

use std::fmt;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use kvm_bindings::kvm_userspace_memory_region;
use kvm_ioctls::{Kvm, VcpuExit, VcpuFd};

use crate::error::Error;
use crate::options::AccelChoice;

/// What realises the machine's processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accel {
    /// The host's processor.
    Kvm,
    /// Emulation.
    Tcg,
}

impl Accel {
    /// QEMU's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }
}

/// Picks what was asked for.
///
/// # Errors
///
/// KVM was asked for by name and does not work.
pub fn pick(choice: AccelChoice) -> Result<Accel, Error> {
    match choice {
        AccelChoice::Tcg => Ok(Accel::Tcg),
        AccelChoice::Auto => Ok(if try_kvm().is_ok() { Accel::Kvm } else { Accel::Tcg }),
        AccelChoice::Kvm => try_kvm().map(|()| Accel::Kvm).map_err(Error::NoKvm),
    }
}

/// Why KVM cannot be used.
#[derive(Debug)]
pub enum KvmFault {
    /// The system said no.
    System(kvm_ioctls::Error),
    /// The instructions did not come to their end but to this.
    Exit(String),
    /// They came to no end.
    Hangs,
}

impl fmt::Display for KvmFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System(error) => write!(f, "/dev/kvm: {error}"),
            Self::Exit(exit) => write!(f, "a test program ended with {exit}"),
            Self::Hangs => write!(f, "a test program did not end"),
        }
    }
}

impl From<kvm_ioctls::Error> for KvmFault {
    fn from(error: kvm_ioctls::Error) -> Self {
        Self::System(error)
    }
}

/// How long the test program is given. It needs microseconds.
const PATIENCE: Duration = Duration::from_millis(500);

fn try_kvm() -> Result<(), KvmFault> {
    let kvm = Kvm::new()?;
    let (sender, result) = mpsc::channel();
    // If it hangs, the thread ends with the process: `sisal` may go on without it.
    thread::spawn(move || sender.send(run_test(&kvm)));
    result.recv_timeout(PATIENCE).unwrap_or(Err(KvmFault::Hangs))
}

/// The test program: SSE arithmetic, then `hlt`.
#[rustfmt::skip]
const TEST_PROGRAM: [u8; 16] = [
    0x66, 0x0f, 0xef, 0xc0,       // pxor     xmm0, xmm0
    0xf2, 0x0f, 0x2a, 0xc8,       // cvtsi2sd xmm1, eax
    0xf2, 0x0f, 0x58, 0xc1,       // addsd    xmm0, xmm1
    0x0f, 0x28, 0xd0,             // movaps   xmm2, xmm0
    0xf4,                         // hlt
];

/// The test machine's memory: one page of tables at each level, and the page of the program.
#[repr(C, align(4096))]
struct Memory {
    pml4: [u64; 512],
    pdpt: [u64; 512],
    pd: [u64; 512],
    program: [u8; 4096],
}

/// Address of [`Memory::program`] in the test machine, whose memory begins at 0.
const PROGRAM_ADDRESS: u64 = std::mem::offset_of!(Memory, program) as u64;

impl Memory {
    fn new() -> Box<Self> {
        const PRESENT_WRITABLE: u64 = 0b11;
        const LARGE_PAGE: u64 = 1 << 7;
        let mut memory = Box::new(Self { pml4: [0; 512], pdpt: [0; 512], pd: [0; 512], program: [0; 4096] });
        memory.pml4[0] = std::mem::offset_of!(Self, pdpt) as u64 | PRESENT_WRITABLE;
        memory.pdpt[0] = std::mem::offset_of!(Self, pd) as u64 | PRESENT_WRITABLE;
        memory.pd[0] = PRESENT_WRITABLE | LARGE_PAGE;
        memory.program[..TEST_PROGRAM.len()].copy_from_slice(&TEST_PROGRAM);
        memory
    }
}

fn run_test(kvm: &Kvm) -> Result<(), KvmFault> {
    let mut memory = Memory::new();
    let vm = kvm.create_vm()?;
    let region = kvm_userspace_memory_region {
        slot: 0,
        flags: 0,
        guest_phys_addr: 0,
        memory_size: size_of::<Memory>() as u64,
        userspace_addr: std::ptr::from_mut(&mut *memory).addr() as u64,
    };
    // SAFETY: the region is the whole of `memory`, which is aligned to a page and, as a local declared before `vm`
    // and `vcpu`, outlives the machine that uses it. Nothing here touches `memory` while the machine exists.
    unsafe { vm.set_user_memory_region(region) }?;
    let mut vcpu = vm.create_vcpu(0)?;
    enter_long_mode(&vcpu)?;
    match vcpu.run()? {
        VcpuExit::Hlt => Ok(()),
        exit => Err(KvmFault::Exit(format!("{exit:?}"))),
    }
}

/// Sets the processor to run [`TEST_PROGRAM`] in 64-bit mode with SSE enabled.
fn enter_long_mode(vcpu: &VcpuFd) -> Result<(), KvmFault> {
    const CR0_PG_ET_MP_PE: u64 = 1 << 31 | 1 << 4 | 1 << 1 | 1;
    const CR4_OSXMMEXCPT_OSFXSR_PAE: u64 = 1 << 10 | 1 << 9 | 1 << 5;
    const EFER_LMA_LME: u64 = 1 << 10 | 1 << 8;
    let mut system = vcpu.get_sregs()?;
    system.cr0 = CR0_PG_ET_MP_PE;
    system.cr3 = 0;
    system.cr4 = CR4_OSXMMEXCPT_OSFXSR_PAE;
    system.efer = EFER_LMA_LME;
    // Execute/read, accessed; 64-bit; present; a code segment.
    system.cs.type_ = 11;
    (system.cs.base, system.cs.selector, system.cs.l, system.cs.db, system.cs.present, system.cs.s) =
        (0, 8, 1, 0, 1, 1);
    (system.cs.limit, system.cs.g) = (u32::MAX, 1);
    vcpu.set_sregs(&system)?;
    let mut registers = vcpu.get_regs()?;
    registers.rip = PROGRAM_ADDRESS;
    registers.rflags = 0b10;
    Ok(vcpu.set_regs(&registers)?)
}
