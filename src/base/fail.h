/* fail.h: the one place where an error's text is made. */
#ifndef EG_BASE_FAIL_H
#define EG_BASE_FAIL_H

#include "engraft.h"

/* Fill err (may be NULL) and return status: `return eg__fail(err, EG_E_IO, ...)`. */
__attribute__((format(printf, 3, 4))) enum eg_status eg__fail(struct eg_error *err, enum eg_status status,
                                                              const char *format, ...);

/* The same, with a reason other than EG_REASON_OTHER. */
__attribute__((format(printf, 4, 5))) enum eg_status
eg__fail_for(struct eg_error *err, enum eg_status status, enum eg_reason reason, const char *format, ...);

/* EG_E_MEMORY with the usual words; `what` is what there was no room for. */
enum eg_status eg__fail_memory(struct eg_error *err, const char *what);

/* Put "CONTEXT: " before the message already in err; returns status. */
__attribute__((format(printf, 3, 4))) enum eg_status
eg__fail_within(struct eg_error *err, enum eg_status status, const char *format, ...);

/* What static analysis cannot see across files: a failure is never EG_OK. */
#if defined(__clang_analyzer__) && !defined(EG_BASE_FAIL_C)
#define eg__fail(err, status, ...) ((void)eg__fail(err, status, __VA_ARGS__), (status))
#define eg__fail_for(err, status, reason, ...)                                                               \
    ((void)eg__fail_for(err, status, reason, __VA_ARGS__), (status))
#define eg__fail_memory(err, what) ((void)eg__fail_memory(err, what), EG_E_MEMORY)
#define eg__fail_within(err, status, ...) ((void)eg__fail_within(err, status, __VA_ARGS__), (status))
#endif

#endif
