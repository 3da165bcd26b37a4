/**
 * An echo protocol that never parks: serve() loops on reads and keeps its stack as long
 * as the connection lives. With it the benchmarks measure what a connection with a stack
 * costs.
 */
#include <corod/plugin.h>

enum { MOST = 16384, STACK = 16384 };

static enum co_next echo_hold(struct co_conn *conn)
{
    struct co_bytes in;

    while (co_stream_await_some(conn->stream, MOST, CO_NEVER, &in) == 0) {
        if (co_stream_write(conn->stream, in.data, in.len) < 0)
            break;
        if (co_stream_await_drain(conn->stream, CO_NEVER) < 0)
            break;
    }
    return CO_CLOSE;
}

CO_PLUGIN(.name = "echo_hold", .version = "1.0",
          .description = "Echoes and holds its stack; for benchmarks.",
          .stack_size = STACK, .serve = echo_hold);
