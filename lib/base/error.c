/*
 * Names and texts of error codes: the library's own from the table in <corod/error.h>, the
 * system's from libc.
 */
#include <string.h>

#include <corod/error.h>

struct error_text {
    int code;
    const char *name;
    const char *text;
};

static const struct error_text errors[] = {
#define CO_ERROR_ROW(code, value, text) { code, #code, text },
    CO_ERRORS(CO_ERROR_ROW)
#undef CO_ERROR_ROW
};

static const struct error_text *find(int code)
{
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        if (errors[i].code == code)
            return &errors[i];
    }
    return NULL;
}

const char *co_strerror(int error)
{
    const struct error_text *own = find(error);
    const char *text = own ? own->text : NULL;

    if (!text && error == 0)
        text = "success";
#ifdef __GLIBC__
    if (!text && error < 0 && error > -4096)
        text = strerrordesc_np(-error);
#else
    if (!text && error < 0 && error > -4096)
        text = strerror(-error);
#endif
    return text ? text : "unknown error";
}

const char *co_errname(int error)
{
    const struct error_text *own = find(error);
    const char *name = own ? own->name : NULL;

    if (!name && error == 0)
        name = "OK";
#ifdef __GLIBC__
    if (!name && error < 0 && error > -4096)
        name = strerrorname_np(-error);
#endif
    return name ? name : "?";
}
