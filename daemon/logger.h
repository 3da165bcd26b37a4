/**
 * The log: lines from any thread, written by one thread of its own ("corod-log"), so that
 * no worker ever blocks on a slow disk, terminal or journal.
 *
 *     struct logger *log;
 *     if (logger_new(CO_LOG_INFO, STDERR_FILENO, &log) < 0)
 *         return 1;
 *     logger_write(log, CO_LOG_NOTICE, NULL, "%u workers started", n);
 *     logger_free(log);
 *
 * A line costs its writer one allocation; the first of a burst also wakes the log thread.
 * At most LOGGER_QUEUE_MAX lines wait: what comes beyond that is dropped, counted, and
 * the count is logged as soon as there is room.
 *
 * When the descriptor is the journal's (JOURNAL_STREAM) lines go there with fields, else
 * as
 *
 *     2026-11-22T08:00:00.123Z info  web conn 17 192.0.2.1:51234: message
 *
 * in UTC. Control characters, bytes that are not UTF-8 and characters that reorder or
 * break lines are written as \xNN: what a peer sends cannot forge a line.
 *
 * Thread: any, unless a function says otherwise.
 */
#ifndef COROD_DAEMON_LOGGER_H
#define COROD_DAEMON_LOGGER_H

#include <stdarg.h>

#include <corod/base.h>
#include <corod/log.h>

#include "log_text.h" /* struct log_fields */

#define LOGGER_QUEUE_MAX 8192u /* lines */
#define LOGGER_LINE_MAX \
    2048u                    /* bytes of a message as it was formatted; the rest is cut */
#define LOGGER_NAME_MAX 128u /* bytes of a listener's name and of a peer's text */

struct logger;

/**
 * Starts the log thread.
 *
 * @level    the least urgent level that is written
 * @fd       where text lines go; stays the caller's, who keeps it open until
 * logger_free()
 * @out_log  owned by the caller; logger_free() ends it. Written on success only.
 *
 * Returns 0, -ENOMEM or -EAGAIN (no thread could be had).
 */
CO_MUST_CHECK int logger_new(enum co_log_level level, int fd, struct logger **out_log);

/**
 * Writes every line that is queued, then ends the thread. Output that takes nothing for a
 * second is given up, so that a stuck reader cannot keep the daemon from ending. NULL is
 * fine. No other thread may use the logger any more.
 */
void logger_free(struct logger *log);

/**
 * Writes every line that is queued, then ends the thread, as logger_free(); the logger stays,
 * and takes no more lines to the output. For a process that ends while others still write.
 */
void logger_stop(struct logger *log);

/**
 * Queues one line; never blocks, preserves errno. A line that is below the level costs
 * nothing; one that finds no room or no memory is dropped and counted.
 *
 * @fields  copied; NULL for none
 * @fmt     printf format, no '\n' at the end
 */
void logger_write(struct logger *log, enum co_log_level level,
                  const struct log_fields *fields, const char *fmt, ...) CO_PRINTF(4, 5);

/** As logger_write(). */
void logger_vwrite(struct logger *log, enum co_log_level level,
                   const struct log_fields *fields, const char *fmt, va_list args)
    CO_PRINTF(4, 0);

/** Whether a line of this level would be written now; guards costly arguments. */
bool logger_is_on(const struct logger *log, enum co_log_level level);

/** Changes the level; lines that are queued already are not looked at again. */
void logger_set_level(struct logger *log, enum co_log_level level);

/** Lines dropped since the start. */
uint64_t logger_n_dropped(const struct logger *log);

/**
 * The logger as a sink for loops; lives as long as the logger. A line about a connection gets
 * its listener, id and peer as fields.
 */
const struct co_log_sink *logger_sink(const struct logger *log);

/* ---- rate limits ---- */

/**
 * Lets one line a period pass. Set `period`, zero the rest. Thread: its owner's.
 */
struct log_limit {
    co_time period;      /* ns */
    co_time next_at;     /* when a line passes again */
    uint32_t suppressed; /* lines held back since the last that passed */
};

/**
 * Asks for one line.
 *
 * @now             loop time, ns
 * @out_suppressed  lines held back since the last one; written when this one passes
 *
 * Returns whether to write the line.
 */
CO_MUST_CHECK bool log_limit_pass(struct log_limit *limit, co_time now,
                                  uint32_t *out_suppressed);

#endif
