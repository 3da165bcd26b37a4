/*
 * Reports that end the process.
 */
#ifndef CORE_REPORT_H
#define CORE_REPORT_H

#include <signal.h>

/* An alternate signal stack for a thread whose tasks' stacks may overflow. */
struct alt_stack {
    stack_t stack;
    int is_ours;
};

/*
 * Gives the calling thread an alternate signal stack unless it has one. Without memory for
 * it, an overflow still ends the process, but silently.
 */
void alt_stack_enter(struct alt_stack *alt);

/* Takes it away again. */
void alt_stack_leave(struct alt_stack *alt);

#endif
