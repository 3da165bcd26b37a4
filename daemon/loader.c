/*
 * Plugins on disk.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader.h"

enum { PATH_BYTES = 2048 };

const struct config_plugins loader_plugins = { .open = loader_open,
                                               .close = loader_close };

/* Writes DIR/NAME.so for the first folder of @path that has it. Returns whether one has. */
static bool find_in(const char *path, const char *name, char *file, size_t size)
{
    while (*path) {
        size_t len = strcspn(path, ":");

        if (len > 0 &&
            snprintf(file, size, "%.*s/%s.so", (int)len, path, name) < (int)size &&
            access(file, F_OK) == 0)
            return true;
        path += len + (path[len] == ':');
    }
    return false;
}

/* Finds the file of a plugin. Returns 0, or -ENOENT with err. */
static int find(const char *name, char *file, size_t size, char *err, size_t err_size)
{
    const char *extra = secure_getenv("COROD_PLUGIN_PATH");

    if (strchr(name, '/')) {
        errno = ENAMETOOLONG;
        if (snprintf(file, size, "%s", name) < (int)size && access(file, F_OK) == 0)
            return 0;
        snprintf(err, err_size, "%s: %s", name, strerror(errno));
        return -ENOENT;
    }
    if (extra && find_in(extra, name, file, size))
        return 0;
    if (find_in(COROD_PLUGIN_DIR, name, file, size))
        return 0;
    snprintf(err, err_size, "no plugin \"%s\": there is no %s.so in %s%s%s", name, name,
             extra ? extra : "", extra ? ":" : "", COROD_PLUGIN_DIR);
    return -ENOENT;
}

/* Whether what was loaded is a plugin that this daemon can use; says in err why not. */
static bool check(const char *file, const struct co_plugin *plugin, char *err,
                  size_t err_size)
{
    if (!plugin)
        snprintf(err, err_size, "%s: not a corod plugin (no symbol %s)", file,
                 CO_PLUGIN_SYMBOL);
    else if (plugin->abi != CO_PLUGIN_ABI)
        snprintf(err, err_size, "%s: built for plugin ABI %u, this corod has %u", file,
                 plugin->abi, CO_PLUGIN_ABI);
    else if (plugin->size > sizeof(*plugin))
        snprintf(err, err_size, "%s: built for a later corod", file);
    else if (plugin->size < sizeof(*plugin))
        snprintf(err, err_size, "%s: built for an earlier corod", file);
    else if (!plugin->name || !plugin->version || !plugin->serve)
        snprintf(err, err_size, "%s: has no name, version or serve function", file);
    else if (plugin->options && plugin->options_size == 0)
        snprintf(err, err_size, "%s: has options but no options_size", file);
    else
        return true;
    return false;
}

int loader_open(void *ctx, const char *name, const struct co_plugin **out_plugin,
                void **out_handle, char *err, size_t err_size)
{
    char file[PATH_BYTES];
    const struct co_plugin *plugin;
    void *handle;
    int r = find(name, file, sizeof(file), err, err_size);

    (void)ctx;
    if (r < 0)
        return r;
    handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        snprintf(err, err_size, "%s", dlerror());
        return -ENOEXEC;
    }
    plugin = dlsym(handle, CO_PLUGIN_SYMBOL);
    if (!check(file, plugin, err, err_size)) {
        dlclose(handle);
        return -EPROTO;
    }
    *out_plugin = plugin;
    *out_handle = handle;
    return 0;
}

void loader_close(void *ctx, void *handle)
{
    (void)ctx;
    dlclose(handle);
}
