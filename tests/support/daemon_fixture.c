/*
 * The fixture of the daemon's unit tests.
 */
#include "daemon_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config_fixture.h"
#include "fault.h"
#include "loader.h"
#include "test.h"

/* ---- lines ---- */

/* Gives the next whole line, or NULL. */
static char *next_line(struct line_reader *lines)
{
    char *begin = lines->text + lines->begin;
    char *newline = memchr(begin, '\n', lines->end - lines->begin);

    if (!newline)
        return NULL;
    *newline = '\0';
    lines->begin = (size_t)(newline + 1 - lines->text);
    return begin;
}

/* Reads more, waiting @timeout_ms for it. Returns false when nothing comes. */
static bool read_more(struct line_reader *lines, int timeout_ms)
{
    struct pollfd pfd = { .fd = lines->fd, .events = POLLIN };
    ssize_t n;

    if (poll(&pfd, 1, timeout_ms) != 1)
        return false;
    memmove(lines->text, lines->text + lines->begin, lines->end - lines->begin);
    lines->end -= lines->begin;
    lines->begin = 0;
    n = read(lines->fd, lines->text + lines->end, sizeof(lines->text) - 1 - lines->end);
    if (n <= 0)
        return false;
    lines->end += (size_t)n;
    lines->text[lines->end] = '\0';
    return true;
}

const char *line_await(struct line_reader *lines, const char *text)
{
    for (;;) {
        const char *line = next_line(lines);

        if (line && strstr(line, text))
            return line;
        if (!line && !read_more(lines, DAEMON_WAIT_MS))
            fail_msg("no line \"%s\" comes; the rest is \"%s\"", text,
                     lines->text + lines->begin);
    }
}

unsigned line_count(struct line_reader *lines, const char *text)
{
    unsigned n = 0;
    const char *line;

    do {
        while ((line = next_line(lines)))
            n += strstr(line, text) ? 1 : 0;
    } while (read_more(lines, 0));
    return n;
}

/* ---- clients ---- */

static void set_deadline(int fd)
{
    static const struct timeval deadline = { .tv_sec = DAEMON_WAIT_MS / 1000 };
    static const int yes = 1;

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof(deadline)),
                     0);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
}

int client_connect(const struct co_addr *addr)
{
    int fd = socket(addr->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    set_deadline(fd);
    if (connect(fd, &addr->sa, addr->len) < 0)
        fail_msg("connect: %s", strerror(errno));
    return fd;
}

int client_pair(int *out_server)
{
    struct co_addr addr;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int fd;

    assert_int_equal(co_addr_parse("127.0.0.1:0", &addr), 0);
    assert_int_equal(bind(listener, &addr.sa, addr.len), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, &addr.sa, &addr.len), 0);
    fd = client_connect(&addr);
    *out_server = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    assert_true(*out_server >= 0);
    close(listener);
    return fd;
}

void client_send(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

void client_expect(int fd, const char *text)
{
    size_t want = strlen(text), len = 0;
    char got[256];

    assert_true(want < sizeof(got));
    while (len < want) {
        ssize_t n = recv(fd, got + len, want - len, 0);

        if (n <= 0)
            fail_msg("\"%s\" does not come: %s after \"%.*s\"", text,
                     n == 0 ? "the end" : strerror(errno), (int)len, got);
        len += (size_t)n;
    }
    got[len] = '\0';
    assert_string_equal(got, text);
}

void client_expect_end(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, 0);

    if (n != 0)
        fail_msg("the end does not come: %s", n > 0 ? "a byte" : strerror(errno));
}

void client_expect_reset(int fd)
{
    struct pollfd pfd = { .fd = fd };

    assert_int_equal(poll(&pfd, 1, DAEMON_WAIT_MS), 1);
    assert_true(pfd.revents & (POLLERR | POLLHUP));
}

void client_read_line(int fd, char *line, size_t size)
{
    size_t len = 0;

    do {
        assert_true(len + 1 < size);
        assert_int_equal(recv(fd, line + len, 1, 0), 1);
    } while (line[len++] != '\n');
    line[len - 1] = '\0';
}

bool client_is_quiet(int fd)
{
    struct pollfd pfd = { .fd = fd, .events = POLLIN };

    return poll(&pfd, 1, 0) == 0;
}

void client_reset(int fd)
{
    static const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    close(fd);
}

/* ---- the plugin ---- */

enum { FLOOD = 1 << 20, HUGE = 1 << 20 };

struct talk_counts talk_counts;

struct talk_options {
    char *tag;
    bool fail;
};

static const struct co_option talk_options[] = {
    { "tag", CO_OPT_STRING, offsetof(struct talk_options, tag), .def = "-",
      .help = "Said." },
    { "fail", CO_OPT_BOOL, offsetof(struct talk_options, fail),
      .help = "Does not open." },
    { .key = NULL },
};

static int talk_open(const void *options, void **out_instance, char *err, size_t err_size)
{
    const struct talk_options *talk = options;

    if (talk->fail) {
        if (strcmp(talk->tag, "mute") != 0)
            (void)snprintf(err, err_size, "cannot talk as %s", talk->tag);
        return -EACCES;
    }
    *out_instance = (void *)(uintptr_t)talk;
    atomic_fetch_add(&talk_counts.n_opened, 1);
    return 0;
}

static void talk_close(void *instance)
{
    assert_non_null(instance);
    atomic_fetch_add(&talk_counts.n_unopened, 1);
}

static void say(struct co_conn *conn, const char *what, unsigned n)
{
    const struct talk_options *talk = co_conn_instance(conn);
    char text[64];

    (void)snprintf(text, sizeof(text), "%s:%s:%u\n", what, talk->tag, n);
    co_stream_write(conn->stream, text, strlen(text));
}

static void flood(struct co_conn *conn)
{
    char *zeros = calloc(1, FLOOD);

    if (zeros)
        co_stream_write(conn->stream, zeros, FLOOD);
    free(zeros);
}

/* Counts the call in conn->data, which closed() frees. Returns NULL without memory. */
static unsigned *count_serve(struct co_conn *conn)
{
    unsigned *n = conn->data ? conn->data : calloc(1, sizeof(*n));

    atomic_fetch_add(&talk_counts.n_serves, 1);
    conn->data = n;
    if (n)
        ++*n;
    return n;
}

static enum co_next talk_serve(struct co_conn *conn)
{
    const unsigned *n = count_serve(conn);
    struct co_bytes byte;
    int r;

    while (n) {
        r = co_stream_await_exactly(conn->stream, 1, CO_NEVER, &byte);
        if (r == 0 && *byte.data == 'f')
            flood(conn);
        if (r == 0)
            say(conn, (const char[]){ *byte.data, '\0' }, *n);
        if (r == 0 && *byte.data == 'w')
            continue;
        if (r == 0 && *byte.data == 's')
            r = co_await_sleep(CO_NEVER);
        if (r < 0)
            atomic_store(&talk_counts.last_error, r);
        return r == 0 && *byte.data == 'p' ? CO_PARK : CO_CLOSE;
    }
    return CO_CLOSE;
}

static enum co_next first_serve(struct co_conn *conn)
{
    const unsigned *n;

    if (conn->data)
        return talk_serve(conn);
    n = count_serve(conn);
    if (!n)
        return CO_CLOSE;
    say(conn, "hi", *n);
    return CO_PARK;
}

static void talk_closed(struct co_conn *conn)
{
    atomic_fetch_add(&talk_counts.n_closed, 1);
    free(conn->data);
    conn->data = NULL;
}

#define TALK(plugin_name, function, ...)                                               \
    {                                                                                  \
        .abi = CO_PLUGIN_ABI, .size = sizeof(struct co_plugin), .name = (plugin_name), \
        .version = "1.0", .options = talk_options,                                     \
        .options_size = sizeof(struct talk_options), .open = talk_open,                \
        .close = talk_close, .serve = (function), .closed = talk_closed, __VA_ARGS__   \
    }

static const struct co_plugin talk_table[] = {
    TALK("talk", talk_serve, .stack_size = 65536),
    TALK("other", talk_serve, .stack_size = 65536),
    TALK("first", first_serve, .start = CO_ON_ACCEPT),
    TALK("huge", talk_serve, .stack_size = HUGE),
};

static unsigned n_talk_open;

static int talk_find(void *ctx, const char *name, const struct co_plugin **out_plugin,
                     void **out_handle, char *err, size_t err_size)
{
    (void)ctx;
    for (size_t i = 0; i < N_ELEMENTS(talk_table); i++) {
        if (strcmp(name, talk_table[i].name) == 0) {
            n_talk_open++;
            *out_plugin = &talk_table[i];
            *out_handle = &n_talk_open;
            return 0;
        }
    }
    (void)snprintf(err, err_size, "%.64s.so: not found", name);
    return -ENOENT;
}

static void talk_forget(void *ctx, void *handle)
{
    (void)ctx;
    assert_ptr_equal(handle, &n_talk_open);
    n_talk_open--;
}

const struct config_plugins talk_plugins = { .open = talk_find, .close = talk_forget };

unsigned talk_plugins_open(void)
{
    return n_talk_open;
}

/* ---- the supervisor ---- */

static void on_settled(struct co_handle *settled)
{
    struct supervisor *s = co_loop_user(co_loop_current());

    admission_on_settled(&s->admission, CO_CONTAINER_OF(settled, struct worker, settled));
}

static void on_over(struct co_handle *message)
{
    struct conn *conn = CO_CONTAINER_OF(message, struct conn, message);
    struct supervisor *s = co_loop_user(co_loop_current());

    admission_on_over(&s->admission, conn, &s->listeners[conn_service(conn)->listener]);
}

static int set_up(void **state, bool is_virtual)
{
    struct daemon_fixture *f = calloc(1, sizeof(*f));
    struct co_loop_config config = { .user = &f->s };
    int fds[2];

    assert_non_null(f);
    f->n_fds = count_fds();
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    f->lines.fd = fds[0];
    f->log_fd = fds[1];
    assert_int_equal(logger_new(CO_LOG_DEBUG, f->log_fd, &f->s.log), 0);
    co_virtual_clock_init(&f->clock, 1000 * CO_SECOND);
    config.clock = is_virtual ? &f->clock.clock : NULL;
    config.sink = logger_sink(f->s.log);
    assert_int_equal(co_loop_new(&config, &f->s.loop), 0);
    f->s.admission = (struct admission){ .log = f->s.log,
                                         .next_id = 1,
                                         .max_connections = 1000,
                                         .backoff = 10 * CO_MSEC,
                                         .reserve_fd = -1,
                                         .full_limit.period = 10 * CO_SECOND,
                                         .exhausted_limit.period = 10 * CO_SECOND };
    f->s.setup = (struct worker_setup){ .log = f->s.log,
                                        .supervisor = f->s.loop,
                                        .on_over = on_over,
                                        .on_pong = health_on_pong,
                                        .on_settled = on_settled };
    memset(&talk_counts, 0, sizeof(talk_counts));
    *state = f;
    return 0;
}

int daemon_setup(void **state)
{
    return set_up(state, false);
}

int daemon_setup_virtual(void **state)
{
    return set_up(state, true);
}

struct config *daemon_config(const char *ini)
{
    struct config_source source = { .path = "t.ini", .plugins = talk_plugins };
    struct config_report report = { 0 };
    struct config *config = NULL;

    source.file = config_fixture_file(ini, strlen(ini));
    if (config_load(&source, &report, &config) < 0)
        fail_msg("%s", report.n > 0 ? report.errors[0].text : "?");
    fclose(source.file);
    config_report_fini(&report);
    return config;
}

struct generation *daemon_generation(struct daemon_fixture *f, const char *ini)
{
    struct generation *generation;
    char err[256] = "";

    if (generation_new(f->s.loop, daemon_config(ini), conn_describe, err, sizeof(err),
                       &generation) < 0)
        fail_msg("%s", err);
    for (size_t i = 0; i < generation->config->n_listeners; i++)
        generation->services[i].listener = i;
    return generation;
}

static void make_listeners(struct daemon_fixture *f, const struct config *config)
{
    struct supervisor *s = &f->s;

    s->n_listeners = s->setup.n_listeners = config->n_listeners;
    s->listeners = calloc(s->n_listeners, sizeof(struct listener));
    for (size_t i = 0; i < s->n_listeners; i++) {
        struct listener *l = &s->listeners[i];

        l->admission = &s->admission;
        l->name = strdup(config->listeners[i].name);
        l->index = i;
        l->max_connections = config->listeners[i].opt.max_connections;
        l->service = service_ref(&s->generation->services[i]);
    }
}

void daemon_start(struct daemon_fixture *f, const char *ini, size_t n_workers)
{
    struct supervisor *s = &f->s;
    struct service *services[8];

    s->generation = daemon_generation(f, ini);
    make_listeners(f, s->generation->config);
    assert_true(s->n_listeners <= N_ELEMENTS(services));
    for (size_t i = 0; i < s->n_listeners; i++)
        services[i] = s->listeners[i].service;
    s->workers = calloc(n_workers, sizeof(struct worker));
    s->has_answered = calloc(n_workers, sizeof(bool));
    s->admission.loads = calloc(n_workers, sizeof(uint32_t));
    s->admission.workers = s->workers;
    s->n_workers = s->admission.n_workers = n_workers;
    for (size_t i = 0; i < n_workers; i++) {
        assert_int_equal(
            worker_start(&s->workers[i], &s->setup, (unsigned)i, -1, services), 0);
        s->n_workers_started++;
        s->has_answered[i] = true;
    }
}

void daemon_step(struct daemon_fixture *f, int n)
{
    /* Stopped before it runs, the loop does not wait; we do, once the rush is over. */
    co_loop_stop(f->s.loop);
    assert_int_equal(co_loop_run(f->s.loop), 0);
    if (n >= DAEMON_WAIT_MS)
        fail_msg("what is waited for does not come");
    if (n > 3)
        (void)poll(NULL, 0, 1);
}

static bool have_all_answered(const struct supervisor *s)
{
    for (size_t i = 0; i < s->n_workers_started; i++) {
        if (!s->has_answered[i])
            return false;
    }
    return true;
}

void daemon_order(struct daemon_fixture *f, size_t offset)
{
    for (size_t i = 0; i < f->s.n_workers_started; i++) {
        char *worker = (char *)&f->s.workers[i];

        co_loop_post(f->s.workers[i].loop, (struct co_handle *)(void *)(worker + offset));
    }
}

void daemon_sync(struct daemon_fixture *f)
{
    /* A ping may be out already: each is out once at a time. */
    daemon_until(f, have_all_answered(&f->s));
    for (size_t i = 0; i < f->s.n_workers_started; i++)
        f->s.has_answered[i] = false;
    daemon_order(f, offsetof(struct worker, ping));
    daemon_until(f, have_all_answered(&f->s));
}

void daemon_call(struct daemon_fixture *f, co_task_fn fn, void *arg)
{
    struct co_task *task;

    assert_int_equal(co_task_spawn(f->s.loop, NULL, fn, arg, &task), 0);
    daemon_until(f, co_task_state(task) == CO_TASK_DONE);
    co_task_free(task);
}

void daemon_hand_over(struct daemon_fixture *f, size_t listener, int fd)
{
    struct admission *a = &f->s.admission;
    struct listener *l = &f->s.listeners[listener];
    struct conn *conn = conn_pool_take(&a->pool);

    assert_non_null(conn);
    conn->pub.id = a->next_id++;
    conn->pub.service = &service_ref(l->service)->pub;
    conn->pub.peer.sa.sa_family = AF_UNIX;
    conn->fd = fd;
    conn->message.run = conn_adopt;
    l->n_conns++;
    a->n_conns++;
    a->loads[0]++;
    co_loop_post(f->s.workers[0].loop, &conn->message);
}

int daemon_connect(struct daemon_fixture *f, size_t listener)
{
    int server, client = client_pair(&server);

    daemon_hand_over(f, listener, server);
    return client;
}

void daemon_renew(struct daemon_fixture *f, const char *ini)
{
    struct supervisor *s = &f->s;
    struct generation *next = daemon_generation(f, ini);

    assert_int_equal(next->config->n_listeners, s->n_listeners);
    for (size_t i = 0; i < s->n_listeners; i++) {
        service_set_stale(s->listeners[i].service);
        service_unref(s->listeners[i].service);
        s->listeners[i].service = service_ref(&next->services[i]);
    }
    for (size_t w = 0; w < s->n_workers_started; w++) {
        struct worker_renewal *renewal =
            malloc(sizeof(*renewal) + s->n_listeners * sizeof(renewal->services[0]));

        assert_non_null(renewal);
        renewal->message = (struct co_handle){ .run = worker_take_renewal };
        for (size_t i = 0; i < s->n_listeners; i++)
            renewal->services[i] = service_ref(&next->services[i]);
        co_loop_post(s->workers[w].loop, &renewal->message);
    }
    generation_release(s->generation);
    s->generation = next;
    daemon_sync(f);
}

static int stop_acceptors(void *arg)
{
    struct supervisor *s = arg;

    for (size_t i = 0; i < s->n_listeners; i++) {
        for (size_t j = 0; j < s->listeners[i].n_acceptors; j++)
            acceptor_await_stop(&s->listeners[i].acceptors[j]);
        free(s->listeners[i].acceptors);
        s->listeners[i].acceptors = NULL;
        s->listeners[i].n_acceptors = 0;
    }
    return 0;
}

static void end_workers(struct daemon_fixture *f)
{
    struct supervisor *s = &f->s;

    daemon_order(f, offsetof(struct worker, drain));
    daemon_order(f, offsetof(struct worker, cut));
    daemon_until(f, s->admission.n_conns == 0);
    daemon_sync(f);
    daemon_order(f, offsetof(struct worker, stop));
    for (size_t i = 0; i < s->n_workers_started; i++)
        worker_join(&s->workers[i]);
}

int daemon_teardown(void **state)
{
    struct daemon_fixture *f = *state;
    struct supervisor *s = &f->s;

    fault_off();
    daemon_call(f, stop_acceptors, s);
    end_workers(f);
    for (size_t i = 0; i < s->n_listeners; i++) {
        service_unref(s->listeners[i].service);
        free(s->listeners[i].name);
    }
    if (s->generation)
        generation_release(s->generation);
    daemon_step(f, 0);
    if (s->admission.reserve_fd >= 0)
        close(s->admission.reserve_fd);
    conn_pool_fini(&s->admission.pool);
    co_loop_free(s->loop);
    logger_free(s->log);
    free(s->workers);
    free(s->has_answered);
    free(s->admission.loads);
    free(s->listeners);
    close(f->lines.fd);
    close(f->log_fd);
    assert_int_equal(atomic_load(&talk_counts.n_opened),
                     atomic_load(&talk_counts.n_unopened));
    assert_int_equal(n_talk_open, 0);
    assert_int_equal(count_fds(), f->n_fds);
    free(f);
    return 0;
}

/* ---- a whole daemon ---- */

int child_daemon_setup(void **state)
{
    struct child_daemon *d = calloc(1, sizeof(*d));
    const char *folder = getenv("TMPDIR");
    int fd;

    assert_non_null(d);
    d->lines.fd = -1;
    d->n_fds = count_fds();
    (void)snprintf(d->path, sizeof(d->path), "%s/corod-XXXXXX", folder ? folder : "/tmp");
    fd = mkstemp(d->path);
    assert_true(fd >= 0);
    close(fd);
    *state = d;
    return 0;
}

int child_daemon_teardown(void **state)
{
    struct child_daemon *d = *state;

    if (d->pid > 0) {
        kill(d->pid, SIGKILL);
        waitpid(d->pid, NULL, 0);
    }
    unlink(d->path);
    if (d->lines.fd >= 0)
        close(d->lines.fd);
    assert_int_equal(count_fds(), d->n_fds);
    free(d);
    return 0;
}

void child_daemon_configure(struct child_daemon *d, const char *ini)
{
    FILE *file = fopen(d->path, "we");

    assert_non_null(file);
    assert_true(fputs(ini, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* As main() does. Ends by exit(), so that leaks are found. */
static _Noreturn void child_main(const struct child_daemon *d, int log_fd)
{
    struct config_source source = { .path = d->path, .plugins = loader_plugins };
    struct config_report report = { 0 };
    struct config *config;
    struct logger *log;
    int status;

    setenv("COROD_PLUGIN_PATH", TEST_PLUGINS, 1);
    signal(SIGPIPE, SIG_IGN);
    dup2(log_fd, STDERR_FILENO);
    if (config_load(&source, &report, &config) < 0) {
        config_report_print(&report, stderr);
        _exit(100);
    }
    config_report_fini(&report);
    if (logger_new(config_log_level(config), log_fd, &log) < 0)
        _exit(101);
    status = supervisor_run(&source, config, log);
    logger_free(log);
    exit(status);
}

void child_daemon_start(struct child_daemon *d, const char *ini)
{
    int fds[2];

    child_daemon_configure(d, ini);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    fflush(NULL);
    d->pid = fork();
    assert_true(d->pid >= 0);
    if (d->pid == 0) {
        close(fds[0]);
        child_main(d, fds[1]);
    }
    close(fds[1]);
    d->lines.fd = fds[0];
}

struct co_addr child_daemon_address(const char *line)
{
    static const char before[] = "listening on ";
    const char *text = strstr(line, before);
    struct co_addr addr;

    assert_non_null(text);
    assert_int_equal(co_addr_parse(text + sizeof(before) - 1, &addr), 0);
    return addr;
}

struct co_addr child_daemon_serve(struct child_daemon *d, const char *ini)
{
    struct co_addr addr;

    child_daemon_start(d, ini);
    addr = child_daemon_address(line_await(&d->lines, "listening on "));
    line_await(&d->lines, "ready");
    return addr;
}

void child_daemon_signal(struct child_daemon *d, int signo)
{
    assert_int_equal(kill(d->pid, signo), 0);
}

int child_daemon_wait(struct child_daemon *d)
{
    int status;

    assert_int_equal(waitpid(d->pid, &status, 0), d->pid);
    d->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}
