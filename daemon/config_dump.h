/**
 * Writes a configuration back as a file. Any thread.
 */
#ifndef CONFIG_DUMP_H
#define CONFIG_DUMP_H

#include <stdio.h>

#include "config.h"

/**
 * Writes every section and key with its value in effect: defaults, --set, and protocols
 * that have no section of their own included. config_load() of the result gives the same
 * configuration. Errors of @out are left to ferror().
 */
void config_dump(const struct config *config, FILE *out);

#endif
