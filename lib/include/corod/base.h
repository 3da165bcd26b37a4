/**
 * Types and attributes that every other header uses.
 */
#ifndef COROD_BASE_H
#define COROD_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define CO_BEGIN_DECLS extern "C" {
#define CO_END_DECLS   }
#else
#define CO_BEGIN_DECLS
#define CO_END_DECLS
#endif

#define CO_API               __attribute__((visibility("default")))
#define CO_MUST_CHECK        __attribute__((warn_unused_result))
#define CO_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define CO_CONTAINER_OF(ptr, type, member) \
    ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/** A point in a loop's time, or a span of it: nanoseconds of the loop's monotonic clock. */
typedef int64_t co_time;

#define CO_NEVER  INT64_MAX
#define CO_NSEC   ((co_time)1)
#define CO_USEC   ((co_time)1000)
#define CO_MSEC   ((co_time)1000000)
#define CO_SECOND ((co_time)1000000000)

/** Borrowed bytes: data[len], not NUL-terminated. The function that fills one says until when. */
struct co_bytes {
    const char *data;
    size_t len;
};

/** Links of a doubly linked ring; a member of what is listed. For the library's own use. */
struct co_list {
    struct co_list *next;
    struct co_list *prev;
};

#endif
