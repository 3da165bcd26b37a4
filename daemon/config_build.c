/*
 * Builds a configuration in four steps: section names, [server], protocols with their
 * plugins, listeners with their addresses. Each reports what is wrong and goes on, so
 * that one run shows all errors; only want of memory ends it.
 */
#include "config_build.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config_fill.h"
#include "config_listener.h"
#include "config_protocol.h"
#include "nearest.h"
#include "option.h"

/* Finds a section's kind, and its NAME: "" when it has none. */
static enum config_kind kind_of(const struct config_section *section,
                                const char **out_name)
{
    const char *colon = strchrnul(section->name, ':');
    size_t len = (size_t)(colon - section->name);

    for (int kind = 0; kind < CONFIG_N_KINDS; kind++) {
        const char *name = config_kinds[kind].name;

        if (strlen(name) != len || strncmp(section->name, name, len) != 0)
            continue;
        if (kind == CONFIG_SERVER && *colon)
            break;
        *out_name = *colon ? colon + 1 : colon;
        return (enum config_kind)kind;
    }
    return CONFIG_N_KINDS;
}

static void report_unknown_section(struct config_builder *b,
                                   const struct config_section *section)
{
    struct config_place place = config_section_place(section, b->source->path);
    const char *colon = strchrnul(section->name, ':');
    char kind[16];
    struct nearest nearest = { .wanted = kind };

    (void)snprintf(kind, sizeof(kind), "%.*s", (int)(colon - section->name),
                   section->name);
    for (size_t i = 0; i < CONFIG_N_KINDS; i++)
        nearest_offer(&nearest, config_kinds[i].name);
    if (!nearest.name)
        config_report_add(b->report, &place, "unknown section, there are %s, %s and %s",
                          config_kinds[0].form, config_kinds[1].form,
                          config_kinds[2].form);
    else if (*colon && nearest.name != config_kinds[CONFIG_SERVER].name)
        config_report_add(b->report, &place, "unknown section, did you mean [%s%.64s]?",
                          nearest.name, colon);
    else
        config_report_add(b->report, &place, "unknown section, did you mean [%s]?",
                          nearest.name);
}

/* Reports sections of no kind, and names that a section cannot have. */
static void check_sections(struct config_builder *b)
{
    for (size_t i = 0; i < b->text->n_sections; i++) {
        const struct config_section *section = &b->text->sections[i];
        struct config_place place = config_section_place(section, b->source->path);
        const char *name = "";
        enum config_kind kind = kind_of(section, &name);

        if (kind == CONFIG_N_KINDS)
            report_unknown_section(b, section);
        else if (kind != CONFIG_SERVER && name[0] == '\0')
            config_report_add(b->report, &place, "has no name, write %s",
                              config_kinds[kind].form);
        else if (kind != CONFIG_SERVER && !config_fill_is_name(name))
            config_report_add(b->report, &place,
                              "a name is 1 to %d letters, digits, '.', '_' and '-'",
                              CONFIG_NAME_MAX);
    }
}

static int build_server(struct config_builder *b)
{
    struct config_section *section =
        config_text_find(b->text, config_kinds[CONFIG_SERVER].name);

    if (section)
        config_fill_check_keys(b, section, config_server_table, NULL);
    return config_fill_options(b, section, config_server_table, &b->config->server);
}

/* Builds all sections of one kind, CONFIG_LISTENER or CONFIG_PROTOCOL, by @build. */
static int build_kind(struct config_builder *b, enum config_kind kind,
                      int (*build)(struct config_builder *, struct config_section *,
                                   const char *))
{
    for (size_t i = 0; i < b->text->n_sections; i++) {
        struct config_section *section = &b->text->sections[i];
        const char *name = "";
        int r = kind_of(section, &name) == kind ? build(b, section, name) : 0;

        if (r < 0)
            return r;
    }
    return 0;
}

/* Makes room for all that the sections can give: a listener may bring a protocol along.
 */
static int allocate(struct config_builder *b)
{
    size_t n = b->text->n_sections + 1;

    b->config->listeners = calloc(n, sizeof(*b->config->listeners));
    b->config->protocols = calloc(n, sizeof(*b->config->protocols));
    return b->config->listeners && b->config->protocols ? 0 : -ENOMEM;
}

static int build_all(struct config_builder *b)
{
    struct config_place place = { .file = b->source->path };
    int r = allocate(b);

    if (r < 0)
        return r;
    check_sections(b);
    r = build_server(b);
    if (r < 0)
        return r;
    /* Before the listeners, which name them. */
    r = build_kind(b, CONFIG_PROTOCOL, config_protocol_build);
    if (r < 0)
        return r;
    r = build_kind(b, CONFIG_LISTENER, config_listener_build);
    if (r == 0 && b->config->n_listeners == 0)
        config_report_add(b->report, &place, "there is no section [listener:NAME]");
    return r;
}

int config_build(const struct config_source *source, struct config_text *text,
                 struct config_report *report, struct config **out_config)
{
    struct config_builder b = { .source = source, .text = text, .report = report };
    int r;

    b.config = calloc(1, sizeof(*b.config));
    if (!b.config)
        return -ENOMEM;
    b.config->plugins = source->plugins;
    r = build_all(&b);
    free(b.taken);
    if (r < 0) {
        config_free(b.config);
        return r;
    }
    *out_config = b.config;
    return 0;
}

void config_free(struct config *config)
{
    if (!config)
        return;
    for (size_t i = 0; i < config->n_listeners; i++)
        config_listener_fini(&config->listeners[i]);
    for (size_t i = 0; i < config->n_protocols; i++)
        config_protocol_fini(&config->plugins, &config->protocols[i]);
    free(config->listeners);
    free(config->protocols);
    option_free_all(config_server_table, &config->server);
    free(config);
}
