/* Tests of lib/net/transport.c: what is known of a socket's readiness, and when it is asked. */
#include "test.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "fault.h"
#include "fixture.h"
#include "net/transport.h"

struct pair {
    struct transport t;
    struct fixture *f;
    int n_events;
    int events; /* of the last report */
};

static void note_events(struct watch *watch, int events)
{
    struct pair *p = CO_CONTAINER_OF(watch, struct pair, t.watch);

    p->n_events++;
    p->events = events;
    transport_note(&p->t, events);
}

static void open_pair(struct fixture *f, struct pair *p, bool is_tcp)
{
    int fd = is_tcp ? fixture_tcp_pair(&f->peer) : fixture_socketpair(&f->peer);

    *p = (struct pair){ .f = f };
    assert_int_equal(transport_open(&p->t, f->loop, fd, note_events), 0);
}

static void close_pair(struct pair *p)
{
    close(transport_detach(&p->t));
    assert_int_equal(p->t.fd, -1);
    peer_close(&p->f->peer);
}

/* How many recv() calls @size bytes of reading cost. */
static unsigned recv_calls(struct pair *p, size_t size, ssize_t expected)
{
    char buf[256];

    fault_arm(FAULT_RECV, 1000000, EIO);
    assert_int_equal(transport_read(&p->t, buf, size), expected);
    fault_off();
    return fault_count(FAULT_RECV);
}

/* Before the first report nothing is read; afterwards the socket is asked. */
static void test_read_waits_for_the_first_report(void **state)
{
    struct pair p;

    open_pair(*state, &p, false);
    peer_send(&p.f->peer, "abc");
    assert_int_equal(recv_calls(&p, 10, -EAGAIN), 0);
    fixture_run_idle(p.f);
    assert_true(transport_may_read(&p.t));
    assert_int_equal(recv_calls(&p, 10, 3), 1);
    close_pair(&p);
}

/* A short read shows that the socket is empty: the next one does not ask. */
static void test_read_short_is_the_last(void **state)
{
    struct pair p;

    open_pair(*state, &p, false);
    peer_send(&p.f->peer, "abcdef");
    fixture_run_idle(p.f);
    assert_int_equal(recv_calls(&p, 3, 3), 1);
    assert_int_equal(recv_calls(&p, 4, 3), 1);
    assert_int_equal(recv_calls(&p, 4, -EAGAIN), 0);
    peer_send(&p.f->peer, "g");
    fixture_run_idle(p.f);
    assert_int_equal(recv_calls(&p, 4, 1), 1);
    close_pair(&p);
}

/* A whole read asks again, and takes EAGAIN for what it is. */
static void test_read_whole_asks_again(void **state)
{
    struct pair p;

    open_pair(*state, &p, false);
    peer_send(&p.f->peer, "abc");
    fixture_run_idle(p.f);
    assert_int_equal(recv_calls(&p, 3, 3), 1);
    assert_int_equal(recv_calls(&p, 3, -EAGAIN), 1);
    assert_int_equal(recv_calls(&p, 3, -EAGAIN), 0);
    close_pair(&p);
}

/* When the end came with the bytes, reads go on until they return it. */
static void test_read_goes_on_to_a_reported_end(void **state)
{
    for (int is_tcp = 0; is_tcp < 2; is_tcp++) {
        struct pair p;

        open_pair(*state, &p, is_tcp);
        peer_send(&p.f->peer, "abc");
        peer_close(&p.f->peer);
        fixture_run_idle(p.f);
        assert_int_equal(recv_calls(&p, 10, 3), 1);
        assert_int_equal(recv_calls(&p, 10, 0), 1);
        assert_int_equal(recv_calls(&p, 10, 0), 1);
        close_pair(&p);
    }
}

/* Who waits after a short read asks once more, unless a write has shown that all is well. */
static void test_prove_asks_once_after_a_short_read(void **state)
{
    struct pair p;

    open_pair(*state, &p, false);
    transport_prove(&p.t);
    assert_false(transport_may_read(&p.t));
    peer_send(&p.f->peer, "abc");
    fixture_run_idle(p.f);
    assert_int_equal(recv_calls(&p, 10, 3), 1);
    transport_prove(&p.t);
    assert_int_equal(recv_calls(&p, 10, -EAGAIN), 1);
    transport_prove(&p.t);
    assert_int_equal(recv_calls(&p, 10, -EAGAIN), 0);

    peer_send(&p.f->peer, "abc");
    fixture_run_idle(p.f);
    assert_int_equal(recv_calls(&p, 10, 3), 1);
    assert_int_equal(transport_write(&p.t, "x", 1), 1);
    transport_prove(&p.t);
    assert_int_equal(recv_calls(&p, 10, -EAGAIN), 0);
    close_pair(&p);
}

/* A vector that is sent shows as much as a write. */
static void test_prove_after_a_vector(void **state)
{
    char byte[] = "x";
    struct iovec iov = { .iov_base = byte, .iov_len = 1 };
    struct pair p;

    open_pair(*state, &p, false);
    peer_send(&p.f->peer, "abc");
    fixture_run_idle(p.f);
    assert_int_equal(recv_calls(&p, 10, 3), 1);
    assert_int_equal(transport_writev(&p.t, &iov, 1), 1);
    transport_prove(&p.t);
    assert_int_equal(recv_calls(&p, 10, -EAGAIN), 0);
    close_pair(&p);
}

/* A reset in the same report as bytes is found by who asks once more. */
static void test_prove_finds_a_hidden_reset(void **state)
{
    struct pair p;

    open_pair(*state, &p, true);
    fixture_run_idle(p.f);
    peer_send(&p.f->peer, "abc");
    peer_reset(&p.f->peer);
    fixture_run_idle(p.f);
    assert_int_equal(recv_calls(&p, 10, 3), 1);
    transport_prove(&p.t);
    assert_int_equal(recv_calls(&p, 10, -ECONNRESET), 1);
    close_pair(&p);
}

/* A short write shows that the socket is full: none is tried until the next report. */
static void test_write_short_is_the_last(void **state)
{
    static char much[600000];
    struct iovec iov = { .iov_base = much, .iov_len = sizeof(much) };
    struct pair p;
    ssize_t n;

    open_pair(*state, &p, false);
    fixture_run_idle(p.f);
    n = transport_write(&p.t, much, sizeof(much));
    assert_true(n > 0 && n < (ssize_t)sizeof(much));
    fault_arm(FAULT_SEND, 1, EIO);
    assert_int_equal(transport_write(&p.t, much, 1), -EAGAIN);
    assert_int_equal(transport_writev(&p.t, &iov, 1), -EAGAIN);
    fault_off();
    assert_false(fault_hit());
    peer_drain(&p.f->peer);
    fixture_run_idle(p.f);
    assert_int_equal(transport_write(&p.t, much, 1), 1);
    close_pair(&p);
}

/* Interrupted calls are repeated; others are passed on as -errno. */
static void test_calls_interrupted_and_failed(void **state)
{
    char byte[] = "x";
    struct iovec iov = { .iov_base = byte, .iov_len = 1 };
    struct pair p;
    char buf[10];

    open_pair(*state, &p, false);
    peer_send(&p.f->peer, "abc");
    fixture_run_idle(p.f);
    fault_arm(FAULT_RECV, 1, EINTR);
    assert_int_equal(transport_read(&p.t, buf, 3), 3);
    fault_arm(FAULT_SEND, 1, EINTR);
    assert_int_equal(transport_write(&p.t, "x", 1), 1);
    fault_arm(FAULT_SEND, 1, EINTR);
    assert_int_equal(transport_writev(&p.t, &iov, 1), 1);
    fault_arm(FAULT_RECV, 1, EIO);
    assert_int_equal(transport_read(&p.t, buf, 3), -EIO);
    fault_arm(FAULT_SEND, 1, EPIPE);
    assert_int_equal(transport_write(&p.t, "x", 1), -EPIPE);
    fault_arm(FAULT_SEND, 1, ECONNRESET);
    assert_int_equal(transport_writev(&p.t, &iov, 1), -ECONNRESET);
    close_pair(&p);
}

/* Shutdown ends our side only. */
static void test_shutdown_ends_our_side(void **state)
{
    struct pair p;
    char byte;

    open_pair(*state, &p, false);
    transport_shutdown(&p.t);
    assert_int_equal(peer_read(&p.f->peer, &byte, 1), 0);
    peer_send(&p.f->peer, "x");
    fixture_run_idle(p.f);
    assert_int_equal(transport_read(&p.t, &byte, 1), 1);
    close_pair(&p);
}

/* The descriptor is given back open, and no report comes any more. */
static void test_detach_gives_the_descriptor_back(void **state)
{
    struct pair p;
    int fd, n;

    open_pair(*state, &p, false);
    fixture_run_idle(p.f);
    n = p.n_events;
    fd = transport_detach(&p.t);
    peer_send(&p.f->peer, "x");
    fixture_run_idle(p.f);
    assert_int_equal(p.n_events, n);
    assert_int_equal(close(fd), 0);
}

#define TRANSPORT_TEST(name) \
    cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TRANSPORT_TEST(test_read_waits_for_the_first_report),
        TRANSPORT_TEST(test_read_short_is_the_last),
        TRANSPORT_TEST(test_read_whole_asks_again),
        TRANSPORT_TEST(test_read_goes_on_to_a_reported_end),
        TRANSPORT_TEST(test_prove_asks_once_after_a_short_read),
        TRANSPORT_TEST(test_prove_after_a_vector),
        TRANSPORT_TEST(test_prove_finds_a_hidden_reset),
        TRANSPORT_TEST(test_write_short_is_the_last),
        TRANSPORT_TEST(test_calls_interrupted_and_failed),
        TRANSPORT_TEST(test_shutdown_ends_our_side),
        TRANSPORT_TEST(test_detach_gives_the_descriptor_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
