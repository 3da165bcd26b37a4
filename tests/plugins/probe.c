/*
 * probe: does what the client says, a command a line, for tests that need a connection in a
 * certain state.
 *
 *     thread   answers with the name of the worker's thread
 *     text     answers with the option "text" of the instance
 *     hold     answers "holding", and stays in this serve() for one line more, its answer
 *     wait     answers "waiting", and awaits nothing but its cancellation
 *     block    answers "blocking", and blocks the worker's thread until the peer has sent more
 *     close    closes
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include <corod/plugin.h>

struct probe {
    char *text;
    char *start;
    bool fail;
};

static const struct co_option probe_options[] = {
    { "text", CO_OPT_STRING, offsetof(struct probe, text), .def = "probe",
      .help = "What is answered to text." },
    { "start", CO_OPT_STRING, offsetof(struct probe, start), .flags = CO_OPT_RESTART,
      .help = "A key that a reload does not change." },
    { "fail", CO_OPT_BOOL, offsetof(struct probe, fail), .def = "no",
      .help = "Whether the plugin refuses to open." },
    { .key = NULL },
};

static int probe_open(const void *options, void **out_instance, char *err,
                      size_t err_size)
{
    const struct probe *probe = options;

    if (probe->fail) {
        snprintf(err, err_size, "told to fail");
        return -EINVAL;
    }
    *out_instance = (void *)(uintptr_t)probe;
    return 0;
}

static void say(struct co_conn *conn, const char *text)
{
    co_stream_write(conn->stream, text, strlen(text));
    co_stream_write(conn->stream, "\n", 1);
}

static bool is(struct co_bytes line, const char *word)
{
    return line.len == strlen(word) && memcmp(line.data, word, line.len) == 0;
}

static enum co_next hold(struct co_conn *conn)
{
    struct co_bytes line;

    say(conn, "holding");
    if (co_stream_await_line(conn->stream, 200, CO_NEVER, &line) < 0)
        return CO_CLOSE;
    co_stream_write(conn->stream, line.data, line.len);
    say(conn, "");
    return CO_PARK;
}

static enum co_next wait(struct co_conn *conn)
{
    say(conn, "waiting");
    if (co_await_sleep(CO_NEVER) == CO_ECANCELLED)
        say(conn, "cancelled");
    return CO_CLOSE;
}

/* What no plugin should do. */
static enum co_next block(struct co_conn *conn)
{
    struct pollfd pfd = { .fd = co_stream_fd(conn->stream), .events = POLLIN };

    say(conn, "blocking");
    while (poll(&pfd, 1, -1) != 1)
        ;
    return CO_PARK;
}

static enum co_next probe_serve(struct co_conn *conn)
{
    const struct probe *probe = co_conn_instance(conn);
    char name[16] = "";
    struct co_bytes line;

    if (co_stream_await_line(conn->stream, 200, CO_NEVER, &line) < 0 || is(line, "close"))
        return CO_CLOSE;
    if (is(line, "hold"))
        return hold(conn);
    if (is(line, "wait"))
        return wait(conn);
    if (is(line, "block"))
        return block(conn);
    if (is(line, "thread") && prctl(PR_GET_NAME, name) == 0)
        say(conn, name);
    else
        say(conn, is(line, "text") ? probe->text : "?");
    return CO_PARK;
}

CO_PLUGIN(.name = "probe", .version = "1.0", .description = "Does what the client says.",
          .options = probe_options, .options_size = sizeof(struct probe),
          .open = probe_open, .serve = probe_serve);
