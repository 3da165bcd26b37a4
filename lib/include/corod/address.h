/**
 * Socket addresses as text and back: "127.0.0.1:80", "[::1]:80", "unix:/run/x.sock",
 * "unix:@abstract". Numeric only: nothing here asks a name service. Any thread.
 */
#ifndef COROD_ADDRESS_H
#define COROD_ADDRESS_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <corod/base.h>

CO_BEGIN_DECLS

/** Any address a stream socket can have. */
struct co_addr {
    socklen_t len;
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    };
};

/** The address of a peer without the 108 bytes that Unix paths need; 28 bytes. */
union co_peer {
    struct sockaddr sa; /* AF_UNIX: the family alone */
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

/** Longest text of co_addr_format(), with its NUL. */
#define CO_ADDR_TEXT_MAX 128

/**
 * Reads an address: "HOST:PORT" with a dotted IPv4 host, "[HOST]:PORT" with an IPv6 host
 * and an optional "%zone", "unix:PATH", "unix:@NAME". "*:PORT" is 0.0.0.0.
 *
 * @text      NUL-terminated
 * @out_addr  written on success only
 *
 * Returns 0, -EINVAL for text of none of these forms, -ERANGE for a port above 65535,
 * -ENAMETOOLONG for a Unix path of 108 bytes or more.
 */
CO_API CO_MUST_CHECK int co_addr_parse(const char *text, struct co_addr *out_addr);

/**
 * Writes an address in the form that co_addr_parse() reads, cut to size if need be.
 *
 * @sa    of family AF_INET, AF_INET6 or AF_UNIX; others give "?"
 * @len   its length in bytes
 * @buf   shape: buf[size]; NUL-terminated if size > 0
 *
 * Returns buf.
 */
CO_API const char *co_addr_format(const struct sockaddr *sa, socklen_t len, char *buf,
                                  size_t size);

/** Whether two addresses are the same: family, host, port and zone, or the path. */
CO_API bool co_addr_equal(const struct co_addr *a, const struct co_addr *b);

CO_END_DECLS

#endif
