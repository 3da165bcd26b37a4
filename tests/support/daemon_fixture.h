/**
 * The fixture of the daemon's unit tests: a supervisor without signals and sockets, with real
 * workers; a plugin that does what its client says; clients; and a whole daemon in a child
 * process. Nothing here sleeps for a fixed time: every wait is for an event, and fails the
 * test when that does not come.
 *
 *     static void test_…(void **state)
 *     {
 *         struct daemon_fixture *f = *state;
 *         int client;
 *
 *         daemon_start(f, DAEMON_INI, 1);
 *         client = daemon_connect(f, 0);
 *         client_send(client, "p");
 *         client_expect(client, "p:one:1\n");
 *         close(client);
 *     }
 *     …
 *     cmocka_unit_test_setup_teardown(test_…, daemon_setup, daemon_teardown)
 *
 * Thread: the one that runs the test; it is the supervisor's.
 */
#ifndef DAEMON_FIXTURE_H
#define DAEMON_FIXTURE_H

#include <sys/types.h>

#include "supervisor.h"

enum { DAEMON_WAIT_MS = 60000 };

/* ---- lines ---- */

/** Reads lines from a pipe as they come. */
struct line_reader {
    int fd;
    size_t begin, end; /* of what is not yet given out, in text[] */
    char text[16384];
};

/** Waits for a line that contains @text and gives it, without '\n'; drops those before. */
const char *line_await(struct line_reader *lines, const char *text);

/** How many lines that are there by now contain @text; drops them all. */
unsigned line_count(struct line_reader *lines, const char *text);

/* ---- clients ---- */

/** Connects a blocking socket whose reads fail when nothing comes. */
int client_connect(const struct co_addr *addr);

/** A connected pair of TCP sockets; gives the client's, as client_connect(). */
int client_pair(int *out_server);

void client_send(int fd, const char *text);

/** Reads exactly @text. */
void client_expect(int fd, const char *text);

/** Reads the end of the stream. */
void client_expect_end(int fd);

/** Waits until the connection has been reset. */
void client_expect_reset(int fd);

/** Reads one line, without '\n', into line[size]. */
void client_read_line(int fd, char *line, size_t size);

/** Whether the other side has said or ended nothing so far. */
bool client_is_quiet(int fd);

/** Closes, so that the other side is reset. */
void client_reset(int fd);

/* ---- the plugin ---- */

/**
 * "talk" reads commands of one byte and answers each with "COMMAND:TAG:N\n": TAG is the option
 * "tag", N counts the calls of serve() for this connection. Then p parks, c closes, w goes on
 * in the same serve(), s waits for nothing but its cancellation, f writes a mebibyte first and
 * closes. "first" is the same and says "hi:TAG:1\n" on accept. "other" is talk as another plugin.
 * "huge" wants a stack that does not exist. With the option "fail" none of them opens.
 */
struct talk_counts {
    atomic_uint n_opened;   /* instances */
    atomic_uint n_unopened; /* instances closed */
    atomic_uint n_serves;   /* calls of serve() */
    atomic_uint n_closed;   /* calls of closed() */
    atomic_int last_error;  /* of the last await that failed */
};

extern struct talk_counts talk_counts;

/** Finds these plugins; ctx counts those that are open. */
extern const struct config_plugins talk_plugins;

/** Plugins that are open now. */
unsigned talk_plugins_open(void);

/* ---- the supervisor ---- */

/** One listener "web", of talk with the tag "one", without lingering and time limits. */
#define DAEMON_LISTENER(name, protocol)                                     \
    "[listener:" name "]\naddress = 127.0.0.1:0\nprotocol = " protocol "\n" \
    "linger_timeout = 0\nidle_timeout = 0\nread_timeout = 0\nwrite_timeout = 0\n"
#define DAEMON_PROTOCOL(name, plugin, tag) \
    "[protocol:" name "]\nplugin = " plugin "\ntag = " tag "\n"
#define DAEMON_INI DAEMON_LISTENER("web", "a") DAEMON_PROTOCOL("a", "talk", "one")

struct daemon_fixture {
    struct supervisor s; /* user of s.loop */
    struct co_virtual_clock clock;
    struct line_reader lines; /* of the log */
    int log_fd;
    int n_fds; /* open at the setup */
};

/** cmocka setup: a loop, a log, no workers. */
int daemon_setup(void **state);

/** As daemon_setup(), and the supervisor's clock is f->clock, which daemon_step() leaves alone. */
int daemon_setup_virtual(void **state);

/**
 * cmocka teardown: ends acceptors, connections, workers and generations. Fails when a
 * connection, an instance, a plugin or a descriptor is left.
 */
int daemon_teardown(void **state);

/** Loads a config from text; it must be good. */
struct config *daemon_config(const char *ini);

/** A generation of @ini, the caller's, with its services numbered as listeners are. */
struct generation *daemon_generation(struct daemon_fixture *f, const char *ini);

/** Makes the first generation, its listeners, without sockets, and the workers. */
void daemon_start(struct daemon_fixture *f, const char *ini, size_t n_workers);

/** Runs one iteration of the loop; @n counts the calls of one wait, which has an end. */
void daemon_step(struct daemon_fixture *f, int n);

/** Runs the loop until a condition holds. */
#define daemon_until(f, condition)           \
    do {                                     \
        for (int n_ = 0; !(condition); n_++) \
            daemon_step(f, n_);              \
    } while (0)

/** Returns when all workers have done what was posted to them before. */
void daemon_sync(struct daemon_fixture *f);

/** Posts an order to all workers: offsetof(struct worker, drain). */
void daemon_order(struct daemon_fixture *f, size_t offset);

/** Runs @fn as a task of the supervisor to its end. */
void daemon_call(struct daemon_fixture *f, co_task_fn fn, void *arg);

/** Hands the server's side of a connection to worker 0, as the acceptor does. */
void daemon_hand_over(struct daemon_fixture *f, size_t listener, int fd);

/** Hands a new TCP connection over; gives the client's side. */
int daemon_connect(struct daemon_fixture *f, size_t listener);

/** Makes a generation of @ini the newest of all workers, as a reload does, and syncs. */
void daemon_renew(struct daemon_fixture *f, const char *ini);

/* ---- a whole daemon ---- */

/** supervisor_run() in a child process, with real plugins from tests/plugins. */
struct child_daemon {
    pid_t pid; /* 0: none */
    struct line_reader lines;
    char path[256]; /* of its config */
    int n_fds;
};

/** cmocka setup and teardown; the state is a struct child_daemon. */
int child_daemon_setup(void **state);
int child_daemon_teardown(void **state);

/** Writes the config that the next start or reload reads. */
void child_daemon_configure(struct child_daemon *d, const char *ini);

/** Starts the daemon; does not wait for it. */
void child_daemon_start(struct child_daemon *d, const char *ini);

/** Starts it, waits until it is ready, gives the address of its first listener. */
struct co_addr child_daemon_serve(struct child_daemon *d, const char *ini);

void child_daemon_signal(struct child_daemon *d, int signo);

/** Waits for its end. Returns the exit status; -N when signal N ended it. */
int child_daemon_wait(struct child_daemon *d);

/** The address in a line "listener NAME: listening on ADDRESS". */
struct co_addr child_daemon_address(const char *line);

#endif
