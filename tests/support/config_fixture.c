/*
 * Loading from text and comparing reports.
 */
#include "config_fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config_dump.h"

FILE *config_fixture_file(const char *text, size_t len)
{
    int fd = memfd_create("config", MFD_CLOEXEC);
    FILE *file;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), (ssize_t)len);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    file = fdopen(fd, "r");
    assert_non_null(file);
    return file;
}

char *config_fixture_print(const struct config_report *report)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    config_report_print(report, out);
    assert_int_equal(fclose(out), 0);
    return text;
}

int config_fixture_try(const char *text, const char *const *sets,
                       struct config **out_config, char **out_report)
{
    struct config_report report = { .n = 0 };
    struct config_source source = { .path = "t.ini",
                                    .sets = sets,
                                    .plugins = fake_plugins };
    char *printed;
    int r;

    while (sets && sets[source.n_sets])
        source.n_sets++;
    source.file = config_fixture_file(text, strlen(text));
    r = config_load(&source, &report, out_config);
    assert_int_equal(fclose(source.file), 0);
    printed = config_fixture_print(&report);
    config_report_fini(&report);
    if (out_report) {
        *out_report = printed;
        return r;
    }
    if (r != -ENOMEM)
        assert_string_equal(printed, "");
    free(printed);
    return r;
}

struct config *config_fixture_load(const char *text, const char *const *sets)
{
    struct config *config = NULL;

    assert_int_equal(config_fixture_try(text, sets, &config, NULL), 0);
    return config;
}

void config_fixture_check_sets(const char *text, const char *const *sets,
                               const char *report)
{
    struct config *config = NULL;
    char *printed;
    int r = config_fixture_try(text, sets, &config, &printed);

    assert_string_equal(printed, report);
    assert_int_equal(r, report[0] ? -EINVAL : 0);
    if (report[0])
        assert_null(config);
    free(printed);
    config_free(config);
    assert_int_equal(fake_plugins_open(), 0);
}

void config_fixture_check(const struct config_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++)
        config_fixture_check_sets(cases[i].text, NULL, cases[i].report);
}

char *config_fixture_dump(const struct config *config)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    config_dump(config, out);
    assert_int_equal(fclose(out), 0);
    return text;
}
