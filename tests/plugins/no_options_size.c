/*
 * no_options_size: has an option table and does not say where values go.
 */
#include <corod/plugin.h>

static const struct co_option options[] = {
    { "key", CO_OPT_UINT, 0, .help = "A number." },
    { .key = NULL },
};

static enum co_next serve(struct co_conn *conn)
{
    (void)conn;
    return CO_CLOSE;
}

CO_PLUGIN(.name = "no_options_size", .version = "1.0", .options = options,
          .serve = serve);
