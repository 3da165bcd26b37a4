/**
 * The option tables of the daemon's own sections, made from config.def. Any thread.
 */
#ifndef CONFIG_TABLE_H
#define CONFIG_TABLE_H

#include <corod/option.h>

/* C types of the fields, by type of the option. */
#define CONFIG_FIELD_BOOL     bool
#define CONFIG_FIELD_UINT     uint64_t
#define CONFIG_FIELD_SIZE     uint64_t
#define CONFIG_FIELD_DURATION co_time
#define CONFIG_FIELD_STRING   char *
#define CONFIG_FIELD_ENUM     int
#define CONFIG_FIELD_LIST     struct co_strings

/** Values of [server]. */
struct config_server {
#define SERVER(key, type, ...) CONFIG_FIELD_##type key;
#include "config.def"
};

/** Values of a [listener:NAME]. */
struct config_listener_options {
#define LISTENER(key, type, ...) CONFIG_FIELD_##type key;
#include "config.def"
};

/** Values of a [protocol:NAME] that are not the plugin's. */
struct config_protocol_options {
#define PROTOCOL(key, type, ...) CONFIG_FIELD_##type key;
#include "config.def"
};

extern const struct co_option config_server_table[];
extern const struct co_option config_listener_table[];
extern const struct co_option config_protocol_table[];

#endif
