/*
 * Reports that end the process: a check that failed, a task misused, a stack that overflowed.
 * Each names the task that runs and what it works on. All of it is async-signal-safe: it
 * formats into a local buffer and calls write().
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/report.h"
#include "core/task.h"

enum { ALT_STACK_BYTES = 32768, TEXT_BYTES = 1024 };

struct text {
    char buf[TEXT_BYTES];
    size_t len;
};

static void add(struct text *text, const char *s)
{
    co_text_append(text->buf, sizeof(text->buf) - 1, &text->len, s);
}

static void add_task(struct text *text, const struct co_task *task)
{
    char about[512] = "";

    add(text, "task ");
    add(text, co_task_name(task));
    if (task->attr->describe)
        task->attr->describe(task->arg, about, sizeof(about));
    if (about[0]) {
        add(text, " (");
        add(text, about);
        add(text, ")");
    }
}

static _Noreturn void end(struct text *text)
{
    text->buf[text->len++] = '\n';
    /* Nothing to be done if stderr is gone: the core dump still tells. */
    (void)!write(STDERR_FILENO, text->buf, text->len);
    abort();
}

_Noreturn void check_failed(const char *what, const char *file, int line,
                            const char *function)
{
    struct text text = { .len = 0 };

    add(&text, "corod: bug: ");
    add(&text, file);
    add(&text, ":");
    co_text_append_u64(text.buf, sizeof(text.buf) - 1, &text.len, (uint64_t)line);
    add(&text, ": ");
    add(&text, function);
    add(&text, ": ");
    add(&text, what);
    if (loop_current && loop_current->running) {
        add(&text, ", in ");
        add_task(&text, loop_current->running);
    }
    end(&text);
}

_Noreturn void task_fail_alive(const struct co_task *task, const char *what)
{
    struct text text = { .len = 0 };

    add(&text, "corod: fatal: ");
    add_task(&text, task);
    add(&text, " ");
    add(&text, what);
    end(&text);
}

/* ---- overflow ---- */

/* What other faults did before; the disposition of a signal belongs to the whole process. */
static struct sigaction previous_segv, previous_bus;

static void report_overflow(const struct co_task *task)
{
    struct text text = { .len = 0 };

    add(&text, "corod: fatal: stack overflow in ");
    add_task(&text, task);
    add(&text, ": ");
    co_text_append_u64(text.buf, sizeof(text.buf) - 1, &text.len,
                       task->stack->size / 1024);
    add(&text, " KiB were not enough; raise stack_size or use less");
    end(&text);
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
    const struct co_task *task = loop_current ? loop_current->running : NULL;

    (void)context;
    if (task && stack_guard_has(task->stack, info->si_addr))
        report_overflow(task);
    /* Not ours: put back what was there, and return to the instruction, which faults again. */
    sigaction(sig, sig == SIGSEGV ? &previous_segv : &previous_bus, NULL);
    if (info->si_code <= 0)
        raise(sig); /* sent by kill(): there is no instruction to fault again */
}

int co_overflow_install(void)
{
    struct sigaction action = { .sa_sigaction = on_fault,
                                .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };

    sigemptyset(&action.sa_mask);
    if (sigaction(SIGSEGV, &action, &previous_segv) < 0 ||
        sigaction(SIGBUS, &action, &previous_bus) < 0)
        return -errno;
    return 0;
}

void alt_stack_enter(struct alt_stack *alt)
{
    stack_t now;

    *alt = (struct alt_stack){ .is_ours = 0 };
    if (sigaltstack(NULL, &now) < 0 || !(now.ss_flags & SS_DISABLE))
        return;
    alt->stack.ss_sp = malloc(ALT_STACK_BYTES);
    alt->stack.ss_size = ALT_STACK_BYTES;
    if (!alt->stack.ss_sp)
        return;
    alt->is_ours = sigaltstack(&alt->stack, NULL) == 0;
}

void alt_stack_leave(struct alt_stack *alt)
{
    static const stack_t none = { .ss_flags = SS_DISABLE };

    if (alt->is_ours)
        sigaltstack(&none, NULL);
    free(alt->stack.ss_sp);
}
