/**
 * Streams: buffered bytes in both directions over a connected socket. asyncio's
 * StreamReader and StreamWriter in one object.
 *
 *     struct co_bytes line;
 *     while ((r = co_stream_await_line(s, 1024, CO_NEVER, &line)) == 0) {
 *         if ((r = co_stream_write(s, line.data, line.len)) < 0)
 *             break;
 *         if ((r = co_stream_await_drain(s, CO_NEVER)) < 0)
 *             break;
 *     }
 *
 * Bytes that a read returns are consumed, and stay readable until the next read call on
 * that stream: they point into its buffer, nothing is copied. One task reads at a time;
 * any number may write and drain.
 *
 * Reads return 0 for success; the end of the stream is CO_EEOF. A stream that has failed
 * gives its error (-ECONNRESET, -ETIMEDOUT, …) to every later call.
 *
 * Thread: the stream's loop thread (checked).
 */
#ifndef COROD_STREAM_H
#define COROD_STREAM_H

#include <sys/uio.h>

#include <corod/base.h>
#include <corod/loop.h>

CO_BEGIN_DECLS

struct co_stream;

/**
 * Bounds of a stream, shared by many: not copied, and must outlive its streams. A zero
 * field takes the default. A time of CO_NEVER or 0 is no limit.
 */
struct co_stream_limits {
    uint32_t high_water;   /* drain waits above this many buffered bytes; 65536 */
    uint32_t low_water;    /* … until no more than this; high_water / 4 */
    uint32_t read_limit;   /* longest line and longest await_until; 65536 */
    co_time idle_timeout;  /* no byte in or out while input is awaited and none is held */
    co_time read_timeout;  /* from a message's first byte until what was asked is there */
    co_time write_timeout; /* no progress of output; also all of the final flush */
    co_time linger_timeout; /* after close: time for the peer to close too; 0: none */
};

/** Called on the loop, not in a task, when an unread stream has input, EOF or an error. */
typedef void (*co_stream_input_fn)(struct co_stream *s, void *arg);

/**
 * Called on the loop when the stream is gone, just before its descriptor is closed. @error
 * is 0 when the kernel has taken all output.
 */
typedef void (*co_stream_closed_fn)(void *arg, int error);

/**
 * Makes a stream of a connected, non-blocking stream socket (TCP or Unix).
 *
 * @fd          owned by the stream on success, by the caller on failure
 * @limits      NULL: the defaults, no time limits
 * @out_stream  owned by the caller, ended by co_stream_close() or co_stream_abort()
 *
 * Returns 0, -ENOMEM, or what epoll_ctl() says.
 */
CO_API CO_MUST_CHECK int co_stream_open(struct co_loop *loop, int fd,
                                        const struct co_stream_limits *limits,
                                        struct co_stream **out_stream);

/**
 * Replaces the limits; they hold from the next call on, times and the low-water mark also for
 * who waits already. NULL as in co_stream_open().
 */
CO_API void co_stream_set_limits(struct co_stream *s,
                                 const struct co_stream_limits *limits);

/* ---- reading ---- */

/**
 * Reads what is there, suspending the calling task until there is something.
 * asyncio: read(n).
 *
 * @max        most bytes wanted; 0 returns at once with none
 * @deadline   absolute loop time, ns; CO_NEVER waits for ever
 * @out_bytes  1..max bytes; borrowed until the next read call on s; on success only
 *
 * Returns 0, or
 *   CO_EEOF         the peer has closed its side; nothing was left
 *   -ETIMEDOUT      deadline passed, nothing consumed; or a limit did, and the stream failed
 *   CO_ECANCELLED   task cancelled; nothing consumed
 *   -EBUSY          another task reads this stream
 *   CO_ENOTASK      it would suspend, outside a task
 *   -ENOMEM         no memory for a buffer or a timer; nothing consumed, may be retried
 *   -errno          the stream failed
 *
 * Suspends: when nothing is there.
 */
CO_API CO_MUST_CHECK int co_stream_await_some(struct co_stream *s, size_t max,
                                              co_time deadline,
                                              struct co_bytes *out_bytes);

/**
 * Reads exactly @n bytes. asyncio: readexactly(n).
 *
 * @n          may exceed the read limit: the caller has bounded it
 * @out_bytes  n bytes; borrowed until the next read call on s; on success only
 *
 * Returns 0, -ENOMEM, or as co_stream_await_some(). On CO_EEOF the bytes that came stay
 * readable with co_stream_await_some(); on every failure nothing is consumed.
 *
 * Suspends: until n bytes are there.
 */
CO_API CO_MUST_CHECK int co_stream_await_exactly(struct co_stream *s, size_t n,
                                                 co_time deadline,
                                                 struct co_bytes *out_bytes);

/**
 * Reads up to and including a separator. asyncio: readuntil(separator).
 *
 * @sep        shape: sep[sep_len], 1..256 bytes
 * @max        longest result accepted, separator included; at most the stream's read_limit
 *             counts
 * @out_bytes  ends with the separator; borrowed until the next read call on s; on success
 *             only
 *
 * Returns 0, -EINVAL for a bad sep_len, -EMSGSIZE when no separator is within max bytes
 * (nothing consumed), -ENOMEM, or as co_stream_await_exactly().
 *
 * Suspends: until the separator is there.
 */
CO_API CO_MUST_CHECK int co_stream_await_until(struct co_stream *s, const void *sep,
                                               size_t sep_len, size_t max,
                                               co_time deadline,
                                               struct co_bytes *out_bytes);

/**
 * Reads one line. asyncio: readline(), but without the line end, and a partial last line is
 * CO_EEOF.
 *
 * @max       longest line accepted, without its end
 * @out_line  without '\n' and a '\r' before it; borrowed until the next read call on s
 *
 * Returns as co_stream_await_until().
 *
 * Suspends: until a whole line is there.
 */
CO_API CO_MUST_CHECK int co_stream_await_line(struct co_stream *s, size_t max,
                                              co_time deadline,
                                              struct co_bytes *out_line);

/** Bytes that are buffered and not consumed. */
CO_API size_t co_stream_buffered(const struct co_stream *s);

/**
 * Whether a read would return at once: bytes are buffered, or come now from the socket
 * (which is asked only when it may have some), or the stream is at its end or has failed.
 * Ends the life of bytes that were handed out, as a read does. Never suspends.
 */
CO_API bool co_stream_has_input(struct co_stream *s);

/** Whether all input has been read and the peer has closed its side. asyncio: at_eof(). */
CO_API bool co_stream_at_eof(const struct co_stream *s);

/**
 * Waits for input without a task: @fn is called once when input, EOF or an error comes. A
 * stream that is parked so holds no stack and no buffer.
 *
 * Returns false, and does not wait, when a read would return at once: see
 * co_stream_has_input().
 */
CO_API CO_MUST_CHECK bool co_stream_on_input(struct co_stream *s, co_stream_input_fn fn,
                                             void *arg);

/** Ends the wait that co_stream_on_input() began; its function is not called. */
CO_API void co_stream_cancel_on_input(struct co_stream *s);

/* ---- writing ---- */

/**
 * Sends bytes: at once as far as the socket takes them, the rest is copied and follows.
 * Never suspends; co_stream_await_drain() is what bounds memory. asyncio: write(). The
 * result may be left unchecked: a stream that has failed says so to the next await.
 *
 * Returns 0, -ENOMEM (nothing was taken beyond what the socket took, the stream has
 * failed), CO_ECLOSED after close or write_eof, or the error that the stream failed with.
 */
CO_API int co_stream_write(struct co_stream *s, const void *data, size_t len);

/** As co_stream_write(), for iov[n] in order, in one system call. asyncio: writelines(). */
CO_API int co_stream_writev(struct co_stream *s, const struct iovec *iov, int n);

/**
 * Suspends while more than the high-water mark is buffered, until no more than the
 * low-water mark is. asyncio: drain().
 *
 * Returns 0, -ETIMEDOUT (deadline passed; or write_timeout did, and the stream failed),
 * CO_ECANCELLED, CO_ENOTASK, or the error that the stream failed with.
 *
 * Suspends: only above the high-water mark.
 */
CO_API CO_MUST_CHECK int co_stream_await_drain(struct co_stream *s, co_time deadline);

/** As co_stream_await_drain(), but until nothing is buffered at all. */
CO_API CO_MUST_CHECK int co_stream_await_flush(struct co_stream *s, co_time deadline);

/** Bytes written and not yet taken by the socket. asyncio: get_write_buffer_size(). */
CO_API size_t co_stream_pending(const struct co_stream *s);

/**
 * Sends what is buffered, then closes the sending side; reading goes on. asyncio:
 * write_eof(). A second call is fine.
 *
 * Returns 0, CO_ECLOSED after close, or the error that the stream failed with.
 */
CO_API int co_stream_write_eof(struct co_stream *s);

/* ---- the end ---- */

/**
 * Ends the stream: what is buffered is still sent, within write_timeout; then the sending
 * side is closed, and the peer has linger_timeout to close its side (so that bytes on their
 * way to us do not reset the connection and destroy bytes on their way to the peer).
 * asyncio: close(). No task may await it. The caller must not use s any more, except for
 * co_stream_abort() until @fn is called.
 *
 * @fn   called once: before this returns, on the loop, or by co_loop_free(), which ends what
 *       still closes with CO_ECLOSED; NULL for none
 */
CO_API void co_stream_close(struct co_stream *s, co_stream_closed_fn fn, void *arg);

/**
 * Ends the stream at once and drops what is buffered. asyncio: abort(). No task may await
 * it. One that is closing ends now, and its callback gets CO_ECLOSED. NULL is fine.
 */
CO_API void co_stream_abort(struct co_stream *s);

/**
 * Makes every read and write from now on fail with @error and wakes who waits; buffered
 * output is dropped. For time limits and shutdown from outside.
 *
 * @error  negative
 */
CO_API void co_stream_fail(struct co_stream *s, int error);

/** The error that the stream failed with, or 0. */
CO_API int co_stream_error(const struct co_stream *s);

/* ---- facts ---- */

/** Counters of one stream. */
struct co_stream_stats {
    uint64_t bytes_in;
    uint64_t bytes_out;
    co_time
        since; /* when the last read or the present wait for input began, or bytes went out
                      during it */
};

/** A copy of the stream's counters. */
CO_API void co_stream_get_stats(const struct co_stream *s,
                                struct co_stream_stats *out_stats);

/** The descriptor, for socket options; reading and writing it directly is an error. */
CO_API int co_stream_fd(const struct co_stream *s);

CO_END_DECLS

#endif
