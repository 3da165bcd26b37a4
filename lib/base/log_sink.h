/*
 * Which sink a log line goes to. Any thread.
 */
#ifndef BASE_LOG_SINK_H
#define BASE_LOG_SINK_H

#include <corod/log.h>

/* The sink of the loop that runs on this thread, else log_sink_stderr(). (core/loop.c) */
const struct co_log_sink *log_sink_current(void);

/* Writes to stderr, info and above. */
const struct co_log_sink *log_sink_stderr(void);

#endif
