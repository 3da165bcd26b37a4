/*
 * A stream from the inside. stream.c has its life and its time limits, stream_read.c and
 * stream_write.c the two directions.
 *
 * Thread: the loop's.
 */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include <corod/stream.h>

#include "base/slab.h"
#include "core/loop.h"
#include "core/task.h"
#include "net/block.h"
#include "net/outq.h"
#include "net/transport.h"

/*
 *   open ──close──► flushing ──sent──► lingering ──peer closed──► closed
 *     │ └──close, nothing to send ─────────▲ │                      ▲
 *     └──abort, or close of a failed one ────┴── or time is up ─────┘
 */
enum stream_state {
    STREAM_OPEN,
    STREAM_FLUSHING, /* the owner has left; buffered output is sent */
    STREAM_LINGERING, /* all is sent, our side is closed; input is dropped till their end */
    STREAM_CLOSED,
};

struct co_stream {
    struct transport transport;
    uint8_t state;    /* enum stream_state */
    bool read_eof;    /* a read has returned the end */
    bool write_eof;   /* the sending side is closed, or will be when output is sent */
    int error;        /* negative once the stream has failed */
    struct block *in; /* unread input; NULL when there is none */
    struct outq *out; /* unsent output; NULL when there is none */
    union {
        struct co_task *reader; /* the task that awaits input, when on_input is NULL */
        void *input_arg;        /* for on_input */
        void *closed_arg;       /* for on_closed, once state is not STREAM_OPEN */
    };
    union {
        co_stream_input_fn on_input;
        co_stream_closed_fn on_closed;
    };
    const struct co_stream_limits *limits;
    union {
        struct {
            uint64_t bytes_in;
            uint64_t bytes_out;
        };
        struct co_list closing; /* in net_loop.closing, once state is not STREAM_OPEN */
    };
    co_time since;         /* when the last read began, or the wait for input; the end of
                              the time while lingering */
    struct co_timer limit; /* started while any limit is set; see stream.c */
};

/* What lib/net keeps for each loop. */
struct net_loop {
    struct loop_extra extra;
    struct block_pool blocks;
    struct slab streams;
    struct slab outqs;
    struct co_list closing; /* streams that their owners have left */
};

static inline struct co_loop *stream_loop(const struct co_stream *s)
{
    return s->transport.watch.loop;
}

static inline struct net_loop *stream_net(const struct co_stream *s)
{
    return CO_CONTAINER_OF(stream_loop(s)->extra, struct net_loop, extra);
}

static inline uint32_t stream_high_water(const struct co_stream *s)
{
    return s->limits->high_water ? s->limits->high_water : 65536;
}

static inline uint32_t stream_low_water(const struct co_stream *s)
{
    return s->limits->low_water ? s->limits->low_water : stream_high_water(s) / 4;
}

static inline uint32_t stream_read_limit(const struct co_stream *s)
{
    return s->limits->read_limit ? s->limits->read_limit : 65536;
}

/* Gives the input block back when it is empty. */
static inline void stream_drop_empty_input(struct co_stream *s)
{
    if (s->in && block_filled(s->in) == 0) {
        block_give(&stream_net(s)->blocks, s->in);
        s->in = NULL;
    }
}

/*
 * stream_write.c: sends what is buffered, as far as the socket takes it. Returns 0, or the
 * error that the stream has failed with; its owner knows by then, and may have freed it.
 */
int stream_flush(struct co_stream *s);

/* stream_write.c: has who waits for output look at the low-water mark again. */
void stream_limits_changed(struct co_stream *s);

/* stream_write.c: drops buffered output and wakes who waits for it. */
void stream_drop_output(struct co_stream *s);

/* stream.c: all output has been taken. Frees the stream if it was closed. */
void stream_flushed(struct co_stream *s);

#endif
