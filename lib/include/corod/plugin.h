/**
 * The plugin ABI: how a protocol is served by the daemon.
 *
 * A plugin is a shared object that exports one `struct co_plugin` by CO_PLUGIN(). A whole
 * one, which answers each connection and ends it:
 *
 *     #include <corod/plugin.h>
 *
 *     static enum co_next greet(struct co_conn *conn)
 *     {
 *         co_stream_write(conn->stream, "hello\n", 6);
 *         return CO_CLOSE;
 *     }
 *
 *     CO_PLUGIN(.name = "greet", .version = "1.0", .serve = greet);
 *
 * Threads: open() and close() run on the supervisor's thread, everything else on the
 * thread of the worker that owns the connection. An instance is shared by all workers: what
 * it holds is read-only after open(), or guarded by the plugin.
 */
#ifndef COROD_PLUGIN_H
#define COROD_PLUGIN_H

#include <corod/address.h>
#include <corod/base.h>
#include <corod/error.h>
#include <corod/log.h>
#include <corod/loop.h>
#include <corod/option.h>
#include <corod/stream.h>
#include <corod/task.h>

CO_BEGIN_DECLS

/** Raised when a plugin built before cannot work any more. The loader compares it. */
#define CO_PLUGIN_ABI 1u

/**
 * What serve() says at its end. With input left a connection that parks is served again at
 * once; if that reads none of it, it is an error of the plugin and ends the connection.
 */
enum co_next {
    CO_CLOSE = 0, /* flush what is written, then close the connection */
    CO_PARK = 1,  /* call serve() again when there is input; no stack is held till then */
};

/** When serve() is called first. */
enum co_start {
    CO_ON_INPUT = 0,  /* when the client has sent something, or closed its side */
    CO_ON_ACCEPT = 1, /* at once: the server speaks first */
};

/** What a connection is served by: one protocol section of one config generation. */
struct co_service {
    void *instance;       /* what the plugin's open() gave */
    const char *listener; /* name of the listener section */
    const char *protocol; /* name of the protocol section or plugin */
};

/**
 * One client connection. The daemon owns it; a plugin reads the fields, and sets `data`.
 * It lives from before the first serve() until after closed().
 */
struct co_conn {
    struct co_stream *stream;
    const struct co_service *service; /* may change while parked, when a reload gave a new
                                         instance; constant within one serve() */
    void *data;  /* the plugin's own, NULL at first, kept over a park */
    uint64_t id; /* unique in the life of the process */
    union co_peer peer;
};

/** The instance of the plugin that serves this connection. */
static inline void *co_conn_instance(const struct co_conn *conn)
{
    return conn->service->instance;
}

/**
 * What a plugin is. A zero field is an absent feature. New fields come at the end and change
 * the size; the loader takes plugins of its own size only, so a plugin is built anew for them.
 */
struct co_plugin {
    uint32_t abi;            /* CO_PLUGIN() sets it */
    uint32_t size;           /* CO_PLUGIN() sets it: sizeof(struct co_plugin) */
    const char *name;        /* as the config names it */
    const char *version;     /* the plugin's own */
    const char *description; /* one sentence */
    enum co_start start;
    size_t stack_size; /* of serve(), bytes: up to 16, 64 or 256 KiB; 0: 64 KiB */

    /** The plugin's config keys, and the size of the struct they are stored in. */
    const struct co_option *options;
    size_t options_size;

    /**
     * Makes an instance from one config section. Also called by `corod --check`, so it
     * must not bind, connect or write; it may read files. Runs on a stack of 256 KiB.
     *
     * @options       the struct that `options` describes, NULL when there is none; lives
     *                as long as the instance
     * @out_instance  anything; close() gets it back
     * @err           shape: err[err_size]; on failure, say here what is wrong
     *
     * Returns 0 or a negative code. Absent: the instance is @options itself.
     */
    int (*open)(const void *options, void **out_instance, char *err, size_t err_size);

    /** Ends an instance; no connection uses it any more. */
    void (*close)(void *instance);

    /**
     * Serves a connection, in a task of its own: straight-line code that awaits the
     * stream. Required. An await that fails means that the connection is over, or that
     * the daemon wants to drain: return CO_CLOSE then. Tasks that it spawns end before it
     * returns: the plugin may be unloaded once no connection is served by it.
     */
    enum co_next (*serve)(struct co_conn *conn);

    /**
     * The connection is over, its stream is gone and conn->stream is NULL: free what `data`
     * holds. Called if serve() was. In a callback, so nothing awaits.
     */
    void (*closed)(struct co_conn *conn);
};

/** Name of the symbol that the loader looks up. */
#define CO_PLUGIN_SYMBOL "corod_plugin"

#ifdef __cplusplus
#define CO_PLUGIN_LINKAGE extern "C"
#else
#define CO_PLUGIN_LINKAGE extern
#endif

/**
 * Exports the plugin of this shared object; the arguments are designated initialisers, in the
 * order of the fields. Fields that are left out are absent features, of which C++ need not warn.
 */
#define CO_PLUGIN(...)                                                        \
    _Pragma("GCC diagnostic push")                                            \
        _Pragma("GCC diagnostic ignored \"-Wmissing-field-initializers\"")    \
            CO_PLUGIN_LINKAGE CO_API const struct co_plugin corod_plugin;     \
    const struct co_plugin corod_plugin = { .abi = CO_PLUGIN_ABI,             \
                                            .size = sizeof(struct co_plugin), \
                                            __VA_ARGS__ };                    \
    _Pragma("GCC diagnostic pop")                                             \
        CO_PLUGIN_LINKAGE CO_API const struct co_plugin corod_plugin

CO_END_DECLS

#endif
