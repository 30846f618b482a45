# From the PVH entry (32-bit protected mode, paging off, %ebx = hvm_start_info) to boot_main in long mode.
# https://xenbits.xen.org/docs/unstable/misc/pvh.html
#
# The first page tables are the last for the image: text is read and execute, rodata is read only, data and
# the stack are never executed. Until the jump to the upper half the same tables also serve the image's
# physical addresses; after it, nothing is mapped but the image.

.set KERNEL_BASE, 0xffffffff80000000
# As in kernel.ld.
.set INTERRUPT_STACK_SIZE, 16384
.set INTERRUPT_STACKS, 6

.section .note.pvh, "a", @note
    .balign 4
    .long 4, 8, 18                      # length of name, length of descriptor, XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .quad pvh_start - KERNEL_BASE

.section .boot.tables, "aw", @nobits
    .balign 4096
        .globl pml4, pd_window
pml4:       .skip 4096
pdpt:       .skip 4096
pd_image:   .skip 4096
pd_window:  .skip 4096                  # see window.rs
pt_image:   .skip 4096 * 8              # the first 16 MiB

# The time stamp counter at the first instruction.
.data
    .balign 8
    .globl entered
entered:    .quad 0

.section .boot.text, "ax"
.code32
.global pvh_start
pvh_start:
    cld
    cli
    rdtsc
    movl %eax, entered - KERNEL_BASE
    movl %edx, entered - KERNEL_BASE + 4
    movl $(boot_stack_end - KERNEL_BASE), %esp

    # Without long mode or NX there is nothing to be done but to say so.
    movl $0x80000001, %eax
    movl %ebx, %ebp
    cpuid
    movl %ebp, %ebx
    andl $0x20100000, %edx
    cmpl $0x20100000, %edx
    jne no_long_mode

    # Page tables (they are .bss: zero).
    movl $(pdpt - KERNEL_BASE + 3), %eax
    movl %eax, pml4 - KERNEL_BASE + 511 * 8
    movl %eax, pml4 - KERNEL_BASE
    movl $(pd_image - KERNEL_BASE + 3), %eax
    movl %eax, pdpt - KERNEL_BASE + 510 * 8
    movl %eax, pdpt - KERNEL_BASE
    movl $(pd_window - KERNEL_BASE + 3), %eax
    movl %eax, pdpt - KERNEL_BASE + 511 * 8
    xorl %ecx, %ecx
0:  movl %ecx, %eax
    shll $12, %eax
    addl $(pt_image - KERNEL_BASE + 3), %eax
    movl %eax, pd_image - KERNEL_BASE(,%ecx,8)
    incl %ecx
    cmpl $8, %ecx
    jne 0b

    # map_pages(first in %eax, end in %ecx, low flags in %edi, high flags in %esi)
    movl $(image_start - KERNEL_BASE), %eax
    movl $(text_end - KERNEL_BASE), %ecx
    movl $0x1, %edi
    xorl %esi, %esi
    call map_pages
    movl $(rodata_end - KERNEL_BASE), %ecx
    movl $0x80000000, %esi
    call map_pages
    movl $(data_end - KERNEL_BASE), %ecx
    movl $0x3, %edi
    call map_pages
    movl $(interrupt_stacks_start - KERNEL_BASE), %eax
    .rept INTERRUPT_STACKS
    addl $4096, %eax                    # the guard page
    leal INTERRUPT_STACK_SIZE(%eax), %ecx
    call map_pages
    .endr
    movl $(boot_stack_start - KERNEL_BASE), %eax
    movl $(boot_stack_end - KERNEL_BASE), %ecx
    call map_pages

    movl $0x620, %eax                   # CR4: PAE, OSFXSR, OSXMMEXCPT
    movl %eax, %cr4
    movl $(pml4 - KERNEL_BASE), %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx              # EFER: LME, NXE
    rdmsr
    orl $0x900, %eax
    wrmsr
    movl $0x80010033, %eax              # CR0: PG, WP, NE, ET, MP, PE; no EM, no TS, caches on
    movl %eax, %cr0
    lgdtl gdt_pointer - KERNEL_BASE
    ljmpl $0x8, $(long_mode - KERNEL_BASE)

map_pages:
0:  cmpl %ecx, %eax
    jae 1f
    movl %eax, %edx
    shrl $9, %edx                       # eight bytes for each page of 4 KiB
    leal (%eax,%edi), %ebp
    movl %ebp, pt_image - KERNEL_BASE(%edx)
    movl %esi, pt_image - KERNEL_BASE + 4(%edx)
    addl $4096, %eax
    jmp 0b
1:  ret

no_long_mode:
    movl $(no_long_mode_text - KERNEL_BASE), %esi
    movw $0x3f8, %dx
0:  lodsb
    testb %al, %al
    jz 1f
    outb %al, %dx
    jmp 0b
1:  movw $0x501, %dx                    # isa-debug-exit
    movw $1, %ax
    outw %ax, %dx
2:  hlt
    jmp 2b
no_long_mode_text:
    .asciz "sisal: this processor has no 64-bit mode with NX; start QEMU with -cpu max or -cpu host\r\n"

    .balign 8
gdt:
    .quad 0, 0x00209b0000000000, 0x0000930000000000
gdt_pointer:
    .word 23
    .quad gdt - KERNEL_BASE
gdt_pointer_upper:
    .word 23
    .quad gdt

.code64
long_mode:
    movabsq $upper_half, %rax
    jmpq *%rax
upper_half:
    lgdt gdt_pointer_upper(%rip)
    movw $0x10, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %fs
    movw %ax, %gs
    movw %ax, %ss
    leaq boot_stack_end(%rip), %rsp
    xorl %eax, %eax
    movq %rax, pdpt(%rip)
    movq %rax, pml4(%rip)
    movq %cr3, %rax
    movq %rax, %cr3
    movl %ebx, %edi
    xorl %ebp, %ebp
    pushq %rbp                          # the ABI's alignment after a call
    jmp boot_main
