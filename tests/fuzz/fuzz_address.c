/*
 * Addresses: any text is refused or read, and what was read comes back from its own text.
 */
#include <stdlib.h>
#include <string.h>

#include <corod/address.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    char written[CO_ADDR_TEXT_MAX];
    struct co_addr addr, again;

    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    if (co_addr_parse(text, &addr) == 0) {
        co_addr_format(&addr.sa, addr.len, written, sizeof(written));
        REQUIRE(co_addr_parse(written, &again) == 0);
        REQUIRE(co_addr_equal(&addr, &again));
    }
    free(text);
    return 0;
}
