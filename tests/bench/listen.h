/**
 * What the echo servers written in C share: their command line and their listening
 * sockets.
 */
#ifndef BENCH_LISTEN_H
#define BENCH_LISTEN_H

#include <stdint.h>

/** Runs one worker; gets a listening descriptor, non-blocking, as its argument. */
typedef void *(*worker_fn)(void *listen_fd);

/**
 * Reads `-t THREADS`, opens a listening socket for each thread on one port of 127.0.0.1
 * that the kernel chooses (SO_REUSEPORT spreads the connections), prints "port N" and
 * runs the workers, the first of them on the calling thread. Errors end the process.
 */
int serve_with_threads(int argc, char **argv, worker_fn run);

/** Ends the process with the text of errno. */
_Noreturn void die(const char *what);

#endif
