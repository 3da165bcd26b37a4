/*
 * Sections and entries of a configuration as written, in plain growing arrays.
 */
#include "config_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Frees the texts of an entry; takes a half-built one. */
static void entry_fini(struct config_entry *entry)
{
    free(entry->key);
    free(entry->value);
}

static int entry_init(struct config_entry *entry, const char *key, const char *value,
                      unsigned line)
{
    *entry = (struct config_entry){ .line = line };
    entry->key = strdup(key);
    entry->value = strdup(value);
    if (entry->key && entry->value)
        return 0;
    entry_fini(entry);
    return -ENOMEM;
}

/* Makes room for one more element; grows by doubling at powers of two. */
static int grow(void **array, size_t n, size_t element_size)
{
    void *larger;

    if (n > 0 && (n & (n - 1)) != 0)
        return 0;
    larger = realloc(*array, (n > 0 ? n * 2 : 1) * element_size);
    if (!larger)
        return -ENOMEM;
    *array = larger;
    return 0;
}

struct config_section *config_text_find(const struct config_text *text, const char *name)
{
    for (size_t i = 0; i < text->n_sections; i++) {
        if (strcmp(text->sections[i].name, name) == 0)
            return &text->sections[i];
    }
    return NULL;
}

int config_text_add_section(struct config_text *text, const char *name, unsigned line,
                            bool is_set, struct config_section **out_section)
{
    void *sections = text->sections;
    struct config_section *section;
    char *copy;
    int r = grow(&sections, text->n_sections, sizeof(*section));

    if (r < 0)
        return r;
    text->sections = sections;
    copy = strdup(name);
    if (!copy)
        return -ENOMEM;
    section = &text->sections[text->n_sections++];
    *section = (struct config_section){ .name = copy, .line = line, .is_set = is_set };
    *out_section = section;
    return 0;
}

int config_section_add(struct config_section *section, const char *key, const char *value,
                       unsigned line)
{
    void *entries = section->entries;
    int r = grow(&entries, section->n_entries, sizeof(*section->entries));

    if (r < 0)
        return r;
    section->entries = entries;
    r = entry_init(&section->entries[section->n_entries], key, value, line);
    if (r < 0)
        return r;
    section->n_entries++;
    return 0;
}

/* Takes the entries of this key out, but for the last entry of the section. */
static void remove_others(struct config_section *section, const char *key)
{
    size_t n = 0;

    for (size_t i = 0; i < section->n_entries; i++) {
        struct config_entry *entry = &section->entries[i];

        if (i + 1 < section->n_entries && strcmp(entry->key, key) == 0)
            entry_fini(entry);
        else
            section->entries[n++] = *entry;
    }
    section->n_entries = n;
}

int config_section_override(struct config_section *section, const char *key,
                            const char *value, unsigned line)
{
    int r = config_section_add(section, key, value, line);

    if (r < 0)
        return r;
    section->entries[section->n_entries - 1].is_set = true;
    remove_others(section, key);
    return 0;
}

struct config_entry *config_section_find(const struct config_section *section,
                                         const char *key)
{
    for (size_t i = 0; i < section->n_entries; i++) {
        if (strcmp(section->entries[i].key, key) == 0)
            return &section->entries[i];
    }
    return NULL;
}

struct config_place config_section_place(const struct config_section *section,
                                         const char *file)
{
    return (struct config_place){
        .file = section->is_set ? NULL : file,
        .line = section->line,
        .section = section->name,
    };
}

struct config_place config_entry_place(const struct config_section *section,
                                       const struct config_entry *entry, const char *file)
{
    return (struct config_place){
        .file = entry->is_set ? NULL : file,
        .line = entry->line,
        .section = section->name,
        .key = entry->key,
    };
}

void config_text_fini(struct config_text *text)
{
    for (size_t i = 0; i < text->n_sections; i++) {
        struct config_section *section = &text->sections[i];

        for (size_t j = 0; j < section->n_entries; j++)
            entry_fini(&section->entries[j]);
        free(section->entries);
        free(section->name);
    }
    free(text->sections);
    *text = (struct config_text){ NULL, 0 };
}
