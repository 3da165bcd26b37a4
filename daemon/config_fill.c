/*
 * Fills structs from the entries of a section by an option table, and reports the keys
 * that no table knows.
 */
#include "config_fill.h"

#include <errno.h>
#include <string.h>

#include "nearest.h"
#include "option.h"

const struct config_kind_info config_kinds[CONFIG_N_KINDS] = {
    [CONFIG_SERVER] = { "server", "[server]", config_server_table },
    [CONFIG_LISTENER] = { "listener", "[listener:NAME]", config_listener_table },
    [CONFIG_PROTOCOL] = { "protocol", "[protocol:NAME]", config_protocol_table },
};

bool config_fill_is_name(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789._-";

    return name[0] != '\0' && name[strspn(name, allowed)] == '\0' &&
           strlen(name) <= CONFIG_NAME_MAX;
}

struct config_entry *config_fill_good(const struct config_section *section,
                                      const char *key)
{
    struct config_entry *entry = config_section_find(section, key);

    return entry && !entry->is_bad ? entry : NULL;
}

bool config_fill_is_bad(const struct config_section *section, const char *key)
{
    const struct config_entry *entry = config_section_find(section, key);

    return entry && entry->is_bad;
}

static void report_unknown_key(struct config_builder *b,
                               const struct config_section *section,
                               const struct config_entry *entry,
                               const struct co_option *const tables[2])
{
    struct config_place place = config_entry_place(section, entry, b->source->path);
    struct nearest nearest = { .wanted = entry->key };

    if (!entry->is_set)
        place.key = NULL;
    for (size_t i = 0; i < 2; i++) {
        for (const struct co_option *option = tables[i]; option && option->key; option++)
            nearest_offer(&nearest, option->key);
    }
    if (nearest.name) {
        config_report_add(b->report, &place,
                          "unknown key \"%.64s\", did you mean \"%s\"?", entry->key,
                          nearest.name);
        return;
    }
    for (size_t i = 0; i < CONFIG_N_KINDS; i++) {
        if (option_find(config_kinds[i].table, entry->key)) {
            config_report_add(b->report, &place,
                              "unknown key \"%.64s\", it belongs to %s", entry->key,
                              config_kinds[i].form);
            return;
        }
    }
    config_report_add(b->report, &place, "unknown key \"%.64s\"", entry->key);
}

void config_fill_check_keys(struct config_builder *b,
                            const struct config_section *section,
                            const struct co_option *own, const struct co_option *plugins)
{
    const struct co_option *const tables[2] = { own, plugins };

    for (size_t i = 0; i < section->n_entries; i++) {
        const struct config_entry *entry = &section->entries[i];

        if (!option_find(own, entry->key) && !option_find(plugins, entry->key))
            report_unknown_key(b, section, entry, tables);
    }
}

/* Reads all entries of one key into its field. Returns how many there are, or -ENOMEM. */
static int fill_given(struct config_builder *b, struct config_section *section,
                      const struct co_option *option, void *base)
{
    const struct config_entry *first = NULL;
    char err[OPTION_ERR_MAX];
    int n = 0;

    for (size_t i = 0; i < section->n_entries; i++) {
        struct config_entry *entry = &section->entries[i];
        struct config_place place;
        int r;

        if (strcmp(entry->key, option->key) != 0)
            continue;
        n++;
        place = config_entry_place(section, entry, b->source->path);
        if (!first)
            first = entry;
        else if (option->type != CO_OPT_LIST)
            config_report_add(b->report, &place, "is there twice, first at line %u",
                              first->line);
        r = option_parse(option, entry->value, base, err);
        if (r == -ENOMEM)
            return r;
        if (r < 0) {
            entry->is_bad = true;
            config_report_add(b->report, &place, "%s", err);
        }
    }
    return n;
}

int config_fill_options(struct config_builder *b, struct config_section *section,
                        const struct co_option *table, void *base)
{
    for (const struct co_option *option = table; option && option->key; option++) {
        struct config_place place = { .file = b->source->path };
        char err[OPTION_ERR_MAX];
        int r = section ? fill_given(b, section, option, base) : 0;

        if (r == 0 && option->flags & CO_OPT_REQUIRED) {
            if (section)
                place = config_section_place(section, b->source->path);
            place.key = option->key;
            config_report_add(b->report, &place, "is required");
        } else if (r == 0) {
            r = option_set_default(option, base, err);
        }
        if (r < 0)
            return r;
    }
    return 0;
}
