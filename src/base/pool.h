/* pool.h: a fixed set of threads that share out numbered tasks. */
#ifndef EG_BASE_POOL_H
#define EG_BASE_POOL_H

#include "engraft.h"

typedef void eg_task_fn(void *context, size_t task, unsigned thread);

/* Run task 0 .. n_tasks-1, each once, and return when all are done. The caller works too;
 * `thread` is 0 for the caller, below eg_pool_threads(pool). pool NULL: all on the caller.
 * Tasks must not depend on which thread runs them, so that results do not depend on the number
 * of threads. While the pool is at work for another thread the caller does all of them alone. */
void eg__pool_run(eg_pool *pool, size_t n_tasks, eg_task_fn *task, void *context);

/* The same, but the caller asks go_on (may be NULL) after each task of its own: after false no further
 * task is begun. False: stopped, some tasks may not have run. */
EG_MUST_CHECK bool eg__pool_run_while(eg_pool *pool, size_t n_tasks, eg_task_fn *task, void *context,
                                      bool (*go_on)(void *user), void *user);

/* The pool is this thread's until it is released; *claimed: was it free, so that it is to be released?
 * (A thread may claim what it has.) EG_E_ARGUMENT: it is at work for another thread. pool may be NULL. */
EG_MUST_CHECK enum eg_status eg__pool_claim(eg_pool *pool, bool *claimed, struct eg_error *err);
void eg__pool_release(eg_pool *pool, bool claimed);

#endif
