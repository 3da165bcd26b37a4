/**
 * The errors of one reading of the configuration, collected so that all of them are shown
 * at once, in the order of the file. Any thread, one at a time.
 */
#ifndef CONFIG_REPORT_H
#define CONFIG_REPORT_H

#include <stdio.h>

#include <corod/base.h>

/** Errors that are kept; those after them are counted. */
#define CONFIG_REPORT_MAX 100

/** Where something was written. Texts are borrowed. */
struct config_place {
    const char *file; /* as the user named it; NULL: given by --set */
    unsigned line;    /* from 1; 0: the file as a whole; for --set: its number, from 1 */
    const char *section; /* without brackets; NULL: none */
    const char *key;     /* NULL: none, or the section as a whole */
};

/** One error. */
struct config_error {
    char *text;
    unsigned order; /* errors are shown by this, then in the order they were found */
};

/** All zero is an empty report. */
struct config_report {
    struct config_error errors[CONFIG_REPORT_MAX];
    size_t n;
    size_t n_more; /* found, but not kept */
};

/**
 * Adds an error: "FILE:LINE: [section] key: " or "--set section.key: ", then the message.
 * An error that cannot be kept, also for want of memory, is counted.
 */
void config_report_add(struct config_report *report, const struct config_place *place,
                       const char *fmt, ...) CO_PRINTF(3, 4);

/** Whether anything is wrong. */
bool config_report_has_errors(const struct config_report *report);

/** Writes one error a line, then "… and N more" if some were not kept. */
void config_report_print(const struct config_report *report, FILE *out);

/** Frees the errors and makes the report empty. */
void config_report_fini(struct config_report *report);

#endif
