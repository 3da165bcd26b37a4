/*
 * echo: RFC 862 over TCP. Everything comes back, in order. A peer that sends and never reads
 * stops being read once high_water bytes wait for it, so it costs bounded memory. A peer
 * that closes its sending side still gets what it sent.
 */
#include <corod/plugin.h>

static enum co_next echo_serve(struct co_conn *conn)
{
    struct co_bytes bytes;

    if (co_stream_await_some(conn->stream, SIZE_MAX, CO_NEVER, &bytes) < 0)
        return CO_CLOSE;
    co_stream_write(conn->stream, bytes.data, bytes.len);
    if (co_stream_await_drain(conn->stream, CO_NEVER) < 0)
        return CO_CLOSE;
    return CO_PARK;
}

CO_PLUGIN(.name = "echo", .version = "1.0",
          .description = "Sends back what it gets (RFC 862).", .stack_size = 16384,
          .serve = echo_serve);
