/*
 * void switch_to(void **save, void *load), AAPCS64.
 *
 * Saved: x19-x28, the frame pointer, the link register, d8-d15, and FPCR, which
 * switch_into() restores where it differs. `br` instead of `ret` keeps the return predictor
 * out of it.
 */
        .text
        .globl  switch_to
        .hidden switch_to
        .type   switch_to, %function
        .p2align 4
switch_to:
        .cfi_startproc
        sub     sp, sp, #176
        .cfi_adjust_cfa_offset 176
        mrs     x9, fpcr
        str     x9, [sp, #0]
        stp     x19, x20, [sp, #16]
        stp     x21, x22, [sp, #32]
        stp     x23, x24, [sp, #48]
        stp     x25, x26, [sp, #64]
        stp     x27, x28, [sp, #80]
        stp     x29, x30, [sp, #96]
        .cfi_rel_offset x29, 96
        .cfi_rel_offset x30, 104
        stp     d8, d9, [sp, #112]
        stp     d10, d11, [sp, #128]
        stp     d12, d13, [sp, #144]
        stp     d14, d15, [sp, #160]
        mov     x10, sp
        str     x10, [x0]
        mov     sp, x1
        ldp     x19, x20, [sp, #16]
        ldp     x21, x22, [sp, #32]
        ldp     x23, x24, [sp, #48]
        ldp     x25, x26, [sp, #64]
        ldp     x27, x28, [sp, #80]
        ldp     x29, x30, [sp, #96]
        ldp     d8, d9, [sp, #112]
        ldp     d10, d11, [sp, #128]
        ldp     d12, d13, [sp, #144]
        ldp     d14, d15, [sp, #160]
        add     sp, sp, #176
        .cfi_adjust_cfa_offset -176
        mov     x9, x30
        br      x9
        .cfi_endproc
        .size   switch_to, . - switch_to

/* First activation: entry in x19, its argument in x20. Nothing lies above: unwinding ends. */
        .globl  switch_start
        .hidden switch_start
        .type   switch_start, %function
        .p2align 4
switch_start:
        .cfi_startproc
        .cfi_undefined x30
        mov     x0, x20
        mov     x29, xzr
        mov     x30, xzr
        blr     x19
        brk     #1
        .cfi_endproc
        .size   switch_start, . - switch_start

        .section .note.GNU-stack, "", %progbits
