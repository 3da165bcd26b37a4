/*
 * Builds protocols: opens the plugin, checks its option table, and fills its options.
 */
#include "config_protocol.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nearest.h"
#include "option.h"
#include "option_check.h"

/* Checks what the daemon needs of a plugin beyond its ABI. Returns 0, -EINVAL, -ENOMEM.
 */
static int check_plugin(const struct co_plugin *plugin, char *err, size_t err_size)
{
    char flaw[OPTION_ERR_MAX];
    int r = option_check_table(plugin->options, plugin->options_size, flaw);

    if (r == -EINVAL)
        (void)snprintf(err, err_size, "plugin \"%.64s\": %s", plugin->name, flaw);
    if (r < 0)
        return r;
    for (const struct co_option *own = config_protocol_table; own->key; own++) {
        if (option_find(plugin->options, own->key)) {
            (void)snprintf(err, err_size,
                           "plugin \"%.64s\": the key \"%s\" is the daemon's",
                           plugin->name, own->key);
            return -EINVAL;
        }
    }
    return 0;
}

/* Opens and checks a plugin; on failure none is open. Returns 0, -EINVAL, -ENOMEM. */
static int open_plugin(struct config_builder *b, struct config_protocol *protocol,
                       const char *name, char *err, size_t err_size)
{
    const struct config_plugins *plugins = &b->source->plugins;
    const struct co_plugin *plugin = NULL;
    void *handle = NULL;
    int r;

    err[0] = '\0';
    r = plugins->open(plugins->ctx, name, &plugin, &handle, err, err_size);
    if (r < 0)
        return r == -ENOMEM ? r : -EINVAL;
    r = check_plugin(plugin, err, err_size);
    if (r < 0) {
        plugins->close(plugins->ctx, handle);
        return r;
    }
    protocol->plugin = plugin;
    protocol->handle = handle;
    if (!plugin->options)
        return 0;
    protocol->options = calloc(1, plugin->options_size > 0 ? plugin->options_size : 1);
    return protocol->options ? 0 : -ENOMEM;
}

int config_protocol_build(struct config_builder *b, struct config_section *section,
                          const char *name)
{
    struct config_protocol *protocol = &b->config->protocols[b->config->n_protocols++];
    struct config_entry *entry;
    char err[2 * OPTION_ERR_MAX];
    int r;

    *protocol = (struct config_protocol){ .line = section->is_set ? 0 : section->line };
    protocol->name = strdup(name);
    if (!protocol->name)
        return -ENOMEM;
    r = config_fill_options(b, section, config_protocol_table, &protocol->opt);
    entry = config_fill_good(section, "plugin");
    if (r < 0 || !entry)
        return r;
    r = open_plugin(b, protocol, protocol->opt.plugin, err, sizeof(err));
    if (r == -EINVAL) {
        struct config_place place = config_entry_place(section, entry, b->source->path);

        config_report_add(b->report, &place, "%s", err);
        return 0;
    }
    if (r < 0)
        return r;
    config_fill_check_keys(b, section, config_protocol_table, protocol->plugin->options);
    return config_fill_options(b, section, protocol->plugin->options, protocol->options);
}

struct config_protocol *config_protocol_find(const struct config *config,
                                             const char *name)
{
    for (size_t i = 0; i < config->n_protocols; i++) {
        if (strcmp(config->protocols[i].name, name) == 0)
            return &config->protocols[i];
    }
    return NULL;
}

static void report_unknown_protocol(struct config_builder *b,
                                    const struct config_place *place, const char *name,
                                    const char *err)
{
    struct nearest nearest = { .wanted = name };

    for (size_t i = 0; i < b->config->n_protocols; i++)
        nearest_offer(&nearest, b->config->protocols[i].name);
    if (nearest.name)
        config_report_add(b->report, place,
                          "no section [protocol:%s], did you mean \"%s\"? "
                          "And as a plugin: %s",
                          name, nearest.name, err);
    else
        config_report_add(b->report, place,
                          "no section [protocol:%s], and as a plugin: %s", name, err);
}

int config_protocol_build_implicit(struct config_builder *b, const char *name,
                                   const struct config_place *place)
{
    struct config_protocol *protocol = &b->config->protocols[b->config->n_protocols];
    char err[2 * OPTION_ERR_MAX] = "not the bare name of one";
    int r = -EINVAL;

    *protocol = (struct config_protocol){ .line = 0 };
    if (config_fill_is_name(name))
        r = open_plugin(b, protocol, name, err, sizeof(err));
    if (r == -EINVAL) {
        report_unknown_protocol(b, place, name, err);
        return 0;
    }
    b->config->n_protocols++;
    protocol->name = strdup(name);
    protocol->opt.plugin = strdup(name);
    if (r < 0 || !protocol->name || !protocol->opt.plugin)
        return -ENOMEM;
    for (const struct co_option *option = protocol->plugin->options;
         option && option->key; option++) {
        if (option->flags & CO_OPT_REQUIRED)
            config_report_add(b->report, place,
                              "plugin \"%s\" needs a section [protocol:%s] with \"%s\"",
                              name, name, option->key);
        r = option_set_default(option, protocol->options, err);
        if (r < 0)
            return r;
    }
    return 0;
}

void config_protocol_fini(const struct config_plugins *plugins,
                          struct config_protocol *protocol)
{
    /* The option table is the plugin's: it goes after what it describes. */
    if (protocol->options)
        option_free_all(protocol->plugin->options, protocol->options);
    free(protocol->options);
    if (protocol->plugin)
        plugins->close(plugins->ctx, protocol->handle);
    option_free_all(config_protocol_table, &protocol->opt);
    free(protocol->name);
}
