/* Tests of lib/core/report.c: what is said when the process has to end. */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/report.h"
#include "core/task.h"
#include "fault.h"
#include "fixture.h"

static void describe(void *arg, char *buf, size_t size)
{
    size_t len = 0;

    (void)arg;
    co_text_append(buf, size, &len, "conn ");
    co_text_append_u64(buf, size, &len, 4711);
}

static const struct co_task_attr attr = { .name = "greedy", .describe = describe };
static const struct co_task_attr small = { .name = "small", .stack_size = 16384 };
static const struct co_task_attr large = { .name = "large", .stack_size = 256 << 10 };

/* What a child does in a task of these attributes, with overflows caught or not. */
struct crash {
    const struct co_task_attr *attr;
    co_task_fn fn;
    void *arg;
    bool is_installed;
    bool has_canary;
};

static int run_crash_task(struct crash *crash)
{
    struct co_loop *loop;

    if (crash->is_installed)
        assert_int_equal(co_overflow_install(), 0);
    assert_int_equal(co_loop_new(NULL, &loop), 0);
    if (crash->has_canary) {
        loop->stacks.no_markers = true;
        loop->stacks.max_mprotect = 0;
    }
    assert_int_equal(co_task_spawn(loop, crash->attr, crash->fn, crash->arg, NULL), 0);
    co_loop_stop(loop);
    return co_loop_run(loop);
}

static void crash_main(void *arg)
{
    (void)run_crash_task(arg);
}

static void *crash_thread(void *arg)
{
    (void)run_crash_task(arg);
    return NULL;
}

static void crash_in_a_thread(void *arg)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, crash_thread, arg) == 0)
        pthread_join(thread, NULL);
}

/* ---- overflow ---- */

/* Never inlined, and too simple for a sanitizer to move to the heap. */
__attribute__((noinline, no_sanitize("address", "thread", "undefined"))) static int
recurse(volatile int *depth)
{
    volatile char frame[256];

    frame[0] = (char)++*depth;
    if (*depth > 100000000)
        return 0;
    return recurse(depth) + frame[0];
}

static int overflow(void *arg)
{
    volatile int depth = 0;

    (void)arg;
    return recurse(&depth);
}

/* A frame larger than a guard page: the compiler's probes still meet the guard. */
__attribute__((noinline, no_sanitize("address", "thread", "undefined"))) static int
big_frame(volatile size_t size)
{
    volatile char *frame = __builtin_alloca(size);

    frame[0] = 1;
    frame[size - 1] = 2;
    return frame[0] + frame[size - 1];
}

static int overflow_at_once(void *arg)
{
    (void)arg;
    return big_frame(100000);
}

/* An overflow ends the process, and names the task, its work and its stack. */
static void test_overflow_names_the_task(void **state)
{
    struct crash crash = { &attr, overflow, NULL, .is_installed = true };
    struct child_result child = child_run(crash_main, &crash);

    (void)state;
    assert_int_equal(child.signal, SIGABRT);
    assert_non_null(strstr(child.text, "stack overflow in task greedy (conn 4711)"));
    assert_non_null(strstr(child.text, "64 KiB were not enough"));
}

/* Each class is guarded, and its size is told. */
static void test_overflow_of_each_class(void **state)
{
    struct crash crashes[] = { { &small, overflow, NULL, .is_installed = true },
                               { &large, overflow, NULL, .is_installed = true } };
    static const char *const texts[] = { "task small: 16 KiB", "task large: 256 KiB" };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(crashes); i++) {
        struct child_result child = child_run(crash_main, &crashes[i]);

        assert_int_equal(child.signal, SIGABRT);
        assert_non_null(strstr(child.text, texts[i]));
    }
}

/* A frame that would step over the guard is caught too. */
static void test_overflow_by_a_big_frame(void **state)
{
    struct crash crash = { &attr, overflow_at_once, NULL, .is_installed = true };
    struct child_result child = child_run(crash_main, &crash);

    (void)state;
    assert_int_equal(child.signal, SIGABRT);
    assert_non_null(strstr(child.text, "stack overflow in task greedy"));
}

/* On another thread it is caught as well: each running loop has a signal stack. */
static void test_overflow_on_another_thread(void **state)
{
    struct crash crash = { &attr, overflow, NULL, .is_installed = true };
    struct child_result child = child_run(crash_in_a_thread, &crash);

    (void)state;
    assert_int_equal(child.signal, SIGABRT);
    assert_non_null(strstr(child.text, "stack overflow in task greedy"));
}

static int spoil_canary(void *arg)
{
    struct stack *stack = co_task_current()->stack;

    (void)arg;
    /* As an overflow would that has gone just over the end. */
    stack->base[STACK_GUARD_BYTES] = 0;
    return co_await_yield();
}

/* Behind a canary an overflow is found at the next switch. */
static void test_overflow_of_a_canary(void **state)
{
    struct crash crash = { &attr, spoil_canary, NULL, .has_canary = true };
    struct child_result child = child_run(crash_main, &crash);

    (void)state;
    assert_int_equal(child.signal, SIGABRT);
    assert_non_null(
        strstr(child.text, "task greedy (conn 4711) has overflowed its stack"));
}

/* Without the handler an overflow is a fault like any other. */
static void test_overflow_not_installed(void **state)
{
    struct crash crash = { &attr, overflow, NULL, .is_installed = false };
    struct child_result child = child_run(crash_main, &crash);

    (void)state;
    assert_int_equal(child.signal, SIGSEGV);
    assert_string_equal(child.text, "");
}

/* ---- other faults ---- */

__attribute__((no_sanitize("address", "thread", "undefined"))) static int
write_to_null(void *arg)
{
    *(volatile char *)arg = 1;
    return 0;
}

static void write_to_null_outside(void *arg)
{
    (void)arg;
    assert_int_equal(co_overflow_install(), 0);
    (void)write_to_null(arg);
}

/* Other faults keep their effect, in a task and outside. */
static void test_other_faults_keep_their_effect(void **state)
{
    struct crash crash = { &attr, write_to_null, NULL, .is_installed = true };
    struct child_result child = child_run(crash_main, &crash);

    (void)state;
    assert_int_equal(child.signal, SIGSEGV);
    assert_string_equal(child.text, "");
    assert_int_equal(child_run(write_to_null_outside, NULL).signal, SIGSEGV);
}

static void exit_42(int sig)
{
    (void)sig;
    _exit(42);
}

static void fault_under_a_handler(void *arg)
{
    signal(SIGSEGV, exit_42);
    crash_main(arg);
}

/* A handler that was there before still gets the faults that are not overflows. */
static void test_other_faults_go_to_the_earlier_handler(void **state)
{
    struct crash crash = { &attr, write_to_null, NULL, .is_installed = true };
    struct child_result child = child_run(fault_under_a_handler, &crash);

    (void)state;
    assert_int_equal(child.signal, 0);
    assert_int_equal(child.status, 42);
}

/* ---- checks ---- */

static int fail_a_check(void *arg)
{
    (void)arg;
    CO_CHECK(1 + 1 == 3);
    return 0;
}

static void fail_a_check_outside(void *arg)
{
    (void)fail_a_check(arg);
}

/* A check that fails says what, where, and in which task. */
static void test_check_failed_names_the_task(void **state)
{
    struct crash crash = { &attr, fail_a_check, NULL, .is_installed = false };
    struct child_result child = child_run(crash_main, &crash);

    (void)state;
    assert_int_equal(child.signal, SIGABRT);
    assert_non_null(strstr(child.text, "corod: bug: "));
    assert_non_null(strstr(child.text, "test_report.c:"));
    assert_non_null(
        strstr(child.text, "fail_a_check: 1 + 1 == 3, in task greedy (conn 4711)\n"));
}

/* Outside a task it names none. */
static void test_check_failed_outside_a_task(void **state)
{
    struct child_result child = child_run(fail_a_check_outside, NULL);

    (void)state;
    assert_int_equal(child.signal, SIGABRT);
    assert_non_null(strstr(child.text, "fail_a_check: 1 + 1 == 3\n"));
}

static void describe_at_length(void *arg, char *buf, size_t size)
{
    size_t len = 0;

    (void)arg;
    for (int i = 0; i < 1000; i++)
        co_text_append(buf, size, &len, "very ");
}

/* However long names and descriptions are, the report is one line that fits. */
static void test_check_failed_with_long_texts(void **state)
{
    static char name[3000];
    struct co_task_attr wordy = { .name = name, .describe = describe_at_length };
    struct crash crash = { &wordy, fail_a_check, NULL, .is_installed = false };
    struct child_result child;

    (void)state;
    memset(name, 'n', sizeof(name) - 1);
    child = child_run(crash_main, &crash);
    assert_int_equal(child.signal, SIGABRT);
    assert_true(strlen(child.text) <= 1024);
    assert_int_equal(child.text[strlen(child.text) - 1], '\n');
}

/* ---- signal stacks ---- */

/* Makes the calling thread one without a signal stack. */
static void drop_signal_stack(void)
{
    static const stack_t none = { .ss_flags = SS_DISABLE };

    assert_int_equal(sigaltstack(&none, NULL), 0);
}

static bool has_signal_stack(void)
{
    stack_t now;

    assert_int_equal(sigaltstack(NULL, &now), 0);
    return !(now.ss_flags & SS_DISABLE);
}

/* A thread without a signal stack gets one, and loses it again. */
static void enter_and_leave(void *arg)
{
    struct alt_stack alt;

    (void)arg;
    drop_signal_stack();
    alt_stack_enter(&alt);
    assert_true(has_signal_stack());
    alt_stack_leave(&alt);
    assert_false(has_signal_stack());
    fault_after(1);
    alt_stack_enter(&alt);
    assert_true(fault_hit());
    assert_false(has_signal_stack());
    alt_stack_leave(&alt);
    _exit(7);
}

/* A thread gets a signal stack for the time of a run; without memory it goes without. */
static void test_alt_stack_is_for_the_run(void **state)
{
    (void)state;
    assert_int_equal(child_run(enter_and_leave, NULL).status, 7);
}

static void enter_with_a_stack(void *arg)
{
    static char bytes[65536];
    const stack_t mine = { .ss_sp = bytes, .ss_size = sizeof(bytes) };
    struct alt_stack alt;
    stack_t now;

    (void)arg;
    drop_signal_stack();
    assert_int_equal(sigaltstack(&mine, NULL), 0);
    alt_stack_enter(&alt);
    alt_stack_leave(&alt);
    assert_int_equal(sigaltstack(NULL, &now), 0);
    if (now.ss_sp == bytes && !(now.ss_flags & SS_DISABLE))
        _exit(7);
}

/* A signal stack that the thread has already is left alone. */
static void test_alt_stack_of_the_thread_is_kept(void **state)
{
    (void)state;
    assert_int_equal(child_run(enter_with_a_stack, NULL).status, 7);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overflow_names_the_task),
        cmocka_unit_test(test_overflow_of_each_class),
        cmocka_unit_test(test_overflow_by_a_big_frame),
        cmocka_unit_test(test_overflow_on_another_thread),
        cmocka_unit_test(test_overflow_of_a_canary),
        cmocka_unit_test(test_overflow_not_installed),
        cmocka_unit_test(test_other_faults_keep_their_effect),
        cmocka_unit_test(test_other_faults_go_to_the_earlier_handler),
        cmocka_unit_test(test_check_failed_names_the_task),
        cmocka_unit_test(test_check_failed_outside_a_task),
        cmocka_unit_test(test_check_failed_with_long_texts),
        cmocka_unit_test(test_alt_stack_is_for_the_run),
        cmocka_unit_test(test_alt_stack_of_the_thread_is_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
