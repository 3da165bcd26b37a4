/*
 * corod: the command line.
 */
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <corod/task.h>

#include "config.h"
#include "config_dump.h"
#include "generation.h"
#include "loader.h"
#include "logger.h"
#include "supervisor.h"

static const char usage[] =
    "Usage: corod [-c FILE] [--set SECTION.KEY=VALUE]... [--check | --dump-config]\n"
    "\n"
    "Serves the listeners of an ini file until SIGTERM or SIGINT.\n"
    "\n"
    "  -c, --config FILE            configuration (default " COROD_CONFIG_FILE ")\n"
    "      --set SECTION.KEY=VALUE  overrides a key of the file; may be repeated\n"
    "      --check                  checks the configuration and its plugins, and exits\n"
    "      --dump-config            prints the configuration in effect, and exits\n"
    "  -V, --version                prints the version, and exits\n"
    "  -h, --help                   prints this, and exits\n"
    "\n"
    "Signals: SIGHUP reloads, SIGTERM and SIGINT drain, a second one ends at once.\n"
    "Exit status: 0 good, 64 usage, 78 configuration error, 1 any other failure.\n";

enum { OPT_SET = 256, OPT_CHECK, OPT_DUMP };

static const struct option options[] = {
    { "config", required_argument, NULL, 'c' },
    { "set", required_argument, NULL, OPT_SET },
    { "check", no_argument, NULL, OPT_CHECK },
    { "dump-config", no_argument, NULL, OPT_DUMP },
    { "version", no_argument, NULL, 'V' },
    { "help", no_argument, NULL, 'h' },
    { NULL, 0, NULL, 0 },
};

enum mode { MODE_SERVE, MODE_CHECK, MODE_DUMP };

struct command {
    enum mode mode;
    const char *path;
    const char **sets; /* [n_sets] */
    size_t n_sets;
};

static _Noreturn void usage_error(const char *message)
{
    if (message)
        fprintf(stderr, "corod: %s\n", message);
    fprintf(stderr, "Try 'corod --help'.\n");
    exit(EX_USAGE);
}

static void set_mode(struct command *command, enum mode mode)
{
    if (command->mode != MODE_SERVE && command->mode != mode)
        usage_error("--check and --dump-config exclude each other");
    command->mode = mode;
}

/* Ends the process for --help, --version and wrong usage. */
static void parse(int argc, char **argv, struct command *command)
{
    int c;

    while ((c = getopt_long(argc, argv, "c:Vh", options, NULL)) != -1) {
        switch (c) {
        case 'c':
            command->path = optarg;
            break;
        case OPT_SET:
            if (!strchr(optarg, '='))
                usage_error("--set takes SECTION.KEY=VALUE");
            command->sets[command->n_sets++] = optarg;
            break;
        case OPT_CHECK:
            set_mode(command, MODE_CHECK);
            break;
        case OPT_DUMP:
            set_mode(command, MODE_DUMP);
            break;
        case 'V':
            printf("corod %s\n", COROD_VERSION);
            exit(EXIT_SUCCESS);
        case 'h':
            fputs(usage, stdout);
            exit(EXIT_SUCCESS);
        default:
            usage_error(NULL);
        }
    }
    if (optind < argc)
        usage_error("there are no arguments besides options");
}

/* --check: the plugins' own word on their options, too. Consumes the config. */
static int check(struct config *config, const char *path)
{
    struct generation *generation;
    char err[512];
    int r = generation_new(NULL, config, conn_describe, err, sizeof(err), &generation);

    if (r < 0) {
        fprintf(stderr, "%s: %s\n", path, err);
        config_free(config);
        return EX_CONFIG;
    }
    generation_free(generation);
    printf("%s: good\n", path);
    return EXIT_SUCCESS;
}

static int dump(struct config *config)
{
    config_dump(config, stdout);
    config_free(config);
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Consumes the config. */
static int serve(const struct config_source *source, struct config *config)
{
    struct logger *log = NULL;
    int r, status;

    signal(SIGPIPE, SIG_IGN);
    r = co_overflow_install();
    if (r == 0)
        r = logger_new(config_log_level(config), STDERR_FILENO, &log);
    if (r < 0) {
        fprintf(stderr, "corod: cannot start: %s\n", co_strerror(r));
        config_free(config);
        return EXIT_FAILURE;
    }
    status = supervisor_run(source, config, log);
    logger_free(log);
    return status;
}

static int run(const struct command *command)
{
    struct config_source source = { .path = command->path,
                                    .sets = command->sets,
                                    .n_sets = command->n_sets,
                                    .plugins = loader_plugins };
    struct config_report report = { 0 };
    struct config *config;
    int r = config_load(&source, &report, &config);

    config_report_print(&report, stderr);
    config_report_fini(&report);
    if (r < 0)
        return EX_CONFIG;
    if (command->mode == MODE_CHECK)
        return check(config, command->path);
    if (command->mode == MODE_DUMP)
        return dump(config);
    return serve(&source, config);
}

/* A socket of ours that got the number of a closed stderr would be sent the log. */
static bool have_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        /* The lowest that is free, which is this one. */
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct command command = { .path = COROD_CONFIG_FILE };
    int status;

    if (!have_standard_descriptors())
        return EXIT_FAILURE;
    command.sets = calloc((size_t)argc, sizeof(char *));
    if (!command.sets) {
        fprintf(stderr, "corod: out of memory\n");
        return EXIT_FAILURE;
    }
    parse(argc, argv, &command);
    status = run(&command);
    free(command.sets);
    return status;
}
