/*
 * The log thread and its queue.
 *
 * The queue is a stack that is only ever emptied whole: writers push with a compare and
 * swap, the log thread takes everything with one exchange and turns it round. So nothing
 * is ever popped singly (no ABA), lines of one thread keep their order, and the writer
 * that finds the stack empty is the one that must wake the thread: one wake-up a burst.
 */
#include "logger.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION /* it would always name this file */
#include <systemd/sd-journal.h>

#include <corod/address.h>
#include <corod/plugin.h>

#include "check.h"

#define GIVE_UP_MS 1000 /* of a stalled output, once the logger is being freed */

#define RENDERED_MAX LOG_TEXT_MAX(LOGGER_LINE_MAX + 2 * LOGGER_NAME_MAX)
#define BUFFER_SIZE  (2 * RENDERED_MAX)

#define LOGGER_MAGIC 0x6c6f6731u

/* A line on its way to the log thread; made by its writer, freed by the log thread. */
struct entry {
    struct entry *next;
    struct log_line line; /* its texts are in text[] */
    char text[];
};

struct logger {
    uint32_t magic;          /* LOGGER_MAGIC: it goes through a sink as void * */
    struct co_log_sink sink; /* sink.level is the level: any thread, relaxed */

    _Atomic(struct entry *) top; /* push releases what take_all() acquires */
    _Atomic uint32_t n_queued;   /* a bound, not a guard: relaxed */
    _Atomic uint32_t n_untold;   /* dropped and not yet logged: relaxed */
    _Atomic uint64_t n_dropped;  /* dropped in all: relaxed */
    _Atomic bool is_stopping;    /* release in logger_free(), acquire in the thread */
    sem_t wake;

    pthread_t thread;
    int fd;
    bool to_journal;

    /* The log thread's own. */
    bool has_given_up;
    struct log_text out;
    char buffer[BUFFER_SIZE];
};

/* ---- the writers' side ---- */

static void wake(struct logger *log)
{
    /* Cannot fail but for overflow, and then the thread has been woken often enough. */
    (void)sem_post(&log->wake);
}

static size_t name_len(const char *name)
{
    return name ? strnlen(name, LOGGER_NAME_MAX) : 0;
}

/* Copies len bytes of text and a NUL to *at, moves *at behind them, gives the copy. */
static const char *keep_text(char **at, const char *text, size_t len)
{
    char *copy = *at;

    if (len == 0)
        return NULL;
    memcpy(copy, text, len);
    copy[len] = '\0';
    *at = copy + len + 1;
    return copy;
}

/* Makes an entry; NULL without memory, or for a format that vsnprintf() refuses. */
static struct entry *CO_PRINTF(3, 0)
    entry_new(enum co_log_level level, const struct log_fields *fields, const char *fmt,
              va_list args)
{
    size_t listener_len = name_len(fields->listener), peer_len = name_len(fields->peer);
    int error = errno; /* what %m means */
    struct entry *entry;
    va_list measured;
    size_t size;
    char *at;
    int len;

    va_copy(measured, args);
    len = vsnprintf(NULL, 0, fmt, measured);
    va_end(measured);
    if (len < 0)
        return NULL;
    size = len > (int)LOGGER_LINE_MAX ? LOGGER_LINE_MAX : (size_t)len;

    entry = malloc(sizeof(*entry) + listener_len + peer_len + size + 3);
    if (!entry)
        return NULL;
    at = entry->text;
    entry->line = (struct log_line){ .level = level };
    entry->line.fields.conn = fields->conn;
    entry->line.fields.listener = keep_text(&at, fields->listener, listener_len);
    entry->line.fields.peer = keep_text(&at, fields->peer, peer_len);
    entry->line.message = at;
    (void)clock_gettime(CLOCK_REALTIME, &entry->line.at);
    errno = error;
    (void)vsnprintf(at, size + 1, fmt, args);
    if (len > (int)LOGGER_LINE_MAX)
        (void)snprintf(at + LOGGER_LINE_MAX - 3, 4, "...");
    return entry;
}

static void push(struct logger *log, struct entry *entry)
{
    struct entry *top = atomic_load_explicit(&log->top, memory_order_relaxed);

    do
        entry->next = top;
    while (!atomic_compare_exchange_weak_explicit(
        &log->top, &top, entry, memory_order_release, memory_order_relaxed));
    if (!top)
        wake(log);
}

void logger_vwrite(struct logger *log, enum co_log_level level,
                   const struct log_fields *fields, const char *fmt, va_list args)
{
    static const struct log_fields no_fields;
    struct entry *entry = NULL;
    int error = errno;

    if (!logger_is_on(log, level))
        return;
    if (atomic_fetch_add_explicit(&log->n_queued, 1, memory_order_relaxed) <
        LOGGER_QUEUE_MAX)
        entry = entry_new(level, fields ? fields : &no_fields, fmt, args);
    if (entry) {
        push(log, entry);
    } else {
        atomic_fetch_sub_explicit(&log->n_queued, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&log->n_dropped, 1, memory_order_relaxed);
        /* The first of a run wakes the thread: there may be no line that does. */
        if (atomic_fetch_add_explicit(&log->n_untold, 1, memory_order_relaxed) == 0)
            wake(log);
    }
    errno = error;
}

void logger_write(struct logger *log, enum co_log_level level,
                  const struct log_fields *fields, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    logger_vwrite(log, level, fields, fmt, args);
    va_end(args);
}

/* A loop's line. The names of its connection are made only for lines that count. */
static void CO_PRINTF(4, 0)
    write_from_loop(void *ctx, enum co_log_level level, const struct co_conn *conn,
                    const char *fmt, va_list args)
{
    struct logger *log = ctx;
    char peer[CO_ADDR_TEXT_MAX] = "unix"; /* such a peer has no address to tell */
    struct log_fields fields = { .peer = peer };
    int error = errno; /* what %m means */

    CHECK(log->magic == LOGGER_MAGIC);
    if (!conn || !logger_is_on(log, level)) {
        logger_vwrite(log, level, NULL, fmt, args);
        return;
    }
    if (conn->peer.sa.sa_family != AF_UNIX)
        co_addr_format(&conn->peer.sa, sizeof(conn->peer), peer, sizeof(peer));
    fields.listener = conn->service->listener;
    fields.conn = conn->id;
    errno = error;
    logger_vwrite(log, level, &fields, fmt, args);
}

bool logger_is_on(const struct logger *log, enum co_log_level level)
{
    return level <= __atomic_load_n(&log->sink.level, __ATOMIC_RELAXED);
}

void logger_set_level(struct logger *log, enum co_log_level level)
{
    __atomic_store_n(&log->sink.level, level, __ATOMIC_RELAXED);
}

uint64_t logger_n_dropped(const struct logger *log)
{
    return atomic_load_explicit(&log->n_dropped, memory_order_relaxed);
}

const struct co_log_sink *logger_sink(const struct logger *log)
{
    return &log->sink;
}

/* ---- the log thread: output ---- */

/* Waits until fd takes bytes, or has an error that write() will tell. */
static bool wait_for_output(struct logger *log)
{
    struct pollfd pfd = { .fd = log->fd, .events = POLLOUT };
    bool is_stopping;
    int r;

    do {
        is_stopping = atomic_load_explicit(&log->is_stopping, memory_order_acquire);
        r = poll(&pfd, 1, GIVE_UP_MS);
    } while ((r < 0 && errno == EINTR) || (r == 0 && !is_stopping));
    return r > 0;
}

/*
 * Whole lines, as far as PIPE_BUF bytes hold them: after POLLOUT a pipe takes that many
 * without blocking, also when the descriptor is a blocking one, and does not mix them
 * with what other processes write.
 */
static size_t chunk_len(const char *data, size_t len)
{
    const char *end;

    if (len <= PIPE_BUF)
        return len;
    end = memrchr(data, '\n', PIPE_BUF);
    return end ? (size_t)(end - data) + 1 : PIPE_BUF;
}

/* Writes the buffer out. Lines that the descriptor refuses are counted, but not told of. */
static void flush(struct logger *log)
{
    size_t done = 0, len = log->out.len;

    while (done < len && !log->has_given_up) {
        ssize_t n;

        log->has_given_up = !wait_for_output(log);
        if (log->has_given_up)
            break;
        n = write(log->fd, log->buffer + done, chunk_len(log->buffer + done, len - done));
        if (n > 0)
            done += (size_t)n;
        else if (errno != EINTR && errno != EAGAIN)
            break;
    }
    for (; done < len; done++)
        if (log->buffer[done] == '\n')
            atomic_fetch_add_explicit(&log->n_dropped, 1, memory_order_relaxed);
    log->out.len = 0;
}

static void add_field(struct iovec *iov, int *n, char *text)
{
    iov[(*n)++] = (struct iovec){ .iov_base = text, .iov_len = strlen(text) };
}

/* Returns false when the journal did not take it. */
static bool write_journal(struct logger *log, const struct log_line *line)
{
    const struct log_fields *fields = &line->fields;
    char priority[32], conn[40];
    char listener[LOGGER_NAME_MAX + 32], peer[LOGGER_NAME_MAX + 32];
    struct log_text message = { log->buffer, 0, sizeof(log->buffer) };
    struct iovec iov[5];
    int n = 1;

    log_text_put(&message, "MESSAGE=");
    log_text_put_message(&message, line);
    iov[0] = (struct iovec){ .iov_base = message.data, .iov_len = message.len };
    (void)snprintf(priority, sizeof(priority), "PRIORITY=%d",
                   log_text_priority(line->level));
    add_field(iov, &n, priority);
    (void)snprintf(conn, sizeof(conn), "COROD_CONN=%llu",
                   (unsigned long long)fields->conn);
    if (fields->conn)
        add_field(iov, &n, conn);
    (void)snprintf(listener, sizeof(listener), "COROD_LISTENER=%s",
                   fields->listener ? fields->listener : "");
    if (fields->listener)
        add_field(iov, &n, listener);
    (void)snprintf(peer, sizeof(peer), "COROD_PEER=%s", fields->peer ? fields->peer : "");
    if (fields->peer)
        add_field(iov, &n, peer);
    return sd_journal_sendv(iov, n) >= 0;
}

static void write_line(struct logger *log, const struct log_line *line)
{
    if (log->to_journal) {
        flush(log); /* lines that the journal refused are in the buffer */
        if (write_journal(log, line))
            return;
    }
    if (log->out.size - log->out.len < RENDERED_MAX)
        flush(log);
    log_text_put_line(&log->out, line);
}

/* ---- the log thread ---- */

/* Takes the whole queue, in the order it was written. */
static struct entry *take_all(struct logger *log)
{
    struct entry *entry = atomic_exchange_explicit(&log->top, NULL, memory_order_acquire);
    struct entry *first = NULL;

    while (entry) {
        struct entry *older = entry->next;

        entry->next = first;
        first = entry;
        entry = older;
    }
    return first;
}

static void tell_dropped(struct logger *log)
{
    uint32_t n = atomic_exchange_explicit(&log->n_untold, 0, memory_order_relaxed);
    char message[64];
    struct log_line line = { .level = CO_LOG_WARNING, .message = message };

    if (n == 0)
        return;
    (void)snprintf(message, sizeof(message), "%u log line%s dropped", n,
                   n == 1 ? "" : "s");
    (void)clock_gettime(CLOCK_REALTIME, &line.at);
    write_line(log, &line);
}

static void write_queued(struct logger *log)
{
    struct entry *entry = take_all(log);

    while (entry) {
        struct entry *next = entry->next;

        write_line(log, &entry->line);
        free(entry);
        atomic_fetch_sub_explicit(&log->n_queued, 1, memory_order_relaxed);
        entry = next;
    }
    tell_dropped(log);
    flush(log);
}

static void *run(void *arg)
{
    struct logger *log = arg;
    bool is_stopping;

    (void)pthread_setname_np(pthread_self(), "corod-log");
    do {
        while (sem_wait(&log->wake) < 0)
            ; /* EINTR: a debugger, signals are blocked */
        /* Read before the queue: whoever stops us has written all it wanted to. */
        is_stopping = atomic_load_explicit(&log->is_stopping, memory_order_acquire);
        write_queued(log);
    } while (!is_stopping);
    return NULL;
}

/* ---- life ---- */

/* Whether fd is the stream that systemd connected to the journal (systemd.exec(5)). */
static bool is_journal(int fd)
{
    const char *text = getenv("JOURNAL_STREAM");
    unsigned long long dev, ino;
    struct stat st;
    char rest;

    if (!text || sscanf(text, "%llu:%llu%c", &dev, &ino, &rest) != 2)
        return false;
    return fstat(fd, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

/* Starts the thread with all signals blocked: they are the supervisor's. */
static int start_thread(struct logger *log)
{
    sigset_t all, old;
    int r;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    r = pthread_create(&log->thread, NULL, run, log);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    return -r;
}

int logger_new(enum co_log_level level, int fd, struct logger **out_log)
{
    struct logger *log = calloc(1, sizeof(*log));
    int r;

    if (!log)
        return -ENOMEM;
    log->magic = LOGGER_MAGIC;
    log->sink = (struct co_log_sink){ write_from_loop, log, level };
    log->out = (struct log_text){ log->buffer, 0, sizeof(log->buffer) };
    log->fd = fd;
    log->to_journal = is_journal(fd);
    (void)sem_init(&log->wake, 0, 0); /* cannot fail: not shared, 0 is in range */
    r = start_thread(log);
    if (r < 0) {
        (void)sem_destroy(&log->wake);
        free(log);
        return r;
    }
    *out_log = log;
    return 0;
}

void logger_stop(struct logger *log)
{
    atomic_store_explicit(&log->is_stopping, true, memory_order_release);
    wake(log);
    (void)pthread_join(log->thread, NULL);
}

void logger_free(struct logger *log)
{
    if (!log)
        return;
    logger_stop(log);
    (void)sem_destroy(&log->wake);
    free(log);
}

/* ---- rate limits ---- */

bool log_limit_pass(struct log_limit *limit, co_time now, uint32_t *out_suppressed)
{
    if (now < limit->next_at) {
        limit->suppressed++;
        return false;
    }
    *out_suppressed = limit->suppressed;
    limit->suppressed = 0;
    limit->next_at = now + limit->period;
    return true;
}
