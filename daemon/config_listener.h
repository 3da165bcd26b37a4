/**
 * Listeners of a configuration: their limits, addresses and protocol. Thread: that of the
 * build.
 */
#ifndef CONFIG_LISTENER_H
#define CONFIG_LISTENER_H

#include "config_fill.h"

/**
 * Appends the listener of a section to the configuration, which has room for it, and for
 * a protocol that has no section of its own.
 *
 * Returns 0, also when errors were reported, or -ENOMEM; config_listener_fini() frees
 * what was made in both cases.
 */
CO_MUST_CHECK int config_listener_build(struct config_builder *b,
                                        struct config_section *section, const char *name);

/** Frees what a listener holds; takes a half-built one. */
void config_listener_fini(struct config_listener *listener);

#endif
