/*
 * Listening sockets.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "listen.h"

static void set_int(int fd, int level, int option, int value)
{
    (void)setsockopt(fd, level, option, &value, sizeof(value));
}

void listen_set_options(int fd, const struct config_listener_options *opt)
{
    int idle_s = (int)(opt->keepalive / CO_SECOND);

    set_int(fd, IPPROTO_TCP, TCP_NODELAY, opt->nodelay);
    set_int(fd, SOL_SOCKET, SO_KEEPALIVE, idle_s > 0);
    if (idle_s > 0) {
        set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle_s);
        set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, idle_s > 30 ? idle_s / 10 : 3);
        set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, 5);
    }
}

/* Whether a Unix socket's file is there and nobody accepts on it. */
static bool is_stale(const struct co_addr *addr)
{
    struct stat st;
    int fd, r;

    if (addr->un.sun_path[0] == '\0' || lstat(addr->un.sun_path, &st) < 0 ||
        !S_ISSOCK(st.st_mode))
        return false;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    r = connect(fd, &addr->sa, addr->len) < 0 ? errno : 0;
    close(fd);
    return r == ECONNREFUSED;
}

static int bind_to(int fd, const struct co_addr *addr)
{
    if (bind(fd, &addr->sa, addr->len) == 0)
        return 0;
    if (errno != EADDRINUSE || addr->sa.sa_family != AF_UNIX)
        return -errno;
    if (!is_stale(addr))
        return -EADDRINUSE;
    if (unlink(addr->un.sun_path) < 0 || bind(fd, &addr->sa, addr->len) < 0)
        return -errno;
    return 0;
}

int listen_open(const struct co_addr *addr, const struct config_listener_options *opt)
{
    int fd = socket(addr->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int r;

    if (fd < 0)
        return -errno;
    if (addr->sa.sa_family != AF_UNIX)
        set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    /* So that [::]:80 and 0.0.0.0:80 can stand side by side, as they are written. */
    if (addr->sa.sa_family == AF_INET6)
        set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (opt->reuse_port)
        set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    listen_set_options(fd, opt);
    r = bind_to(fd, addr);
    if (r == 0 && listen(fd, (int)opt->backlog) < 0)
        r = -errno;
    if (r < 0) {
        close(fd);
        return r;
    }
    return fd;
}

int listen_address(int fd, struct co_addr *out_addr)
{
    struct co_addr addr = { .len = sizeof(addr.un) };

    if (getsockname(fd, &addr.sa, &addr.len) < 0)
        return -errno;
    *out_addr = addr;
    return 0;
}

const char *listen_hint(int error)
{
    if (error == -EACCES)
        return " (ports below 1024 need CAP_NET_BIND_SERVICE; a Unix path needs write "
               "access)";
    if (error == -EADDRINUSE)
        return " (another process listens there; ss -ltnp shows which)";
    if (error == -EADDRNOTAVAIL)
        return " (no interface of this machine has that address)";
    return "";
}
