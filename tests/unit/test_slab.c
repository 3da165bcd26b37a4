/* Tests of lib/base/slab.c: pools of equal objects. */
#include "test.h"

#include <signal.h>
#include <string.h>

#include "base/slab.h"
#include "fault.h"
#include "fixture.h"

enum { N = 3000 };

/* Objects are apart from each other, aligned to 8, and keep what is written to them. */
static void test_take_gives_distinct_objects(void **state)
{
    static const size_t sizes[] = { 8, 9, 40, 250, 4096, 16368 };
    static char *objects[N];

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(sizes); i++) {
        size_t n = sizes[i] > 1000 ? 20 : N;
        struct slab slab;

        slab_init(&slab, sizes[i]);
        for (size_t k = 0; k < n; k++) {
            objects[k] = slab_take(&slab);
            assert_int_equal((uintptr_t)objects[k] % 8, 0);
            memset(objects[k], (int)(k % 251), sizes[i]);
        }
        assert_int_equal(slab.n_used, n);
        for (size_t k = 0; k < n; k++) {
            assert_int_equal((unsigned char)objects[k][0], k % 251);
            assert_int_equal((unsigned char)objects[k][sizes[i] - 1], k % 251);
            slab_give(&slab, objects[k]);
        }
        slab_fini(&slab);
    }
}

/* The object given back last is taken first, and no heap call is made for it. */
static void test_take_reuses_objects(void **state)
{
    struct slab slab;
    void *a, *b;

    (void)state;
    slab_init(&slab, 64);
    a = slab_take(&slab);
    b = slab_take(&slab);
    slab_give(&slab, b);
    slab_give(&slab, a);
    fault_after(1);
    assert_ptr_equal(slab_take(&slab), a);
    assert_ptr_equal(slab_take(&slab), b);
    fault_off();
    assert_false(fault_hit());
    slab_give(&slab, a);
    slab_give(&slab, b);
    slab_fini(&slab);
}

/* Without memory there is no object; the pool goes on when there is memory again. */
static void test_take_without_memory(void **state)
{
    struct slab slab;
    void *object;

    (void)state;
    slab_init(&slab, 64);
    fault_after(1);
    assert_null(slab_take(&slab));
    fault_off();
    assert_int_equal(slab.n_used, 0);
    object = slab_take(&slab);
    assert_non_null(object);
    slab_give(&slab, object);
    slab_fini(&slab);
    slab_fini(&slab); /* empty once more: fine */
}

static void fini_in_use(void *arg)
{
    struct slab slab;

    (void)arg;
    slab_init(&slab, 64);
    (void)slab_take(&slab);
    slab_fini(&slab);
}

static void init_of(void *arg)
{
    struct slab slab;

    slab_init(&slab, *(size_t *)arg);
}

/* An object that was not given back, and a size that does not fit, are caught. */
static void test_misuse_is_caught(void **state)
{
    static size_t sizes[] = { 0, 7, 16369 };

    (void)state;
    assert_int_equal(child_run(fini_in_use, NULL).signal, SIGABRT);
    for (size_t i = 0; i < N_ELEMENTS(sizes); i++)
        assert_int_equal(child_run(init_of, &sizes[i]).signal, SIGABRT);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_take_gives_distinct_objects),
        cmocka_unit_test(test_take_reuses_objects),
        cmocka_unit_test(test_take_without_memory),
        cmocka_unit_test(test_misuse_is_caught),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
