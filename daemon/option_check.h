/**
 * Checks option tables that somebody else wrote, before they are used: a wrong offset in
 * a plugin's table must end in a message, not in a crash. Any thread.
 */
#ifndef OPTION_CHECK_H
#define OPTION_CHECK_H

#include <corod/option.h>

/**
 * Checks each row: key, no key twice, type, names, default within the range, and a field
 * that is aligned and within a struct of @size bytes.
 *
 * @options  ends with a NULL key; NULL is a table without rows
 * @err      shape: err[OPTION_ERR_MAX]; the first flaw, written on -EINVAL only
 *
 * Returns 0, -EINVAL, or -ENOMEM.
 */
CO_MUST_CHECK int option_check_table(const struct co_option *options, size_t size,
                                     char *err);

#endif
