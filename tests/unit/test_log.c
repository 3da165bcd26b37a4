/* Tests of lib/base/log.c: which lines go where. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <corod/log.h>

#include "base/log_sink.h"
#include "core/task.h"
#include "fixture.h"

static void log_all_levels(void *arg)
{
    (void)arg;
    co_log(CO_LOG_ERROR, "e%d", 1);
    co_log(CO_LOG_WARNING, "w");
    co_log(CO_LOG_NOTICE, "n");
    co_log(CO_LOG_INFO, "i");
    co_log(CO_LOG_DEBUG, "d");
}

/* Outside a loop lines of level info and above go to stderr. */
static void test_log_goes_to_stderr(void **state)
{
    struct child_result child = child_run(log_all_levels, NULL);

    (void)state;
    assert_string_equal(child.text, "error: e1\nwarning: w\ninfo: n\ninfo: i\n");
    assert_true(co_log_is_on(CO_LOG_INFO));
    assert_false(co_log_is_on(CO_LOG_DEBUG));
}

struct lines {
    int n;
    enum co_log_level level;
    char text[2000];
};

static CO_PRINTF(4, 0) void keep_line(void *ctx, enum co_log_level level,
                                      const struct co_conn *conn, const char *fmt,
                                      va_list args)
{
    struct lines *lines = ctx;

    assert_null(conn);
    lines->n++;
    lines->level = level;
    vsnprintf(lines->text, sizeof(lines->text), fmt, args);
    errno = EIO; /* as a sink's own calls may leave it */
}

static int log_in_a_task(void *arg)
{
    const struct lines *lines = arg;

    errno = ENOENT;
    co_log(CO_LOG_WARNING, "%s %d", "seven", 7);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(lines->n, 1);
    assert_true(co_log_is_on(CO_LOG_WARNING));
    assert_false(co_log_is_on(CO_LOG_NOTICE));
    co_log(CO_LOG_NOTICE, "not wanted");
    return lines->n;
}

/* In a loop lines go to its sink, down to the sink's level; errno is kept. */
static void test_log_goes_to_the_loops_sink(void **state)
{
    struct lines lines = { .n = 0 };
    struct co_log_sink sink = { .write = keep_line,
                                .ctx = &lines,
                                .level = CO_LOG_WARNING };
    struct fixture *f;

    assert_int_equal(fixture_setup(state), 0);
    f = *state;
    f->loop->sink = &sink;
    assert_int_equal(fixture_call(f, log_in_a_task, &lines), 1);
    assert_int_equal(lines.level, CO_LOG_WARNING);
    assert_string_equal(lines.text, "seven 7");
    assert_ptr_equal(log_sink_current(), log_sink_stderr());
    assert_int_equal(fixture_teardown(state), 0);
}

static void log_a_long_line(void *arg)
{
    (void)arg;
    co_log(CO_LOG_INFO, "%5000d", 1);
}

/* However long a line is, it stays one line. */
static void test_log_cuts_long_lines(void **state)
{
    struct child_result child = child_run(log_a_long_line, NULL);

    (void)state;
    assert_int_equal(child.signal, 0);
    assert_int_equal(child.text[strlen(child.text) - 1], '\n');
    assert_ptr_equal(strchr(child.text, '\n'), child.text + strlen(child.text) - 1);
    assert_true(strlen(child.text) < 1100);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_goes_to_stderr),
        cmocka_unit_test(test_log_goes_to_the_loops_sink),
        cmocka_unit_test(test_log_cuts_long_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
