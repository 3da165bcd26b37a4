/*
 * Text into a fixed buffer without libc's formatting, so that a signal handler may do it.
 */
#include <corod/task.h>

void co_text_append(char *buf, size_t size, size_t *len, const char *text)
{
    if (*len >= size)
        return;
    while (*text && *len + 1 < size)
        buf[(*len)++] = *text++;
    buf[*len] = '\0';
}

void co_text_append_u64(char *buf, size_t size, size_t *len, uint64_t value)
{
    char digits[21];
    char *p = digits + sizeof(digits) - 1;

    *p = '\0';
    do {
        *--p = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    co_text_append(buf, size, len, p);
}
