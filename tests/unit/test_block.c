/* Tests of lib/net/block.c: blocks of bytes and their pool. */
#include "test.h"

#include <string.h>

#include "fault.h"
#include "net/block.h"

static int setup(void **state)
{
    static struct block_pool pool;

    pool = (struct block_pool){ .idle = NULL };
    *state = &pool;
    return 0;
}

static int teardown(void **state)
{
    struct block_pool *pool = *state;

    block_pool_fini(pool);
    assert_int_equal(pool->n_idle, 0);
    assert_null(pool->idle);
    return 0;
}

/* A block has the usual room or what was asked for, and all of it can be written. */
static void test_take_gives_room(void **state)
{
    static const size_t rooms[] = { 0, 1, BLOCK_ROOM, BLOCK_ROOM + 1, 100000, 1 << 20 };

    for (size_t i = 0; i < N_ELEMENTS(rooms); i++) {
        size_t expected = rooms[i] > BLOCK_ROOM ? rooms[i] : BLOCK_ROOM;
        struct block *block = block_take(*state, rooms[i]);

        assert_int_equal(block->room, expected);
        assert_int_equal(block_filled(block), 0);
        assert_int_equal(block->start, 0);
        assert_null(block->next);
        memset(block->data, 'x', block->room);
        block_give(*state, block);
    }
}

/* Usual blocks are kept, empty again; larger ones go back to the heap; NULL is fine. */
static void test_give_keeps_usual_blocks(void **state)
{
    struct block_pool *pool = *state;
    struct block *usual = block_take(pool, 0), *large = block_take(pool, BLOCK_ROOM + 1);

    usual->start = 3;
    usual->end = 7;
    block_give(pool, usual);
    block_give(pool, large);
    block_give(pool, NULL);
    assert_int_equal(pool->n_idle, 1);
    fault_after(1);
    assert_ptr_equal(block_take(pool, 5), usual);
    fault_off();
    assert_false(fault_hit());
    assert_int_equal(usual->start, 0);
    assert_int_equal(usual->end, 0);
    assert_int_equal(pool->n_idle, 0);
    block_give(pool, usual);
}

/* No more than 64 blocks are kept. */
static void test_give_keeps_a_bounded_number(void **state)
{
    struct block_pool *pool = *state;
    struct block *blocks[100];

    for (int i = 0; i < 100; i++)
        blocks[i] = block_take(pool, 0);
    for (int i = 0; i < 100; i++)
        block_give(pool, blocks[i]);
    assert_int_equal(pool->n_idle, 64);
}

/* Without memory, and for more than a block can count, there is none. */
static void test_take_without_memory(void **state)
{
    struct block_pool *pool = *state;

    fault_after(1);
    assert_null(block_take(pool, 0));
    fault_after(1);
    assert_null(block_take(pool, 100000));
    fault_off();
    assert_null(block_take(pool, UINT32_MAX));
    assert_null(block_take(pool, SIZE_MAX));
}

#define BLOCK_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        BLOCK_TEST(test_take_gives_room),
        BLOCK_TEST(test_give_keeps_usual_blocks),
        BLOCK_TEST(test_give_keeps_a_bounded_number),
        BLOCK_TEST(test_take_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
