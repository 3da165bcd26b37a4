/*
 * greet: the server speaks first. Says "hello", then answers each line with itself; a client
 * that comes back after a while is still known.
 */
#include <corod/plugin.h>

static enum co_next greet_serve(struct co_conn *conn)
{
    struct co_bytes line;

    if (!conn->data) {
        conn->data = conn; /* greeted */
        co_stream_write(conn->stream, "hello\n", 6);
        return CO_PARK;
    }
    if (co_stream_await_line(conn->stream, 200, CO_NEVER, &line) < 0)
        return CO_CLOSE;
    co_stream_write(conn->stream, line.data, line.len);
    co_stream_write(conn->stream, "\n", 1);
    return CO_PARK;
}

CO_PLUGIN(.name = "greet", .version = "1.0", .description = "Speaks first.",
          .start = CO_ON_ACCEPT, .stack_size = 16384, .serve = greet_serve);
