/*
 * overflow: the first byte from a client makes serve() run over the end of its stack.
 */
#include <corod/plugin.h>

/* Not a tail call, and of a frame that the compiler cannot shrink. */
static int __attribute__((noinline)) dig(volatile int depth)
{
    volatile char frame[512];

    frame[0] = (char)depth;
    frame[sizeof(frame) - 1] = frame[0];
    return depth > 0 ? dig(depth + 1) + frame[sizeof(frame) - 1] : 0;
}

static enum co_next overflow_serve(struct co_conn *conn)
{
    struct co_bytes byte;

    if (co_stream_await_some(conn->stream, 1, CO_NEVER, &byte) < 0)
        return CO_CLOSE;
    return dig(1) == 0 ? CO_CLOSE : CO_PARK;
}

CO_PLUGIN(.name = "overflow", .version = "1.0", .description = "Overflows its stack.",
          .stack_size = 16384, .serve = overflow_serve);
