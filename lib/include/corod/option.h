/**
 * Options: the keys of a config section, as a table. The daemon's own sections and those of
 * plugins are described, checked, documented and dumped by the same form.
 *
 *     struct greeter { char *text; uint64_t times; co_time pause; };
 *
 *     static const struct co_option greeter_options[] = {
 *         { "text", CO_OPT_STRING, offsetof(struct greeter, text), .def = "hello",
 *           .help = "What is said." },
 *         { "times", CO_OPT_UINT, offsetof(struct greeter, times), .def = "1",
 *           .min = 1, .max = 10, .help = "How often." },
 *         { "pause", CO_OPT_DURATION, offsetof(struct greeter, pause), .def = "100ms",
 *           .max = 60 * CO_SECOND, .help = "Time between." },
 *         { .key = NULL },
 *     };
 */
#ifndef COROD_OPTION_H
#define COROD_OPTION_H

#include <corod/base.h>

CO_BEGIN_DECLS

/** Types, the C type at the option's offset, and the forms that a value takes. */
enum co_option_type {
    CO_OPT_BOOL = 1, /* bool      yes no true false on off 1 0 */
    CO_OPT_UINT,     /* uint64_t  123; or an entry of `names`: "auto" gives its index */
    CO_OPT_SIZE,     /* uint64_t  bytes: 4096, 64k, 16m, 1g (powers of 1024) */
    CO_OPT_DURATION, /* co_time   500ms 30s 5m 2h 1d; a unit is required but for 0 */
    CO_OPT_STRING,   /* char *    any text; NULL when empty and no default */
    CO_OPT_ENUM,     /* int       one of `names`, gives its index */
    CO_OPT_LIST,     /* struct co_strings  comma-separated; a repeated key appends */
};

/** Items of a CO_OPT_LIST. */
struct co_strings {
    char **items;
    size_t n;
};

enum co_option_flags {
    CO_OPT_REQUIRED = 1, /* has no default; leaving it out is an error */
    CO_OPT_RESTART = 2,  /* a reload cannot change it */
};

/** One key. A table of them ends with a row whose key is NULL. */
struct co_option {
    const char *key;
    enum co_option_type type;
    size_t offset;    /* of the value in the section's struct */
    const char *def;  /* default, read by the same parser; NULL: zero */
    int64_t min, max; /* range of UINT, SIZE, DURATION (ns); max 0: no upper bound */
    const char *const *names; /* values of an ENUM, words that a UINT also takes (gives 0,
                                 1, … in order); ends with NULL */
    unsigned flags;           /* enum co_option_flags */
    const char *help;         /* one sentence, ends with a full stop */
};

CO_END_DECLS

#endif
