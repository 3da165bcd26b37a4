/*
 * Collects configuration errors, sorted as they come.
 */
#include "config_report.h"

#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Longest error; what is longer is cut. */
#define TEXT_MAX 1024

/* Lines of the file first, then the file as a whole, then --set in its order. */
static unsigned order_of(const struct config_place *place)
{
    if (!place->file)
        return UINT_MAX / 2 + 1 + place->line;
    return place->line > 0 && place->line < UINT_MAX / 2 ? place->line : UINT_MAX / 2;
}

/* Cuts len, the result of a snprintf into size bytes, to what is really there. */
static size_t written(int len, size_t size)
{
    if (len < 0)
        return 0;
    return (size_t)len < size ? (size_t)len : size - 1;
}

static size_t format_place(const struct config_place *place, char *buf, size_t size)
{
    const char *section = place->section ? place->section : "";
    const char *key = place->key ? place->key : "";
    size_t len;

    if (!place->file)
        return written(snprintf(buf, size, "--set %s%s%s: ", section,
                                place->section && place->key ? "." : "", key),
                       size);
    if (place->line > 0)
        len = written(snprintf(buf, size, "%s:%u: ", place->file, place->line), size);
    else
        len = written(snprintf(buf, size, "%s: ", place->file), size);
    if (place->section)
        len += written(snprintf(buf + len, size - len, "[%s]%s%s: ", section,
                                place->key ? " " : "", key),
                       size - len);
    return len;
}

/* Bytes of the file that a terminal or a log would act on are shown as '?'. */
static void replace_controls(char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = '?';
    }
}

void config_report_add(struct config_report *report, const struct config_place *place,
                       const char *fmt, ...)
{
    char text[TEXT_MAX];
    unsigned order = order_of(place);
    size_t i = report->n, len;
    char *copy;
    va_list args;

    len = format_place(place, text, sizeof(text));
    va_start(args, fmt);
    (void)vsnprintf(text + len, sizeof(text) - len, fmt, args);
    va_end(args);
    replace_controls(text);
    copy = report->n < CONFIG_REPORT_MAX ? strdup(text) : NULL;
    if (!copy) {
        report->n_more++;
        return;
    }
    for (; i > 0 && report->errors[i - 1].order > order; i--)
        report->errors[i] = report->errors[i - 1];
    report->errors[i] = (struct config_error){ .text = copy, .order = order };
    report->n++;
}

bool config_report_has_errors(const struct config_report *report)
{
    return report->n + report->n_more > 0;
}

void config_report_print(const struct config_report *report, FILE *out)
{
    for (size_t i = 0; i < report->n; i++)
        (void)fprintf(out, "%s\n", report->errors[i].text);
    if (report->n_more > 0)
        (void)fprintf(out, "… and %zu more\n", report->n_more);
}

void config_report_fini(struct config_report *report)
{
    for (size_t i = 0; i < report->n; i++)
        free(report->errors[i].text);
    report->n = 0;
    report->n_more = 0;
}
