/**
 * Makes a configuration of its text: fills the structs by the option tables, opens
 * plugins, and checks what concerns more than one key. Any thread, one at a time.
 */
#ifndef CONFIG_BUILD_H
#define CONFIG_BUILD_H

#include "config.h"
#include "config_text.h"

/**
 * Builds a configuration. All errors go to the report; the configuration is of use only
 * when there are none.
 *
 * @text        its entries are marked bad where an error is reported
 * @out_config  owned by the caller; config_free() ends it, with errors too
 *
 * Returns 0 also when there are errors, or -ENOMEM.
 */
CO_MUST_CHECK int config_build(const struct config_source *source,
                               struct config_text *text, struct config_report *report,
                               struct config **out_config);

#endif
