/*
 * The fault countdown: linker wrappers (--wrap) around the calls that can fail for want
 * of memory or descriptors. Each asks must_fail() before it passes the call on.
 */
#include "fault.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include "test.h"

/* No test makes so many calls: fn ignores the failure, or never ends. */
#define WALK_MAX 100000

struct countdown {
    unsigned left; /* the call that makes it 0 fails; 0 is off */
    unsigned counted;
    int error;
    bool is_lasting;
};

static _Thread_local struct countdown countdowns[FAULT_N_KINDS];
static _Thread_local bool was_hit;
static _Thread_local size_t send_max = SIZE_MAX;

static bool must_fail(enum fault_kind kind)
{
    struct countdown *c = &countdowns[kind];

    if (c->left == 0)
        return false;
    c->counted++;
    if (c->left > 1) {
        c->left--;
        return false;
    }
    if (!c->is_lasting)
        c->left = 0;
    was_hit = true;
    errno = c->error;
    return true;
}

static void arm(enum fault_kind kind, struct countdown countdown)
{
    was_hit = false;
    countdowns[kind] = countdown;
}

void fault_after(unsigned n)
{
    fault_arm(FAULT_ALLOC, n, ENOMEM);
}

void fault_from(unsigned n)
{
    arm(FAULT_ALLOC,
        (struct countdown){ .left = n, .error = ENOMEM, .is_lasting = true });
}

void fault_arm(enum fault_kind kind, unsigned n, int error)
{
    arm(kind, (struct countdown){ .left = n, .error = error });
}

void fault_arm_from(enum fault_kind kind, unsigned n, int error)
{
    arm(kind, (struct countdown){ .left = n, .error = error, .is_lasting = true });
}

void fault_short_sends(size_t max)
{
    send_max = max;
}

void fault_off(void)
{
    send_max = SIZE_MAX;
    for (size_t i = 0; i < FAULT_N_KINDS; i++)
        countdowns[i].left = 0;
}

bool fault_hit(void)
{
    return was_hit;
}

unsigned fault_count(enum fault_kind kind)
{
    return countdowns[kind].counted;
}

unsigned fault_walk(fault_fn fn, void *ctx)
{
    return fault_walk_kind(fn, ctx, FAULT_ALLOC, ENOMEM);
}

unsigned fault_walk_kind(fault_fn fn, void *ctx, enum fault_kind kind, int error)
{
    for (unsigned n = 1; n < WALK_MAX; n++) {
        int r;

        fault_arm(kind, n, error);
        r = fn(ctx);
        fault_off();
        if (!was_hit) {
            if (r < 0)
                fail_msg("fails with %d though call %u was not reached", r, n);
            return n - 1;
        }
        if (r != -error)
            fail_msg("returns %d when call %u fails with %d", r, n, error);
    }
    fail_msg("does not end within %d calls", WALK_MAX);
    return 0;
}

/*
 * The wrappers. __real_ names are weak so that a test that wraps only some calls links
 * too.
 */
#define WRAP(type, name, ...)                              \
    type __wrap_##name(__VA_ARGS__);                       \
    __attribute__((weak)) type __real_##name(__VA_ARGS__); \
    type __wrap_##name(__VA_ARGS__)

WRAP(void *, malloc, size_t size)
{
    return must_fail(FAULT_ALLOC) ? NULL : __real_malloc(size);
}

WRAP(void *, calloc, size_t n, size_t size)
{
    return must_fail(FAULT_ALLOC) ? NULL : __real_calloc(n, size);
}

WRAP(void *, realloc, void *ptr, size_t size)
{
    return must_fail(FAULT_ALLOC) ? NULL : __real_realloc(ptr, size);
}

WRAP(char *, strdup, const char *text)
{
    return must_fail(FAULT_ALLOC) ? NULL : __real_strdup(text);
}

WRAP(char *, strndup, const char *text, size_t max)
{
    return must_fail(FAULT_ALLOC) ? NULL : __real_strndup(text, max);
}

WRAP(void *, aligned_alloc, size_t alignment, size_t size)
{
    return must_fail(FAULT_ALLOC) ? NULL : __real_aligned_alloc(alignment, size);
}

/* Reports by its return value and leaves errno alone, as the real one. */
WRAP(int, posix_memalign, void **out, size_t alignment, size_t size)
{
    int saved = errno;

    if (must_fail(FAULT_ALLOC)) {
        errno = saved;
        return countdowns[FAULT_ALLOC].error;
    }
    return __real_posix_memalign(out, alignment, size);
}

WRAP(void *, mmap, void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
    return must_fail(FAULT_ALLOC) ? MAP_FAILED
                                  : __real_mmap(addr, len, prot, flags, fd, offset);
}

WRAP(int, socket, int domain, int type, int protocol)
{
    return must_fail(FAULT_FD) ? -1 : __real_socket(domain, type, protocol);
}

WRAP(int, socketpair, int domain, int type, int protocol, int fds[2])
{
    return must_fail(FAULT_FD) ? -1 : __real_socketpair(domain, type, protocol, fds);
}

WRAP(int, accept4, int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
    return must_fail(FAULT_FD) ? -1 : __real_accept4(fd, addr, len, flags);
}

WRAP(int, eventfd, unsigned count, int flags)
{
    return must_fail(FAULT_FD) ? -1 : __real_eventfd(count, flags);
}

WRAP(int, timerfd_create, int clock, int flags)
{
    return must_fail(FAULT_FD) ? -1 : __real_timerfd_create(clock, flags);
}

WRAP(int, epoll_create1, int flags)
{
    return must_fail(FAULT_FD) ? -1 : __real_epoll_create1(flags);
}

WRAP(int, pipe2, int fds[2], int flags)
{
    return must_fail(FAULT_FD) ? -1 : __real_pipe2(fds, flags);
}

WRAP(int, dup, int fd)
{
    return must_fail(FAULT_FD) ? -1 : __real_dup(fd);
}

WRAP(int, madvise, void *addr, size_t len, int advice)
{
    enum { GUARD_INSTALL = 102 }; /* MADV_GUARD_INSTALL, newer than some headers */

    return advice == GUARD_INSTALL && must_fail(FAULT_GUARD)
               ? -1
               : __real_madvise(addr, len, advice);
}

WRAP(int, mprotect, void *addr, size_t len, int prot)
{
    return must_fail(FAULT_MPROTECT) ? -1 : __real_mprotect(addr, len, prot);
}

WRAP(ssize_t, recv, int fd, void *buf, size_t len, int flags)
{
    return must_fail(FAULT_RECV) ? -1 : __real_recv(fd, buf, len, flags);
}

WRAP(ssize_t, send, int fd, const void *buf, size_t len, int flags)
{
    if (must_fail(FAULT_SEND))
        return -1;
    return __real_send(fd, buf, len < send_max ? len : send_max, flags);
}

/* The library's own way to recv() and send(); no other number is counted. */
long __wrap_syscall(long number, ...);
__attribute__((weak)) long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
    long args[6];
    va_list list;

    va_start(list, number);
    for (size_t i = 0; i < N_ELEMENTS(args); i++)
        args[i] = va_arg(list, long);
    va_end(list);
    if ((number == SYS_recvfrom && must_fail(FAULT_RECV)) ||
        (number == SYS_sendto && must_fail(FAULT_SEND)))
        return -1;
    if (number == SYS_sendto && (size_t)args[2] > send_max)
        args[2] = (long)send_max;
    return __real_syscall(number, args[0], args[1], args[2], args[3], args[4], args[5]);
}

/* The first entry stands for all when sends are short. */
WRAP(ssize_t, sendmsg, int fd, const struct msghdr *msg, int flags)
{
    struct iovec first;
    struct msghdr cut = *msg;

    if (must_fail(FAULT_SEND))
        return -1;
    if (send_max < SIZE_MAX && msg->msg_iovlen > 0) {
        first = msg->msg_iov[0];
        first.iov_len = first.iov_len < send_max ? first.iov_len : send_max;
        cut.msg_iov = &first;
        cut.msg_iovlen = 1;
    }
    return __real_sendmsg(fd, &cut, flags);
}
