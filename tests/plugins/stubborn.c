/*
 * stubborn: does not heed its cancellation, as no plugin should. Says "staying", then awaits
 * for ever whatever happens.
 */
#include <corod/plugin.h>

static enum co_next stubborn_serve(struct co_conn *conn)
{
    co_stream_write(conn->stream, "staying\n", 8);
    while (co_await_sleep(CO_NEVER) <= 0)
        ;
    return CO_CLOSE;
}

CO_PLUGIN(.name = "stubborn", .version = "1.0", .description = "Never ends.",
          .serve = stubborn_serve);
