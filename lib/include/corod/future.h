/**
 * A future: a result that arrives once. asyncio's Future, in the caller's storage.
 *
 *     struct co_future f;
 *     co_future_init(&f, loop);
 *     …hand &f to what will call co_future_set(&f, 0, value)…
 *     int result;
 *     if (co_future_await(&f, co_after_ms(500), &result) == 0)
 *         use(result, f.value);
 *
 * Thread: all of it on one loop's thread. To complete a future from another thread, post a
 * handle to its loop.
 */
#ifndef COROD_FUTURE_H
#define COROD_FUTURE_H

#include <corod/base.h>
#include <corod/loop.h>

CO_BEGIN_DECLS

/** Fields are for reading; the functions below write them. */
struct co_future {
    struct co_loop *loop;
    struct co_list waiters; /* handles to queue when done, in order */
    void *value;            /* what co_future_set() was given */
    int result;
    bool is_done;
    bool is_task; /* part of a task; not to be set by others */
};

/** Makes a pending future on @loop. It must not move while anything awaits it;
 * done, it may go before those have run who waited. */
CO_API void co_future_init(struct co_future *f, struct co_loop *loop);

/**
 * Completes the future and queues all who wait, in the order they came. asyncio:
 * set_result() and set_exception(): a negative result is the exception.
 *
 * @result  0 or positive, or an error code
 * @value   anything; the future does not own it
 *
 * Returns 0, or CO_ESTATE when it is done already; nothing changes then.
 */
CO_API int co_future_set(struct co_future *f, int result, void *value);

/** Completes the future with CO_ECANCELLED. Returns false when it was done. */
CO_API bool co_future_cancel(struct co_future *f);

/**
 * Queues @handle when the future is done; at once (but not inline) when it already is.
 * asyncio: add_done_callback(). co_handle_cancel() takes it back.
 */
CO_API void co_future_on_done(struct co_future *f, struct co_handle *handle);

/**
 * Suspends the calling task until the future is done. A future already done returns at once.
 *
 * @out_result  the future's result; written on success only
 *
 * Returns 0, or
 *   -ETIMEDOUT      deadline passed; the future is untouched
 *   CO_ECANCELLED   the calling task was cancelled, and the future with it, as in asyncio:
 *                   others who await it get 0 and that result
 *   CO_ENOTASK      not called in a task
 *
 * Suspends: yes.
 */
CO_API CO_MUST_CHECK int co_future_await(struct co_future *f, co_time deadline,
                                         int *out_result);

CO_END_DECLS

#endif
