/* Tests of daemon/listen.c: listening sockets. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault.h"
#include "listen.h"

struct fixture {
    char folder[200];
    char path[240]; /* in the folder; there is nothing */
    struct co_addr unix_addr;
};

static const struct config_listener_options defaults = { .backlog = 16, .nodelay = true };

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    char text[256];

    assert_non_null(f);
    /* Not in TMPDIR, which may be too deep for a Unix socket. */
    (void)strcpy(f->folder, "/tmp/corod-listen-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    (void)snprintf(f->path, sizeof(f->path), "%.100s/s", f->folder);
    (void)snprintf(text, sizeof(text), "unix:%s", f->path);
    assert_int_equal(co_addr_parse(text, &f->unix_addr), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    (void)unlink(f->path);
    assert_int_equal(rmdir(f->folder), 0);
    free(f);
    return 0;
}

static struct co_addr parse(const char *text)
{
    struct co_addr addr;

    assert_int_equal(co_addr_parse(text, &addr), 0);
    return addr;
}

static int get_int(int fd, int level, int option)
{
    int value = -1;
    socklen_t len = sizeof(value);

    assert_int_equal(getsockopt(fd, level, option, &value, &len), 0);
    return value;
}

/* Connects; whether somebody listens. */
static bool is_live(const struct co_addr *addr)
{
    int fd = socket(addr->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int r = connect(fd, &addr->sa, addr->len);

    close(fd);
    return r == 0;
}

/* Port 0 becomes one that the kernel chose, on both families; it can be connected to. */
static void test_open_listens_on_a_port_of_the_kernel(void **state)
{
    static const char *const texts[] = { "127.0.0.1:0", "[::1]:0" };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
        struct co_addr addr = parse(texts[i]);
        int fd = listen_open(&addr, &defaults);

        if (fd == -EADDRNOTAVAIL || fd == -EAFNOSUPPORT) {
            print_message("no %s here\n", texts[i]);
            continue;
        }
        assert_true(fd >= 0);
        assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
        assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        assert_int_equal(get_int(fd, SOL_SOCKET, SO_REUSEADDR), 1);
        assert_int_equal(listen_address(fd, &addr), 0);
        assert_true(addr.in.sin_port != 0);
        assert_true(is_live(&addr));
        close(fd);
        assert_false(is_live(&addr));
    }
}

/* The two wildcards can stand side by side on one port. */
static void test_open_keeps_the_families_apart(void **state)
{
    struct co_addr v6 = parse("[::]:0"), v4 = parse("0.0.0.0:0");
    int fd6 = listen_open(&v6, &defaults), fd4;

    (void)state;
    if (fd6 == -EAFNOSUPPORT) {
        print_message("no IPv6 here\n");
        skip();
    }
    assert_true(fd6 >= 0);
    assert_int_equal(get_int(fd6, IPPROTO_IPV6, IPV6_V6ONLY), 1);
    assert_int_equal(listen_address(fd6, &v6), 0);
    v4.in.sin_port = v6.in6.sin6_port;
    fd4 = listen_open(&v4, &defaults);
    if (fd4 != -EADDRINUSE) /* by another process, on IPv4 alone */
        assert_true(fd4 >= 0);
    close(fd6);
    if (fd4 >= 0)
        close(fd4);
}

/* The options are those of the config. */
static void test_open_sets_options(void **state)
{
    struct config_listener_options opt = { .backlog = 1, .nodelay = false };
    struct co_addr addr = parse("127.0.0.1:0");
    int fd = listen_open(&addr, &opt);

    (void)state;
    assert_int_equal(get_int(fd, IPPROTO_TCP, TCP_NODELAY), 0);
    assert_int_equal(get_int(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
    assert_int_equal(get_int(fd, SOL_SOCKET, SO_REUSEPORT), 0);
    close(fd);
    opt = (struct config_listener_options){
        .backlog = 1, .nodelay = true, .reuse_port = true, .keepalive = 40 * CO_SECOND
    };
    fd = listen_open(&addr, &opt);
    assert_true(get_int(fd, IPPROTO_TCP, TCP_NODELAY) != 0);
    assert_true(get_int(fd, SOL_SOCKET, SO_KEEPALIVE) != 0);
    assert_true(get_int(fd, SOL_SOCKET, SO_REUSEPORT) != 0);
    assert_int_equal(get_int(fd, IPPROTO_TCP, TCP_KEEPIDLE), 40);
    assert_int_equal(get_int(fd, IPPROTO_TCP, TCP_KEEPINTVL), 4);
    assert_int_equal(get_int(fd, IPPROTO_TCP, TCP_KEEPCNT), 5);
    close(fd);
}

/* A reload sets them anew; an accepted connection has those of the time it came. */
static void test_set_options_is_for_connections_to_come(void **state)
{
    struct config_listener_options opt = { .backlog = 4,
                                           .nodelay = true,
                                           .keepalive = 10 * CO_SECOND };
    struct co_addr addr = parse("127.0.0.1:0");
    int fd = listen_open(&addr, &opt), accepted, client;

    (void)state;
    opt.keepalive = 0;
    opt.nodelay = false;
    listen_set_options(fd, &opt);
    assert_int_equal(listen_address(fd, &addr), 0);
    client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(client, &addr.sa, addr.len), 0);
    accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    assert_int_equal(get_int(accepted, IPPROTO_TCP, TCP_NODELAY), 0);
    assert_int_equal(get_int(accepted, SOL_SOCKET, SO_KEEPALIVE), 0);
    close(accepted);
    close(client);
    close(fd);
}

/* A port that is taken is said so, and the socket is not left. */
static void test_open_of_a_taken_port(void **state)
{
    struct co_addr addr = parse("127.0.0.1:0");
    int fd = listen_open(&addr, &defaults);

    (void)state;
    assert_int_equal(listen_address(fd, &addr), 0);
    assert_int_equal(listen_open(&addr, &defaults), -EADDRINUSE);
    close(fd);
}

/* An address of no interface is said so. */
static void test_open_of_a_foreign_address(void **state)
{
    struct co_addr addr = parse("192.0.2.1:0");

    (void)state;
    assert_int_equal(listen_open(&addr, &defaults), -EADDRNOTAVAIL);
}

/* A Unix socket is made at its path. */
static void test_open_makes_a_unix_socket(void **state)
{
    struct fixture *f = *state;
    struct co_addr addr;
    struct stat st;
    int fd = listen_open(&f->unix_addr, &defaults);

    assert_true(fd >= 0);
    assert_int_equal(lstat(f->path, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_true(is_live(&f->unix_addr));
    assert_int_equal(listen_address(fd, &addr), 0);
    assert_true(co_addr_equal(&addr, &f->unix_addr));
    close(fd);
}

/* The file of a daemon that died is replaced. */
static void test_open_replaces_a_stale_unix_socket(void **state)
{
    struct fixture *f = *state;
    int fd = listen_open(&f->unix_addr, &defaults);

    close(fd);
    assert_false(is_live(&f->unix_addr));
    fd = listen_open(&f->unix_addr, &defaults);
    assert_true(fd >= 0);
    assert_true(is_live(&f->unix_addr));
    close(fd);
}

/* One that another daemon listens on is left alone, also when its backlog is full. */
static void test_open_of_a_live_unix_socket(void **state)
{
    struct config_listener_options opt = { .backlog = 0 };
    struct fixture *f = *state;
    int fd = listen_open(&f->unix_addr, &opt), full;

    assert_int_equal(listen_open(&f->unix_addr, &defaults), -EADDRINUSE);
    full = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    (void)!connect(full, &f->unix_addr.sa, f->unix_addr.len);
    assert_int_equal(listen_open(&f->unix_addr, &defaults), -EADDRINUSE);
    close(full);
    close(accept4(fd, NULL, NULL, SOCK_CLOEXEC));
    assert_true(is_live(&f->unix_addr));
    close(fd);
}

/* A file, a link or a socket of another kind is not ours to remove. */
static void test_open_leaves_other_files_alone(void **state)
{
    struct fixture *f = *state;
    char byte;
    int fd = open(f->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    assert_int_equal(write(fd, "x", 1), 1);
    assert_int_equal(listen_open(&f->unix_addr, &defaults), -EADDRINUSE);
    assert_int_equal(pread(fd, &byte, 1, 0), 1);
    close(fd);
    assert_int_equal(access(f->path, F_OK), 0);
    assert_int_equal(unlink(f->path), 0);

    assert_int_equal(symlink("/nonexistent/target", f->path), 0);
    assert_int_equal(listen_open(&f->unix_addr, &defaults), -EADDRINUSE);
    assert_int_equal(unlink(f->path), 0);

    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, &f->unix_addr.sa, f->unix_addr.len), 0);
    assert_int_equal(listen_open(&f->unix_addr, &defaults), -EADDRINUSE);
    assert_int_equal(access(f->path, F_OK), 0);
    close(fd);
}

/* A folder that is not there, or may not be written, is said so. */
static void test_open_in_a_bad_folder(void **state)
{
    struct co_addr absent = parse("unix:/nonexistent/s");
    struct fixture *f = *state;

    assert_int_equal(listen_open(&absent, &defaults), -ENOENT);
    if (geteuid() == 0) {
        print_message("root may write everywhere\n");
        return;
    }
    assert_int_equal(chmod(f->folder, 0500), 0);
    assert_int_equal(listen_open(&f->unix_addr, &defaults), -EACCES);
    assert_int_equal(chmod(f->folder, 0700), 0);
}

/* An abstract name has no file; taken, it is not mistaken for a stale one. */
static void test_open_of_an_abstract_name(void **state)
{
    struct fixture *f = *state;
    char text[256];
    struct co_addr addr, bound;
    int fd;

    (void)snprintf(text, sizeof(text), "unix:@%s", f->path);
    addr = parse(text);
    fd = listen_open(&addr, &defaults);
    assert_true(fd >= 0);
    assert_int_equal(listen_address(fd, &bound), 0);
    assert_true(co_addr_equal(&addr, &bound));
    assert_true(is_live(&addr));
    assert_int_equal(listen_open(&addr, &defaults), -EADDRINUSE);
    assert_int_equal(access(f->path, F_OK), -1);
    close(fd);
}

/* No descriptor is left for the socket, or for the look at a file that is there. */
static void test_open_without_descriptors(void **state)
{
    struct fixture *f = *state;
    int fd = listen_open(&f->unix_addr, &defaults);

    close(fd);
    fault_arm(FAULT_FD, 1, EMFILE);
    assert_int_equal(listen_open(&f->unix_addr, &defaults), -EMFILE);
    fault_arm(FAULT_FD, 2, EMFILE);
    assert_int_equal(listen_open(&f->unix_addr, &defaults), -EADDRINUSE);
    fault_off();
    assert_int_equal(access(f->path, F_OK), 0);
}

/* What is no socket has no address, and the output is untouched. */
static void test_address_of_no_socket(void **state)
{
    struct co_addr addr = { .len = 77 };
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    (void)state;
    assert_int_equal(listen_address(fd, &addr), -ENOTSOCK);
    assert_int_equal(addr.len, 77);
    close(fd);
}

/* The usual failures come with advice. */
static void test_hint(void **state)
{
    static const struct {
        int error;
        const char *word;
    } cases[] = {
        { -EACCES, "CAP_NET_BIND_SERVICE" },
        { -EADDRINUSE, "another process" },
        { -EADDRNOTAVAIL, "no interface" },
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(cases); i++)
        assert_non_null(strstr(listen_hint(cases[i].error), cases[i].word));
    assert_string_equal(listen_hint(-EMFILE), "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_open_listens_on_a_port_of_the_kernel),
        TEST(test_open_keeps_the_families_apart),
        TEST(test_open_sets_options),
        TEST(test_set_options_is_for_connections_to_come),
        TEST(test_open_of_a_taken_port),
        TEST(test_open_of_a_foreign_address),
        TEST(test_open_makes_a_unix_socket),
        TEST(test_open_replaces_a_stale_unix_socket),
        TEST(test_open_of_a_live_unix_socket),
        TEST(test_open_leaves_other_files_alone),
        TEST(test_open_in_a_bad_folder),
        TEST(test_open_of_an_abstract_name),
        TEST(test_open_without_descriptors),
        TEST(test_address_of_no_socket),
        TEST(test_hint),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
