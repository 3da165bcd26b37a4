/**
 * A server whose costs are known, to test the instruments with: an echo server, one
 * thread, level-triggered, that does for each message exactly 1 recv, 1 send, 1
 * epoll_wait and on top of that 3 malloc, 1 calloc, 1 realloc, 1 posix_memalign, 5 free,
 * 2 getppid and as many instructions as its argument says; and keeps 8 KiB of touched
 * memory a connection.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CONN_BYTES = 8192, MAX_FDS = 20000 };

static void *memory_of[MAX_FDS];

static int check(const char *what, int result)
{
    if (result < 0) {
        perror(what);
        exit(1);
    }
    return result;
}

/* volatile: the compiler knows what these functions do and would leave them out. */
static void call_heap(void)
{
    void *volatile blocks[5];
    void *aligned = NULL;

    for (int i = 0; i < 3; i++)
        blocks[i] = malloc(100);
    blocks[3] = calloc(1, 100);
    blocks[0] = realloc(blocks[0], 200);
    check("posix_memalign", -posix_memalign(&aligned, 64, 100));
    blocks[4] = aligned;
    for (int i = 0; i < 5; i++)
        free(blocks[i]);
}

/* Two instructions a turn. */
static void spin(long turns)
{
    if (turns == 0)
        return;
#if defined(__x86_64__)
    __asm__ volatile("1: decq %0\n jnz 1b" : "+r"(turns)::"cc");
#elif defined(__aarch64__)
    __asm__ volatile("1: subs %0, %0, #1\n b.ne 1b" : "+r"(turns)::"cc");
#endif
}

static void accept_one(int epoll_fd, int listen_fd)
{
    int fd = check("accept", accept(listen_fd, NULL, NULL));
    struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };

    if (fd >= MAX_FDS)
        exit(1);
    memory_of[fd] = mmap(NULL, CONN_BYTES, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory_of[fd] == MAP_FAILED)
        exit(1);
    memset(memory_of[fd], 1, CONN_BYTES);
    check("epoll_ctl", epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev));
}

static void serve(int fd, long turns)
{
    char buf[2048];
    ssize_t n = recv(fd, buf, sizeof(buf), 0);

    if (n <= 0 || send(fd, buf, (size_t)n, MSG_NOSIGNAL) != n) {
        munmap(memory_of[fd], CONN_BYTES);
        close(fd);
        return;
    }
    call_heap();
    (void)syscall(SYS_getppid);
    (void)syscall(SYS_getppid);
    spin(turns);
}

int main(int argc, char **argv)
{
    struct sockaddr_in addr = { .sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(addr);
    struct epoll_event ev = { .events = EPOLLIN };
    long turns = argc > 1 ? atol(argv[1]) / 2 : 0;
    int listen_fd = check("socket", socket(AF_INET, SOCK_STREAM, 0));
    int epoll_fd = check("epoll_create1", epoll_create1(0));

    check("bind", bind(listen_fd, (struct sockaddr *)&addr, sizeof(addr)));
    check("listen", listen(listen_fd, 4096));
    check("getsockname", getsockname(listen_fd, (struct sockaddr *)&addr, &len));
    ev.data.fd = listen_fd;
    check("epoll_ctl", epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listen_fd, &ev));
    printf("port %u\n", ntohs(addr.sin_port));
    fflush(stdout);
    for (;;) {
        if (epoll_wait(epoll_fd, &ev, 1, -1) != 1)
            continue;
        if (ev.data.fd == listen_fd)
            accept_one(epoll_fd, listen_fd);
        else
            serve(ev.data.fd, turns);
    }
}
