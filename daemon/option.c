/*
 * Values of option tables. Each type has a reader and a writer; numbers share one that
 * knows units and ranges. Messages show the value as it was given and the range in its
 * own unit.
 */
#include "option.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "nearest.h"

/* Most bytes of a value that a message repeats. */
#define SHOWN "%.64s"

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit size_units[] = {
    { "k", 1024 },
    { "m", (uint64_t)1024 * 1024 },
    { "g", (uint64_t)1024 * 1024 * 1024 },
    { NULL, 0 },
};

static const struct unit duration_units[] = {
    { "ms", (uint64_t)CO_MSEC },          { "s", (uint64_t)CO_SECOND },
    { "m", (uint64_t)CO_SECOND * 60 },    { "h", (uint64_t)CO_SECOND * 3600 },
    { "d", (uint64_t)CO_SECOND * 86400 }, { NULL, 0 },
};

static int complain(char *err, const char *fmt, ...) CO_PRINTF(2, 3);

static int complain(char *err, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(err, OPTION_ERR_MAX, fmt, args);
    va_end(args);
    return -EINVAL;
}

static void *field(const struct co_option *option, void *base)
{
    return (char *)base + option->offset;
}

static const void *field_const(const struct co_option *option, const void *base)
{
    return (const char *)base + option->offset;
}

/* ---- words ---- */

static int find_word(const char *const *names, const char *text)
{
    for (int i = 0; names && names[i]; i++) {
        if (strcmp(names[i], text) == 0)
            return i;
    }
    return -1;
}

static size_t n_words(const char *const *names)
{
    size_t n = 0;

    while (names && names[n])
        n++;
    return n;
}

/* Joins words by ", " into buf[size], cut to fit. */
static const char *join_words(const char *const *names, char *buf, size_t size)
{
    size_t len = 0;

    buf[0] = '\0';
    for (size_t i = 0; names[i] && len < size; i++) {
        int n = snprintf(buf + len, size - len, "%s%s", i > 0 ? ", " : "", names[i]);

        len += (size_t)n;
    }
    return buf;
}

static int parse_bool(const char *text, bool *out, char *err)
{
    static const char *const words[] = { "no",  "yes", "false", "true",
                                         "off", "on",  "0",     "1" };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcasecmp(text, words[i]) == 0) {
            *out = i % 2 == 1;
            return 0;
        }
    }
    return complain(err, "\"" SHOWN "\" is neither yes nor no", text);
}

static int parse_enum(const struct co_option *option, const char *text, int *out,
                      char *err)
{
    struct nearest nearest = { .wanted = text };
    char words[OPTION_ERR_MAX / 2];
    int i = find_word(option->names, text);

    if (i >= 0) {
        *out = i;
        return 0;
    }
    for (i = 0; option->names[i]; i++)
        nearest_offer(&nearest, option->names[i]);
    join_words(option->names, words, sizeof(words));
    if (nearest.name)
        return complain(err, "\"" SHOWN "\" is none of %s, did you mean \"%s\"?", text,
                        words, nearest.name);
    return complain(err, "\"" SHOWN "\" is none of %s", text, words);
}

/* ---- numbers ---- */

static bool has_unit(const struct co_option *option)
{
    return option->type == CO_OPT_SIZE || option->type == CO_OPT_DURATION;
}

static const struct unit *units_of(const struct co_option *option)
{
    return option->type == CO_OPT_SIZE ? size_units : duration_units;
}

const char *option_format_number(const struct co_option *option, uint64_t value,
                                 char *buf, size_t size)
{
    const struct unit *best = NULL;

    if (has_unit(option) && value > 0) {
        for (const struct unit *unit = units_of(option); unit->name; unit++) {
            if (value % unit->factor == 0)
                best = unit;
        }
    }
    (void)snprintf(buf, size, "%llu%s",
                   (unsigned long long)(best ? value / best->factor : value),
                   best ? best->name : "");
    return buf;
}

static uint64_t lower_bound(const struct co_option *option)
{
    return option->min > 0 ? (uint64_t)option->min : 0;
}

static uint64_t upper_bound(const struct co_option *option)
{
    if (option->max > 0)
        return (uint64_t)option->max;
    return option->type == CO_OPT_DURATION ? (uint64_t)INT64_MAX : UINT64_MAX;
}

static int complain_range(const struct co_option *option, const char *text, bool is_below,
                          char *err)
{
    char low[32], high[32];

    option_format_number(option, lower_bound(option), low, sizeof(low));
    option_format_number(option, upper_bound(option), high, sizeof(high));
    if (option->max > 0)
        return complain(err, "\"" SHOWN "\" is out of range %s..%s", text, low, high);
    if (is_below)
        return complain(err, "\"" SHOWN "\" is out of range, the least is %s", text, low);
    return complain(err, "\"" SHOWN "\" is too large", text);
}

static int complain_number(const struct co_option *option, const char *text, char *err)
{
    char words[OPTION_ERR_MAX / 2];

    if (option->type == CO_OPT_SIZE)
        return complain(err, "\"" SHOWN "\" is not a size (bytes, or with k, m, g)",
                        text);
    if (option->type == CO_OPT_DURATION)
        return complain(err, "\"" SHOWN "\" is not a duration (ms, s, m, h, d)", text);
    if (n_words(option->names) == 0)
        return complain(err, "\"" SHOWN "\" is not a number", text);
    join_words(option->names, words, sizeof(words));
    return complain(err, "\"" SHOWN "\" is not a number or %s", text, words);
}

/* Multiplies *value by the unit that @suffix names; saturates. False: no such unit. */
static bool apply_unit(const struct co_option *option, const char *suffix,
                       uint64_t *value)
{
    for (const struct unit *unit = units_of(option); unit->name; unit++) {
        /* Only sizes take upper case: 5M must not be taken for five minutes. */
        if (option->type == CO_OPT_SIZE ? strcasecmp(unit->name, suffix) != 0
                                        : strcmp(unit->name, suffix) != 0)
            continue;
        if (__builtin_mul_overflow(*value, unit->factor, value))
            *value = UINT64_MAX;
        return true;
    }
    return false;
}

/* Reads digits; saturates at UINT64_MAX. Returns what follows them. */
static const char *read_digits(const char *text, uint64_t *out)
{
    uint64_t value = 0;

    for (; isdigit((unsigned char)*text); text++) {
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
            value = UINT64_MAX;
    }
    *out = value;
    return text;
}

static int parse_number(const struct co_option *option, const char *text, uint64_t *out,
                        char *err)
{
    uint64_t value;
    const char *rest;
    int word = option->type == CO_OPT_UINT ? find_word(option->names, text) : -1;

    if (word >= 0) {
        *out = (uint64_t)word;
        return 0;
    }
    if (text[0] == '-' && isdigit((unsigned char)text[1]))
        return complain_range(option, text, true, err);
    rest = read_digits(text, &value);
    if (rest == text)
        return complain_number(option, text, err);
    if (*rest && (!has_unit(option) || !apply_unit(option, rest, &value)))
        return complain_number(option, text, err);
    if (!*rest && option->type == CO_OPT_DURATION && value > 0)
        return complain(err, "\"" SHOWN "\" has no unit (ms, s, m, h, d)", text);
    /* UINT64_MAX may also stand for a larger number, so it is never in range. */
    if (value < lower_bound(option) || value > upper_bound(option) || value == UINT64_MAX)
        return complain_range(option, text, value < lower_bound(option), err);
    *out = value;
    return 0;
}

/* ---- strings and lists ---- */

static int parse_string(const struct co_option *option, const char *text, char **out,
                        char *err)
{
    char *copy = NULL;

    if (text[0] == '\0' && option->flags & CO_OPT_REQUIRED)
        return complain(err, "has no value");
    if (text[0] != '\0' || option->def) {
        copy = strdup(text);
        if (!copy)
            return -ENOMEM;
    }
    free(*out);
    *out = copy;
    return 0;
}

/* Finds the item that starts at *text and moves *text behind its comma, or to NULL. */
static const char *next_item(const char **text, size_t *out_len)
{
    const char *item = *text + strspn(*text, " \t");
    size_t len = strcspn(item, ",");

    *text = item[len] == ',' ? item + len + 1 : NULL;
    while (len > 0 && isspace((unsigned char)item[len - 1]))
        len--;
    *out_len = len;
    return item;
}

static int parse_list(const struct co_option *option, const char *text,
                      struct co_strings *list, char *err)
{
    size_t n = list->n, len;
    char **items = NULL;
    const char *rest = text;

    if (text[0] == '\0')
        return option->flags & CO_OPT_REQUIRED ? complain(err, "has no value") : 0;
    for (; rest; n++) {
        next_item(&rest, &len);
        if (len == 0)
            return complain(err, "\"" SHOWN "\" has an empty item", text);
    }
    items = realloc(list->items, n * sizeof(*items));
    if (!items)
        return -ENOMEM;
    list->items = items;
    n = list->n;
    for (rest = text; rest; n++) {
        const char *item = next_item(&rest, &len);

        items[n] = strndup(item, len);
        if (!items[n])
            goto fail;
    }
    list->n = n;
    return 0;
fail:
    while (n > list->n)
        free(items[--n]);
    return -ENOMEM;
}

static void free_list(struct co_strings *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct co_strings){ NULL, 0 };
}

static bool equal_lists(const struct co_strings *a, const struct co_strings *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    }
    return true;
}

static bool equal_strings(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* ---- all types ---- */

int option_parse(const struct co_option *option, const char *text, void *base, char *err)
{
    void *value = field(option, base);

    if (text[0] == '\0' && option->type != CO_OPT_STRING && option->type != CO_OPT_LIST)
        return complain(err, "has no value");
    switch (option->type) {
    case CO_OPT_BOOL:
        return parse_bool(text, value, err);
    case CO_OPT_UINT:
    case CO_OPT_SIZE:
    case CO_OPT_DURATION: /* co_time is int64_t; its range keeps the sign bit clear */
        return parse_number(option, text, value, err);
    case CO_OPT_STRING:
        return parse_string(option, text, value, err);
    case CO_OPT_ENUM:
        return parse_enum(option, text, value, err);
    case CO_OPT_LIST:
        return parse_list(option, text, value, err);
    }
    return complain(err, "is of unknown type %d", (int)option->type);
}

int option_set_default(const struct co_option *option, void *base, char *err)
{
    return option->def ? option_parse(option, option->def, base, err) : 0;
}

void option_free_all(const struct co_option *options, void *base)
{
    for (; options && options->key; options++) {
        if (options->type == CO_OPT_STRING) {
            char **text = field(options, base);

            free(*text);
            *text = NULL;
        } else if (options->type == CO_OPT_LIST) {
            free_list(field(options, base));
        }
    }
}

bool option_equal(const struct co_option *option, const void *a, const void *b)
{
    const void *in_a = field_const(option, a), *in_b = field_const(option, b);

    switch (option->type) {
    case CO_OPT_BOOL:
        return *(const bool *)in_a == *(const bool *)in_b;
    case CO_OPT_UINT:
    case CO_OPT_SIZE:
    case CO_OPT_DURATION:
        return memcmp(in_a, in_b, sizeof(uint64_t)) == 0;
    case CO_OPT_STRING:
        return equal_strings(*(char *const *)in_a, *(char *const *)in_b);
    case CO_OPT_ENUM:
        return *(const int *)in_a == *(const int *)in_b;
    case CO_OPT_LIST:
        return equal_lists(in_a, in_b);
    }
    return false;
}

static void write_number(const struct co_option *option, const void *value, FILE *out)
{
    char buf[32];
    uint64_t number;

    memcpy(&number, value, sizeof(number));
    if (option->type == CO_OPT_UINT && number < n_words(option->names))
        (void)fputs(option->names[number], out);
    else
        (void)fputs(option_format_number(option, number, buf, sizeof(buf)), out);
}

void option_write(const struct co_option *option, const void *base, FILE *out)
{
    const void *value = field_const(option, base);
    const struct co_strings *list;
    const char *text;

    switch (option->type) {
    case CO_OPT_BOOL:
        (void)fputs(*(const bool *)value ? "yes" : "no", out);
        break;
    case CO_OPT_UINT:
    case CO_OPT_SIZE:
    case CO_OPT_DURATION:
        write_number(option, value, out);
        break;
    case CO_OPT_STRING:
        text = *(char *const *)value;
        (void)fputs(text ? text : "", out);
        break;
    case CO_OPT_ENUM:
        (void)fputs(option->names[*(const int *)value], out);
        break;
    case CO_OPT_LIST:
        list = value;
        for (size_t i = 0; i < list->n; i++)
            (void)fprintf(out, "%s%s", i > 0 ? ", " : "", list->items[i]);
        break;
    }
}

const struct co_strings *option_list(const struct co_option *option, const void *base)
{
    return field_const(option, base);
}

const char *option_string(const struct co_option *option, const void *base)
{
    return *(char *const *)field_const(option, base);
}

const struct co_option *option_find(const struct co_option *options, const char *key)
{
    for (; options && options->key; options++) {
        if (strcmp(options->key, key) == 0)
            return options;
    }
    return NULL;
}
