/* A plugin that parks and never reads. */
#include <corod/plugin.h>

static enum co_next serve(struct co_conn *conn)
{
    (void)co_stream_has_input(conn->stream);
    return CO_PARK;
}

CO_PLUGIN(.name = "lazy", .version = "1.0", .serve = serve);
