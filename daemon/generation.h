/*
 * A generation: one configuration with the plugin instances made from it, and a service for
 * each listener. Connections hold the service they are served by; when the last hold of all
 * services of a generation goes, the generation ends.
 *
 * Threads: made and ended on the supervisor's. A service is read by all threads; its holds
 * are counted by an atomic.
 */
#ifndef GENERATION_H
#define GENERATION_H

#include <stdatomic.h>

#include <corod/plugin.h>

#include "config.h"

struct generation;

/* What one listener's connections are served with, in one generation. Read-only but `refs`. */
struct service {
    struct co_service pub;
    const struct co_plugin *plugin;
    struct co_stream_limits limits;
    struct co_task_attr task; /* of the serving tasks */
    size_t listener; /* index of its listener in the daemon, which a reload keeps */
    struct generation *generation;
    struct co_handle unheld; /* posted to the supervisor by the last service_unref() */
    atomic_uint refs;
    atomic_bool is_stale; /* set before workers are told of a newer one, or of a drain */
};

_Static_assert(offsetof(struct service, pub) == 0, "conn_service() relies on it");

/* An instance of a plugin, for one protocol of the config. */
struct instance {
    const struct co_plugin *plugin;
    void *self;
    bool is_open;
};

struct generation {
    unsigned number; /* from 1 */
    struct config *config;
    struct instance *instances; /* [config->n_protocols] */
    struct service *services;   /* [config->n_listeners], in the order of the config */
    size_t n_alive;             /* services that are held; supervisor's thread */
    struct co_loop *loop;       /* of the supervisor; NULL: nothing is posted */
};

/*
 * Opens a plugin instance for each protocol of @config, and makes the services, each held
 * once, by the caller.
 *
 * @loop      where the end of a service is posted; NULL for a mere check
 * @config    owned by the generation on success, by the caller on failure
 * @describe  for the tasks
 * @err       shape: err[err_size]; on failure, the protocol and what its plugin said
 *
 * Returns 0, -ENOMEM, or what a plugin's open() returned.
 */
CO_MUST_CHECK int generation_new(struct co_loop *loop, struct config *config,
                                 co_describe_fn describe, char *err, size_t err_size,
                                 struct generation **out);

/* Closes the instances and frees the config. NULL and half-built ones are fine. */
void generation_free(struct generation *generation);

/* Gives up the holds that generation_new() made: the generation ends with the last other. */
void generation_release(struct generation *generation);

/* The service of the listener of this name, or NULL. */
struct service *generation_find(struct generation *generation, const char *listener);

/* Any thread that has, or is given, a hold. */
static inline struct service *service_ref(struct service *service)
{
    /* Relaxed: who gives the service to another thread does so by a message. */
    atomic_fetch_add_explicit(&service->refs, 1, memory_order_relaxed);
    return service;
}

/*
 * Says that a connection which could wait on this service shall look at its worker first.
 * Supervisor's thread; relaxed, since the message to the workers that follows orders it.
 */
static inline void service_set_stale(struct service *service)
{
    atomic_store_explicit(&service->is_stale, true, memory_order_relaxed);
}

static inline bool service_is_stale(struct service *service)
{
    return atomic_load_explicit(&service->is_stale, memory_order_relaxed);
}

/* Any thread. The last one posts to the supervisor, which frees what is not held any more. */
void service_unref(struct service *service);

#endif
