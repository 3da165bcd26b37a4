/*
 * Log lines as text. What a peer chose comes last in a line, and nothing of it can end the
 * line, begin another, or move what stands before it.
 */
#include "log_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void put(struct log_text *out, const char *data, size_t len)
{
    if (len > out->size - out->len)
        return;
    memcpy(out->data + out->len, data, len);
    out->len += len;
}

static void CO_PRINTF(2, 3) put_format(struct log_text *out, const char *fmt, ...)
{
    char text[64];
    va_list args;
    int len;

    va_start(args, fmt);
    len = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (len > 0 && (size_t)len < sizeof(text))
        put(out, text, (size_t)len);
}

/* Line and paragraph separators, and what reorders text (U+202A-202E, U+2066-2069). */
static bool is_deceptive(uint32_t code)
{
    return (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

/*
 * Length of the character at s if it may be shown as it is, else 0. RFC 3629: the shortest
 * form only, no surrogates, at most U+10FFFF. The NUL at the end of s ends any sequence.
 */
static size_t printable_len(const unsigned char *s)
{
    static const uint32_t least[] = { 0, 0, 0xa0 /* past C1 controls */, 0x800, 0x10000 };
    size_t len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    uint32_t code;

    if (s[0] < 0x80)
        return s[0] >= 0x20 && s[0] != 0x7f;
    if (s[0] < 0xc0 || s[0] >= 0xf8)
        return 0;
    code = s[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (s[i] & 0x3f);
    }
    if (code < least[len] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return 0;
    return is_deceptive(code) ? 0 : len;
}

static void put_escaped(struct log_text *out, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;

    while (*s) {
        size_t len = printable_len(s);

        if (len > 0) {
            put(out, (const char *)s, len);
            s += len;
        } else {
            put_format(out, "\\x%02x", *s++);
        }
    }
}

static void put_header(struct log_text *out, const struct log_line *line)
{
    /* Five letters each: messages begin in one column. */
    static const char *const names[] = { "emerg", "alert", "crit ", "error",
                                         "warn ", "note ", "info ", "debug" };
    char seconds[32];
    struct tm tm;

    if (!gmtime_r(&line->at.tv_sec, &tm) ||
        strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
        (void)snprintf(seconds, sizeof(seconds), "-"); /* a year past what tm holds */
    put_format(out, "%s.%03ldZ %s ", seconds, line->at.tv_nsec / 1000000,
               names[log_text_priority(line->level)]);
}

int log_text_priority(enum co_log_level level)
{
    int number = (int)level;

    return number < 0 ? 0 : number > CO_LOG_DEBUG ? CO_LOG_DEBUG : number;
}

void log_text_put(struct log_text *out, const char *text)
{
    put(out, text, strlen(text));
}

void log_text_put_message(struct log_text *out, const struct log_line *line)
{
    const struct log_fields *fields = &line->fields;
    const char *between = "";

    if (fields->listener) {
        put_escaped(out, fields->listener);
        between = " ";
    }
    if (fields->conn) {
        put_format(out, "%sconn %llu", between, (unsigned long long)fields->conn);
        between = " ";
    }
    if (fields->peer) {
        log_text_put(out, between);
        put_escaped(out, fields->peer);
        between = " ";
    }
    if (*between)
        log_text_put(out, ": ");
    put_escaped(out, line->message);
}

void log_text_put_line(struct log_text *out, const struct log_line *line)
{
    put_header(out, line);
    log_text_put_message(out, line);
    log_text_put(out, "\n");
}
