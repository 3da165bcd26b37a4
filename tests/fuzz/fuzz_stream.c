/*
 * Streams: a script of what the two ends of a connection do, and a model that knows what
 * each call must give. The model is a flat array of all bytes that the peer has sent and an
 * index of what has been consumed; bytes of the other direction are a function of their
 * place.
 *
 * The input is a byte of options (OPTION_…) and then operations, a byte each (enum op, and
 * HOLD) with arguments behind it. The owner, a task, does one after the other. While it is
 * suspended the driver, outside the loop, does them in its place: what comes from the peer,
 * from other tasks and from the clock. After each of its operations, unless that has HOLD,
 * the driver runs the loop until nothing moves. Whoever still waits then must have a reason
 * to, which is how a lost wake-up shows.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "stream_model.h"

enum {
    OPS_MAX = 256,
    ITERATIONS_MAX = 2000, /* of the loop until nothing moves */
};

/* ---- the script ---- */

static uint8_t next_byte(struct run *run)
{
    if (run->script_len == 0)
        return 0;
    run->script_len--;
    return *run->script++;
}

/* Small ones exactly, and some around the sizes of blocks and limits. */
static size_t next_size(struct run *run)
{
    static const uint32_t large[] = { 255,   256,   257,   1000,  2047,  2048,  4096,
                                      5000,  14320, 16351, 16352, 16353, 20000, 32704,
                                      40000, 65534, 65535, 65536, 65537, 70000 };
    uint8_t b = next_byte(run);

    if (b < 0xc0)
        return b < 0x80 ? b : (size_t)(b - 0x80 + 1) * 255;
    return large[(b - 0xc0U) % (sizeof(large) / sizeof(large[0]))];
}

static co_time next_deadline(struct run *run)
{
    uint8_t b = next_byte(run);

    if (b == 0)
        return CO_NEVER;
    return b == 1 ? 0 : co_loop_now(run->loop) + b * CO_MSEC;
}

/* Times of 0 and CO_NEVER are no limit. */
static co_time next_limit(struct run *run)
{
    uint8_t b = next_byte(run);

    return b == 0xff ? CO_NEVER : b * CO_MSEC;
}

static bool has_next_op(const struct run *run)
{
    return run->script_len > 0 && run->n_ops < OPS_MAX;
}

/* ---- the peer ---- */

static void do_peer_send(struct run *run, bool is_raw)
{
    static const char *const endings[] = {
        "", "\n", "\r\n", "\r", "--", "-", "\n\n", "AB"
    };
    size_t len = is_raw ? next_byte(run) % 32 : next_size(run), end_len;
    uint8_t *data = run->sent + run->n_sent;
    const char *end;

    if (len > SENT_MAX - run->n_sent)
        len = SENT_MAX - run->n_sent;
    for (size_t i = 0; i < len; i++)
        data[i] = is_raw ? next_byte(run) : filler(run->n_sent + i);
    if (!is_raw) {
        end = endings[next_byte(run) % 8];
        end_len = strlen(end);
        if (end_len <= len)
            memcpy(data + len - end_len, end, end_len);
    }
    peer_send(run, data, len);
}

/* ---- reads ---- */

/* Bytes that were handed out stay as they are until the next read. */
static void end_borrowed(struct run *run)
{
    if (run->borrowed.len > 0)
        REQUIRE(memcmp(run->borrowed.data, run->sent + run->borrowed_at,
                       run->borrowed.len) == 0);
    run->borrowed.len = 0;
}

/* Begins a call: arguments from the script. */
static void read_args(struct run *run, enum op op, struct read_call *call)
{
    size_t limit = or_default(limits_of(run)->read_limit, 65536);
    uint8_t how = op == UNTIL ? next_byte(run) : 0;
    size_t at = run->n_consumed;

    *call = (struct read_call){ .op = op, .sep = "\n", .sep_len = 1 };
    if (op == UNTIL && how < 8) {
        /* Of the script. */
        call->sep_len = how;
        for (size_t i = 0; i < how; i++)
            call->sep[i] = next_byte(run);
    } else if (op == UNTIL) {
        /* Some that will come, or would if more were there. */
        call->sep_len = next_byte(run) + (how & 1U) * 2;
        if (call->sep_len > SEP_MAX)
            call->sep_len = SEP_MAX;
        at += (how & 2) ? next_size(run) : how / 4;
        for (size_t i = 0; i < call->sep_len; i++, at++)
            call->sep[i] = at < run->n_sent ? run->sent[at] : filler(at);
    }
    call->max = next_size(run);
    call->window = op == LINE ? call->max + 2 : call->max;
    if (call->window > limit)
        call->window = limit;
}

static int call_read(struct run *run, const struct read_call *call, co_time deadline,
                     struct co_bytes *out)
{
    switch (call->op) {
    case SOME:
        return co_stream_await_some(run->stream, call->max, deadline, out);
    case EXACTLY:
        return co_stream_await_exactly(run->stream, call->max, deadline, out);
    case UNTIL:
        return co_stream_await_until(run->stream, call->sep, call->sep_len, call->max,
                                     deadline, out);
    default:
        return co_stream_await_line(run->stream, call->max, deadline, out);
    }
}

static void check_bytes(struct run *run, const struct read_call *call,
                        struct co_bytes out)
{
    const uint8_t *data = run->sent + run->n_consumed;
    size_t len, visible;

    REQUIRE(model_read(run, call, &len) == 0);
    visible = len;
    if (call->op == LINE)
        visible -= 1 + (len > 1 && data[len - 2] == '\r');
    if (call->op == SOME && call->max > 0) {
        REQUIRE(out.len > 0 && out.len <= len);
        len = visible = out.len;
    }
    REQUIRE(out.len == visible);
    REQUIRE(memcmp(out.data, data, visible) == 0);
    run->borrowed = out;
    run->borrowed_at = run->n_consumed;
    run->n_consumed += len;
}

/* While the owner awaits input another's read takes nothing. */
static void check_refused(struct run *run, const struct read_call *call, co_time deadline)
{
    struct co_bytes out = { .len = 0 };
    int r = call_read(run, call, deadline, &out);

    REQUIRE(r == -EBUSY || (r == -EINVAL && call->op == UNTIL) ||
            (r == co_stream_error(run->stream) && r < 0) || call->max == 0);
    REQUIRE(out.len == 0);
}

/* @by: the task that reads; NULL for a call outside a task. */
static void do_read(struct run *run, enum op op, struct helper *by)
{
    static const char untouched[] = "untouched";
    struct co_bytes out = { .data = untouched, .len = sizeof(untouched) };
    struct read_call call;
    bool is_other = !by && is_reading(&run->owner);
    co_time deadline;
    size_t len;
    int r;

    read_args(run, op, &call);
    deadline = next_deadline(run);
    end_borrowed(run);
    if (is_other) {
        check_refused(run, &call, deadline);
        return;
    }
    check_error(run);
    run->read_at = co_loop_now(run->loop);
    if (by) {
        run->reading = call;
        by->op = op;
        by->deadline = deadline;
    }
    r = call_read(run, &call, deadline, &out);
    if (by)
        by->op = N_OPS;
    check_error(run);
    if (r == 0) {
        check_bytes(run, &call, out);
        return;
    }
    REQUIRE(out.data == untouched && out.len == sizeof(untouched));
    if (is_ended_early(run, by, r) || (r == co_stream_error(run->stream) && r < 0))
        return;
    if (r == CO_ENOTASK)
        REQUIRE(!by);
    else if (r == -EBUSY)
        REQUIRE(run->is_parked);
    else
        REQUIRE(r == model_read(run, &call, &len) && r < 0);
}

static void on_input(struct co_stream *s, void *arg)
{
    struct run *run = arg;

    REQUIRE(s == run->stream && run->is_parked);
    run->is_parked = false;
    REQUIRE(co_stream_has_input(s));
}

static void do_park(struct run *run)
{
    if (run->is_parked || is_reading(&run->owner))
        return;
    end_borrowed(run);
    run->is_parked = co_stream_on_input(run->stream, on_input, run);
    if (run->is_parked)
        run->read_at = co_loop_now(run->loop);
    else
        REQUIRE(run->n_sent > run->n_consumed || run->peer_ended ||
                co_stream_error(run->stream) < 0);
}

static void do_has_input(struct run *run)
{
    bool may_have = run->n_sent > run->n_consumed || run->peer_ended;

    end_borrowed(run);
    if (co_stream_has_input(run->stream))
        REQUIRE(may_have || co_stream_error(run->stream) < 0);
    REQUIRE(co_stream_buffered(run->stream) <= run->n_sent - run->n_consumed);
    if (co_stream_at_eof(run->stream))
        REQUIRE(run->peer_ended && run->n_sent == run->n_consumed);
    check_error(run);
}

/* ---- writes ---- */

static void do_write(struct run *run, int n_parts)
{
    static uint8_t data[3 * 70000];
    struct iovec iov[3] = { 0 };
    size_t len = 0, pending = co_stream_pending(run->stream);
    int r;

    check_error(run);
    for (int i = 0; i < n_parts; i++) {
        iov[i] = (struct iovec){ .iov_base = data + len, .iov_len = next_size(run) };
        len += iov[i].iov_len;
    }
    if (len > WRITTEN_MAX - run->n_attempted)
        return;
    for (size_t i = 0; i < len; i++)
        data[i] = written_byte(run->n_written + i);
    if (!run->write_ended)
        run->n_attempted += len;
    r = n_parts == 1 ? co_stream_write(run->stream, data, len)
                     : co_stream_writev(run->stream, iov, n_parts);
    if (r == 0) {
        REQUIRE(!run->write_ended);
        run->n_written += len;
        REQUIRE(co_stream_pending(run->stream) <= run->n_written - run->n_received);
        if (len > 0)
            run->any_output_at = run->moved_at = co_loop_now(run->loop);
    } else if (r == CO_ECLOSED) {
        REQUIRE(run->write_ended);
    } else {
        REQUIRE(r == co_stream_error(run->stream));
    }
    if (pending == 0 && co_stream_pending(run->stream) > 0)
        run->queued_at = co_loop_now(run->loop);
    memset(data, '#', len); /* it has been copied */
    check_error(run);
}

static void do_write_eof(struct run *run)
{
    int r = co_stream_write_eof(run->stream);

    REQUIRE(r == co_stream_error(run->stream));
    if (r == 0)
        run->write_ended = true;
}

static void await_output(struct run *run, struct helper *by)
{
    size_t pending;
    int r;

    r = by->op == FLUSH ? co_stream_await_flush(run->stream, by->deadline)
                        : co_stream_await_drain(run->stream, by->deadline);
    pending = co_stream_pending(run->stream);
    check_error(run);
    if (r < 0)
        REQUIRE(is_ended_early(run, by, r) || r == co_stream_error(run->stream));
    else if (by->op == FLUSH)
        REQUIRE(pending == 0);
    else
        REQUIRE(pending <= high_water(run) || pending <= low_water(run));
    by->op = N_OPS;
}

static int helper_main(void *arg)
{
    struct helper *helper = arg;

    await_output(helper->run, helper);
    return 0;
}

/* Frees a helper that is done. */
static bool is_free(struct helper *helper)
{
    if (helper->task && co_task_state(helper->task) == CO_TASK_DONE) {
        co_task_free(helper->task);
        helper->task = NULL;
    }
    return !helper->task;
}

static void do_await_output(struct run *run, enum op op, struct helper *by)
{
    co_time deadline = next_deadline(run);
    struct helper *helper = by;

    for (int i = 0; !helper && i < HELPERS_MAX; i++) {
        if (is_free(&run->helpers[i]))
            helper = &run->helpers[i];
    }
    if (!helper)
        return;
    helper->op = op;
    helper->deadline = deadline;
    if (by) {
        await_output(run, by);
        return;
    }
    helper->is_cancelled = false;
    helper->run = run;
    REQUIRE(co_task_spawn(run->loop, NULL, helper_main, helper, &helper->task) == 0);
}

/* ---- the rest ---- */

static void do_set_limits(struct run *run)
{
    static const uint32_t reads[] = { 0, 1, 2, 10, 256, 5000, 16352, 70000 };
    struct co_stream_limits *next = &run->limits[(run->n_limits + 1) % 2];
    uint8_t water = next_byte(run);

    *next = (struct co_stream_limits){
        .high_water = (water & 0x0fU) * 1000,
        .low_water = (water >> 4U) * 300,
        .linger_timeout = run->options & OPTION_LINGER ? CO_SECOND : 0,
    };
    next->read_limit = reads[next_byte(run) % 8];
    next->idle_timeout = next_limit(run);
    next->read_timeout = next_limit(run);
    next->write_timeout = next_limit(run);
    check_error(run); /* by the old ones */
    run->n_limits++;
    co_stream_set_limits(run->stream, next);
}

static void do_cancel(struct run *run)
{
    size_t i = next_byte(run) % (HELPERS_MAX + 1);
    struct helper *helper = i == 0 ? &run->owner : &run->helpers[i - 1];

    if (helper->task && co_task_cancel(helper->task))
        helper->is_cancelled = true;
}

static void do_sleep(struct run *run, struct helper *by)
{
    co_time deadline = next_deadline(run);
    int r;

    if (!by)
        return;
    by->op = SLEEP;
    by->deadline = deadline == CO_NEVER ? 0 : deadline;
    r = co_await_sleep(by->deadline);
    by->op = N_OPS;
    REQUIRE(r == 0 ? co_loop_now(run->loop) >= by->deadline : is_ended_early(run, by, r));
}

static void do_pass(struct run *run)
{
    run->clock.now += next_byte(run) * CO_MSEC;
}

static void do_fail(struct run *run)
{
    check_error(run);
    if (co_stream_error(run->stream) == 0)
        run->injected = -EIO;
    co_stream_fail(run->stream, -EIO);
}

static void do_peer_shutdown(struct run *run)
{
    if (run->peer >= 0)
        REQUIRE(shutdown(run->peer, SHUT_WR) == 0);
    run->peer_ended = true;
}

static void do_unpark(struct run *run)
{
    co_stream_cancel_on_input(run->stream);
    run->is_parked = false;
}

static void do_peer_op(struct run *run, enum op op)
{
    switch (op) {
    case PEER_SEND:
    case PEER_SEND_RAW:
        do_peer_send(run, op == PEER_SEND_RAW);
        break;
    case PEER_SHUTDOWN:
        do_peer_shutdown(run);
        break;
    case PEER_CLOSE:
        peer_close(run);
        break;
    case PEER_READ:
        (void)peer_read(run, next_size(run));
        break;
    default:
        while (peer_read(run, SIZE_MAX) > 0) {
        }
    }
}

/* What does not suspend is the same for the owner and the driver. */
static void do_plain_op(struct run *run, enum op op)
{
    switch (op) {
    case WRITE:
        do_write(run, 1);
        break;
    case WRITEV:
        do_write(run, 3);
        break;
    case WRITE_EOF:
        do_write_eof(run);
        break;
    case SET_LIMITS:
        do_set_limits(run);
        break;
    case PASS:
        do_pass(run);
        break;
    case CANCEL:
        do_cancel(run);
        break;
    case PARK:
        do_park(run);
        break;
    case UNPARK:
        do_unpark(run);
        break;
    case HAS_INPUT:
        do_has_input(run);
        break;
    default:
        do_fail(run);
    }
}

/* Does the script's next operation. @by: the owner, NULL for the driver. Returns its byte. */
static uint8_t do_next(struct run *run, struct helper *by)
{
    uint8_t b = next_byte(run);
    enum op op = (b & ~HOLD) % N_OPS;

    run->n_ops++;
    if (op <= PEER_DRAIN)
        do_peer_op(run, op);
    else if (op <= LINE)
        do_read(run, op, by);
    else if (op == DRAIN || op == FLUSH)
        do_await_output(run, op, by);
    else if (op == SLEEP)
        do_sleep(run, by);
    else
        do_plain_op(run, op);
    return b;
}

/* ---- running ---- */

static int owner_main(void *arg)
{
    struct run *run = arg;

    while (has_next_op(run))
        (void)do_next(run, &run->owner);
    return 0;
}

/*
 * Runs the loop until nothing moves: a stop before the run makes it one iteration, without
 * a jump of the clock. Timers run no handles, so one quiet iteration does not prove it.
 */
static void settle(struct run *run)
{
    struct co_loop_stats stats;
    uint64_t n_run = 0;

    for (int i = 0, quiet = 0; quiet < 3; i++) {
        REQUIRE(i < ITERATIONS_MAX);
        co_loop_stop(run->loop);
        REQUIRE(co_loop_run(run->loop) == 0);
        co_loop_get_stats(run->loop, &stats);
        quiet = stats.handles_run == n_run ? quiet + 1 : 0;
        n_run = stats.handles_run;
    }
    if (run->is_moving)
        run->moved_at = co_loop_now(run->loop);
    run->is_moving = false;
}

static void drive(struct run *run)
{
    REQUIRE(co_task_spawn(run->loop, NULL, owner_main, run, &run->owner.task) == 0);
    settle(run);
    while (co_task_state(run->owner.task) != CO_TASK_DONE && has_next_op(run)) {
        if (do_next(run, NULL) & HOLD)
            continue;
        settle(run);
        check_all_wait(run);
    }
    settle(run);
    check_all_wait(run);
}

static void begin(struct run *run)
{
    struct co_loop_config config = { .clock = &run->clock.clock };
    int small = 4096, fds[2];

    co_virtual_clock_init(&run->clock, CO_SECOND);
    run->options = next_byte(run);
    run->limits[0].linger_timeout = run->options & OPTION_LINGER ? CO_SECOND : 0;
    run->owner.op = N_OPS;
    run->sent = malloc(SENT_MAX);
    REQUIRE(run->sent);
    REQUIRE(co_loop_new(&config, &run->loop) == 0);
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    REQUIRE(fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0);
    if (run->options & OPTION_SMALL_SNDBUF)
        REQUIRE(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)) == 0);
    run->peer = fds[1];
    REQUIRE(co_stream_open(run->loop, fds[0], &run->limits[0], &run->stream) == 0);
    run->read_at = run->moved_at = co_loop_now(run->loop);
}

static void on_closed(void *arg, int error)
{
    struct run *run = arg;

    run->n_closed++;
    run->closed_error = error;
}

/* Cancels every task; all end by it. */
static void end_tasks(struct run *run)
{
    struct helper *all[HELPERS_MAX + 1] = { &run->owner };

    for (int i = 0; i < HELPERS_MAX; i++)
        all[i + 1] = &run->helpers[i];
    run->script_len = 0;
    for (int i = 0; i <= HELPERS_MAX; i++) {
        if (all[i]->task && co_task_cancel(all[i]->task))
            all[i]->is_cancelled = true;
    }
    settle(run);
    for (int i = 0; i <= HELPERS_MAX; i++)
        REQUIRE(is_free(all[i]));
}

/* A close with a peer that reads on and then closes too: every byte arrives. */
static void close_in_order(struct run *run)
{
    size_t n;

    do {
        n = peer_read(run, SIZE_MAX);
        settle(run);
    } while (n > 0);
    REQUIRE(run->peer < 0 || run->is_eof_received);
    peer_close(run);
    settle(run);
    REQUIRE(run->n_closed == 1);
    if (run->closed_error == 0 && !run->is_reset)
        REQUIRE(run->n_received == run->n_written);
}

static void end(struct run *run)
{
    struct co_loop_stats stats;

    end_tasks(run);
    end_borrowed(run);
    run->write_ended = true;
    if (run->options & OPTION_ABORT) {
        co_stream_abort(run->stream);
    } else {
        co_stream_close(run->stream, on_closed, run);
        if (!(run->options & OPTION_ABANDON))
            close_in_order(run);
    }
    co_loop_get_stats(run->loop, &stats);
    REQUIRE(stats.n_tasks == 0);
    co_loop_free(run->loop);
    REQUIRE(run->n_closed == !(run->options & OPTION_ABORT));
    if (run->peer >= 0)
        close(run->peer);
    free(run->sent);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run run = { .script = data, .script_len = size };

    begin(&run);
    drive(&run);
    end(&run);
    return 0;
}
