/**
 * Plugins for tests of the configuration: a table in place of shared objects.
 */
#ifndef FAKE_PLUGINS_H
#define FAKE_PLUGINS_H

#include "config.h"

/** Values of the plugin "hello". */
struct fake_hello {
    char *text;
    uint64_t times;
};

/** Values of the plugin "files". */
struct fake_files {
    char *root;
    struct co_strings index;
    uint64_t cache;
    co_time pause;
    int mode;
    bool trace;
};

/**
 * Opens "hello" (no required key), "files" (needs "root") and "plain" (no keys at all).
 * "flawed" has a bad option table, "greedy" a key of the daemon's, "old" another ABI,
 * "starved" fails for want of memory; others are not found.
 */
extern const struct config_plugins fake_plugins;

/** Plugins that are open now. */
unsigned fake_plugins_open(void);

#endif
