/*
 * The checks of an option table, row by row.
 */
#include "option_check.h"

#include <errno.h>
#include <stdalign.h>
#include <stdio.h>
#include <string.h>

#include "option.h"

/* Any field, at offset 0: what defaults are tried on. */
union scratch {
    bool boolean;
    uint64_t number;
    char *text;
    int index;
    struct co_strings list;
};

struct layout {
    size_t size, alignment;
};

static struct layout layout_of(enum co_option_type type)
{
    switch (type) {
    case CO_OPT_BOOL:
        return (struct layout){ sizeof(bool), alignof(bool) };
    case CO_OPT_UINT:
    case CO_OPT_SIZE:
    case CO_OPT_DURATION:
        return (struct layout){ sizeof(uint64_t), alignof(uint64_t) };
    case CO_OPT_STRING:
        return (struct layout){ sizeof(char *), alignof(char *) };
    case CO_OPT_ENUM:
        return (struct layout){ sizeof(int), alignof(int) };
    case CO_OPT_LIST:
        return (struct layout){ sizeof(struct co_strings), alignof(struct co_strings) };
    }
    return (struct layout){ 0, 0 };
}

static bool is_key(const char *key)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789_-";

    return key[0] != '\0' && key[strspn(key, allowed)] == '\0' && strlen(key) <= 48;
}

/* What is wrong with the row itself, its default aside; NULL when nothing is. */
static const char *find_flaw(const struct co_option *option, size_t size)
{
    struct layout layout = layout_of(option->type);

    if (!is_key(option->key))
        return "the key is not of 1 to 48 letters, digits, '_' and '-'";
    if (layout.size == 0)
        return "the type is unknown";
    if (layout.size > size || option->offset > size - layout.size)
        return "the field is outside of the struct";
    if (option->offset % layout.alignment != 0)
        return "the field is not aligned";
    if (option->type == CO_OPT_ENUM && (!option->names || !option->names[0]))
        return "an enum without names";
    if (option->max > 0 && option->min > option->max)
        return "the range is empty";
    return NULL;
}

static bool is_number(enum co_option_type type)
{
    return type == CO_OPT_UINT || type == CO_OPT_SIZE || type == CO_OPT_DURATION;
}

/* The default must be a value that a file could give; without one, that value is 0. */
static int check_default(const struct co_option *option, char *err)
{
    union scratch scratch = { .list = { NULL, 0 } };
    struct co_option at_0[2] = { *option, { .key = NULL } };
    int r = 0;

    at_0[0].offset = 0;
    if (!option->def && is_number(option->type) && !(option->flags & CO_OPT_REQUIRED))
        at_0[0].def = "0";
    r = option_set_default(&at_0[0], &scratch, err);
    option_free_all(at_0, &scratch);
    return r;
}

int option_check_table(const struct co_option *options, size_t size, char *err)
{
    char why[OPTION_ERR_MAX];

    for (const struct co_option *option = options; option && option->key; option++) {
        const char *flaw = find_flaw(option, size);
        int r;

        if (!flaw && option_find(options, option->key) != option)
            flaw = "the key is there twice";
        if (flaw) {
            (void)snprintf(err, OPTION_ERR_MAX, "option \"%.64s\": %s", option->key,
                           flaw);
            return -EINVAL;
        }
        r = check_default(option, why);
        if (r == -EINVAL)
            (void)snprintf(err, OPTION_ERR_MAX, "option \"%.64s\": default %.160s",
                           option->key, why);
        if (r < 0)
            return r;
    }
    return 0;
}
