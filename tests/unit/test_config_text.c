/*
 * Tests of config_text.c: sections and entries keep their order and their place.
 */
#include "config_text.h"

#include <errno.h>
#include <stdio.h>

#include "fault.h"
#include "test.h"

/* Sections and entries are found again, in any number. */
static void test_config_text_keeps_what_is_added(void **state)
{
    struct config_text text = { NULL, 0 };
    struct config_section *section;
    char name[16];

    (void)state;
    for (unsigned i = 0; i < 40; i++) {
        (void)snprintf(name, sizeof(name), "s%u", i);
        assert_int_equal(config_text_add_section(&text, name, i, false, &section), 0);
        for (unsigned j = 0; j <= i; j++)
            assert_int_equal(config_section_add(section, j % 2 ? "b" : "a", name, j), 0);
    }
    assert_int_equal(text.n_sections, 40);
    section = config_text_find(&text, "s33");
    assert_int_equal(section->line, 33);
    assert_int_equal(section->n_entries, 34);
    assert_int_equal(config_section_find(section, "b")->line, 1);
    assert_string_equal(section->entries[33].value, "s33");
    assert_null(config_section_find(section, "c"));
    assert_null(config_text_find(&text, "s40"));
    config_text_fini(&text);
    assert_int_equal(text.n_sections, 0);
}

/* A --set takes the place of all entries of its key, and leaves the others alone. */
static void test_config_section_override_replaces_all(void **state)
{
    struct config_text text = { NULL, 0 };
    struct config_section *section;

    (void)state;
    assert_int_equal(config_text_add_section(&text, "s", 1, false, &section), 0);
    assert_int_equal(config_section_add(section, "a", "1", 2), 0);
    assert_int_equal(config_section_add(section, "b", "2", 3), 0);
    assert_int_equal(config_section_add(section, "a", "3", 4), 0);
    assert_int_equal(config_section_override(section, "a", "4", 1), 0);
    assert_int_equal(section->n_entries, 2);
    assert_string_equal(config_section_find(section, "a")->value, "4");
    assert_true(config_section_find(section, "a")->is_set);
    assert_false(config_section_find(section, "b")->is_set);
    assert_int_equal(config_section_override(section, "a", "5", 2), 0);
    assert_int_equal(config_section_override(section, "c", "6", 3), 0);
    assert_int_equal(section->n_entries, 3);
    assert_string_equal(config_section_find(section, "a")->value, "5");
    /* The room left after removals is used right. */
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(config_section_add(section, "d", "7", i), 0);
    assert_int_equal(section->n_entries, 13);
    config_text_fini(&text);
}

/* What came by --set is in no file. */
static void test_config_places_of_file_and_set(void **state)
{
    struct config_text text = { NULL, 0 };
    struct config_section *section;
    struct config_place place;

    (void)state;
    assert_int_equal(config_text_add_section(&text, "s", 4, false, &section), 0);
    assert_int_equal(config_section_add(section, "a", "1", 5), 0);
    assert_int_equal(config_section_override(section, "b", "1", 2), 0);
    place = config_section_place(section, "f");
    assert_string_equal(place.file, "f");
    assert_int_equal(place.line, 4);
    assert_null(place.key);
    place = config_entry_place(section, &section->entries[0], "f");
    assert_string_equal(place.file, "f");
    assert_string_equal(place.key, "a");
    place = config_entry_place(section, &section->entries[1], "f");
    assert_null(place.file);
    assert_int_equal(place.line, 2);
    assert_int_equal(config_text_add_section(&text, "t", 3, true, &section), 0);
    assert_null(config_section_place(section, "f").file);
    config_text_fini(&text);
}

static int add_some(void *ctx)
{
    struct config_text text = { NULL, 0 };
    struct config_section *section;
    int r = config_text_add_section(&text, "s", 1, false, &section);

    (void)ctx;
    if (r == 0)
        r = config_section_add(section, "a", "1", 2);
    if (r == 0)
        r = config_section_override(section, "a", "2", 2);
    if (r == 0)
        r = config_text_add_section(&text, "t", 1, false, &section);
    config_text_fini(&text);
    return r;
}

/* Each allocation may fail; what is there stays sound and is freed. */
static void test_config_text_without_memory(void **state)
{
    (void)state;
    assert_int_equal(fault_walk(add_some, NULL), 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config_text_keeps_what_is_added),
        cmocka_unit_test(test_config_section_override_replaces_all),
        cmocka_unit_test(test_config_places_of_file_and_set),
        cmocka_unit_test(test_config_text_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
