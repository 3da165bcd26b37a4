/*
 * Feeds bytes to config_load() as a file. After the first 0x1e they are a --set. What is
 * bad must be reported; what is good must come out the same of config_dump() and another
 * config_load().
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "config_dump.h"
#include "fake_plugins.h"
#include "fuzz.h"

#define SET_MARK 0x1e

/* Loads text[len], with one --set unless that is NULL. */
static int load(char *text, size_t len, const char *set, struct config **out_config)
{
    struct config_report report = { .n = 0 };
    struct config_source source = { .path = "f", .plugins = fake_plugins };
    int r;

    source.file = len > 0 ? fmemopen(text, len, "r") : fopen("/dev/null", "re");
    REQUIRE(source.file);
    if (set) {
        source.sets = &set;
        source.n_sets = 1;
    }
    r = config_load(&source, &report, out_config);
    (void)fclose(source.file);
    REQUIRE((r == 0) == !config_report_has_errors(&report) || r == -ENOMEM);
    if (r < 0 && report.n > 0)
        REQUIRE(strchr(report.errors[0].text, '\n') == NULL);
    config_report_fini(&report);
    return r;
}

static char *dump(const struct config *config, size_t *out_len)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, out_len);

    REQUIRE(out);
    config_dump(config, out);
    REQUIRE(fclose(out) == 0);
    return text;
}

static void check_round_trip(const struct config *config)
{
    struct config *again = NULL;
    size_t len, again_len;
    char *text = dump(config, &len), *again_text;

    REQUIRE(load(text, len, NULL, &again) == 0);
    again_text = dump(again, &again_len);
    REQUIRE(len == again_len && memcmp(text, again_text, len) == 0);
    free(text);
    free(again_text);
    config_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config *config = NULL;
    char *text = malloc(size + 1), *set;

    REQUIRE(text);
    memcpy(text, data, size);
    text[size] = '\0';
    set = memchr(text, SET_MARK, size);
    if (set)
        size = (size_t)(set++ - text);
    if (load(text, size, set, &config) == 0) {
        check_round_trip(config);
        config_free(config);
    }
    free(text);
    REQUIRE(fake_plugins_open() == 0);
    return 0;
}
