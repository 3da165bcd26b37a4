/*
 * other_abi: built for a plugin ABI that is not this one.
 */
#include <corod/plugin.h>

static enum co_next serve(struct co_conn *conn)
{
    (void)conn;
    return CO_CLOSE;
}

CO_API extern const struct co_plugin corod_plugin;
const struct co_plugin corod_plugin = { .abi = CO_PLUGIN_ABI + 1,
                                        .size = sizeof(struct co_plugin),
                                        .name = "other_abi",
                                        .version = "1.0",
                                        .serve = serve };
