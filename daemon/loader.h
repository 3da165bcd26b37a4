/*
 * Plugins on disk: found, opened and checked. The only file that loads code.
 *
 * Thread: the supervisor's.
 */
#ifndef LOADER_H
#define LOADER_H

#include <corod/plugin.h>

#include "config.h"

/*
 * Opens a plugin: `struct config_plugins.open`. A bare NAME is NAME.so in a folder of
 * COROD_PLUGIN_PATH (colon-separated, ignored in set-uid programs), then in the installed
 * plugins' folder; a name with '/' is a path.
 *
 * Returns 0, or -ENOENT, -ENOEXEC, -EPROTO (not a plugin, or one of another ABI), with err
 * saying what is wrong.
 */
int loader_open(void *ctx, const char *name, const struct co_plugin **out_plugin,
                void **out_handle, char *err, size_t err_size);

/* Closes it: `struct config_plugins.close`. Nothing of the plugin may run any more. */
void loader_close(void *ctx, void *handle);

/* The two as config_load() takes them. */
extern const struct config_plugins loader_plugins;

#endif
