/* Tests of daemon/loader.c: plugins on disk. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader.h"

struct fixture {
    const struct co_plugin *plugin;
    void *handle;
    char err[4096];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    setenv("COROD_PLUGIN_PATH", TEST_PLUGINS, 1);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    unsetenv("COROD_PLUGIN_PATH");
    if (f->handle)
        loader_plugins.close(NULL, f->handle);
    free(f);
    return 0;
}

static int open_plugin(struct fixture *f, const char *name)
{
    return loader_plugins.open(NULL, name, &f->plugin, &f->handle, f->err,
                               sizeof(f->err));
}

/* Whether the test plugin @name is loaded, as the kernel sees it. */
static bool is_mapped(const char *name)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[1024], file[300];
    bool found = false;

    assert_non_null(maps);
    (void)snprintf(file, sizeof(file), TEST_PLUGINS "/%s.so", name);
    while (fgets(line, sizeof(line), maps))
        found = found || strstr(line, file);
    (void)fclose(maps);
    return found;
}

/* A bare name is looked for in each folder of COROD_PLUGIN_PATH. */
static void test_open_finds_a_bare_name_in_the_path(void **state)
{
    static const char *const paths[] = {
        TEST_PLUGINS,
        "/nonexistent:" TEST_PLUGINS,
        ":" TEST_PLUGINS ":",
        "::/nonexistent/::" TEST_PLUGINS ":/tmp",
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < N_ELEMENTS(paths); i++) {
        setenv("COROD_PLUGIN_PATH", paths[i], 1);
        assert_int_equal(open_plugin(f, "greet"), 0);
        assert_string_equal(f->plugin->name, "greet");
        loader_close(NULL, f->handle);
        f->handle = NULL;
    }
}

/* A name with a '/' is a path, whatever COROD_PLUGIN_PATH says. */
static void test_open_takes_a_path_as_it_is(void **state)
{
    struct fixture *f = *state;

    unsetenv("COROD_PLUGIN_PATH");
    assert_int_equal(open_plugin(f, TEST_PLUGINS "/greet.so"), 0);
    assert_string_equal(f->plugin->name, "greet");
    assert_string_equal(f->err, "");
}

/* A plugin stays loaded until it is closed as often as it was opened. */
static void test_close_unloads_with_the_last(void **state)
{
    struct fixture *f = *state;
    const struct co_plugin *plugin;
    void *first;

    assert_int_equal(open_plugin(f, "greet"), 0);
    first = f->handle;
    plugin = f->plugin;
    assert_int_equal(open_plugin(f, "greet"), 0);
    assert_ptr_equal(f->plugin, plugin);
    loader_close(NULL, first);
    assert_true(is_mapped("greet"));
    assert_string_equal(plugin->name, "greet");
    loader_close(NULL, f->handle);
    f->handle = NULL;
#ifndef __SANITIZE_THREAD__
    assert_false(is_mapped("greet"));
#endif
}

/* What is no usable plugin is refused, not kept, and the message says why. */
static void test_open_refuses(void **state)
{
    static const struct {
        const char *name;
        int error;
        const char *message;
    } cases[] = {
        { "absent", -ENOENT,
          "no plugin \"absent\": there is no absent.so in " TEST_PLUGINS ":" },
        { "/nonexistent/x.so", -ENOENT, "/nonexistent/x.so: No such file or directory" },
        { "no_symbol", -EPROTO,
          "/no_symbol.so: not a corod plugin (no symbol corod_plugin)" },
        { "other_abi", -EPROTO,
          "/other_abi.so: built for plugin ABI 2, this corod has 1" },
        { "other_size", -EPROTO, "/other_size.so: built for a later corod" },
        { "no_serve", -EPROTO, "/no_serve.so: has no name, version or serve function" },
        { "no_options_size", -EPROTO,
          "/no_options_size.so: has options but no options_size" },
        { TEST_PLUGINS, -ENOEXEC, "" },
        { "/dev/null", -ENOEXEC, "/dev/null" },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        assert_int_equal(open_plugin(f, cases[i].name), cases[i].error);
        if (!strstr(f->err, cases[i].message))
            fail_msg("%s: \"%s\"", cases[i].name, f->err);
        assert_null(f->plugin);
        assert_null(f->handle);
    }
    assert_false(is_mapped("no_symbol"));
}

/* Without COROD_PLUGIN_PATH the installed folder alone is named. */
static void test_open_names_the_installed_folder(void **state)
{
    struct fixture *f = *state;

    unsetenv("COROD_PLUGIN_PATH");
    assert_int_equal(open_plugin(f, "absent"), -ENOENT);
    assert_string_equal(
        f->err, "no plugin \"absent\": there is no absent.so in " COROD_PLUGIN_DIR);
}

/* A path that no file can have is refused with the reason, a bare one is just not found. */
static void test_open_of_a_name_too_long(void **state)
{
    struct fixture *f = *state;
    char name[3000];

    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(open_plugin(f, name), -ENOENT);
    name[0] = '/';
    assert_int_equal(open_plugin(f, name), -ENOENT);
    assert_non_null(strstr(f->err, ": File name too long"));
}

/* A message that does not fit is cut. */
static void test_open_cuts_its_message(void **state)
{
    struct fixture *f = *state;

    memset(f->err, '#', sizeof(f->err));
    assert_int_equal(loader_open(NULL, "absent", &f->plugin, &f->handle, f->err, 10),
                     -ENOENT);
    assert_string_equal(f->err, "no plugin");
    assert_int_equal(f->err[10], '#');
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_open_finds_a_bare_name_in_the_path),
        TEST(test_open_takes_a_path_as_it_is),
        TEST(test_close_unloads_with_the_last),
        TEST(test_open_refuses),
        TEST(test_open_names_the_installed_folder),
        TEST(test_open_of_a_name_too_long),
        TEST(test_open_cuts_its_message),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
