/*
 * The effective configuration in ini form.
 */
#include "config_dump.h"

#include <string.h>

#include "option.h"

/* A line up to this length is written with blanks; far below the longest that is read. */
#define ROOMY_LINE 160

/* Writes "key = text", or "key=text" where the blanks would do harm: they make a comment
 * of what begins with ';', and make a line longer than it was when it was read. */
static void write_text(const char *key, const char *text, FILE *out)
{
    bool is_roomy = text[0] != ';' && strlen(key) + strlen(text) < ROOMY_LINE;

    if (text[0] == '\0')
        (void)fprintf(out, "%s =\n", key);
    else
        (void)fprintf(out, is_roomy ? "%s = %s\n" : "%s=%s\n", key, text);
}

static void write_option(const struct co_option *option, const void *base, FILE *out)
{
    const struct co_strings *list;
    const char *text;

    switch (option->type) {
    case CO_OPT_LIST:
        list = option_list(option, base);
        if (list->n == 0)
            write_text(option->key, "", out);
        for (size_t i = 0; i < list->n; i++)
            write_text(option->key, list->items[i], out);
        break;
    case CO_OPT_STRING:
        text = option_string(option, base);
        write_text(option->key, text ? text : "", out);
        break;
    default:
        (void)fprintf(out, "%s = ", option->key);
        option_write(option, base, out);
        (void)fputc('\n', out);
    }
}

static void write_options(const struct co_option *options, const void *base, FILE *out)
{
    for (; options && options->key; options++)
        write_option(options, base, out);
}

void config_dump(const struct config *config, FILE *out)
{
    (void)fputs("[server]\n", out);
    write_options(config_server_table, &config->server, out);
    for (size_t i = 0; i < config->n_listeners; i++) {
        const struct config_listener *listener = &config->listeners[i];

        (void)fprintf(out, "\n[listener:%s]\n", listener->name);
        write_options(config_listener_table, &listener->opt, out);
    }
    for (size_t i = 0; i < config->n_protocols; i++) {
        const struct config_protocol *protocol = &config->protocols[i];

        (void)fprintf(out, "\n[protocol:%s]\n", protocol->name);
        write_options(config_protocol_table, &protocol->opt, out);
        write_options(protocol->plugin->options, protocol->options, out);
    }
}
