/**
 * What the builders of a configuration share: the state of one build, the kinds of
 * sections, and the filling of a struct from the entries of a section. Any thread, one at
 * a time.
 */
#ifndef CONFIG_FILL_H
#define CONFIG_FILL_H

#include "config.h"
#include "config_text.h"

/** Longest NAME of a [listener:NAME], bytes. */
#define CONFIG_NAME_MAX 40

/** An address that a listener has, and where it was given. */
struct config_taken {
    const struct config_section *section;
    struct config_place place;
    struct co_addr addr;
};

/** One build. Nothing is added to the text any more, so its sections and entries stay. */
struct config_builder {
    const struct config_source *source;
    struct config_text *text;
    struct config_report *report;
    struct config *config;
    struct config_taken *taken; /* addresses of the listeners so far */
    size_t n_taken;
};

/** Kinds of sections. */
enum config_kind {
    CONFIG_SERVER,
    CONFIG_LISTENER,
    CONFIG_PROTOCOL,
    CONFIG_N_KINDS, /* none of them */
};

/** What a kind is called, how its header is written, and its keys. */
struct config_kind_info {
    const char *name;
    const char *form;
    const struct co_option *table;
};

extern const struct config_kind_info config_kinds[CONFIG_N_KINDS];

/** Whether a listener or protocol may have this name. */
bool config_fill_is_name(const char *name);

/** The first entry of @key when it is there and no error was reported for it, or NULL. */
struct config_entry *config_fill_good(const struct config_section *section,
                                      const char *key);

/** Whether an error was reported for the entry of @key. */
bool config_fill_is_bad(const struct config_section *section, const char *key);

/** Reports the keys of a section that neither table knows. Either table may be NULL. */
void config_fill_check_keys(struct config_builder *b,
                            const struct config_section *section,
                            const struct co_option *own, const struct co_option *plugins);

/**
 * Fills a zeroed struct from the entries of a section, with defaults where there is none.
 * Bad values are reported, and leave their field zero.
 *
 * @section  NULL: defaults alone
 * @table    describes the struct at @base; NULL: no keys
 *
 * Returns 0, also when values are bad, or -ENOMEM. Strings in the struct are the
 * caller's: option_free_all().
 */
CO_MUST_CHECK int config_fill_options(struct config_builder *b,
                                      struct config_section *section,
                                      const struct co_option *table, void *base);

#endif
