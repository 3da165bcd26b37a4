/*
 * Reads the configuration file and --set into a config_text, and has it built.
 *
 * inih splits keys from values and takes comments away. The rest is the job of
 * read_line(), from which inih gets its lines: the handler is given no line number by the
 * usual builds of inih, and none says anything of NUL bytes, of lines it splits because
 * they are too long, of section names it cuts, or of sections without keys. So
 * read_line() counts, checks, takes section headers itself, and hands on an empty line in
 * place of what inih must not see.
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>

#include "config_build.h"
#include "config_text.h"

/* A file beyond this is not a configuration (/dev/zero); the rest is not read. */
#define FILE_MAX_LINES 10000
#define FILE_MAX_BYTES (1 << 20)

/* Lines are at most this much shorter than inih's buffer: for '\n' and NUL. */
#define LINE_END_BYTES 2

struct reader {
    FILE *file;
    const char *path;
    struct config_text *text;
    struct config_report *report;
    const char *section; /* name of the current one; owned by text; NULL: none, or bad */
    unsigned line;
    size_t n_bytes;
    bool awaits_entry; /* inih has a line from which it must call on_entry() */
    bool has_orphan;   /* a key before the first section was reported */
    bool had_section;
    int error; /* why reading stopped early */
};

static struct config_place place_of(const struct reader *reader)
{
    return (struct config_place){ .file = reader->path, .line = reader->line };
}

/* ---- lines ---- */

enum line_kind { LINE_GOOD, LINE_LONG, LINE_WITH_NUL, LINE_NONE };

/* Reads up to '\n' into line[size]; what does not fit is dropped. */
static enum line_kind get_line(struct reader *reader, char *line, size_t size)
{
    enum line_kind kind = LINE_GOOD;
    size_t len = 0;
    int c;

    while ((c = getc(reader->file)) != EOF && c != '\n') {
        if (++reader->n_bytes > FILE_MAX_BYTES)
            break;
        if (c == '\0')
            kind = LINE_WITH_NUL;
        /* Room for the '\r' of "\r\n" too, which is not part of the line. */
        if (len < size - 1)
            line[len] = (char)c;
        len++;
    }
    if (c == EOF && ferror(reader->file))
        reader->error = -errno;
    if (len == 0 && c == EOF)
        return LINE_NONE;
    if (len > 0 && len < size && line[len - 1] == '\r')
        len--;
    if (len > size - LINE_END_BYTES)
        return kind == LINE_GOOD ? LINE_LONG : kind;
    line[len] = '\0';
    return kind;
}

static char *strip(char *text)
{
    size_t len;

    while (isspace((unsigned char)*text))
        text++;
    len = strlen(text);
    while (len > 0 && isspace((unsigned char)text[len - 1]))
        text[--len] = '\0';
    return text;
}

static int add_section(struct reader *reader, const char *name)
{
    struct config_place place = place_of(reader);
    struct config_section *section = config_text_find(reader->text, name);
    int r = 0;

    if (section) {
        place.section = name;
        config_report_add(reader->report, &place, "is there twice, first at line %u",
                          section->line);
    } else {
        r = config_text_add_section(reader->text, name, reader->line, false, &section);
    }
    if (r == 0)
        reader->section = section->name;
    return r;
}

/* Takes a section header. @line begins with '[' and may be written to. */
static int take_header(struct reader *reader, char *line)
{
    struct config_place place = place_of(reader);
    char *end = strchr(line, ']');
    const char *rest;

    reader->section = NULL;
    reader->had_section = true;
    if (!end) {
        config_report_add(reader->report, &place, "no ']' after the section's name");
        return 0;
    }
    *end = '\0';
    rest = end + 1 + strspn(end + 1, " \t");
    if (*rest != '\0' && *rest != ';' && *rest != '#') {
        place.section = strip(line + 1);
        config_report_add(reader->report, &place, "text after ']'");
    }
    return add_section(reader, strip(line + 1));
}

/* Reports a line that inih took for none. */
static void finish_line(struct reader *reader)
{
    struct config_place place = place_of(reader);

    if (reader->awaits_entry)
        config_report_add(reader->report, &place, "no '=' in this line");
    reader->awaits_entry = false;
}

/* Whether the file goes on for too long; then it is reported, and not read any further.
 */
static bool is_endless(struct reader *reader)
{
    struct config_place place = place_of(reader);

    if (reader->line <= FILE_MAX_LINES && reader->n_bytes <= FILE_MAX_BYTES)
        return false;
    config_report_add(reader->report, &place,
                      "more than %d lines or %d bytes, the rest is not read",
                      FILE_MAX_LINES, FILE_MAX_BYTES);
    reader->error = -EFBIG;
    return true;
}

/* Removes what stands before the first character of a line: blanks, in line 1 a BOM. */
static void strip_start(const struct reader *reader, char *line)
{
    static const char bom[] = "\xef\xbb\xbf";
    const char *start = line;

    if (reader->line == 1 && strncmp(line, bom, strlen(bom)) == 0)
        start += strlen(bom);
    while (isspace((unsigned char)*start))
        start++;
    memmove(line, start, strlen(start) + 1);
}

/* Gives inih its next line, without '\n', like fgets() into buf[size]. An ini_reader. */
static char *read_line(char *buf, int size, void *stream)
{
    struct reader *reader = stream;
    struct config_place place;
    enum line_kind kind;

    finish_line(reader);
    if (reader->error < 0)
        return NULL;
    kind = get_line(reader, buf, (size_t)size);
    if (kind == LINE_NONE || reader->error < 0)
        return NULL;
    reader->line++;
    if (is_endless(reader))
        return NULL;
    place = place_of(reader);
    if (kind == LINE_LONG)
        config_report_add(reader->report, &place,
                          "longer than %d bytes; a list may be continued: repeat the key",
                          size - LINE_END_BYTES);
    if (kind == LINE_WITH_NUL)
        config_report_add(reader->report, &place, "has a NUL byte");
    if (kind != LINE_GOOD)
        buf[0] = '\0';
    strip_start(reader, buf);
    if (buf[0] == '[') {
        reader->error = take_header(reader, buf);
        buf[0] = '\0';
    }
    reader->awaits_entry = buf[0] != '\0' && buf[0] != ';' && buf[0] != '#';
    return buf;
}

/* Takes one "key = value" from inih. An ini_handler; returns 1 to go on. */
static int on_entry(void *user, const char *ini_section, const char *key,
                    const char *value)
{
    struct reader *reader = user;
    struct config_place place = place_of(reader);
    struct config_section *section;

    (void)ini_section; /* read_line() keeps the headers to itself */
    if (!key || !value)
        return 1; /* builds of inih that take lines without '=' */
    reader->awaits_entry = false;
    if (key[0] == '\0') {
        config_report_add(reader->report, &place, "no key before '='");
    } else if (reader->section) {
        section = config_text_find(reader->text, reader->section);
        if (reader->error == 0)
            reader->error = config_section_add(section, key, value, reader->line);
    } else if (!reader->had_section && !reader->has_orphan) {
        reader->has_orphan = true;
        config_report_add(reader->report, &place,
                          "key \"%.64s\" before the first section", key);
    }
    return 1;
}

/* Returns 0, -ENOMEM, or -EINVAL when nothing more can be said of the file. */
static int read_file(struct reader *reader, FILE *file)
{
    struct config_place place = { .file = reader->path };

    reader->file = file;
    if (ini_parse_stream(read_line, reader, on_entry, reader) == -2)
        reader->error = -ENOMEM;
    if (reader->error == 0 || reader->error == -ENOMEM)
        return reader->error;
    if (reader->error != -EFBIG)
        config_report_add(reader->report, &place, "%s", strerror(-reader->error));
    return -EINVAL;
}

static int open_and_read(struct reader *reader)
{
    struct config_place place = { .file = reader->path };
    FILE *file = fopen(reader->path, "re");
    int r;

    if (!file) {
        config_report_add(reader->report, &place, "%s", strerror(errno));
        return -EINVAL;
    }
    r = read_file(reader, file);
    (void)fclose(file);
    return r;
}

/* ---- --set ---- */

/* What keeps a value from being written in a file, as config_dump() will; or NULL. */
static const char *find_set_flaw(const char *key, const char *value)
{
    if (strlen(key) + 1 + strlen(value) > INI_MAX_LINE - LINE_END_BYTES)
        return "is longer than a line of the file may be";
    for (const char *c = value; *c; c++) {
        if (iscntrl((unsigned char)*c) && *c != '\t')
            return "has a control character";
        if (*c == ';' && c > value && isspace((unsigned char)c[-1]))
            return "has a comment: \" ;\"";
    }
    return NULL;
}

/* Applies one "SECTION.KEY=VALUE", the @number-th from 1; @set may be written to. */
static int apply_set(struct config_text *text, char *set, unsigned number,
                     struct config_report *report)
{
    struct config_place place = { .line = number, .section = set };
    struct config_section *section;
    char *equals = strchr(set, '='), *dot = NULL, *value;
    const char *flaw;
    int r;

    if (equals)
        dot = memrchr(set, '.', (size_t)(equals - set));
    if (!dot || dot == set || dot + 1 == equals) {
        config_report_add(report, &place, "is not SECTION.KEY=VALUE");
        return 0;
    }
    *dot = '\0';
    *equals = '\0';
    set = strip(set);
    place.section = set;
    place.key = strip(dot + 1);
    value = strip(equals + 1);
    flaw = find_set_flaw(place.key, value);
    if (flaw) {
        config_report_add(report, &place, "%s", flaw);
        return 0;
    }
    section = config_text_find(text, set);
    if (!section) {
        r = config_text_add_section(text, set, number, true, &section);
        if (r < 0)
            return r;
    }
    return config_section_override(section, place.key, value, number);
}

static int apply_sets(const struct config_source *source, struct config_text *text,
                      struct config_report *report)
{
    for (size_t i = 0; i < source->n_sets; i++) {
        char *set = strdup(source->sets[i]);
        int r = set ? apply_set(text, set, (unsigned)i + 1, report) : -ENOMEM;

        free(set);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- all ---- */

int config_load(const struct config_source *source, struct config_report *report,
                struct config **out_config)
{
    struct config_text text = { NULL, 0 };
    struct reader reader = { .path = source->path, .text = &text, .report = report };
    struct config *config = NULL;
    int r = source->file ? read_file(&reader, source->file) : open_and_read(&reader);

    if (r == 0)
        r = apply_sets(source, &text, report);
    if (r == 0)
        r = config_build(source, &text, report, &config);
    config_text_fini(&text);
    if (r == 0 && config_report_has_errors(report))
        r = -EINVAL;
    if (r < 0) {
        config_free(config);
        return r;
    }
    *out_config = config;
    return 0;
}
