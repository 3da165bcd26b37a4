/*
 * Tests of lib/net/stream_read.c: what each read returns, keeps and leaves behind.
 * long: one file a module, many short tests.
 */
#include "test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"
#include "fixture.h"
#include "net/stream.h"

/* ---- one read, as a task ---- */

enum how { SOME, EXACTLY, UNTIL, LINE };

struct reading {
    struct co_stream *s;
    enum how how;
    size_t n;         /* bytes, or the most of them */
    const char *sep;  /* of UNTIL */
    co_time deadline; /* 0: CO_NEVER */
    int r;
    struct co_bytes bytes;
    int n_done;
};

static int read_once(void *arg)
{
    struct reading *r = arg;
    co_time deadline = r->deadline ? r->deadline : CO_NEVER;
    size_t sep_len = r->sep ? strlen(r->sep) : 0;

    r->bytes = (struct co_bytes){ .data = "untouched", .len = 9 };
    r->r = r->how == SOME      ? co_stream_await_some(r->s, r->n, deadline, &r->bytes)
           : r->how == EXACTLY ? co_stream_await_exactly(r->s, r->n, deadline, &r->bytes)
           : r->how == UNTIL
               ? co_stream_await_until(r->s, r->sep, sep_len, r->n, deadline, &r->bytes)
               : co_stream_await_line(r->s, r->n, deadline, &r->bytes);
    r->n_done++;
    return 0;
}

/* Reads in a task that runs to its end; the bytes are borrowed as ever. */
static struct reading read_now(struct fixture *f, enum how how, size_t n, const char *sep)
{
    struct reading r = { .s = f->stream, .how = how, .n = n, .sep = sep };

    fixture_call(f, read_once, &r);
    return r;
}

/* What is left is exactly @text. */
static void assert_rest(struct fixture *f, const char *text)
{
    struct reading r;

    if (!*text) {
        assert_int_equal(co_stream_buffered(f->stream), 0);
        return;
    }
    r = read_now(f, EXACTLY, strlen(text), NULL);
    assert_int_equal(r.r, 0);
    assert_bytes_equal(r.bytes, text);
    assert_int_equal(co_stream_buffered(f->stream), 0);
}

/* ---- some ---- */

/* Bytes that have come are given at once. */
static void test_await_some_gives_what_is_there(void **state)
{
    struct fixture *f = *state;
    struct reading r;

    fixture_open_stream(f, NULL);
    peer_send(&f->peer, "hello");
    r = read_now(f, SOME, 100, NULL);
    assert_int_equal(r.r, 0);
    assert_bytes_equal(r.bytes, "hello");
}

/* A read of an empty stream waits until bytes come. */
static void test_await_some_waits_for_bytes(void **state)
{
    struct fixture *f = *state;
    struct reading r = { .how = SOME, .n = 100 };
    struct co_task *task;

    fixture_open_stream(f, NULL);
    r.s = f->stream;
    task = fixture_spawn(f, read_once, &r);
    fixture_run_idle(f);
    assert_int_equal(r.n_done, 0);
    assert_string_equal(co_task_awaits(task), "stream read");

    peer_send(&f->peer, "x");
    fixture_run(f);
    assert_int_equal(r.r, 0);
    assert_bytes_equal(r.bytes, "x");
}

/* What is above max stays for the next read. */
static void test_await_some_leaves_the_rest(void **state)
{
    struct fixture *f = *state;
    struct reading r;

    fixture_open_stream(f, NULL);
    peer_send(&f->peer, "abcdef");
    r = read_now(f, SOME, 2, NULL);
    assert_bytes_equal(r.bytes, "ab");
    assert_int_equal(co_stream_buffered(f->stream), 4);
    assert_rest(f, "cdef");
}

/* A read of no bytes returns at once, also with nothing there (b098). */
static void test_await_some_of_none_returns_at_once(void **state)
{
    struct fixture *f = *state;
    struct reading r;

    fixture_open_stream(f, NULL);
    r = read_now(f, SOME, 0, NULL);
    assert_int_equal(r.r, 0);
    assert_int_equal(r.bytes.len, 0);
    r = read_now(f, EXACTLY, 0, NULL);
    assert_int_equal(r.r, 0);
    assert_int_equal(r.bytes.len, 0);
}

/* After the peer's end each read gives CO_EEOF, and outputs stay as they were. */
static void test_await_some_at_the_end_is_eof(void **state)
{
    struct fixture *f = *state;

    fixture_open_stream(f, NULL);
    peer_shutdown(&f->peer);
    assert_false(co_stream_at_eof(f->stream));
    for (int i = 0; i < 2; i++) {
        struct reading r = read_now(f, SOME, 10, NULL);

        assert_int_equal(r.r, CO_EEOF);
        assert_bytes_equal(r.bytes, "untouched");
        assert_true(co_stream_at_eof(f->stream));
    }
    assert_int_equal(co_stream_error(f->stream), 0);
}

/* Bytes and the end that come in one go are both seen. */
static void test_await_some_sees_the_end_behind_bytes(void **state)
{
    struct fixture *f = *state;

    for (int is_tcp = 0; is_tcp < 2; is_tcp++) {
        if (is_tcp)
            fixture_open_tcp_stream(f, NULL);
        else
            fixture_open_stream(f, NULL);
        peer_send(&f->peer, "bye");
        peer_close(&f->peer);
        assert_bytes_equal(read_now(f, SOME, 10, NULL).bytes, "bye");
        assert_int_equal(read_now(f, SOME, 10, NULL).r, CO_EEOF);
        co_stream_abort(f->stream);
        f->stream = NULL;
    }
}

/* Bytes and a reset that come in one go are both seen: bytes first. */
static void test_await_some_sees_the_reset_behind_bytes(void **state)
{
    struct fixture *f = *state;
    struct reading r = { .how = SOME, .n = 100 };

    fixture_open_tcp_stream(f, NULL);
    r.s = f->stream;
    fixture_spawn(f, read_once, &r);
    fixture_run_idle(f);
    peer_send(&f->peer, "bye");
    peer_reset(&f->peer);
    fixture_run(f);
    assert_bytes_equal(r.bytes, "bye");
    assert_int_equal(read_now(f, SOME, 10, NULL).r, -ECONNRESET);
}

/* ---- exactly ---- */

/* Bytes are joined wherever the peer's segments split them. */
static void test_await_exactly_joins_every_split(void **state)
{
    static const char text[] = "0123456789";
    struct fixture *f = *state;

    fixture_open_stream(f, NULL);
    for (size_t split = 1; split < 10; split++) {
        struct reading r = { .s = f->stream, .how = EXACTLY, .n = 10 };

        fixture_spawn(f, read_once, &r);
        peer_send_bytes(&f->peer, text, split);
        fixture_run_idle(f);
        assert_int_equal(r.n_done, 0);
        peer_send_bytes(&f->peer, text + split, 10 - split);
        fixture_run(f);
        assert_int_equal(r.r, 0);
        assert_bytes_equal(r.bytes, text);
    }
}

static char pattern_at(size_t i)
{
    return (char)(i % 251);
}

static void peer_send_pattern(struct fixture *f, size_t from, size_t len)
{
    char piece[4096];

    for (size_t i = 0; i < len; i++)
        piece[i] = pattern_at(from + i);
    peer_send_bytes(&f->peer, piece, len);
}

/* More than a block, and more than the read limit, is given in one piece (b099). */
static void test_await_exactly_exceeds_a_block(void **state)
{
    static const size_t sizes[] = { 16351, 16352, 16353, 32705, 100000, 1 << 20 };
    struct fixture *f = *state;

    fixture_open_stream(f, NULL);
    for (size_t i = 0; i < N_ELEMENTS(sizes); i++) {
        struct reading r = { .s = f->stream, .how = EXACTLY, .n = sizes[i] };

        fixture_spawn(f, read_once, &r);
        for (size_t sent = 0, n; sent < sizes[i]; sent += n) {
            n = sizes[i] - sent < 4093 ? sizes[i] - sent : 4093;
            peer_send_pattern(f, sent, n);
            fixture_run_idle(f);
        }
        fixture_run(f);
        assert_int_equal(r.r, 0);
        assert_int_equal(r.bytes.len, sizes[i]);
        for (size_t k = 0; k < sizes[i]; k++)
            assert_true(r.bytes.data[k] == pattern_at(k));
    }
}

/* What is left at the end of a full block moves to its front, to be continued there. */
static void test_await_exactly_moves_the_rest_to_the_front(void **state)
{
    static const size_t rests[] = { 1, 100, 2047, 8000 };
    struct fixture *f = *state;

    for (size_t i = 0; i < N_ELEMENTS(rests); i++) {
        struct reading r = { .how = EXACTLY, .n = rests[i] + 500 };
        size_t sent = 0;

        fixture_open_stream(f, NULL);
        r.s = f->stream;
        for (; sent < BLOCK_ROOM; sent += BLOCK_ROOM / 4)
            peer_send_pattern(f, sent, BLOCK_ROOM / 4);
        assert_int_equal(sent, BLOCK_ROOM);
        (void)read_now(f, EXACTLY, BLOCK_ROOM - rests[i], NULL);
        assert_int_equal(co_stream_buffered(f->stream), rests[i]);
        fixture_spawn(f, read_once, &r);
        peer_send_pattern(f, sent, 500);
        fixture_run(f);
        assert_int_equal(r.r, 0);
        for (size_t k = 0; k < r.n; k++)
            assert_true(r.bytes.data[k] == pattern_at(sent - rests[i] + k));
        assert_int_equal(f->stream->in->room, BLOCK_ROOM);
        co_stream_abort(f->stream);
        f->stream = NULL;
        peer_close(&f->peer);
    }
}

/* When the peer ends first, what came stays readable (b099: here it is not dropped). */
static void test_await_exactly_at_the_end_keeps_the_partial(void **state)
{
    struct fixture *f = *state;
    struct reading r;

    fixture_open_stream(f, NULL);
    peer_send(&f->peer, "part");
    peer_shutdown(&f->peer);
    r = read_now(f, EXACTLY, 5, NULL);
    assert_int_equal(r.r, CO_EEOF);
    assert_bytes_equal(r.bytes, "untouched");
    assert_false(co_stream_at_eof(f->stream));
    assert_rest(f, "part");
    assert_true(co_stream_at_eof(f->stream));
}

/* Without memory for a larger block nothing is lost, and a later try succeeds. */
static void test_await_exactly_without_memory_keeps_bytes(void **state)
{
    struct fixture *f = *state;
    struct reading r = { .how = EXACTLY, .n = 20000 };

    fixture_open_stream(f, NULL);
    r.s = f->stream;
    for (size_t sent = 0; sent < 20000; sent += 4000)
        peer_send_pattern(f, sent, 4000);
    fixture_run_idle(f);
    fixture_spawn(f, read_once, &r);
    fault_after(2); /* the first is the usual block */
    fixture_run(f);
    assert_true(fault_hit());
    assert_int_equal(r.r, -ENOMEM);
    assert_true(co_stream_buffered(f->stream) > 0);

    r = read_now(f, EXACTLY, 20000, NULL);
    assert_int_equal(r.r, 0);
    assert_int_equal(r.bytes.len, 20000);
    for (size_t i = 0; i < 20000; i++)
        assert_true(r.bytes.data[i] == pattern_at(i));
}

/* ---- until ---- */

/* A separator is found wherever the peer's segments split it (b100). */
static void test_await_until_finds_a_split_separator(void **state)
{
    static const char text[] = "ab\r\n\rcd\r\n\r\nrest";
    struct fixture *f = *state;

    fixture_open_stream(f, NULL);
    for (size_t split = 1; split < 11; split++) {
        struct reading r = { .s = f->stream, .how = UNTIL, .n = 100, .sep = "\r\n\r\n" };

        fixture_spawn(f, read_once, &r);
        peer_send_bytes(&f->peer, text, split);
        fixture_run_idle(f);
        assert_int_equal(r.n_done, 0);
        peer_send(&f->peer, text + split);
        fixture_run(f);
        assert_bytes_equal(r.bytes, "ab\r\n\rcd\r\n\r\n");
        assert_rest(f, "rest");
    }
}

/* What is returned and what is left, for input that is there at once (b100). */
static void test_await_until_cases(void **state)
{
    static const struct {
        const char *input, *sep;
        size_t max;
        int r;
        const char *bytes, *rest;
    } cases[] = {
        { "a;b", ";", 10, 0, "a;", "b" },
        { ";", ";", 10, 0, ";", "" },
        { "aab", "ab", 3, 0, "aab", "" },
        { "abab", "ab", 10, 0, "ab", "ab" },
        { "abc;", ";", 4, 0, "abc;", "" },
        { "abc;", ";", 3, -EMSGSIZE, "untouched", "abc;" },
        { "abc--", "--", 4, -EMSGSIZE, "untouched", "abc--" },
        { "--", "--", 1, -EMSGSIZE, "untouched", "--" },
        { "x", "-", 0, -EMSGSIZE, "untouched", "x" },
        { "x", "", 10, -EINVAL, "untouched", "x" },
        { "01234567890123456789;", ";", 21, -EMSGSIZE, "untouched",
          "01234567890123456789;" },
        { "012345678901234;", ";", 100, 0, "012345678901234;", "" },
    };
    static const struct co_stream_limits limits = { .read_limit = 16 };
    struct fixture *f = *state;

    fixture_open_stream(f, &limits);
    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        struct reading r;

        peer_send(&f->peer, cases[i].input);
        r = read_now(f, UNTIL, cases[i].max, cases[i].sep);
        assert_int_equal(r.r, cases[i].r);
        assert_bytes_equal(r.bytes, cases[i].bytes);
        assert_rest(f, cases[i].rest);
    }
}

/* A separator of 256 bytes is the longest that is taken. */
static void test_await_until_bounds_the_separator(void **state)
{
    struct fixture *f = *state;
    char sep[258];

    memset(sep, '=', sizeof(sep));
    sep[257] = '\0';
    fixture_open_stream(f, NULL);
    assert_int_equal(read_now(f, UNTIL, 1000, sep).r, -EINVAL);
    sep[256] = '\0';
    peer_send(&f->peer, "x");
    peer_send(&f->peer, sep);
    assert_int_equal(read_now(f, UNTIL, 1000, sep).bytes.len, 257);
}

/* A message as long as the limit, of several blocks, is found at the very end. */
static void test_await_until_spans_blocks(void **state)
{
    static const struct co_stream_limits limits = { .read_limit = 40000 };
    struct fixture *f = *state;
    struct reading r = { .how = UNTIL, .n = 40000, .sep = "\xff\xfe" };

    fixture_open_stream(f, &limits);
    r.s = f->stream;
    fixture_spawn(f, read_once, &r);
    for (size_t sent = 0; sent < 39998;
         sent += 3333 < 39998 - sent ? 3333 : 39998 - sent) {
        peer_send_pattern(f, sent, 3333 < 39998 - sent ? 3333 : 39998 - sent);
        fixture_run_idle(f);
    }
    peer_send(&f->peer, "\xff\xfe");
    fixture_run(f);
    assert_int_equal(r.r, 0);
    assert_int_equal(r.bytes.len, 40000);
    assert_memory_equal(r.bytes.data + 39998, "\xff\xfe", 2);
}

/* When the peer ends before the separator, what came stays readable. */
static void test_await_until_at_the_end_keeps_the_partial(void **state)
{
    struct fixture *f = *state;

    fixture_open_stream(f, NULL);
    peer_send(&f->peer, "no end");
    peer_shutdown(&f->peer);
    assert_int_equal(read_now(f, UNTIL, 100, ";").r, CO_EEOF);
    assert_rest(f, "no end");
}

/* ---- line ---- */

/* Line ends are cut, longer lines are refused and left (b101: not discarded). */
static void test_await_line_cases(void **state)
{
    static const struct {
        const char *input;
        size_t max;
        int r;
        const char *line, *rest;
    } cases[] = {
        { "a\nb", 10, 0, "a", "b" },
        { "a\r\nb", 10, 0, "a", "b" },
        { "\n", 10, 0, "", "" },
        { "\r\n", 10, 0, "", "" },
        { "\n", 0, 0, "", "" },
        { "\r\n", 0, 0, "", "" },
        { "a\n", 0, -EMSGSIZE, "untouched", "a\n" },
        { "a\rb\n", 10, 0, "a\rb", "" },
        { "a\r\r\n", 10, 0, "a\r", "" },
        { "abcd\n", 4, 0, "abcd", "" },
        { "abcd\r\n", 4, 0, "abcd", "" },
        { "abcde\n", 4, -EMSGSIZE, "untouched", "abcde\n" },
        { "abcde\r\n", 4, -EMSGSIZE, "untouched", "abcde\r\n" },
        { "abcdef", 4, -EMSGSIZE, "untouched", "abcdef" },
        { "abc\n", SIZE_MAX, 0, "abc", "" },
        { "0123456789abcdef\n", SIZE_MAX, -EMSGSIZE, "untouched", "0123456789abcdef\n" },
    };
    static const struct co_stream_limits limits = { .read_limit = 16 };
    struct fixture *f = *state;

    fixture_open_stream(f, &limits);
    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        struct reading r;

        peer_send(&f->peer, cases[i].input);
        r = read_now(f, LINE, cases[i].max, NULL);
        assert_int_equal(r.r, cases[i].r);
        assert_bytes_equal(r.bytes, cases[i].line);
        assert_rest(f, cases[i].rest);
    }
}

/* A line that arrives in two segments is delivered once, whole. */
static void test_await_line_joins_split_segments(void **state)
{
    struct fixture *f = *state;
    struct reading r = { .how = LINE, .n = 100 };

    fixture_open_stream(f, NULL);
    r.s = f->stream;
    fixture_spawn(f, read_once, &r);
    peer_send(&f->peer, "hel");
    fixture_run_idle(f);
    assert_int_equal(r.n_done, 0);

    peer_send(&f->peer, "lo\r\n");
    fixture_run(f);
    assert_int_equal(r.n_done, 1);
    assert_bytes_equal(r.bytes, "hello");
}

/* A last line without an end is CO_EEOF, and stays readable (b101). */
static void test_await_line_at_the_end_keeps_the_partial(void **state)
{
    struct fixture *f = *state;

    fixture_open_stream(f, NULL);
    peer_send(&f->peer, "one\ntwo");
    peer_shutdown(&f->peer);
    assert_bytes_equal(read_now(f, LINE, 100, NULL).bytes, "one");
    assert_int_equal(read_now(f, LINE, 100, NULL).r, CO_EEOF);
    assert_rest(f, "two");
    assert_int_equal(read_now(f, LINE, 100, NULL).r, CO_EEOF);
}

/* ---- borrowing ---- */

/* Bytes that a read gave stay as they are while others come and are written. */
static void test_await_line_bytes_last_until_the_next_read(void **state)
{
    struct fixture *f = *state;
    struct co_bytes line;

    fixture_open_stream(f, NULL);
    peer_send(&f->peer, "one\ntwo\n");
    line = read_now(f, LINE, 100, NULL).bytes;
    peer_send(&f->peer, "three\n");
    fixture_run_idle(f);
    assert_int_equal(co_stream_write(f->stream, "answer", 6), 0);
    assert_true(co_stream_has_input(f->stream));
    assert_bytes_equal(line, "one");
    assert_bytes_equal(read_now(f, LINE, 100, NULL).bytes, "two");
    assert_bytes_equal(read_now(f, LINE, 100, NULL).bytes, "three");
}

/* A stream that waits for input holds no block. */
static void test_await_some_holds_no_block_while_it_waits(void **state)
{
    struct fixture *f = *state;
    struct reading r = { .how = SOME, .n = 100 };

    fixture_open_stream(f, NULL);
    r.s = f->stream;
    for (int i = 0; i < 3; i++) {
        fixture_spawn(f, read_once, &r);
        fixture_run_idle(f);
        assert_int_equal(fixture_idle_blocks(f), i > 0);
        peer_send(&f->peer, "x");
        fixture_run(f);
        assert_int_equal(fixture_idle_blocks(f), 0);
    }
}

/* ---- who may read, and when ---- */

/* While a task waits, another's read is refused and disturbs nothing (b103). */
static void test_await_some_refuses_a_second_reader(void **state)
{
    struct fixture *f = *state;
    struct reading first = { .how = SOME, .n = 10 }, second = { .how = LINE, .n = 10 };

    fixture_open_stream(f, NULL);
    first.s = second.s = f->stream;
    fixture_spawn(f, read_once, &first);
    fixture_spawn(f, read_once, &second);
    fixture_run_idle(f);
    assert_int_equal(second.r, -EBUSY);
    assert_int_equal(first.n_done, 0);
    peer_send(&f->peer, "mine\n");
    fixture_run(f);
    assert_bytes_equal(first.bytes, "mine\n");
}

/* So it is when the first holds bytes and awaits more; they are not given away. */
static void test_reads_refuse_a_second_reader_beside_held_bytes(void **state)
{
    static const int hows[] = { SOME, EXACTLY, LINE };
    struct fixture *f = *state;
    struct reading first = { .how = LINE, .n = 10 };

    fixture_open_stream(f, NULL);
    first.s = f->stream;
    fixture_spawn(f, read_once, &first);
    fixture_run_idle(f);
    peer_send(&f->peer, "mi");
    fixture_run_idle(f);
    for (size_t i = 0; i < N_ELEMENTS(hows); i++) {
        struct reading second = { .s = f->stream, .how = hows[i], .n = 1 };

        fixture_spawn(f, read_once, &second);
        fixture_run_idle(f);
        assert_int_equal(second.r, -EBUSY);
    }
    peer_send(&f->peer, "ne\n");
    fixture_run(f);
    assert_bytes_equal(first.bytes, "mine");
}

static void count_input(struct co_stream *s, void *arg)
{
    (void)s;
    if (arg)
        (*(int *)arg)++;
}

/* While the stream is parked a task's read is refused, and the callback still comes. */
static void test_await_some_refuses_a_parked_stream(void **state)
{
    struct fixture *f = *state;
    int n = 0;
    void *args[] = { &n, NULL };

    for (size_t i = 0; i < N_ELEMENTS(args); i++) {
        fixture_open_stream(f, NULL);
        fixture_run_idle(f);
        assert_true(co_stream_on_input(f->stream, count_input, args[i]));
        assert_int_equal(read_now(f, SOME, 10, NULL).r, -EBUSY);
        peer_send(&f->peer, "x");
        fixture_run_idle(f);
        assert_int_equal(n, 1);
        assert_rest(f, "x");
        co_stream_abort(f->stream);
        f->stream = NULL;
        peer_close(&f->peer);
    }
}

/* Outside a task a read gives what is there, and does not wait. */
static void test_await_some_outside_a_task(void **state)
{
    struct fixture *f = *state;
    struct co_bytes bytes;

    fixture_open_stream(f, NULL);
    assert_int_equal(co_stream_await_some(f->stream, 10, CO_NEVER, &bytes), CO_ENOTASK);
    peer_send(&f->peer, "a\nb");
    fixture_run_idle(f);
    assert_int_equal(co_stream_await_line(f->stream, 10, CO_NEVER, &bytes), 0);
    assert_bytes_equal(bytes, "a");
    assert_int_equal(co_stream_await_line(f->stream, 10, CO_NEVER, &bytes), CO_ENOTASK);
    assert_int_equal(co_stream_buffered(f->stream), 1);
}

/* A deadline that passes consumes nothing; bytes that came stay. */
static void test_await_line_at_its_deadline_consumes_nothing(void **state)
{
    struct fixture *f = *state;
    struct reading r = { .how = LINE,
                         .n = 100,
                         .deadline = FIXTURE_START + 5 * CO_SECOND };

    fixture_open_stream(f, NULL);
    r.s = f->stream;
    fixture_spawn(f, read_once, &r);
    peer_send(&f->peer, "half");
    fixture_pass_ms(f, 4999);
    assert_int_equal(r.n_done, 0);
    fixture_pass_ms(f, 1);
    assert_int_equal(r.n_done, 1);
    assert_int_equal(r.r, -ETIMEDOUT);
    assert_bytes_equal(r.bytes, "untouched");
    assert_int_equal(co_stream_error(f->stream), 0);
    assert_rest(f, "half");
}

/* A deadline in the past still gives what is there, and does not wait for more. */
static void test_await_some_past_its_deadline(void **state)
{
    struct fixture *f = *state;
    struct reading r = { .how = SOME, .n = 100, .deadline = 1 };

    fixture_open_stream(f, NULL);
    r.s = f->stream;
    fixture_call(f, read_once, &r);
    assert_int_equal(r.r, -ETIMEDOUT);
    peer_send(&f->peer, "x");
    fixture_run_idle(f);
    fixture_call(f, read_once, &r);
    assert_int_equal(r.r, 0);
    assert_bytes_equal(r.bytes, "x");
}

/* A cancelled read consumes nothing, and the stream can be read again. */
static void test_await_exactly_cancelled_consumes_nothing(void **state)
{
    struct fixture *f = *state;
    struct reading r = { .how = EXACTLY, .n = 10 };
    struct co_task *task;

    fixture_open_stream(f, NULL);
    r.s = f->stream;
    task = fixture_spawn(f, read_once, &r);
    peer_send(&f->peer, "12345");
    fixture_run_idle(f);
    assert_true(co_task_cancel(task));
    fixture_run(f);
    assert_int_equal(r.r, CO_ECANCELLED);
    assert_bytes_equal(r.bytes, "untouched");
    assert_rest(f, "12345");
}

struct hog {
    struct co_stream *s;
    int n_read;
    int seen_by_other; /* n_read when the other task ran */
};

static int read_all_lines(void *arg)
{
    struct hog *hog = arg;
    struct co_bytes line;

    while (co_stream_await_line(hog->s, 10, CO_NEVER, &line) == 0)
        hog->n_read++;
    return 0;
}

static int look_at_hog(void *arg)
{
    struct hog *hog = arg;

    hog->seen_by_other = hog->n_read;
    return 0;
}

/* A reader whose input never ends yields when its budget is spent. */
static void test_await_line_yields_to_others(void **state)
{
    struct fixture *f = *state;
    struct hog hog = { .n_read = 0 };

    fixture_open_stream(f, NULL);
    hog.s = f->stream;
    for (int i = 0; i < 3 * LOOP_BUDGET; i++)
        peer_send(&f->peer, "x\n");
    peer_shutdown(&f->peer);
    fixture_spawn(f, read_all_lines, &hog);
    co_loop_stop(f->loop);
    co_loop_run(f->loop);
    assert_int_equal(hog.n_read, LOOP_BUDGET - 1);
    fixture_spawn(f, look_at_hog, &hog);
    fixture_run(f);
    assert_true(hog.seen_by_other <= 2 * LOOP_BUDGET);
    assert_int_equal(hog.n_read, 3 * LOOP_BUDGET);
}

/* ---- errors ---- */

/* Bytes that were read before an error stay readable; then the error comes (b104). */
static void test_await_line_gives_bytes_before_the_error(void **state)
{
    struct fixture *f = *state;
    struct reading r = { .how = LINE, .n = 10 };

    fixture_open_tcp_stream(f, NULL);
    r.s = f->stream;
    fixture_spawn(f, read_once, &r);
    peer_send(&f->peer, "part");
    fixture_run_idle(f);
    peer_reset(&f->peer);
    fixture_run(f);
    assert_int_equal(r.r, -ECONNRESET);
    assert_int_equal(co_stream_error(f->stream), -ECONNRESET);
    assert_rest(f, "part");
    assert_int_equal(read_now(f, SOME, 1, NULL).r, -ECONNRESET);
    assert_int_equal(co_stream_write(f->stream, "x", 1), -ECONNRESET);
}

/* An interrupted recv() is repeated; another error fails the stream for good. */
static void test_await_some_recv_errors(void **state)
{
    struct fixture *f = *state;
    struct reading r;

    fixture_open_stream(f, NULL);
    peer_send(&f->peer, "abc");
    fault_arm(FAULT_RECV, 1, EINTR);
    assert_bytes_equal(read_now(f, SOME, 10, NULL).bytes, "abc");
    assert_true(fault_hit());

    peer_send(&f->peer, "def");
    fault_arm(FAULT_RECV, 1, EIO);
    assert_int_equal(read_now(f, SOME, 10, NULL).r, -EIO);
    r = read_now(f, SOME, 10, NULL);
    assert_int_equal(r.r, -EIO);
    assert_bytes_equal(r.bytes, "untouched");
}

/* A failure from outside wakes the reader with that error. */
static void test_fail_wakes_the_reader(void **state)
{
    struct fixture *f = *state;
    struct reading r = { .how = SOME, .n = 10 };

    fixture_open_stream(f, NULL);
    r.s = f->stream;
    fixture_spawn(f, read_once, &r);
    fixture_run_idle(f);
    co_stream_fail(f->stream, CO_ECLOSED);
    co_stream_fail(f->stream, -EIO); /* the first counts */
    fixture_run(f);
    assert_int_equal(r.r, CO_ECLOSED);
}

/* Without memory for a block a read says so, and later reads go on. */
static void test_await_some_without_memory(void **state)
{
    struct fixture *f = *state;
    struct reading r = { .how = SOME, .n = 10 };

    fixture_open_stream(f, NULL);
    r.s = f->stream;
    peer_send(&f->peer, "abc");
    fixture_run_idle(f);
    fixture_spawn(f, read_once, &r);
    fault_from(1);
    fixture_run(f);
    fault_off();
    assert_true(fault_hit());
    assert_int_equal(r.r, -ENOMEM);
    assert_bytes_equal(read_now(f, SOME, 10, NULL).bytes, "abc");
}

/* ---- on_input ---- */

/* The callback comes once, for the first that comes. */
static void test_on_input_comes_once(void **state)
{
    struct fixture *f = *state;
    int n = 0;

    fixture_open_stream(f, NULL);
    fixture_run_idle(f);
    assert_true(co_stream_on_input(f->stream, count_input, &n));
    fixture_run_idle(f);
    assert_int_equal(n, 0);
    peer_send(&f->peer, "a");
    fixture_run_idle(f);
    peer_send(&f->peer, "b");
    fixture_run_idle(f);
    assert_int_equal(n, 1);
    assert_rest(f, "ab");
}

/* With something to read already the stream is not parked, and nothing is lost. */
static void test_on_input_refuses_what_can_be_read(void **state)
{
    struct fixture *f = *state;
    int n = 0;

    fixture_open_stream(f, NULL);
    peer_send(&f->peer, "ab");
    fixture_run_idle(f);
    assert_false(co_stream_on_input(f->stream, count_input, &n)); /* in the socket */
    (void)read_now(f, EXACTLY, 1, NULL);
    assert_false(co_stream_on_input(f->stream, count_input, &n)); /* buffered */
    assert_rest(f, "b");
    peer_shutdown(&f->peer);
    fixture_run_idle(f);
    assert_false(co_stream_on_input(f->stream, count_input, &n)); /* the end */
    co_stream_fail(f->stream, -EIO);
    assert_false(co_stream_on_input(f->stream, count_input, &n)); /* the error */
    assert_int_equal(n, 0);
}

/* A wait that is taken back does not call. */
static void test_cancel_on_input_ends_the_wait(void **state)
{
    struct fixture *f = *state;
    int n = 0;

    fixture_open_stream(f, NULL);
    fixture_run_idle(f);
    co_stream_cancel_on_input(f->stream);
    assert_true(co_stream_on_input(f->stream, count_input, &n));
    co_stream_cancel_on_input(f->stream);
    peer_send(&f->peer, "a");
    fixture_run_idle(f);
    assert_int_equal(n, 0);
    assert_rest(f, "a");
}

/* The end and errors are input too. */
static void test_on_input_comes_at_the_end_and_on_errors(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 3; i++) {
        int n = 0;

        fixture_open_tcp_stream(f, NULL);
        fixture_run_idle(f);
        assert_true(co_stream_on_input(f->stream, count_input, &n));
        fixture_run_idle(f);
        if (i == 0)
            peer_shutdown(&f->peer);
        else if (i == 1)
            peer_reset(&f->peer);
        else
            co_stream_fail(f->stream, -EIO);
        fixture_run_idle(f);
        assert_int_equal(n, 1);
        co_stream_abort(f->stream);
        f->stream = NULL;
        peer_close(&f->peer);
    }
}

/* A reset right behind bytes that are read before is not slept over. */
static void test_on_input_sees_a_reset_behind_bytes(void **state)
{
    struct fixture *f = *state;
    int n = 0;

    fixture_open_tcp_stream(f, NULL);
    fixture_run_idle(f);
    peer_send(&f->peer, "bye");
    peer_reset(&f->peer);
    assert_rest(f, "bye");
    assert_false(co_stream_on_input(f->stream, count_input, &n));
    assert_int_equal(co_stream_error(f->stream), -ECONNRESET);
}

/* A parked stream that has nothing buffered holds no block. */
static void test_on_input_gives_the_block_back(void **state)
{
    struct fixture *f = *state;
    int n = 0;

    fixture_open_stream(f, NULL);
    peer_send(&f->peer, "ab");
    assert_rest(f, "ab");
    assert_int_equal(fixture_idle_blocks(f), 0);
    assert_true(co_stream_on_input(f->stream, count_input, &n));
    assert_int_equal(fixture_idle_blocks(f), 1);
}

struct closing {
    struct fixture *f;
    int n;
};

static void close_on_input(struct co_stream *s, void *arg)
{
    struct closing *c = arg;

    c->n++;
    c->f->stream = NULL;
    co_stream_close(s, NULL, NULL);
}

/* The callback may close the stream, also when buffered output has just failed. */
static void test_on_input_may_close_the_stream(void **state)
{
    struct fixture *f = *state;
    struct closing c = { .f = f };
    static char much[300000];

    for (int has_output = 0; has_output < 2; has_output++) {
        fixture_open_tcp_stream(f, NULL);
        fixture_run_idle(f);
        if (has_output)
            assert_int_equal(co_stream_write(f->stream, much, sizeof(much)), 0);
        assert_true(co_stream_on_input(f->stream, close_on_input, &c));
        peer_reset(&f->peer);
        fixture_run_idle(f);
        assert_int_equal(c.n, has_output + 1);
    }
}

/* ---- has_input ---- */

/* A stream has input while bytes are buffered or suspected, at its end and when failed. */
static void test_has_input_follows_the_stream(void **state)
{
    struct fixture *f = *state;

    fixture_open_stream(f, NULL);
    fixture_run_idle(f);
    assert_false(co_stream_has_input(f->stream));
    peer_send(&f->peer, "ab");
    fixture_run_idle(f);
    assert_true(co_stream_has_input(f->stream));
    (void)read_now(f, EXACTLY, 1, NULL);
    assert_int_equal(co_stream_buffered(f->stream), 1);
    assert_true(co_stream_has_input(f->stream));
    (void)read_now(f, EXACTLY, 1, NULL);
    assert_int_equal(co_stream_buffered(f->stream), 0);
    peer_shutdown(&f->peer);
    fixture_run_idle(f);
    assert_true(co_stream_has_input(f->stream));
    (void)read_now(f, SOME, 1, NULL);
    assert_true(co_stream_has_input(f->stream));
}

/* ---- economy ---- */

struct echo {
    struct co_stream *s;
    int n;
};

static int echo_lines(void *arg)
{
    struct echo *echo = arg;
    struct co_bytes line;

    while (co_stream_await_line(echo->s, 100, CO_NEVER, &line) == 0) {
        (void)co_stream_write(echo->s, line.data, line.len);
        echo->n++;
    }
    return 0;
}

/* A message costs one recv(), one send() and no heap call. */
static void test_ping_pong_is_cheap(void **state)
{
    struct fixture *f = *state;
    struct echo echo = { .n = 0 };

    fixture_open_stream(f, NULL);
    echo.s = f->stream;
    fixture_spawn(f, echo_lines, &echo);
    for (int i = 0; i < 110; i++) {
        if (i == 10) {
            fault_arm(FAULT_ALLOC, 1000000, ENOMEM);
            fault_arm(FAULT_RECV, 1000000, EIO);
            fault_arm(FAULT_SEND, 1000000, EIO);
        }
        peer_send(&f->peer, "ping\n");
        fixture_run_idle(f);
        assert_int_equal(peer_drain(&f->peer), 4);
    }
    assert_int_equal(fault_count(FAULT_ALLOC), 0);
    assert_int_equal(fault_count(FAULT_RECV), 100);
    assert_int_equal(fault_count(FAULT_SEND), 100);
    peer_shutdown(&f->peer);
    fixture_run(f);
    assert_int_equal(echo.n, 110);
}

/* ---- against a model ---- */

struct walk {
    struct fixture *f;
    unsigned seed;
    size_t sent, consumed;
    int n_steps;
    bool is_ended;
};

static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1103515245 + 12345;
    return *seed >> 16;
}

/* Byte i of the stream: a line end now and then. */
static char model_at(size_t i)
{
    return i % 37 == 36 || i % 501 == 500 ? '\n' : (char)('a' + i % 23);
}

static size_t model_line(size_t from)
{
    size_t n = 0;

    while (model_at(from + n) != '\n')
        n++;
    return n;
}

static void check_read(struct walk *w, struct co_bytes bytes, size_t behind)
{
    for (size_t i = 0; i < bytes.len; i++)
        assert_true(bytes.data[i] == model_at(w->consumed + i));
    w->consumed += bytes.len + behind;
}

static int walk_reads(void *arg)
{
    struct walk *w = arg;
    struct co_stream *s = w->f->stream;
    struct co_bytes bytes;
    int r = 0;

    while (r == 0) {
        size_t n = 1 + next_random(&w->seed) % (next_random(&w->seed) % 8 ? 100 : 30000);
        co_time soon = co_after_ms(next_random(&w->seed) % 3);

        switch (next_random(&w->seed) % 3) {
        case 0:
            r = co_stream_await_some(s, n, soon, &bytes);
            assert_true(r < 0 || (bytes.len > 0 && bytes.len <= n));
            break;
        case 1:
            r = co_stream_await_exactly(s, n, soon, &bytes);
            assert_true(r < 0 || bytes.len == n);
            break;
        default:
            r = co_stream_await_line(s, 1000, soon, &bytes);
            assert_true(r < 0 || bytes.len == model_line(w->consumed));
            if (r == 0)
                check_read(w, bytes, 1);
            bytes.len = 0;
        }
        if (r == 0)
            check_read(w, bytes, 0);
        else if (r == -ETIMEDOUT)
            r = 0;
        w->n_steps++;
        assert_int_equal(w->f->stream->bytes_in - w->consumed, co_stream_buffered(s));
    }
    w->is_ended = true;
    return r;
}

/* Random reads with random deadlines, of random segments, lose and change no byte. */
static void test_reads_agree_with_a_model(void **state)
{
    struct fixture *f = *state;
    struct walk w = { .f = f, .seed = 1 };
    unsigned seed = 2;

    fixture_open_stream(f, NULL);
    fixture_spawn(f, walk_reads, &w);
    for (int i = 0; i < 3000; i++) {
        char piece[3000];
        size_t n = 1 + next_random(&seed) % (next_random(&seed) % 4 ? 50 : sizeof(piece));

        for (size_t k = 0; k < n; k++)
            piece[k] = model_at(w.sent + k);
        peer_send_bytes(&f->peer, piece, n);
        w.sent += n;
        if (next_random(&seed) % 2)
            fixture_pass_ms(f, 1);
        else
            fixture_run_idle(f);
    }
    peer_shutdown(&f->peer);
    while (!w.is_ended)
        fixture_pass_ms(f, 1);
    fixture_run(f);
    assert_true(w.sent - w.consumed < 30000);
    assert_true(w.n_steps > 3000);
}

#define STREAM_TEST(name) \
    cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        STREAM_TEST(test_await_some_gives_what_is_there),
        STREAM_TEST(test_await_some_waits_for_bytes),
        STREAM_TEST(test_await_some_leaves_the_rest),
        STREAM_TEST(test_await_some_of_none_returns_at_once),
        STREAM_TEST(test_await_some_at_the_end_is_eof),
        STREAM_TEST(test_await_some_sees_the_end_behind_bytes),
        STREAM_TEST(test_await_some_sees_the_reset_behind_bytes),
        STREAM_TEST(test_await_exactly_joins_every_split),
        STREAM_TEST(test_await_exactly_exceeds_a_block),
        STREAM_TEST(test_await_exactly_moves_the_rest_to_the_front),
        STREAM_TEST(test_await_exactly_at_the_end_keeps_the_partial),
        STREAM_TEST(test_await_exactly_without_memory_keeps_bytes),
        STREAM_TEST(test_await_until_finds_a_split_separator),
        STREAM_TEST(test_await_until_cases),
        STREAM_TEST(test_await_until_bounds_the_separator),
        STREAM_TEST(test_await_until_spans_blocks),
        STREAM_TEST(test_await_until_at_the_end_keeps_the_partial),
        STREAM_TEST(test_await_line_cases),
        STREAM_TEST(test_await_line_joins_split_segments),
        STREAM_TEST(test_await_line_at_the_end_keeps_the_partial),
        STREAM_TEST(test_await_line_bytes_last_until_the_next_read),
        STREAM_TEST(test_await_some_holds_no_block_while_it_waits),
        STREAM_TEST(test_await_some_refuses_a_second_reader),
        STREAM_TEST(test_reads_refuse_a_second_reader_beside_held_bytes),
        STREAM_TEST(test_await_some_refuses_a_parked_stream),
        STREAM_TEST(test_await_some_outside_a_task),
        STREAM_TEST(test_await_line_at_its_deadline_consumes_nothing),
        STREAM_TEST(test_await_some_past_its_deadline),
        STREAM_TEST(test_await_exactly_cancelled_consumes_nothing),
        STREAM_TEST(test_await_line_yields_to_others),
        STREAM_TEST(test_await_line_gives_bytes_before_the_error),
        STREAM_TEST(test_await_some_recv_errors),
        STREAM_TEST(test_fail_wakes_the_reader),
        STREAM_TEST(test_await_some_without_memory),
        STREAM_TEST(test_on_input_comes_once),
        STREAM_TEST(test_on_input_refuses_what_can_be_read),
        STREAM_TEST(test_cancel_on_input_ends_the_wait),
        STREAM_TEST(test_on_input_comes_at_the_end_and_on_errors),
        STREAM_TEST(test_on_input_sees_a_reset_behind_bytes),
        STREAM_TEST(test_on_input_gives_the_block_back),
        STREAM_TEST(test_on_input_may_close_the_stream),
        STREAM_TEST(test_has_input_follows_the_stream),
        STREAM_TEST(test_ping_pong_is_cheap),
        STREAM_TEST(test_reads_agree_with_a_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
