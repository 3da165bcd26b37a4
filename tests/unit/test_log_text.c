/* Tests of daemon/log_text.c: log lines as text. */
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "log_text.h"

struct fixture {
    struct log_text out;
    struct log_line line; /* a time, level info and message "m" */
    char data[512];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    f->out = (struct log_text){ f->data, 0, sizeof(f->data) - 1 };
    f->line = (struct log_line){ .at = { 1795334400, 123456789 },
                                 .level = CO_LOG_INFO,
                                 .message = "m" };
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

/* What was written since the last call. */
static const char *written(struct fixture *f)
{
    f->data[f->out.len] = '\0';
    f->out.len = 0;
    return f->data;
}

/* A line is a UTC time with milliseconds, wherever the machine is, the level and the message. */
static void test_put_line_gives_time_level_and_message(void **state)
{
    struct fixture *f = *state;

    setenv("TZ", "EST5", 1);
    tzset();
    log_text_put_line(&f->out, &f->line);
    unsetenv("TZ");
    tzset();
    assert_string_equal(written(f), "2026-11-22T08:00:00.123Z info  m\n");
}

/* A time that no calendar has does not stop the line. */
static void test_put_line_without_a_date(void **state)
{
    struct fixture *f = *state;

    f->line.at.tv_sec = INT64_MAX;
    log_text_put_line(&f->out, &f->line);
    assert_string_equal(written(f), "-.123Z info  m\n");
}

/* Each level has a word of five letters; numbers that are no level take the nearest. */
static void test_put_line_names_each_level(void **state)
{
    static const struct {
        int level;
        const char *text;
    } cases[] = {
        { -1, "emerg m\n" }, { 0, "emerg m\n" },   { 2, "crit  m\n" }, { 3, "error m\n" },
        { 4, "warn  m\n" },  { 5, "note  m\n" },   { 6, "info  m\n" }, { 7, "debug m\n" },
        { 8, "debug m\n" },  { 255, "debug m\n" },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        f->line.level = (enum co_log_level)cases[i].level;
        log_text_put_line(&f->out, &f->line);
        assert_string_equal(written(f) + 25, cases[i].text);
    }
}

/* What a line is about stands before its message; absent fields leave nothing behind. */
static void test_put_message_puts_fields_first(void **state)
{
    static const struct {
        struct log_fields fields;
        const char *text;
    } cases[] = {
        { { "web", "192.0.2.1:5", 17 }, "web conn 17 192.0.2.1:5: m" },
        { { "web", NULL, 0 }, "web: m" },
        { { "web", "unix", 0 }, "web unix: m" },
        { { NULL, NULL, UINT64_MAX }, "conn 18446744073709551615: m" },
        { { NULL, "[::1]:5", 0 }, "[::1]:5: m" },
        { { NULL, "[::1]:5", 3 }, "conn 3 [::1]:5: m" },
        { { NULL, NULL, 0 }, "m" },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        f->line.fields = cases[i].fields;
        log_text_put_message(&f->out, &f->line);
        assert_string_equal(written(f), cases[i].text);
    }
}

/* clang-format off */
static const struct {
    const char *sent;
    const char *logged;
} escapes[] = {
    { "", "" },
    { "plain ~", "plain ~" },
    { "a\nb\r\tc", "a\\x0ab\\x0d\\x09c" },
    { "\033[2J\177", "\\x1b[2J\\x7f" },
    { "gr\u00fc\u00df\u00a0\u20ac\U0001f600", "gr\u00fc\u00df\u00a0\u20ac\U0001f600" },
    { "\xc2\x9b", "\\xc2\\x9b" },                   /* C1 control */
    { "\xc0\x8a", "\\xc0\\x8a" },                   /* overlong '\n' */
    { "\xe0\x82\x8a", "\\xe0\\x82\\x8a" },          /* overlong */
    { "\xf0\x80\x82\x8a", "\\xf0\\x80\\x82\\x8a" }, /* overlong */
    { "\xed\xa0\x80", "\\xed\\xa0\\x80" },          /* surrogate */
    { "\xed\x9f\xbf\xee\x80\x80", "\xed\x9f\xbf\xee\x80\x80" }, /* its neighbours */
    { "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" }, /* past U+10FFFF */
    { "\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf" },     /* U+10FFFF */
    { "\xf0\x8f\xbf\xbf", "\\xf0\\x8f\\xbf\\xbf" }, /* overlong U+FFFF */
    { "\xf8\x90\x80\x80", "\\xf8\\x90\\x80\\x80" }, /* no first byte */
    { "\xe2\x80\xa7\xe2\x80\xaf", "\xe2\x80\xa7\xe2\x80\xaf" }, /* U+2027, U+202F */
    { "\xe2\x80\xa8", "\\xe2\\x80\\xa8" },          /* line separator */
    { "\xe2\x80\xae", "\\xe2\\x80\\xae" },          /* right-to-left override */
    { "\xe2\x81\xa6\xe2\x81\xa9", "\\xe2\\x81\\xa6\\xe2\\x81\\xa9" }, /* isolates */
    { "\xe2\x81\xa5\xe2\x81\xaa", "\xe2\x81\xa5\xe2\x81\xaa" },
    { "\xff\x80", "\\xff\\x80" },
    { "\xe2\x82", "\\xe2\\x82" },                   /* cut short */
    { "\xe2(\xa1", "\\xe2(\\xa1" },
};
/* clang-format on */

/* Nothing that a peer sends begins a line, moves the cursor or reorders the text. */
static void test_put_message_escapes_what_could_forge_a_line(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < N_ELEMENTS(escapes); i++) {
        f->line.message = escapes[i].sent;
        log_text_put_message(&f->out, &f->line);
        assert_string_equal(written(f), escapes[i].logged);
    }
}

/* Names are escaped as messages are: a listener's comes from a file. */
static void test_put_message_escapes_fields(void **state)
{
    struct fixture *f = *state;

    f->line.fields = (struct log_fields){ "a\nb", "c\033d", 0 };
    log_text_put_message(&f->out, &f->line);
    assert_string_equal(written(f), "a\\x0ab c\\x1bd: m");
}

/* A full buffer takes no more, whole pieces only, and is not overrun. */
static void test_put_stops_at_the_end(void **state)
{
    struct fixture *f = *state;

    f->out.size = 5;
    log_text_put(&f->out, "123");
    log_text_put(&f->out, "456");
    log_text_put(&f->out, "45");
    log_text_put(&f->out, "6");
    f->line.message = "\n";
    log_text_put_line(&f->out, &f->line);
    assert_string_equal(written(f), "12345");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_put_line_gives_time_level_and_message),
        TEST(test_put_line_without_a_date),
        TEST(test_put_line_names_each_level),
        TEST(test_put_message_puts_fields_first),
        TEST(test_put_message_escapes_what_could_forge_a_line),
        TEST(test_put_message_escapes_fields),
        TEST(test_put_stops_at_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
