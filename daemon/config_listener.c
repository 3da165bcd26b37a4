/*
 * Builds listeners: fills their keys, reads their addresses, finds their protocol.
 */
#include "config_listener.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config_protocol.h"
#include "option.h"

static int find_or_build_protocol(struct config_builder *b,
                                  const struct config_section *section,
                                  struct config_listener *listener)
{
    const struct config_entry *entry = config_fill_good(section, "protocol");
    struct config_place place;
    int r;

    if (!entry)
        return 0;
    listener->protocol = config_protocol_find(b->config, listener->opt.protocol);
    if (listener->protocol)
        return 0;
    place = config_entry_place(section, entry, b->source->path);
    r = config_protocol_build_implicit(b, listener->opt.protocol, &place);
    if (r == 0)
        listener->protocol = config_protocol_find(b->config, listener->opt.protocol);
    return r;
}

static bool has_port_0(const struct co_addr *addr)
{
    if (addr->sa.sa_family == AF_INET)
        return addr->in.sin_port == 0;
    return addr->sa.sa_family == AF_INET6 && addr->in6.sin6_port == 0;
}

/* Reports an address that is taken, else takes it. Returns 0 or -ENOMEM. */
static int take_address(struct config_builder *b, const struct config_taken *wanted,
                        const char *text)
{
    struct config_taken *taken;

    for (size_t i = 0; i < b->n_taken && !has_port_0(&wanted->addr); i++) {
        taken = &b->taken[i];
        if (!co_addr_equal(&taken->addr, &wanted->addr))
            continue;
        if (taken->section == wanted->section)
            config_report_add(b->report, &wanted->place, "\"%s\" is there twice", text);
        else
            config_report_add(b->report, &wanted->place,
                              "\"%s\" is an address of [%s] already", text,
                              taken->section->name);
        return 0;
    }
    taken = realloc(b->taken, (b->n_taken + 1) * sizeof(*taken));
    if (!taken)
        return -ENOMEM;
    b->taken = taken;
    b->taken[b->n_taken++] = *wanted;
    return 0;
}

static void report_address(struct config_builder *b, const struct config_place *place,
                           const char *text, int error)
{
    if (error == -ERANGE)
        config_report_add(b->report, place, "\"%s\" has a port above 65535", text);
    else if (error == -ENAMETOOLONG)
        config_report_add(b->report, place, "\"%s\" is too long for a Unix socket", text);
    else
        config_report_add(b->report, place,
                          "\"%s\" is not an address "
                          "(HOST:PORT, [HOST]:PORT, *:PORT, unix:PATH, unix:@NAME)",
                          text);
}

/* Reads the addresses of one entry. */
static int add_addresses(struct config_builder *b, const struct config_section *section,
                         const struct config_entry *entry,
                         struct config_listener *listener)
{
    const struct co_option *option = option_find(config_listener_table, "address");
    struct config_listener_options opt = { .address = { NULL, 0 } };
    struct config_taken wanted = { .section = section };
    char err[OPTION_ERR_MAX];
    int r = option_parse(option, entry->value, &opt, err);

    wanted.place = config_entry_place(section, entry, b->source->path);
    for (size_t i = 0; i < opt.address.n && r == 0; i++) {
        const char *text = opt.address.items[i];
        int error = co_addr_parse(text, &wanted.addr);

        if (error < 0) {
            report_address(b, &wanted.place, text, error);
            continue;
        }
        listener->addrs[listener->n_addrs++] = wanted.addr;
        r = take_address(b, &wanted, text);
    }
    option_free_all(config_listener_table, &opt);
    return r;
}

static int build_addresses(struct config_builder *b, const struct config_section *section,
                           struct config_listener *listener)
{
    int r = 0;

    if (listener->opt.address.n == 0)
        return 0;
    listener->addrs = calloc(listener->opt.address.n, sizeof(*listener->addrs));
    if (!listener->addrs)
        return -ENOMEM;
    for (size_t i = 0; i < section->n_entries && r == 0; i++) {
        const struct config_entry *entry = &section->entries[i];

        if (!entry->is_bad && strcmp(entry->key, "address") == 0)
            r = add_addresses(b, section, entry, listener);
    }
    return r;
}

/* Checks what a range cannot say, and works out what follows from another key. */
static void check_listener(struct config_builder *b, const struct config_section *section,
                           struct config_listener_options *opt)
{
    const struct config_entry *entry = config_fill_good(section, "low_water");
    struct config_place place;

    if (entry && opt->low_water > opt->high_water &&
        !config_fill_is_bad(section, "high_water")) {
        place = config_entry_place(section, entry, b->source->path);
        config_report_add(b->report, &place, "is above high_water");
    }
    if (opt->low_water == 0)
        opt->low_water = opt->high_water / 4;
    entry = config_fill_good(section, "keepalive");
    if (entry && opt->keepalive % CO_SECOND != 0) {
        place = config_entry_place(section, entry, b->source->path);
        config_report_add(b->report, &place, "\"%.64s\" is not in whole seconds",
                          entry->value);
    }
}

int config_listener_build(struct config_builder *b, struct config_section *section,
                          const char *name)
{
    struct config_listener *listener = &b->config->listeners[b->config->n_listeners++];
    int r;

    *listener = (struct config_listener){ .line = section->is_set ? 0 : section->line };
    listener->name = strdup(name);
    if (!listener->name)
        return -ENOMEM;
    config_fill_check_keys(b, section, config_listener_table, NULL);
    r = config_fill_options(b, section, config_listener_table, &listener->opt);
    if (r < 0)
        return r;
    check_listener(b, section, &listener->opt);
    r = build_addresses(b, section, listener);
    if (r < 0)
        return r;
    return find_or_build_protocol(b, section, listener);
}

void config_listener_fini(struct config_listener *listener)
{
    option_free_all(config_listener_table, &listener->opt);
    free(listener->addrs);
    free(listener->name);
}
