/**
 * The configuration: an immutable snapshot, read and checked as a whole.
 *
 *     struct config_source source = { .path = "/etc/corod/corod.ini", .plugins = loader
 * }; struct config_report report = { 0 }; struct config *config; if (config_load(&source,
 * &report, &config) < 0) config_report_print(&report, stderr);
 *     config_report_fini(&report);
 *
 * Thread: any, one at a time; a loaded config is only read, so all threads may share it.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include <stdio.h>

#include <corod/address.h>
#include <corod/log.h>
#include <corod/plugin.h>

#include "config_report.h"
#include "config_table.h"

/** How plugins are found; the loader's functions, or a test's. */
struct config_plugins {
    /**
     * Opens a plugin.
     *
     * @name        bare name, or a path if it has a '/'
     * @out_plugin  valid until close()
     * @out_handle  given back to close()
     * @err         shape: err[err_size]; on failure, what is wrong: "/x.so: no such file"
     *
     * Returns 0, -ENOMEM, or another negative code for which err is written.
     */
    int (*open)(void *ctx, const char *name, const struct co_plugin **out_plugin,
                void **out_handle, char *err, size_t err_size);
    void (*close)(void *ctx, void *handle);
    void *ctx;
};

/** A protocol: a [protocol:NAME], or a plugin that a listener names without a section. */
struct config_protocol {
    char *name;
    unsigned line; /* of the section in the file; 0: it is not there */
    struct config_protocol_options opt;
    const struct co_plugin *plugin;
    void *options; /* what plugin->options describes; NULL when it has none */
    void *handle;  /* of config_plugins.open() */
};

/** A [listener:NAME]. */
struct config_listener {
    char *name;
    unsigned line;                      /* as above */
    struct config_listener_options opt; /* low_water is never 0 */
    struct co_addr *addrs; /* opt.address, read; addrs[i] is address.items[i] */
    size_t n_addrs;
    const struct config_protocol *protocol;
};

/** A whole configuration. */
struct config {
    struct config_server server;
    struct config_listener *listeners; /* in the order of the file, at least one */
    size_t n_listeners;
    struct config_protocol *protocols;
    size_t n_protocols;
    struct config_plugins plugins;
};

/** What to load. */
struct config_source {
    const char *path;        /* opened, and named in messages */
    FILE *file;              /* read instead of opening path, and not closed; or NULL */
    const char *const *sets; /* shape: sets[n_sets]; "SECTION.KEY=VALUE", in order */
    size_t n_sets;
    struct config_plugins plugins; /* must outlive the config */
};

/**
 * Reads and checks a configuration: the file, then each of `sets`, which replaces all
 * values of its key. Plugins are opened, their instances are not made.
 *
 * @report      gets every error, in one run; empty before
 * @out_config  owned by the caller; config_free() ends it
 *
 * Returns 0, -EINVAL with at least one error in the report, or -ENOMEM.
 */
CO_MUST_CHECK int config_load(const struct config_source *source,
                              struct config_report *report, struct config **out_config);

/** Frees a configuration and closes its plugins. NULL and half-built ones are fine. */
void config_free(struct config *config);

/** The least urgent level that is logged. */
static inline enum co_log_level config_log_level(const struct config *config)
{
    return (enum co_log_level)(CO_LOG_ERROR + config->server.log_level);
}

#endif
