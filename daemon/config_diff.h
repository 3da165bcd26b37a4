/**
 * What a reload cannot do: the differences of two configurations that wait for a restart.
 * Any thread.
 */
#ifndef CONFIG_DIFF_H
#define CONFIG_DIFF_H

#include "config.h"

/** Takes one message, without '\n'; it dies when this returns. */
typedef void (*config_diff_fn)(void *ctx, const char *message);

/**
 * Calls @fn for each key with CO_OPT_RESTART whose value differs, and for each listener
 * that was added, removed or renamed: "[listener:web] address: takes effect at the next
 * restart". Keys of plugins are compared where both configurations have the same plugin
 * loaded.
 */
void config_diff(const struct config *before, const struct config *after,
                 config_diff_fn fn, void *ctx);

#endif
