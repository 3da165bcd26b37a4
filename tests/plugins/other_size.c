/*
 * other_size: knows a field more than this corod.
 */
#include <corod/plugin.h>

static enum co_next serve(struct co_conn *conn)
{
    (void)conn;
    return CO_CLOSE;
}

struct later_plugin {
    struct co_plugin plugin;
    void (*later)(void);
};

CO_API extern const struct later_plugin corod_plugin;
const struct later_plugin corod_plugin = { .plugin = { .abi = CO_PLUGIN_ABI,
                                                       .size =
                                                           sizeof(struct later_plugin),
                                                       .name = "other_size",
                                                       .version = "1.0",
                                                       .serve = serve } };
