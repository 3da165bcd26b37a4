/**
 * An echo server on libevent's bufferevents, as its book shows it: the input buffer is
 * moved to the output buffer, nothing is copied. One event_base a thread.
 */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/socket.h>

#include "listen.h"

/* Reading pauses above this much output that the peer does not take. */
enum { HIGH_WATER = 65536 };

static void on_read(struct bufferevent *bev, void *arg)
{
    struct evbuffer *output = bufferevent_get_output(bev);

    (void)arg;
    (void)evbuffer_add_buffer(output, bufferevent_get_input(bev));
    if (evbuffer_get_length(output) > HIGH_WATER)
        (void)bufferevent_disable(bev, EV_READ);
}

static void on_drained(struct bufferevent *bev, void *arg)
{
    (void)arg;
    if (!(bufferevent_get_enabled(bev) & EV_READ))
        (void)bufferevent_enable(bev, EV_READ);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    (void)arg;
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
        bufferevent_free(bev);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd,
                      struct sockaddr *addr, int len, void *arg)
{
    struct event_base *base = evconnlistener_get_base(listener);
    struct bufferevent *bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    int on = 1;

    (void)addr;
    (void)len;
    (void)arg;
    if (bev == NULL)
        die("bufferevent_socket_new");
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    bufferevent_setcb(bev, on_read, on_drained, on_event, NULL);
    (void)bufferevent_enable(bev, EV_READ | EV_WRITE);
}

static void *run_worker(void *arg)
{
    int listen_fd = *(int *)arg;
    struct event_base *base = event_base_new();
    struct evconnlistener *listener;

    if (base == NULL)
        die("event_base_new");
    /* Backlog 0: the socket listens already. */
    listener =
        evconnlistener_new(base, on_accept, NULL, LEV_OPT_CLOSE_ON_FREE, 0, listen_fd);
    if (listener == NULL)
        die("evconnlistener_new");
    (void)event_base_dispatch(base);
    evconnlistener_free(listener);
    event_base_free(base);
    return NULL;
}

int main(int argc, char **argv)
{
    return serve_with_threads(argc, argv, run_worker);
}
