/**
 * The model behind fuzz_stream.c: what has happened on the two ends of a connection, and so
 * what each call may return and who may still wait.
 */
#ifndef COROD_STREAM_MODEL_H
#define COROD_STREAM_MODEL_H

#include <corod/stream.h>
#include <corod/task.h>

#include "fuzz.h"

enum {
    SENT_MAX = 1 << 18,    /* bytes by the peer */
    WRITTEN_MAX = 1 << 18, /* bytes by the owner */
    HELPERS_MAX = 4,
    SEP_MAX = 257, /* one more than is allowed */
};

enum {
    OPTION_SMALL_SNDBUF = 0x01, /* output is soon queued */
    OPTION_ABORT = 0x02,        /* the end is an abort; else a close */
    OPTION_ABANDON = 0x04,      /* the loop is freed while the stream still closes */
    OPTION_LINGER = 0x08,
};

enum op {
    PEER_SEND,     /* size, ending */
    PEER_SEND_RAW, /* length, bytes */
    PEER_SHUTDOWN,
    PEER_CLOSE,
    PEER_READ, /* size */
    PEER_DRAIN,
    SOME,    /* size, deadline */
    EXACTLY, /* size, deadline */
    UNTIL,   /* separator, size, deadline */
    LINE,    /* size, deadline */
    WRITE,   /* size */
    WRITEV,  /* sizes[3] */
    DRAIN,   /* deadline */
    FLUSH,   /* deadline */
    WRITE_EOF,
    SET_LIMITS, /* water, read limit, three times */
    PASS,       /* ms */
    CANCEL,     /* task */
    PARK,
    UNPARK,
    HAS_INPUT,
    SLEEP, /* deadline */
    FAIL,
    N_OPS,
    HOLD = 0x80,
};

/* A call that reads, as the model sees it. */
struct read_call {
    enum op op;
    size_t max;
    uint8_t sep[SEP_MAX];
    size_t sep_len;
    size_t window; /* UNTIL and LINE: bytes among which the separator must end */
};

/* A task that awaits one thing. */
struct helper {
    struct run *run;
    struct co_task *task;
    enum op op;
    co_time deadline;
    bool is_cancelled;
};

/* One run of the target. */
struct run {
    const uint8_t *script;
    size_t script_len;
    int n_ops;
    uint8_t options;

    struct co_virtual_clock clock;
    struct co_loop *loop;
    struct co_stream *stream;
    struct co_stream_limits limits[2]; /* the stream has one of them, in turns */
    int n_limits;
    int peer; /* descriptor, -1 when closed */

    struct helper owner; /* its op is what it is suspended in */
    struct helper helpers[HELPERS_MAX];
    struct read_call reading; /* when the owner is suspended in it */

    uint8_t *sent;
    size_t n_sent, n_consumed;
    struct co_bytes borrowed; /* of the last read, while it must be whole */
    size_t borrowed_at;       /* where in sent */
    size_t n_written, n_attempted, n_received;
    bool peer_ended, write_ended, is_reset, is_eof_received;
    bool is_parked;
    int error;             /* of the stream, as last seen */
    int injected;          /* an error that was given to co_stream_fail() */
    co_time read_at;       /* when the last read began, or the stream was parked */
    co_time moved_at;      /* the latest time at which the stream took or sent bytes */
    bool is_moving;        /* the peer has sent or read since the loop ran */
    co_time queued_at;     /* when the queue of output began to be */
    co_time any_output_at; /* when a write last took something */
    int n_closed, closed_error;
};

/** The byte at a place of what the owner writes. */
uint8_t written_byte(size_t at);

/** The byte at a place of what the peer sends, unless the script says another. */
uint8_t filler(size_t at);

/** The limits that the stream has. */
const struct co_stream_limits *limits_of(const struct run *run);

/** Where a field of the limits is 0 the default counts. */
size_t or_default(size_t value, size_t otherwise);

/** A drain of more pending bytes than the one waits for no more than the other. */
size_t high_water(const struct run *run);
size_t low_water(const struct run *run);

/** Whether the task is suspended in a read. */
bool is_reading(const struct helper *by);

/**
 * What a read must return once it returns, from all that was sent: 0 and how much it
 * consumes, an error, or 1 as long as it has to wait.
 */
int model_read(const struct run *run, const struct read_call *call, size_t *out_len);

/** The stream's error, if any, is one that what happened explains, and stays. */
void check_error(struct run *run);

/**
 * Whether @r is that of a cancellation (which somebody must have asked for) or of the
 * deadline of @by, NULL for a call outside a task.
 */
bool is_ended_early(struct run *run, struct helper *by, int r);

/** Sends data[len], which lies at the end of what was sent, as far as the socket takes it. */
void peer_send(struct run *run, const uint8_t *data, size_t len);

/** Reads up to @max bytes; what comes is what was written, in order. Returns how many. */
size_t peer_read(struct run *run, size_t max);

/** Closes the peer's end. */
void peer_close(struct run *run);

/** Nothing moves any more: who still waits has a reason to. */
void check_all_wait(struct run *run);

#endif
