/*
 * The switch for processors without one of their own: slow (a system call for the signal
 * mask each way), portable.
 */
#include <ucontext.h>

#include "base/check.h"
#include "core/switch.h"

/* makecontext() passes ints only, so the two pointers travel in halves. */
static void start(unsigned entry_high, unsigned entry_low, unsigned arg_high,
                  unsigned arg_low)
{
    uintptr_t entry = (uintptr_t)((uint64_t)entry_high << 32 | entry_low);
    uintptr_t arg = (uintptr_t)((uint64_t)arg_high << 32 | arg_low);

    ((void (*)(void *))entry)((void *)arg);
}

void *switch_prepare(void *top, void (*entry)(void *), void *arg)
{
    /* The context lies at the top of the stack, the first frame below it. */
    uintptr_t at = ((uintptr_t)top - sizeof(ucontext_t)) & ~(uintptr_t)63;
    ucontext_t *context = (ucontext_t *)at;
    uint64_t e = (uintptr_t)entry;
    uint64_t a = (uintptr_t)arg;

    /* Cannot fail: getcontext() has no error on Linux. */
    (void)getcontext(context);
    /* The lowest address is not known here and not needed: only the end is used. */
    context->uc_stack.ss_sp = (void *)(at - 8192);
    context->uc_stack.ss_size = 8192;
    context->uc_link = NULL;
    makecontext(context, (void (*)(void))start, 4, (unsigned)(e >> 32), (unsigned)e,
                (unsigned)(a >> 32), (unsigned)a);
    return context;
}

void switch_to(void **save, void *load)
{
    ucontext_t here;

    *save = &here;
    CO_CHECK(swapcontext(&here, load) == 0);
}
