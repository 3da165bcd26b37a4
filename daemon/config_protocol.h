/**
 * Protocols of a configuration: their plugin and its options. Thread: that of the build.
 */
#ifndef CONFIG_PROTOCOL_H
#define CONFIG_PROTOCOL_H

#include "config_fill.h"

/**
 * Appends the protocol of a section to the configuration, which has room for it. When an
 * error is reported it may lack its plugin.
 *
 * Returns 0 or -ENOMEM; config_protocol_fini() frees what was made in both cases.
 */
CO_MUST_CHECK int config_protocol_build(struct config_builder *b,
                                        struct config_section *section, const char *name);

/**
 * Appends a protocol that has no section: the plugin of this name with its defaults. When
 * an error is reported nothing may be appended.
 *
 * @place  of the key that asks for it, for errors
 *
 * Returns as config_protocol_build().
 */
CO_MUST_CHECK int config_protocol_build_implicit(struct config_builder *b,
                                                 const char *name,
                                                 const struct config_place *place);

/** The protocol of this name, or NULL. */
struct config_protocol *config_protocol_find(const struct config *config,
                                             const char *name);

/** Frees what a protocol holds, and closes its plugin; takes a half-built one. */
void config_protocol_fini(const struct config_plugins *plugins,
                          struct config_protocol *protocol);

#endif
