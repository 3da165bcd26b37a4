/*
 * systemd's side of the process: readiness, watchdog, passed sockets. The only file that
 * knows sd-daemon.
 */
#include "notify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include <corod/error.h>

#define STATUS_MAX 512 /* bytes, with its NUL */

/* ---- telling ---- */

int notify_ready(void)
{
    return sd_notify(0, "READY=1");
}

int notify_reloading(void)
{
    struct timespec now;

    /* The time lets systemd tell this reload's READY=1 from one that was under way. */
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld",
                      (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

int notify_stopping(void)
{
    return sd_notify(0, "STOPPING=1");
}

int notify_status(const char *fmt, ...)
{
    char text[STATUS_MAX];
    va_list args;
    int len;

    va_start(args, fmt);
    len = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (len < 0)
        return -EINVAL;
    /* Fields are separated by '\n': text from outside must not start one. */
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    return sd_notifyf(0, "STATUS=%s", text);
}

int notify_error(int error)
{
    /* ERRNO= knows errno's numbers only; our own codes are told by their text. */
    int number = error > CO_EEOF ? -error : EIO;

    return sd_notifyf(0, "STATUS=%s\nERRNO=%d", co_strerror(error), number);
}

int notify_extend_timeout(co_time by)
{
    return sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%lld", (long long)(by / CO_USEC));
}

int notify_watchdog(void)
{
    return sd_notify(0, "WATCHDOG=1");
}

co_time notify_watchdog_interval(void)
{
    uint64_t usec;

    if (sd_watchdog_enabled(0, &usec) <= 0)
        return 0;
    return usec > (uint64_t)(CO_NEVER / CO_USEC) ? CO_NEVER : (co_time)usec * CO_USEC;
}

/* ---- sockets ---- */

/* Finds out what a passed descriptor is. Others than sockets are possible, and unused. */
static struct notify_socket describe(int fd, const char *name)
{
    struct notify_socket s = { .fd = fd, .name = name };
    socklen_t len = sizeof(s.addr.un);
    int flags = fcntl(fd, F_GETFL);

    if (flags >= 0)
        (void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    s.is_listener = sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) > 0;
    if (getsockname(fd, &s.addr.sa, &len) == 0)
        s.addr.len = len;
    return s;
}

int notify_take_sockets(struct notify_sockets *out_sockets)
{
    struct notify_sockets sockets = { NULL, NULL, 0 };
    char **names = NULL;
    int n = sd_listen_fds_with_names(1, &names);

    if (n < 0)
        return n;
    sockets.names = names;
    if (n > 0) {
        sockets.items = calloc((size_t)n, sizeof(*sockets.items));
        if (!sockets.items)
            goto fail;
    }
    for (; sockets.n < (size_t)n; sockets.n++)
        sockets.items[sockets.n] =
            describe(SD_LISTEN_FDS_START + (int)sockets.n, names[sockets.n]);
    *out_sockets = sockets;
    return 0;

fail:
    notify_sockets_fini(&sockets, NULL, NULL);
    return -ENOMEM;
}

/* What must fit, from the closest on. */
enum fit {
    FIT_NAME = 1,
    FIT_ADDR = 2,
};

static bool fits(const struct notify_socket *s, const struct notify_want *want, int fit)
{
    if (s->fd < 0 || !s->is_listener)
        return false;
    if ((fit & FIT_NAME) && strcmp(s->name, want->name) != 0)
        return false;
    return !(fit & FIT_ADDR) || (s->addr.len > 0 && co_addr_equal(&s->addr, want->addr));
}

static bool give_out(struct notify_sockets *sockets, struct notify_want *want, int fit)
{
    for (size_t i = 0; i < sockets->n; i++) {
        struct notify_socket *s = &sockets->items[i];

        if (fits(s, want, fit)) {
            want->fd = s->fd;
            s->fd = -1;
            return true;
        }
    }
    return false;
}

size_t notify_sockets_match(struct notify_sockets *sockets, struct notify_want *wants,
                            size_t n)
{
    static const int fit[] = { FIT_NAME | FIT_ADDR, FIT_NAME, FIT_ADDR };
    size_t n_served = 0;

    for (size_t round = 0; round < sizeof(fit) / sizeof(fit[0]); round++)
        for (size_t i = 0; i < n; i++)
            if (wants[i].fd < 0)
                n_served += give_out(sockets, &wants[i], fit[round]);
    return n_served;
}

void notify_sockets_fini(struct notify_sockets *sockets, notify_unused_fn on_unused,
                         void *ctx)
{
    for (size_t i = 0; i < sockets->n; i++) {
        const struct notify_socket *s = &sockets->items[i];

        if (s->fd < 0)
            continue;
        if (on_unused)
            on_unused(ctx, s);
        close(s->fd);
    }
    free(sockets->items);
    for (char **name = sockets->names; name && *name; name++)
        free(*name);
    free(sockets->names);
    *sockets = (struct notify_sockets){ NULL, NULL, 0 };
}
