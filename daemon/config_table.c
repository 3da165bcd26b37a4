/*
 * The rows of config.def as option tables.
 */
#include "config_table.h"

#include <stddef.h>

#define HOURS(n) ((n) * (int64_t)3600 * CO_SECOND)
#define DAYS(n)  ((n) * (int64_t)86400 * CO_SECOND)
#define MIB(n)   ((n) * (int64_t)1024 * 1024)
#define GIB(n)   ((n) * (int64_t)1024 * 1024 * 1024)

static const char *const config_words_auto[] = { "auto", NULL };
static const char *const config_words_unlimited[] = { "unlimited", NULL };

/* In the order of enum co_log_level; config_log_level() adds the first one's number. */
static const char *const config_log_levels[] = { "error", "warning", "notice",
                                                 "info",  "debug",   NULL };

#define ROW(section, name, kind, text, low, high, words, bits, sentence) \
    { .key = #name,                                                      \
      .type = CO_OPT_##kind,                                             \
      .offset = offsetof(struct section, name),                          \
      .def = (text),                                                     \
      .min = (low),                                                      \
      .max = (high),                                                     \
      .names = (words),                                                  \
      .flags = (bits),                                                   \
      .help = (sentence) },

const struct co_option config_server_table[] = {
#define SERVER(...) ROW(config_server, __VA_ARGS__)
#include "config.def"
    { .key = NULL },
};

const struct co_option config_listener_table[] = {
#define LISTENER(...) ROW(config_listener_options, __VA_ARGS__)
#include "config.def"
    { .key = NULL },
};

const struct co_option config_protocol_table[] = {
#define PROTOCOL(...) ROW(config_protocol_options, __VA_ARGS__)
#include "config.def"
    { .key = NULL },
};
