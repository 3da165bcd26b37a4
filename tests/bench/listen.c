/**
 * Command line and listening sockets of the echo servers written in C.
 */
#include "listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_THREADS = 64, BACKLOG = 4096 };

void die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

/* Port 0 lets the kernel choose; the port that it chose is written back. */
static int open_listener(uint16_t *port)
{
    struct sockaddr_in addr = { .sin_family = AF_INET,
                                .sin_port = htons(*port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(addr);
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        die("socket");
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0)
        die("SO_REUSEPORT");
    if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
        die("bind");
    if (listen(fd, BACKLOG) < 0)
        die("listen");
    if (getsockname(fd, (struct sockaddr *)&addr, &len) < 0)
        die("getsockname");
    *port = ntohs(addr.sin_port);
    return fd;
}

static int parse_threads(int argc, char **argv)
{
    int n_threads = 1;
    int opt;

    while ((opt = getopt(argc, argv, "t:")) != -1) {
        if (opt == 't')
            n_threads = atoi(optarg);
        else
            n_threads = 0;
    }
    if (n_threads < 1 || n_threads > MAX_THREADS || optind != argc) {
        fprintf(stderr, "usage: %s [-t THREADS]\n", argv[0]);
        exit(64);
    }
    return n_threads;
}

int serve_with_threads(int argc, char **argv, worker_fn run)
{
    int fds[MAX_THREADS];
    uint16_t port = 0;
    int n_threads = parse_threads(argc, argv);

    for (int i = 0; i < n_threads; i++)
        fds[i] = open_listener(&port);
    for (int i = 1; i < n_threads; i++) {
        pthread_t thread;
        errno = pthread_create(&thread, NULL, run, &fds[i]);
        if (errno != 0)
            die("pthread_create");
    }
    printf("port %u\n", port);
    fflush(stdout);
    run(&fds[0]);
    return 0;
}
