/*
 * Generations and their services.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "generation.h"

static void on_unheld(struct co_handle *handle)
{
    struct service *service = CO_CONTAINER_OF(handle, struct service, unheld);
    struct generation *generation = service->generation;

    if (--generation->n_alive == 0)
        generation_free(generation);
}

void service_unref(struct service *service)
{
    /* Release: our reads of the service come before its end; acquire: the last sees all. */
    if (atomic_fetch_sub_explicit(&service->refs, 1, memory_order_acq_rel) == 1 &&
        service->generation->loop)
        co_loop_post(service->generation->loop, &service->unheld);
}

static int open_instance(struct instance *instance,
                         const struct config_protocol *protocol, char *err,
                         size_t err_size)
{
    char why[256] = "";
    int r = 0;

    instance->plugin = protocol->plugin;
    instance->self = protocol->options;
    if (protocol->plugin->open)
        r = protocol->plugin->open(protocol->options, &instance->self, why, sizeof(why));
    if (r < 0) {
        snprintf(err, err_size, "[protocol:%s] plugin %s: %s", protocol->name,
                 protocol->plugin->name, why[0] ? why : co_strerror(r));
        return r;
    }
    instance->is_open = true;
    return 0;
}

static void service_init(struct service *service, struct generation *generation,
                         const struct config_listener *listener, co_describe_fn describe)
{
    const struct config_listener_options *opt = &listener->opt;
    const struct config_protocol *protocol = listener->protocol;
    const struct instance *instance =
        &generation->instances[protocol - generation->config->protocols];

    service->pub = (struct co_service){ .instance = instance->self,
                                        .listener = listener->name,
                                        .protocol = protocol->name };
    service->plugin = protocol->plugin;
    service->limits = (struct co_stream_limits){
        .high_water = (uint32_t)opt->high_water,
        .low_water = (uint32_t)opt->low_water,
        .read_limit = (uint32_t)opt->read_limit,
        .idle_timeout = opt->idle_timeout,
        .read_timeout = opt->read_timeout,
        .write_timeout = opt->write_timeout,
        .linger_timeout = opt->linger_timeout,
    };
    service->task = (struct co_task_attr){ .name = protocol->plugin->name,
                                           .stack_size = protocol->plugin->stack_size,
                                           .describe = describe };
    service->generation = generation;
    service->unheld.run = on_unheld;
    atomic_init(&service->refs, 1);
}

int generation_new(struct co_loop *loop, struct config *config, co_describe_fn describe,
                   char *err, size_t err_size, struct generation **out)
{
    struct generation *generation = calloc(1, sizeof(*generation));
    int r = -ENOMEM;

    snprintf(err, err_size, "%s", co_strerror(r));
    if (!generation)
        return r;
    generation->loop = loop;
    generation->config = config;
    generation->instances = calloc(config->n_protocols, sizeof(struct instance));
    generation->services = calloc(config->n_listeners, sizeof(struct service));
    if (!generation->instances || !generation->services)
        goto fail;
    for (size_t i = 0; i < config->n_protocols; i++) {
        r = open_instance(&generation->instances[i], &config->protocols[i], err,
                          err_size);
        if (r < 0)
            goto fail;
    }
    for (size_t i = 0; i < config->n_listeners; i++)
        service_init(&generation->services[i], generation, &config->listeners[i],
                     describe);
    generation->n_alive = config->n_listeners;
    *out = generation;
    return 0;

fail:
    generation->config = NULL; /* stays the caller's */
    for (size_t i = 0; generation->instances && i < config->n_protocols; i++) {
        struct instance *instance = &generation->instances[i];

        if (instance->is_open && instance->plugin->close)
            instance->plugin->close(instance->self);
    }
    free(generation->instances);
    free(generation->services);
    free(generation);
    return r;
}

void generation_free(struct generation *generation)
{
    if (!generation)
        return;
    for (size_t i = 0; i < generation->config->n_protocols; i++) {
        struct instance *instance = &generation->instances[i];

        if (instance->plugin->close)
            instance->plugin->close(instance->self);
    }
    config_free(generation->config);
    free(generation->instances);
    free(generation->services);
    free(generation);
}

void generation_release(struct generation *generation)
{
    for (size_t i = 0; i < generation->config->n_listeners; i++)
        service_unref(&generation->services[i]);
}

struct service *generation_find(struct generation *generation, const char *listener)
{
    for (size_t i = 0; i < generation->config->n_listeners; i++) {
        if (strcmp(generation->services[i].pub.listener, listener) == 0)
            return &generation->services[i];
    }
    return NULL;
}
