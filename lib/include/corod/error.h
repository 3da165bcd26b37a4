/**
 * Error codes.
 *
 * Every function that can fail returns an int: 0 or positive is success, negative is either
 * -errno or one of the codes below. On failure outputs are untouched. Any thread.
 */
#ifndef COROD_ERROR_H
#define COROD_ERROR_H

#include <corod/base.h>

CO_BEGIN_DECLS

/* clang-format off */
/*          code            value  text */
#define CO_ERRORS(X) \
    X(CO_EEOF,        -20001, "the peer has closed its side of the stream") \
    X(CO_ECANCELLED,  -20002, "the task or future was cancelled") \
    X(CO_ECLOSED,     -20003, "the object is closed") \
    X(CO_ESTATE,      -20004, "the call does not fit the object's state") \
    X(CO_ENOTASK,     -20005, "the call suspends and was made outside a task")
/* clang-format on */

enum co_error {
#define CO_ERROR_ENUM(code, value, text) code = (value),
    CO_ERRORS(CO_ERROR_ENUM)
#undef CO_ERROR_ENUM
};

/**
 * Describes an error code of either kind in a few English words.
 *
 * @error  a negative code as the library returns it, or 0
 *
 * Returns a static string, never NULL. Unknown codes give "unknown error".
 */
CO_API const char *co_strerror(int error);

/**
 * Names an error code: "ETIMEDOUT", "CO_EEOF".
 *
 * @error  a negative code as the library returns it, or 0
 *
 * Returns a static string, never NULL; "OK" for 0, "?" for unknown codes.
 */
CO_API const char *co_errname(int error);

CO_END_DECLS

#endif
