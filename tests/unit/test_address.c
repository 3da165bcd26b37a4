/* Tests of lib/net/address.c: socket addresses as text and back. */
#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <corod/address.h>

/* What is read is written again, in its shortest form. */
static void test_parse_and_format_agree(void **state)
{
    static const struct {
        const char *text, *again; /* NULL: as text */
    } cases[] = {
        { "127.0.0.1:80", NULL },
        { "255.255.255.255:65535", NULL },
        { "0.0.0.0:0", NULL },
        { "*:80", "0.0.0.0:80" },
        { "1.2.3.4:00080", "1.2.3.4:80" },
        { "[::1]:80", NULL },
        { "[::]:0", NULL },
        { "[2001:DB8:0:0::1]:443", "[2001:db8::1]:443" },
        { "[::ffff:1.2.3.4]:1", NULL },
        { "[::1%lo]:80", NULL },
        { "[fe80::1%2147483632]:80", NULL },
        { "unix:/run/x.sock", NULL },
        { "unix:x", NULL },
        { "unix:@name", NULL },
        { "unix:/with space:and colon", NULL },
    };
    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        const char *again = cases[i].again ? cases[i].again : cases[i].text;
        char buf[CO_ADDR_TEXT_MAX];
        struct co_addr addr, twice;

        assert_int_equal(co_addr_parse(cases[i].text, &addr), 0);
        assert_string_equal(co_addr_format(&addr.sa, addr.len, buf, sizeof(buf)), again);
        assert_int_equal(co_addr_parse(buf, &twice), 0);
        assert_true(co_addr_equal(&addr, &twice));
    }
}

/* Text of no known form is refused, and the output is untouched. */
static void test_parse_refusals(void **state)
{
    static const struct {
        const char *text;
        int r;
    } cases[] = {
        { "", -EINVAL },
        { ":", -EINVAL },
        { ":80", -EINVAL },
        { "80", -EINVAL },
        { "1.2.3.4", -EINVAL },
        { "1.2.3.4:", -EINVAL },
        { "1.2.3:80", -EINVAL },
        { "1.2.3.4.5:80", -EINVAL },
        { "256.1.1.1:80", -EINVAL },
        { "localhost:80", -EINVAL },
        { "1.2.3.4:80x", -EINVAL },
        { "1.2.3.4:-1", -EINVAL },
        { "1.2.3.4:+1", -EINVAL },
        { "1.2.3.4: 1", -EINVAL },
        { " 1.2.3.4:1", -EINVAL },
        { "1.2.3.4:65536", -ERANGE },
        { "1.2.3.4:99999999999999999999", -ERANGE },
        { "123.123.123.1234:80", -EINVAL },
        { "::1:80", -EINVAL },
        { "[::1]", -EINVAL },
        { "[::1]80", -EINVAL },
        { "[::1:80", -EINVAL },
        { "[]:80", -EINVAL },
        { "[1.2.3.4]:80", -EINVAL },
        { "[::1]:65536", -ERANGE },
        { "[::1]:", -EINVAL },
        { "[::1%]:80", -EINVAL },
        { "[::1%nosuchzone]:80", -EINVAL },
        { "[fe80::1%4294967296]:80", -EINVAL },
        { "[fe80::1%12x]:80", -EINVAL },
        { "[fe80::1%0]:80", -EINVAL },
        { "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]:1",
          -EINVAL },
        { "unix:", -EINVAL },
        { "unix:@", -EINVAL },
        { "UNIX:/x", -EINVAL },
    };
    struct co_addr addr, before;

    (void)state;
    memset(&before, 0x5a, sizeof(before));
    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        addr = before;
        assert_int_equal(co_addr_parse(cases[i].text, &addr), cases[i].r);
        assert_memory_equal(&addr, &before, sizeof(addr));
    }
}

/* A Unix path of 107 bytes fits, one of 108 does not; an abstract name is as long. */
static void test_parse_bounds_unix_paths(void **state)
{
    char text[200], buf[CO_ADDR_TEXT_MAX];
    struct co_addr addr;

    (void)state;
    for (int is_abstract = 0; is_abstract < 2; is_abstract++) {
        memset(text, 'p', sizeof(text));
        memcpy(text, is_abstract ? "unix:@" : "unix:/", 6);
        text[5 + 108] = '\0';
        assert_int_equal(co_addr_parse(text, &addr), -ENAMETOOLONG);
        text[5 + 107] = '\0';
        assert_int_equal(co_addr_parse(text, &addr), 0);
        assert_int_equal(addr.len,
                         offsetof(struct sockaddr_un, sun_path) + 107 + !is_abstract);
        assert_string_equal(co_addr_format(&addr.sa, addr.len, buf, sizeof(buf)), text);
    }
}

/* Text is cut to the buffer and ends with NUL; a buffer of nothing is not written to. */
static void test_format_is_cut_to_size(void **state)
{
    static const char *const texts[] = { "127.0.0.1:80", "[::1]:80", "unix:/run/x",
                                         "unix:@abc" };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
        struct co_addr addr;

        assert_int_equal(co_addr_parse(texts[i], &addr), 0);
        for (size_t size = 0; size <= strlen(texts[i]) + 1; size++) {
            char buf[32];

            memset(buf, '#', sizeof(buf));
            assert_ptr_equal(co_addr_format(&addr.sa, addr.len, buf, size), buf);
            assert_int_equal(buf[size], '#');
            if (size > 0)
                assert_int_equal(strlen(buf), size - 1);
            assert_memory_equal(buf, texts[i], size > 0 ? size - 1 : 0);
        }
    }
}

/* Addresses that have no form of their own, and those of unnamed sockets, have a text too. */
static void test_format_of_odd_addresses(void **state)
{
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_scope_id = 0x7ffffff0 };
    struct sockaddr other = { .sa_family = AF_UNSPEC };
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    char buf[CO_ADDR_TEXT_MAX];

    (void)state;
    assert_string_equal(co_addr_format(&other, sizeof(other), buf, sizeof(buf)), "?");
    assert_string_equal(
        co_addr_format((struct sockaddr *)&un, sizeof(sa_family_t), buf, sizeof(buf)),
        "unix:");
    assert_string_equal(
        co_addr_format((struct sockaddr *)&in6, sizeof(in6), buf, sizeof(buf)),
        "[::%2147483632]:0");
    memset(un.sun_path, 'x', sizeof(un.sun_path)); /* no NUL: the kernel may give that */
    assert_int_equal(
        strlen(co_addr_format((struct sockaddr *)&un, sizeof(un), buf, sizeof(buf))),
        5 + 108);
}

/* The compact form of a peer's address is long enough for each family's text. */
static void test_format_of_a_peer(void **state)
{
    union co_peer peer = { .in = { .sin_family = AF_INET, .sin_port = htons(7) } };
    char buf[CO_ADDR_TEXT_MAX];

    (void)state;
    assert_string_equal(co_addr_format(&peer.sa, sizeof(peer), buf, sizeof(buf)),
                        "0.0.0.0:7");
    peer = (union co_peer){ .in6 = { .sin6_family = AF_INET6, .sin6_port = htons(7) } };
    assert_string_equal(co_addr_format(&peer.sa, sizeof(peer), buf, sizeof(buf)),
                        "[::]:7");
    peer = (union co_peer){ .sa = { .sa_family = AF_UNIX } };
    assert_string_equal(co_addr_format(&peer.sa, sizeof(sa_family_t), buf, sizeof(buf)),
                        "unix:");
}

/* Addresses are equal only when family, host, port and zone, or the path, are. */
static void test_equal_compares_all(void **state)
{
    static const char *const texts[] = {
        "1.2.3.4:5",  "1.2.3.4:6", "1.2.3.5:5", "[::1]:5",   "[::1]:6", "[::2]:5",
        "[::1%lo]:5", "unix:/a",   "unix:/b",   "unix:/a/b", "unix:@a", "unix:@ab",
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
        for (size_t k = 0; k < N_ELEMENTS(texts); k++) {
            struct co_addr a, b;

            assert_int_equal(co_addr_parse(texts[i], &a), 0);
            assert_int_equal(co_addr_parse(texts[k], &b), 0);
            assert_int_equal(co_addr_equal(&a, &b), i == k);
        }
    }
}

/* What is parsed is what the kernel takes, and gives back. */
static void test_parse_gives_what_bind_takes(void **state)
{
    static const char *const texts[] = { "127.0.0.1:0", "unix:@corod-test-address" };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
        struct co_addr addr, bound = { .len = sizeof(struct sockaddr_un) };
        int fd;

        assert_int_equal(co_addr_parse(texts[i], &addr), 0);
        fd = socket(addr.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(fd, &addr.sa, addr.len), 0);
        assert_int_equal(getsockname(fd, &bound.sa, &bound.len), 0);
        if (addr.sa.sa_family == AF_UNIX)
            assert_true(co_addr_equal(&addr, &bound));
        else
            assert_int_equal(bound.in.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
        close(fd);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_and_format_agree),
        cmocka_unit_test(test_parse_refusals),
        cmocka_unit_test(test_parse_bounds_unix_paths),
        cmocka_unit_test(test_format_is_cut_to_size),
        cmocka_unit_test(test_format_of_odd_addresses),
        cmocka_unit_test(test_format_of_a_peer),
        cmocka_unit_test(test_equal_compares_all),
        cmocka_unit_test(test_parse_gives_what_bind_takes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
