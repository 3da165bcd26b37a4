/*
 * The system calls of the hot path. glibc's recv() and send() are cancellation points, which
 * costs two function calls each in a process with threads; nothing here uses
 * pthread_cancel(), so they are made without. Under a sanitizer libc's own are called, which
 * it knows.
 *
 * Thread: any. Return what libc's do, and set errno.
 */
#ifndef BASE_SYS_H
#define BASE_SYS_H

#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/sanitizer.h"

#if defined(SYS_recvfrom) && defined(SYS_sendto) && !defined(HAVE_ASAN) && \
    !defined(HAVE_TSAN)
static inline ssize_t sys_recv(int fd, void *buf, size_t size)
{
    return syscall(SYS_recvfrom, fd, buf, size, 0, NULL, NULL);
}

static inline ssize_t sys_send(int fd, const void *data, size_t len)
{
    return syscall(SYS_sendto, fd, data, len, MSG_NOSIGNAL, NULL, 0);
}
#else
static inline ssize_t sys_recv(int fd, void *buf, size_t size)
{
    return recv(fd, buf, size, 0);
}

static inline ssize_t sys_send(int fd, const void *data, size_t len)
{
    return send(fd, data, len, MSG_NOSIGNAL);
}
#endif

#endif
