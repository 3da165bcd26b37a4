/*
 * Compares two configurations, section by section of the same name.
 */
#include "config_diff.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "option.h"

#define MESSAGE_MAX 256

struct diff {
    config_diff_fn fn;
    void *ctx;
};

static void tell(const struct diff *diff, const char *fmt, ...) CO_PRINTF(2, 3);

static void tell(const struct diff *diff, const char *fmt, ...)
{
    char message[MESSAGE_MAX];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    diff->fn(diff->ctx, message);
}

/* Compares two structs of one table; the section is @kind, or "kind:name". */
static void compare_options(const struct diff *diff, const char *section,
                            const struct co_option *options, const void *before,
                            const void *after)
{
    for (; options && options->key; options++) {
        if (options->flags & CO_OPT_RESTART && !option_equal(options, before, after))
            tell(diff, "[%s] %s: takes effect at the next restart", section,
                 options->key);
    }
}

static const struct config_listener *find_listener(const struct config *config,
                                                   const char *name)
{
    for (size_t i = 0; i < config->n_listeners; i++) {
        if (strcmp(config->listeners[i].name, name) == 0)
            return &config->listeners[i];
    }
    return NULL;
}

static const struct config_protocol *find_protocol(const struct config *config,
                                                   const char *name)
{
    for (size_t i = 0; i < config->n_protocols; i++) {
        if (strcmp(config->protocols[i].name, name) == 0)
            return &config->protocols[i];
    }
    return NULL;
}

static bool has_same_addresses(const struct config_listener *a,
                               const struct config_listener *b)
{
    if (a->n_addrs != b->n_addrs)
        return false;
    for (size_t i = 0; i < a->n_addrs; i++) {
        if (!co_addr_equal(&a->addrs[i], &b->addrs[i]))
            return false;
    }
    return true;
}

/* The listener that is only in @config, and has the addresses of one that is only in
 * @other; NULL when there is none. */
static const struct config_listener *find_renamed(const struct config *config,
                                                  const struct config *other,
                                                  const struct config_listener *listener)
{
    for (size_t i = 0; i < config->n_listeners; i++) {
        const struct config_listener *candidate = &config->listeners[i];

        if (!find_listener(other, candidate->name) &&
            has_same_addresses(candidate, listener))
            return candidate;
    }
    return NULL;
}

static void compare_listeners(const struct diff *diff, const struct config *before,
                              const struct config *after)
{
    char section[64];

    for (size_t i = 0; i < before->n_listeners; i++) {
        const struct config_listener *old = &before->listeners[i];
        const struct config_listener *new = find_listener(after, old->name);

        (void)snprintf(section, sizeof(section), "listener:%s", old->name);
        if (new) {
            compare_options(diff, section, config_listener_table, &old->opt, &new->opt);
            continue;
        }
        new = find_renamed(after, before, old);
        if (new)
            tell(diff, "[%s]: is now [listener:%s], takes effect at the next restart",
                 section, new->name);
        else
            tell(diff, "[%s]: is removed, closes at the next restart", section);
    }
    for (size_t i = 0; i < after->n_listeners; i++) {
        const struct config_listener *new = &after->listeners[i];

        if (!find_listener(before, new->name) && !find_renamed(before, after, new))
            tell(diff, "[listener:%s]: is new, opens at the next restart", new->name);
    }
}

static void compare_protocols(const struct diff *diff, const struct config *before,
                              const struct config *after)
{
    char section[64];

    for (size_t i = 0; i < before->n_protocols; i++) {
        const struct config_protocol *old = &before->protocols[i];
        const struct config_protocol *new = find_protocol(after, old->name);

        if (!new || new->plugin != old->plugin)
            continue;
        (void)snprintf(section, sizeof(section), "protocol:%s", old->name);
        compare_options(diff, section, config_protocol_table, &old->opt, &new->opt);
        compare_options(diff, section, old->plugin->options, old->options, new->options);
    }
}

void config_diff(const struct config *before, const struct config *after,
                 config_diff_fn fn, void *ctx)
{
    const struct diff diff = { .fn = fn, .ctx = ctx };

    compare_options(&diff, "server", config_server_table, &before->server,
                    &after->server);
    compare_listeners(&diff, before, after);
    compare_protocols(&diff, before, after);
}
