/**
 * Loads configurations from text for tests, with the fake plugins. The file is "t.ini" in
 * messages.
 */
#ifndef CONFIG_FIXTURE_H
#define CONFIG_FIXTURE_H

#include "fake_plugins.h"
#include "test.h"

/** A section that makes a configuration whole, for tests of other sections; 3 lines. */
#define A_LISTENER "[listener:a]\naddress = 127.0.0.1:7000\nprotocol = hello\n"

/** A text and the whole report that it must give. A config without errors gives "". */
struct config_case {
    const char *text;
    const char *report;
};

/** An anonymous file of these bytes, at its start; the caller closes it. */
FILE *config_fixture_file(const char *text, size_t len);

/**
 * Loads @text and the sets (ends with NULL; may be NULL).
 *
 * @out_report  the printed report, for free(); NULL: the report must be empty
 */
int config_fixture_try(const char *text, const char *const *sets,
                       struct config **out_config, char **out_report);

/** Loads what must be good. */
struct config *config_fixture_load(const char *text, const char *const *sets);

/** Loads each case and compares its report; no plugin may stay open. */
void config_fixture_check(const struct config_case *cases, size_t n);

/** As config_fixture_check(), of one text and --set list. */
void config_fixture_check_sets(const char *text, const char *const *sets,
                               const char *report);

/** A report as it is printed; for free(). */
char *config_fixture_print(const struct config_report *report);

/** What config_dump() writes; for free(). */
char *config_fixture_dump(const struct config *config);

#endif
