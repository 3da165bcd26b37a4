/**
 * bench_load: the load generator. It drives an echo server on 127.0.0.1 in a closed loop,
 * checks every byte of every answer, and prints one line of JSON.
 */
#include "load.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { MAX_THREADS = 16, MAX_MESSAGE = 1 << 16, MAX_DEPTH = 1024 };

static const char *const mode_names[] = {
    [LOAD_PINGPONG] = "pingpong", [LOAD_CHURN] = "churn", [LOAD_IDLE] = "idle"
};

static const char usage[] =
    "usage: bench_load [MODE] -p PORT [OPTION]...\n"
    "modes:\n"
    "  pingpong   messages in flight on every connection (default)\n"
    "  churn      connect, one round trip, close, and again\n"
    "  idle       open, one round trip, hold until the end of standard input\n"
    "options:\n"
    "  -p, --port PORT         of the server, on 127.0.0.1\n"
    "  -c, --connections N     in churn: alive at a time (50)\n"
    "  -s, --size BYTES        of a message, 1..65536 (64)\n"
    "  -d, --depth N           messages in flight a connection, 1..1024 (1)\n"
    "  -t, --threads N         of this program (1)\n"
    "  -r, --rotate            64 messages in flight in all, over all connections in "
    "turn\n"
    "  -n, --count N           so many round trips exactly, instead of a time\n"
    "  -S, --seconds S         measured time (2)\n"
    "  -W, --warmup S          time before it, not in rate and latency (0.2)\n";

static const struct option options[] = {
    { "port", required_argument, NULL, 'p' },
    { "connections", required_argument, NULL, 'c' },
    { "size", required_argument, NULL, 's' },
    { "depth", required_argument, NULL, 'd' },
    { "threads", required_argument, NULL, 't' },
    { "rotate", no_argument, NULL, 'r' },
    { "count", required_argument, NULL, 'n' },
    { "seconds", required_argument, NULL, 'S' },
    { "warmup", required_argument, NULL, 'W' },
    { "help", no_argument, NULL, 'h' },
    { NULL, 0, NULL, 0 },
};

_Noreturn static void die_usage(const char *what)
{
    fprintf(stderr, "bench_load: %s\n%s", what, usage);
    exit(64);
}

static uint64_t parse_number(const char *text, uint64_t min, uint64_t max)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);

    if (*text < '0' || *text > '9' || *end != '\0' || value < min || value > max)
        die_usage("a number is missing or out of range");
    return value;
}

static int64_t parse_seconds(const char *text)
{
    char *end;
    double value = strtod(text, &end);

    if (end == text || *end != '\0' || !(value >= 0 && value <= 600))
        die_usage("a time is 0..600 seconds");
    return (int64_t)(value * 1e9);
}

static enum load_mode parse_mode(const char *text)
{
    for (unsigned i = 0; i < sizeof(mode_names) / sizeof(mode_names[0]); i++) {
        if (strcmp(text, mode_names[i]) == 0)
            return (enum load_mode)i;
    }
    die_usage("no such mode");
}

static void parse_options(int argc, char **argv, struct load_config *config)
{
    int opt;

    while ((opt = getopt_long(argc, argv, "p:c:s:d:t:rn:S:W:h", options, NULL)) != -1) {
        switch (opt) {
        case 'p':
            config->port = (uint16_t)parse_number(optarg, 1, 65535);
            break;
        case 'c':
            config->n_conns = (uint32_t)parse_number(optarg, 1, 1000000);
            break;
        case 's':
            config->size = (uint32_t)parse_number(optarg, 1, MAX_MESSAGE);
            break;
        case 'd':
            config->depth = (uint32_t)parse_number(optarg, 1, MAX_DEPTH);
            break;
        case 't':
            config->n_threads = (uint32_t)parse_number(optarg, 1, MAX_THREADS);
            break;
        case 'r':
            config->rotates = true;
            break;
        case 'n':
            config->count = parse_number(optarg, 1, UINT64_MAX);
            break;
        case 'S':
            config->measure_ns = parse_seconds(optarg);
            break;
        case 'W':
            config->warmup_ns = parse_seconds(optarg);
            break;
        case 'h':
            fputs(usage, stdout);
            exit(0);
        default:
            die_usage("no such option");
        }
    }
    if (optind < argc)
        config->mode = parse_mode(argv[optind++]);
    if (optind < argc || config->port == 0)
        die_usage(config->port == 0 ? "a port is needed" : "too many arguments");
}

static void check_config(struct load_config *config)
{
    if (config->n_threads > config->n_conns)
        config->n_threads = config->n_conns;
    if ((config->rotates || config->mode != LOAD_PINGPONG) && config->depth != 1)
        die_usage("--depth goes with pingpong, without --rotate");
    if (config->rotates && config->mode != LOAD_PINGPONG)
        die_usage("--rotate goes with pingpong");
    /* A counted run is measured from its start. */
    if (config->count > 0)
        config->warmup_ns = 0;
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* Sums all threads up into the first one. */
static void merge_threads(struct load_thread *threads, uint32_t n)
{
    struct load_thread *sum = &threads[0];

    for (uint32_t i = 1; i < n; i++) {
        const struct load_thread *t = &threads[i];
        sum->n_opened += t->n_opened;
        sum->n_answered += t->n_answered;
        sum->n_measured += t->n_measured;
        sum->n_connects += t->n_connects;
        if (sum->n_errors == 0)
            memcpy(sum->first_error, t->first_error, sizeof(sum->first_error));
        sum->n_errors += t->n_errors;
        if (t->stopped_at > sum->stopped_at)
            sum->stopped_at = t->stopped_at;
        histogram_merge(&sum->latency, &t->latency);
    }
}

static double quantile_us(const struct load_thread *sum, double share)
{
    return (double)histogram_quantile(&sum->latency, share) / 1e3;
}

/* One line; numbers in the units that the names say. */
static void report(const struct load_config *config, const struct load_thread *sum)
{
    double seconds = (double)config->measure_ns / 1e9;

    if (config->count > 0)
        seconds = (double)(sum->stopped_at - sum->measure_from) / 1e9;
    printf("{\"mode\": \"%s\", \"connections\": %u, \"size\": %u, \"depth\": %u, "
           "\"threads\": %u, \"seconds\": %.3f, \"opened\": %u, ",
           mode_names[config->mode], config->n_conns, config->size, config->depth,
           config->n_threads, config->mode == LOAD_IDLE ? 0 : seconds, sum->n_opened);
    if (config->mode != LOAD_IDLE)
        printf(
            "\"requests\": %llu, \"requests_measured\": %llu, \"requests_per_s\": %.0f, "
            "\"connects_per_s\": %.0f, \"p50_us\": %.1f, \"p99_us\": %.1f, "
            "\"p999_us\": %.1f, \"max_us\": %.1f, ",
            (unsigned long long)sum->n_answered, (unsigned long long)sum->n_measured,
            seconds > 0 ? (double)sum->n_measured / seconds : 0,
            seconds > 0 ? (double)sum->n_connects / seconds : 0, quantile_us(sum, 0.5),
            quantile_us(sum, 0.99), quantile_us(sum, 0.999),
            (double)sum->latency.max / 1e3);
    printf("\"errors\": %llu, \"first_error\": \"%s\"}\n",
           (unsigned long long)sum->n_errors, sum->first_error);
    fflush(stdout);
}

/* Holds the connections until the end of standard input, then says how many were lost. */
static uint32_t hold(const struct load_thread *threads, uint32_t n_threads)
{
    uint32_t n_lost = 0;
    char byte;

    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    for (uint32_t i = 0; i < n_threads; i++)
        n_lost += load_thread_count_lost(&threads[i]);
    printf("{\"lost\": %u}\n", n_lost);
    return n_lost;
}

int main(int argc, char **argv)
{
    static struct load_thread threads[MAX_THREADS];
    struct load_config config = { .n_conns = 50,
                                  .n_threads = 1,
                                  .size = 64,
                                  .depth = 1,
                                  .warmup_ns = 200000000,
                                  .measure_ns = 2000000000 };
    pthread_barrier_t barrier;
    uint32_t n_lost = 0;
    char *pattern;

    parse_options(argc, argv, &config);
    check_config(&config);
    raise_descriptor_limit();
    pattern = load_pattern_new();
    pthread_barrier_init(&barrier, NULL, config.n_threads);
    for (uint32_t i = 0; i < config.n_threads; i++) {
        threads[i] = (struct load_thread){
            .config = &config, .pattern = pattern, .barrier = &barrier, .index = i
        };
        if (pthread_create(&threads[i].thread, NULL, load_thread_run, &threads[i]) != 0)
            abort();
    }
    for (uint32_t i = 0; i < config.n_threads; i++)
        pthread_join(threads[i].thread, NULL);
    merge_threads(threads, config.n_threads);
    report(&config, &threads[0]);
    if (config.mode == LOAD_IDLE)
        n_lost = hold(threads, config.n_threads);
    for (uint32_t i = 0; i < config.n_threads; i++)
        load_thread_fini(&threads[i]);
    free(pattern);
    return threads[0].n_errors > 0 || n_lost > 0 ? 1 : 0;
}
