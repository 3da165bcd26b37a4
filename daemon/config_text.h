/**
 * A configuration as it was written: sections and their entries, each with its place,
 * before anything is known of what they mean. Any thread, one at a time.
 */
#ifndef CONFIG_TEXT_H
#define CONFIG_TEXT_H

#include <corod/base.h>

#include "config_report.h"

/** One "key = value". */
struct config_entry {
    char *key;
    char *value;
    unsigned line; /* as in struct config_place */
    bool is_set;   /* given by --set */
    bool is_bad;   /* an error was reported for it; written by the reader of the text */
};

/** One section. */
struct config_section {
    char *name;    /* as written between the brackets */
    unsigned line; /* of its first header, or number of the --set that made it */
    bool is_set;   /* it is in no file, a --set made it */
    struct config_entry *entries;
    size_t n_entries;
};

/** All zero is an empty text. */
struct config_text {
    struct config_section *sections;
    size_t n_sections;
};

/** The section of this name, or NULL. Borrowed; dies when a section is added. */
struct config_section *config_text_find(const struct config_text *text, const char *name);

/**
 * Adds an empty section.
 *
 * @out_section  borrowed; dies when another section is added
 *
 * Returns 0 or -ENOMEM.
 */
CO_MUST_CHECK int config_text_add_section(struct config_text *text, const char *name,
                                          unsigned line, bool is_set,
                                          struct config_section **out_section);

/** Appends an entry to a section. Returns 0 or -ENOMEM. */
CO_MUST_CHECK int config_section_add(struct config_section *section, const char *key,
                                     const char *value, unsigned line);

/**
 * Makes one entry by --set of all entries of this key, or of none.
 *
 * Returns 0, or -ENOMEM, which leaves the section as it was.
 */
CO_MUST_CHECK int config_section_override(struct config_section *section, const char *key,
                                          const char *value, unsigned line);

/** The first entry of this key, or NULL. Borrowed; dies when the section changes. */
struct config_entry *config_section_find(const struct config_section *section,
                                         const char *key);

/** The place of a section; @file is what its text was read from. */
struct config_place config_section_place(const struct config_section *section,
                                         const char *file);

/** The place of an entry. */
struct config_place config_entry_place(const struct config_section *section,
                                       const struct config_entry *entry,
                                       const char *file);

/** Frees all sections and makes the text empty. */
void config_text_fini(struct config_text *text);

#endif
