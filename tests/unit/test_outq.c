/* Tests of lib/net/outq.c: the queue of output, against the bytes that went in. */
#include "test.h"

#include <errno.h>
#include <string.h>

#include "fault.h"
#include "net/outq.h"

struct fixture {
    struct block_pool pool;
    struct outq q;
    size_t appended; /* byte i of all is pattern_at(i) */
    size_t consumed;
};

static char pattern_at(size_t i)
{
    return (char)(i % 251);
}

static int setup(void **state)
{
    static struct fixture f;

    memset(&f, 0, sizeof(f));
    outq_init(&f.q, 77);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    outq_clear(&f->q, &f->pool);
    assert_int_equal(f->q.size, 0);
    assert_null(f->q.head);
    assert_null(f->q.tail);
    block_pool_fini(&f->pool);
    return 0;
}

static int append(struct fixture *f, size_t len)
{
    static char bytes[100000];
    int r;

    for (size_t i = 0; i < len; i++)
        bytes[i] = pattern_at(f->appended + i);
    r = outq_append(&f->q, &f->pool, bytes, len);
    if (r == 0)
        f->appended += len;
    return r;
}

static void consume(struct fixture *f, size_t n)
{
    outq_consume(&f->q, &f->pool, n);
    f->consumed += n;
}

/* What lies in the queue is what was appended and not consumed. */
static void assert_whole(const struct fixture *f)
{
    struct iovec iov[64];
    int n = outq_peek(&f->q, iov, 64);
    size_t at = f->consumed;

    assert_int_equal(f->q.size, f->appended - f->consumed);
    for (int i = 0; i < n; i++) {
        const char *bytes = iov[i].iov_base;

        assert_true(iov[i].iov_len > 0);
        for (size_t k = 0; k < iov[i].iov_len; k++)
            assert_true(bytes[k] == pattern_at(at + k));
        at += iov[i].iov_len;
    }
    assert_int_equal(at, f->appended);
}

/* A new queue is empty and knows when it was made. */
static void test_init_is_empty(void **state)
{
    struct fixture *f = *state;
    struct iovec iov;

    assert_int_equal(f->q.progress, 77);
    assert_int_equal(outq_peek(&f->q, &iov, 1), 0);
    assert_true(list_is_empty(&f->q.waiters));
}

/* Bytes come out in the order they went in, across block ends of every kind. */
static void test_append_and_consume_keep_order(void **state)
{
    static const size_t sizes[] = { 1,          BLOCK_ROOM - 1, 1,
                                    BLOCK_ROOM, BLOCK_ROOM + 1, 50000,
                                    3 };
    struct fixture *f = *state;

    for (size_t i = 0; i < N_ELEMENTS(sizes); i++) {
        assert_int_equal(append(f, sizes[i]), 0);
        assert_whole(f);
    }
    for (size_t i = 0; i < N_ELEMENTS(sizes); i++) {
        consume(f, sizes[N_ELEMENTS(sizes) - 1 - i]);
        assert_whole(f);
    }
    assert_null(f->q.head);
}

/* Peek gives no more entries than asked for, from the front. */
static void test_peek_is_bounded(void **state)
{
    struct fixture *f = *state;
    struct iovec iov[3];

    assert_int_equal(append(f, 5 * BLOCK_ROOM), 0);
    assert_int_equal(outq_peek(&f->q, iov, 0), 0);
    assert_int_equal(outq_peek(&f->q, iov, 3), 3);
    assert_int_equal(iov[0].iov_len, BLOCK_ROOM);
    assert_int_equal(*(char *)iov[1].iov_base, pattern_at(BLOCK_ROOM));
}

/* Blocks go back to the pool as soon as they are consumed. */
static void test_consume_gives_blocks_back(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(append(f, 3 * BLOCK_ROOM), 0);
    consume(f, BLOCK_ROOM - 1);
    assert_int_equal(f->pool.n_idle, 0);
    consume(f, 1);
    assert_int_equal(f->pool.n_idle, 1);
    consume(f, 2 * BLOCK_ROOM);
    assert_int_equal(f->pool.n_idle, 3);
}

/* Without memory the queue is as it was, whichever of its blocks is missing. */
static void test_append_without_memory_changes_nothing(void **state)
{
    struct fixture *f = *state;

    for (unsigned n = 1; n <= 4; n++) {
        assert_int_equal(append(f, 100), 0);
        block_pool_fini(&f->pool);
        fault_after(n);
        assert_int_equal(append(f, 4 * BLOCK_ROOM), -ENOMEM);
        fault_off();
        assert_true(fault_hit());
        assert_whole(f);
    }
    assert_int_equal(append(f, 4 * BLOCK_ROOM), 0);
    assert_whole(f);
}

static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1103515245 + 12345;
    return *seed >> 16;
}

/* Random appends and consumes lose and change no byte. */
static void test_queue_agrees_with_a_model(void **state)
{
    struct fixture *f = *state;
    unsigned seed = 3;

    for (int i = 0; i < 3000; i++) {
        size_t most = next_random(&seed) % 4 ? 200 : 40000;

        if (f->q.size < 300000 && next_random(&seed) % 2)
            assert_int_equal(append(f, next_random(&seed) % most), 0);
        else if (f->q.size > 0)
            consume(f, next_random(&seed) % (f->q.size < most ? f->q.size + 1 : most));
        if (i % 10 == 0)
            assert_whole(f);
    }
}

#define OUTQ_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        OUTQ_TEST(test_init_is_empty),
        OUTQ_TEST(test_append_and_consume_keep_order),
        OUTQ_TEST(test_peek_is_bounded),
        OUTQ_TEST(test_consume_gives_blocks_back),
        OUTQ_TEST(test_append_without_memory_changes_nothing),
        OUTQ_TEST(test_queue_agrees_with_a_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
