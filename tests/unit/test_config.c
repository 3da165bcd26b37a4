/*
 * Tests of config.c: what the reader makes of a file line by line, --set, and loading as a
 * whole.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_fixture.h"
#include "fault.h"

/* A line of 198 bytes, as it ends up in the file, is the longest. */
#define A_50       "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeee"
#define VALUE_191  A_50 A_50 A_50 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddz"
#define LINE_198   "text = " VALUE_191
#define HELLO_PART A_LISTENER "[protocol:hello]\nplugin = hello\n"

static char *make_path(void)
{
    const char *folder = getenv("TMPDIR");
    char *path = NULL;

    assert_true(asprintf(&path, "%s/corod-config-XXXXXX", folder ? folder : "/tmp") > 0);
    return path;
}

static void check_path(const char *path, const char *expected)
{
    struct config_source source = { .path = path, .plugins = fake_plugins };
    struct config_report report = { .n = 0 };
    struct config *config = NULL;
    char *text = NULL;

    assert_int_equal(config_load(&source, &report, &config), expected ? -EINVAL : 0);
    assert_int_equal(report.n, expected ? 1 : 0);
    if (expected) {
        assert_true(asprintf(&text, "%s: %s", path, expected) > 0);
        assert_string_equal(report.errors[0].text, text);
        assert_null(config);
    }
    free(text);
    config_report_fini(&report);
    config_free(config);
}

/* A file is opened by its path; without one there is one error, and no talk of listeners. */
static void test_config_load_opens_the_path(void **state)
{
    char *path = make_path();
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, A_LISTENER, strlen(A_LISTENER)), strlen(A_LISTENER));
    assert_int_equal(close(fd), 0);
    check_path(path, NULL);
    if (geteuid() != 0) {
        assert_int_equal(chmod(path, 0), 0);
        check_path(path, "Permission denied");
    } else {
        print_message("unreadable file not tested: root reads all\n");
    }
    assert_int_equal(unlink(path), 0);
    check_path(path, "No such file or directory");
    assert_int_equal(mkdir(path, 0700), 0);
    check_path(path, "Is a directory");
    assert_int_equal(rmdir(path), 0);
    free(path);
}

/* A file that never ends is given up. */
static void test_config_load_gives_up_endless_files(void **state)
{
    struct config_report report = { .n = 0 };
    struct config_source source = { .path = "/dev/zero", .plugins = fake_plugins };
    struct config *config;
    size_t size = 0;
    char *text = NULL;
    FILE *out = open_memstream(&text, &size);

    (void)state;
    assert_int_equal(config_load(&source, &report, &config), -EINVAL);
    assert_string_equal(report.errors[0].text,
                        "/dev/zero:1: more than 10000 lines or 1048576 bytes, "
                        "the rest is not read");
    assert_int_equal(report.n, 1);
    config_report_fini(&report);

    for (int i = 0; i < 9997; i++)
        (void)fputc('\n', out);
    (void)fputs(A_LISTENER, out);
    (void)fflush(out);
    config_fixture_check_sets(text, NULL, "");
    (void)fputs(";", out);
    (void)fclose(out);
    config_fixture_check_sets(text, NULL,
                              "t.ini:10001: more than 10000 lines or 1048576 bytes, "
                              "the rest is not read\n");
    free(text);
}

/* What is no section, no comment and no key is reported with its line. */
static void test_config_load_reports_bad_lines(void **state)
{
    static const struct config_case cases[] = {
        { A_LISTENER "idle_timeout\n", "t.ini:4: no '=' in this line\n" },
        { A_LISTENER "idle_timeout ; = 3s\n", "t.ini:4: no '=' in this line\n" },
        { A_LISTENER "idle_timeout", "t.ini:4: no '=' in this line\n" },
        { A_LISTENER "= 5s\n", "t.ini:4: no key before '='\n" },
        { A_LISTENER "[server\nworkers = x\n",
          "t.ini:4: no ']' after the section's name\n" },
        { A_LISTENER "[server] workers = 2\n", "t.ini:4: [server]: text after ']'\n" },
        { "workers = 2\npin_workers = yes\n" A_LISTENER,
          "t.ini:1: key \"workers\" before the first section\n" },
        { HELLO_PART LINE_198 "z\n[server]\nworkers = -\n",
          "t.ini:6: longer than 198 bytes; a list may be continued: repeat the key\n"
          "t.ini:8: [server] workers: \"-\" is not a number or auto\n" },
        { A_LISTENER "address = 127.0.0.1:1, 127.0.0.1:1 ; " A_50 A_50 A_50 A_50,
          "t.ini:4: longer than 198 bytes; a list may be continued: repeat the key\n" },
        { A_LISTENER "[server]\nworkers = 1\n[listener:a]\n",
          "t.ini:6: [listener:a]: is there twice, first at line 1\n" },
    };

    (void)state;
    config_fixture_check(cases, N_ELEMENTS(cases));
}

/* What other editors and habits leave in a file does no harm. */
static void test_config_load_accepts_variants(void **state)
{
    static const struct config_case cases[] = {
        { A_LISTENER, "" },
        { "[listener:a]\r\naddress = 127.0.0.1:7000\r\nprotocol = hello\r\n", "" },
        { "\xef\xbb\xbf" A_LISTENER, "" },
        { "\xef\xbb\xbf; comment\n" A_LISTENER, "" },
        { " [ listener:a ] ; comment\n\taddress = 127.0.0.1:7000\n  protocol=hello", "" },
        { "[listener:a] # comment\naddress: 127.0.0.1:7000\nprotocol = hello ; comment",
          "" },
        { "# comment\n\n;\n \t\n" A_LISTENER "\n;", "" },
        { HELLO_PART LINE_198 "\n", "" },
        { HELLO_PART LINE_198 "\r\n", "" },
        { HELLO_PART LINE_198, "" },
        { A_LISTENER "[server]", "" },
    };

    (void)state;
    config_fixture_check(cases, N_ELEMENTS(cases));
}

/* The longest line arrives whole, and a value that begins with ';' is no comment. */
static void test_config_load_keeps_values_whole(void **state)
{
    struct config *config = config_fixture_load(HELLO_PART LINE_198 "\r\n", NULL);
    const struct fake_hello *hello = config->protocols[0].options;

    (void)state;
    assert_string_equal(hello->text, VALUE_191);
    config_free(config);
    config = config_fixture_load(HELLO_PART "text =;a;b = c ; d\n", NULL);
    hello = config->protocols[0].options;
    assert_string_equal(hello->text, ";a;b = c");
    config_free(config);
}

/* A NUL byte is found, although it would hide the rest of its line. */
static void test_config_load_reports_nul_bytes(void **state)
{
    static const char text[] =
        A_LISTENER "idle_timeout = 5s\0m\n[server]\n\0\nworkers = 0\n";
    struct config_report report = { .n = 0 };
    struct config_source source = { .path = "t.ini", .plugins = fake_plugins };
    struct config *config;

    (void)state;
    source.file = config_fixture_file(text, sizeof(text) - 1);
    assert_int_equal(config_load(&source, &report, &config), -EINVAL);
    assert_int_equal(fclose(source.file), 0);
    assert_int_equal(report.n, 2);
    assert_string_equal(report.errors[0].text, "t.ini:4: has a NUL byte");
    assert_string_equal(report.errors[1].text, "t.ini:6: has a NUL byte");
    config_report_fini(&report);
}

/* --set overrides the file, makes sections, and replaces lists; the last one wins. */
static void test_config_load_applies_sets(void **state)
{
    static const char *const sets[] = {
        "server.workers=2",
        "listener:a.address = [::1]:1, [::1]:2 ",
        "listener:b.c.address=127.0.0.1:3",
        "listener:b.c.protocol=files",
        "protocol:files.plugin=files",
        "protocol:files.root=/a.b=c",
        "server.workers=3",
        NULL,
    };
    struct config *config = config_fixture_load(
        "[server]\nworkers = abc\nworkers = 4\n" A_LISTENER "address = 127.0.0.1:9\n",
        sets);

    (void)state;
    assert_int_equal(config->server.workers, 3);
    assert_int_equal(config->n_listeners, 2);
    assert_int_equal(config->listeners[0].n_addrs, 2);
    assert_string_equal(config->listeners[0].opt.address.items[1], "[::1]:2");
    assert_int_equal(config->listeners[0].line, 4);
    assert_string_equal(config->listeners[1].name, "b.c");
    assert_int_equal(config->listeners[1].line, 0);
    assert_string_equal(((struct fake_files *)config->protocols[0].options)->root,
                        "/a.b=c");
    config_free(config);
}

/* What is wrong with a --set is said with its name. */
static void test_config_load_reports_bad_sets(void **state)
{
    static const struct {
        const char *set, *report;
    } cases[] = {
        { "server.workers", "--set server.workers: is not SECTION.KEY=VALUE\n" },
        { "workers=2", "--set workers=2: is not SECTION.KEY=VALUE\n" },
        { ".workers=2", "--set .workers=2: is not SECTION.KEY=VALUE\n" },
        { "server.=2", "--set server.=2: is not SECTION.KEY=VALUE\n" },
        { "", "--set : is not SECTION.KEY=VALUE\n" },
        { "server.workers=2\n3", "--set server.workers: has a control character\n" },
        { "server.workers=2 ; 3", "--set server.workers: has a comment: \" ;\"\n" },
        { "server.text=" LINE_198, "--set server.text: is longer than a line of the file "
                                   "may be\n" },
        { "server.workers=", "--set server.workers: has no value\n" },
        { "server.workers=x", "--set server.workers: \"x\" is not a number or auto\n" },
        { "server.wrokers=1", "--set server.wrokers: unknown key \"wrokers\", "
                              "did you mean \"workers\"?\n" },
        { "sever.workers=1", "--set sever: unknown section, did you mean [server]?\n" },
        { "listener:b.protocol=hello", "--set listener:b.address: is required\n" },
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        const char *const sets[] = { cases[i].set, NULL };

        config_fixture_check_sets(A_LISTENER, sets, cases[i].report);
    }
}

/* One run shows the errors of all parts, in the order of the file. */
static void test_config_load_reports_all_at_once(void **state)
{
    static const char *const sets[] = { "server.log_level=loud", NULL };

    (void)state;
    config_fixture_check_sets(
        "[server]\n"
        "workers = abc\n"
        "drain_timeout\n"
        "[listener:web]\n"
        "address = localhost:80\n"
        "idle_timeot = 5s\n"
        "protocol = fles\n"
        "[protocol:files]\n"
        "plugin = files\n"
        "cache = 1x\n"
        "[extra]\n",
        sets,
        "t.ini:2: [server] workers: \"abc\" is not a number or auto\n"
        "t.ini:3: no '=' in this line\n"
        "t.ini:5: [listener:web] address: \"localhost:80\" is not an address "
        "(HOST:PORT, [HOST]:PORT, *:PORT, unix:PATH, unix:@NAME)\n"
        "t.ini:6: [listener:web]: unknown key \"idle_timeot\", did you mean "
        "\"idle_timeout\"?\n"
        "t.ini:7: [listener:web] protocol: no section [protocol:fles], did you mean "
        "\"files\"? And as a plugin: fles.so: not found\n"
        "t.ini:8: [protocol:files] root: is required\n"
        "t.ini:10: [protocol:files] cache: \"1x\" is not a size (bytes, or with k, m, "
        "g)\n"
        "t.ini:11: [extra]: unknown section, there are [server], [listener:NAME] and "
        "[protocol:NAME]\n"
        "--set server.log_level: \"loud\" is none of error, warning, notice, info, "
        "debug\n");
}

static int load(void *ctx)
{
    static const char *const sets[] = { "server.workers=2", "listener:b.protocol=hello",
                                        "listener:b.address=unix:@b", NULL };
    struct config *config = NULL;
    char *report = NULL;
    int r = config_fixture_try(ctx, sets, &config, &report);

    free(report);
    config_free(config);
    assert_int_equal(fake_plugins_open(), 0);
    return r;
}

/* Each allocation of a load may fail: no config, no plugin left open, nothing leaks. */
static void test_config_load_without_memory(void **state)
{
    static char text[] = "[server]\nlog_level = debug\n" A_LISTENER
                         "[listener:c]\naddress = 127.0.0.1:0, 127.0.0.1:0\n"
                         "protocol = f\n[protocol:f]\nplugin = files\nroot = /x\n"
                         "index = a, b\nindex = c\n";

    (void)state;
    assert_true(fault_walk(load, text) > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config_load_opens_the_path),
        cmocka_unit_test(test_config_load_gives_up_endless_files),
        cmocka_unit_test(test_config_load_reports_bad_lines),
        cmocka_unit_test(test_config_load_accepts_variants),
        cmocka_unit_test(test_config_load_keeps_values_whole),
        cmocka_unit_test(test_config_load_reports_nul_bytes),
        cmocka_unit_test(test_config_load_applies_sets),
        cmocka_unit_test(test_config_load_reports_bad_sets),
        cmocka_unit_test(test_config_load_reports_all_at_once),
        cmocka_unit_test(test_config_load_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
