/*
 * The default log sink, and the way to a loop's own. The current loop is known to the core;
 * this file only asks it.
 */
#include <errno.h>
#include <stdio.h>

#include <corod/log.h>

#include "base/log_sink.h"

static CO_PRINTF(4, 0) void stderr_write(void *ctx, enum co_log_level level,
                                         const struct co_conn *conn, const char *fmt,
                                         va_list args)
{
    char line[1024];
    const char *word = level <= CO_LOG_ERROR     ? "error"
                       : level == CO_LOG_WARNING ? "warning"
                       : level == CO_LOG_DEBUG   ? "debug"
                                                 : "info";

    (void)ctx;
    (void)conn;
    vsnprintf(line, sizeof(line), fmt, args);
    fprintf(stderr, "%s: %s\n", word, line);
}

const struct co_log_sink *log_sink_stderr(void)
{
    static const struct co_log_sink sink = { .write = stderr_write,
                                             .level = CO_LOG_INFO };

    return &sink;
}

static bool wants(const struct co_log_sink *sink, enum co_log_level level)
{
    /* Relaxed: a level that changes takes effect a little later, no more. */
    return level <= __atomic_load_n(&sink->level, __ATOMIC_RELAXED);
}

bool co_log_is_on(enum co_log_level level)
{
    return wants(log_sink_current(), level);
}

static void log_line(const struct co_conn *conn, enum co_log_level level, const char *fmt,
                     va_list args) CO_PRINTF(3, 0);

static void log_line(const struct co_conn *conn, enum co_log_level level, const char *fmt,
                     va_list args)
{
    const struct co_log_sink *sink = log_sink_current();
    int saved = errno;

    if (wants(sink, level))
        sink->write(sink->ctx, level, conn, fmt, args);
    errno = saved;
}

void co_log(enum co_log_level level, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    log_line(NULL, level, fmt, args);
    va_end(args);
}

void co_conn_log(const struct co_conn *conn, enum co_log_level level, const char *fmt,
                 ...)
{
    va_list args;

    va_start(args, fmt);
    log_line(conn, level, fmt, args);
    va_end(args);
}
