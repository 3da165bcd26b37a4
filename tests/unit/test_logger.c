/* Tests of daemon/logger.c: the log thread and its queue. */
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <corod/plugin.h>

#include "fault.h"
#include "logger.h"

#define N_WRITERS          4
#define N_LINES_PER_WRITER 1500
#define OUTPUT_MAX         (4u << 20)

#define TIME_PATTERN "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z "

/* Writes to a file in memory, which finish() reads back. */
struct fixture {
    struct logger *log;
    char *output; /* NUL-terminated, after finish() */
    int fd;
};

/* What the journal was last sent: fields joined by '\n'; its answer to it. */
static char journal_text[8192];
static int journal_result;

int sd_journal_sendv(const struct iovec *iov, int n);

/* Takes the place of libsystemd's; log thread only. */
int sd_journal_sendv(const struct iovec *iov, int n)
{
    size_t len = 0;

    for (int i = 0; i < n; i++)
        len += (size_t)snprintf(journal_text + len, sizeof(journal_text) - len, "%.*s\n",
                                (int)iov[i].iov_len, (const char *)iov[i].iov_base);
    return journal_result;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    f->fd = memfd_create("log", MFD_CLOEXEC);
    assert_true(f->fd >= 0);
    f->output = calloc(1, OUTPUT_MAX);
    assert_non_null(f->output);
    assert_int_equal(logger_new(CO_LOG_INFO, f->fd, &f->log), 0);
    journal_text[0] = '\0';
    journal_result = 0;
    *state = f;
    return 0;
}

/* Ends the logger and gives what it wrote. */
static const char *finish(struct fixture *f)
{
    logger_free(f->log);
    f->log = NULL;
    assert_true(pread(f->fd, f->output, OUTPUT_MAX - 1, 0) >= 0);
    return f->output;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    logger_free(f->log);
    close(f->fd);
    free(f->output);
    free(f);
    unsetenv("JOURNAL_STREAM");
    return 0;
}

static void assert_matches(const char *text, const char *pattern)
{
    regex_t regex;
    int r;

    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    r = regexec(&regex, text, 0, NULL, 0);
    regfree(&regex);
    if (r != 0)
        fail_msg("'%s' does not match '%s'", text, pattern);
}

static unsigned count_lines(const char *text, const char *with)
{
    unsigned n = 0;

    for (const char *at = text; (at = strstr(at, with)); at += strlen(with))
        n++;
    return n;
}

/* Makes the fixture's file look like the journal's stream, to loggers made from now on.
 */
static void pretend_journal(int fd)
{
    char text[64];
    struct stat st;

    assert_int_equal(fstat(fd, &st), 0);
    (void)snprintf(text, sizeof(text), "%llu:%llu", (unsigned long long)st.st_dev,
                   (unsigned long long)st.st_ino);
    setenv("JOURNAL_STREAM", text, 1);
}

static void restart(struct fixture *f)
{
    logger_free(f->log);
    f->log = NULL;
    assert_int_equal(logger_new(CO_LOG_INFO, f->fd, &f->log), 0);
}

/* ---- lines ---- */

/* A line is a UTC time with milliseconds, the level and the message. */
static void test_write_gives_time_level_and_message(void **state)
{
    struct fixture *f = *state;

    logger_write(f->log, CO_LOG_INFO, NULL, "%s %d", "hello", 7);
    assert_matches(finish(f), "^" TIME_PATTERN "info  hello 7\n$");
}

/* Fields are copied, and an escaped message stays one line. */
static void test_write_copies_fields_and_escapes(void **state)
{
    struct fixture *f = *state;
    char listener[] = "web", peer[] = "192.0.2.1:5";

    logger_write(f->log, CO_LOG_INFO, &(struct log_fields){ listener, peer, 17 }, "%s",
                 "a\nb");
    memset(listener, 'x', sizeof(listener) - 1);
    memset(peer, 'x', sizeof(peer) - 1);
    assert_matches(finish(f), "^" TIME_PATTERN "info  web conn 17 192\\.0\\.2\\.1:5: "
                              "a\\\\x0ab\n$");
}

/* Empty fields are left out as absent ones are. */
static void test_write_leaves_out_empty_fields(void **state)
{
    struct fixture *f = *state;

    logger_write(f->log, CO_LOG_INFO, &(struct log_fields){ "", "", 0 }, "m");
    assert_matches(finish(f), "^" TIME_PATTERN "info  m\n$");
}

/* Names and peers are escaped and cut as messages are. */
static void test_write_escapes_and_cuts_fields(void **state)
{
    struct fixture *f = *state;
    char name[LOGGER_NAME_MAX + 100];
    char expected[LOGGER_NAME_MAX * 4 + 1];

    memset(name, '\n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    for (unsigned i = 0; i < LOGGER_NAME_MAX; i++)
        memcpy(expected + 4 * i, "\\x0a", 5);
    logger_write(f->log, CO_LOG_INFO, &(struct log_fields){ name, name, 1 }, "m");
    finish(f);
    assert_memory_equal(f->output + 31, expected, strlen(expected));
    assert_memory_equal(f->output + 31 + strlen(expected), " conn 1 \\x0a", 12);
    assert_int_equal(count_lines(f->output, "\\x0a"), 2 * LOGGER_NAME_MAX);
}

/* The longest message fits when each of its bytes is escaped; a longer one is cut. */
static void test_write_cuts_a_long_message(void **state)
{
    struct fixture *f = *state;
    char *text = calloc(1, LOGGER_LINE_MAX + 2);

    memset(text, '\001', LOGGER_LINE_MAX);
    logger_write(f->log, CO_LOG_INFO, NULL, "%s", text);
    logger_write(f->log, CO_LOG_INFO, NULL, "%s!", text);
    free(text);
    finish(f);
    assert_int_equal(count_lines(f->output, "\\x01"), 2 * LOGGER_LINE_MAX - 3);
    assert_int_equal(count_lines(f->output, "\\x01\n"), 1);
    assert_int_equal(count_lines(f->output, "\\x01...\n"), 1);
}

/* %m means the caller's errno, and errno is as before. */
static void test_write_preserves_errno(void **state)
{
    struct fixture *f = *state;

    errno = ENOENT;
    logger_write(f->log, CO_LOG_INFO, NULL, "%m");
    assert_int_equal(errno, ENOENT);
    fault_after(1);
    logger_write(f->log, CO_LOG_INFO, NULL, "%m");
    fault_off();
    assert_int_equal(errno, ENOENT);
    assert_int_equal(count_lines(finish(f), "No such file or directory\n"), 1);
}

/* A line below the level is not written; the level can change at any time. */
static void test_set_level_takes_effect_at_once(void **state)
{
    struct fixture *f = *state;

    assert_false(logger_is_on(f->log, CO_LOG_DEBUG));
    logger_write(f->log, CO_LOG_DEBUG, NULL, "first");
    logger_set_level(f->log, CO_LOG_DEBUG);
    assert_true(logger_is_on(f->log, CO_LOG_DEBUG));
    logger_write(f->log, CO_LOG_DEBUG, NULL, "second");
    logger_set_level(f->log, CO_LOG_ERROR);
    logger_write(f->log, CO_LOG_WARNING, NULL, "third");
    logger_write(f->log, CO_LOG_ERROR, NULL, "fourth");
    assert_matches(finish(f), "^[^\n]*debug second\n[^\n]*error fourth\n$");
}

static void CO_PRINTF(4, 5)
    write_to_sink(const struct co_log_sink *sink, enum co_log_level level,
                  const struct co_conn *conn, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    sink->write(sink->ctx, level, conn, fmt, args);
    va_end(args);
}

/* A loop's sink writes to the log, and its level is the logger's. */
static void test_sink_writes_to_the_log(void **state)
{
    struct fixture *f = *state;
    const struct co_log_sink *sink = logger_sink(f->log);

    assert_int_equal(sink->level, CO_LOG_INFO);
    write_to_sink(sink, CO_LOG_WARNING, NULL, "task %d", 3);
    logger_set_level(f->log, CO_LOG_DEBUG);
    assert_int_equal(sink->level, CO_LOG_DEBUG);
    assert_matches(finish(f), "^[^\n]*warn  task 3\n$");
}

/* What a plugin logs about a connection says which: listener, id and peer. */
static void test_sink_names_the_connection(void **state)
{
    static const struct co_service service = { .listener = "web" };
    struct co_conn tcp = { .service = &service, .id = 8 };
    struct co_conn local = { .service = &service, .id = 9 };
    struct fixture *f = *state;

    tcp.peer.in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6,
                                          .sin6_addr = IN6ADDR_LOOPBACK_INIT,
                                          .sin6_port = htons(5) };
    local.peer.sa.sa_family = AF_UNIX;
    write_to_sink(logger_sink(f->log), CO_LOG_INFO, &tcp, "one");
    write_to_sink(logger_sink(f->log), CO_LOG_DEBUG, &tcp, "not written");
    write_to_sink(logger_sink(f->log), CO_LOG_INFO, &local, "two");
    assert_matches(finish(f), "^[^\n]*info  web conn 8 \\[::1\\]:5: one\n"
                              "[^\n]*info  web conn 9 unix: two\n$");
}

/* ---- threads ---- */

struct writer {
    struct logger *log;
    pthread_t thread;
    int id;
};

static void *write_numbers(void *arg)
{
    struct writer *w = arg;

    for (int i = 0; i < N_LINES_PER_WRITER; i++)
        logger_write(w->log, CO_LOG_INFO, NULL, "<%d %d", w->id, i);
    return NULL;
}

/* Lines of one thread stay in order, and none is lost while the queue has room. */
static void test_write_keeps_the_order_of_each_thread(void **state)
{
    struct fixture *f = *state;
    struct writer writers[N_WRITERS];
    int next[N_WRITERS] = { 0 };

    for (int i = 0; i < N_WRITERS; i++) {
        writers[i] = (struct writer){ .log = f->log, .id = i };
        assert_int_equal(
            pthread_create(&writers[i].thread, NULL, write_numbers, &writers[i]), 0);
    }
    for (int i = 0; i < N_WRITERS; i++)
        pthread_join(writers[i].thread, NULL);
    for (const char *at = finish(f); (at = strchr(at, '<')); at++) {
        char *end;
        long id = strtol(at + 1, &end, 10);

        assert_in_range(id, 0, N_WRITERS - 1);
        assert_int_equal(strtol(end, NULL, 10), next[id]++);
    }
    for (int i = 0; i < N_WRITERS; i++)
        assert_int_equal(next[i], N_LINES_PER_WRITER);
}

static bool has_thread(const char *name)
{
    DIR *dir = opendir("/proc/self/task");
    const struct dirent *entry;
    bool is_found = false;

    assert_non_null(dir);
    while (!is_found && (entry = readdir(dir))) {
        char path[300], comm[32] = "";
        FILE *file;

        (void)snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
        file = fopen(path, "r");
        if (!file)
            continue;
        is_found = fgets(comm, sizeof(comm), file) && strcmp(comm, name) == 0;
        (void)fclose(file);
    }
    closedir(dir);
    return is_found;
}

/* The thread can be told from the others in top and gdb. */
static void test_new_names_the_thread(void **state)
{
    struct fixture *f = *state;
    char byte;
    int fds[2];

    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    logger_free(f->log);
    f->log = NULL;
    assert_int_equal(logger_new(CO_LOG_INFO, fds[1], &f->log), 0);
    logger_write(f->log, CO_LOG_INFO, NULL, "m");
    assert_int_equal(read(fds[0], &byte, 1), 1); /* the thread is past its start */
    assert_true(has_thread("corod-log\n"));
    finish(f);
    close(fds[0]);
    close(fds[1]);
}

/* ---- output that is slow, stuck or gone ---- */

struct reader {
    pthread_t thread;
    char *text; /* NUL-terminated, once joined */
    int fd;
};

static void *read_to_end(void *arg)
{
    struct reader *reader = arg;
    size_t len = 0;
    ssize_t n;

    while ((n = read(reader->fd, reader->text + len, OUTPUT_MAX - 1 - len)) > 0)
        len += (size_t)n;
    return NULL;
}

/* Sum of the numbers in "N log line(s) dropped". */
static unsigned count_told(const char *text)
{
    unsigned n = 0;

    for (const char *at = text; (at = strstr(at, "warn  ")); at++)
        if (strstr(at, " dropped\n"))
            n += (unsigned)strtoul(at + 6, NULL, 10);
    return n;
}

/* A logger on a pipe of one page that nobody reads yet. */
static void start_on_pipe(struct fixture *f, int fds[2], int flags)
{
    logger_free(f->log);
    f->log = NULL;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_true(fcntl(fds[1], F_SETPIPE_SZ, 4096) >= 0);
    assert_int_equal(fcntl(fds[1], F_SETFL, flags), 0);
    assert_int_equal(logger_new(CO_LOG_INFO, fds[1], &f->log), 0);
}

/*
 * With a full pipe behind the log writers go on, at most the bound is queued, and every
 * line is either read in the end or counted. The descriptor may be blocking or not.
 */
static void check_full_pipe(struct fixture *f, int flags)
{
    const unsigned total = 3 * LOGGER_QUEUE_MAX;
    struct reader reader = { .text = f->output };
    unsigned n_read;
    uint64_t dropped;
    int fds[2];

    start_on_pipe(f, fds, flags);
    for (unsigned i = 0; i < total; i++)
        logger_write(f->log, CO_LOG_INFO, NULL, "<%u", i);
    dropped = logger_n_dropped(f->log);
    assert_in_range(dropped, LOGGER_QUEUE_MAX, 2 * LOGGER_QUEUE_MAX);

    reader.fd = fds[0];
    assert_int_equal(pthread_create(&reader.thread, NULL, read_to_end, &reader), 0);
    logger_free(f->log);
    f->log = NULL;
    close(fds[1]);
    pthread_join(reader.thread, NULL);
    close(fds[0]);
    n_read = count_lines(f->output, "<");
    assert_int_equal(n_read + dropped, total);
    assert_int_equal(count_told(f->output), dropped);
}

/* A slow reader of stderr does not hold writers up. */
static void test_write_does_not_block_on_a_full_pipe(void **state)
{
    check_full_pipe(*state, 0);
}

/* stderr may have been made non-blocking by whoever shares it. */
static void test_write_survives_a_full_nonblocking_pipe(void **state)
{
    check_full_pipe(*state, O_NONBLOCK);
}

/* A reader that is stuck for good does not keep the daemon from ending. */
static void test_free_gives_up_a_stuck_pipe(void **state)
{
    struct fixture *f = *state;
    int fds[2];

    start_on_pipe(f, fds, 0);
    for (unsigned i = 0; i < 1000; i++)
        logger_write(f->log, CO_LOG_INFO, NULL, "m");
    finish(f);
    close(fds[0]);
    close(fds[1]);
}

/* A reader that has gone costs its lines, not the process (SIGPIPE). */
static void test_write_survives_a_closed_pipe(void **state)
{
    struct fixture *f = *state;
    int fds[2];

    start_on_pipe(f, fds, 0);
    close(fds[0]);
    for (unsigned i = 0; i < 1000; i++)
        logger_write(f->log, CO_LOG_INFO, NULL, "m");
    finish(f);
    close(fds[1]);
}

/* A line that finds no memory is counted and told of, without another line to carry it.
 */
static void test_write_counts_lines_without_memory(void **state)
{
    struct fixture *f = *state;
    int fds[2];

    start_on_pipe(f, fds, 0);
    fault_after(1);
    logger_write(f->log, CO_LOG_INFO, NULL, "lost");
    fault_off();
    assert_true(fault_hit());
    assert_int_equal(logger_n_dropped(f->log), 1);
    assert_true(read(fds[0], f->output, OUTPUT_MAX - 1) > 0);
    assert_matches(f->output, "^" TIME_PATTERN "warn  1 log line dropped\n$");
    finish(f);
    close(fds[0]);
    close(fds[1]);
}

static int make_logger(void *ctx)
{
    struct logger *log = NULL;
    int r = logger_new(CO_LOG_INFO, *(const int *)ctx, &log);

    if (r < 0)
        assert_null(log);
    logger_free(log);
    return r;
}

/* Without memory no logger is made, and nothing is left behind. */
static void test_new_fails_without_memory(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(fault_walk(make_logger, &f->fd), 1);
}

/* ---- the journal ---- */

/* When the descriptor is the journal's, a line is sent with fields. */
static void test_write_sends_fields_to_the_journal(void **state)
{
    struct fixture *f = *state;

    pretend_journal(f->fd);
    restart(f);
    logger_write(f->log, CO_LOG_WARNING, &(struct log_fields){ "web", "[::1]:9", 5 },
                 "a\nb");
    assert_string_equal(finish(f), "");
    assert_string_equal(journal_text, "MESSAGE=web conn 5 [::1]:9: a\\x0ab\nPRIORITY=4\n"
                                      "COROD_CONN=5\nCOROD_LISTENER=web\n"
                                      "COROD_PEER=[::1]:9\n");
}

/* Fields that were not given are not sent. */
static void test_write_sends_no_empty_field(void **state)
{
    struct fixture *f = *state;

    pretend_journal(f->fd);
    restart(f);
    logger_write(f->log, CO_LOG_INFO, NULL, "m");
    finish(f);
    assert_string_equal(journal_text, "MESSAGE=m\nPRIORITY=6\n");
}

/* A line that the journal refuses goes to the descriptor. */
static void test_write_falls_back_to_text(void **state)
{
    struct fixture *f = *state;

    pretend_journal(f->fd);
    restart(f);
    journal_result = -EIO;
    logger_write(f->log, CO_LOG_INFO, NULL, "m");
    assert_matches(finish(f), "^" TIME_PATTERN "info  m\n$");
}

/* JOURNAL_STREAM is inherited by descriptors that were redirected: they get text. */
static void test_write_ignores_the_journal_of_another_file(void **state)
{
    static const char *const others[] = { "1:1", "", "x", "1:2:3" };
    struct fixture *f = *state;

    for (size_t i = 0; i < N_ELEMENTS(others); i++) {
        setenv("JOURNAL_STREAM", others[i], 1);
        restart(f);
        logger_write(f->log, CO_LOG_INFO, NULL, "m");
    }
    assert_int_equal(count_lines(finish(f), "info  m\n"), N_ELEMENTS(others));
    assert_string_equal(journal_text, "");
}

/* ---- rate limits ---- */

/* One line a period passes, and says how many did not. */
static void test_limit_passes_one_line_a_period(void **state)
{
    struct log_limit limit = { .period = CO_SECOND };
    uint32_t suppressed = 99;

    (void)state;
    assert_true(log_limit_pass(&limit, 5, &suppressed));
    assert_int_equal(suppressed, 0);
    suppressed = 99;
    assert_false(log_limit_pass(&limit, 5, &suppressed));
    assert_false(log_limit_pass(&limit, CO_SECOND + 4, &suppressed));
    assert_int_equal(suppressed, 99);
    assert_true(log_limit_pass(&limit, CO_SECOND + 5, &suppressed));
    assert_int_equal(suppressed, 2);
    assert_true(log_limit_pass(&limit, 3 * CO_SECOND, &suppressed));
    assert_int_equal(suppressed, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_write_gives_time_level_and_message),
        TEST(test_write_copies_fields_and_escapes),
        TEST(test_write_leaves_out_empty_fields),
        TEST(test_write_escapes_and_cuts_fields),
        TEST(test_write_cuts_a_long_message),
        TEST(test_write_preserves_errno),
        TEST(test_set_level_takes_effect_at_once),
        TEST(test_sink_writes_to_the_log),
        TEST(test_sink_names_the_connection),
        TEST(test_write_keeps_the_order_of_each_thread),
        TEST(test_new_names_the_thread),
        TEST(test_write_does_not_block_on_a_full_pipe),
        TEST(test_write_survives_a_full_nonblocking_pipe),
        TEST(test_free_gives_up_a_stuck_pipe),
        TEST(test_write_survives_a_closed_pipe),
        TEST(test_write_counts_lines_without_memory),
        TEST(test_new_fails_without_memory),
        TEST(test_write_sends_fields_to_the_journal),
        TEST(test_write_sends_no_empty_field),
        TEST(test_write_falls_back_to_text),
        TEST(test_write_ignores_the_journal_of_another_file),
        cmocka_unit_test(test_limit_passes_one_line_a_period),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
