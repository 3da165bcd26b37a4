/**
 * The bare switch. What it leaves out, and a library must not: the floating-point control
 * words, unwind information, sanitizer hooks, an end to the first frame.
 */
#include "bare_switch.h"

#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)

/* Resumes by pop and jmp: a ret would be mispredicted at each switch. */
__asm__(".text\n"
        ".globl bare_switch\n"
        ".type bare_switch, @function\n"
        ".p2align 4\n"
        "bare_switch:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    popq %rcx\n"
        "    jmpq *%rcx\n"
        ".size bare_switch, . - bare_switch\n");

void *bare_prepare(void *top, void (*entry)(void))
{
    /* Six registers, the place to go to, and one word so that entry() finds the stack
     * aligned as after a call. */
    uintptr_t *sp = (uintptr_t *)top - 8;

    memset(sp, 0, 8 * sizeof(*sp));
    sp[6] = (uintptr_t)entry;
    return sp;
}

#elif defined(__aarch64__)

__asm__(".text\n"
        ".globl bare_switch\n"
        ".type bare_switch, %function\n"
        ".p2align 4\n"
        "bare_switch:\n"
        "    sub sp, sp, #160\n"
        "    stp x19, x20, [sp, #0]\n"
        "    stp x21, x22, [sp, #16]\n"
        "    stp x23, x24, [sp, #32]\n"
        "    stp x25, x26, [sp, #48]\n"
        "    stp x27, x28, [sp, #64]\n"
        "    stp x29, x30, [sp, #80]\n"
        "    stp d8, d9, [sp, #96]\n"
        "    stp d10, d11, [sp, #112]\n"
        "    stp d12, d13, [sp, #128]\n"
        "    stp d14, d15, [sp, #144]\n"
        "    mov x9, sp\n"
        "    str x9, [x0]\n"
        "    mov sp, x1\n"
        "    ldp x19, x20, [sp, #0]\n"
        "    ldp x21, x22, [sp, #16]\n"
        "    ldp x23, x24, [sp, #32]\n"
        "    ldp x25, x26, [sp, #48]\n"
        "    ldp x27, x28, [sp, #64]\n"
        "    ldp x29, x30, [sp, #80]\n"
        "    ldp d8, d9, [sp, #96]\n"
        "    ldp d10, d11, [sp, #112]\n"
        "    ldp d12, d13, [sp, #128]\n"
        "    ldp d14, d15, [sp, #144]\n"
        "    add sp, sp, #160\n"
        "    mov x9, x30\n"
        "    br x9\n"
        ".size bare_switch, . - bare_switch\n");

void *bare_prepare(void *top, void (*entry)(void))
{
    uintptr_t *sp = (uintptr_t *)top - 20;

    memset(sp, 0, 20 * sizeof(*sp));
    sp[11] = (uintptr_t)entry;
    return sp;
}

#else

void *bare_prepare(void *top, void (*entry)(void))
{
    (void)top;
    (void)entry;
    return NULL;
}

void bare_switch(void **save, void *load)
{
    (void)save;
    (void)load;
}

#endif
