/*
 * hello: the server of the asyncio streams tutorial. It reads what the client has sent, logs
 * it at debug level, answers "Hello, World!" and closes when the answer is out.
 *
 * The tutorial's handler waits with read() for the end of the client's stream, while its
 * client waits for the answer before it ends its stream: that pair never finishes. This one
 * answers the first bytes that come, or the end of the stream when none do.
 */
#include <corod/plugin.h>

enum { MAX_REQUEST = 65536, SHOWN = 200 };

static const char answer[] = "Hello, World!";

static void log_request(const struct co_conn *conn, struct co_bytes request)
{
    int shown = request.len < SHOWN ? (int)request.len : SHOWN;

    co_conn_log(conn, CO_LOG_DEBUG, "received %zu bytes: %.*s%s", request.len, shown,
                request.data, request.len > SHOWN ? "…" : "");
}

static enum co_next hello_serve(struct co_conn *conn)
{
    struct co_bytes request;
    int r = co_stream_await_some(conn->stream, MAX_REQUEST, CO_NEVER, &request);

    if (r < 0 && r != CO_EEOF)
        return CO_CLOSE;
    if (r == 0 && co_log_is_on(CO_LOG_DEBUG))
        log_request(conn, request);
    co_stream_write(conn->stream, answer, sizeof(answer) - 1);
    return CO_CLOSE;
}

CO_PLUGIN(.name = "hello", .version = "1.0",
          .description = "Answers every connection with a greeting.",
          .serve = hello_serve);
