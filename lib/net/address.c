/*
 * Numeric socket addresses from and to text.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <corod/address.h>

/* Reads a port, all digits, 0..65535. Returns it, -EINVAL or -ERANGE. */
static int parse_port(const char *text)
{
    unsigned port = 0;

    if (!*text)
        return -EINVAL;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return -EINVAL;
        port = port * 10 + (unsigned)(*text - '0');
        if (port > 65535)
            return -ERANGE;
    }
    return (int)port;
}

static int parse_unix(const char *path, struct co_addr *out)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    size_t len = strlen(path);

    if (len == 0 || (len == 1 && path[0] == '@'))
        return -EINVAL;
    if (len >= sizeof(un.sun_path))
        return -ENAMETOOLONG;
    memcpy(un.sun_path, path, len);
    *out = (struct co_addr){ .un = un };
    if (path[0] == '@') {
        /* Abstract: a leading NUL, and the name is exactly as long as it is. */
        out->un.sun_path[0] = '\0';
        out->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    } else {
        out->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    }
    return 0;
}

/* The index of an interface by its name or, as addresses of one that is gone are written, by
 * its number. 0: neither. */
static unsigned parse_zone(const char *zone)
{
    unsigned index = if_nametoindex(zone);
    char *end;
    unsigned long number;

    if (index > 0 || zone[0] < '1' || zone[0] > '9')
        return index;
    errno = 0;
    number = strtoul(zone, &end, 10);
    return *end == '\0' && errno == 0 && number <= UINT32_MAX ? (unsigned)number : 0;
}

/* @text is what follows '['. */
static int parse_ipv6(const char *text, struct co_addr *out)
{
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
    char host[INET6_ADDRSTRLEN + IF_NAMESIZE + 1];
    const char *end = strchr(text, ']');
    size_t len = end ? (size_t)(end - text) : 0;
    char *zone;
    int port;

    if (!end || end[1] != ':' || len >= sizeof(host))
        return -EINVAL;
    memcpy(host, text, len);
    host[len] = '\0';
    zone = strchr(host, '%');
    if (zone) {
        *zone++ = '\0';
        in6.sin6_scope_id = parse_zone(zone);
        if (in6.sin6_scope_id == 0)
            return -EINVAL;
    }
    if (inet_pton(AF_INET6, host, &in6.sin6_addr) != 1)
        return -EINVAL;
    port = parse_port(end + 2);
    if (port < 0)
        return port;
    in6.sin6_port = htons((uint16_t)port);
    *out = (struct co_addr){ .len = sizeof(in6), .in6 = in6 };
    return 0;
}

static int parse_ipv4(const char *text, struct co_addr *out)
{
    struct sockaddr_in in = { .sin_family = AF_INET };
    const char *colon = strchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : 0;
    char host[INET_ADDRSTRLEN];
    int port;

    if (!colon || len == 0 || len >= sizeof(host))
        return -EINVAL;
    memcpy(host, text, len);
    host[len] = '\0';
    if (strcmp(host, "*") != 0 && inet_pton(AF_INET, host, &in.sin_addr) != 1)
        return -EINVAL;
    port = parse_port(colon + 1);
    if (port < 0)
        return port;
    in.sin_port = htons((uint16_t)port);
    *out = (struct co_addr){ .len = sizeof(in), .in = in };
    return 0;
}

int co_addr_parse(const char *text, struct co_addr *out_addr)
{
    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix(text + 5, out_addr);
    if (text[0] == '[')
        return parse_ipv6(text + 1, out_addr);
    return parse_ipv4(text, out_addr);
}

static void format_ipv6(const struct sockaddr_in6 *in6, char *buf, size_t size)
{
    char host[INET6_ADDRSTRLEN];
    char zone[IF_NAMESIZE + 1] = "";

    inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
    if (in6->sin6_scope_id != 0) {
        zone[0] = '%';
        if (!if_indextoname(in6->sin6_scope_id, zone + 1))
            snprintf(zone, sizeof(zone), "%%%u", (unsigned)in6->sin6_scope_id);
    }
    snprintf(buf, size, "[%s%s]:%u", host, zone, ntohs(in6->sin6_port));
}

static void format_unix(const struct sockaddr_un *un, socklen_t len, char *buf,
                        size_t size)
{
    size_t head = offsetof(struct sockaddr_un, sun_path);
    size_t n = len > head ? len - head : 0;

    if (n == 0)
        snprintf(buf, size, "unix:");
    else if (un->sun_path[0] == '\0')
        snprintf(buf, size, "unix:@%.*s", (int)(n - 1), un->sun_path + 1);
    else
        snprintf(buf, size, "unix:%.*s", (int)n, un->sun_path);
}

const char *co_addr_format(const struct sockaddr *sa, socklen_t len, char *buf,
                           size_t size)
{
    char host[INET_ADDRSTRLEN];

    if (sa->sa_family == AF_INET) {
        struct sockaddr_in in;

        memcpy(&in, sa, sizeof(in));
        inet_ntop(AF_INET, &in.sin_addr, host, sizeof(host));
        snprintf(buf, size, "%s:%u", host, ntohs(in.sin_port));
    } else if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;

        memcpy(&in6, sa, sizeof(in6));
        format_ipv6(&in6, buf, size);
    } else if (sa->sa_family == AF_UNIX) {
        struct sockaddr_un un = { 0 };

        memcpy(&un, sa, len < sizeof(un) ? len : sizeof(un));
        format_unix(&un, len, buf, size);
    } else {
        snprintf(buf, size, "?");
    }
    return buf;
}

bool co_addr_equal(const struct co_addr *a, const struct co_addr *b)
{
    if (a->sa.sa_family != b->sa.sa_family)
        return false;
    if (a->sa.sa_family == AF_INET)
        return a->in.sin_port == b->in.sin_port &&
               a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
    if (a->sa.sa_family == AF_INET6)
        return a->in6.sin6_port == b->in6.sin6_port &&
               a->in6.sin6_scope_id == b->in6.sin6_scope_id &&
               memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof(a->in6.sin6_addr)) ==
                   0;
    return a->len == b->len && memcmp(&a->un, &b->un, a->len) == 0;
}
