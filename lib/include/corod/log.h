/**
 * Logging for plugins and programs. The library itself logs at debug level only.
 *
 * A loop carries a sink; lines written by its tasks and callbacks go there. Outside a loop,
 * and in a loop without a sink, lines of level info and above go to stderr.
 *
 *     co_log(CO_LOG_INFO, "cache loaded: %zu entries", n);
 */
#ifndef COROD_LOG_H
#define COROD_LOG_H

#include <stdarg.h>

#include <corod/base.h>

CO_BEGIN_DECLS

/** Levels as syslog numbers them: a smaller number is more urgent. */
enum co_log_level {
    CO_LOG_ERROR = 3,
    CO_LOG_WARNING = 4,
    CO_LOG_NOTICE = 5,
    CO_LOG_INFO = 6,
    CO_LOG_DEBUG = 7,
};

struct co_conn;

/**
 * Takes one line, without '\n'. Called on the loop's thread; must not block or suspend.
 * @conn is the connection that the line is about (<corod/plugin.h>), or NULL.
 */
typedef void (*co_log_fn)(void *ctx, enum co_log_level level, const struct co_conn *conn,
                          const char *fmt, va_list args) CO_PRINTF(4, 0);

/**
 * A sink and the least urgent level it wants; lines below are not even formatted. `level`
 * may be changed by any thread with a relaxed atomic store.
 */
struct co_log_sink {
    co_log_fn write;
    void *ctx;
    enum co_log_level level;
};

/**
 * Writes one line to the sink of the current loop. errno is preserved.
 *
 * @level  urgency
 * @fmt    printf format, no '\n' at the end
 */
CO_API void co_log(enum co_log_level level, const char *fmt, ...) CO_PRINTF(2, 3);

/** As co_log(), about a connection: a plugin's way to log. Thread: the connection's. */
CO_API void co_conn_log(const struct co_conn *conn, enum co_log_level level,
                        const char *fmt, ...) CO_PRINTF(3, 4);

/** Whether a line of this level would be written now; guards costly arguments. */
CO_API bool co_log_is_on(enum co_log_level level);

CO_END_DECLS

#endif
