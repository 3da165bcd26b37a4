/*
 * The first frame of a new context, for the assembly switches. Its layout is what the
 * switch_<arch>.S files pop.
 */
#include <string.h>

#include "core/switch.h"

void switch_start(void); /* in switch_<arch>.S: calls entry(arg) */

#if defined(CO_SWITCH_X86_64)

void *switch_prepare(void *top, void (*entry)(void *), void *arg)
{
    struct {
        uint32_t mxcsr;
        uint16_t x87_control;
        uint16_t unused;
        void *r15, *r14, *r13, *r12, *rbx, *rbp;
        void (*resume_at)(void);
        void *end_of_stack[2]; /* keeps top aligned, and reads as "no caller" */
    } frame = { .r13 = arg, .resume_at = switch_start };
    char *sp = (char *)top - sizeof(frame);

    switch_save_control(&frame);
    memcpy(&frame.r12, &entry, sizeof(entry));
    memcpy(sp, &frame, sizeof(frame));
    return sp;
}

#elif defined(CO_SWITCH_AARCH64)

void *switch_prepare(void *top, void (*entry)(void *), void *arg)
{
    struct {
        uint64_t fpcr, unused;
        void *x19_28[10];
        void *fp;
        void (*resume_at)(void);
        double d8_15[8];
    } frame = { .resume_at = switch_start };
    char *sp = (char *)top - sizeof(frame);

    switch_save_control(&frame);
    memcpy(&frame.x19_28[0], &entry, sizeof(entry));
    frame.x19_28[1] = arg;
    memcpy(sp, &frame, sizeof(frame));
    return sp;
}

#endif
