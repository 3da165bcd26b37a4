/**
 * Values of struct co_option tables: read from text, defaulted, compared, written back as
 * text, freed. Knows neither files nor sections. Any thread.
 */
#ifndef OPTION_H
#define OPTION_H

#include <stdio.h>

#include <corod/option.h>

/** Space for any message of this module, NUL included. */
#define OPTION_ERR_MAX 256

/**
 * Reads one value into its field of the struct at @base. A STRING replaces the one
 * before, a LIST appends.
 *
 * @text  without blanks around it
 * @err   shape: err[OPTION_ERR_MAX]; what is wrong with the value, without the key's
 * name:
 *        "\"abc\" is not a number"; written on -EINVAL only
 *
 * Returns 0, -EINVAL, or -ENOMEM. The field is untouched on failure.
 */
CO_MUST_CHECK int option_parse(const struct co_option *option, const char *text,
                               void *base, char *err);

/** As option_parse(), of the option's default; without one the field keeps its zero. */
CO_MUST_CHECK int option_set_default(const struct co_option *option, void *base,
                                     char *err);

/** Frees strings and lists of the struct at @base and makes them empty. */
void option_free_all(const struct co_option *options, void *base);

/** Whether the option has the same value in two structs. */
bool option_equal(const struct co_option *option, const void *a, const void *b);

/**
 * Writes a value in the form that option_parse() reads, with the largest unit that is
 * exact. List items are joined by ", "; an unset string is written as nothing.
 */
void option_write(const struct co_option *option, const void *base, FILE *out);

/**
 * Writes a number of the option's type and unit into buf[size]: 65536 as "64k".
 *
 * Returns buf.
 */
const char *option_format_number(const struct co_option *option, uint64_t value,
                                 char *buf, size_t size);

/** The list field of a CO_OPT_LIST option. */
const struct co_strings *option_list(const struct co_option *option, const void *base);

/** The text of a CO_OPT_STRING option, or NULL. */
const char *option_string(const struct co_option *option, const void *base);

/** The option named @key, or NULL. @options may be NULL. */
const struct co_option *option_find(const struct co_option *options, const char *key);

#endif
