/*
 * rpn: a desk calculator in reverse Polish notation. A line is a request, its words are done
 * from left to right, and the answer is the top of the session's stack:
 *
 *     1 2 +        3
 *     4 *          12
 *     pi           3.14159265358979
 *     + + +        error: "+" needs two values
 *     quit         (the connection ends)
 *
 * A line with an error changes nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <corod/plugin.h>

enum { MAX_LINE = 1000, MAX_WORD = 63, MAX_ANSWER = 128 };

/* ---- configuration ---- */

struct rpn_options {
    uint64_t depth;
    char *greeting;
    struct co_strings constants;
};

static const struct co_option options[] = {
    { "depth", CO_OPT_UINT, offsetof(struct rpn_options, depth), .def = "100", .min = 2,
      .max = 10000, .help = "Values that a session can hold." },
    { "greeting", CO_OPT_STRING, offsetof(struct rpn_options, greeting), .def = "rpn",
      .help = "What a client is told first." },
    { "constants", CO_OPT_LIST, offsetof(struct rpn_options, constants),
      .def = "pi=3.14159265358979", .help = "Names for numbers: NAME=NUMBER." },
    { .key = NULL },
};

struct constant {
    const char *name; /* name[name_len] */
    size_t name_len;
    double value;
};

/* An instance: shared by all workers, so nothing changes it after rpn_open(). */
struct rpn {
    const struct rpn_options *options;
    size_t n_constants;
    struct constant constants[];
};

static bool read_constant(const char *text, struct constant *out)
{
    const char *sign = strchr(text, '=');
    char *end;

    if (!sign || sign == text)
        return false;
    *out = (struct constant){ .name = text, .name_len = (size_t)(sign - text) };
    out->value = strtod(sign + 1, &end);
    return end > sign + 1 && *end == '\0';
}

static int rpn_open(const void *opt, void **out_instance, char *err, size_t err_size)
{
    const struct rpn_options *o = opt;
    struct rpn *rpn =
        calloc(1, sizeof(*rpn) + o->constants.n * sizeof(rpn->constants[0]));

    if (!rpn)
        return -ENOMEM;
    rpn->options = o;
    for (; rpn->n_constants < o->constants.n; rpn->n_constants++) {
        const char *text = o->constants.items[rpn->n_constants];

        if (!read_constant(text, &rpn->constants[rpn->n_constants])) {
            snprintf(err, err_size, "constants: \"%s\" is not NAME=NUMBER", text);
            free(rpn);
            return -EINVAL;
        }
    }
    *out_instance = rpn;
    return 0;
}

static void rpn_close(void *instance)
{
    free(instance);
}

/* ---- the calculator ---- */

/* What a connection keeps from line to line. */
struct session {
    unsigned long long n_lines;
    size_t depth; /* room in each half of values */
    size_t n;
    double values[]; /* [depth] the stack, and [depth] to work on */
};

static struct session *session_new(size_t depth)
{
    struct session *s = calloc(1, sizeof(*s) + 2 * depth * sizeof(s->values[0]));

    if (s)
        s->depth = depth;
    return s;
}

static bool find_value(const struct rpn *rpn, const char *word, size_t len, double *out)
{
    char text[MAX_WORD + 1];
    char *end;

    for (size_t i = 0; i < rpn->n_constants; i++) {
        const struct constant *c = &rpn->constants[i];

        if (c->name_len == len && memcmp(c->name, word, len) == 0) {
            *out = c->value;
            return true;
        }
    }
    if (len > MAX_WORD)
        return false;
    /* Bytes of a stream have no NUL at their end. */
    memcpy(text, word, len);
    text[len] = '\0';
    *out = strtod(text, &end);
    return len > 0 && end == text + len;
}

/* Does + - * / on the two topmost values. Returns NULL, or what is wrong. */
static const char *operate(double *values, size_t *n, char op)
{
    double *a, b;

    if (*n < 2)
        return "needs two values";
    a = &values[*n - 2];
    b = values[*n - 1];
    if (op == '/' && b == 0)
        return "divides by zero";
    *a = op == '+' ? *a + b : op == '-' ? *a - b : op == '*' ? *a * b : *a / b;
    --*n;
    return NULL;
}

/* Does one word on values[*n]. Returns NULL, or what is wrong. */
static const char *do_word(const struct rpn *rpn, size_t depth, double *values, size_t *n,
                           struct co_bytes word)
{
    double value;

    if (word.len == 1 && memchr("+-*/", word.data[0], 4))
        return operate(values, n, word.data[0]);
    if (!find_value(rpn, word.data, word.len, &value))
        return "is no number, name or operator";
    if (*n == depth)
        return "does not fit, the stack is full";
    values[(*n)++] = value;
    return NULL;
}

/* Takes the next word off the front of a line; false when there is none. */
static bool next_word(struct co_bytes *line, struct co_bytes *out_word)
{
    while (line->len > 0 && *line->data == ' ') {
        line->data++;
        line->len--;
    }
    out_word->data = line->data;
    while (line->len > 0 && *line->data != ' ') {
        line->data++;
        line->len--;
    }
    out_word->len = (size_t)(line->data - out_word->data);
    return out_word->len > 0;
}

/* Does a line and writes the answer. Returns its length. */
static int calculate(const struct rpn *rpn, struct session *s, struct co_bytes line,
                     char answer[MAX_ANSWER])
{
    double *work = s->values + s->depth;
    struct co_bytes word;
    size_t n = s->n;

    memcpy(work, s->values, s->n * sizeof(work[0]));
    while (next_word(&line, &word)) {
        const char *error = do_word(rpn, s->depth, work, &n, word);

        if (error)
            return snprintf(answer, MAX_ANSWER, "error: \"%.*s\" %s\n",
                            word.len < MAX_WORD ? (int)word.len : MAX_WORD, word.data,
                            error);
    }
    memcpy(s->values, work, n * sizeof(work[0]));
    s->n = n;
    return n > 0 ? snprintf(answer, MAX_ANSWER, "%.15g\n", s->values[n - 1])
                 : snprintf(answer, MAX_ANSWER, "empty\n");
}

/* ---- the protocol ---- */

static enum co_next say(struct co_conn *conn, const char *text, size_t len,
                        enum co_next next)
{
    co_stream_write(conn->stream, text, len);
    /* A client that sends and never reads is waited for here, within write_timeout. */
    return co_stream_await_drain(conn->stream, CO_NEVER) < 0 ? CO_CLOSE : next;
}

static enum co_next greet(struct co_conn *conn)
{
    static const char busy[] = "error: out of memory\n";
    const struct rpn *rpn = co_conn_instance(conn);
    char text[MAX_ANSWER];
    int len;

    conn->data = session_new(rpn->options->depth);
    if (!conn->data)
        return say(conn, busy, sizeof(busy) - 1, CO_CLOSE);
    len = snprintf(text, sizeof(text), "%.100s\n",
                   rpn->options->greeting ? rpn->options->greeting : "");
    return say(conn, text, (size_t)len, CO_PARK);
}

static enum co_next rpn_serve(struct co_conn *conn)
{
    static const char too_long[] = "error: line too long\n";
    struct session *s = conn->data;
    char answer[MAX_ANSWER];
    struct co_bytes line;
    int r;

    if (!s)
        return greet(conn);
    r = co_stream_await_line(conn->stream, MAX_LINE, CO_NEVER, &line);
    if (r == -EMSGSIZE)
        return say(conn, too_long, sizeof(too_long) - 1, CO_CLOSE);
    if (r < 0) {
        if (r != CO_EEOF)
            co_conn_log(conn, CO_LOG_DEBUG, "no line: %s", co_strerror(r));
        return CO_CLOSE;
    }
    s->n_lines++;
    if (line.len == 4 && memcmp(line.data, "quit", 4) == 0)
        return CO_CLOSE;
    r = calculate(co_conn_instance(conn), s, line, answer);
    return say(conn, answer, (size_t)r, CO_PARK);
}

static void rpn_closed(struct co_conn *conn)
{
    struct session *s = conn->data;

    if (s)
        co_conn_log(conn, CO_LOG_INFO, "session of %llu lines ends", s->n_lines);
    free(s);
}

CO_PLUGIN(.name = "rpn", .version = "1.0", .description = "A calculator with a stack.",
          .start = CO_ON_ACCEPT, .options = options,
          .options_size = sizeof(struct rpn_options), .open = rpn_open,
          .close = rpn_close, .serve = rpn_serve, .closed = rpn_closed);
