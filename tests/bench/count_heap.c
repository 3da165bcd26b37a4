/**
 * An LD_PRELOAD shim that counts heap calls. The counters live in a file that
 * COUNT_HEAP_FILE names, mapped shared, so that another process reads them while the
 * server runs: 64-bit numbers in the order of the enum below. glibc only: it calls the
 * names under which glibc keeps the functions it replaces, and so needs no dlsym, which
 * allocates.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum counter { N_MALLOC, N_CALLOC, N_REALLOC, N_FREE, N_MEMALIGN, N_COUNTERS };

enum { PAGE = 4096 };

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *ptr, size_t size);
void __libc_free(void *ptr);
void *__libc_memalign(size_t alignment, size_t size);

/* Before the constructor has run, and when there is no file, calls are counted in here.
 */
static _Atomic uint64_t early[N_COUNTERS];
static _Atomic uint64_t *_Atomic counters = early;

static void count(enum counter which)
{
    atomic_fetch_add_explicit(&counters[which], 1, memory_order_relaxed);
}

/* Runs before main, in a single thread. A failure ends the process: no false zero. */
__attribute__((constructor)) static void map_counters(void)
{
    const char *path = getenv("COUNT_HEAP_FILE");
    int fd;
    void *page;

    if (path == NULL)
        return;
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, PAGE) < 0)
        abort();
    page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (page == MAP_FAILED)
        abort();
    counters = page;
    for (int i = 0; i < N_COUNTERS; i++)
        atomic_fetch_add(&counters[i], atomic_load(&early[i]));
}

void *malloc(size_t size)
{
    count(N_MALLOC);
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    count(N_CALLOC);
    return __libc_calloc(n, size);
}

void *realloc(void *ptr, size_t size)
{
    count(N_REALLOC);
    return __libc_realloc(ptr, size);
}

/* free(NULL) is no work and not counted. */
void free(void *ptr)
{
    if (ptr != NULL)
        count(N_FREE);
    __libc_free(ptr);
}

void *memalign(size_t alignment, size_t size)
{
    count(N_MEMALIGN);
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    count(N_MEMALIGN);
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **out_ptr, size_t alignment, size_t size)
{
    void *ptr;

    count(N_MEMALIGN);
    if (alignment % sizeof(void *) != 0 || (alignment & (alignment - 1)) != 0 ||
        alignment == 0)
        return EINVAL;
    ptr = __libc_memalign(alignment, size);
    if (ptr == NULL)
        return ENOMEM;
    *out_ptr = ptr;
    return 0;
}
