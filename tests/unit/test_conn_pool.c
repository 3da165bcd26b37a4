/* Tests of daemon/conn_pool.c: connections by chunks. */
#include "test.h"

#include <stdint.h>
#include <string.h>

#include "conn_pool.h"
#include "fault.h"

enum { MANY = 1000 };

static bool is_fresh(const struct conn *conn)
{
    struct conn fresh;

    memset(&fresh, 0, sizeof(fresh));
    return conn->fd == -1 && conn->state == CONN_NEW && !conn->was_active &&
           conn->worker == 0 && !conn->pub.stream && !conn->pub.service &&
           !conn->pub.data && conn->pub.id == 0 && !conn->message.run &&
           memcmp(&conn->pub.peer, &fresh.pub.peer, sizeof(fresh.pub.peer)) == 0;
}

/* What was used before comes out as new. */
static void test_take_gives_a_fresh_connection(void **state)
{
    struct conn_pool pool = { 0 };
    struct conn *conn = conn_pool_take(&pool), *again;

    (void)state;
    assert_true(is_fresh(conn));
    memset(conn, 0x5a, sizeof(*conn));
    conn_pool_give(&pool, conn);
    again = conn_pool_take(&pool);
    assert_ptr_equal(again, conn);
    assert_true(is_fresh(again));
    conn_pool_fini(&pool);
}

/* The pool grows as it must, and no two share memory. */
static void test_take_grows(void **state)
{
    static struct conn *conns[MANY];
    struct conn_pool pool = { 0 };

    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        conns[i] = conn_pool_take(&pool);
        assert_non_null(conns[i]);
        conns[i]->pub.id = i + 1;
    }
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(conns[i]->pub.id, i + 1);
    conn_pool_fini(&pool);
}

/* What comes back is used before memory is asked for. */
static void test_give_makes_room(void **state)
{
    static struct conn *conns[MANY];
    struct conn_pool pool = { 0 };

    (void)state;
    for (size_t i = 0; i < MANY; i++)
        conns[i] = conn_pool_take(&pool);
    for (size_t i = 0; i < MANY; i++)
        conn_pool_give(&pool, conns[i]);
    fault_from(1);
    for (size_t i = 0; i < MANY; i++)
        assert_non_null(conn_pool_take(&pool));
    fault_off();
    assert_false(fault_hit());
    conn_pool_fini(&pool);
}

/* Without memory there is none, and with memory there is one again. */
static void test_take_without_memory(void **state)
{
    struct conn_pool pool = { 0 };

    (void)state;
    fault_after(1);
    assert_null(conn_pool_take(&pool));
    assert_non_null(conn_pool_take(&pool));
    fault_off();
    conn_pool_fini(&pool);
}

/* A pool that was never used, or is ended twice, holds nothing. */
static void test_fini_of_an_empty_pool(void **state)
{
    struct conn_pool pool = { 0 };

    (void)state;
    conn_pool_fini(&pool);
    conn_pool_fini(&pool);
    assert_non_null(conn_pool_take(&pool));
    conn_pool_fini(&pool);
    assert_null(pool.free);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_take_gives_a_fresh_connection),
        cmocka_unit_test(test_take_grows),
        cmocka_unit_test(test_give_makes_room),
        cmocka_unit_test(test_take_without_memory),
        cmocka_unit_test(test_fini_of_an_empty_pool),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
