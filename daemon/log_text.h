/**
 * A log line as text: the form that logger.h shows, safe to print whatever is in it.
 *
 * Thread: any; each buffer its own.
 */
#ifndef COROD_DAEMON_LOG_TEXT_H
#define COROD_DAEMON_LOG_TEXT_H

#include <time.h>

#include <corod/base.h>
#include <corod/log.h>

/** What a line is about. A field that is 0 or NULL is left out. */
struct log_fields {
    const char *listener; /* COROD_LISTENER: name of the listener section */
    const char *peer;     /* COROD_PEER: the peer's address as text */
    uint64_t conn;        /* COROD_CONN: the connection's id */
};

/** One line; it borrows its texts. */
struct log_line {
    struct timespec at; /* CLOCK_REALTIME */
    enum co_log_level level;
    struct log_fields fields;
    const char *message;
};

/** Text in the caller's storage. What does not fit is left out. */
struct log_text {
    char *data;
    size_t len; /* used, not NUL-terminated */
    size_t size;
};

/** Room that a line of so many bytes of names and message takes at most. */
#define LOG_TEXT_MAX(n_bytes) ((size_t)4 * (n_bytes) + 128)

/** The syslog number of a level, and of whatever else a plugin passes: 0..7. */
int log_text_priority(enum co_log_level level);

/** Appends text as it is. */
void log_text_put(struct log_text *out, const char *text);

/**
 * Appends what the line is about and its message, escaped: control characters, bytes that are
 * not UTF-8, and characters that break or reorder lines become \xNN.
 */
void log_text_put_message(struct log_text *out, const struct log_line *line);

/** Appends the whole line: time, level, message, '\n'. */
void log_text_put_line(struct log_text *out, const struct log_line *line);

#endif
