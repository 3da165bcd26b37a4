/*
 * The table of fake plugins, and an opener that counts.
 */
#include "fake_plugins.h"

#include <errno.h>
#include <string.h>

static unsigned n_open;

static enum co_next serve_nothing(struct co_conn *conn)
{
    (void)conn;
    return CO_CLOSE;
}

static const struct co_option hello_options[] = {
    { "text", CO_OPT_STRING, offsetof(struct fake_hello, text), .def = "hello",
      .flags = CO_OPT_RESTART, .help = "What is said." },
    { "times", CO_OPT_UINT, offsetof(struct fake_hello, times), .def = "1", .min = 1,
      .max = 10, .help = "How often." },
    { .key = NULL },
};

static const char *const modes[] = { "read", "write", NULL };

static const struct co_option files_options[] = {
    { "root", CO_OPT_STRING, offsetof(struct fake_files, root), .flags = CO_OPT_REQUIRED,
      .help = "The folder." },
    { "index", CO_OPT_LIST, offsetof(struct fake_files, index), .def = "a.html,b.html",
      .help = "What a folder shows." },
    { "cache", CO_OPT_SIZE, offsetof(struct fake_files, cache), .def = "1m",
      .help = "Bytes kept." },
    { "pause", CO_OPT_DURATION, offsetof(struct fake_files, pause), .help = "Wait." },
    { "mode", CO_OPT_ENUM, offsetof(struct fake_files, mode), .names = modes,
      .help = "What is allowed." },
    { "trace", CO_OPT_BOOL, offsetof(struct fake_files, trace), .help = "Say more." },
    { .key = NULL },
};

static const struct co_option flawed_options[] = {
    { "far", CO_OPT_UINT, 8, .help = "Outside." },
    { .key = NULL },
};

static const struct co_option greedy_options[] = {
    { "plugin", CO_OPT_UINT, 0, .help = "Taken." },
    { .key = NULL },
};

#define PLUGIN(plugin_name, ...)                                                       \
    {                                                                                  \
        .abi = CO_PLUGIN_ABI, .size = sizeof(struct co_plugin), .name = (plugin_name), \
        .version = "1.0", .serve = serve_nothing, __VA_ARGS__                          \
    }

static const struct co_plugin table[] = {
    PLUGIN("hello", .options = hello_options, .options_size = sizeof(struct fake_hello)),
    PLUGIN("files", .options = files_options, .options_size = sizeof(struct fake_files)),
    PLUGIN("plain", .options = NULL),
    PLUGIN("flawed", .options = flawed_options, .options_size = 8),
    PLUGIN("greedy", .options = greedy_options, .options_size = 8),
};

static int open_fake(void *ctx, const char *name, const struct co_plugin **out_plugin,
                     void **out_handle, char *err, size_t err_size)
{
    (void)ctx;
    if (strcmp(name, "starved") == 0)
        return -ENOMEM;
    if (strcmp(name, "old") == 0) {
        (void)snprintf(err, err_size, "old.so: has plugin ABI 7, needs %u",
                       CO_PLUGIN_ABI);
        return -EINVAL;
    }
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (strcmp(name, table[i].name) == 0) {
            n_open++;
            *out_plugin = &table[i];
            *out_handle = &n_open;
            return 0;
        }
    }
    (void)snprintf(err, err_size, "%.64s.so: not found", name);
    return -ENOENT;
}

static void close_fake(void *ctx, void *handle)
{
    unsigned *count = handle;

    (void)ctx;
    (*count)--;
}

const struct config_plugins fake_plugins = { .open = open_fake, .close = close_fake };

unsigned fake_plugins_open(void)
{
    return n_open;
}
