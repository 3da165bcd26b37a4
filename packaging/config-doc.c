/*
 * Writes the two documents that come from daemon/config.def: the sample configuration and
 * the reference page. Both are kept in the tree; a test compares them with what this writes.
 *
 *     config-doc --ini       > conf/corod.ini
 *     config-doc --markdown  > docs/config.md
 */
#include <stdio.h>
#include <string.h>

#include "config_table.h"
#include "option.h"

/* Width of comments in the sample. */
#define COLUMNS 78

static const char ini_head[] =
    "# Configuration of corod.\n"
    "#\n"
    "# Keys that are commented out show their default. `corod --check` checks this "
    "file,\n"
    "# `corod --dump-config` prints the configuration in effect, and `systemctl reload "
    "corod`\n"
    "# applies it. Durations take ms, s, m, h or d; sizes are bytes, or take k, m or g;\n"
    "# yes-or-no keys also take true, false, on, off. A comment after a value begins "
    "with\n"
    "# a blank and ';'. See docs/config.md.\n";

static const char ini_listener[] =
    "# A listener: where connections come from, their limits, and the protocol that "
    "serves\n"
    "# them. There may be any number of them, each with its own name.\n"
    "[listener:hello]\n";

static const char ini_protocol[] =
    "# A protocol: a plugin with keys of its own. It is needed only to set these; a "
    "listener\n"
    "# may name a plugin directly, as the one above does.\n"
    "#[protocol:hello]\n";

static const char markdown_head[] =
    "# Configuration\n"
    "\n"
    "corod reads one ini file, `/etc/corod/corod.ini` unless `-c` names another.\n"
    "\n"
    "```ini\n"
    "[server]\n"
    "workers = auto\n"
    "\n"
    "[listener:web]                 ; any number of listeners, each with a name\n"
    "address  = 0.0.0.0:8080, [::]:8080\n"
    "protocol = greeting            ; a [protocol:NAME] section, or the name of a "
    "plugin\n"
    "idle_timeout = 60s\n"
    "\n"
    "[protocol:greeting]            ; a plugin, and keys of its own\n"
    "plugin = hello\n"
    "```\n"
    "\n"
    "## The file\n"
    "\n"
    "- A line is `key = value`, a `[section]`, a comment that begins with `#` or `;`, "
    "or\n"
    "  empty. A comment may follow a value after a blank: ` ; like this`. There are no "
    "quotes.\n"
    "- A line has at most 198 bytes. A list is continued by repeating its key.\n"
    "- NAME is 1 to 40 letters, digits, `.`, `_` and `-`.\n"
    "- A section is given once, and so is each key in it, lists aside.\n"
    "- `--set SECTION.KEY=VALUE` on the command line replaces all values of the key in "
    "the\n"
    "  file: `--set listener:web.idle_timeout=5s`. It may name a section that the file "
    "does\n"
    "  not have. The last one for a key wins.\n"
    "- Every error is reported in one run, with its line, and then nothing is started "
    "or\n"
    "  changed. `corod --check` does that alone; it needs no privileges, ports or "
    "network.\n"
    "- `corod --dump-config` prints the configuration in effect as a file that loads to "
    "the\n"
    "  same configuration.\n"
    "\n"
    "## Values\n"
    "\n"
    "| type | form |\n"
    "|---|---|\n"
    "| yes/no | `yes` `no` `true` `false` `on` `off` `1` `0` |\n"
    "| number | decimal digits, or a word that the key knows |\n"
    "| size | bytes: `4096`, or in powers of 1024: `64k` `16m` `1g` |\n"
    "| duration | `500ms` `30s` `5m` `2h` `1d`; only `0` needs no unit |\n"
    "| text | anything up to the end of the line |\n"
    "| word | one of those listed |\n"
    "| list | items with commas between them; repeating the key appends |\n"
    "\n"
    "Keys marked *restart* keep their value until corod is restarted; a reload that\n"
    "finds them changed says so.\n";

static const char markdown_listener[] =
    "One for each set of addresses that is served alike. At least one is needed.\n";

static const char markdown_protocol[] = "A plugin with keys of its own, which its "
                                        "documentation lists; they are checked like\n"
                                        "those of corod. A plugin without required keys "
                                        "needs no section: a listener may name it\n"
                                        "directly, and it runs with its defaults.\n";

/* ---- what a row says ---- */

static const char *type_name(enum co_option_type type)
{
    switch (type) {
    case CO_OPT_BOOL:
        return "yes/no";
    case CO_OPT_UINT:
        return "number";
    case CO_OPT_SIZE:
        return "size";
    case CO_OPT_DURATION:
        return "duration";
    case CO_OPT_STRING:
        return "text";
    case CO_OPT_ENUM:
        return "word";
    case CO_OPT_LIST:
        return "list";
    }
    return "?";
}

static void append(char *buf, size_t size, const char *text)
{
    size_t len = strlen(buf);

    (void)snprintf(buf + len, size - len, "%s", text);
}

/* Writes "0..1024, auto", or "" when nothing limits the value, into buf[size]. */
static void describe_range(const struct co_option *row, char *buf, size_t size)
{
    char number[32];

    buf[0] = '\0';
    if (row->max > 0) {
        append(buf, size,
               option_format_number(row, (uint64_t)row->min, number, sizeof(number)));
        append(buf, size, "..");
        append(buf, size,
               option_format_number(row, (uint64_t)row->max, number, sizeof(number)));
    }
    for (size_t i = 0; row->names && row->names[i]; i++) {
        append(buf, size, buf[0] ? ", " : "");
        append(buf, size, row->names[i]);
    }
}

/* ---- the sample ---- */

/* Prints text as comment lines of at most COLUMNS, broken at blanks. */
static void print_comment(const char *text)
{
    while (*text) {
        size_t len = strlen(text), cut = len;

        if (len > COLUMNS - 2) {
            cut = COLUMNS - 2;
            while (cut > 0 && text[cut] != ' ')
                cut--;
        }
        (void)printf("# %.*s\n", (int)cut, text);
        text += cut + strspn(text + cut, " ");
    }
}

static void print_row_comment(const struct co_option *row)
{
    bool needs_restart = row->flags & CO_OPT_RESTART;
    char range[128];

    print_comment(row->help);
    describe_range(row, range, sizeof(range));
    if (range[0])
        (void)printf("# Values: %s.%s\n", range,
                     needs_restart ? " Needs a restart." : "");
    else if (needs_restart)
        (void)printf("# Needs a restart.\n");
}

/* A value for a key that has no default. */
static const char *example_of(const char *key)
{
    return strcmp(key, "address") == 0 ? "127.0.0.1:7000" : "hello";
}

/* Prints the rows of a section; @prefix goes before the keys that have no default. */
static void print_ini_rows(const struct co_option *rows, const char *prefix)
{
    for (const struct co_option *row = rows; row->key; row++) {
        (void)printf("\n");
        print_row_comment(row);
        if (row->flags & CO_OPT_REQUIRED)
            (void)printf("%s%s = %s\n", prefix, row->key, example_of(row->key));
        else
            (void)printf("#%s = %s\n", row->key, row->def);
    }
}

static void print_ini(void)
{
    (void)printf("%s\n[server]\n", ini_head);
    print_ini_rows(config_server_table, "");
    (void)printf("\n%s", ini_listener);
    print_ini_rows(config_listener_table, "");
    (void)printf("\n%s", ini_protocol);
    print_ini_rows(config_protocol_table, "#");
}

/* ---- the reference ---- */

static void print_markdown_rows(const struct co_option *rows)
{
    (void)printf("\n| key | type | default | values | reload | meaning |\n"
                 "|---|---|---|---|---|---|\n");
    for (const struct co_option *row = rows; row->key; row++) {
        char range[128];

        describe_range(row, range, sizeof(range));
        (void)printf("| `%s` | %s | ", row->key, type_name(row->type));
        (void)printf(row->def ? "`%s`" : "*required*%s", row->def ? row->def : "");
        (void)printf(" | %s | %s | %s |\n", range,
                     row->flags & CO_OPT_RESTART ? "restart" : "yes", row->help);
    }
}

static void print_markdown(void)
{
    (void)printf("%s\n## [server]\n", markdown_head);
    print_markdown_rows(config_server_table);
    (void)printf("\n## [listener:NAME]\n\n%s", markdown_listener);
    print_markdown_rows(config_listener_table);
    (void)printf("\n## [protocol:NAME]\n\n%s", markdown_protocol);
    print_markdown_rows(config_protocol_table);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--ini") == 0) {
        print_ini();
    } else if (argc == 2 && strcmp(argv[1], "--markdown") == 0) {
        print_markdown();
    } else {
        (void)fprintf(stderr, "usage: config-doc --ini | --markdown\n");
        return 64;
    }
    return fflush(stdout) == 0 ? 0 : 1;
}
